"""An engine of plain dictionaries, in memory: the example of docs/engines.md. It passes the whole contract.

What follows from the records' declarations comes from stores.catalogue, what filters and orders mean from stores.filters
and stores.orders, what is ranked and how from domain. What is left for an engine is where things are.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from domain.actor import Agent, User
from domain.audit import AuditEntry
from domain.change import Line, MemoryChange, matched, states
from domain.graph import (
    FAN_OUT,
    STEPS,
    Exploration,
    GraphEdge,
    GraphEdgeKind,
    GraphInclude,
    edge_of,
    hang,
    nearest,
    shortest_paths,
)
from domain.key import ApiKey
from domain.link import LinkDirection, MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryFilter, MemoryStatus
from domain.message import MemoryRef, Message, ToolCall, ToolResponse
from domain.node import Id, Node, kind_of
from domain.page import Listing, Mark, Page, Slice
from domain.participant import Participant, SenderType
from domain.search import Candidate, Recall, SearchMode, similarity
from domain.session import Session
from domain.span import Span, Trace
from domain.state import StateEntry
from domain.tally import Tally
from domain.trace import TraceEvent
from stores import ports, sums
from stores.catalogue.codec import value_encoder
from stores.catalogue.column import Column
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS, kind, referring
from stores.catalogue.lists import BY_REFERENCE
from stores.changes import line_of
from stores.errors import Taken, Unavailable
from stores.ids import Ids
from stores.orders import OF_A_TRACE, CountKey, Order, listing_of, order_of
from stores.ports import Collection, Drawn, Explored, Figure, Found, Log, NaturalKey, Search, Shared, Usage, Vector
from stores.predicate import World, passes
from stores.rates import Rates
from stores.tool_calls import Said, answered, asked
from stores.words import stem

N = TypeVar("N", bound=Node)
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

REMEMBERED = timedelta(days=7)
BATCH = 200
SHOWN = 10
REFERENCES_SHOWN = 100

_OWN: dict[Collection, type[Node]] = {
    Collection.SESSIONS: Session,
    Collection.USERS: User,
    Collection.AGENTS: Agent,
    Collection.MEMORIES: Memory,
    Collection.SPANS: Span,
    Collection.AUDIT: AuditEntry,
}
"""The lists of a workspace itself."""


class Graph:
    """What one workspace holds, by id."""

    def __init__(self) -> None:
        self.records: dict[str, dict[Id, Node]] = {one.name: {} for one in KINDS}
        self.keys: dict[str, dict[NaturalKey, Id]] = {one.name: {} for one in KINDS}
        self.refs: dict[Id, list[MemoryRef]] = {}
        self.vectors: dict[Id, Vector] = {}
        self.changes: dict[int, MemoryChange] = {}
        self.notes: dict[str, tuple[str, bytes, datetime]] = {}


class Shelf:
    """All workspaces, for as long as the process runs: an engine that is opened again finds what was there."""

    def __init__(self) -> None:
        self.graphs: dict[str, Graph] = {}
        self.homes: dict[Id, str] = {}
        self.epoch = secrets.token_hex(4)
        self.places = 0
        self.last_id = 0


SHELVES: dict[str, Shelf] = {}


class DictionaryEngine:
    """See stores.ports.Engine."""

    def __init__(self, shelf: Shelf, clock: Callable[[], datetime]) -> None:
        self.shelf, self.clock, self.ids = shelf, clock, Ids(clock, shelf.last_id)
        self.closed, self.writes = False, 0
        self._grown = asyncio.Event()
        self._rates = Rates()

    def workspace(self, name: str) -> DictionaryStore:
        return DictionaryStore(self, name)

    async def health(self) -> list[ports.StoreHealth]:
        return [ports.StoreHealth("dictionaries", "healthy", 0.0)]

    async def workspaces(self) -> list[str]:
        return list(self.shelf.graphs)

    async def due(self) -> list[str]:
        now = self.clock()
        return [
            name
            for name, graph in self.shelf.graphs.items()
            if any(_is_over(one, now) for what in (Memory, StateEntry) for one in graph.records[kind(what).name].values())
        ]

    async def spend(self, name: str, per_minute: int) -> float:
        return self._rates.spend(name, per_minute)

    async def stats(self) -> ports.Stats:
        graphs = self.shelf.graphs.values()
        return ports.Stats({one.name: sum(len(graph.records[one.name]) for graph in graphs) for one in KINDS if one.counted})

    def figures(self) -> list[Figure]:
        return [Figure("writes", "dictionaries", self.writes), Figure("commits", "dictionaries", self.writes)]

    async def close(self) -> None:
        self.closed = True

    @property
    def grown(self) -> asyncio.Event:
        """An event that the next write sets."""
        return self._grown

    def committed(self) -> None:
        """Wakes all followers, who look for themselves."""
        self.writes += 1
        self.shelf.last_id = self.ids.last
        self._grown.set()
        self._grown = asyncio.Event()


def open_dictionaries(
    url: str, embedder: str, dimension: int, clock: Callable[[], datetime] | None = None
) -> DictionaryEngine:
    """Opens the shelf of a URL; the entry point of the engine."""
    return DictionaryEngine(SHELVES.setdefault(url, Shelf()), clock or (lambda: datetime.now(UTC)))


def _is_over(record: Node, now: datetime) -> bool:
    expires = kind(type(record)).expires
    at = getattr(record, expires) if expires else None
    return at is not None and at <= now


class Reads:
    """What reads and writes have in common: looking at a graph at one time."""

    def __init__(self, graph: Graph, now: datetime) -> None:
        self.graph, self.now = graph, now
        self.world = World(self.any, self.all)

    def any(self, id: Id) -> Node | None:
        """The record of an id, expired or not."""
        what = kind_of(id)
        return None if what is None else self.graph.records[kind(what).name].get(id)

    def lives(self, record: Node) -> bool:
        """Whether a record is there: it has not expired, and none that it counts on has."""
        if _is_over(record, self.now):
            return False
        for column in kind(type(record)).references:
            if column.refers is not None and column.refers.lives:
                end = self.any(getattr(record, str(column.field)))
                if end is not None and not self.lives(end):
                    return False
        return True

    def all(self, what: type[N]) -> Iterator[N]:
        """The records of a kind that are there."""
        found: Iterable[Any] = self.graph.records[kind(what).name].values()
        return (record for record in found if isinstance(record, what) and self.lives(record))

    def one(self, what: type[N], id: Id) -> N | None:
        record = self.any(id)
        return record if isinstance(record, what) and self.lives(record) else None

    def found(self, what: type[N], key: NaturalKey) -> N | None:
        id = self.graph.keys[kind(what).name].get(tuple(key))
        return None if id is None else self.one(what, id)

    def owned(self, owner_id: Id | None) -> list[Memory]:
        return [one for one in self.all(Memory) if one.owner_id == owner_id]


class DictionaryTransaction(Reads):
    """See stores.ports.Transaction. None of the methods suspends, so nobody sees half a write; what it changed it can
    take back."""

    def __init__(self, engine: DictionaryEngine, name: str) -> None:
        super().__init__(engine.shelf.graphs.get(name) or Graph(), engine.clock())
        self._engine, self._name = engine, name
        self._undo: list[Callable[[], Any]] = []

    def keep(self) -> None:
        """Makes the workspace, if something was written."""
        if self._undo:
            self._engine.shelf.graphs.setdefault(self._name, self.graph)

    def take_back(self) -> None:
        for undo in reversed(self._undo):
            undo()

    def _set(self, of: dict[K, V], key: K, value: V) -> None:
        self._undo.append(_restoring(of, key))
        of[key] = value

    def _remove(self, of: dict[K, V], key: K) -> None:
        if key in of:
            self._undo.append(_restoring(of, key))
            del of[key]

    def new_id(self, kind: type[Node]) -> Id:
        return kind.make_id(self._engine.ids.next())

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        return [self.one(kind, id) for id in ids]

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        return [self.found(kind, key) for key in keys]

    async def participants(self, session_id: Id) -> list[Participant]:
        found = [one for one in self.all(Participant) if one.session_id == session_id]
        return sorted(found, key=lambda one: (one.joined_at, one.id))

    async def put(self, records: Sequence[Node]) -> None:
        traces = [one for one in records if isinstance(one, Trace)]
        await self.store(await sums.as_kept(self, traces) if traces else records)
        if spans := [one for one in records if isinstance(one, Span)]:
            await sums.add(self, spans)

    async def store(self, records: Sequence[Node]) -> None:
        """Stores records of one type, as they are."""
        for record in records:
            self._store(record)

    def _store(self, record: Node) -> None:
        of = kind(type(record))
        homes = self._engine.shelf.homes
        if homes.get(record.id, self._name) != self._name:
            raise Taken
        self._set(homes, record.id, self._name)
        before = self.graph.records[of.name].get(record.id)
        if before is not None and (old := of.natural_key(before)) is not None:
            self._remove(self.graph.keys[of.name], old)
        if (key := of.natural_key(record)) is not None:
            self._claim(of, key, record)
        self._set(self.graph.records[of.name], record.id, record)

    def _claim(self, of: Kind[Any], key: NaturalKey, record: Node) -> None:
        """Takes a natural key. An expired record gives it up, and so does one whose kind replaces what is there."""
        there = self.graph.keys[of.name].get(key)
        if there is not None and there != record.id:
            other = self.graph.records[of.name][there]
            if of.replaces:
                self._drop(of, there)
            elif self.lives(other):
                raise Taken
            else:
                emptied = {str(of.columns[name].field): None for name in of.natural if of.columns[name].nullable}
                self._set(self.graph.records[of.name], there, replace(other, **emptied))
        self._set(self.graph.keys[of.name], key, record.id)

    async def tallies(self, trace_id: str) -> list[Tally]:
        """All tallies of a trace."""
        return [one for one in self.all(Tally) if one.trace_id == trace_id]

    async def append(self, events: Sequence[TraceEvent]) -> list[TraceEvent]:
        placed = [replace(event, place=self._place()) for event in events]
        await self.store(placed)
        return placed

    def _place(self) -> int:
        """The next place in a log, never given twice."""
        self._engine.shelf.places += 1
        return self._engine.shelf.places

    async def log(self, changes: Sequence[MemoryChange]) -> None:
        for change in changes:
            place = self._place()
            self._set(self.graph.changes, place, replace(change, place=place))

    async def reference(self, message_id: Id, refs: Sequence[MemoryRef]) -> None:
        before = self.graph.refs.get(message_id, [])
        known = {ref.memory_id for ref in before}
        new = {ref.memory_id: ref for ref in reversed(refs) if ref.memory_id not in known}
        ordered = [ref for ref in refs if new.get(ref.memory_id) is ref]
        self._set(self.graph.refs, message_id, [*before, *ordered])

    async def embed(self, vectors: Mapping[Id, Vector]) -> None:
        for id, vector in vectors.items():
            self._set(self.graph.vectors, id, vector)

    async def delete(self, kind_: type[Node], ids: Sequence[Id]) -> None:
        spans: list[tuple[str, Id]] = []
        self._delete(kind(kind_), {id for id in ids if self.any(id) is not None}, spans)
        await sums.take_away(self, spans)

    def _delete(self, of: Kind[Any], ids: set[Id], spans: list[tuple[str, Id]]) -> None:
        """Deletes records, and first what the declarations say of those that name them."""
        for other, column in referring(of) if ids else ():
            naming = [one for one in self.graph.records[other.name].values() if getattr(one, str(column.field)) in ids]
            if column.refers is not None and column.refers.gone == "cascade":
                self._delete(other, {one.id for one in naming}, spans)
            else:
                for one in naming:
                    self._store(replace(one, **{str(column.field): None}))
        for id in ids:
            record = self.graph.records[of.name].get(id)
            if isinstance(record, Span):
                spans.append((record.trace_id, id))
            self._drop(of, id)

    def _drop(self, of: Kind[Any], id: Id) -> None:
        """Takes away one record with what no declaration tells of."""
        record = self.graph.records[of.name].get(id)
        if record is None:
            return
        if (key := of.natural_key(record)) is not None and self.graph.keys[of.name].get(key) == id:
            self._remove(self.graph.keys[of.name], key)
        self._remove(self.graph.records[of.name], id)
        self._remove(self._engine.shelf.homes, id)
        self._remove(self.graph.refs, id)
        if of.record is Memory:
            self._remove(self.graph.vectors, id)
            for message_id, refs in list(self.graph.refs.items()):
                if any(ref.memory_id == id for ref in refs):
                    self._set(self.graph.refs, message_id, [ref for ref in refs if ref.memory_id != id])
            for place, change in list(self.graph.changes.items()):
                if change.memory_id == id and change.before is not None:
                    blank = replace(change, before=replace(change.before, text=""))
                    self._set(self.graph.changes, place, blank)

    async def active(self, owner_id: Id | None) -> int:
        return sum(one.status is MemoryStatus.ACTIVE for one in self.owned(owner_id))

    async def lightest(self, owner_id: Id | None, count: int, keep: Sequence[Id]) -> list[Memory]:
        kept = set(keep)
        found = [one for one in self.owned(owner_id) if one.status is MemoryStatus.ACTIVE and one.id not in kept]
        return sorted(found, key=lambda one: (one.importance * one.decay_factor, one.id))[:count]

    async def matching(self, filter: MemoryFilter | None, limit: int, after: Id | None = None) -> list[Memory]:
        found = [
            one
            for one in self.all(Memory)
            if one.status is MemoryStatus.ACTIVE and one.id > (after or "") and passes(filter, one, self.world)
        ]
        return sorted(found, key=lambda one: one.id)[:limit]

    async def expired(self, kind_: type[N], limit: int) -> list[N]:
        found: Iterable[Any] = self.graph.records[kind(kind_).name].values()
        return [one for one in found if _is_over(one, self.now)][:limit]

    async def recalled(self, key: str) -> tuple[str, Any] | None:
        noted = self.graph.notes.get(key)
        if noted is None or noted[2] + REMEMBERED <= self.now:
            return None
        return noted[0], msgspec.json.decode(noted[1])

    async def note(self, key: str, digest: str, result: Any) -> None:
        self._set(self.graph.notes, key, (digest, msgspec.json.encode(result), self.now))


def _restoring(of: dict[K, V], key: K) -> Callable[[], Any]:
    """What puts a dictionary's entry back as it is now."""
    if key not in of:
        return lambda: of.pop(key, None)
    value = of[key]
    return lambda: of.__setitem__(key, value)


class DictionaryStore:
    """See stores.ports.Store."""

    def __init__(self, engine: DictionaryEngine, name: str) -> None:
        self._engine, self._name = engine, name

    @property
    def _now(self) -> Reads:
        return Reads(self._engine.shelf.graphs.get(self._name) or Graph(), self._engine.clock())

    async def write(self, script: ports.Script[T]) -> T:
        if self._engine.closed:
            raise Unavailable("The engine is closed.")
        transaction = DictionaryTransaction(self._engine, self._name)
        try:
            made = await script(transaction)
        except BaseException:
            transaction.take_back()
            raise
        transaction.keep()
        self._engine.committed()
        return made

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        now = self._now
        return [now.one(kind, id) for id in ids]

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        now = self._now
        return [now.found(kind, key) for key in keys]

    async def scan(self, kind: type[N], after: Id | None, limit: int) -> list[N]:
        found = [record for record in self._now.all(kind) if record.id > (after or "")]
        return sorted(found, key=lambda record: record.id)[:limit]

    async def pages(
        self, of: Collection, parents: Sequence[Id], slice: Slice, filter: Any = None, order: Any = None
    ) -> list[Page[Any]]:
        now = self._now
        return [self._page(now, of, parent, slice, filter, order_of(of, order)) for parent in parents]

    def _page(self, now: Reads, of: Collection, parent: Id, slice: Slice, filter: Any, order: Order) -> Page[Any]:
        above: Any = now.any(parent) if order.log and of in OF_A_TRACE else None
        session = parent if above is None else above.session_id or ""
        listing = listing_of(of, "" if order.log and of in OF_A_TRACE and above is None else session, order,
                             self._engine.shelf.epoch)  # fmt: skip
        rows = [(_mark(record, order), record) for record in _members(now, of, parent, filter)]
        rows.sort(key=lambda row: row[0], reverse=order.descending)
        after, before = (
            None if cursor is None else listing.mark(cursor, name)
            for cursor, name in ((slice.after, "after"), (slice.before, "before"))
        )
        inside = [row for row in rows if _is_behind(row[0], after, order) and _is_before(row[0], before, order)]
        chosen = inside[max(len(inside) - slice.limit, 0) :] if slice.backward else inside[: slice.limit]
        more = len(inside) > len(chosen)
        left_out = any(not _is_behind(mark, after, order) for mark, _ in rows)
        to_come = any(not _is_before(mark, before, order) for mark, _ in rows)
        return Page(
            [record for _, record in chosen],
            [mark for mark, _ in chosen],
            to_come if slice.backward else more,
            more if slice.backward else left_out,
            listing,
            CountKey(of, parent, filter),
        )

    async def counts(self, keys: Sequence[CountKey]) -> list[int]:
        now = self._now
        return [sum(1 for _ in _members(now, *key)) for key in keys]

    async def memory_refs(self, message_ids: Sequence[Id]) -> Drawn:
        now = self._now
        refs = [[ref for ref in now.graph.refs.get(id, []) if now.one(Memory, ref.memory_id)] for id in message_ids]
        named = {ref.memory_id for some in refs for ref in some}
        return Drawn(refs, {id: memory for id in named if (memory := now.one(Memory, id)) is not None})

    async def formed_from(self, message_ids: Sequence[Id]) -> list[list[Memory]]:
        found = sorted(self._now.all(Memory), key=lambda one: one.id)
        return [[one for one in found if one.source_message_id == id] for id in message_ids]

    async def responses(self, calls: Sequence[ToolCall]) -> list[ToolResponse | None]:
        now = self._now
        messages: dict[Id, list[Message]] = {id: [] for id in asked(calls)}
        for message in sorted(now.all(Message), key=lambda one: one.place):
            if message.session_id in messages:
                messages[message.session_id].append(message)
        found = {id: _answers(said) for id, said in messages.items()}
        return [
            None if call.at is None else found[call.at.session_id].get((call.at.place, call.at.index)) for call in calls
        ]

    async def usage(self, owner_ids: Sequence[Id]) -> list[Usage]:
        now = self._now
        return [_usage(now.owned(id)) for id in owner_ids if now.any(id) is not None]

    async def explore(self, centers: Sequence[Id], exploration: Exploration) -> list[Explored]:
        now = self._now
        return [_explored(now, center, exploration) for center in centers]

    async def paths(
        self, start: Id, goal: Id, kinds: Sequence[MemoryLinkKind] | None, max_depth: int, first: int
    ) -> list[list[Id]]:
        now = self._now
        if now.one(Memory, start) is None or now.one(Memory, goal) is None:
            return []
        return shortest_paths(start, goal, _neighbors(now, kinds, 0.0, STEPS), max_depth, first)

    async def links_between(
        self, pairs: Sequence[tuple[Id, Id]], kinds: Sequence[MemoryLinkKind] | None
    ) -> list[MemoryLink]:
        links = sorted(self._now.all(MemoryLink), key=lambda link: (-link.weight, link.id))
        firsts = (
            next(
                (
                    link
                    for link in links
                    if {link.source_id, link.target_id} == set(pair) and (kinds is None or link.kind in kinds)
                ),
                None,
            )
            for pair in pairs
        )
        return [link for link in firsts if link is not None]

    async def shared(self, memory_ids: Sequence[Id], first: int) -> list[list[Shared]]:
        now = self._now
        return [_shared(now, id)[:first] for id in memory_ids]

    async def search(self, searches: Sequence[Search]) -> list[Found]:
        now = self._now
        return [_found(now, search) for search in searches]

    async def vectors(self, memory_ids: Sequence[Id]) -> list[Vector | None]:
        vectors = self._now.graph.vectors
        return [vectors.get(id) for id in memory_ids]

    def listing(self, log: Log) -> Listing:
        return Listing(log.name, self._engine.shelf.epoch)

    async def ends(self, logs: Sequence[Log]) -> list[int]:
        now = self._now
        return [max((place for place, _ in _lines(now, log)), default=0) for log in logs]

    async def follow(self, log: Log, after: int, filter: Any = None) -> AsyncGenerator[list[Any]]:
        while True:
            now, grown = self._now, self._engine.grown
            batch = [line for line in _lines(now, log) if line[0] > after][:BATCH]
            lines = [line for _, line in batch]
            if log.kind == "changes":
                lines = _changes(now, lines, filter)
            else:
                lines = [line for line in lines if passes(filter, line, now.world)]
            if lines:
                yield lines
            if batch:
                after = batch[-1][0]
                continue
            if log.session_id and now.one(Session, Id(log.session_id)) is None:
                return
            await grown.wait()


# Lists


def _members(now: Reads, of: Collection, parent: str, filter: Any) -> Iterator[Any]:
    """The records of a list that pass its filter."""
    return (record for record in _listed(now, of, parent, filter) if passes(filter, record, now.world))


def _listed(now: Reads, of: Collection, parent: str, filter: Any) -> Iterable[Node]:  # noqa: C901 - a line for each list
    if of in _OWN:
        return now.all(_OWN[of])
    if of in BY_REFERENCE:
        records, name = BY_REFERENCE[of]
        field = str(records.columns[name].field)
        return (record for record in now.all(records.record) if getattr(record, field) == parent)
    above: Any = now.any(Id(parent))
    match of:
        case Collection.STATES:
            return (one for one in now.all(StateEntry) if one.namespace == parent)
        case Collection.TENANT_KEYS:
            return (one for one in now.all(ApiKey) if one.tenant == parent)
        case Collection.ACTOR_SESSIONS:
            joined = {one.session_id for one in now.all(Participant) if one.actor_id == parent}
            return (one for one in now.all(Session) if one.id in joined)
        case Collection.SESSION_MEMORIES:
            drawn = {ref.memory_id for one in now.all(Message) if one.session_id == parent
                     for ref in now.graph.refs.get(one.id, [])}  # fmt: skip
            used = {one.memory_id for one in now.all(Recall) if one.session_id == parent}
            return (one for one in now.all(Memory) if one.session_id == parent or one.id in drawn | used)
        case Collection.MEMORY_REFERENCED_BY:
            drew = {id for id, refs in now.graph.refs.items() if any(ref.memory_id == parent for ref in refs)}
            return (one for one in now.all(Message) if one.id in drew)
        case Collection.MEMORY_LINKS:
            direction = filter.direction if isinstance(filter, ports.LinkFilter) else LinkDirection.BOTH
            return (one for one in now.all(MemoryLink) if _leads(one, parent, direction))
        case Collection.SPAN_CHILDREN:
            key = above and (above.trace_id, above.span_id)
            return (one for one in now.all(Span) if (one.trace_id, one.parent_span_id) == key)
        case Collection.TRACE_SPANS:
            return (one for one in now.all(Span) if above is not None and one.trace_id == above.trace_id)
    raise NotImplementedError(of)


def _leads(link: MemoryLink, memory_id: str, direction: LinkDirection) -> bool:
    out, back = link.source_id == memory_id, link.target_id == memory_id
    return {LinkDirection.OUT: out, LinkDirection.IN: back, LinkDirection.BOTH: out or back}[direction]


def _value(record: Node, name: str) -> Any:
    """A column's value as it is compared: times are microseconds, enums their names."""
    column: Column = kind(type(record)).columns[name]
    value = getattr(record, str(column.field))
    return None if value is None else value_encoder(column)(value)


def _mark(record: Node, order: Order) -> Mark:
    """Where a record stands in its list."""
    name, since, missing = order.column
    value = _value(record, name)
    if since and value is not None:
        value -= _value(record, since)
    if value is None:
        value = missing
    return (value,) if order.log else (value, record.id)


def _is_behind(mark: Mark, after: Mark | None, order: Order) -> bool:
    return after is None or (mark < after if order.descending else mark > after)


def _is_before(mark: Mark, before: Mark | None, order: Order) -> bool:
    return before is None or (mark > before if order.descending else mark < before)


# Messages and memories


def _answers(messages: Sequence[Message]) -> dict[tuple[int, int], ToolResponse]:
    """The responses of a session's tool calls, by the place of the call's message and its index there."""
    parents = {message.parent_id for message in messages}
    said = [
        Said(
            message.id,
            message.place,
            message.sender_type is SenderType.AGENT,
            message.thread_id,
            message.parent_id,
            message.parent_id is None and message.id in parents,
            msgspec.json.encode(message.content).decode()
            if any(type(part) is ToolCall for part in message.content)
            else None,
        )
        for message in messages
    ]
    given = {
        (message.place, index): part
        for message in messages
        for index, part in enumerate(message.content)
        if isinstance(part, ToolResponse)
    }
    found = answered(said, ((part.call_id, *spot) for spot, part in given.items()))
    return {call: given[spot] for call, spot in found.items()}


def _usage(memories: Sequence[Memory]) -> Usage:
    active = [one for one in memories if one.status is MemoryStatus.ACTIVE]
    archived = sum(one.status is MemoryStatus.ARCHIVED for one in memories)
    return Usage(len(active), archived, sum(len(one.text.encode()) for one in active))


# Logs


def _lines(now: Reads, log: Log) -> list[tuple[int, Any]]:
    """The lines of a log with their places, in order."""
    if log.kind == "changes":
        return sorted(now.graph.changes.items())
    what: type[TraceEvent] | type[Message] = TraceEvent if log.kind == "trace" else Message
    found: Iterable[Any] = now.all(what)
    return sorted(((one.place, one) for one in found if one.session_id == log.session_id), key=lambda line: line[0])


def _changes(now: Reads, lines: Sequence[MemoryChange], filter: MemoryFilter | None) -> list[MemoryChange]:
    """What a follower is told of lines: those whose memory matched before or matches after."""
    read = [line for change in lines if (line := _line(now, change)) is not None]
    holds = [passes(filter, memory, now.world) for memory in states(read)]
    return [replace(change, left=left) for change, left in matched(read, holds)]


def _line(now: Reads, change: MemoryChange) -> Line[MemoryChange] | None:
    """A line with what its memory was before and after it: the latter is what the next line found."""
    later = (
        one.before
        for place, one in sorted(now.graph.changes.items())
        if place > change.place and one.memory_id == change.memory_id and one.before is not None
    )
    current: Any = now.any(change.memory_id)
    link = None if change.link is None else msgspec.json.encode(change.link).decode()
    return line_of(
        change.place, change.kind.name, change.memory_id, change.time, link, change.before, next(later, None), current
    )


# The graph of memories


def _neighbors(
    now: Reads, kinds: Iterable[MemoryLinkKind] | None, least: float, most: int = FAN_OUT
) -> Callable[[Sequence[Id]], Iterator[tuple[Id, Id, float]]]:
    """What reads the links at memories, the heaviest first, up to `most` in each direction."""
    among = None if kinds is None else set(kinds)
    ends: dict[tuple[Id, bool], list[tuple[float, Id]]] = {}
    for link in now.all(MemoryLink):
        if (among is None or link.kind in among) and link.weight >= least:
            ends.setdefault((link.source_id, True), []).append((-link.weight, link.target_id))
            ends.setdefault((link.target_id, False), []).append((-link.weight, link.source_id))

    def read(nodes: Sequence[Id]) -> Iterator[tuple[Id, Id, float]]:
        for node in nodes:
            for out in (True, False):
                for weight, other in sorted(ends.get((node, out), []))[:most]:
                    yield node, other, -weight

    return read


def _explored(now: Reads, center: Id, exploration: Exploration) -> Explored:
    if now.one(Memory, center) is None:
        return Explored([], [], False)
    read = _neighbors(now, exploration.kinds, exploration.min_weight)
    nodes, truncated = nearest(center, read, exploration.depth, exploration.limit)
    within = set(nodes)
    links = [
        link
        for link in now.all(MemoryLink)
        if {link.source_id, link.target_id} <= within
        and link.weight >= exploration.min_weight
        and (exploration.kinds is None or link.kind in exploration.kinds)
    ]
    links.sort(key=lambda link: (-link.weight, link.id))
    hanging = _hanging(now, nodes, exploration.include)
    ids, edges, more = hang(nodes, map(edge_of, links), hanging, exploration.limit)
    return Explored(ids, edges, truncated or more)


def _hanging(now: Reads, nodes: Sequence[Id], include: frozenset[GraphInclude]) -> Iterator[GraphEdge]:
    """The edges from memories to what they hang on."""
    memories = [memory for id in nodes if (memory := now.one(Memory, id)) is not None]
    wanted: list[tuple[GraphInclude, GraphEdgeKind, Callable[[Memory], list[Id]]]] = [
        (GraphInclude.MESSAGES, GraphEdgeKind.FORMED_FROM, lambda one: _there(one.source_message_id)),
        (GraphInclude.MESSAGES, GraphEdgeKind.REFERENCED_BY, lambda one: _drew(now, one.id)[:REFERENCES_SHOWN]),
        (GraphInclude.SESSIONS, GraphEdgeKind.IN_SESSION, lambda one: _there(one.session_id)),
        (GraphInclude.ACTORS, GraphEdgeKind.OWNED_BY, lambda one: _there(one.owner_id)),
    ]
    for of, edge, others in wanted:
        if of in include:
            for memory in memories:
                for other in others(memory):
                    yield GraphEdge(memory.id, other, edge, 1.0)


def _there(id: Id | None) -> list[Id]:
    return [] if id is None else [id]


def _drew(now: Reads, memory_id: Id) -> list[Id]:
    """The messages that drew on a memory."""
    return sorted(id for id, refs in now.graph.refs.items() if any(ref.memory_id == memory_id for ref in refs))


def _shared(now: Reads, memory_id: Id) -> list[Shared]:
    """What shares messages, sessions or neighbours with a memory and is not linked to it; best first, ties by id."""
    memory = now.one(Memory, memory_id)
    if memory is None:
        return []
    read = _neighbors(now, None, 0.0)
    near = {other for _, other, _ in read([memory_id])}
    mine = {*_drew(now, memory_id)[-FAN_OUT:], *_there(memory.source_message_id)}
    found = []
    for other in now.all(Memory):
        if other.id == memory_id or other.id in near:
            continue
        messages = sorted(mine & {*_drew(now, other.id), *_there(other.source_message_id)})
        sessions = _there(memory.session_id) if memory.session_id == other.session_id else []
        neighbors = sorted(near & {end for _, end, _ in read([other.id])})
        score = len(messages) + len(neighbors) * 0.5 + len(sessions) * 0.25
        if score:
            found.append(Shared(other.id, messages[:SHOWN], sessions, neighbors[:SHOWN], score))
    return sorted(found, key=lambda one: (-one.score, one.memory_id))


# Search


class _Words(NamedTuple):
    """The words of a memory, and how many."""

    counts: Counter[str]
    length: int


def _found(now: Reads, search: Search) -> Found:
    """All that may be found: with so few memories there is nothing to choose."""
    if search.limit == 0:
        return Found([])
    filter = search.filter or MemoryFilter()
    if filter.statuses is None:
        filter = replace(filter, statuses=[MemoryStatus.ACTIVE])
    if filter.valid_at is None:
        filter = replace(filter, valid_at=now.now)
    memories = [one for one in now.all(Memory) if one.id != search.exclude and passes(filter, one, now.world)]
    vector = None if search.mode is SearchMode.TEXT else search.vector
    text = None if search.mode is SearchMode.SEMANTIC else search.text
    ranks = _ranks(now, memories, stem(text).split()) if text else {}
    candidates = []
    for one in memories:
        own = now.graph.vectors.get(one.id)
        alike = None if vector is None or own is None else similarity(float(own @ vector))
        if alike is not None or one.id in ranks:
            candidates.append(Candidate(one.id, one.importance, one.decay_factor, alike, ranks.get(one.id)))
    return Found(candidates)


def _ranks(now: Reads, memories: Sequence[Memory], asked: Sequence[str]) -> dict[Id, float]:
    """How well words fit each memory that has any: BM25 (k1 = 1.2, b = 0.75) as a share of the best one's."""
    corpus = {one.id: _words(one.text) for one in now.all(Memory)}
    average = sum(words.length for words in corpus.values()) / max(len(corpus), 1)
    scores: dict[Id, float] = {}
    for word in dict.fromkeys(asked):
        having = sum(word in words.counts for words in corpus.values())
        rarity = max(math.log((len(corpus) - having + 0.5) / (having + 0.5)), 1e-6)
        for one in memories:
            counts, length = corpus[one.id]
            if often := counts[word]:
                weight = often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length / average))
                scores[one.id] = scores.get(one.id, 0.0) + rarity * weight
    best = max(scores.values(), default=1.0)
    return {id: score / best for id, score in scores.items()}


def _words(text: str) -> _Words:
    words = stem(text).split()
    return _Words(Counter(words), len(words))
