"""The graph of one workspace behind the servers: stores.ports.Store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import numpy as np

from domain.graph import Exploration
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory
from domain.message import MemoryRef, ToolCall, ToolResponse
from domain.node import Id, Node
from domain.page import Listing, Page, Slice
from stores.catalogue import kinds
from stores.errors import Outdated
from stores.ports import (
    ChunkSearch,
    Collection,
    Drawn,
    Explored,
    Fields,
    Found,
    FoundChunks,
    FoundMessages,
    FoundStates,
    Group,
    Grouping,
    Log,
    MessageSearch,
    NaturalKey,
    Records,
    Script,
    Search,
    Shared,
    StateSearch,
    Usage,
    Vector,
)
from stores.rows import micros, moment
from stores.services import graph, said, states, tool_calls
from stores.services.branches import branches
from stores.services.filters import Where, apply
from stores.services.followers import Followers
from stores.services.grouping import Query, groups
from stores.services.labels import MEMORY, NODE_IS_THERE, STATE, label, link_lists, seek, whole, whole_links
from stores.services.lists import Lists
from stores.services.logs import Logs, ends
from stores.services.neo4j_client import Neo4jClient
from stores.services.outbox import Relay
from stores.services.reached import Reached
from stores.services.search import Known, find, usual
from stores.services.snapshot import ReadBatch, What, found, statement
from stores.services.weaviate_client import WeaviateClient
from stores.services.writer import Writer

N = TypeVar("N", bound=Node)
T = TypeVar("T")


_SCAN_LINKS = (
    "MATCH (a:Memory)-[l:LINK]->(b:Memory) WHERE l.id > $after AND l.workspace = $workspace "
    f"AND {MEMORY.live('a')} AND {MEMORY.live('b')} WITH l ORDER BY l.id LIMIT $limit "
    f"WITH collect(l) AS ls RETURN {link_lists()}"
)


class Opened(Protocol):
    """What the stores of the same servers share: the engine, as they see it."""

    epoch: str
    clock: Callable[[], datetime]
    graph: Neo4jClient
    vectors: WeaviateClient
    followers: Followers
    relay: Relay

    def writer(self, name: str) -> Writer:
        """What writes a workspace in this process."""

    def listen(self) -> None:
        """Begins to hear of other processes' commits."""

    def start(self) -> None:
        """Begins to listen and to relay."""


class ServicesStore:
    """See stores.ports.Store. Each method is one statement, where it does not say otherwise."""

    def __init__(self, engine: Opened, name: str) -> None:
        self._engine, self._name = engine, name
        self._graph = engine.graph
        self._writer = engine.writer(name)
        self._turn, self._ends = ReadBatch(self._read), ReadBatch(self._read, merged=True)
        self._called: Known = {}
        self._reached = Reached(engine.graph, engine.relay, self._writer, name)
        self._logs = Logs(engine.graph, engine.followers, name, self._read)

    @property
    def _now(self) -> int:
        return micros(self._engine.clock()) or 0

    @property
    def _lists(self) -> Lists:
        return Lists(self._graph, self._turn, self._name, self._engine.epoch, self._now)

    async def _read(self, text: str, **parameters: Any) -> Any:
        self._engine.listen()
        return await self._graph.read(text, workspace=self._name, now=self._now, **parameters)

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        return await self._named(("get", kinds.kind(kind).record), ids)

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        return await self._named(("find", kinds.kind(kind).record), keys)

    async def _named(self, what: What, keys: Sequence[Any]) -> list[Any]:
        if not keys:
            return []
        known = found(what, await self._turn.ask(statement(what), list(dict.fromkeys(keys))))
        return [known.get(key) for key in keys]

    async def scan(self, kind: type[N], after: Id | None, limit: int) -> list[N]:
        if kind is MemoryLink:
            return await self._scan(whole_links, _SCAN_LINKS, after, limit)  # type: ignore[arg-type]
        of = label(kind)
        first = "n.workspace, " if of.kind.clustered else ""  # there is an index of both
        text = (
            f"MATCH (n:{of.name}) WHERE n.id > $after AND {of.live()} WITH n ORDER BY {first}n.id LIMIT $limit "
            f"WITH collect(n) AS ns RETURN {of.lists()}"
        )
        return await self._scan(of.records, text, after, limit)

    async def _scan(self, records: Callable[[Any], list[T]], text: str, after: Id | None, limit: int) -> list[T]:
        while True:
            [lists] = await self._read(text, after=after or "", limit=limit)
            found = records(lists)
            if found or not lists[0]:  # else all of them were deleted meanwhile, and there may be more
                return found

    async def pages(
        self,
        of: Collection | Records,
        parents: Sequence[Id],
        slice: Slice,
        filter: Any = None,
        order: Any = None,
        fields: Fields | None = None,
    ) -> list[Page[Any]]:
        return await self._lists.pages(of, parents, slice, filter, order, fields)

    async def passing(self, kind: type[Node], ids: Sequence[Id], filter: Any) -> set[Id]:
        of, where = label(kind), Where()
        apply(filter, of.kind.record, where)
        [found] = await self._read(
            f"{where.given}UNWIND $ids AS id MATCH (n:{of.name} {{id: id}}) WHERE {of.live()} AND {where.cypher} "
            "RETURN collect(n.id)",
            ids=list(ids),
            **where.parameters,
        )
        return set(found)

    async def counts(self, keys: Sequence[Any]) -> list[int]:
        return await self._lists.counts(keys)

    async def grouped(
        self, of: Collection | Records, parents: Sequence[Id], grouping: Grouping, filter: Any = None
    ) -> list[list[Group]]:
        query = Query(of, grouping, filter)
        found = (await self._read(query.text, parents=parents, **query.parameters))[0] if parents else []
        return [groups(one, grouping) for _, one in sorted(found, key=lambda row: row[0])]

    async def memory_refs(self, message_ids: Sequence[Id], fields: Fields | None = None) -> Drawn:
        """The memories each message drew on: of 1,000 messages 17 ms; to find the memories by their ids takes 15."""
        columns, decode = MEMORY.kind.reading(fields)
        value = await self._turn.ask(  # the columns are a parameter: a statement for each selection would be planned
            "UNWIND $keys[0] AS k MATCH (m:Message {id: k})-[r:DRAWS_ON]->(n:Memory) "
            f"WHERE m.workspace = $workspace AND {MEMORY.live()} WITH k, r, n ORDER BY r.position "
            "WITH collect(k) AS ks, collect(r) AS rs, collect(n) AS ns "
            "RETURN [[ks, [r IN rs | r.score], [r IN rs | r.note]], [c IN $keys[1] | [n IN ns | n[c]]], "
            "[r IN rs | r.position + 1]]",  # last, for it is always there
            [list(dict.fromkeys(message_ids)), [*columns, *NODE_IS_THERE]],
        )
        refs, lists, there = value
        records: dict[Id, Memory] = {}
        found: dict[Id, list[MemoryRef]] = {id: [] for id in message_ids}
        for message_id, score, note, *row in whole([*refs, *lists, there], (*NODE_IS_THERE, "position")):
            memory = decode(tuple(row))
            records[memory.id] = memory
            found[message_id].append(MemoryRef(memory.id, score, note))
        return Drawn([found[id] for id in message_ids], records)

    async def formed_from(self, message_ids: Sequence[Id]) -> list[list[Memory]]:
        value = await self._turn.ask(
            f"UNWIND $keys AS k {seek('Memory', 'source_message', '= k')} AND {MEMORY.live()} "
            f"WITH n ORDER BY n.id WITH collect(n) AS ns RETURN {MEMORY.lists()}",
            list(dict.fromkeys(message_ids)),
        )
        found: dict[Id | None, list[Memory]] = {id: [] for id in message_ids}
        for memory in MEMORY.records(value):
            found[memory.source_message_id].append(memory)
        return [found[id] for id in message_ids]

    async def ending(self, before: datetime) -> datetime | None:
        [found] = await self._graph.read(
            f"{seek('Session', 'expires_at', '< $before')} AND n.workspace = $workspace RETURN min(n.expires_at)",
            workspace=self._name,
            before=micros(before),
        )
        first: datetime | None = moment(found)
        return first

    async def responses(self, calls: Sequence[ToolCall]) -> list[ToolResponse | None]:
        return await tool_calls.responses(self._turn, calls)

    async def branches(self, message_ids: Sequence[Id]) -> list[list[int]]:
        found = await branches(self._turn, message_ids)
        return [found[id].places if id in found else [] for id in message_ids]

    async def usage(self, owner_ids: Sequence[Id]) -> list[Usage]:
        value = await self._turn.ask(
            f"UNWIND $keys AS k CALL (k) {{ {seek('Memory', 'holder', '= k')} AND {MEMORY.live()} "
            "RETURN count(CASE n.status WHEN 'ACTIVE' THEN 1 END) AS active, "
            "count(CASE n.status WHEN 'ARCHIVED' THEN 1 END) AS archived, "
            "sum(CASE n.status WHEN 'ACTIVE' THEN n.size ELSE 0 END) AS size } "
            "RETURN collect([k, active, archived, size])",
            list(dict.fromkeys(owner_ids)),
        )
        found = {id: Usage(*rest) for id, *rest in value}
        return [found[id] for id in owner_ids]

    async def explore(
        self, centers: Sequence[Id], exploration: Exploration, fields: Fields | None = None
    ) -> list[Explored]:
        now = self._now
        return await _together(graph.explore(self._graph, self._name, now, id, exploration, fields) for id in centers)

    async def paths(
        self,
        start: Id,
        goal: Id,
        kinds: Sequence[MemoryLinkKind] | None,
        max_depth: int,
        first: int,
        entities: bool = False,
    ) -> list[list[Id]]:
        given = self._graph, self._name, self._now
        if entities:
            return await graph.paths_over_entities(*given, (start, goal), kinds, max_depth, first)
        return await graph.paths(*given, start, goal, kinds, max_depth, first)

    async def links_between(
        self, pairs: Sequence[tuple[Id, Id]], kinds: Sequence[MemoryLinkKind] | None
    ) -> list[MemoryLink]:
        return await graph.links_between(self._graph, self._name, self._now, pairs, kinds)

    async def shared(self, memory_ids: Sequence[Id], first: int) -> list[list[Shared]]:
        now = self._now
        return await _together(graph.shared(self._graph, self._name, now, id, first) for id in memory_ids)

    async def search(self, searches: Sequence[Search]) -> list[Found]:
        now, held = self._now, self._engine.vectors.set.embedder
        if any(search.embedder not in (None, held) for search in searches):
            raise Outdated(f"the vectors are of {held}")
        return await _together(
            find(self._graph, self._engine.vectors, self._name, now, search, self._called) for search in searches
        )

    async def search_messages(self, search: MessageSearch) -> FoundMessages:
        return await said.find(self._graph, self._name, self._now, search)

    async def search_chunks(self, search: ChunkSearch) -> FoundChunks:
        return await said.find_chunks(self._graph, self._name, self._now, search)

    async def search_states(self, search: StateSearch) -> FoundStates:
        return await states.find(self._graph, self._name, self._now, search)

    async def namespaces(self, prefix: str) -> list[tuple[str, int]]:
        [found] = await self._read(
            f"MATCH (n:State) WHERE n.workspace = $workspace AND n.namespace STARTS WITH $prefix AND {STATE.live()} "
            "WITH n.namespace AS name, count(n) AS entries ORDER BY name RETURN collect([name, entries])",
            prefix=prefix,
        )
        return sorted((name, count) for name, count in found)

    async def usual(self, words: Sequence[str], search: Search) -> set[str]:
        return await usual(self._graph, self._engine.vectors, self._name, self._now, words, search, self._called)

    async def vectors(self, memory_ids: Sequence[Id]) -> list[Vector | None]:
        vector = f"n.{self._engine.vectors.set.field}"
        value = await self._turn.ask(
            f"UNWIND $keys AS k MATCH (n:Memory {{id: k}}) WHERE {MEMORY.live()} AND {vector} IS NOT NULL "
            f"RETURN collect([n.id, {vector}])",
            memory_ids,
        )
        found = {id: np.frombuffer(bytes(vector), "<f4").astype(np.float32) for id, vector in value if vector}
        return [found.get(id) for id in memory_ids]

    @property
    def written(self) -> int:
        return self._reached.written

    async def reach(self, written: int, within: float | None, found: bool = False) -> None:
        await self._reached.reach(written, within, found)

    async def write(self, script: Script[T]) -> T:
        return await self._writer.write(script)

    def listing(self, log: Log) -> Listing:
        return Listing(log.name, self._engine.epoch)

    async def ends(self, logs: Sequence[Log]) -> list[int]:
        return await ends(self._ends, logs)

    def follow(self, log: Log, after: int, filter: Any = None) -> AsyncGenerator[list[Any]]:
        self._engine.start()
        return self._logs.follow(log, after, filter)


_SIDE_BY_SIDE = 5
"""How many calls of one read run at once: half of the connections stay for others."""


async def _together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    gate = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(call: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await call

    return list(await asyncio.gather(*map(one, calls)))
