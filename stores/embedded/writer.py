"""The one writer: concurrent scripts share a transaction and its fsync (group commit)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import apsw

from stores.errors import StoreError, Taken, Unavailable
from stores.policies import GROUP
from stores.ports import Script

T = TypeVar("T")

_log = logging.getLogger("recollect")


class _Job:
    """A script that waits for its turn, and the future that waits for the script."""

    def __init__(self, script: Script[Any], begin: Callable[[], Any]) -> None:
        self.script, self.begin = script, begin
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, transaction: Any) -> None:
        """Runs the script to its end. The transaction's methods never suspend, so one step is all it takes."""
        self.error = self.result = None
        running = self.script(transaction).__await__()
        try:
            running.send(None)
        except StopIteration as stop:
            self.result = stop.value
        except apsw.ConstraintError as error:
            self.error = Taken(str(error))
        except BaseException as error:  # also a cancellation: the thread must outlive whatever a script raises
            self.error = error
        else:
            with contextlib.suppress(RuntimeError):  # one that awaits again while it is being closed
                running.close()
            self.error = StoreError("A write script awaited something other than its transaction.")

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class _Upkeep:
    """Work on the file itself that waits for its turn, outside of any transaction."""

    def __init__(self, work: Callable[[apsw.Connection], Any]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def run(self, db: apsw.Connection) -> None:
        try:
            settle: Callable[[], None] = partial(self._settle, self.future.set_result, self._work(db))
        except Exception as error:
            settle = partial(self._settle, self.future.set_exception, _failure(error))
        with contextlib.suppress(RuntimeError):  # that loop is closed
            self._loop.call_soon_threadsafe(settle)

    def _settle(self, how: Callable[[Any], None], what: Any) -> None:
        if not self.future.done():
            how(what)


class Writer:
    """A thread that owns the only connection that writes.

    commits, writes: how many transactions it has committed, and how many scripts in them.
    """

    def __init__(
        self, db: apsw.Connection, wake: Callable[[set[str]], None], forget: Callable[[], None] = lambda: None
    ) -> None:
        """wake: called in the caller's event loop after a commit, with the names of the logs that grew. forget: called
        in the thread after a rollback."""
        self.db, self._wake, self._forget = db, wake, forget
        self._jobs: queue.SimpleQueue[_Job | _Upkeep | None] = queue.SimpleQueue()
        self._gate = threading.Lock()  # so that nothing is queued behind the end
        self._closed = False
        self.commits = self.writes = 0
        self._thread = threading.Thread(target=self._run, name="recollect-writer", daemon=True)
        self._thread.start()

    async def write(self, script: Script[T], begin: Callable[[], Any]) -> T:
        """Runs a script in a transaction made by `begin`; returns after the commit is on the disk.

        Raises what the script raised (then nothing of it is kept), or Unavailable where the disk would not take it.
        """
        result: T = await self._put(_Job(script, begin))
        return result

    async def keep_up(self, work: Callable[[apsw.Connection], T]) -> T:
        """Has something done to the file between two transactions: a slice that others need not wait for long."""
        result: T = await self._put(_Upkeep(work))
        return result

    def _put(self, job: _Job | _Upkeep) -> asyncio.Future[Any]:
        with self._gate:
            if self._closed:
                raise Unavailable("the store is closing")
            self._jobs.put(job)
        return job.future

    def close(self) -> None:
        with self._gate:
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            if isinstance(first, _Upkeep):
                first.run(self.db)
                continue
            group: list[_Job] = [first]
            last: _Job | _Upkeep | None = first
            while len(group) < GROUP and not self._jobs.empty():
                last = self._jobs.get()
                if not isinstance(last, _Job):
                    break
                group.append(last)
            self._commit(group)
            if last is None:
                return
            if isinstance(last, _Upkeep):
                last.run(self.db)

    def _commit(self, group: list[_Job]) -> None:
        """One transaction for all; where a script fails after it wrote, each again in a savepoint of its own."""
        grown: set[str] = set()
        try:
            transactions = self._attempt(group, apart=False)
            if transactions is None:
                transactions = self._attempt(group, apart=True) or []
            for transaction in transactions:
                grown |= transaction.committed()
        except Exception as error:
            failure = _failure(error)
            for job in group:
                job.result, job.error = None, failure
        loops = {job.loop for job in group}
        for loop in loops:
            mine = [job for job in group if job.loop is loop]
            try:
                loop.call_soon_threadsafe(self._deliver, mine, grown)
            except RuntimeError:  # that loop is closed: nobody waits any more
                _log.debug("a caller left before its write was finished")

    def _deliver(self, group: list[_Job], grown: set[str]) -> None:
        for job in group:
            job.settle()
        self._wake(grown)

    def _attempt(self, group: list[_Job], apart: bool) -> list[Any] | None:
        """Runs and commits the group; None where it must be run apart. Raises what SQLite raised."""
        done: list[Any] = []
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            for job in group:
                if apart:
                    db.execute("SAVEPOINT job")
                transaction = job.begin()
                job.run(transaction)
                if isinstance(job.error, apsw.FullError | apsw.IOError):
                    raise job.error
                if job.error is None:
                    done.append(transaction)
                elif not apart and transaction.wrote:
                    self._rollback()
                    return None
                elif apart:
                    db.execute("ROLLBACK TO job")
                    self._forget()
                if apart:
                    db.execute("RELEASE job")
            db.execute("COMMIT")
            self.commits, self.writes = self.commits + 1, self.writes + len(done)
        except BaseException:
            self._rollback()
            raise
        return done

    def _rollback(self) -> None:
        # SQLite has rolled back by itself after some errors of the disk.
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")
        self._forget()


_REFUSED: dict[type[Exception], str] = {
    apsw.BusyError: "another program holds the database file",
    apsw.CantOpenError: "the database file cannot be opened",
    apsw.ReadOnlyError: "the database file cannot be written",
}
"""What SQLite did not do, where it was not for lack of room."""


def _failure(error: Exception) -> Exception:
    """What the callers of a failed commit are told."""
    if isinstance(error, apsw.FullError | apsw.IOError | apsw.CantOpenError | apsw.ReadOnlyError | apsw.BusyError):
        _log.error("cannot write to the database: %s", error)
        return Unavailable(f"{_REFUSED.get(type(error), 'cannot write to the disk: free some space')} ({error})")
    _log.exception("a commit failed")
    return StoreError(str(error))
