"""All or nothing, and one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from domain.actor import User
from domain.change import ChangeKind, MemoryChange
from domain.errors import ErrorCode, Rejected, reject
from domain.memory import Memory
from domain.message import MemoryRef, Message
from domain.page import Slice
from domain.participant import Participant
from domain.search import SearchMode
from domain.session import Session
from domain.state import StateEntry
from domain.tool_execution import ToolExecution
from domain.values import decode_json, encode_json
from stores.contract.making import (
    NOON,
    World,
    after,
    axis,
    delete,
    event,
    follow,
    keep,
    link,
    logged,
    memory,
    message,
    names,
    participant,
    remember,
    say,
    session,
    state,
    talk,
    tool_execution,
    user,
)
from stores.errors import Taken
from stores.ports import Collection, Engine, Log, Search, Store, Transaction


class Failure(Exception):
    """What a script of a test raises."""


async def test_a_write_returns_what_its_script_returned(store: Store) -> None:
    async def script(tx: Transaction) -> str:
        return "done"

    assert await store.write(script) == "done"


async def test_a_script_reads_what_it_wrote(store: Store, things: World) -> None:
    async def script(tx: Transaction) -> None:
        made = user(external_id="new")(tx)
        assert await tx.get(User, [made.id]) == [None]
        await tx.put([made])
        assert await tx.get(User, [made.id]) == [made]
        assert await tx.find(User, [("new",)]) == [made]
        voice: Participant = participant(things.session, name="new")(tx)
        await tx.put([voice])
        assert voice in await tx.participants(things.session.id)
        before = await tx.active(None)
        fact: Memory = memory()(tx)
        await tx.put([fact])
        assert await tx.active(None) == before + 1
        assert fact in await tx.lightest(None, 10, [])
        assert fact in await tx.matching(None, 10)
        await tx.delete(Memory, [fact.id])
        assert await tx.get(Memory, [fact.id]) == [None]
        await tx.note("k", "digest", [1])
        assert await tx.recalled("k") == ("digest", [1])

    await store.write(script)


async def test_others_read_all_of_it_or_nothing(store: Store) -> None:
    [where, other] = await keep(store, session(title="0"), session(title="0"))

    async def rename(title: str) -> None:
        async def script(tx: Transaction) -> None:
            for record in await tx.get(Session, [where.id, other.id]):
                assert record is not None
                await tx.put([msgspec.structs.replace(record, title=title)])

        await store.write(script)

    writing = asyncio.ensure_future(asyncio.wait_for(rename_all(rename), 20))
    while not writing.done():
        one, two = await store.get(Session, [where.id, other.id])
        assert one is not None
        assert two is not None
        assert one.title == two.title
        await asyncio.sleep(0)
    await writing


async def rename_all(rename: Callable[[str], Awaitable[None]]) -> None:
    for number in range(1, 30):
        await rename(str(number))


class TestAScriptThatFails:
    async def everything(self, tx: Transaction, things: World) -> None:
        """Changes something of every kind."""
        await tx.put([user(external_id="gone")(tx)])
        [where] = await tx.get(Session, [things.session.id])
        assert where is not None
        await tx.put([message(things.participant, text="gone", place=where.message_count + 1)(tx)])
        fact: Memory = memory(text="vanished")(tx)
        await tx.put([fact])
        await tx.embed({fact.id: axis(5)})
        await tx.log([MemoryChange(ChangeKind.CREATED, fact.id, tx.now, fact)])
        await tx.put([link(fact, things.memory)(tx)])
        await tx.append([event(things.session, type="gone")(tx)])
        await tx.reference(things.message.id, [MemoryRef(fact.id, None, None)])
        await tx.put([state("gone")(tx)])
        await tx.note("key", "digest", 1)
        await tx.delete(Memory, [things.other_memory.id])
        await tx.delete(StateEntry, [things.state.id])

    async def check_nothing_of_it(self, store: Store, things: World) -> None:
        for record in things.records:
            assert await store.get(type(record), [record.id]) == [record]
        assert await store.find(User, [("gone",)]) == [None]
        assert await names(store, Collection.SESSION_MESSAGES, things.session, by="text") == ["hello"]
        assert await names(store, Collection.SESSION_TRACE, things.session, by="type") == ["thought"]
        assert await names(store, Collection.STATES, "app", by="key") == ["color"]
        assert await names(store, Collection.MEMORY_LINKS, things.memory, by="id") == [things.link.id]
        assert (await store.memory_refs([things.message.id])).refs == [[]]
        for mode in SearchMode:
            assert ((await store.search([Search(mode, 0.9, 10, "vanished", axis(5))]))[0]).candidates == []
        assert ((await store.search([Search(SearchMode.TEXT, 0.0, 10, "grass")]))[0]).candidates != []
        assert await store.ends([Log("changes")]) == [0]
        assert await store.write(lambda tx: tx.recalled("key")) is None

    async def test_leaves_nothing_behind(self, store: Store, things: World) -> None:
        async def script(tx: Transaction) -> None:
            await self.everything(tx, things)
            raise Failure

        with pytest.raises(Failure):
            await store.write(script)
        await self.check_nothing_of_it(store, things)

    async def test_leaves_nothing_behind_among_others_that_do_not(self, store: Store, things: World) -> None:
        async def script(tx: Transaction) -> None:
            await self.everything(tx, things)
            raise Failure

        results = await asyncio.gather(
            *(store.write(script) for _ in range(3)),
            keep(store, user(external_id="kept")),
            *(store.write(script) for _ in range(3)),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [Failure] * 3 + [list] + [Failure] * 3
        await self.check_nothing_of_it(store, things)
        assert (await store.find(User, [("kept",)]))[0] is not None

    async def test_does_not_wake_followers(self, store: Store, things: World) -> None:
        follower = follow(store, Log("trace", things.session.id), things.event.place)
        waiting = asyncio.ensure_future(follower.take(1))

        async def script(tx: Transaction) -> None:
            await tx.append([event(things.session, type="gone")(tx)])
            raise Failure

        with pytest.raises(Failure):
            await store.write(script)
        [kept] = await keep(store, event(things.session, type="kept"))
        assert await waiting == [kept]
        await follower.close()

    async def test_raises_what_it_raised(self, store: Store) -> None:
        async def script(tx: Transaction) -> None:
            await tx.put([user()(tx)])
            raise reject(ErrorCode.CONFLICT, "Too late.", ["ifVersion"])

        with pytest.raises(Rejected) as refused:
            await store.write(script)
        assert refused.value.errors[0].code is ErrorCode.CONFLICT

    async def test_before_it_wrote_is_the_same(self, store: Store) -> None:
        async def script(tx: Transaction) -> None:
            raise Failure

        with pytest.raises(Failure):
            await store.write(script)
        assert await keep(store, user())

    async def test_in_its_first_write_to_a_workspace_is_the_same(self, engine: Engine) -> None:
        fresh = engine.workspace("fresh")

        async def script(tx: Transaction) -> None:
            raise Failure

        with pytest.raises(Failure):
            await fresh.write(script)
        assert await fresh.scan(User, None, 10) == []
        [made] = await keep(fresh, user())
        assert await fresh.get(User, [made.id]) == [made]

    async def test_for_a_key_that_is_taken_keeps_the_rest_of_the_group(self, store: Store, things: World) -> None:
        async def script(tx: Transaction) -> None:
            await tx.put([user(name="before")(tx)])
            await tx.put([user(external_id="ada")(tx)])

        results = await asyncio.gather(
            keep(store, session()), store.write(script), keep(store, session()), return_exceptions=True
        )
        assert [isinstance(result, Taken) for result in results] == [False, True, False]
        assert await names(store, Collection.USERS) == ["Ada"]
        assert len(await names(store, Collection.SESSIONS, by="id")) == 3


async def test_of_fifty_writes_at_once_those_that_fail_leave_nothing_and_the_others_all(store: Store) -> None:
    [counter] = await keep(store, state("counter", value=encode_json(0)))

    async def script(tx: Transaction, number: int) -> int:
        [entry] = await tx.get(StateEntry, [counter.id])
        assert entry is not None
        await tx.put(
            [msgspec.structs.replace(entry, value=encode_json(decode_json(entry.value) + 1), version=entry.version + 1)]
        )
        await tx.put([user(external_id=str(number))(tx)])
        if number % 3 == 0:
            raise Failure
        return number

    results = await asyncio.gather(
        *(store.write(lambda tx, n=number: script(tx, n)) for number in range(50)),  # type: ignore[misc]
        return_exceptions=True,
    )
    kept = [number for number in range(50) if number % 3]
    assert [result for result in results if not isinstance(result, Exception)] == kept
    found = await store.find(User, [(str(number),) for number in range(50)])
    assert [one is not None for one in found] == [number % 3 != 0 for number in range(50)]
    [entry] = await store.find(StateEntry, [("app", "counter")])
    assert entry is not None
    assert (decode_json(entry.value), entry.version) == (len(kept), 1 + len(kept))


async def test_messages_added_at_once_get_places_without_a_gap(store: Store) -> None:
    where, who, _ = await talk(store)

    async def spoiled() -> None:
        async def script(tx: Transaction) -> None:
            await tx.append([event(where)(tx)])
            raise Failure

        with pytest.raises(Failure):
            await store.write(script)

    added = await asyncio.gather(
        *(say(store, where, *(message(who, text=f"{n}.{part}") for part in range(n % 4 + 1))) for n in range(60)),
        *(spoiled() for _ in range(10)),
    )
    total = sum(n % 4 + 1 for n in range(60))
    found = await names(store, Collection.SESSION_MESSAGES, where, by="place")
    assert found == list(range(1, total + 1))
    for batch in added[:60]:
        assert batch is not None
        places = [one.place for one in batch]
        assert places == list(range(places[0], places[0] + len(places)))
    [session_now] = await store.get(Session, [where.id])
    assert session_now is not None
    assert session_now.message_count == total


async def test_trace_events_added_at_once_get_places_in_the_order_of_their_commits(store: Store) -> None:
    [a, b] = await keep(store, session(), session())
    batches = await asyncio.gather(
        *(keep(store, *(event(where, type=str(n)) for _ in range(3))) for n in range(20) for where in (a, b))
    )
    for where in (a, b):
        mine = [line for batch in batches for line in batch if line.session_id == where.id]
        logged_lines = await names(store, Collection.SESSION_TRACE, where, by="place")
        assert logged_lines == sorted(line.place for line in mine)
        assert len(set(logged_lines)) == 60
    for batch in batches:
        assert [line.place for line in batch] == sorted(line.place for line in batch)
    assert await store.get(type(batches[0][0]), [line.id for batch in batches for line in batch]) == [
        line for batch in batches for line in batch
    ]


async def test_a_version_is_won_by_one_of_many(store: Store) -> None:
    [entry] = await keep(store, state("k"))

    async def script(tx: Transaction) -> None:
        [now] = await tx.get(StateEntry, [entry.id])
        if now is None or now.version != 1:
            raise reject(ErrorCode.CONFLICT, "Too late.")
        await tx.put([state("k", id=entry.id, version=2)(tx)])

    results = await asyncio.gather(*(store.write(script) for _ in range(20)), return_exceptions=True)
    assert [result is None for result in results].count(True) == 1


async def test_a_caller_that_gives_up_waiting_takes_nobody_along(store: Store) -> None:
    async def failing(tx: Transaction) -> None:
        raise Failure

    task = asyncio.ensure_future(store.write(failing))
    other = asyncio.ensure_future(keep(store, user(external_id="kept")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await other
    assert (await store.find(User, [("kept",)]))[0] is not None


async def test_what_was_acknowledged_is_there_after_opening_again(
    reopen: Any, clock: Any, things: World, engine: Engine
) -> None:
    store = engine.workspace("main")
    places = [line.place for line in await keep(store, event(things.session), event(things.session))]
    await logged(store, ChangeKind.UPDATED, things.memory)
    [fact] = await remember(store, memory(text="reopened"), vectors=[axis(4)])
    [last] = await keep(store, user())
    await engine.close()
    clock.advance(hours=-1)
    again = reopen()
    try:
        reopened = again.workspace("main")
        for record in things.records:
            assert await reopened.get(type(record), [record.id]) == [record]
        log = Log("trace", things.session.id)
        listing, [end] = reopened.listing(log), await reopened.ends([log])
        assert end == places[-1]
        [more] = await keep(reopened, event(things.session))
        assert more.place > end
        [found] = await reopened.search([Search(SearchMode.HYBRID, 0.9, 10, "reopened", axis(4))])
        assert [one.id for one in found.candidates] == [fact.id]
        [newer] = await keep(reopened, user())
        assert newer.id > last.id
        whole = (await reopened.pages(Collection.SESSION_TRACE, [things.session.id], _slice()))[0]
        assert whole.listing == listing
    finally:
        await again.close()


def _slice() -> Any:
    return Slice()


async def test_deleting_while_others_write_leaves_a_whole_graph(store: Store) -> None:
    facts = await remember(store, *(memory(text=f"fact {n}") for n in range(20)))

    async def tie(a: Memory, b: Memory) -> None:
        async def script(tx: Transaction) -> None:
            ends = await tx.get(Memory, [a.id, b.id])
            if None not in ends:
                await tx.put([link(a, b)(tx)])

        await store.write(script)

    await asyncio.gather(
        *(tie(a, b) for a in facts[:10] for b in facts[10:]),
        *(delete(store, fact) for fact in facts[::3]),
    )
    left = {fact.id for fact in facts} - {fact.id for fact in facts[::3]}
    for fact in facts:
        for line in (await store.pages(Collection.MEMORY_LINKS, [fact.id], _slice()))[0].nodes:
            assert {line.source_id, line.target_id} <= left


async def test_reading_goes_on_while_much_is_written(store: Store) -> None:
    where, who, _ = await talk(store)
    writing = [asyncio.ensure_future(say(store, where, *(message(who) for _ in range(50)))) for _ in range(20)]
    counts = []
    while not all(task.done() for task in writing):
        found = await names(store, Collection.SESSION_MESSAGES, where, by="place")
        assert found == list(range(1, len(found) + 1))
        assert len(found) % 50 == 0
        counts.append(len(found))
        await asyncio.sleep(0)
    assert counts == sorted(counts)
    assert len(await store.scan(Message, None, 2_000)) == 1_000


async def test_what_runs_is_known_as_it_is_within_a_write(store: Store, elsewhere: Store) -> None:
    runs: Any = {"times_out_at": after(minutes=1)}
    [ends, late, _, goes_on] = await keep(
        store,
        tool_execution(**runs),
        tool_execution(times_out_at=NOON),
        tool_execution(),
        tool_execution(**runs),
    )
    await keep(elsewhere, tool_execution(**runs))

    async def script(tx: Transaction) -> list[ToolExecution]:
        before = await tx.running(9)
        assert {one.id for one in before} == {ends.id, goes_on.id}
        await tx.put([msgspec.structs.replace(ends, times_out_at=None)])
        fresh = tool_execution(**runs)(tx)
        await tx.put([fresh])
        assert late.id not in {one.id for one in await tx.running(9)}
        assert len(await tx.running(1)) == 1
        return [one for one in await tx.running(9) if one.id != goes_on.id and one != fresh]

    assert await store.write(script) == []
    first, second = await asyncio.gather(*(store.write(_one_more) for _ in range(2)))
    assert {first, second} == {3, 4}


async def _one_more(tx: Transaction) -> int:
    await tx.put([tool_execution(times_out_at=after(minutes=1))(tx)])
    return len(await tx.running(9))


async def test_the_last_messages_of_a_session_within_a_write(store: Store, things: World) -> None:
    said = await say(store, things.session, *(message(things.participant) for _ in range(3)))

    async def script(tx: Transaction) -> None:
        assert await tx.latest(things.session.id, 2) == [said[2], said[1]]
        more = msgspec.structs.replace(message(things.participant)(tx), place=said[2].place + 1)
        await tx.put([more])
        assert await tx.latest(things.session.id, 2) == [more, said[2]]
        assert [one.place for one in await tx.latest(things.session.id, 9)] == [5, 4, 3, 2, 1]

    await store.write(script)


async def test_a_natural_key_is_handed_on_within_a_write(store: Store) -> None:
    [first] = await keep(store, tool_execution(call_key="k"))

    async def script(tx: Transaction) -> ToolExecution:
        await tx.put([msgspec.structs.replace(first, call_key=first.id)])
        second = tool_execution(call_key="k")(tx)
        await tx.put([second])
        assert await tx.find(ToolExecution, [("k",), (first.id,)]) == [second, replaced]
        return second

    replaced = msgspec.structs.replace(first, call_key=first.id)
    second = await store.write(script)
    assert await store.find(ToolExecution, [("k",), (first.id,)]) == [second, replaced]
