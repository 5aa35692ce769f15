"""Transactions, compressions, and sessions on their way into the trash and back, killed at any moment."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from domain.chunk import Chunk
from domain.formation import Origin
from domain.memory import Memory
from domain.message import Message
from domain.session import Session
from domain.state import StateEntry
from domain.trace import TraceEvent
from domain.trash import TrashedPart, TrashedSession
from resolvers.context import Context
from resolvers.trash import records_of
from stores.embedded.engine import EmbeddedEngine
from tests.support import services
from tests.support.killing import rounds, told_until_killed
from tests.support.remaking import STAGES, live, opened

ALL = 1_000_000


async def everything(context: Context) -> dict[str, Any]:
    """What there is of each session, by its name: how many records of each kind, and how they hang together."""
    found: dict[str, Counter[Any]] = {}
    store = context.store

    def tell(name: str, *what: Any) -> None:
        found.setdefault(name, Counter())[what] += 1

    names: dict[str, str] = {}
    for session in await store.scan(Session, None, ALL):
        names[session.id] = session.external_id or ""
        tell(names[session.id], "session", session.message_count)
    messages = {one.id: one for one in await store.scan(Message, None, ALL)}
    for message in messages.values():
        name = (message.external_id or "").split()[0]
        tell(name, "message", message.place, message.text, names[message.session_id] == name)
    chunks = {one.id: one for one in await store.scan(Chunk, None, ALL)}
    for chunk in chunks.values():
        tell(names[chunk.session_id], "chunk", bytes(chunk.settings), *(messages[id].place for id in chunk.message_ids))
    memories = {one.id: one for one in await store.scan(Memory, None, ALL)}
    for memory in memories.values():
        there = (memory.session_id in names, memory.source_message_id in messages, memory.chunk_id in chunks)
        tell(memory.text.split()[0], "memory", memory.text, memory.status, *there)
    for origin in await store.scan(Origin, None, ALL):
        tell(memories[origin.memory_id].text.split()[0], "origin", origin.source_id in messages)
    for state in await store.scan(StateEntry, None, ALL):
        tell(state.key, "state")
    for event in await store.scan(TraceEvent, None, ALL):
        tell(names[event.session_id], "event", event.type)
    trashed = {one.id: one for one in await store.scan(TrashedSession, None, ALL)}
    for entry in trashed.values():
        tell(entry.external_id or "", "trashed", entry.parts)
    for part in await store.scan(TrashedPart, None, ALL):
        held = len(records_of(part, part.records))
        tell(trashed[part.trash_id].external_id or "", "part", part.place, part.holds, held)
    return found


def whole(engine: EmbeddedEngine) -> None:
    """That all parts of the file agree."""
    db = engine.writer.db
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    rows = db.execute("SELECT key FROM memory").fetchall()
    vectors = db.execute("SELECT memory FROM vector UNION ALL SELECT memory FROM vector_place").fetchall()
    assert sorted(vectors) == sorted(rows)
    for table in ("memory", "message"):
        db.execute(f"INSERT INTO {table}_text ({table}_text) VALUES ('integrity-check')")


async def stages(folder: Path, family: str) -> dict[str, Any]:
    """What there is at each stage of a session that nobody disturbs."""
    engine, context = opened(folder, family)
    found = {"nothing": {}} | {stage: (await everything(context))["x"] async for stage in live(context, "x")}
    await engine.close()
    return found


@pytest.mark.slow
async def test_killed_at_any_moment_each_session_is_as_before_a_write_or_as_after_it(tmp_path: Path) -> None:
    await killed(tmp_path / "killed", "embedded", await stages(tmp_path / "undisturbed", "embedded"))


async def killed(folder: Path, family: str, due: dict[str, Any]) -> None:
    """Each write of a session is acknowledged before its next one begins: one that was killed is at the stage that was
    told last, or at the next one. due: what there is at each stage."""
    chance = random.Random(261)
    told: dict[str, str] = {}
    for round in range(rounds(family)):
        lines = told_until_killed("tests.support.remaking", folder, family, round, lines=chance.randrange(1, 30))
        told |= dict(lines)
        if family == "services":
            services.settle()
        engine, context = opened(folder, family)
        if isinstance(engine, EmbeddedEngine):
            whole(engine)
        found = await everything(context)
        await engine.close()
        for name in {*told, *found}:
            place = STAGES.index(told.get(name, "nothing"))
            is_now = {tuple(w.replace(name, "x") if type(w) is str else w for w in what): count
                      for what, count in found.get(name, {}).items()}  # fmt: skip
            stage = next((one for one in STAGES[place : place + 2] if due[one] == is_now), None)
            assert stage is not None, (name, told.get(name), is_now)
            told[name] = stage
    assert set(told.values()) >= {"restored"}
