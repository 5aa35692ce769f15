"""Vectors in SQLite: single rows for the newest ones of a scope, packed blocks for the rest.

A row a vector is slow to read in bulk: 8 ms for 10,000, where blocks of any size here take 1.0 to 1.5. A large block is
slow to read at one place, for SQLite walks a blob's pages from its start: 400 places took 12.7 ms in blocks of 512, 2.1
in blocks of 64. With mmap_size above the file's size 100 places take 0.8 ms in blocks of 64 and 0.3 in blocks of 32.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from stores.embedded import codes
from stores.embedded.codes import Codes, Floats, Halves

BLOCK = 32  # vectors a block
SPARSE = BLOCK // 4  # a block with fewer living vectors is dissolved into single rows

SETS = "vector", "vector_b"
"""The names of two sets of tables: one is in use, and while memories are embedded anew the other one is filled."""


def schema(tables: str = SETS[0]) -> str:
    """What makes the tables of a set."""
    return f"""
CREATE TABLE IF NOT EXISTS {tables} (memory INTEGER PRIMARY KEY, scope INTEGER NOT NULL, half BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS {tables}_by_scope ON {tables} (scope);
CREATE TABLE IF NOT EXISTS {tables}_block (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    memories BLOB NOT NULL, -- 32 x int64; 0 where the vector was removed
    codes BLOB NOT NULL,    -- 32 x uint64 for each 64 dimensions, taken around the scope's centre
    halves BLOB NOT NULL    -- 32 x dimension x float16, unit length
) STRICT;
CREATE INDEX IF NOT EXISTS {tables}_block_by_scope ON {tables}_block (scope);
CREATE TABLE IF NOT EXISTS {tables}_place ( -- place: block id x 32 + slot
    memory INTEGER PRIMARY KEY, place INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS {tables}_centre ( -- centre: dimension x float32
    scope INTEGER PRIMARY KEY, centre BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS {tables}_clock (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO {tables}_clock VALUES (1, 0);
"""


Keys = NDArray[np.int64]
_GIVEN = "(SELECT value FROM json_each(?))"


class Blocks:
    """A set of tables of one store, all vectors of one dimension. Holds no state: the connection is the caller's."""

    def __init__(self, dimension: int, tables: str = SETS[0]) -> None:
        self.dimension, self.tables = dimension, tables
        self._half = 2 * dimension  # bytes
        self._code = 8 * codes.words(dimension)  # bytes

    def tick(self, db: apsw.Connection) -> int:
        """The next version of the vectors, written in the caller's transaction."""
        version = self.version(db) + 1  # RETURNING would take four times as long
        db.execute(f"UPDATE {self.tables}_clock SET version = ?", (version,))
        return version

    def version(self, db: apsw.Connection) -> int:
        return int(_one(db, f"SELECT version FROM {self.tables}_clock")[0])

    def put(self, db: apsw.Connection, rows: Mapping[int, tuple[int, bytes]], fresh: bool = False) -> dict[int, int]:
        """Write vectors (memory key -> scope, float16 bytes); returns where the replaced ones were (key -> scope).

        fresh: no vector of these memories is there.
        """
        replaced = {} if fresh else self.remove(db, rows.keys())
        scopes: defaultdict[int, list[tuple[int, bytes]]] = defaultdict(list)
        for key, (scope, half) in rows.items():
            scopes[scope].append((key, half))
        for scope, added in scopes.items():
            if self._singles(db, scope) + len(added) >= BLOCK:
                added = self._pack(db, scope, added)
            db.executemany(f"INSERT INTO {self.tables} VALUES (?, ?, ?)", [(key, scope, half) for key, half in added])
        return replaced

    def remove(self, db: apsw.Connection, keys: Collection[int]) -> dict[int, int]:
        """Erase the vectors of these memories, bytes and all; returns where they were (key -> scope)."""
        given = json.dumps(list(keys))
        found = dict(_pairs(db, f"DELETE FROM {self.tables} WHERE memory IN {_GIVEN} RETURNING memory, scope", given))
        slots: defaultdict[int, dict[int, int]] = defaultdict(dict)
        for key, place in _pairs(
            db, f"DELETE FROM {self.tables}_place WHERE memory IN {_GIVEN} RETURNING memory, place", given
        ):
            slots[place // BLOCK][place % BLOCK] = key
        thinned = set()
        for block, gone in slots.items():
            scope, dissolved = self._clear(db, block, gone)
            found.update(dict.fromkeys(gone.values(), scope))
            if dissolved:
                thinned.add(scope)
        for scope in thinned:
            self._tidy(db, scope)
        return found

    def _singles(self, db: apsw.Connection, scope: int) -> int:
        return int(_one(db, f"SELECT count(*) FROM {self.tables} WHERE scope = ?", scope)[0])

    def _pack(self, db: apsw.Connection, scope: int, added: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Move a scope's single rows and the added ones into blocks; returns what is left over for single rows."""
        rows: list[tuple[int, Any]] = [
            *db.execute(f"DELETE FROM {self.tables} WHERE scope = ? RETURNING memory, half", (scope,)),
            *added,
        ]
        rows.sort()  # by key: a copy in RAM is searched by key, sorted ones without an index
        for start in range(0, len(rows) - BLOCK + 1, BLOCK):
            self._write(db, scope, rows[start : start + BLOCK])
        return rows[len(rows) // BLOCK * BLOCK :]

    def _write(self, db: apsw.Connection, scope: int, rows: Sequence[tuple[int, bytes]]) -> None:
        halves = b"".join(half for _, half in rows)
        floats = codes.widened(np.frombuffer(halves, np.float16).reshape(BLOCK, self.dimension))
        centre = self.centre(db, scope)
        if centre is None:
            # Of the first block, and never moved: codes stay comparable. Even a first block of one text over and over
            # leaves 0.99 of the true top ten to be found, on the default embedder's vectors.
            centre = floats.mean(axis=0)
            db.execute(f"INSERT INTO {self.tables}_centre VALUES (?, ?)", (scope, centre.tobytes()))
        keys = np.array([key for key, _ in rows], np.int64).tobytes()
        db.execute(
            f"INSERT INTO {self.tables}_block (scope, memories, codes, halves) VALUES (?, ?, ?, ?)",
            (scope, keys, codes.encode(floats, centre).tobytes(), halves),
        )
        place = db.last_insert_rowid() * BLOCK
        db.executemany(
            f"INSERT INTO {self.tables}_place VALUES (?, ?)", [(row[0], place + i) for i, row in enumerate(rows)]
        )

    def _clear(self, db: apsw.Connection, block: int, slots: Collection[int]) -> tuple[int, bool]:
        """Zero slots of a block, or dissolve it when few are left; returns its scope and whether it was dissolved."""
        scope, blob = _one(db, f"SELECT scope, memories FROM {self.tables}_block WHERE id = ?", block)
        keys = np.frombuffer(blob, np.int64).copy()
        keys[list(slots)] = 0
        if np.count_nonzero(keys) < SPARSE:
            self._dissolve(db, block, scope, keys)
            return scope, True
        for column, width in (("memories", 8), ("codes", self._code), ("halves", self._half)):
            with db.blob_open("main", f"{self.tables}_block", column, block, True) as handle:
                for slot in slots:
                    handle.seek(slot * width)
                    handle.write(bytes(width))
        return scope, False

    def _dissolve(self, db: apsw.Connection, block: int, scope: int, keys: Keys) -> None:
        (halves,) = _one(db, f"DELETE FROM {self.tables}_block WHERE id = ? RETURNING halves", block)
        left = [
            (int(key), scope, halves[i * self._half : (i + 1) * self._half]) for i, key in enumerate(keys) if key != 0
        ]
        db.executemany(f"DELETE FROM {self.tables}_place WHERE memory = ?", [(key,) for key, _, _ in left])
        db.executemany(f"INSERT INTO {self.tables} VALUES (?, ?, ?)", left)

    def _tidy(self, db: apsw.Connection, scope: int) -> None:
        """After blocks were dissolved: pack what became too many single rows, forget the centre of no block."""
        if self._singles(db, scope) >= BLOCK:
            left = self._pack(db, scope, [])
            db.executemany(f"INSERT INTO {self.tables} VALUES (?, ?, ?)", [(key, scope, half) for key, half in left])
        db.execute(
            f"DELETE FROM {self.tables}_centre WHERE scope = ?1 "
            f"AND NOT EXISTS (SELECT 1 FROM {self.tables}_block WHERE scope = ?1)",
            (scope,),
        )

    def centre(self, db: apsw.Connection, scope: int) -> Floats | None:
        """The centre (d) around which a scope's codes are taken; None before its first block."""
        row = db.execute(f"SELECT centre FROM {self.tables}_centre WHERE scope = ?", (scope,)).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32)

    def size(self, db: apsw.Connection, scope: int) -> int:
        """How many vectors a scope has at most: removed ones in blocks count."""
        blocks = _one(db, f"SELECT count(*) FROM {self.tables}_block WHERE scope = ?", scope)[0]
        return int(blocks) * BLOCK + self._singles(db, scope)

    def floats(self, db: apsw.Connection, scope: int) -> Iterator[tuple[Keys, Halves]]:
        """All keys (n) and float16 vectors (n, d) of a scope, a block at a time; a removed one has the key 0."""
        for memories, halves in db.execute(
            f"SELECT memories, halves FROM {self.tables}_block WHERE scope = ? ORDER BY id", (scope,)
        ):
            yield np.frombuffer(memories, np.int64), self._rows(halves)
        singles = self._newest(db, scope)
        if singles is not None:
            yield singles

    def codes(self, db: apsw.Connection, scope: int, centre: Floats) -> Iterator[tuple[Keys, Codes]]:
        """All keys (n) and codes (n, words) of a scope, a block at a time; a removed one has the key 0."""
        width = self._code // 8
        for memories, code in db.execute(
            f"SELECT memories, codes FROM {self.tables}_block WHERE scope = ? ORDER BY id", (scope,)
        ):
            yield np.frombuffer(memories, np.int64), np.frombuffer(code, np.uint64).reshape(-1, width)
        singles = self._newest(db, scope)
        if singles is not None:
            yield singles[0], codes.encode(codes.widened(singles[1]), centre)

    def _newest(self, db: apsw.Connection, scope: int) -> tuple[Keys, Halves] | None:
        sql = f"SELECT memory, half FROM {self.tables} WHERE scope = ? ORDER BY memory"
        rows: list[tuple[Any, ...]] = db.execute(sql, (scope,)).fetchall()
        if not rows:
            return None
        return np.array([row[0] for row in rows], np.int64), self._rows(b"".join(row[1] for row in rows))

    def _rows(self, halves: bytes | bytearray) -> Halves:
        return np.frombuffer(halves, np.float16).reshape(-1, self.dimension)

    def read(self, db: apsw.Connection, keys: Keys) -> tuple[Keys, Floats]:
        """The vectors of these memories: positions in `keys` of those that have one, and float32 rows (n, d).

        Call it within a transaction. 600 of 100,000 take 3 ms.
        """
        where = {int(key): i for i, key in enumerate(keys)}
        given = json.dumps(list(where))
        places = sorted(
            (place, key)
            for key, place in _pairs(
                db, f"SELECT memory, place FROM {self.tables}_place WHERE memory IN {_GIVEN}", given
            )
        )
        found, halves = [key for _, key in places], self._slots(db, [place for place, _ in places])
        if len(found) < len(where):
            missing = json.dumps(list(where.keys() - set(found)))
            singles: list[tuple[Any, ...]] = db.execute(
                f"SELECT memory, half FROM {self.tables} WHERE memory IN {_GIVEN}", (missing,)
            ).fetchall()
            found += [key for key, _ in singles]
            halves += b"".join(half for _, half in singles)
        return np.array([where[key] for key in found], np.int64), codes.widened(self._rows(halves))

    def _slots(self, db: apsw.Connection, places: Sequence[int]) -> bytearray:
        """The halves at these places, which are in order, so that each block is opened once."""
        halves = bytearray(len(places) * self._half)
        if not places:
            return halves
        block = places[0] // BLOCK
        with db.blob_open("main", f"{self.tables}_block", "halves", block, False) as handle:
            for i, place in enumerate(places):
                if place // BLOCK != block:
                    block = place // BLOCK
                    handle.reopen(block)
                handle.seek(place % BLOCK * self._half)
                handle.read_into(halves, i * self._half, self._half)
        return halves


def _pairs(db: apsw.Connection, sql: str, given: str) -> list[tuple[int, int]]:
    return [(int(row[0]), int(row[1])) for row in db.execute(sql, (given,))]


def _one(db: apsw.Connection, sql: str, *given: int) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = db.execute(sql, given).fetchone()
    assert row is not None
    return row
