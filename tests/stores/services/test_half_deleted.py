"""Reads beside deletes: Neo4j shows a node that is deleted while a statement reads it with null for what it still had.

What is read so is left out; it is never an error, and never a record without what it has.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from domain.annotation import Annotation
from domain.change import ChangeKind
from domain.errors import CursorExpired
from domain.graph import Exploration, GraphInclude
from domain.memory import Memory, MemoryFilter
from domain.message import CallSite, ToolCall, ToolResponse
from domain.node import Id, Node
from domain.page import Slice
from domain.search import SearchMode
from domain.values import Ref, encode_json
from stores.catalogue.kinds import kind
from stores.contract import making as m
from stores.contract.filling import FILLINGS
from stores.open import open_engine
from stores.ports import Collection, Log, Opening, Records, Search, Store, Transaction
from stores.services.engine import ServicesEngine
from stores.services.labels import LABELS, MEMORY
from tests.support.services import empty, run, urls

Read = Callable[[], Awaitable[list[Any]]]

SECONDS = 4.0
COPIES = 150
"""How often each record is made and deleted again, all at once."""


@pytest.fixture
async def engine(real_servers: None, tmp_path: Path) -> AsyncIterator[ServicesEngine]:
    empty()
    opened = open_engine(Opening(data=str(tmp_path), embedder="test", dimension=m.DIMENSION, clock=m.Clock(), **urls()))
    assert isinstance(opened, ServicesEngine)
    yield opened
    await opened.close()


async def test_what_is_deleted_while_it_is_read_is_left_out(engine: ServicesEngine) -> None:
    store = engine.workspace("main")
    things = await m.world(store)
    [said_of] = await m.keep(store, m.annotation(things.memory, label="good", author_id=things.user.id))
    asked, answer = ToolCall("c", "clock", encode_json({})), ToolResponse("c", encode_json(1), False)
    [calling] = await m.say(store, things.session, m.message(things.participant, content=[asked, answer]))
    await with_vectors(store, things.memory, things.other_memory)
    whole = {type(record): kind(type(record)).row(record) for record in [*things.records, calling, said_of]}
    await m.logged(store, ChangeKind.UPDATED, things.memory)
    run(
        "MATCH (w:Workspace {name: 'main'}) MATCH (n:Change {workspace: 'main', about: 'memory'}) UNWIND range(1, $copies) AS i "
        f"CREATE (o:Change) SET o = n {{.*, place: n.place + i, record: {of_copy('n.record')}}} "
        "SET w.changes = n.place + $copies",
        copies=COPIES,
    )
    reads = reading(engine, store, things, calling.id)
    wrong: Counter[str] = Counter()
    rounds = 0

    async def read(name: str) -> None:
        try:
            found = await reads[name]()
        except CursorExpired:
            return
        except Exception as error:
            wrong[f"{name}: {error!r}"] += 1
            return
        for record in found:
            lost = [name for name, value in whole[type(record)].items() if value is not None]
            row = kind(type(record)).row(record)
            wrong.update(f"{name}: without {column}" for column in lost if row[column] is None)

    async def churn() -> None:
        nonlocal rounds
        while time.monotonic() < end:
            await asyncio.to_thread(make_and_delete_copies)
            rounds += 1

    async def look(names: Iterator[str]) -> None:
        while time.monotonic() < end:
            await read(next(names))

    make_and_delete_copies()  # Neo4j plans all of it before the time begins
    for name in reads:
        await read(name)
    assert wrong == {}
    end = time.monotonic() + SECONDS
    names = cycle(random.sample(list(reads), len(reads)))
    await asyncio.gather(churn(), *(look(names) for _ in range(4)))
    assert rounds
    assert wrong == {}


async def with_vectors(store: Store, *memories: Memory) -> None:
    async def script(tx: Transaction) -> None:
        await tx.embed({one.id: m.axis(0) for one in memories})

    await store.write(script)


def reading(engine: ServicesEngine, store: Store, things: m.World, calling: Id) -> dict[str, Read]:
    """Every read there is, of all copies at once; what it gives are records."""
    reads: dict[str, Read] = {}

    def copies(id: str) -> list[Id]:
        return [Id(id), *(Id(f"{id[:4]}{100 + number}{id[7:]}") for number in range(1, COPIES + 1))]

    def page(of: Collection | Records, parent: Id, filter: Any) -> Read:
        async def ask() -> list[Node]:
            [found] = await store.pages(of, [parent], Slice(limit=3 * COPIES), filter)
            await store.counts([found.count_key])
            return list(found.nodes)

        return ask

    def of_kind(record: Any) -> None:
        name, ids = type(record).__name__, copies(record.id)

        async def get() -> list[Any]:
            return [one for one in await store.get(type(record), ids) if one is not None]

        async def scan() -> list[Any]:
            return await store.scan(type(record), None, 3 * COPIES)

        reads[f"get {name}"], reads[f"scan {name}"] = get, scan

    def nothing(ask: Callable[[], Awaitable[Any]]) -> Read:
        async def read() -> list[Node]:
            await ask()
            return []

        return read

    for of, filling in FILLINGS.items():
        reads[f"page {of.name}"] = page(of, filling.parent(things), None)
    reads["page MESSAGE_BRANCH"] = page(Collection.MESSAGE_BRANCH, calling, None)
    reads["page annotations"] = page(Records(Annotation, "target"), things.memory.id, None)
    for record in things.records:
        of_kind(record)

    async def refs() -> list[Any]:
        drawn = await store.memory_refs([things.message.id])
        return list(drawn.memories.values())

    async def formed() -> list[Any]:
        return [one for found in await store.formed_from([things.message.id]) for one in found]

    async def searched(mode: SearchMode, filter: MemoryFilter | None) -> list[Any]:
        found = await store.search([Search(mode, 0.0, COPIES, "sky blue green", m.axis(0), filter)])
        assert not any(None in (one.importance, one.decay) for one in found[0].candidates)
        return list(found[0].records.values())

    async def explored() -> None:
        exploration = Exploration(depth=2, limit=COPIES, include=frozenset(GraphInclude))
        [found] = await store.explore([things.memory.id], exploration)
        assert None not in found.ids

    async def followed(log: Log) -> list[Any]:
        async with aclosing(store.follow(log, 0)) as lines:
            async for batch in lines:
                return batch
        return []

    async def relayed() -> None:
        while await engine.relay._pass("main"):
            pass
        await engine.relay._lost("main")

    one, other, memories = things.memory.id, things.other_memory.id, copies(things.memory.id)
    call = ToolCall("c", "clock", encode_json({}), CallSite(things.session.id, things.message.id, 2, 0))
    reads |= {"references": refs, "formed from": formed}
    for mode in SearchMode:
        reads[f"search {mode.name}"] = partial(searched, mode, None)
    reads["search by name"] = partial(searched, SearchMode.HYBRID, MemoryFilter(owner=Ref(external_id="ada")))
    reads["search in texts"] = partial(searched, SearchMode.HYBRID, MemoryFilter(text="is"))
    for log in (Log("trace", things.session.id), Log("messages", things.session.id)):
        reads[f"follow {log.kind}"] = partial(followed, log)
    reads |= {
        name: nothing(ask)
        for name, ask in {
            "responses": lambda: store.responses([call]),
            "branches": lambda: store.branches([calling, *copies(things.message.id)]),
            "usage": lambda: store.usage([things.user.id]),
            "vectors": lambda: store.vectors(memories),
            "usual": lambda: store.usual(["sky"], Search(SearchMode.TEXT, 0.0, 5, "sky")),
            "explore": explored,
            "paths": lambda: store.paths(one, other, None, 4, 5),
            "links between": lambda: store.links_between([(one, id) for id in memories[1:]], None),
            "shared": lambda: store.shared([one], 10),
            "ends": lambda: store.ends([Log("changes"), Log("trace", things.session.id)]),
            "changes": lambda: followed(Log("changes")),
            "relay": relayed,
            "due": engine.due,
            "stats": engine.stats,
        }.items()
    }
    return reads


_KINDS = list(dict.fromkeys(LABELS.values()))


def of_copy(id: str) -> str:
    """The id of a record's copy number i."""
    return f"left({id}, 4) + (100 + i) + substring({id}, 7)"


def make_and_delete_copies() -> None:
    """Makes copies of the records of each kind, tied to what these are tied to, and deletes them."""
    number = "'~' + i", "i"
    id_of_copy = f"id: {of_copy('n.id')}"
    for of in _KINDS:
        unique = {name for index in of.kind.indexes() if index.unique for name in index.columns}
        columns = [of.kind.columns[name] for name in unique - {"id", "workspace"}]
        own = [one for one in columns if one.refers is None] or columns[-1:]
        values = [f"{one.name}: n.{one.name} + {number[one.type is int]}" for one in own]
        run(
            f"MATCH (n:{of.name} {{workspace: 'main'}}) UNWIND range(1, {COPIES}) AS i CREATE (o:{of.name}) "
            f"SET o = n {{.*, {', '.join([id_of_copy, 'copy: true', *values])}}}"
        )
        if of is MEMORY:
            run(
                "MATCH (a:Memory {workspace: 'main'}) WHERE a.copy "
                "CREATE (:Outbox {workspace: 'main', place: 0, memory: a.id}) "
                "WITH a MATCH (b:Memory)-[l:LINK]->(o) WHERE NOT l.id CONTAINS '~' AND NOT b.text = a.text "
                "CREATE (b)-[k:LINK]->(a) SET k = l {.*, id: l.id + '~' + a.id} "
                "WITH a MATCH (m:Message {workspace: 'main', place: 1}) "
                "CREATE (m)-[:DRAWS_ON {position: 1, score: 0.5}]->(a)"
            )
        run(f"MATCH (n:{of.name}) WHERE n.copy DETACH DELETE n")
    run(
        "MATCH (n:ToolResponse {workspace: 'main', part: 1}) UNWIND range(1, $copies) AS i "
        "CREATE (o:ToolResponse) SET o = n {.*, part: 1 + i}",
        copies=COPIES,
    )
    run("MATCH (n:ToolResponse) WHERE n.part > 1 DETACH DELETE n")
