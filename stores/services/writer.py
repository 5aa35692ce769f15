"""Writes of one workspace: concurrent scripts share a Neo4j transaction (group commit), one transaction at a time.

A transaction holds the lock of its workspace's node, in every process, so what scripts read stays so until the commit
and the places in the logs are in commit order. A group's scripts run twice: once side by side, so that all they read is
read together, and then one after the other for what they write; the second run hardly asks the database.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from stores.errors import StoreError, Taken, Unavailable
from stores.ids import Ids
from stores.policies import GROUP
from stores.ports import Script
from stores.rows import micros
from stores.services.flush import flush
from stores.services.neo4j_client import PATIENCE, Collided, InDoubt, Neo4jClient, Unit, patience
from stores.services.pending import Pending
from stores.services.snapshot import Held, Snapshot
from stores.services.transaction import Alone, ServicesTransaction

T = TypeVar("T")

_log = logging.getLogger("recollect")

_FULL = 5_000
"""With so much to write a transaction takes no more scripts."""

_QUEUE = 10_000
"""How many scripts may wait; more are refused."""

_ATTEMPTS = 3


class _Job:
    """A script that waits for its turn."""

    def __init__(self, script: Script[Any]) -> None:
        self.script = script
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.alone = False
        self.result: Any = None
        self.error: BaseException | None = None

    async def run(self, transaction: ServicesTransaction, unit: Unit) -> None:
        """Runs the script; keeps what it returned or raised. Raises Alone, and what ended the transaction."""
        self.result = self.error = None
        try:
            self.result = await self.script(transaction)
        except Exception as error:
            self.error = error
        if unit.failure is not None:
            raise unit.failure

    def settle(self) -> None:
        """Tells the caller."""
        if not self.future.done():
            if self.error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(self.error)
                self.future.exception()  # seen: the caller may have left


class Writer:
    """The queue of one workspace.

    commits, writes: how many transactions it has made, and how many scripts in them. written: how many writes of the
    workspace there were in all processes, when it last wrote or looked.
    """

    def __init__(
        self,
        graph: Neo4jClient,
        workspace: str,
        ids: Ids,
        clock: Callable[[], datetime],
        committed: Callable[[Pending], Awaitable[None]],
    ) -> None:
        """committed: told after a commit, before the callers are."""
        self._graph, self._workspace, self._ids, self._clock, self._told = graph, workspace, ids, clock, committed
        self._jobs: collections.deque[_Job] = collections.deque()
        self._running: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._closed = False
        self.commits = self.writes = self.written = 0

    async def write(self, script: Script[T]) -> T:
        """Runs a script as one durable transaction. Raises what the script raised, or Unavailable."""
        if self._closed:
            raise Unavailable("the store is closing")
        if len(self._jobs) >= _QUEUE:
            raise Unavailable("too many writes are waiting")
        job = _Job(script)
        self._jobs.append(job)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        result: T = await asyncio.shield(job.future)
        return result

    async def close(self) -> None:
        """Finishes what is queued."""
        self._closed = True
        while self._running is not None:
            await asyncio.wait([self._running])
        if self._telling:
            await asyncio.wait(self._telling)

    async def _run(self) -> None:
        try:
            while self._jobs:
                await asyncio.sleep(0)  # callers of this turn come along
                group = self._next()
                try:
                    await self._commit(group)
                except Exception as error:
                    self._fail(group, error)
        finally:
            self._running = None

    def _next(self) -> list[_Job]:
        if self._jobs[0].alone:
            return [self._jobs.popleft()]
        group: list[_Job] = []
        while self._jobs and len(group) < GROUP and not self._jobs[0].alone:
            group.append(self._jobs.popleft())
        return group

    def _fail(self, group: list[_Job], error: Exception) -> None:
        if not isinstance(error, StoreError):
            _log.error("a commit failed", exc_info=error)
            error = StoreError(str(error))
        for job in group:
            job.error = error
            job.settle()

    async def _commit(self, group: list[_Job]) -> None:
        attempt = 0
        while True:
            try:
                done, pending = await self._attempt(group)
                break
            except InDoubt:
                raise
            except Collided:
                if attempt == PATIENCE:
                    raise
                await patience(attempt)
            except Taken:
                if len(group) == 1:
                    raise
                for job in group:  # the database does not say whose key it was
                    job.alone = True
                self._jobs.extendleft(reversed(group))
                return
            except Unavailable:
                if attempt >= _ATTEMPTS - 1 or self._graph.breaker.state == "open":
                    raise
                await asyncio.sleep(random.uniform(0.01, 0.05) * 2**attempt)
            attempt += 1
        self._jobs.extendleft(reversed(group[len(done) :]))
        self.commits, self.writes = self.commits + 1, self.writes + len(done)
        telling = asyncio.create_task(self._tell(done, pending))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _tell(self, done: list[_Job], pending: Pending) -> None:
        try:
            await self._told(pending)
        finally:
            for job in done:
                job.settle()

    async def _attempt(self, group: list[_Job]) -> tuple[list[_Job], Pending]:
        """Runs and commits the group as far as it can be run together: those that were, and what they wrote."""
        alone = group[0].alone
        async with self._graph.transaction() as unit:
            now = self._clock()
            committed = Snapshot(unit, self._workspace, micros(now) or 0)

            def begin(before: Pending) -> ServicesTransaction:
                return ServicesTransaction(committed, before, self._workspace, now, self._ids, alone)

            held = await self._look_ahead(group, committed, lambda: begin(Pending()), unit)
            pending = Pending(held.events, held.changes)
            places = held.events, held.changes
            self._ids.follow(int(held.last_id, 16) if held.last_id else 0)
            written = held.writes - 1
            done: list[_Job] = []
            for job in group:
                transaction = begin(pending)
                try:
                    await job.run(transaction, unit)
                except Alone:
                    job.alone = True
                    break
                done.append(job)
                if job.error is None:
                    pending.take(transaction.pending)
                elif alone:
                    await unit.roll_back()
                    return done, Pending()
                if pending.size > _FULL:
                    break
            if pending or pending.grown or (pending.events, pending.changes) != places or alone:
                await flush(committed, pending, self._ids.last)
                written = held.writes
            else:
                await unit.roll_back()
        self.written = max(self.written, written)
        return done, pending

    async def _look_ahead(
        self, group: list[_Job], committed: Snapshot, begin: Callable[[], ServicesTransaction], unit: Unit
    ) -> Held:
        """Locks the workspace, and meanwhile runs the scripts for what they ask: one alone up to its first question,
        several side by side for all they read. What comes of it is forgotten."""

        async def look(job: _Job) -> None:
            with contextlib.suppress(Alone):
                await job.run(begin(), unit)

        looking = [asyncio.ensure_future(look(job)) for job in group if not job.alone]
        try:
            held = await committed.lock()
            if len(group) > 1:
                await asyncio.wait(looking)
        finally:
            for one in looking:
                one.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
        await committed.answered()
        if unit.failure is not None:
            raise unit.failure
        return held
