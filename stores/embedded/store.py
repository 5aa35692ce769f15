"""The graph of one workspace in the file: stores.ports.Store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

import apsw

from domain.change import Line, MemoryChange
from domain.errors import CursorExpired
from domain.graph import Exploration
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryFilter
from domain.message import MemoryRef, ToolCall, ToolResponse
from domain.node import Id, Node
from domain.page import Listing, Page, Slice
from domain.session import Session
from domain.state import StateEntry
from stores.catalogue.kinds import called
from stores.catalogue.logs import LOGS
from stores.changes import asked, line_of, lost, state_of, told
from stores.embedded import graph, known, rows, said, states, tool_calls
from stores.embedded.branches import Branches
from stores.embedded.filters import Where, apply
from stores.embedded.frequency import Frequency
from stores.embedded.grouping import grouped
from stores.embedded.lists import Lists
from stores.embedded.memories import scope_of
from stores.embedded.readers import Read, Readers, snapshot
from stores.embedded.rows import table
from stores.embedded.search import Searcher
from stores.embedded.transaction import EmbeddedTransaction, trimmed
from stores.embedded.vectors import VectorIndex
from stores.embedded.writer import Writer
from stores.errors import Outdated, Unavailable
from stores.ids import Ids
from stores.orders import CountKey
from stores.ports import (
    SESSION_LOGS,
    AtOnce,
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
    Transaction,
    Usage,
    Vector,
)
from stores.rows import Row, micros, moment, text

N = TypeVar("N", bound=Node)
T = TypeVar("T")

_MANY = 2
"""From how many ids on one statement for all is quicker than one for each."""

_BATCH = 200
"""How many lines of a log a follower reads at a time."""

_SESSION = "(SELECT key FROM session WHERE id = ? AND workspace = ?)"
_MESSAGE = "(SELECT key FROM message WHERE id = ? AND workspace = ?)"


class Opened(Protocol):
    """What the stores of one file share: the engine, as they see it."""

    epoch: str
    clock: Callable[[], datetime]
    ids: Ids
    frequency: Frequency
    said: Frequency
    written: Frequency
    branches: Branches
    vectors: VectorIndex
    known: known.Memory
    writer: Writer
    readers: Readers

    def listen(self, log: str) -> asyncio.Event: ...

    def unlisten(self, log: str, event: asyncio.Event) -> None: ...


async def _index_waiting(tx: Transaction) -> None:
    assert isinstance(tx, EmbeddedTransaction)
    tx.index_waiting()


class EmbeddedStore(AtOnce):
    def __init__(self, engine: Opened, name: str) -> None:
        self._engine, self._name = engine, name
        self._workspace = 0

    @property
    def _key(self) -> int:
        """The workspace's key; 0 until something has been written to it."""
        if not self._workspace:
            row = self._engine.readers.db.execute("SELECT key FROM workspace WHERE name = ?", (self._name,)).fetchone()
            self._workspace = row[0] if row else 0
        return self._workspace

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        """The records of these ids: some 8 us for one, 20 for five, and 3 for each of many."""
        of = table(kind)
        unique = set(ids)
        found: dict[Id, N | None]
        if len(unique) < _MANY:
            found = {id: self._one(kind, of.by_id, (id,)) for id in unique}
        else:
            bindings = text(list(unique)), self._key

            def read(db: apsw.Connection) -> dict[Id, N | None]:
                return {(record := of.decode(row)).id: record for row in db.execute(of.by_ids, bindings)}

            found = await self._read(read, len(unique))
        return [found.get(id) for id in ids]

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        of, workspace = table(kind), self._key

        def read(db: apsw.Connection) -> list[N | None]:
            found = [db.execute(of.by_natural, (*key, workspace)).fetchone() for key in keys]
            return [None if row is None else of.decode(row) for row in found]

        return await self._read(read, len(keys))

    async def _read(self, read: Read[T], most: int = 0) -> T:
        return await self._engine.readers.read(read, most)

    def _one(self, kind: type[N], sql: str, key: Sequence[Any]) -> N | None:
        row = self._engine.readers.db.execute(sql, (*key, self._key)).fetchone()
        return None if row is None else table(kind).decode(row)

    async def scan(self, kind: type[N], after: Id | None, limit: int) -> list[N]:
        of = table(kind)
        bindings = self._key, after or "", limit
        return await self._read(lambda db: [of.decode(row) for row in db.execute(of.scan, bindings)], limit)

    async def pages(
        self,
        of: Collection | Records,
        parents: Sequence[Id],
        slice: Slice,
        filter: Any = None,
        order: Any = None,
        fields: Fields | None = None,
    ) -> list[Page[Any]]:
        branches, workspace, epoch = self._engine.branches, self._key, self._engine.epoch

        def read(db: apsw.Connection) -> list[Page[Any]]:
            lists = Lists(db, branches, workspace, epoch)
            return [lists.page(of, parent, slice, filter, order, fields) for parent in parents]

        return await self._read(read, len(parents) * slice.limit)

    async def ending(self, before: datetime) -> datetime | None:
        sql = "SELECT min(expires_at) FROM session WHERE workspace = ? AND expires_at < ?"
        found = self._engine.readers.db.execute(sql, (self._key, micros(before))).fetchone()
        first: datetime | None = moment(found[0] if found else None)
        return first

    async def passing(self, kind: type[Node], ids: Sequence[Id], filter: Any) -> set[Id]:
        of, where = table(kind), Where(self._key)
        where.add("t.id IN (SELECT value FROM json_each(?)) AND +t.workspace = ?", text(list(ids)), self._key)
        apply(filter, of.kind.record, where)
        sql = f"SELECT t.id FROM {of.name} t WHERE {where.sql}{of.live}"
        return await self._read(lambda db: {Id(id) for (id,) in db.execute(sql, where.params)})

    async def counts(self, keys: Sequence[CountKey]) -> list[int]:
        branches, workspace, epoch = self._engine.branches, self._key, self._engine.epoch

        def read(db: apsw.Connection) -> list[int]:
            lists = Lists(db, branches, workspace, epoch)
            return [lists.count(key) for key in keys]

        return await self._read(read)

    async def grouped(
        self, of: Collection | Records, parents: Sequence[Id], grouping: Grouping, filter: Any = None
    ) -> list[list[Group]]:
        branches, workspace, epoch = self._engine.branches, self._key, self._engine.epoch

        def read(db: apsw.Connection) -> list[list[Group]]:
            lists = Lists(db, branches, workspace, epoch)
            return [grouped(db, lists, of, parent, grouping, filter) for parent in parents]

        return await self._read(read)

    async def memory_refs(self, message_ids: Sequence[Id], fields: Fields | None = None) -> Drawn:
        """The memories each message drew on: some 4 us each with all fields."""
        columns, decode = rows.MEMORY.reading(fields)
        sql = (
            f"SELECT m.id, r.score, r.note, {columns} FROM json_each(?) e JOIN message m ON m.id = e.value "
            "JOIN memory_ref r ON r.message = m.key JOIN memory t ON t.key = r.memory "
            f"WHERE +m.workspace = ?{rows.MEMORY.live} ORDER BY r.message, r.position"
        )
        bindings = text(list(dict.fromkeys(message_ids))), self._key

        def read(db: apsw.Connection) -> Drawn:
            found: dict[Id, list[MemoryRef]] = {id: [] for id in message_ids}
            memories: dict[Id, Memory] = {}
            there: Any = db.execute(sql, bindings)
            for message_id, score, note, *memory in there:
                id = memory[0]
                found[message_id].append(MemoryRef(id, score, note))
                if id not in memories:
                    memories[id] = decode(memory)
            return Drawn([found[id] for id in message_ids], memories)

        return await self._read(read, len(message_ids))

    async def formed_from(self, message_ids: Sequence[Id]) -> list[list[Memory]]:
        of = rows.MEMORY
        sql = f"{of.select} WHERE t.source_message = {_MESSAGE}{of.live} ORDER BY t.id"
        workspace = self._key

        def read(db: apsw.Connection) -> list[list[Memory]]:
            return [[of.decode(row) for row in db.execute(sql, (id, workspace))] for id in message_ids]

        return await self._read(read, len(message_ids))

    async def responses(self, calls: Sequence[ToolCall]) -> list[ToolResponse | None]:
        workspace = self._key
        return await self._read(lambda db: tool_calls.responses(db, workspace, calls), len(calls))

    async def branches(self, message_ids: Sequence[Id]) -> list[list[int]]:
        branches, workspace = self._engine.branches, self._key
        return await self._read(lambda db: [branches.places(db, workspace, id) for id in message_ids])

    async def usage(self, owner_ids: Sequence[Id]) -> list[Usage]:
        workspace = self._key
        sql = (
            "SELECT coalesce(sum(t.status = 'ACTIVE'), 0), coalesce(sum(t.status = 'ARCHIVED'), 0), "
            "coalesce(sum(octet_length(t.text) * (t.status = 'ACTIVE')), 0) "
            f"FROM memory t WHERE t.scope_key = ?{rows.MEMORY.live}"
        )

        def read(db: apsw.Connection) -> list[Usage]:
            found = [db.execute(sql, (scope_of(db, workspace, id),)).fetchone() for id in owner_ids]
            return [Usage(*row) for row in found if row is not None]

        return await self._read(read)

    async def explore(
        self, centers: Sequence[Id], exploration: Exploration, fields: Fields | None = None
    ) -> list[Explored]:
        workspace = self._key
        return await self._engine.readers.in_thread(
            lambda db: [graph.explore(db, workspace, center, exploration) for center in centers]
        )

    async def paths(
        self,
        start: Id,
        goal: Id,
        kinds: Sequence[MemoryLinkKind] | None,
        max_depth: int,
        first: int,
        entities: bool = False,
    ) -> list[list[Id]]:
        workspace = self._key
        return await self._engine.readers.in_thread(
            lambda db: graph.paths(db, workspace, start, goal, kinds, max_depth, first, entities)
        )

    async def links_between(
        self, pairs: Sequence[tuple[Id, Id]], kinds: Sequence[MemoryLinkKind] | None
    ) -> list[MemoryLink]:
        workspace = self._key
        return await self._read(lambda db: graph.links_between(db, workspace, pairs, kinds), len(pairs))

    async def shared(self, memory_ids: Sequence[Id], first: int) -> list[list[Shared]]:
        workspace = self._key
        return await self._engine.readers.in_thread(
            lambda db: [graph.shared(db, workspace, id, first) for id in memory_ids]
        )

    async def search(self, searches: Sequence[Search]) -> list[Found]:
        engine, workspace, now = self._engine, self._key, self._engine.clock()

        vectors = engine.vectors
        if any(search.embedder not in (None, vectors.embedder) for search in searches):
            raise Outdated(f"the vectors are of {vectors.embedder}")

        def run(db: apsw.Connection) -> list[Found]:
            searcher = Searcher(db, workspace, vectors, engine.frequency, now)
            return [searcher.find(search) for search in searches]

        return await engine.readers.in_thread(run)

    async def search_messages(self, search: MessageSearch) -> FoundMessages:
        engine, workspace = self._engine, self._key
        if engine.readers.db.execute("SELECT 1 FROM message_waiting").fetchone() is not None:
            with contextlib.suppress(Unavailable):  # of a full disk: the others are found
                await self.write(_index_waiting)
        return await engine.readers.in_thread(lambda db: said.find(db, workspace, engine.said, search))

    async def search_chunks(self, search: ChunkSearch) -> FoundChunks:
        engine, workspace = self._engine, self._key
        return await engine.readers.in_thread(lambda db: said.find_chunks(db, workspace, engine.written, search))

    async def search_states(self, search: StateSearch) -> FoundStates:
        workspace = self._key
        return await self._engine.readers.in_thread(lambda db: states.find(db, workspace, search))

    async def namespaces(self, prefix: str) -> list[tuple[str, int]]:
        of = table(StateEntry)
        sql = (
            f"SELECT namespace, count(*) FROM {of.name} t WHERE workspace = ?1 "
            f"AND substr(namespace, 1, length(?2)) = ?2{of.live} GROUP BY namespace ORDER BY namespace"
        )
        bindings = self._key, prefix
        return await self._read(lambda db: [(str(name), int(count)) for name, count in db.execute(sql, bindings)])

    async def usual(self, words: Sequence[str], search: Search) -> set[str]:
        engine, workspace, now = self._engine, self._key, self._engine.clock()

        def run(db: apsw.Connection) -> set[str]:
            return Searcher(db, workspace, engine.vectors, engine.frequency, now).usual(words, search)

        return await self._read(run)

    async def vectors(self, memory_ids: Sequence[Id]) -> list[Vector | None]:
        workspace, index = self._key, self._engine.vectors
        sql = "SELECT key FROM memory WHERE id = ? AND workspace = ?"

        def read(db: apsw.Connection) -> list[Vector | None]:
            found = [db.execute(sql, (id, workspace)).fetchone() for id in memory_ids]
            return [None if row is None else index.vector(db, row[0]) for row in found]

        return await self._read(read, len(memory_ids))

    async def write(self, script: Script[T]) -> T:
        engine = self._engine
        db, name = engine.writer.db, self._name

        def begin() -> EmbeddedTransaction:
            return EmbeddedTransaction(db, name, engine.clock(), engine.ids, engine.vectors, engine.known)

        return await engine.writer.write(script, begin)

    def listing(self, log: Log) -> Listing:
        return Listing(log.name, self._engine.epoch)

    async def ends(self, logs: Sequence[Log]) -> list[int]:
        return await self._read(lambda db: [self._end(db, log) for log in logs], len(logs))

    def _end(self, db: apsw.Connection, log: Log) -> int:
        if log.about:
            sql = "SELECT max(key) FROM change WHERE workspace = ? AND about = ?"
            row = db.execute(sql, (self._key, log.about)).fetchone()
        elif log.kind == "messages":
            sql = "SELECT message_count FROM session WHERE id = ? AND workspace = ?"
            row = db.execute(sql, (log.of, self._key)).fetchone()
        else:
            of, column = LOGS[log.kind]
            lines = table(of.record)
            row = db.execute(
                f"SELECT max(key) FROM {lines.name} t WHERE {lines.within(column)}", (log.of, self._key)
            ).fetchone()
        return (row and row[0]) or 0

    async def follow(self, log: Log, after: int, filter: Any = None) -> AsyncGenerator[list[Any]]:
        name = f"{self._name}/{log.name}"
        grown = self._engine.listen(name)
        try:
            while True:
                grown.clear()
                lines, last, more = await self._read(partial(self._lines, log, after, filter))
                if lines:
                    yield lines
                after = last
                if not more:
                    if log.kind in SESSION_LOGS and self._one(Session, table(Session).by_id, (log.of,)) is None:
                        return
                    await grown.wait()
        finally:
            self._engine.unlisten(name, grown)

    def _lines(self, log: Log, after: int, filter: Any, db: apsw.Connection) -> tuple[list[Any], int, bool]:
        """The next lines that match, the place they reach, and whether there may be more already."""
        if log.about:
            with snapshot(db):  # a record that a later line changed would be told as it is after that
                return self._changes(db, log.about, after, filter)
        read = db.execute
        lines_of, column = LOGS[log.kind]
        of, place = table(lines_of.record), "t.key" if lines_of.log else "t.place"
        # The end is read first: what does not match is passed over for good, and what comes in between is not missed.
        end = self._end(db, log)
        where = Where(self._key)
        where.add(f"{of.within(column)} AND {place} > ? AND {place} <= ?", log.of, self._key, after, end)
        apply(filter, of.kind.record, where)
        found: list[Any] = read(
            f"{of.select} WHERE {where.sql} ORDER BY {place} LIMIT ?", (*where.params, _BATCH)
        ).fetchall()
        lines = [of.decode(row) for row in found]
        more = len(lines) == _BATCH
        return lines, lines[-1].place if more else max(after, end), more

    def _changes(
        self, db: apsw.Connection, about: str, after: int, filter: MemoryFilter | None
    ) -> tuple[list[Any], int, bool]:
        """The same of a log of changes. A record was after a line what the next line that changed it found."""
        sql = (
            "SELECT c.key, c.kind, c.record, c.time, c.link, c.before, (SELECT n.before FROM change n "
            "WHERE n.record = c.record AND n.before IS NOT NULL AND n.key > c.key ORDER BY n.key LIMIT 1) "
            "FROM change c WHERE c.workspace = ? AND c.about = ? AND c.key > ? ORDER BY c.key LIMIT ?"
        )
        found: list[Any] = db.execute(sql, (self._key, about, after, _BATCH)).fetchall()
        name = trimmed(self._key, about)
        gone = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if gone is not None and after < int(gone[0]):
            raise CursorExpired
        lines = [line for row in found if (line := self._line(db, about, row)) is not None]
        if about == MemoryChange.about:
            changes = told(lines, [self._holds(db, *one) for one in asked(lines, filter)])
        else:
            changes = [line.change for line in lines]
        return changes, found[-1][0] if found else after, len(found) == _BATCH

    def _line(self, db: apsw.Connection, about: str, row: Row) -> Line[Any] | None:
        """A line of a log of changes; None where nothing is known of its record."""
        place, kind, id, time, link, was, then = row
        of = table(called(about).record)
        now = db.execute(f"{of.select} WHERE t.id = ? AND t.workspace = ?", (id, self._key)).fetchone()
        current = None if now is None else of.decode(now)
        seen = (state_of(about, was), state_of(about, then), current, lost(was))
        return line_of(about, place, kind, id, moment(time), link, *seen)

    def _holds(self, db: apsw.Connection, memory: Memory, filter: MemoryFilter | None) -> bool:
        """Whether a filter holds for a record, stored or not: its values stand in for the row."""
        if filter is None:
            return True
        where = Where(self._key)
        apply(filter, Memory, where)
        of = rows.MEMORY
        sql = f"WITH t ({', '.join(of.written)}) AS (SELECT {', '.join(of.values)}) SELECT 1 FROM t WHERE {where.sql}"
        return db.execute(sql, (*of.encode(memory), None, *where.params)).fetchone() is not None
