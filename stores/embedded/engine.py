"""The embedded engine: one folder, one SQLite file, one writer, readers beside it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from domain.members import passes_encoded
from domain.model_call import ModelCall
from domain.values import fold, has_members
from stores.catalogue.kinds import KINDS
from stores.embedded import reembedding, texts
from stores.embedded.branches import Branches
from stores.embedded.frequency import Frequency
from stores.embedded.generations import FileGenerations
from stores.embedded.known import Memory
from stores.embedded.migrations import migrate
from stores.embedded.readers import Readers
from stores.embedded.remains import Folder
from stores.embedded.store import EmbeddedStore
from stores.embedded.writer import Writer
from stores.errors import CannotOpen, InUse, other_embedder
from stores.ids import Ids
from stores.ports import Figure, Generations, Opening, Reembedding, Remains, Stats, StoreHealth
from stores.rates import Rates

FILE = "recollect.db"
_DUE = " UNION ".join(f"SELECT workspace FROM {of.name} WHERE {of.due} <= ?1" for of in KINDS if of.due is not None)
LOCK = "recollect.lock"

_PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -16384;
PRAGMA mmap_size = 2147483648;
PRAGMA journal_size_limit = 67108864;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA secure_delete = ON;
"""


class EmbeddedEngine:
    """See stores.ports.Engine. Open it with `open_embedded`."""

    def __init__(self, opening: Opening, lock: int) -> None:
        clock = opening.clock
        self.folder, self._lock, self.clock = Path(opening.data), lock, clock
        self.path = str(self.folder / FILE)
        self._connections: list[apsw.Connection] = []
        self._woken: dict[str, set[asyncio.Event]] = {}
        self.readers = Readers(self._connect, opening.read_seconds)
        writer_db = self._connect()
        migrate(writer_db, self.path)
        self._bind(writer_db, opening.label)
        self.epoch = self._epoch(writer_db)
        self.frequency, self.said, self.written = Frequency(), Frequency("message"), Frequency("document_chunk")
        self.known, self.branches = Memory(), Branches()
        self.vectors = reembedding.in_use(writer_db)
        self.ids = Ids(clock, _last_id(writer_db))
        self.writer = Writer(writer_db, self._wake, self._forget)
        self._generations = FileGenerations(self.folder, clock)
        self.generations: Generations = self._generations
        self._files = Folder(self.folder, self.folder / FILE)
        self._stores: dict[str, EmbeddedStore] = {}
        self._rates = Rates()
        self._closed = False

    def _connect(self) -> apsw.Connection:
        db = apsw.Connection(self.path)
        db.set_busy_timeout(5000)
        # Or a statement is prepared anew whenever a LIMIT or the end of a range is bound, for three times its cost.
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        db.execute(_PRAGMAS).fetchall()  # a statement that answers stops the ones after it until it is read
        db.create_scalar_function("now_us", self._now_us, 0)
        db.create_scalar_function("has_members", _has_members, 2, deterministic=True)
        db.create_scalar_function("members_pass", _members_pass, 2, deterministic=True)
        db.create_scalar_function("contains", _contains, 2, deterministic=True)
        db.create_scalar_function("says", texts.says, 2, deterministic=True)
        db.create_scalar_function("call_says", _call_says, 2, deterministic=True)
        self._connections.append(db)
        return db

    def _now_us(self, *_: object) -> int:
        return int(self.clock().timestamp() * 1_000_000)

    def _epoch(self, db: apsw.Connection) -> str:
        db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(4),))
        row = db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        assert row is not None
        return str(row[0])

    @property
    def reader(self) -> apsw.Connection:
        return self.readers.db

    def workspace(self, name: str) -> EmbeddedStore:
        if (store := self._stores.get(name)) is None:
            store = self._stores[name] = EmbeddedStore(self, name)
        return store

    def _bind(self, db: apsw.Connection, embedder: str | None) -> None:
        """Notes the first time whose vectors the file holds; others would not be comparable."""
        if embedder is not None:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('embedder', ?)", (embedder,))
        row = db.execute("SELECT value FROM meta WHERE name = 'embedder'").fetchone()
        if row is None:
            raise CannotOpen(f"{self.path} holds no vectors yet.")
        if embedder not in (None, row[0]):
            raise other_embedder(self.path, str(row[0]), str(embedder))

    def _forget(self) -> None:
        """After a rollback."""
        self.known.forget()
        if reembedding.tables_in_use(self.writer.db) != self.vectors.tables:
            self.vectors = reembedding.in_use(self.writer.db)

    @property
    def embedder(self) -> str:
        return self.vectors.embedder

    async def latest(self) -> str:
        return self.vectors.embedder

    def use(self, embedder: str) -> None:
        """It is one process, which uses the latest as soon as there is one."""

    async def reembedding(self, embedder: str) -> Reembedding:
        def taken() -> None:
            self.vectors = reembedding.in_use(self.writer.db)

        return await reembedding.begin(self.writer, self.readers, embedder, taken)

    async def retire(self) -> None:
        await reembedding.retire(self.writer)

    def listen(self, log: str) -> asyncio.Event:
        event = asyncio.Event()
        self._woken.setdefault(log, set()).add(event)
        return event

    def unlisten(self, log: str, event: asyncio.Event) -> None:
        waiting = self._woken[log]
        waiting.discard(event)
        if not waiting:
            del self._woken[log]

    def _wake(self, grown: set[str]) -> None:
        for log in grown:
            for event in self._woken.get(log, ()):
                event.set()

    async def health(self) -> list[StoreHealth]:
        begun = time.perf_counter()
        try:
            self.reader.execute("SELECT count(*) FROM workspace").fetchone()
        except apsw.Error as error:
            return [StoreHealth("sqlite", "unhealthy", (time.perf_counter() - begun) * 1000, str(error))]
        return [StoreHealth("sqlite", "healthy", (time.perf_counter() - begun) * 1000)]

    async def workspaces(self) -> list[str]:
        return [str(row[0]) for row in self.reader.execute("SELECT name FROM workspace")]

    async def due(self) -> list[str]:
        found = self.reader.execute(
            f"SELECT w.name FROM ({_DUE}) d CROSS JOIN workspace w ON w.key = d.workspace",
            (self._now_us(),),
        )
        return [str(row[0]) for row in found]

    async def spend(self, name: str, per_minute: int) -> float:
        return self._rates.spend(name, per_minute)

    async def remains(self, workspace: str, texts: Sequence[str]) -> list[Remains]:
        self._generations.tidy()
        return [await self._files.remains(self.writer, texts)]

    async def stats(self) -> Stats:
        db = self.reader
        names = [kind.name for kind in KINDS if kind.counted]
        counts = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}  # type: ignore[index]
        size = sum(path.stat().st_size for path in self.folder.glob(f"{FILE}*"))
        return Stats(counts, size)

    def figures(self) -> list[Figure]:
        vectors = self.vectors.stats()
        size = sum(path.stat().st_size for path in self.folder.glob(f"{FILE}*"))
        return [
            Figure("bytes", "sqlite", size),
            Figure("bytes", "vectors", vectors.cache_bytes),
            Figure("bytes", "words", self.frequency.bytes + self.said.bytes + self.written.bytes),
            Figure("bytes", "branches", self.branches.bytes),
            Figure("commits", "sqlite", self.writer.commits),
            Figure("writes", "sqlite", self.writer.writes),
            Figure("cache_hits", "vectors", vectors.hits),
            Figure("cache_misses", "vectors", vectors.misses),
        ]

    def _finish(self) -> None:
        self.writer.close()
        with contextlib.suppress(apsw.Error):  # of a full disk: it is noted, and done the next time
            texts.purge(self.writer.db)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._finish)
        self.readers.close()
        for db in reversed(self._connections):
            db.close()
        self._generations.close()
        self._files.close()
        os.close(self._lock)


def _has_members(*values: object) -> bool:
    text, wanted = values
    return has_members(str(text), str(wanted))


def _members_pass(*values: object) -> bool:
    value, tests = values
    return passes_encoded(str(value), str(tests))


def _contains(*values: Any) -> bool | None:
    text, folded = values
    return None if text is None else folded in fold(text)


def _call_says(*values: Any) -> bool | None:
    call, folded = values
    return None if call is None else any(folded in fold(text) for text in _decode_call(call).texts)


_decode_call = msgspec.json.Decoder(ModelCall).decode


def _last_id(db: apsw.Connection) -> int:
    """The greatest UUID in the file, so that ids keep growing where the clock has been set back in between."""
    found = [db.execute(f"SELECT max(id) FROM {name}").fetchone() for name in [kind.name for kind in KINDS]]
    return max((int(row[0][4:], 16) for row in found if row and row[0] is not None), default=0)


def open_embedded(
    folder: Path, embedder: str, dimension: int, clock: Callable[[], datetime] | None = None
) -> EmbeddedEngine:
    opening = Opening(data=str(folder), embedder=embedder, dimension=dimension)
    return open_folder(opening if clock is None else msgspec.structs.replace(opening, clock=clock))


def open_folder(opening: Opening) -> EmbeddedEngine:
    """Opens (or makes) the data folder. Raises CannotOpen, with one sentence."""
    folder = Path(opening.data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _hold(folder)
    except OSError as error:
        raise CannotOpen(f"Cannot use {folder} as a data folder: {error.strerror}.") from None
    try:
        return EmbeddedEngine(opening, lock)
    except apsw.Error as error:
        os.close(lock)
        raise CannotOpen(f"Cannot open {folder / FILE}: {error}.") from None
    except CannotOpen:
        os.close(lock)
        raise


def _hold(folder: Path) -> int:
    """Takes the folder for this process; the lock goes with the process, however that ends."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 200, 0).decode(errors="replace").strip() or "another process"
        os.close(lock)
        raise InUse(f"{folder} is in use by {holder}; stop it, or use another --data folder.") from None
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}\n".encode(), 0)
    return lock
