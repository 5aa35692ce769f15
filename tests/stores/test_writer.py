"""Group commit: one thread, one transaction for all who wait."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from domain.actor import User
from domain.message import ToolCall, ToolResponse
from domain.search import SearchMode
from domain.span import Span
from domain.values import encode_json
from stores.contract.making import (
    Clock,
    axis,
    event,
    follow,
    keep,
    memory,
    message,
    participant,
    remember,
    session,
    user,
)
from stores.embedded.engine import EmbeddedEngine, open_embedded
from stores.errors import StoreError, Unavailable
from stores.ports import Log, Search, Store, Transaction


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    opened = open_embedded(tmp_path, "test", 16, Clock())
    yield opened
    await opened.close()


@pytest.fixture
def store(engine: EmbeddedEngine) -> Store:
    return engine.workspace("main")


class Statements:
    """How often the writer began, committed and so on."""

    def __init__(self, db: apsw.Connection) -> None:
        self.seen: list[str] = []
        db.exec_trace = self._note

    def _note(self, _cursor: object, sql: str, _bindings: object) -> bool:
        self.seen.append(sql.split()[0])
        return True

    def count(self, word: str) -> int:
        return self.seen.count(word)


@pytest.fixture
async def statements(engine: EmbeddedEngine, store: Store) -> AsyncIterator[Statements]:
    await keep(store, user())
    yield Statements(engine.writer.db)
    engine.writer.db.exec_trace = None


class Held:
    """Keeps the writer busy until it is let go, so that what comes meanwhile is one group."""

    def __init__(self, store: Store) -> None:
        self._entered, self._free = threading.Event(), threading.Event()
        self._task = asyncio.ensure_future(store.write(self._script))

    async def _script(self, tx: Transaction) -> None:
        self._entered.set()
        assert self._free.wait(10)

    async def ready(self) -> None:
        assert await asyncio.to_thread(self._entered.wait, 10)

    async def let_go(self) -> None:
        self._free.set()
        await self._task


async def together(store: Store, *writes: Any) -> list[Any]:
    """Runs writes as one group, and gives back what each returned or raised."""
    held = Held(store)
    await held.ready()
    tasks = [asyncio.ensure_future(write) for write in writes]
    await asyncio.sleep(0.01)
    await held.let_go()
    return await asyncio.gather(*tasks, return_exceptions=True)


def broken(store: Store, *drafts: Any, error: BaseException | None = None) -> Any:
    """A write that raises after it wrote (or before, without records)."""

    async def script(tx: Transaction) -> None:
        for draft in drafts:
            await tx.put([draft(tx)])
        raise error or ValueError

    return store.write(script)


async def test_what_waits_together_is_committed_together(store: Store, statements: Statements) -> None:
    results = await together(store, *(keep(store, user()) for _ in range(40)))
    assert all(isinstance(result, list) for result in results)
    assert statements.count("COMMIT") == 2
    assert statements.count("SAVEPOINT") == 0


async def test_a_new_message_is_not_searched_for_what_hangs_on_it(store: Store) -> None:
    [where] = await keep(store, session())
    [speaker] = await keep(store, participant(where))
    seen = Statements(store._engine.writer.db)  # type: ignore[attr-defined]
    await keep(store, message(speaker))
    assert seen.count("DELETE") == 0
    store._engine.writer.db.exec_trace = None  # type: ignore[attr-defined]


async def test_a_message_stored_twice_in_one_write_answers_as_the_last_time(store: Store) -> None:
    [where] = await keep(store, session())
    [speaker] = await keep(store, participant(where))
    asked = ToolCall("a", "clock", encode_json({}))

    async def script(tx: Transaction) -> list[ToolCall]:
        said = message(speaker, content=[asked, ToolResponse("a", encode_json(1), False)])(tx)
        last = msgspec.structs.replace(said, content=[asked, ToolResponse("a", encode_json(2), False)])
        await tx.put([said])
        await tx.put([last])
        return last.tool_calls

    calls = await store.write(script)
    assert await store.responses(calls) == [ToolResponse("a", encode_json(2), False)]


async def test_a_write_is_done_though_its_caller_has_left(store: Store) -> None:
    held = Held(store)
    await held.ready()
    leaving = asyncio.ensure_future(keep(store, user(external_id="left")))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await held.let_go()
    await keep(store, user())
    assert (await store.find(User, [("left",)]))[0] is not None


async def test_a_script_that_raises_before_it_wrote_costs_the_others_nothing(
    store: Store, statements: Statements
) -> None:
    results = await together(store, keep(store, user()), broken(store), keep(store, user()))
    assert [type(result) for result in results] == [list, ValueError, list]
    assert (statements.count("COMMIT"), statements.count("ROLLBACK")) == (2, 0)


async def test_after_one_raised_having_written_each_runs_in_its_own_savepoint(
    store: Store, statements: Statements
) -> None:
    results = await together(
        store, keep(store, user(name="a")), broken(store, user(name="b")), keep(store, user(name="c"))
    )
    assert [type(result) for result in results] == [list, ValueError, list]
    assert [one.name for one in await store.scan(User, None, 10)] == ["Ada", "a", "c"]
    assert statements.count("COMMIT") == 2
    assert statements.count("SAVEPOINT") >= 3


async def test_scripts_run_again_do_not_count_twice(store: Store) -> None:
    runs: list[int] = []

    async def script(tx: Transaction) -> None:
        runs.append(1)
        await tx.put([user(external_id="once")(tx)])

    await together(store, store.write(script), broken(store, user()))
    assert len(runs) == 2
    assert len(await store.find(User, [("once",)])) == 1


async def test_what_a_failed_script_did_to_vectors_is_not_shown(store: Store) -> None:
    [kept] = await remember(store, memory(), vectors=[axis(0)])

    async def script(tx: Transaction) -> None:
        made = memory()(tx)
        await tx.put([made])
        await tx.embed({made.id: axis(0), kept.id: axis(1)})
        raise ValueError

    results = await together(
        store, store.write(script), remember(store, memory(), vectors=[axis(0)]), store.write(script)
    )
    assert [type(result) for result in results] == [ValueError, list, ValueError]
    found = (await store.search([Search(SearchMode.SEMANTIC, 0.9, 10, None, axis(0))]))[0]
    assert {one.id for one in found.candidates} == {kept.id, results[1][0].id}


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1), GeneratorExit()], ids=repr)
async def test_nothing_a_script_raises_stops_the_writer(store: Store, error: BaseException) -> None:
    for drafts in ((), (user(),)):
        with pytest.raises(type(error)):
            try:
                await broken(store, *drafts, error=error)
            except SystemExit as caught:
                raise caught from None
    assert await keep(store, user())


async def test_a_script_that_awaits_something_else_fails_alone(store: Store) -> None:
    async def sleeps(tx: Transaction) -> None:
        await tx.put([user(name="gone")(tx)])
        await asyncio.sleep(0)

    async def stubborn(tx: Transaction) -> None:
        try:
            await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)

    results = await together(store, keep(store, user()), store.write(sleeps), store.write(stubborn))
    assert [type(result) for result in results] == [list, StoreError, StoreError]
    assert [one.name for one in await store.scan(User, None, 10)] == ["Ada"]


async def test_more_than_a_group_waits_its_turn(store: Store) -> None:
    results = await together(store, *(keep(store, user()) for _ in range(600)))
    assert all(isinstance(result, list) for result in results)
    assert len(await store.scan(User, None, 1_000)) == 600


async def test_writes_from_several_event_loops(engine: EmbeddedEngine, store: Store) -> None:
    async def many() -> int:
        return len(await asyncio.gather(*(keep(store, user()) for _ in range(20))))

    counts = await asyncio.gather(*(asyncio.to_thread(asyncio.run, many()) for _ in range(3)), many())
    assert counts == [20] * 4
    assert len(await store.scan(User, None, 1_000)) == 80


async def test_a_loop_that_is_gone_does_not_stop_the_writer(store: Store) -> None:
    held = Held(store)
    await held.ready()

    async def leave() -> None:
        leaving = asyncio.ensure_future(keep(store, user(external_id="left")))
        await asyncio.wait([leaving], timeout=0)

    await asyncio.to_thread(asyncio.run, leave())
    await held.let_go()
    assert await keep(store, user())
    assert (await store.find(User, [("left",)]))[0] is not None


async def test_followers_are_freed_when_they_are_closed(engine: EmbeddedEngine, store: Store) -> None:
    [where] = await keep(store, session())
    followers = [follow(store, Log("trace", where.id)) for _ in range(3)]
    taking = asyncio.gather(*(follower.take(1) for follower in followers))
    await asyncio.sleep(0)
    assert sum(map(len, engine._woken.values())) == 3
    await keep(store, event(where))
    await taking
    for follower in followers:
        await follower.close()
    assert engine._woken == {}


class Disk:
    """Makes the writer's statements fail as a broken disk does."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def fails(self, at: str, error: type[Exception]) -> None:
        def trace(_cursor: object, sql: str, _bindings: object) -> bool:
            if sql.startswith(at):
                raise error("no more")
            return True

        self._db.exec_trace = trace

    def works(self) -> None:
        self._db.exec_trace = None


@pytest.fixture
def disk(engine: EmbeddedEngine) -> Iterator[Disk]:
    made = Disk(engine.writer.db)
    yield made
    made.works()


@pytest.mark.parametrize("at", ["BEGIN", "INSERT INTO user", "COMMIT"])
@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError, apsw.BusyError])
async def test_a_disk_that_fails_makes_the_store_unavailable_for_a_while(
    store: Store, disk: Disk, at: str, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    if at == "INSERT INTO user" and error is apsw.BusyError:
        pytest.skip("a statement within a transaction does not wait")
    [before] = await keep(store, user())
    disk.fails(at, error)
    with caplog.at_level(logging.CRITICAL, "recollect"):
        results = await asyncio.gather(*(keep(store, user(name="gone")) for _ in range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {Unavailable}
    assert await store.get(User, [before.id]) == [before]
    disk.works()
    [made] = await keep(store, user(name="again"))
    assert [one.name for one in await store.scan(User, None, 10)] == ["Ada", "again"]
    assert await store.get(User, [made.id]) == [made]


async def test_an_unexpected_failure_of_a_commit_is_told_and_does_not_stop_the_writer(
    store: Store, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.fails("COMMIT", RuntimeError)
    with caplog.at_level(logging.CRITICAL, "recollect"), pytest.raises(StoreError):
        await keep(store, user())
    disk.works()
    assert await keep(store, user())
    assert len(await store.scan(User, None, 10)) == 1


async def test_a_file_that_cannot_be_read_is_unhealthy(engine: EmbeddedEngine) -> None:
    db = engine.reader

    def trace(_cursor: object, _sql: str, _bindings: object) -> bool:
        raise apsw.IOError("unreadable")

    db.exec_trace = trace
    [part] = await engine.health()
    db.exec_trace = None
    assert (part.name, part.status) == ("sqlite", "unhealthy")
    assert part.reason is not None
    assert (await engine.health())[0].status == "healthy"


async def test_reads_in_the_pool_see_one_state_of_the_file(engine: EmbeddedEngine, store: Store) -> None:
    await keep(store, user())
    looked, wrote = threading.Event(), threading.Event()

    def read(db: apsw.Connection) -> list[object]:
        first = db.execute("SELECT count(*) FROM user").fetchall()
        looked.set()
        assert wrote.wait(10)
        return [first, db.execute("SELECT count(*) FROM user").fetchall()]

    reading = asyncio.ensure_future(engine.readers.in_thread(read))
    assert await asyncio.to_thread(looked.wait, 10)
    await keep(store, user())
    wrote.set()
    assert await reading == [[(1,)], [(1,)]]
    assert await engine.readers.in_thread(lambda db: db.execute("SELECT count(*) FROM user").fetchall()) == [(2,)]
    assert await store.scan(Span, None, 10) == []
