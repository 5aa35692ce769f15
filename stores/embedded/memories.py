"""Memories as one write sees them: their rows, their words, their vectors, and how many an owner has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import apsw

from domain.memory import Memory, MemoryStatus, weight
from domain.node import Id
from stores.embedded import reembedding, rows, texts
from stores.embedded.known import Known
from stores.embedded.vectors import Changes, VectorIndex, VectorRow
from stores.ports import Vector
from stores.rows import Row, text

_BY_IDS = "id IN (SELECT value FROM json_each(?)) AND +workspace = ?"

_ACTIVE = "SELECT count(*) FROM memory WHERE scope_key = ? AND status = 'ACTIVE'"

_OVER = (
    "SELECT count(*) FROM memory INDEXED BY memory_timed "
    "WHERE scope_key = ? AND expires_at <= now_us() AND status = 'ACTIVE'"
)


class _Place(NamedTuple):
    """Where a memory is: its key, its scope, and its weight where it is active."""

    key: int
    scope: int
    weight: float | None


class Memories:
    """The memories of one workspace in one transaction. changes: what it does to vectors, for the index."""

    def __init__(self, db: apsw.Connection, known: Known, vectors: VectorIndex) -> None:
        self._db, self._known, self._vectors = db, known, vectors
        self.changes = Changes()
        self._scopes: dict[Id | None, int] = {}
        self._new: dict[Id, _Place] = {}  # memories that have no vector yet

    def put(self, memories: Sequence[Memory], new: bool) -> None:
        """Stores memories; new: of ids that no row has."""
        weights: list[tuple[int, int, float | None]] = []
        for memory in memories:
            scope = self.scope(memory.owner_id)
            if memory.external_id is not None:
                self._free(memory.external_id)
            if new:
                self._add(memory, scope)
            else:
                weights.append((self._replace(memory, scope), scope, _weight(memory)))
        self._vectors.weigh(self._db, weights, self.changes)

    def _add(self, memory: Memory, scope: int) -> int:
        self._db.execute(rows.MEMORY.add, (self._known.key, *rows.MEMORY.encode(memory), scope))
        key = self._db.last_insert_rowid()
        self._index(key, scope, memory)
        self._count(scope, memory.status is MemoryStatus.ACTIVE)
        self._new[memory.id] = _Place(key, scope, _weight(memory))
        return key

    def _replace(self, memory: Memory, scope: int) -> int:
        sql = "SELECT key, text, scope_key, status = 'ACTIVE' FROM memory WHERE id = ?"
        before = self._db.execute(sql, (memory.id,)).fetchone()
        if before is None:
            return self._add(memory, scope)
        key, text_before, scope_before, was_active = before
        self._db.execute(rows.MEMORY.insert, (self._known.key, *rows.MEMORY.encode(memory), scope))
        if text_before != memory.text:
            self._db.execute("DELETE FROM memory_text WHERE rowid = ?", (key,))
            texts.deleted(self._db)
            self._index(int(key), scope, memory)
        self._count(int(scope_before), -int(was_active))
        self._count(scope, memory.status is MemoryStatus.ACTIVE)
        return int(key)

    def _index(self, key: int, scope: int, memory: Memory) -> None:
        self._db.execute(texts.INSERT, texts.row(self._known.key, key, scope, memory.text))

    def _free(self, external_id: str) -> None:
        """Takes an externalId from a memory that has expired and was not swept yet."""
        self._db.execute(
            "UPDATE memory SET external_id = NULL WHERE workspace = ? AND external_id = ? AND expires_at <= now_us()",
            (self._known.key, external_id),
        )

    def scope(self, owner: Id | None) -> int:
        if (scope := self._scopes.get(owner)) is None:
            found = scope_of(self._db, self._known.key, owner)
            assert found is not None, "an owner is put before its memories"
            scope = self._scopes[owner] = found
        return scope

    def embed(self, vectors: Mapping[Id, Vector]) -> None:
        found, fresh = [], True
        for id, vector in vectors.items():
            place = self._new.pop(id, None)
            if place is None:
                fresh, place = False, self._place(id)
            found.append(VectorRow(*place, vector))
        self._vectors.put(self._db, found, self.changes, fresh)
        reembedding.changed(self._db, [row.key for row in found])

    def _place(self, id: Id) -> _Place:
        row: Row | None = self._db.execute(
            "SELECT key, scope_key, CASE status WHEN 'ACTIVE' THEN weight END FROM memory WHERE id = ?", (id,)
        ).fetchone()
        assert row is not None, "a vector's memory is put before it"
        return _Place(*row)

    def delete(self, ids: Sequence[Id]) -> None:
        """Takes what hangs on memories that are about to be deleted."""
        ours = text(list(ids)), self._known.key
        keys = [int(key) for (key,) in self._db.execute(f"SELECT key FROM memory WHERE {_BY_IDS}", ours)]
        self._db.executemany("DELETE FROM memory_text WHERE rowid = ?", [(key,) for key in keys])
        texts.deleted(self._db)
        self._db.executemany(
            "UPDATE change SET before = json_set(before, '$.text', '') "
            "WHERE record = ? AND +workspace = ? AND before IS NOT NULL",
            [(id, self._known.key) for id in ids],
        )
        self._vectors.remove(self._db, keys, self.changes)
        reembedding.removed(self._db, keys)

    def active(self, owner_id: Id | None) -> int:
        """How many active memories an owner has. Counted once (0.3 ms for 10,000), then followed."""
        scope, known = self.scope(owner_id), self._known.active
        if (count := known.get(scope)) is None:
            count = known[scope] = self._one(_ACTIVE, scope)
        return count - self._one(_OVER, scope)

    def _one(self, sql: str, scope: int) -> int:
        row = self._db.execute(sql, (scope,)).fetchone()
        assert row is not None
        return int(row[0])

    def _count(self, scope: int, more: int) -> None:
        if scope in self._known.active:
            self._known.active[scope] += more


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
