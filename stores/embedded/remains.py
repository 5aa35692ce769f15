"""Takes what was deleted out of the file, and looks for texts in all of the folder.

SQLite overwrites what is deleted (secure_delete), which leaves two places: the log of pages (WAL) has them as they were
until it is emptied, and the segments of the text index keep the words of memories that are gone until they are merged.
Both is done in slices between transactions of others; what is not merged yet is merged by the next erasure.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import apsw

from stores.embedded.texts import TABLES
from stores.embedded.writer import Writer
from stores.needles import PIECE, Needles
from stores.ports import Remains

_PAGES = 250
"""So many pages of the text index are merged at a time: some 10 ms."""

_CHUNK = 1 << 20
_BEFORE = 8
_CHECKPOINTS = 100
_MEMORY = "-shm"
"""What the file of the WAL's index in memory ends with: it has no texts."""


class Folder:
    """The files of a data folder. One that SQLite has open is never closed by us, for with it the process would lose
    SQLite's locks on it (https://sqlite.org/howtocorrupt.html, section 2.2)."""

    def __init__(self, folder: Path, file: Path) -> None:
        self._folder, self._file = folder, file
        self._opened: int | None = None

    def close(self) -> None:
        """Called once SQLite has closed the file."""
        if self._opened is not None:
            os.close(self._opened)

    async def remains(self, writer: Writer, texts: Sequence[str]) -> Remains:
        await _tidy(writer)
        needles, found = await asyncio.to_thread(Needles, texts), set[int]()
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.name.endswith(_MEMORY):
                found |= await self._found(path, needles)
        return Remains("sqlite", frozenset(found))

    async def _found(self, path: Path, needles: Needles) -> set[int]:
        try:
            file = self._own() if path == self._file else os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # it was on its way in, or out
            return set()
        found: set[int] = set()
        try:
            for start in range(0, os.fstat(file).st_size, _CHUNK):
                found |= await asyncio.to_thread(_in_chunk, file, start, needles)
        finally:
            if file != self._opened:
                os.close(file)
        return found

    def _own(self) -> int:
        if self._opened is None:
            self._opened = os.open(self._file, os.O_RDONLY)
        return self._opened


def _in_chunk(file: int, start: int, needles: Needles) -> set[int]:
    """What begins in a chunk, also where it ends in the next one."""
    first = max(start - _BEFORE, 0)
    return needles.found(os.pread(file, start - first + _CHUNK + PIECE, first))


async def _tidy(writer: Writer) -> None:
    for table in TABLES:
        pages = -_PAGES  # less than none: what is to be merged is all there is now
        while await writer.keep_up(partial(_merged, table, pages)):
            pages = _PAGES
            await asyncio.sleep(0)
    for _ in range(_CHECKPOINTS):
        if await writer.keep_up(_emptied):
            return
        await asyncio.sleep(0.05)


def _merged(table: str, pages: int, db: apsw.Connection) -> bool:
    """Whether there was something to merge (https://sqlite.org/fts5.html, section 6.9)."""
    before = db.total_changes()
    db.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (pages,))
    return db.total_changes() - before >= 2


def _emptied(db: apsw.Connection) -> bool:
    """Whether the WAL could be emptied: nobody reads what it was."""
    db.set_busy_timeout(20)
    try:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.BusyError:
        return False
    finally:
        db.set_busy_timeout(5000)
    return True
