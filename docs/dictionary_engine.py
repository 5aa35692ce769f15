"""An engine of plain dictionaries, in memory: the example of docs/engines.md. It passes the whole contract.

What follows from the records' declarations comes from stores.catalogue, what filters and orders mean from
stores.predicate and stores.orders, what is ranked and how from domain. What is left is where things are.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from domain import graph as hops
from domain.change import Change
from domain.document import DocumentChunk
from domain.errors import CursorExpired
from domain.generation import CachedGeneration
from domain.link import LinkDirection, MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryFilter, MemoryStatus, lightest_first
from domain.message import MemoryRef, Message, ToolCall, ToolResponse
from domain.node import Id, Node
from domain.page import Listing, Page, Slice, page_of
from domain.participant import Participant
from domain.search import Candidate, Recall, SearchMode, similarity
from domain.session import Session
from domain.span import Span
from domain.state import StateEntry
from domain.tally import Tally
from domain.tool_execution import ToolExecution
from stores import in_memory, keeping, ports
from stores.budget import check
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS, kind, referring
from stores.catalogue.logs import LOGS
from stores.changes import forgotten, kept, textless
from stores.errors import Outdated, Taken, Unavailable, other_embedder
from stores.generations import MemoryGenerations
from stores.grouping import grouped
from stores.ids import Ids
from stores.lists import declared, record_of
from stores.needles import Needles
from stores.orders import OF_A_TRACE, CountKey, listing_of, order_of
from stores.policies import IDEMPOTENCY_US, SHARED_SHOWN, SHARING, most_of_usual
from stores.ports import Collection, Log, NaturalKey, Records, Search
from stores.predicate import World, passes
from stores.rates import Rates
from stores.rows import EPOCH, MICROSECOND

N = TypeVar("N", bound=Node)
T = TypeVar("T")
Listed = Collection | Records
Kinds = Iterable[MemoryLinkKind] | None


class Graph:
    """What one workspace holds. records: by the prefix of their ids, and by id; keys: the ids of natural keys, by
    prefix and key; refs: what each message draws on, by the memory's id."""

    def __init__(self) -> None:
        self.records: dict[str, dict[Id, Node]] = {one.record.prefix: {} for one in KINDS}
        self.keys: dict[tuple[str, NaturalKey], Id] = {}
        self.refs: dict[Id, dict[Id, MemoryRef]] = {}
        self.vectors: dict[Id, ports.Vector] = {}
        self.changes: dict[int, tuple[Any, ...]] = {}
        self.trimmed: dict[str, int] = {}
        self.notes: dict[str, tuple[str, bytes, datetime]] = {}

    def copy(self) -> Graph:
        """Another one that holds the same, and can be changed."""
        other = Graph()
        vars(other).update({name: dict(held) for name, held in vars(self).items()})
        other.records = {prefix: dict(records) for prefix, records in self.records.items()}
        return other

    def due(self, now: datetime) -> Iterator[Node]:
        """The records whose time is over."""
        held = (record for records in self.records.values() for record in records.values())
        return (record for record in held if kind(type(record)).is_due(record, now))


class Coming:
    """Vectors of another embedder by the memory's id, each with the text that it was made of: see
    stores.ports.Reembedding."""

    def __init__(self, embedder: str) -> None:
        self.embedder = embedder
        self.made: dict[str | int, tuple[str, ports.Vector]] = {}


class Shelf:
    """All workspaces of a URL, for as long as the process runs: an engine that is opened again finds what was there."""

    def __init__(self) -> None:
        self.graphs: dict[str, Graph] = {}
        self.generations: dict[tuple[str, str], CachedGeneration] = {}
        self.epoch = secrets.token_hex(4)
        self.embedder, self.coming = "", Coming("")
        self.places, self.last_id = count(1), 0  # places of lines in logs, never given twice


SHELVES: defaultdict[str, Shelf] = defaultdict(Shelf)


def open_dictionaries(opening: ports.Opening) -> DictionaryEngine:
    """Opens what is kept under a URL: the engine's entry point."""
    shelf = SHELVES[opening.graph_url]
    shelf.embedder = shelf.embedder or opening.label or ""
    if opening.label not in (None, shelf.embedder):
        raise other_embedder(opening.graph_url, shelf.embedder, str(opening.label))
    return DictionaryEngine(shelf, opening.clock)


class DictionaryEngine:
    """See stores.ports.Engine."""

    def __init__(self, shelf: Shelf, clock: Callable[[], datetime]) -> None:
        self.shelf, self.clock, self.ids = shelf, clock, Ids(clock, shelf.last_id)
        self.closed, self.writes = False, 0
        self.grown = asyncio.Event()  # set by the next write
        self._rates = Rates()
        self.generations: ports.Generations = MemoryGenerations(shelf.generations, clock)

    def workspace(self, name: str) -> DictionaryStore:
        return DictionaryStore(self, name)

    async def health(self) -> list[ports.StoreHealth]:
        return [ports.StoreHealth("dictionaries", "healthy", 0.0)]

    async def workspaces(self) -> list[str]:
        return list(self.shelf.graphs)

    async def due(self) -> list[str]:
        return [name for name, graph in self.shelf.graphs.items() if any(graph.due(self.clock()))]

    async def spend(self, name: str, per_minute: int) -> float:
        return self._rates.spend(name, per_minute)

    async def remains(self, workspace: str, texts: Sequence[str]) -> list[ports.Remains]:
        graphs = self.shelf.graphs.values()
        held = [one for graph in graphs for records in graph.records.values() for one in records.values()]
        lines = [line for graph in graphs for line in graph.changes.values()]
        said = map(msgspec.json.encode, [*held, *lines, *self.shelf.generations.values()])
        return [ports.Remains("dictionaries", frozenset(Needles(texts).found(b"\0".join(said))))]

    async def stats(self) -> ports.Stats:
        graphs, counted = self.shelf.graphs.values(), [one for one in KINDS if one.counted]
        return ports.Stats({of.name: sum(len(graph.records[of.record.prefix]) for graph in graphs) for of in counted})

    def figures(self) -> list[ports.Figure]:
        return [ports.Figure(name, "dictionaries", self.writes) for name in ("writes", "commits")]

    @property
    def embedder(self) -> str:
        return self.shelf.embedder

    async def latest(self) -> str:
        return self.shelf.embedder

    def use(self, embedder: str) -> None:
        """There is one process, which uses the latest at once."""

    async def reembedding(self, embedder: str) -> DictionaryReembedding:
        if self.shelf.coming.embedder != embedder:
            self.shelf.coming = Coming(embedder)
        return DictionaryReembedding(self.shelf)

    async def retire(self) -> None:
        """Nothing is left of before."""

    async def close(self) -> None:
        self.closed = True

    def commit(self, name: str, graph: Graph) -> None:
        """Makes a graph the workspace's, and wakes all followers, who look for themselves."""
        self.shelf.graphs[name], self.shelf.last_id = graph, self.ids.last
        self.writes += 1
        self.grown.set()
        self.grown = asyncio.Event()


class DictionaryReembedding:
    """See stores.ports.Reembedding."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf, self._made = shelf, shelf.coming.made

    def _texts(self) -> dict[str | int, str]:
        records = (one for graph in self._shelf.graphs.values() for one in graph.records[Memory.prefix].values())
        return {one.id: one.text for one in records if isinstance(one, Memory)}

    async def missing(self, limit: int) -> list[ports.Unembedded]:
        left = [(id, text) for id, text in self._texts().items() if self._made.get(id, ("",))[0] != text]
        return [ports.Unembedded(id, text) for id, text in left[:limit]]

    async def progress(self) -> tuple[int, int]:
        total = len(self._texts())
        return total - len(await self.missing(total)), total

    async def put(self, made: Sequence[tuple[ports.Unembedded, ports.Vector]]) -> None:
        self._made.update({one.key: (one.text, vector) for one, vector in made})

    async def finish(self, embed: Callable[[list[str]], ports.Vector]) -> bool:
        shelf = self._shelf
        if shelf.coming.made is self._made:
            left = await self.missing(len(self._texts()))
            await self.put([*zip(left, embed([one.text for one in left]), strict=True)] if left else [])
            for graph in shelf.graphs.values():
                graph.vectors = {id: self._made[id][1] for id in graph.records[Memory.prefix]}
            shelf.embedder, shelf.coming = shelf.coming.embedder, Coming("")
        return True


class Reads:
    """A graph as it is at one time: what reads and writes have in common."""

    def __init__(self, graph: Graph, now: datetime) -> None:
        self.graph, self.now = graph, now
        self.world = World(self.any, self.all)

    def any(self, id: str | None) -> Node | None:
        """The record of an id, expired or not."""
        return None if id is None else self.graph.records.get(id[:3], {}).get(Id(id))

    def lives(self, record: Node) -> bool:
        """Whether a record is there: it has not expired, and none that it counts on has."""
        of = kind(type(record))
        columns = (column for column in of.references if column.refers and column.refers.lives)
        ends = (self.any(getattr(record, str(column.field))) for column in columns)
        return not of.is_over(record, self.now) and all(end is None or self.lives(end) for end in ends)

    def all(self, what: type[N]) -> Iterator[N]:
        """The records of a kind that are there."""
        records: Iterable[Any] = self.graph.records[what.prefix].values()
        return (record for record in records if self.lives(record))

    def one(self, what: type[N], id: Id | None) -> N | None:
        """The record of an id, if it is of that kind and is there."""
        record = self.any(id)
        return record if isinstance(record, what) and self.lives(record) else None

    def naming(self, of: Kind[Any], column: str, parent: str) -> Iterable[Any]:
        """The records of a kind that have the parent in a column; without a column all of them."""
        field = str(of.columns[column].field) if column else ""
        return (record for record in self.all(of.record) if not field or getattr(record, field) == parent)

    def lines(self, log: Log) -> list[tuple[int, Any]]:
        """The lines of a log with their places, in order."""
        if log.about:
            return sorted((place, line) for place, line in self.graph.changes.items() if line[0] == log.about)
        return sorted(((one.place, one) for one in self.naming(*LOGS[log.kind], log.of)), key=lambda line: line[0])

    def branch(self, end: Id | str) -> list[int]:
        """The places of the branch that ends at a message."""
        found: Any = self.any(end)
        said = [] if found is None else self.lines(Log("messages", found.session_id))
        return in_memory.branch_of((one for _, one in said), found)

    def drew(self, memory_id: Id) -> list[Id]:
        """The messages that drew on a memory."""
        return sorted(id for id, refs in self.graph.refs.items() if memory_id in refs)

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        return [self.one(kind, id) for id in ids]

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        return [self.one(kind, self.graph.keys.get((kind.prefix, tuple(key)))) for key in keys]

    def passing(self, records: Iterable[N], filter: Any) -> Iterator[N]:
        """Those that pass a filter. Raises Rejected where it asks too much."""
        check(filter)
        return (record for record in records if passes(filter, record, self.world))


class DictionaryTransaction(Reads):
    """See stores.ports.Transaction. It writes to a copy of the graph, and none of its methods suspends."""

    def __init__(self, engine: DictionaryEngine, name: str) -> None:
        super().__init__(engine.shelf.graphs.get(name, Graph()).copy(), engine.clock())
        self.logged: set[Id] = set()
        self._engine, self._name = engine, name

    def new_id(self, kind: type[Node]) -> Id:
        return kind.make_id(self._engine.ids.next())

    async def participants(self, session_id: Id) -> list[Participant]:
        return sorted(self.naming(kind(Participant), "session", session_id), key=lambda one: (one.joined_at, one.id))

    async def put(self, records: Sequence[Node]) -> None:
        await keeping.put(self, records)

    async def store(self, records: Sequence[Node]) -> None:
        """See stores.sums.Sums."""
        elsewhere = [graph for name, graph in self._engine.shelf.graphs.items() if name != self._name]
        for record in records:
            of, prefix = kind(type(record)), record.prefix
            if any(record.id in graph.records[prefix] for graph in elsewhere):
                raise Taken
            before = self.any(record.id)
            if before is not None and (old := of.natural_key(before)) is not None:
                self.graph.keys.pop((prefix, old), None)
            if (key := of.natural_key(record)) is not None:
                self._free(of, key)
                self.graph.keys[prefix, key] = record.id
            self.graph.records[prefix][record.id] = record

    async def tallies(self, trace_id: str) -> list[Tally]:
        """See stores.sums.Sums."""
        return [one for one in self.all(Tally) if one.trace_id == trace_id]

    def _free(self, of: Kind[Any], key: NaturalKey) -> None:
        """Takes a natural key from who has it: from one that has expired, and one whose kind replaces what is there."""
        there = self.any(self.graph.keys.get((of.record.prefix, key)))
        if there is not None and of.replaces:
            self._drop(of, there)
        elif there is not None and self.lives(there):
            raise Taken
        elif there is not None:
            emptied = {str(of.columns[name].field): None for name in of.natural if of.columns[name].nullable}
            self.graph.records[there.prefix][there.id] = replace(there, **emptied)

    async def append(self, lines: Sequence[N]) -> list[N]:
        placed = [replace(line, place=next(self._engine.shelf.places)) for line in lines]
        await self.store(placed)
        return placed

    def is_logged(self, id: Id) -> bool:
        return id in self.logged

    async def log(self, changes: Sequence[Change]) -> None:
        for one in changes:
            line = (one.about, one.kind.name, one.record_id, one.time, *kept(one))
            self.graph.changes[next(self._engine.shelf.places)] = line
            self.logged.add(one.record_id)

    async def reference(self, message_id: Id, refs: Sequence[MemoryRef]) -> None:
        noted = dict(self.graph.refs.get(message_id, {}))
        for ref in refs:
            noted.setdefault(ref.memory_id, ref)
        self.graph.refs[message_id] = noted

    async def embed(self, vectors: Mapping[Id, ports.Vector], embedder: str | None = None) -> None:
        if embedder not in (None, self._engine.embedder):
            raise Outdated
        self.graph.vectors.update(vectors)

    async def along(self, _: type[Node], way: ports.Way, ids: Sequence[Id]) -> list[Any]:
        return in_memory.along(self.all, way, ids)

    async def drawn(self, message_ids: Sequence[Id]) -> list[list[MemoryRef]]:
        return [list(self.graph.refs.get(id, {}).values()) for id in message_ids]

    async def delete(self, kind_: type[Node], ids: Sequence[Id]) -> None:
        gone: dict[Id, Node] = {}
        self.logged.clear()
        await self._delete(kind(kind_), {id for id in ids if self.any(id) is not None}, gone)
        spans = [(one.trace_id, one.id) for one in gone.values() if isinstance(one, Span)]
        await keeping.delete(self, gone.values(), spans)

    async def _delete(self, of: Kind[Any], ids: set[Id], gone: dict[Id, Node]) -> None:
        """Deletes records, and first what the declarations say of those that name them."""
        for other, column in referring(of) if ids else ():
            field = str(column.field)
            naming = [one for one in self.graph.records[other.record.prefix].values() if getattr(one, field) in ids]
            if column.refers is not None and column.refers.gone == "cascade":
                await self._delete(other, {one.id for one in naming}, gone)
            else:
                await self.store([replace(one, **{field: None}) for one in naming])
        for record in [one for id in ids if (one := self.any(id)) is not None]:
            gone[record.id] = record
            self._drop(of, record)

    def _drop(self, of: Kind[Any], record: Node) -> None:
        """Takes away one record with what no declaration tells of."""
        graph, id = self.graph, record.id
        del graph.records[record.prefix][id]
        if (key := of.natural_key(record)) is not None and graph.keys.get((record.prefix, key)) == id:
            del graph.keys[record.prefix, key]
        graph.refs.pop(id, None)
        if isinstance(record, Memory):
            graph.vectors.pop(id, None)
            graph.refs = {at: {to: ref for to, ref in refs.items() if to != id} for at, refs in graph.refs.items()}
            for place, (*what, named, time, before, link) in graph.changes.items():
                if named == id and before is not None:
                    graph.changes[place] = (*what, named, time, textless(before), link)

    def _active(self) -> Iterator[Memory]:
        return (one for one in self.all(Memory) if one.status is MemoryStatus.ACTIVE)

    async def active(self, owner_id: Id | None) -> int:
        return sum(one.owner_id == owner_id for one in self._active())

    async def lightest(self, owner_id: Id | None, count: int, keep: Sequence[Id]) -> list[Memory]:
        return lightest_first([m for m in self._active() if m.owner_id == owner_id and m.id not in keep])[:count]

    async def matching(self, filter: MemoryFilter | None, limit: int, after: Id | None = None) -> list[Memory]:
        memories = (one for one in self._active() if one.id > (after or ""))
        return sorted(self.passing(memories, filter), key=lambda one: one.id)[:limit]

    async def expired(self, kind: type[N], limit: int) -> list[N]:
        return [one for one in self.graph.due(self.now) if isinstance(one, kind)][:limit]

    async def running(self, limit: int) -> list[ToolExecution]:
        return [one for one in self.all(ToolExecution) if one.times_out_at and one.times_out_at > self.now][:limit]

    async def latest(self, session_id: Id, limit: int) -> list[Message]:
        return [one for _, one in reversed(self.lines(Log("messages", session_id)))][:limit]

    async def trim(self, log: Log, before: datetime, keep: int, limit: int) -> int:
        lines = self.lines(log)
        stay = {place for place, line in lines[-keep:] if line[3] >= before} | {place for place, _ in lines[-1:]}
        gone = [place for place, _ in lines if place not in stay][:limit]
        self.graph.trimmed[log.name] = max(gone, default=self.graph.trimmed.get(log.name, 0))
        self.graph.changes = {place: line for place, line in self.graph.changes.items() if place not in gone}
        return len(gone)

    async def forget(self, ids: Sequence[Id], links: bool = False) -> None:
        for place, (about, what, id, time, before, link) in self.graph.changes.items():
            if id in ids or (links and link and self.one(Memory, id) is None):
                self.graph.changes[place] = (about, what, id, time, *forgotten(about, before, link))

    async def supersessions(self, ids: Sequence[Id]) -> list[MemoryLink]:
        links: Any = self.graph.records["lnk"].values()
        return [one for one in links if one.kind.name == "SUPERSEDES" and {one.source_id, one.target_id} & {*ids}]

    async def recalled(self, key: str) -> tuple[str, Any] | None:
        digest, result, at = self.graph.notes.get(key, ("", b"", EPOCH))
        return (digest, msgspec.json.decode(result)) if at + IDEMPOTENCY_US * MICROSECOND > self.now else None

    async def note(self, key: str, digest: str, result: Any) -> None:
        self.graph.notes[key] = (digest, msgspec.json.encode(result), self.now)


class DictionaryStore(ports.AtOnce):
    """See stores.ports.Store."""

    def __init__(self, engine: DictionaryEngine, name: str) -> None:
        self._engine, self._name = engine, name

    @property
    def _now(self) -> Reads:
        return Reads(self._engine.shelf.graphs.get(self._name, Graph()), self._engine.clock())

    async def write(self, script: ports.Script[T]) -> T:
        if self._engine.closed:
            raise Unavailable("The engine is closed.")
        await asyncio.sleep(0)  # who gives up waiting may do so before it is begun
        made = await script(transaction := DictionaryTransaction(self._engine, self._name))
        self._engine.commit(self._name, transaction.graph)
        return made

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        return await self._now.get(kind, ids)

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        return await self._now.find(kind, keys)

    async def scan(self, kind: type[N], after: Id | None, limit: int) -> list[N]:
        found = [record for record in self._now.all(kind) if record.id > (after or "")]
        return sorted(found, key=lambda record: record.id)[:limit]

    async def pages(
        self, of: Listed, parents: Sequence[Id], slice: Slice, filter: Any = None, order: Any = None, fields: Any = None
    ) -> list[Page[Any]]:
        now, chosen, epoch, pages = self._now, order_of(of, order), self._engine.shelf.epoch, []
        for parent in parents:
            session = getattr(now.any(parent), "session_id", None) or ""  # whose log a list of its lines is of
            listing = listing_of(of, session if chosen.log and of in OF_A_TRACE else parent, chosen, epoch)
            rows = [(chosen.mark(record), record) for record in _members(now, of, parent, filter)]
            pages.append(page_of(rows, slice, chosen.descending, listing, CountKey(of, parent, filter)))
        return pages

    async def ending(self, before: datetime) -> datetime | None:
        held: Iterable[Any] = self._now.graph.records[Session.prefix].values()
        return min((one.expires_at for one in held if one.expires_at and one.expires_at < before), default=None)

    async def passing(self, kind: type[Node], ids: Sequence[Id], filter: Any) -> set[Id]:
        there = [one for one in await self.get(kind, ids) if one is not None]
        return {one.id for one in self._now.passing(there, filter)}

    async def counts(self, keys: Sequence[CountKey]) -> list[int]:
        return [sum(1 for _ in _members(self._now, *key)) for key in keys]

    async def grouped(
        self, of: Listed, parents: Sequence[Id], grouping: ports.Grouping, filter: Any = None
    ) -> list[list[ports.Group]]:
        return [grouped(_members(self._now, of, parent, filter), grouping, self._now.world) for parent in parents]

    async def memory_refs(self, message_ids: Sequence[Id], fields: Any = None) -> ports.Drawn:
        now = self._now
        memories = {one.id: one for one in now.all(Memory)}
        drawn = [now.graph.refs.get(id, {}).values() for id in message_ids]
        return ports.Drawn([[ref for ref in refs if ref.memory_id in memories] for refs in drawn], memories)

    async def formed_from(self, message_ids: Sequence[Id]) -> list[list[Memory]]:
        found = sorted(self._now.all(Memory), key=lambda one: one.id)
        return [[one for one in found if one.source_message_id == id] for id in message_ids]

    async def responses(self, calls: Sequence[ToolCall]) -> list[ToolResponse | None]:
        logs = [Log("messages", id) for id in {call.at.session_id for call in calls if call.at}]
        found = {log.of: in_memory.responses(one for _, one in self._now.lines(log)) for log in logs}
        return [None if (at := call.at) is None else found[at.session_id].get((at.place, at.index)) for call in calls]

    async def branches(self, message_ids: Sequence[Id]) -> list[list[int]]:
        return [self._now.branch(id) for id in message_ids]

    async def usage(self, owner_ids: Sequence[Id]) -> list[ports.Usage]:
        return [in_memory.usage(one for one in self._now.all(Memory) if one.owner_id == id) for id in owner_ids]

    async def explore(self, centers: Sequence[Id], exploration: Any, fields: Any = None) -> list[ports.Explored]:
        return [_explored(self._now, center, exploration) for center in centers]

    async def paths(self, start: Id, goal: Id, kinds: Kinds, max_depth: int, first: int, entities: bool = False) -> Any:
        now = self._now
        read = in_memory.neighbors(_links(now, kinds), hops.STEPS, now.all if entities else None)
        there = now.one(Memory, start) and now.one(Memory, goal)
        return hops.shortest_paths(start, goal, read, max_depth, first) if there else []

    async def links_between(self, pairs: Sequence[tuple[Id, Id]], kinds: Kinds) -> list[MemoryLink]:
        best: dict[frozenset[Id], MemoryLink] = {}
        for link in _links(self._now, kinds):
            best.setdefault(frozenset((link.source_id, link.target_id)), link)
        return [best[ends] for pair in pairs if (ends := frozenset(pair)) in best]

    async def shared(self, memory_ids: Sequence[Id], first: int) -> list[list[ports.Shared]]:
        return [_shared(self._now, id)[:first] for id in memory_ids]

    async def search(self, searches: Sequence[Search]) -> list[ports.Found]:
        if any(search.embedder not in (None, self._engine.embedder) for search in searches):
            raise Outdated
        return [_found(self._now, search) for search in searches]

    async def search_messages(self, search: ports.MessageSearch) -> ports.FoundMessages:
        now = self._now
        return in_memory.messages_found(now.all(Message), now.passing(now.all(Message), search.filter), search)

    async def search_chunks(self, search: ports.ChunkSearch) -> ports.FoundChunks:
        return in_memory.chunks_found(list(self._now.all(DocumentChunk)), search, self._now.world)

    async def search_states(self, search: ports.StateSearch) -> ports.FoundStates:
        return in_memory.states_found(self._now.all, search, self._now.world)

    async def namespaces(self, prefix: str) -> list[tuple[str, int]]:
        return sorted(Counter(n for e in self._now.all(StateEntry) if (n := e.namespace).startswith(prefix)).items())

    async def usual(self, words: Sequence[str], search: Search) -> set[str]:
        memories = _searched(self._now, search)
        most = most_of_usual(len(memories))
        return {word for word in words if sum(word in in_memory.words_of(one.text)[0] for one in memories) > most}

    async def vectors(self, memory_ids: Sequence[Id]) -> list[ports.Vector | None]:
        return [self._now.graph.vectors.get(id) for id in memory_ids]

    def listing(self, log: Log) -> Listing:
        return Listing(log.name, self._engine.shelf.epoch)

    async def ends(self, logs: Sequence[Log]) -> list[int]:
        return [max((place for place, _ in self._now.lines(log)), default=0) for log in logs]

    async def follow(self, log: Log, after: int, filter: Any = None) -> AsyncGenerator[list[Any]]:
        while True:
            now, grown = self._now, self._engine.grown
            if after < now.graph.trimmed.get(log.name, 0):
                raise CursorExpired
            whole, start = now.lines(log), after
            check(filter)
            if log.about:
                lines = in_memory.followed(whole, start, filter, now.any, now.world)
            else:
                lines = list(now.passing([line for place, line in whole if place > start], filter))
            if lines:
                yield lines
            if whole and whole[-1][0] > start:
                after = whole[-1][0]
            elif log.kind in ports.SESSION_LOGS and now.one(Session, Id(log.of)) is None:
                return
            else:
                await grown.wait()


# Lists


def _members(now: Reads, of: Listed, parent: str, filter: Any) -> Iterator[Any]:
    """The records of a list that pass its filter."""
    found = declared(of)
    records = _by_hand(now, of, parent, filter) if found is None else now.naming(*found, parent)
    return now.passing(records, filter)


def _by_hand(now: Reads, of: Listed, parent: str, filter: Any) -> Iterable[Node]:
    """The records of a list that no declaration tells of."""
    above: Any = now.any(parent)
    match of:
        case Collection.ACTOR_SESSIONS:
            joined = {one.session_id for one in now.all(Participant) if one.actor_id == parent}
            return (one for one in now.all(Session) if one.id in joined)
        case Collection.ENTITY_MEMORIES | Collection.ENTITY_MESSAGES:
            return in_memory.mentioning(now.all, record_of(of), parent)
        case Collection.SESSION_MEMORIES:
            said = [one.id for one in now.all(Message) if one.session_id == parent]
            used = {one.memory_id for one in now.all(Recall) if one.session_id == parent}
            used.update(id for message_id in said for id in now.graph.refs.get(message_id, ()))
            return (one for one in now.all(Memory) if one.session_id == parent or one.id in used)
        case Collection.MESSAGE_BRANCH:
            places = now.branch(parent)
            return (one for one in now.all(Message) if one.place in places and one.session_id == above.session_id)
        case Collection.MEMORY_REFERENCED_BY:
            return (one for one in now.all(Message) if parent in now.graph.refs.get(one.id, ()))
        case Collection.MEMORY_LINKS | Collection.SESSION_LINKS:
            way = filter.direction if filter else LinkDirection.BOTH
            out, back = way is not LinkDirection.IN, way is not LinkDirection.OUT
            links: Iterable[Any] = now.all(record_of(of))
            return (one for one in links if (out and one.source_id == parent) or (back and one.target_id == parent))
        case Collection.SPAN_CHILDREN:
            key = above and (above.trace_id, above.span_id)
            return (one for one in now.all(Span) if (one.trace_id, one.parent_span_id) == key)
        case Collection.TRACE_SPANS:
            return (one for one in now.all(Span) if above and one.trace_id == above.trace_id)
    raise NotImplementedError(of)


# The graph of memories


def _links(now: Reads, kinds: Kinds = None, least: float = 0.0) -> list[MemoryLink]:
    """The links of some kinds, the heaviest first."""
    among = set(MemoryLinkKind if kinds is None else kinds)
    found = [link for link in now.all(MemoryLink) if link.kind in among and link.weight >= least]
    return sorted(found, key=lambda link: (-link.weight, link.id))


def _explored(now: Reads, center: Id, exploration: hops.Exploration) -> ports.Explored:
    if now.one(Memory, center) is None:
        return ports.Explored([], [], False)
    links = _links(now, exploration.kinds, exploration.min_weight)
    nodes, truncated = hops.nearest(center, in_memory.neighbors(links), exploration.depth, exploration.limit)
    within = set(nodes)
    edges = [hops.edge_of(link) for link in links if {link.source_id, link.target_id} <= within]
    memories = [memory for id in nodes if (memory := now.one(Memory, id)) is not None]
    ends = in_memory.hanging(memories, exploration.include, now.drew, now.all)
    ids, edges, more = hops.hang(nodes, edges, ends, exploration.limit)
    return ports.Explored(ids, edges, truncated or more)


def _shared(now: Reads, memory_id: Id) -> list[ports.Shared]:
    """What shares messages, sessions or neighbours with a memory and is not linked to it; best first, ties by id."""
    if (memory := now.one(Memory, memory_id)) is None:
        return []
    read = in_memory.neighbors(_links(now))
    near, found = {other for _, other, _ in read([memory_id])}, []
    mine = {*now.drew(memory_id)[-hops.FAN_OUT :], memory.source_message_id}
    for other in now.all(Memory):
        if other.id == memory_id or other.id in near:
            continue
        things: dict[str, set[Any]] = {
            "messages": mine & {*now.drew(other.id), other.source_message_id},
            "sessions": {memory.session_id} & {other.session_id},
            "neighbors": near & {end for _, end, _ in read([other.id])},
        }
        common = {name: sorted(id for id in ids if id) for name, ids in things.items()}
        if score := sum(len(common[name]) * worth for name, worth in SHARING.items()):
            messages, sessions, neighbors = (ids[:SHARED_SHOWN] for ids in common.values())
            found.append(ports.Shared(other.id, messages, sessions, neighbors, score))
    return sorted(found, key=lambda one: (-one.score, one.memory_id))


# Search


def _searched(now: Reads, search: Search) -> list[Memory]:
    """The memories that a search is among."""
    check(search.filter)
    return in_memory.searched(now.all(Memory), search, now.world, now.now) if search.limit else []


def _found(now: Reads, search: Search) -> ports.Found:
    """All that may be found: with so few memories there is nothing to choose."""
    memories = _searched(now, search)
    vector, text = search.by_meaning, search.by_words
    corpus = {one.id: in_memory.words_of(one.text) for one in now.all(Memory)}
    ranks = in_memory.ranks(corpus, [one.id for one in memories], text) if text else {}
    both = search.mode is SearchMode.HYBRID
    candidates = []
    for one in memories:
        own = now.graph.vectors.get(one.id)
        alike = None if vector is None or own is None else similarity(float(own @ vector))
        if alike is not None or one.id in ranks:
            candidate = Candidate(one.id, one.importance, one.decay_factor, alike, ranks.get(one.id), text=one.text)
            candidates.append(in_memory.placed(one, candidate, partial(now.one, Node)) if both else candidate)
    there = {one.id for one in candidates}
    ties = in_memory.ties(now.all(MemoryLink), now.graph.refs.values()) if both else []
    return ports.Found(candidates, ties=[tie for tie in ties if {tie.one, tie.other} <= there])
