"""Reads of the file, budgeted by time: a slow read moves from the event loop to a thread.

On the event loop at first, a row by an index takes some 5 us there and a hop to a thread 40. One that is not through in
2 ms starts again in a thread, and one that is not in 200 ms in a thread for long ones, so that these never stand in the
way of others, searches above all. A long one ends by its deadline.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import apsw

from stores.errors import TooLong

T = TypeVar("T")
Read = Callable[[apsw.Connection], T]
"""A read of the file. It may be run again from the start."""

ON_THE_LOOP = 0.002
IN_A_LANE = 0.2
"""How long a read may take in seconds: where it is asked for, and in a thread for what is quick."""

MUCH = 200
"""From so many rows on a read goes to a thread at once. A row takes some 4 us, but each lets other threads run in
between: with others at work that held up the loop for 20 ms and more."""

_THREADS = 2
_STEPS = 1_000
"""After how many of SQLite's steps, of some 50 ns each, the time is looked at."""


class _Overrun(Exception):
    """A read has used up its time."""


class _Budget:
    """Until when a read may run; stopped: nobody waits for it any more."""

    def __init__(self) -> None:
        self.until, self.stopped = math.inf, False


class Readers:
    """A connection for the event loop, and one for each thread of two lanes. deadline: how long a read may take at all,
    in seconds."""

    def __init__(self, connect: Callable[[], apsw.Connection], deadline: float) -> None:
        self._connect = connect
        self._local = threading.local()
        self._quick = ThreadPoolExecutor(_THREADS, thread_name_prefix="recollect-reader")
        self._long = ThreadPoolExecutor(_THREADS, thread_name_prefix="recollect-scan")
        self.deadline = deadline

    @property
    def db(self) -> apsw.Connection:
        db: apsw.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._connect()
            db.execute("PRAGMA query_only = ON")
            db.set_progress_handler(self._is_over, _STEPS)
        return db

    def _is_over(self) -> bool:
        budget: _Budget | None = getattr(self._local, "budget", None)
        return budget is not None and (budget.stopped or time.perf_counter() > budget.until)

    async def read(self, read: Read[T], most: int = 0) -> T:
        """Runs a read that gives so many rows at the most, if that is known. Raises TooLong."""
        if most < MUCH:
            try:
                return self._within(read, _Budget(), ON_THE_LOOP)
            except _Overrun:
                pass
        try:
            return await self._in(self._quick, read, IN_A_LANE)
        except _Overrun:
            pass
        try:
            return await self._in(self._long, read, self.deadline)
        except _Overrun:
            raise TooLong(f"a read took longer than {self.deadline:g} seconds") from None

    async def in_thread(self, read: Read[T]) -> T:
        """Runs a read of more than a few rows, such as a search. Raises TooLong."""
        try:
            return await self._in(self._quick, read, self.deadline)
        except _Overrun:
            raise TooLong(f"a read took longer than {self.deadline:g} seconds") from None

    async def _in(self, lane: ThreadPoolExecutor, read: Read[T], seconds: float) -> T:
        """Runs a read with one state of the file; it ends soon after nobody waits for it any more."""
        budget = _Budget()

        def run() -> T:
            def whole(db: apsw.Connection) -> T:
                with db:
                    found = read(db)
                return found  # noqa: RET504 - to mypy, apsw's "with" may swallow what is raised in it

            return self._within(whole, budget, seconds)

        try:
            return await asyncio.get_running_loop().run_in_executor(lane, run)
        except asyncio.CancelledError:
            budget.stopped = True
            raise

    def _within(self, read: Read[T], budget: _Budget, seconds: float) -> T:
        budget.until = time.perf_counter() + seconds
        db = self.db
        self._local.budget = budget
        try:
            return read(db)
        except apsw.InterruptError:
            raise _Overrun from None
        finally:
            self._local.budget = None

    def close(self) -> None:
        self._quick.shutdown()
        self._long.shutdown()


@contextmanager
def snapshot(db: apsw.Connection) -> Iterator[None]:
    """One snapshot of the file for several statements: the caller's, or one of our own."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")
