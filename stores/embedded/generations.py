"""Cached generations in a file of their own: a hit writes its count, and nothing that must last waits for the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import apsw

from domain.generation import CachedGeneration, EvictGenerationsInput
from stores.errors import Unavailable
from stores.rows import as_raw, micros, moment, raw

FILE = "generations.db"

MOST = 100_000
"""How many a folder keeps; the oldest go first."""

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS generation (
  workspace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, model TEXT, tags TEXT NOT NULL,
  hits INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, UNIQUE (workspace, key));
"""
_FOUND = "key, value, model, tags, hits, created_at, expires_at"
_LIVE = "workspace = ? AND (expires_at IS NULL OR expires_at > ?)"


class FileGenerations:
    """See stores.ports.Generations. The file is made when something is first kept."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._path, self._clock = folder / FILE, clock
        self._opened: apsw.Connection | None = None

    def _db(self, make: bool = False) -> apsw.Connection | None:
        if self._opened is None and (make or self._path.exists()):
            try:
                self._opened = apsw.Connection(str(self._path))
                self._opened.execute(_SCHEMA).fetchall()
            except apsw.Error as error:
                self._opened = None
                raise Unavailable(f"{self._path.name}: {error}") from None
        return self._opened

    def _now(self) -> int:
        return micros(self._clock()) or 0

    async def find(self, workspace: str, key: str) -> CachedGeneration | None:
        try:
            if (db := self._db()) is None:
                return None
            row = db.execute(
                f"UPDATE generation SET hits = hits + 1 WHERE {_LIVE} AND key = ? RETURNING {_FOUND}",
                (workspace, self._now(), key),
            ).fetchone()
        except (apsw.Error, Unavailable):
            return None
        if row is None:
            return None
        key, value, model, tags, hits, created, expires = row
        return CachedGeneration(
            key=key,
            value=as_raw(value),
            model=model,
            tags=json.loads(tags),
            hits=hits,
            created_at=moment(created),
            expires_at=moment(expires),
        )

    async def keep(self, workspace: str, generation: CachedGeneration) -> None:
        db = self._db(make=True)
        assert db is not None
        one = generation
        row = (raw(one.value), one.model, json.dumps(one.tags), micros(one.created_at), micros(one.expires_at))
        try:
            with db:
                db.execute("DELETE FROM generation WHERE expires_at <= ?", (self._now(),))
                db.execute(
                    "INSERT OR REPLACE INTO generation VALUES (?, ?, ?, ?, ?, 0, ?, ?)", (workspace, one.key, *row)
                )
                db.execute(f"DELETE FROM generation WHERE rowid <= (SELECT max(rowid) FROM generation) - {MOST}")
        except apsw.Error as error:
            raise Unavailable(f"{self._path.name}: {error}") from None

    async def evict(self, workspace: str, which: EvictGenerationsInput) -> int:
        if (db := self._db()) is None:
            return 0
        found = db.execute(f"SELECT rowid, key, model, tags FROM generation WHERE {_LIVE}", (workspace, self._now()))
        gone = [(row,) for row, key, model, tags in found if which.matches(key, model, json.loads(tags))]
        if not which.dry_run:
            with db:
                db.executemany("DELETE FROM generation WHERE rowid = ?", gone)
        return len(gone)

    def tidy(self) -> None:
        """Takes what was evicted out of the file, as far as nobody reads it."""
        if (db := self._db()) is not None:
            db.execute("DELETE FROM generation WHERE expires_at <= ?", (self._now(),))
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
