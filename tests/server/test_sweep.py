"""The sweep of what has expired: only workspaces that have something due cost a write, and a failure is told whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from domain.audit import AuditEntry
from domain.caller import operator
from domain.errors import CursorExpired
from domain.memory import CreateMemoryInput, MemoryScope
from domain.session import CreateSessionInput
from domain.state import SetStateInput, StateEntry
from domain.values import encode_json
from resolvers import live, memories, sessions, states
from resolvers.expiry import Kept, trim
from server.app import sweep_due, trim_all
from server.service import Service, open_service
from server.settings import Settings
from stores.ports import Log

NAMES = [f"w{number}" for number in range(20)]


async def fading(service: Service, names: list[str]) -> None:
    """Sets an entry in each workspace that is over in a second, and waits for that."""
    for name in names:
        context = service.context(operator(name))
        await states.set_one(context, SetStateInput(namespace="app", key="k", value=encode_json(1), ttl_seconds=1))
    await asyncio.sleep(1.05)


def commits(service: Service) -> float:
    return next(figure.value for figure in service.engine.figures() if figure.name == "commits")


async def test_only_workspaces_with_something_due_are_written_to(tmp_path: Path) -> None:
    service = open_service(tmp_path, Settings())
    for name in NAMES:
        lasting = SetStateInput(namespace="app", key="lasting", value=encode_json(1))
        await states.set_one(service.context(operator(name)), lasting)
    await sweep_due(service)
    before = commits(service)
    await sweep_due(service)
    assert commits(service) == before
    await fading(service, NAMES[3:5])
    before = commits(service)
    await sweep_due(service)
    assert commits(service) == before + 2
    assert await service.engine.due() == []
    await service.close()


async def test_a_workspace_that_fails_is_logged_whole_and_keeps_no_other_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = open_service(tmp_path, Settings())
    await fading(service, ["bad", "good"])
    file = apsw.Connection(str(tmp_path / "recollect.db"))
    [(bad,)] = file.execute("SELECT key FROM workspace WHERE name = 'bad'").fetchall()
    file.execute(
        f"CREATE TRIGGER kept BEFORE DELETE ON state WHEN old.workspace = {bad} "
        "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    )
    file.close()
    await sweep_due(service)
    assert await service.engine.due() == ["bad"]
    assert await service.context(operator("good")).store.scan(StateEntry, None, 9) == []
    [told] = [record for record in caplog.records if "bad" in record.getMessage()]
    assert told.exc_info is not None, "the traceback is in the log"
    assert "not this one" in str(told.exc_info[1])
    await service.close()


async def test_logs_are_cut_to_what_the_settings_keep_and_an_old_cursor_is_told(tmp_path: Path) -> None:
    service = open_service(tmp_path, Settings(audit_entries=3, changes_entries=2))
    context = service.context(operator("w"))
    before, first = (context.store.listing(log).cursor((0,)) for log in (Log("changes"), Log("records", "session")))
    for number in range(6):
        draft = CreateMemoryInput(text=f"memory {number}", scope=MemoryScope.GLOBAL)
        await memories.create(context.acting("createMemory"), draft)
        await sessions.create(context, CreateSessionInput(external_id=str(number)))
    entries = await context.store.scan(AuditEntry, None, 100)
    assert len(entries) == 6
    await trim_all(service)
    assert await context.store.scan(AuditEntry, None, 100) == entries[-3:]
    with pytest.raises(CursorExpired):
        await anext(live.memory_changes(context, after=before))  # type: ignore[arg-type]
    with pytest.raises(CursorExpired):
        await anext(live.session_changes(context, after=first))  # type: ignore[arg-type]
    await trim_all(service)
    assert await context.store.scan(AuditEntry, None, 100) == entries[-3:]
    await service.close()


async def test_old_entries_of_logs_go_by_their_time(tmp_path: Path) -> None:
    service = open_service(tmp_path, Settings())
    context = service.context(operator("w"))
    draft = CreateMemoryInput(text="memory", scope=MemoryScope.GLOBAL)
    await memories.create(context.acting("createMemory"), draft)
    assert await trim(context, Kept(1, 10), Kept(1, 10)) == 0
    assert await trim(context, Kept(1e-9, 10), Kept(1e-9, 10)) == 1, "of the memory log the last line stays"
    assert await context.store.scan(AuditEntry, None, 100) == []
    await service.close()
