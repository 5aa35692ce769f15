"""What has expired is gone before it is swept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain.graph import Exploration
from domain.link import MemoryLink
from domain.memory import Memory, MemoryFilter, MemoryStatus
from domain.message import MemoryRef
from domain.search import SearchMode
from domain.session import Session
from domain.state import StateEntry
from domain.tool_execution import ToolExecution
from domain.values import encode_json
from stores.contract.making import (
    Clock,
    after,
    axis,
    delete,
    keep,
    link,
    memory,
    names,
    page,
    remember,
    replace,
    session,
    state,
    talk,
    tool_execution,
    user,
)
from stores.errors import Taken
from stores.ports import Collection, Engine, Search, Store, Transaction

HOUR = after(hours=1)


async def test_state_is_gone(store: Store, clock: Clock) -> None:
    [short, long, forever] = await keep(
        store, state("short", expires_at=HOUR), state("long", expires_at=after(hours=2)), state("forever")
    )
    assert await names(store, Collection.STATES, "app", by="key") == ["forever", "long", "short"]
    clock.advance(hours=1)
    assert await store.get(StateEntry, [short.id, long.id, forever.id]) == [None, long, forever]
    assert await store.find(StateEntry, [("app", "short"), ("app", "long")]) == [None, long]
    assert await store.scan(StateEntry, None, 10) == [long, forever]
    found = await page(store, Collection.STATES, "app")
    assert [entry.key for entry in found.nodes] == ["forever", "long"]
    assert await store.counts([found.count_key]) == [2]

    async def script(tx: Transaction) -> list[Any]:
        return [*await tx.get(StateEntry, [short.id]), *await tx.find(StateEntry, [("app", "short")])]

    assert await store.write(script) == [None, None]


async def test_state_can_be_set_anew_under_its_key(store: Store, clock: Clock) -> None:
    await keep(store, state("k", value=encode_json("old"), version=7, expires_at=HOUR))
    clock.advance(hours=1)
    [fresh] = await keep(store, state("k", value=encode_json("new")))
    assert await store.find(StateEntry, [("app", "k")]) == [fresh]


async def test_a_memory_is_gone(store: Store, clock: Clock) -> None:
    [ada, where] = await keep(store, user(), session())
    [fact] = await remember(store, memory(ada, external_id="x", expires_at=HOUR, session_id=where.id))
    assert await store.get(Memory, [fact.id]) == [fact]
    clock.advance(hours=1)
    assert await store.get(Memory, [fact.id]) == [None]
    assert await store.find(Memory, [("x",)]) == [None]
    assert await store.scan(Memory, None, 10) == []
    for of, parent in (
        (Collection.MEMORIES, ""),
        (Collection.ACTOR_MEMORIES, ada),
        (Collection.SESSION_MEMORIES, where),
    ):
        found = await page(store, of, parent)
        assert found.nodes == []
        assert await store.counts([found.count_key]) == [0]
    assert await names(store, Collection.MEMORIES, filter=MemoryFilter(text="sky"), by="id") == []


async def test_its_external_id_is_free(store: Store, clock: Clock) -> None:
    [old] = await remember(store, memory(external_id="x", text="old", expires_at=HOUR))
    clock.advance(hours=1)
    [new] = await remember(store, memory(external_id="x", text="new"))
    assert await store.find(Memory, [("x",)]) == [new]

    async def sweep(tx: Transaction) -> None:
        gone = await tx.expired(Memory, 10)
        assert [one.id for one in gone] == [old.id]
        await tx.delete(Memory, [one.id for one in gone])

    await store.write(sweep)
    assert await store.find(Memory, [("x",)]) == [new]


async def test_an_external_id_is_not_free_before(store: Store, clock: Clock) -> None:
    await remember(store, memory(external_id="x", expires_at=after(hours=1, microseconds=1)))
    clock.advance(hours=1)
    with pytest.raises(Taken):
        await remember(store, memory(external_id="x"))


async def test_its_owner_does_not_have_it(store: Store, clock: Clock) -> None:
    [ada] = await keep(store, user())
    [light, heavy] = await remember(store, memory(ada, importance=0.1, expires_at=HOUR), memory(ada, importance=0.9))
    await remember(store, memory(ada, status=MemoryStatus.ARCHIVED, expires_at=HOUR))
    clock.advance(hours=1)
    [usage] = await store.usage([ada.id])
    assert (usage.active, usage.archived, usage.size_bytes) == (1, 0, len(heavy.text))

    async def script(tx: Transaction) -> None:
        assert await tx.active(ada.id) == 1
        assert await tx.lightest(ada.id, 10, []) == [heavy]
        assert await tx.matching(None, 10) == [heavy]
        assert await tx.get(Memory, [light.id]) == [None]

    await store.write(script)


@pytest.mark.parametrize("mode", SearchMode)
async def test_it_is_not_found(store: Store, clock: Clock, mode: SearchMode) -> None:
    facts = await remember(
        store, memory(expires_at=HOUR), memory(expires_at=after(hours=2)), vectors=[axis(1), axis(1)]
    )
    asked = Search(mode, 0.5, 10, "sky", axis(1))
    assert len(((await store.search([asked]))[0]).candidates) == 2
    clock.advance(hours=1)
    assert [one.id for one in ((await store.search([asked]))[0]).candidates] == [facts[1].id]
    for filter in (MemoryFilter(text="sky"), MemoryFilter(statuses=list(MemoryStatus))):
        found = (await store.search([Search(mode, 0.5, 10, "sky", axis(1), filter)]))[0]
        assert [one.id for one in found.candidates] == [facts[1].id]


async def test_no_message_draws_on_it_nor_formed_it(store: Store, clock: Clock) -> None:
    _, _, [said] = await talk(store, "a")
    [fact] = await remember(store, memory(expires_at=HOUR, source_message_id=said.id))

    async def script(tx: Transaction) -> None:
        await tx.reference(said.id, [MemoryRef(fact.id, None, None)])

    await store.write(script)
    assert len((await store.memory_refs([said.id])).refs[0]) == 1
    assert await store.formed_from([said.id]) == [[fact]]
    clock.advance(hours=1)
    assert (await store.memory_refs([said.id])).refs == [[]]
    assert await store.formed_from([said.id]) == [[]]


async def test_the_graph_does_not_step_on_it(store: Store, clock: Clock) -> None:
    [a, bridge, b] = await remember(store, memory(), memory(expires_at=HOUR), memory())
    await keep(store, link(a, bridge), link(bridge, b))
    assert ((await store.explore([a.id], Exploration()))[0]).ids == [a.id, bridge.id, b.id]
    assert await store.paths(a.id, b.id, None, 6, 3) == [[a.id, bridge.id, b.id]]
    assert [one.memory_id for one in (await store.shared([a.id], 10))[0]] == [b.id]
    clock.advance(hours=1)
    alone = (await store.explore([a.id], Exploration()))[0]
    assert (alone.ids, alone.edges, alone.truncated) == ([a.id], [], False)
    assert await store.paths(a.id, b.id, None, 6, 3) == []
    assert ((await store.explore([bridge.id], Exploration()))[0]).ids == []
    assert (await store.shared([a.id], 10))[0] == []
    assert (await store.shared([bridge.id], 10))[0] == []


async def test_it_shares_nothing(store: Store, clock: Clock) -> None:
    _, _, [said] = await talk(store, "a")
    [a, b, _] = await remember(
        store,
        memory(source_message_id=said.id),
        memory(source_message_id=said.id),
        memory(source_message_id=said.id, expires_at=HOUR),
    )
    assert len((await store.shared([a.id], 10))[0]) == 2
    clock.advance(hours=1)
    assert [one.memory_id for one in (await store.shared([a.id], 10))[0]] == [b.id]


async def test_links_to_it_are_gone(store: Store, clock: Clock) -> None:
    [a, b, c] = await remember(store, memory(), memory(expires_at=HOUR), memory())
    [gone, stays] = await keep(store, link(b, a), link(a, c))
    assert len(await names(store, Collection.MEMORY_LINKS, a, by="id")) == 2
    clock.advance(hours=1)
    found = await page(store, Collection.MEMORY_LINKS, a)
    assert found.nodes == [stays]
    assert await store.counts([found.count_key]) == [1]
    assert await store.get(MemoryLink, [gone.id, stays.id]) == [None, stays]
    assert await store.links_between([(a.id, b.id)], None) == []
    assert await store.find(MemoryLink, [(b.id, "RELATED", a.id)]) == [None]


async def test_some_that_expired_can_be_taken_away(store: Store, clock: Clock) -> None:
    facts = await remember(store, *(memory(expires_at=HOUR) for _ in range(5)), memory())
    await keep(store, *(state(str(n), expires_at=after(hours=2)) for n in range(3)), state("k", expires_at=HOUR))

    async def sweep(tx: Transaction) -> tuple[int, int]:
        memories, entries = await tx.expired(Memory, 3), await tx.expired(StateEntry, 10)
        await tx.delete(Memory, [one.id for one in memories])
        await tx.delete(StateEntry, [one.id for one in entries])
        return len(memories), len(entries)

    assert await store.write(sweep) == (0, 0)
    clock.advance(hours=1)
    assert await store.write(sweep) == (3, 1)
    assert await store.write(sweep) == (2, 0)
    assert await store.write(sweep) == (0, 0)
    clock.advance(hours=1)
    assert await store.write(sweep) == (0, 3)
    assert await store.get(Memory, [facts[-1].id]) == [facts[-1]]


async def test_one_of_another_workspace_is_not_taken_away(store: Store, elsewhere: Store, clock: Clock) -> None:
    [fact] = await remember(store, memory(expires_at=HOUR))
    clock.advance(hours=2)
    assert await elsewhere.write(lambda tx: tx.expired(Memory, 10)) == []
    assert await store.write(lambda tx: tx.expired(Memory, 10)) == [fact]


async def test_a_memory_whose_time_is_put_off_stays(store: Store, clock: Clock) -> None:
    [fact] = await remember(store, memory(expires_at=HOUR), vectors=[axis(1)])

    async def put_off(tx: Transaction) -> None:
        [now] = await tx.get(Memory, [fact.id])
        assert now is not None
        await tx.put([msgspec.structs.replace(now, expires_at=after(hours=3))])

    await store.write(put_off)
    clock.advance(hours=2)
    assert [
        one.id for one in ((await store.search([Search(SearchMode.HYBRID, 0.5, 10, "sky", axis(1))]))[0]).candidates
    ] == [fact.id]
    await delete(store, fact)


class TestIdempotency:
    async def test_a_note_is_remembered_for_seven_days(self, store: Store, clock: Clock) -> None:
        result = {"ids": ["a", None, 1.5], "ok": True}
        await store.write(lambda tx: tx.note("key", "digest", result))
        assert await store.write(lambda tx: tx.recalled("key")) == ("digest", result)
        clock.advance(days=7, microseconds=-1)
        assert await store.write(lambda tx: tx.recalled("key")) == ("digest", result)
        clock.advance(microseconds=1)
        assert await store.write(lambda tx: tx.recalled("key")) is None

    async def test_a_forgotten_key_can_be_used_again(self, store: Store, clock: Clock) -> None:
        await store.write(lambda tx: tx.note("key", "one", 1))
        await store.write(lambda tx: tx.note("other", "x", 0))
        clock.advance(days=8)
        await store.write(lambda tx: tx.note("key", "two", 2))
        assert await store.write(lambda tx: tx.recalled("key")) == ("two", 2)
        assert await store.write(lambda tx: tx.recalled("other")) is None
        clock.advance(days=6)
        assert await store.write(lambda tx: tx.recalled("key")) == ("two", 2)

    async def test_a_key_that_was_not_noted(self, store: Store) -> None:
        assert await store.write(lambda tx: tx.recalled("key")) is None

    async def test_keys_are_of_a_workspace(self, store: Store, elsewhere: Store) -> None:
        await store.write(lambda tx: tx.note("key", "digest", 1))
        assert await elsewhere.write(lambda tx: tx.recalled("key")) is None
        await elsewhere.write(lambda tx: tx.note("key", "theirs", 2))
        assert await store.write(lambda tx: tx.recalled("key")) == ("digest", 1)

    async def test_a_result_is_noted_only_if_the_write_was_kept(self, store: Store) -> None:
        async def script(tx: Transaction) -> None:
            await tx.note("key", "digest", 1)
            raise ValueError

        with pytest.raises(ValueError):
            await store.write(script)
        assert await store.write(lambda tx: tx.recalled("key")) is None


async def test_workspaces_with_something_to_sweep(engine: Engine, store: Store, clock: Clock) -> None:
    elsewhere, quiet = engine.workspace("elsewhere"), engine.workspace("quiet")
    await keep(store, state("short", expires_at=HOUR), state("forever"))
    [fading] = await remember(elsewhere, memory(text="fades", expires_at=after(hours=2)), vectors=[axis(0)])
    await keep(quiet, state("long", expires_at=after(hours=9)), user())
    [runs] = await keep(quiet, tool_execution(times_out_at=after(hours=3)))
    assert await engine.due() == []
    clock.advance(hours=1)
    assert await engine.due() == ["main"]
    clock.advance(hours=1)
    assert sorted(await engine.due()) == ["elsewhere", "main"]
    await delete(elsewhere, fading)
    assert await engine.due() == ["main"]

    async def sweep(tx: Transaction) -> None:
        await tx.delete(StateEntry, [entry.id for entry in await tx.expired(StateEntry, 10)])

    await store.write(sweep)
    assert await engine.due() == []
    clock.advance(hours=1)
    assert await engine.due() == ["quiet"]
    assert await quiet.write(lambda tx: tx.expired(ToolExecution, 10)) == [runs]
    assert await quiet.get(ToolExecution, [runs.id]) == [runs]
    await replace(quiet, runs, times_out_at=None)
    assert await engine.due() == []


async def test_a_session_is_gone_and_its_external_id_is_free(store: Store, clock: Clock) -> None:
    [short, long] = await keep(store, session(external_id="x", expires_at=HOUR), session(expires_at=after(hours=2)))
    assert await store.get(Session, [short.id]) == [short]
    clock.advance(hours=1)
    assert await store.get(Session, [short.id, long.id]) == [None, long]
    assert await store.find(Session, [("x",)]) == [None]
    assert await store.scan(Session, None, 10) == [long]
    found = await page(store, Collection.SESSIONS)
    assert (found.nodes, await store.counts([found.count_key])) == ([long], [1])

    async def script(tx: Transaction) -> list[Any]:
        return [*await tx.get(Session, [short.id]), *await tx.find(Session, [("x",)])]

    assert await store.write(script) == [None, None]
    [new] = await keep(store, session(external_id="x"))
    assert await store.find(Session, [("x",)]) == [new]

    async def sweep(tx: Transaction) -> None:
        gone = await tx.expired(Session, 10)
        assert [one.id for one in gone] == [short.id]
        await tx.delete(Session, [short.id])

    await store.write(sweep)
    assert await store.find(Session, [("x",)]) == [new]
    assert await store.get(Session, [new.id, long.id]) == [new, long]


async def test_when_the_next_session_ends(store: Store, elsewhere: Store, clock: Clock) -> None:
    late, never = after(hours=3), after(hours=9)
    assert await store.ending(late) is None
    [first, _, _] = await keep(store, session(expires_at=HOUR), session(expires_at=after(hours=2)), session())
    assert await store.ending(HOUR) is None
    assert await store.ending(late) == HOUR
    assert await elsewhere.ending(never) is None
    clock.advance(hours=1)
    assert await store.ending(late) == HOUR
    await delete(store, first)
    assert await store.ending(late) == after(hours=2)
