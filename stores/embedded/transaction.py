"""What one write script sees of the file: stores.ports.Transaction over the writer's connection."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import apsw
import msgspec

from domain.change import MemoryChange
from domain.memory import Memory, MemoryFilter, MemoryStatus, weight
from domain.message import MemoryRef, Message, ToolResponse
from domain.node import Id, Node
from domain.participant import Participant
from domain.session import Session
from domain.span import Span, Trace
from domain.tally import Tally
from stores import journal, sums
from stores.catalogue.logs import logs_of
from stores.embedded import known, rows
from stores.embedded.filters import Where, apply
from stores.embedded.rows import table
from stores.embedded.search import scope_token
from stores.embedded.vectors import Changes, VectorIndex, VectorRow
from stores.ids import Ids
from stores.policies import IDEMPOTENCY_US
from stores.ports import SESSION_LOGS, Log, NaturalKey, Vector
from stores.rows import micros, raw, text

N = TypeVar("N", bound=Node)

_MANY = 4
"""From how many natural keys on one statement for all is quicker than one for each."""

_BY_IDS = "id IN (SELECT value FROM json_each(?))"


class EmbeddedTransaction:
    def __init__(
        self, db: apsw.Connection, workspace: str, now: datetime, ids: Ids, vectors: VectorIndex, memory: known.Memory
    ) -> None:
        self._db, self._name, self.now, self._ids, self._vectors = db, workspace, now, ids, vectors
        self._memory, self._ms = memory, int(now.timestamp() * 1000)
        self._made_changes: Changes | None = None
        self._grown: set[str] = set()
        self._scopes: dict[Id | None, int] = {}
        self._made: set[Id] = set()  # ids of records that are not stored yet: there is no row of those
        self.wrote = False
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
        if self._made_changes is not None:
            self._vectors.committed(self._made_changes)
        return {f"{self._name}/{log}" for log in self._grown}

    @property
    def _changes(self) -> Changes:
        """What it does to vectors: mostly nothing, and the index need not hear of it."""
        if self._made_changes is None:
            self._made_changes = Changes()
        return self._made_changes

    def new_id(self, kind: type[Node]) -> Id:
        made = kind.make_id(self._ids.next(self._ms))
        self._made.add(made)
        return made

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        if kind is Session:
            return [self._known.session(id) for id in ids]  # type: ignore[misc]
        return [self._one(kind, table(kind).by_id, (id,)) for id in ids]

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        if kind is Session:
            return [self._known.session_named(name) for (name,) in keys]  # type: ignore[misc]
        of = table(kind)
        if len(keys) < _MANY or any("\0" in part for key in keys for part in key):  # which JSON text does not keep
            return [self._one(kind, of.by_natural, key) for key in keys]
        found: list[N | None] = [None] * len(keys)
        for place, *row in self._db.execute(of.by_naturals, (text(keys), self._workspace)):
            found[int(place)] = of.decode(row)
        return found

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
            self._put_memories([record for record in records if isinstance(record, Memory)])
            return
        if kind is Message:
            self._forget_responses([record.id for record in records if record.id not in self._made])
        if kind is Trace:
            records = await sums.as_kept(self, [record for record in records if isinstance(record, Trace)])
        await journal.put(self, records)
        await self.store(records)
        if kind is Span:
            await sums.add(self, [record for record in records if isinstance(record, Span)])
        if isinstance(records[0], Message):
            self._index_messages([record for record in records if isinstance(record, Message)])

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
        self._write(records)

    def _write(self, records: Sequence[Node]) -> None:
        """Writes rows; those of ids that were made here, and are put the first time, cannot be there yet."""
        to, ids = table(type(records[0])), [record.id for record in records]
        new = self._made.issuperset(ids) and not to.kind.replaces and len(set(ids)) == len(ids)
        self._made.difference_update(ids)
        statement, workspace, encode = to.add if new else to.insert, self._workspace, to.encode
        encoded = [(workspace, *encode(record)) for record in records]
        if to is rows.MESSAGE:
            statement, encoded = self._known.messages(statement, encoded)
        self._db.executemany(statement, encoded)

    async def tallies(self, trace_id: str) -> list[Tally]:
        sql = f"{rows.TALLY.select} WHERE t.workspace = ? AND t.trace_id = ?"
        return [rows.TALLY.decode(row) for row in self._db.execute(sql, (self._workspace, trace_id))]

    def _forget_responses(self, message_ids: Sequence[Id]) -> None:
        if not message_ids:
            return
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
        for session in {message.session_id for message in messages}:
            self._grown.add(Log("messages", session).name)

    def _put_memories(self, memories: list[Memory]) -> None:
        db, to = self._db, rows.MEMORY
        weights: list[tuple[int, int, float | None]] = []
        for memory in memories:
            before = db.execute("SELECT key, text FROM memory WHERE id = ?", (memory.id,)).fetchone()
            scope = self._scope(memory.owner_id)
            if memory.external_id is not None:
                self._free(memory.external_id)
            db.execute(to.insert, (self._workspace, *to.encode(memory), scope))
            key = before[0] if before else db.last_insert_rowid()
            if before is None or before[1] != memory.text:
                if before is not None:
                    db.execute("DELETE FROM memory_text WHERE rowid = ?", (key,))
                db.execute("INSERT INTO memory_text (rowid, scope, content) VALUES (?, ?, ?)",
                           (key, f"w{self._workspace} {scope_token(scope)}", memory.text))  # fmt: skip
            weights.append((key, scope, _weight(memory)))
        self._vectors.weigh(db, weights, self._changes)

    def _free(self, external_id: str) -> None:
        """Takes an externalId from a memory that has expired and was not swept yet."""
        self._db.execute(
            "UPDATE memory SET external_id = NULL WHERE workspace = ? AND external_id = ? AND expires_at <= now_us()",
            (self._workspace, external_id),
        )

    def _scope(self, owner: Id | None) -> int:
        if (scope := self._scopes.get(owner)) is None:
            found = scope_of(self._db, self._workspace, owner)
            assert found is not None, "an owner is put before its memories"
            scope = self._scopes[owner] = found
        return scope

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

    async def log(self, changes: Sequence[MemoryChange]) -> None:
        if not changes:
            return
        self.wrote = True
        self._db.executemany(
            "INSERT INTO change (workspace, kind, memory_id, time, memory, link) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    self._workspace,
                    change.kind.value,
                    change.memory_id,
                    micros(change.time),
                    None if change.before is None else text(change.before),
                    None if change.link is None else text(change.link),
                )
                for change in changes
            ],
        )
        self._grown.add("changes")

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

    async def embed(self, vectors: Mapping[Id, Vector]) -> None:
        self.wrote = True
        found = []
        for id, vector in vectors.items():
            row = self._db.execute(
                "SELECT key, scope_key, CASE status WHEN 'ACTIVE' THEN weight END FROM memory WHERE id = ?", (id,)
            ).fetchone()
            assert row is not None, "a vector's memory is put before it"
            key, scope, weight = row
            found.append(VectorRow(key, scope, weight, vector))
        self._vectors.put(self._db, found, self._changes)

    async def delete(self, kind: type[Node], ids: Sequence[Id]) -> None:
        if not ids:
            return
        self.wrote = True
        self._memory.forget()
        self._known = self._memory.begin(self._name, self._db, self._workspace)
        name = table(kind).name
        ours = [(id, self._workspace) for id in ids]
        if kind is Memory:
            sql = "SELECT key FROM memory WHERE id = ? AND workspace = ?"
            keys = [int(row[0]) for one in ours for row in self._db.execute(sql, one).fetchall()]  # type: ignore[arg-type]
            self._db.executemany("DELETE FROM memory_text WHERE rowid = ?", [(key,) for key in keys])
            self._db.executemany(
                "UPDATE change SET memory = json_set(memory, '$.text', '') "
                "WHERE memory_id = ? AND workspace = ? AND memory IS NOT NULL",
                ours,
            )
            self._vectors.remove(self._db, keys, self._changes)
        if kind is Message:
            self._forget_responses(ids)
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
        await journal.delete(self, list(gone.values()))
        await sums.take_away(self, spans)

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
        """How many active memories an owner has: a count over the index alone, 0.3 ms at 10,000."""
        row = self._db.execute(
            "SELECT count(*) - (SELECT count(*) FROM memory WHERE scope_key = ?1 AND status = 'ACTIVE' "
            "AND expires_at <= now_us()) FROM memory WHERE scope_key = ?1 AND status = 'ACTIVE'",
            (self._scope(owner_id),),
        ).fetchone()
        assert row is not None
        return int(row[0])

    async def lightest(self, owner_id: Id | None, count: int, keep: Sequence[Id]) -> list[Memory]:
        found = self._db.execute(
            f"{rows.MEMORY.select} WHERE t.scope_key = ? AND t.status = 'ACTIVE'{rows.MEMORY.live} "
            "AND t.id NOT IN (SELECT value FROM json_each(?)) ORDER BY t.weight, t.id LIMIT ?",
            (self._scope(owner_id), text(list(keep)), count),
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
        sql = f"{of.select} WHERE t.expires_at <= now_us() AND t.workspace = ? LIMIT ?"
        return [of.decode(row) for row in self._db.execute(sql, (self._workspace, limit))]

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


def _weight(memory: Memory) -> float | None:
    return weight(memory) if memory.status is MemoryStatus.ACTIVE else None


def scope_of(db: apsw.Connection, workspace: int, owner: Id | None) -> int | None:
    """The scope key of an owner's memories: twice a user's key, one more for an agent's; for none minus the workspace.

    None where there is no such owner.
    """
    if owner is None:
        return -workspace
    name, odd = ("user", 0) if owner.startswith("usr_") else ("agent", 1)
    row = db.execute(f"SELECT key FROM {name} WHERE id = ? AND workspace = ?", (owner, workspace)).fetchone()
    return None if row is None else int(row[0]) * 2 + odd
