"""Workspaces do not see each other."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
import pytest

from domain.audit import AuditEntry
from domain.change import ChangeKind
from domain.graph import Exploration
from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import MemoryRef, ToolCall, ToolResponse
from domain.node import Id, Node
from domain.search import SearchMode
from domain.session import Session
from domain.state import StateEntry
from domain.values import encode_json
from stores.contract.making import (
    World,
    axis,
    delete,
    event,
    follow,
    keep,
    logged,
    memory,
    message,
    names,
    remember,
    say,
    session,
    state,
    talk,
    user,
    world,
)
from stores.contract.test_records import keys_of
from stores.errors import Taken
from stores.ports import Collection, Engine, Log, Search, Store, Transaction


async def test_records_are_not_found_by_id(elsewhere: Store, things: World) -> None:
    for record in things.records:
        assert await elsewhere.get(type(record), [record.id]) == [None]

        assert await elsewhere.write(lambda tx, one=record: tx.get(type(one), [one.id])) == [None]  # type: ignore[misc]


async def test_records_are_not_found_by_natural_key(elsewhere: Store, things: World) -> None:
    for kind, key in keys_of(things).items():
        assert await elsewhere.find(kind, [key]) == [None]


async def test_the_same_natural_keys_may_be_taken_in_each(store: Store, elsewhere: Store, things: World) -> None:
    others = await world(elsewhere)
    for kind, key in keys_of(others).items():
        [found] = await elsewhere.find(kind, [key])
        assert found in others.records
        assert found not in things.records
    for kind, key in keys_of(things).items():
        [found] = await store.find(kind, [key])
        assert found in things.records


async def test_nothing_is_scanned(elsewhere: Store, things: World) -> None:
    for record in things.records:
        assert await elsewhere.scan(type(record), None, 10) == []


async def test_a_workspace_that_was_never_written_to_is_empty(engine: Engine) -> None:
    fresh = engine.workspace("fresh")
    assert await names(fresh, Collection.SESSIONS) == []
    assert (await fresh.search([Search(SearchMode.TEXT, 0.0, 10, "blue")]))[0].candidates == []
    assert await fresh.ends([Log("changes")]) == [0]
    assert await fresh.get(Session, [Id("none")]) == [None]


async def test_a_workspace_is_the_same_by_the_same_name(engine: Engine, store: Store, things: World) -> None:
    again = engine.workspace("main")
    assert await again.get(Session, [things.session.id]) == [things.session]


async def test_what_hangs_on_a_record_is_not_told(store: Store, elsewhere: Store, things: World) -> None:
    async def script(tx: Transaction) -> None:
        await tx.reference(things.message.id, [MemoryRef(things.memory.id, 1.0, None)])

    await store.write(script)
    await keep(elsewhere, user())
    _, _, [asked, _] = await talk(
        store, [ToolCall("c", "clock", encode_json({}))], [ToolResponse("c", encode_json(1), False)]
    )
    assert (await elsewhere.memory_refs([things.message.id])).refs == [[]]
    assert await elsewhere.formed_from([things.message.id]) == [[]]
    assert await elsewhere.responses(asked.tool_calls) == [None]
    [usage] = await elsewhere.usage([things.user.id])
    assert (usage.active, usage.archived, usage.size_bytes) == (0, 0, 0)
    assert await elsewhere.vectors([things.memory.id]) == [None]

    async def participants(tx: Transaction) -> int:
        return len(await tx.participants(things.session.id))

    assert await elsewhere.write(participants) == 0


async def test_the_graph_is_not_walked(store: Store, elsewhere: Store, things: World) -> None:
    await keep(elsewhere, user())
    ends = (things.memory.id, things.other_memory.id)
    assert ((await elsewhere.explore([things.memory.id], Exploration()))[0]).ids == []
    assert await elsewhere.paths(*ends, None, 6, 3) == []
    assert await elsewhere.links_between([ends], None) == []
    assert (await elsewhere.shared([things.memory.id], 10))[0] == []
    assert len(((await store.explore([things.memory.id], Exploration()))[0]).ids) == 2


@pytest.mark.parametrize("mode", SearchMode)
async def test_a_search_finds_only_its_own(store: Store, elsewhere: Store, mode: SearchMode) -> None:
    [ada] = await keep(store, user())
    [bob] = await keep(elsewhere, user())
    await remember(store, memory(ada, text="tulips"), memory(text="tulips"), vectors=[axis(1), axis(1)])
    mine = await remember(elsewhere, memory(bob, text="tulips"), memory(text="tulips"), vectors=[axis(1), axis(1)])
    found = (await elsewhere.search([Search(mode, 0.5, 10, "tulips", axis(1))]))[0]
    assert {one.id for one in found.candidates} == {one.id for one in mine}


async def test_logs_are_not_followed(store: Store, elsewhere: Store, things: World) -> None:
    await keep(elsewhere, user())
    await logged(store, ChangeKind.UPDATED, things.memory)
    logs = [Log("trace", things.session.id), Log("messages", things.session.id), Log("changes")]
    assert await elsewhere.ends(logs) == [0, 0, 0]
    for log in logs:
        follower = follow(elsewhere, log)
        with pytest.raises((TimeoutError, StopAsyncIteration)):  # there is no such session, so its log ends
            await asyncio.wait_for(follower.take(1), 0.05)
        await follower.close()


async def test_a_follower_is_not_woken_by_another_workspace(store: Store, elsewhere: Store) -> None:
    follower = follow(elsewhere, Log("changes"))
    waiting = asyncio.ensure_future(follower.take(1))
    await remember(store, memory(), log=ChangeKind.CREATED)
    [mine] = await remember(elsewhere, memory(), log=ChangeKind.CREATED)
    [line] = await waiting
    assert line.memory_id == mine.id
    await follower.close()


async def test_state_is_kept_apart(store: Store, elsewhere: Store) -> None:
    [ours] = await keep(store, state("k"))
    [theirs] = await keep(elsewhere, state("k", version=9))
    assert await store.find(StateEntry, [("app", "k")]) == [ours]
    assert await elsewhere.find(StateEntry, [("app", "k")]) == [theirs]
    await delete(elsewhere, theirs)
    assert await store.find(StateEntry, [("app", "k")]) == [ours]


async def test_nothing_is_deleted(store: Store, elsewhere: Store, things: World) -> None:
    await keep(elsewhere, user())
    for record in (things.link, things.memory, things.session, things.state):
        await delete(elsewhere, record)
        assert await store.get(type(record), [record.id]) == [record]
    assert await store.get(MemoryLink, [things.link.id]) == [things.link]
    assert await store.write(lambda tx: tx.active(things.user.id)) == 2


async def test_owners_are_counted_apart(store: Store, elsewhere: Store) -> None:
    await remember(store, memory(), memory())
    await remember(elsewhere, memory())

    async def active(tx: Transaction) -> int:
        return await tx.active(None)

    async def lightest(tx: Transaction) -> list[Memory]:
        return await tx.lightest(None, 10, [])

    async def matching(tx: Transaction) -> list[Memory]:
        return await tx.matching(None, 10)

    assert await store.write(active) == 2
    assert await elsewhere.write(active) == 1
    assert len(await elsewhere.write(lightest)) == 1
    assert len(await elsewhere.write(matching)) == 1


async def test_writes_of_several_workspaces_at_once_do_not_mix(store: Store, elsewhere: Store) -> None:
    where, who, _ = await talk(store)
    there, whom, _ = await talk(elsewhere)
    await asyncio.gather(
        *(say(store, where, message(who, text="ours")) for _ in range(20)),
        *(say(elsewhere, there, message(whom, text="theirs")) for _ in range(20)),
        *(keep(store, event(where)) for _ in range(20)),
        *(keep(elsewhere, session()) for _ in range(5)),
    )
    assert await names(store, Collection.SESSION_MESSAGES, where, by="text") == ["ours"] * 20
    assert await names(elsewhere, Collection.SESSION_MESSAGES, there, by="text") == ["theirs"] * 20
    assert await names(elsewhere, Collection.SESSION_TRACE, where, by="id") == []


async def test_an_id_of_another_workspace_is_taken(store: Store, elsewhere: Store, things: World) -> None:
    """Whoever puts a record under it is refused, and the record stays what and where it was."""
    await keep(elsewhere, user())
    for record in things.records:
        if isinstance(record, AuditEntry):
            continue  # their ids only come from us
        foreign = replaced(record)

        async def script(tx: Transaction, foreign: Any = foreign) -> None:
            await tx.put([foreign])

        with contextlib.suppress(Taken):
            await elsewhere.write(script)
        assert await store.get(type(record), [record.id]) == [record]
        assert await elsewhere.get(type(record), [record.id]) == [None]


def replaced(record: Node) -> Node:
    """The same record with another natural key, where it has one by itself."""
    names = {"external_id", "span_id", "trace_id", "key", "digest"} & set(record.__struct_fields__)
    of_nobody = {"owner_id": None} if isinstance(record, Memory) else {}
    return msgspec.structs.replace(record, **dict.fromkeys(names, "other"), **of_nobody)


async def test_the_names_of_those_there_are(engine: Engine, things: World, elsewhere: Store) -> None:
    assert await engine.workspaces() == ["main"]
    await keep(elsewhere, user())
    assert sorted(await engine.workspaces()) == ["elsewhere", "main"]
