"""Change the embedder of a file: fill the set of vector tables that is not in use, then use it.

What is done is noted in the same transactions: up to which key the memories have new vectors, and which of these were
changed since. So a process that is killed is followed by one that goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import apsw
import msgspec
import numpy as np

from stores.embedded import codes
from stores.embedded.blocks import SETS, Blocks, schema
from stores.embedded.readers import Readers
from stores.embedded.vectors import VectorIndex
from stores.embedded.writer import Writer
from stores.ports import AT_THE_END, Reembedding, Unembedded, Vector

T = TypeVar("T")

_WEIGHTS = "SELECT key, weight FROM memory WHERE scope_key = ? AND status = 'ACTIVE'"

_CLEARED = 500
"""Rows that one transaction takes away."""

_NOTE, _SET, _EMBEDDER = "reembedding", "vectors", "embedder"
"""Names in the table meta: what is under way, the set in use, and whose vectors it holds."""

_CHANGED = "CREATE TABLE IF NOT EXISTS vector_changed (memory INTEGER PRIMARY KEY) STRICT"


class _Note(msgspec.Struct):
    """A reembedding under way. after: the key up to which memories have a vector, but for those in vector_changed."""

    embedder: str
    after: int = 0

    @property
    def dimension(self) -> int:
        return _dimension(self.embedder)


def _dimension(label: str) -> int:
    return int(label.rpartition(" ")[2])


def _meta(db: apsw.Connection, name: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _noted(db: apsw.Connection) -> _Note | None:
    found = _meta(db, _NOTE)
    return None if found is None else msgspec.json.decode(found, type=_Note)


def _set(db: apsw.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def tables_in_use(db: apsw.Connection) -> str:
    return _meta(db, _SET) or SETS[0]


def _others(db: apsw.Connection) -> str:
    return SETS[1 - SETS.index(tables_in_use(db))]


def in_use(db: apsw.Connection) -> VectorIndex:
    """The index of the vectors in use."""
    label, tables = _meta(db, _EMBEDDER) or "", tables_in_use(db)
    version = Blocks(_dimension(label), tables).version(db)
    return VectorIndex(_dimension(label), _WEIGHTS, tables=tables, embedder=label, version=version)


def changed(db: apsw.Connection, keys: Sequence[int]) -> None:
    """Memories were given vectors, within the caller's transaction: what was made of their texts is made again."""
    if (note := _noted(db)) is not None and (again := [key for key in keys if key <= note.after]):
        _blocks(db, note).remove(db, again)
        db.executemany("INSERT OR IGNORE INTO vector_changed VALUES (?)", [(key,) for key in again])


def removed(db: apsw.Connection, keys: Sequence[int]) -> None:
    """Memories are deleted, within the caller's transaction."""
    if (note := _noted(db)) is not None:
        _blocks(db, note).remove(db, keys)
        db.executemany("DELETE FROM vector_changed WHERE memory = ?", [(key,) for key in keys])


def _blocks(db: apsw.Connection, note: _Note) -> Blocks:
    return Blocks(note.dimension, _others(db))


async def begin(writer: Writer, readers: Readers, embedder: str, taken: Callable[[], None]) -> Reembedding:
    """taken: told within the transaction that takes the new vectors into use."""
    made = _Reembedding(writer, readers, taken)

    def note(db: apsw.Connection) -> bool:
        under_way = _noted(db)
        if under_way is None or under_way.embedder != embedder:
            db.execute("DELETE FROM meta WHERE name = ?", (_NOTE,))
        return under_way is not None and under_way.embedder == embedder

    if not await _write(writer, note):
        await retire(writer)

        def start(db: apsw.Connection) -> None:
            db.execute(schema(_others(db))).fetchall()
            db.execute(_CHANGED)
            db.execute("DELETE FROM vector_changed")
            _set(db, _NOTE, msgspec.json.encode(_Note(embedder)).decode())

        await _write(writer, start)
    return made


async def retire(writer: Writer) -> None:
    """Clears the set that is not in use, unless it is being filled."""

    def clear(db: apsw.Connection) -> bool:
        tables = _others(db)
        there = db.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (tables,)).fetchone()
        if there is None or _noted(db) is not None:
            return False
        for table, key in ((f"{tables}_block", "id"), (f"{tables}_place", "memory"), (tables, "memory")):
            db.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} LIMIT ?)", (_CLEARED,))
            if db.changes():
                return True
        db.execute(f"DELETE FROM {tables}_centre")
        return False

    while await _write(writer, clear):
        pass


async def _write(writer: Writer, work: Callable[[apsw.Connection], T]) -> T:
    """Does something in a transaction of the writer."""

    async def script(_: Any) -> T:
        return work(writer.db)

    return await writer.write(script, _Unit)


class _Unit:
    """What the writer asks of a transaction."""

    wrote = True

    def committed(self) -> set[str]:
        return set()


class _Reembedding:
    """See stores.ports.Reembedding. Keys are the memories' in the file."""

    def __init__(self, writer: Writer, readers: Readers, taken: Callable[[], None]) -> None:
        self._writer, self._readers, self._taken = writer, readers, taken

    async def progress(self) -> tuple[int, int]:
        def read(db: apsw.Connection) -> tuple[int, int]:
            row: Any = db.execute(f"SELECT (SELECT count(*) FROM memory), {_LEFT}", (_after(db),)).fetchone()
            return row[0] - row[1], row[0]

        return await self._readers.in_thread(read)

    async def missing(self, limit: int) -> list[Unembedded]:
        return await self._readers.in_thread(lambda db: _missing(db, limit))

    async def put(self, made: Sequence[tuple[Unembedded, Vector]]) -> None:
        await _write(self._writer, lambda db: _put(db, made))

    async def finish(self, embed: Callable[[list[str]], Vector]) -> bool:
        def take(db: apsw.Connection) -> bool:
            note = _noted(db)
            if note is None:
                return True
            left = _missing(db, AT_THE_END + 1)
            if len(left) > AT_THE_END:
                return False
            if left:
                _put(db, list(zip(left, embed([one.text for one in left]), strict=True)))
            tables = _others(db)
            Blocks(note.dimension, tables).tick(db)  # copies of before are older
            _set(db, _SET, tables)
            _set(db, _EMBEDDER, note.embedder)
            db.execute("DELETE FROM meta WHERE name = ?", (_NOTE,))
            self._taken()
            return True

        return await _write(self._writer, take)


_LEFT = "(SELECT count(*) FROM memory WHERE key > ?) + (SELECT count(*) FROM vector_changed)"


def _after(db: apsw.Connection) -> int:
    note = _noted(db)
    return 0 if note is None else note.after


def _missing(db: apsw.Connection, limit: int) -> list[Unembedded]:
    """Those behind what is done first, then those that were changed."""
    rows: list[Any] = db.execute(
        "SELECT key, text FROM memory WHERE key > ? ORDER BY key LIMIT ?", (_after(db), limit)
    ).fetchall()
    if len(rows) < limit:
        rows += db.execute(
            "SELECT m.key, m.text FROM vector_changed c JOIN memory m ON m.key = c.memory LIMIT ?", (limit - len(rows),)
        ).fetchall()
    return [Unembedded(key, text) for key, text in rows]


def _put(db: apsw.Connection, made: Sequence[tuple[Unembedded, Vector]]) -> None:
    note = _noted(db)
    if note is None or not made:
        return
    halves = codes.unit(np.stack([vector for _, vector in made])).astype(np.float16)
    given = json.dumps([one.key for one, _ in made])
    there: dict[Any, tuple[int, str]] = {
        key: (int(scope), str(text))
        for key, scope, text in db.execute(
            "SELECT key, scope_key, text FROM memory WHERE key IN (SELECT value FROM json_each(?))", (given,)
        )
    }
    asked = {one.key: one.text for one, _ in made}
    kept = zip(asked, halves, strict=True)
    same: dict[Any, Any] = {key: half for key, half in kept if key in there and there[key][1] == asked[key]}
    _blocks(db, note).put(db, {key: (there[key][0], half.tobytes()) for key, half in same.items() if half.any()})
    db.executemany("DELETE FROM vector_changed WHERE memory = ?", _rows(same))
    beyond = [key for key in asked if isinstance(key, int) and key > note.after]
    since = [key for key in beyond if key in there and key not in same]
    db.executemany("INSERT OR IGNORE INTO vector_changed VALUES (?)", _rows(since))
    _set(db, _NOTE, msgspec.json.encode(_Note(note.embedder, max([note.after, *beyond]))).decode())


def _rows(keys: Iterable[Any]) -> list[tuple[Any]]:
    return [(key,) for key in keys]
