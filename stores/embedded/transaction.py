"""What one write script sees of the file: stores.ports.Transaction over the writer's connection."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

import apsw
import msgspec

from domain.change import Change, MemoryChange
from domain.document import DocumentChunk
from domain.link import MemoryLink
from domain.memory import Memory, MemoryFilter
from domain.message import MemoryRef, Message, ToolResponse
from domain.node import Id, Node
from domain.participant import Participant
from domain.session import Session
from domain.tally import Tally
from domain.tool_execution import ToolExecution
from stores import journal, keeping
from stores.catalogue.logs import logs_of
from stores.changes import forgotten, kept
from stores.embedded import known, rows, texts
from stores.embedded.filters import Where, apply
from stores.embedded.memories import Memories
from stores.embedded.rows import table
from stores.embedded.tallies import TallyRows
from stores.embedded.vectors import VectorIndex
from stores.errors import Outdated
from stores.ids import Ids
from stores.policies import IDEMPOTENCY_US
from stores.ports import SESSION_LOGS, Log, NaturalKey, Vector, Way
from stores.rows import micros, raw, text

N = TypeVar("N", bound=Node)

_MANY = 4
"""From how many natural keys on one statement for all is quicker than one for each."""

_LINE = "INSERT INTO change (workspace, about, kind, record, time, before, link) VALUES (?, ?, ?, ?, ?, ?, ?)"

_BY_IDS = "id IN (SELECT value FROM json_each(?))"


class EmbeddedTransaction:
    def __init__(
        self, db: apsw.Connection, workspace: str, now: datetime, ids: Ids, vectors: VectorIndex, memory: known.Memory
    ) -> None:
        self._db, self._name, self.now, self._ids, self._vectors = db, workspace, now, ids, vectors
        self._ms = int(now.timestamp() * 1000)
        self._grown: set[str] = set()
        self._made: set[Id] = set()  # ids of records that are not stored yet: there is no row of those
        self.wrote = False
        self._memory = memory
        self._known = memory[workspace] or memory.begin(workspace, db, self._workspace_key())
        self._workspace = self._known.key

    def _workspace_key(self) -> int:
        row = self._db.execute("SELECT key FROM workspace WHERE name = ?", (self._name,)).fetchone()
        if row is not None:
            return int(row[0])
        self.wrote = True
        self._db.execute("INSERT INTO workspace (name) VALUES (?)", (self._name,))
        return int(self._db.last_insert_rowid())

    def committed(self) -> set[str]:
        """Shows the index what was written; the names of the logs that grew."""
        if "_memories" in self.__dict__:
            self._vectors.committed(self._memories.changes)
        self._memory.logged.clear()
        return {f"{self._name}/{log}" for log in self._grown}

    @cached_property
    def _memories(self) -> Memories:
        return Memories(self._db, self._known, self._vectors)

    def new_id(self, kind: type[Node]) -> Id:
        made = kind.make_id(self._ids.next(self._ms))
        self._made.add(made)
        return made

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        if kind is Session:
            return [self._living(self._known.session(id)) for id in ids]  # type: ignore[misc]
        return [self._one(kind, table(kind).by_id, (id,)) for id in ids]

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        if kind is Session:
            return [self._living(self._known.session_named(name)) for (name,) in keys]  # type: ignore[misc]
        if kind is Tally:
            return self._tallies.find(keys)  # type: ignore[return-value]
        of = table(kind)
        if len(keys) < _MANY or any("\0" in part for key in keys for part in key):  # which JSON text does not keep
            return [self._one(kind, of.by_natural, key) for key in keys]
        found: list[N | None] = [None] * len(keys)
        for place, *row in self._db.execute(of.by_naturals, (text(keys), self._workspace)):
            found[int(place)] = of.decode(row)
        return found

    def _living(self, session: Session | None) -> Session | None:
        """A session that is known, unless its time is over meanwhile."""
        return None if session is not None and rows.SESSION.kind.is_over(session, self.now) else session

    def _one(self, kind: type[N], sql: str, key: Sequence[Any]) -> N | None:
        row = self._db.execute(sql, (*key, self._workspace)).fetchone()
        return None if row is None else table(kind).decode(row)

    async def participants(self, session_id: Id) -> list[Participant]:
        return self._known.participants(session_id)

    async def put(self, records: Sequence[Node]) -> None:
        if not records:
            return
        self.wrote = True
        kind = type(records[0])
        if isinstance(records[0], Memory):
            new = self._are_new(records)
            self._memories.put([record for record in records if isinstance(record, Memory)], new)
            return
        if kind is Message:
            self._forget([record.id for record in records if record.id not in self._made])
        await keeping.put(self, records)
        if isinstance(records[0], Message):
            self._index_messages([record for record in records if isinstance(record, Message)])
        if kind is DocumentChunk:
            chunks = [record for record in records if isinstance(record, DocumentChunk)]
            texts.index_chunks(self._db, self._workspace, chunks)

    async def store(self, records: Sequence[Node]) -> None:
        """Stores records of one type, as they are."""
        if not records:
            return
        kind = type(records[0])
        if issubclass(kind, Session):
            self._known.store(records)  # type: ignore[arg-type]
            return
        if kind is Participant:
            self._known.joins(records)  # type: ignore[arg-type]
        if kind is Tally:
            records = self._tallies.to_store(records)  # type: ignore[arg-type]
        if records:
            self._write(records)

    def _write(self, records: Sequence[Node]) -> None:
        to = table(type(records[0]))
        new = self._are_new(records) and not to.kind.replaces
        statement, workspace, encode = to.add if new else to.insert, self._workspace, to.encode
        encoded = [(workspace, *encode(record)) for record in records]
        if to is rows.MESSAGE:
            statement, encoded = self._known.messages(statement, encoded)
        self._db.executemany(statement, encoded)

    def _are_new(self, records: Sequence[Node]) -> bool:
        """Whether ids were made here and are put for the first time, so that no row can have them."""
        ids = {record.id for record in records}
        new = self._made.issuperset(ids) and len(ids) == len(records)
        self._made -= ids
        return new

    async def tallies(self, trace_id: str) -> list[Tally]:
        return self._tallies.of_trace(trace_id)

    @cached_property
    def _tallies(self) -> TallyRows:
        return TallyRows(self._db, self._workspace)

    def _forget(self, message_ids: Sequence[Id]) -> None:
        """Takes what hangs on messages that are put again or deleted."""
        if not message_ids:
            return
        self._db.execute(
            f"DELETE FROM message_text WHERE rowid IN (SELECT key FROM message WHERE {_BY_IDS})", (text(message_ids),)
        )
        if self._db.changes():
            texts.deleted(self._db)
        self._db.execute(
            "DELETE FROM tool_response WHERE (session, place) IN "
            "(SELECT session, place FROM message WHERE id IN (SELECT value FROM json_each(?)))",
            (text(message_ids),),
        )

    def _index_messages(self, messages: list[Message]) -> None:
        responses = [
            (message.session_id, part.call_id, message.place, index, raw(part.result), part.is_error)
            for message in messages
            for index, part in enumerate(message.content)
            if type(part) is ToolResponse
        ]
        if responses:
            self._db.executemany(
                "INSERT INTO tool_response VALUES ((SELECT key FROM session WHERE id = ?), ?, ?, ?, ?, ?)", responses
            )
        self._db.executemany(texts.WAIT, [(one.id,) for one in messages])
        self._memory.waiting += len(messages)
        if self._memory.waiting >= texts.TOGETHER:
            self.index_waiting()
        for session in {message.session_id for message in messages}:
            self._grown.add(Log("messages", session).name)

    def index_waiting(self) -> None:
        """Puts messages that wait for it into the index of what was said."""
        self.wrote = True
        texts.index_waiting(self._db)
        self._memory.waiting = 0

    async def append(self, lines: Sequence[N]) -> list[N]:
        if not lines:
            return []
        self.wrote = True
        to = table(type(lines[0]))
        last = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (to.name,)).fetchone()
        first = (last[0] if last else 0) + 1
        self._write(lines)
        self._grown |= {log.name for log in logs_of(lines)}
        return [msgspec.structs.replace(line, place=first + index) for index, line in enumerate(lines)]

    def is_logged(self, id: Id) -> bool:
        return id in self._memory.logged

    async def log(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        self.wrote = True
        self._db.executemany(
            _LINE,
            [
                (self._workspace, one.about, one.kind.value, one.record_id, micros(one.time), *kept(one))
                for one in changes
            ],
        )
        self._memory.logged.update([one.record_id for one in changes])
        self._grown.update([Log.of_changes(one.about).name for one in changes])

    async def reference(self, message_id: Id, refs: Sequence[MemoryRef]) -> None:
        self.wrote = True
        row = self._db.execute(
            "SELECT m.key, coalesce((SELECT max(position) + 1 FROM memory_ref WHERE message = m.key), 0) "
            "FROM message m WHERE m.id = ?",
            (message_id,),
        ).fetchone()
        assert row is not None, "a message is put before its references"
        key, place = row
        self._db.executemany(
            "INSERT INTO memory_ref SELECT ?1, ?2, m.key, ?4, ?5 FROM memory m WHERE m.id = ?3 "
            "AND NOT EXISTS (SELECT 1 FROM memory_ref WHERE message = ?1 AND memory = m.key)",
            [(key, place + index, ref.memory_id, ref.score, ref.note) for index, ref in enumerate(refs)],
        )

    async def embed(self, vectors: Mapping[Id, Vector], embedder: str | None = None) -> None:
        if embedder not in (None, self._vectors.embedder):
            raise Outdated(f"the vectors are of {embedder}")
        self.wrote = True
        self._memories.embed(vectors)

    async def delete(self, kind: type[Node], ids: Sequence[Id]) -> None:
        if not ids:
            return
        self.wrote = True
        self._known.clear()
        self._memory.logged.clear()
        name = table(kind).name
        ours = [(id, self._workspace) for id in ids]
        if kind is Memory:
            self._memories.delete(ids)
        if kind is Tally:
            self._tallies.deleted(ids)
        if kind is Message:
            self._forget(ids)
        gone = {one.id: one for way in journal.ways(table(kind).kind) for one in self._along(kind, way, ids)}
        spans = self._spans_of(name, ids)
        if name == "session":
            # Messages refer to each other and to participants, so they go first, the newest before the oldest.
            for id in ids:  # their followers look again, and find that there is nothing to follow
                self._grown |= {Log(log, id).name for log in SESSION_LOGS}
            self._db.executemany(
                "DELETE FROM message WHERE session = (SELECT key FROM session WHERE id = ? AND workspace = ?)", ours
            )
        self._db.executemany(f"DELETE FROM {name} WHERE id = ? AND workspace = ?", ours)
        await keeping.delete(self, gone.values(), spans)

    async def along(self, kind: type[Node], way: Way, ids: Sequence[Id]) -> list[Any]:
        return self._along(kind, tuple((of := table(record).kind, of.columns[name]) for record, name in way), ids)

    async def drawn(self, message_ids: Sequence[Id]) -> list[list[MemoryRef]]:
        sql = (
            "SELECT m.id, r.score, r.note FROM memory_ref r JOIN memory m ON m.key = r.memory "
            "WHERE r.message = (SELECT key FROM message WHERE id = ? AND workspace = ?) ORDER BY r.position"
        )
        found: Any = [self._db.execute(sql, (id, self._workspace)) for id in message_ids]
        return [[MemoryRef(*row) for row in refs] for refs in found]

    def _along(self, kind: type[Node], way: journal.Way, ids: Sequence[Id]) -> list[Any]:
        """The records that name others of these ids, by way of nearer ones; without a way those others."""
        of = table(way[-1][0].record if way else kind)
        return [of.decode(row) for row in self._db.execute(of.along(way), (text(list(ids)), self._workspace))]

    def _spans_of(self, name: str, ids: Sequence[Id]) -> list[Any]:
        """The trace and the id of each span that goes with records of a table."""
        if name not in ("session", "span"):
            return []
        of = "session IN (SELECT key FROM session WHERE id IN (SELECT value FROM json_each(?)))"
        sql = f"SELECT trace_id, id FROM span WHERE workspace = ? AND {of if name == 'session' else _BY_IDS}"
        return list(self._db.execute(sql, (self._workspace, text(list(ids)))))

    async def active(self, owner_id: Id | None) -> int:
        return self._memories.active(owner_id)

    async def lightest(self, owner_id: Id | None, count: int, keep: Sequence[Id]) -> list[Memory]:
        found = self._db.execute(
            f"{rows.MEMORY.select} WHERE t.scope_key = ? AND t.status = 'ACTIVE'{rows.MEMORY.live} "
            "AND t.id NOT IN (SELECT value FROM json_each(?)) ORDER BY t.weight, t.id LIMIT ?",
            (self._memories.scope(owner_id), text(list(keep)), count),
        )
        return [rows.MEMORY.decode(row) for row in found]

    async def matching(self, filter: MemoryFilter | None, limit: int, after: Id | None = None) -> list[Memory]:
        where = Where(self._workspace)
        where.add("t.workspace = ? AND t.status = 'ACTIVE' AND t.id > ?", self._workspace, after or "")
        apply(filter, Memory, where)
        sql = f"{rows.MEMORY.select} WHERE {where.sql}{rows.MEMORY.live} ORDER BY t.id LIMIT ?"
        return [rows.MEMORY.decode(row) for row in self._db.execute(sql, [*where.params, limit])]

    async def expired(self, kind: type[N], limit: int) -> list[N]:
        of = table(kind)
        sql = f"{of.select} WHERE t.{of.kind.due} <= now_us() AND +t.workspace = ? LIMIT ?"
        return [of.decode(row) for row in self._db.execute(sql, (self._workspace, limit))]

    async def running(self, limit: int) -> list[ToolExecution]:
        of = table(ToolExecution)
        sql = f"{of.select} WHERE t.times_out_at > now_us() AND +t.workspace = ? LIMIT ?"
        return [of.decode(row) for row in self._db.execute(sql, (self._workspace, limit))]

    async def latest(self, session_id: Id, limit: int) -> list[Message]:
        sql = f"{rows.MESSAGE.select} WHERE {rows.MESSAGE.within('session')} ORDER BY t.place DESC LIMIT ?"
        found = self._db.execute(sql, (session_id, self._workspace, limit))
        return [rows.MESSAGE.decode(row) for row in found]

    async def trim(self, log: Log, before: datetime, keep: int, limit: int) -> int:
        of = self._workspace, log.about
        [(last,)] = self._db.execute(
            "WITH log AS NOT MATERIALIZED (SELECT key, time FROM change WHERE workspace = ? AND about = ?) "
            "SELECT max(key) FROM (SELECT key, time FROM log ORDER BY key LIMIT ?) WHERE key < (SELECT max(key) FROM "
            "log) AND (time < ? OR key <= (SELECT key FROM log ORDER BY key DESC LIMIT 1 OFFSET ?))",
            (*of, limit, micros(before), keep),
        ).fetchall()
        if last is None:
            return 0
        self.wrote = True
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (trimmed(*of), str(last)))
        self._db.execute("DELETE FROM change WHERE workspace = ? AND about = ? AND key <= ?", (*of, last))
        return self._db.changes()

    async def forget(self, ids: Sequence[Id], links: bool = False) -> None:
        self.wrote = True
        named = "before IS NOT NULL AND record IN (SELECT value FROM json_each(?))"
        self._scrub(f"+workspace = ? AND {named}", self._workspace, text(list(ids)))
        if links:
            gone = "link IS NOT NULL AND NOT EXISTS (SELECT 1 FROM memory WHERE id = record)"
            self._scrub(f"workspace = ? AND about = ? AND {gone}", self._workspace, MemoryChange.about)

    def _scrub(self, where: str, *of: Any) -> None:
        lines: Any = self._db.execute(f"SELECT about, before, link, key FROM change WHERE {where}", of)
        rows = [(*forgotten(*kept), key) for *kept, key in lines]
        self._db.executemany("UPDATE change SET before = ?, link = ? WHERE key = ?", rows)

    async def supersessions(self, ids: Sequence[Id]) -> list[MemoryLink]:
        named = "(SELECT key FROM memory WHERE id IN (SELECT value FROM json_each(?1)) AND workspace = ?2)"
        sql = f"{rows.LINK.select} WHERE t.kind = 'SUPERSEDES' AND (t.src IN {named} OR t.dst IN {named})"
        return [rows.LINK.decode(row) for row in self._db.execute(sql, (text(list(ids)), self._workspace))]

    async def recalled(self, key: str) -> tuple[str, Any] | None:
        row = self._db.execute(
            "SELECT digest, result FROM idempotency WHERE workspace = ? AND key = ? AND at > ?",
            (self._workspace, key, self._now_us() - IDEMPOTENCY_US),
        ).fetchone()
        return None if row is None else (row[0], msgspec.json.decode(row[1]))

    async def note(self, key: str, digest: str, result: Any) -> None:
        self.wrote = True
        now = self._now_us()
        self._db.execute(
            "DELETE FROM idempotency WHERE (workspace, key) IN "
            "(SELECT workspace, key FROM idempotency WHERE at <= ? LIMIT 100)",
            (now - IDEMPOTENCY_US,),
        )
        self._db.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?)",
            (self._workspace, key, digest, text(result), now),
        )

    def _now_us(self) -> int:
        now = micros(self.now)
        return int(time.time() * 1e6) if now is None else now


def trimmed(workspace: int, about: str) -> str:
    """Under which name the table meta has how far a workspace's log of changes is forgotten."""
    return f"trimmed {workspace} {about}"
