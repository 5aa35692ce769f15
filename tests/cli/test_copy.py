"""recollect copy: everything arrives, also on the other family of engines, and what differs is told."""

from __future__ import annotations

import asyncio
import re
import shutil
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from cli import copy as copy_command
from cli.copy import copy
from cli.main import main
from domain.actor import UpsertUserInput
from domain.blob import Blob
from domain.caller import LOCAL, Caller, Role
from domain.key import CreateApiKeyInput
from domain.message import AddMessageInput, ContentInput, MediaInput
from domain.session import CreateSessionInput, DeleteSessionInput
from domain.trash import RestoreSessionInput
from domain.values import Ref
from resolvers import actors, keys, messages, sessions, trash
from resolvers.context import Context
from server.demo import Client, fill
from server.service import Service, open_service
from server.settings import BadSetting, Settings
from stores.errors import CannotOpen, Unavailable
from stores.ports import Script, Store
from tests.support.servers import SETTINGS
from tests.support.services import empty, urls

LETTER = b"what nobody is to lose"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo, a user in a second workspace, and an API key."""
    folder = tmp_path_factory.mktemp("story")

    async def filled() -> None:
        service = open_service(folder, Settings())
        await fill(Client(service))
        other = service.context(Caller("other", Role.ADMIN)).acting("upsertUser")
        await actors.upsert_user(other, UpsertUserInput(external_id="anna", name="Anna"))
        await keys.create(other, CreateApiKeyInput(name="a key", role=Role.WRITE))
        await service.close()
        trashing = open_service(folder, Settings(trash_days=30))
        mine = trashing.context(Caller("other", Role.ADMIN))
        await sessions.create(mine.acting("createSession"), CreateSessionInput(external_id="gone"))
        part = ContentInput(document=MediaInput(data=b64encode(LETTER).decode()))
        said = AddMessageInput(session=Ref(external_id="gone"), role="user", content=[part])
        await messages.add(mine.acting("addMessage"), said)
        gone = DeleteSessionInput(session=Ref(external_id="gone"))
        await sessions.delete(mine.acting("deleteSession"), gone)
        await trashing.close()

    asyncio.run(filled())
    return folder


async def brought_back(folder: Path) -> bytes:
    """The file of the session in the trash, once that is restored."""
    service = open_service(folder, Settings())
    context = service.context(Caller("other", Role.ADMIN))
    restored = RestoreSessionInput(session=Ref(external_id="gone"))
    await trash.restore(context.acting("restoreSession"), restored)
    [blob] = await context.store.scan(Blob, None, 9)
    pieces = context.intake.blobs.read("other", blob.stored_as, 0, blob.size_bytes)
    found = b"".join([one async for one in pieces])
    await service.close()
    return found


@pytest.fixture
def source(story: Path, tmp_path: Path) -> str:
    """A copy of that folder, for a test alone."""
    return str(shutil.copytree(story, tmp_path / "source"))


def told(output: str) -> dict[tuple[str, str], list[str]]:
    """The lines of the table: counts, checksums and verdict, by workspace and kind."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in output.splitlines()[1:]]
    return {(line[0], line[1]): line[2:] for line in lines}


async def test_a_folder_to_a_folder(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await copy(source, str(tmp_path / "target"), Settings())
    lines = told(capsys.readouterr().out)
    assert {line[-1] for line in lines.values()} == {"same"}
    assert lines["default", "searches"][:2] == ["20", "20"]
    assert lines["other", "user"][0] == lines["/keys", "API_key"][0] == "1"
    assert int(lines["other", "audit_entry"][0]) == 5
    kinds = {kind for workspace, kind in lines if workspace == "default"}
    assert {"session", "message", "memory", "memory_refs", "link", "version", "span", "event", "recall"} <= kinds
    assert await brought_back(tmp_path / "target") == LETTER


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_files_are_found_where_they_are_and_written_into_the_folder(
    source: str, tmp_path: Path, elsewhere: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    there, target = tmp_path / "there", tmp_path / "target"
    if elsewhere:
        shutil.move(Path(source) / "blobs", there)
    await copy(source, str(target), Settings(blobs_url=there.as_uri()))
    lines = told(capsys.readouterr().out)
    assert lines["default", "blob"][-1] == "same"
    assert [file for file in (target / "blobs").glob("*/*") if file.stat().st_size > 1_000]


@pytest.mark.usefixtures("real_servers")
async def test_to_the_servers_and_back(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty()
    graph, vectors, events = urls().values()
    settings = Settings(
        graph_url=graph, vectors_url=vectors, events_url=events, blobs_url=(tmp_path / "blobs").as_uri()
    )
    for one, other in (
        (source, "services"),
        ("services", str(tmp_path / "target")),
        (source, str(tmp_path / "target")),
    ):
        await copy(one, other, settings)
        lines = told(capsys.readouterr().out)
        assert {line[-1] for line in lines.values()} == {"same"}
        assert lines["default", "searches"][:2] == ["20", "20"]
    assert await brought_back(tmp_path / "target") == LETTER


@pytest.mark.parametrize("writes", [1, 12, 20, 28])
async def test_a_copy_that_is_interrupted_is_completed_by_the_next(
    source: str, tmp_path: Path, writes: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "target")

    def opened(*given: Any, **more: Any) -> Service:
        service = open_service(*given, **more)
        if str(given[0]) == target:
            _fails_after(service, writes)
        return service

    with monkeypatch.context() as patched:
        patched.setattr(copy_command, "open_service", opened)
        with pytest.raises(Unavailable):
            await copy(source, target, Settings())
    await copy(source, target, Settings())
    assert {line[-1] for line in told(capsys.readouterr().out).values()} == {"same"}


class _Failing:
    """A store that takes so many writes and no more."""

    left = 0

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, script: Script[Any]) -> Any:
        """Fails once there are none left."""
        _Failing.left -= 1
        if _Failing.left < 0:
            raise Unavailable("gone")
        return await self._store.write(script)


def _fails_after(service: Service, writes: int) -> None:
    """Lets a service's stores take so many writes and no more."""
    context: Callable[[Caller], Context] = service.context
    _Failing.left = writes

    def failing(caller: Caller) -> Context:
        found = context(caller)
        found.store = cast("Store", _Failing(found.store))
        return found

    vars(service)["context"] = failing


async def test_a_difference_is_told(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "target"
    service = open_service(target, Settings())
    await actors.upsert_user(service.context(LOCAL), UpsertUserInput(external_id="stranger", name="Nobody's"))
    await service.close()
    with pytest.raises(BadSetting, match=r"differs from .*: user of default\.$"):
        await copy(source, str(target), Settings())
    lines = told(capsys.readouterr().out)
    assert [name for name, line in lines.items() if line[-1] == "DIFFERS"] == [("default", "user")]
    assert lines["default", "user"][:2] == ["6", "7"]


async def test_a_record_that_is_another_one_is_refused(source: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    service = open_service(target, Settings())
    await actors.upsert_user(service.context(LOCAL), UpsertUserInput(external_id="jonas", name="Another Jonas"))
    await service.close()
    with pytest.raises(BadSetting, match=r"^default cannot be copied: .*jonas.* already exists"):
        await copy(source, str(target), Settings())


def test_what_a_person_can_do_wrong_ends_in_one_line(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for arguments, wrong in (
        ([source, source], "FROM and TO are the same store"),
        ([source, "services"], "which are not set: RECOLLECT_GRAPH_URL, RECOLLECT_VECTORS_URL, RECOLLECT_EVENTS_URL"),
        (["./nowhere", source], "The folder nowhere does not exist"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["copy", *arguments])
        said = capsys.readouterr().err
        assert ended.value.code == 1 and wrong in said and said.count("\n") == 1


async def test_a_folder_that_a_server_holds_is_not_copied(source: str, tmp_path: Path) -> None:
    service = open_service(Path(source), Settings())
    with pytest.raises(CannotOpen):
        await copy(source, str(tmp_path / "target"), Settings())
    await service.close()
