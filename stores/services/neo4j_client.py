"""Neo4j: a pool of connections, one statement a call, each bounded in time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from neo4j import AsyncDriver, AsyncGraphDatabase, AsyncTransaction, GraphDatabase, Query, Record
from neo4j.exceptions import (
    ClientError,
    ConnectionAcquisitionTimeoutError,
    ConstraintError,
    DriverError,
    Neo4jError,
    TransientError,
)

from stores.breaker import Breaker
from stores.errors import CannotOpen, StoreError, Taken, TooLong, Unavailable, other_embedder
from stores.ports import READ_SECONDS
from stores.services.connecting import Connecting
from stores.services.liveness import NO_ANSWER, Liveness, Place, first_answer
from stores.services.migrations import VERSION, is_current, migrate
from stores.services.plans import Plans
from stores.services.server_url import Form, bracketed, one_host, parse
from stores.services.vector_set import VectorSet

logging.getLogger("neo4j").setLevel(logging.CRITICAL)  # what it cannot do is raised, and told once by the breaker

POOL = 10
CALL_SECONDS = 10.0
"""How long one statement of a write may take at least, in the server and on the way; or as long as a read."""

_CONNECT_SECONDS = 1.5
_RETRY_SECONDS = 0.05
_HOSTS_SECONDS = 0.5
"""How long the hosts of a URL may take to say that they are there, before the driver is asked for others."""

_WHICH_BOLT = bytes.fromhex("6060b017 00040405 00000104 00000000 00000000")
"""The greeting of a client that speaks Bolt 5.0 to 5.4, or 4.1; the answer has four bytes."""

_OUR_FAULTS = tuple(f"Neo.ClientError.{kind}." for kind in ("Statement", "Schema", "Procedure", "Request"))
"""A statement that is wrong, say; whatever else is refused, a restart or another password may put right."""

_OF_A_TRANSACTION = ".Transaction."
"""In the code of what befell one transaction: Neo4j is well."""

_COLLIDED = (
    *(f"Neo.TransientError.Transaction.{kind}" for kind in ("DeadlockDetected", "LockClientStopped", "Outdated")),
    "Neo.ClientError.Statement.EntityNotFound",
)
"""A transaction met another: both waited for each other's locks, or what it had found was deleted meanwhile."""

_TIMED_OUT = ".Transaction.TransactionTimedOut"
"""In the code of a statement that took longer than it may."""

PATIENCE = 10
"""How often what met another transaction is tried again at the most; once is enough unless many do the same."""

_PARAMETER = re.compile(r"\$(\w+)")


@functools.lru_cache(2_000)
def in_one_map(statement: str) -> str:
    """A statement whose parameters are all members of one, $p.

    Neo4j plans a statement anew for each size class (1, to 10, to 100, ...) of each list and text among its parameters,
    0.1 to 0.5 s each time; it does not look into a map.
    """
    return _PARAMETER.sub(r"$p.\1", statement)


_FORM = Form(
    "RECOLLECT_GRAPH_URL",
    "neo4j://user:password@host:7687/database",
    [f"{scheme}{tls}" for scheme in ("neo4j", "bolt") for tls in ("", "+s", "+ssc")],
    7687,
)


class Address:
    """A URL neo4j://user:password@host:7687,host:7687/database taken apart; +s, +ssc and bolt stay as they are.

    Raises CannotOpen for one that is none. Of several hosts each can tell where the members of the cluster are.
    """

    def __init__(self, url: str) -> None:
        parts = parse(url, _FORM)
        self.routed = parts.scheme.startswith("neo4j")
        if not self.routed:
            one_host(parts, _FORM)
        self.place, self.hosts, self.auth = parts.place, parts.hosts, parts.credentials
        host, port = parts.hosts[0]
        self.uri = f"{parts.scheme}://{bracketed(host)}:{port}"
        self.ports = [Place(*one, "+" in parts.scheme) for one in parts.hosts]
        self.database = parts.path or "neo4j"

    @property
    def settings(self) -> dict[str, Any]:
        """Of a driver: who asks, and where else it may ask for the members of the cluster."""
        return {"auth": self.auth, **_SETTINGS, **({"resolver": self._routers} if len(self.hosts) > 1 else {})}

    def _routers(self, address: Any) -> list[tuple[str, int]]:
        first = tuple(address)[:2] == self.hosts[0]
        return self.hosts if first else [tuple(address)[:2]]


_SETTINGS: dict[str, Any] = {
    "max_connection_pool_size": POOL,
    "connection_timeout": _CONNECT_SECONDS,
    "connection_acquisition_timeout": 5.0,
    "max_transaction_retry_time": 0.0,
    "notifications_min_severity": "OFF",
    "telemetry_disabled": True,
    "user_agent": "recollect",
}


def prepare(address: Address, embedder: str | None, epoch: str) -> tuple[str, VectorSet]:
    """Makes the graph a current one, and returns the store's epoch and the vectors in use.

    embedder: whose they must be (label_of), if it is given. epoch: for a new store. Raises CannotOpen.
    """
    try:
        with GraphDatabase.driver(address.uri, **address.settings) as driver:

            def run(statement: str, **parameters: Any) -> list[Record]:
                return driver.execute_query(statement, parameters, database_=address.database).records

            # Without the constraint this is the first start, or two at once: MERGE alone could make two of them.
            run("CREATE CONSTRAINT recollect_one IF NOT EXISTS FOR (n:Recollect) REQUIRE n.one IS UNIQUE")
            [found] = run(
                "MERGE (m:Recollect {one: 1}) ON CREATE SET m.version = 0, m.epoch = $epoch "
                "SET m.embedder = coalesce(m.embedder, $embedder) "
                "RETURN m.version, m.epoch, m.embedder, m.property, m.declared",
                epoch=epoch,
                embedder=embedder,
            )
            version, kept, bound, property, declared = found
            if version > VERSION:
                raise CannotOpen(
                    f"The graph at {address.place} was written by a newer Recollect (version {version}, this program "
                    f"knows {VERSION}); upgrade Recollect to open it."
                )
            if (vectors := VectorSet.of(bound, property)) is None:
                raise CannotOpen(f"The graph at {address.place} holds no vectors yet.")
            if embedder not in (None, bound):
                raise other_embedder(address.place, bound, str(embedder))
            if not is_current(version, declared):
                migrate(driver, address.database)
            return str(kept), vectors
    except (DriverError, Neo4jError, OSError) as error:
        raise CannotOpen(f"Cannot use Neo4j at {address.place}: {_sentence(error)}") from None


class InDoubt(Unavailable):
    """The connection was lost while a commit was under way: it may have happened."""


class Collided(Unavailable):
    """The transaction met another one and was rolled back; run again, it may well succeed."""


async def patience(attempt: int) -> None:
    """Waits before the next try of what met another transaction; attempts count from 0."""
    await asyncio.sleep(random.uniform(0.1, 1) * _RETRY_SECONDS * min(2**attempt, 8))


_WARM_AT_MOST_SECONDS = 8.0
_WARM_SECONDS = 1.0
"""How long a health check waits for plans."""


class Neo4jClient:
    """Statements over a pool. Every call raises Unavailable where Neo4j cannot answer, and StoreError for our faults.

    A point read takes 1 to 2 ms on loopback, whatever it returns; so a call is one statement that returns one record.
    """

    def __init__(self, address: Address, read_seconds: float = READ_SECONDS) -> None:
        self._address, self._read_seconds = address, read_seconds
        self.call_seconds = max(CALL_SECONDS, read_seconds)
        self._warming: asyncio.Task[None] | None = None
        self._bookmarks: Any = AsyncGraphDatabase.bookmark_manager()
        self._heard: dict[str, list[str]] = {}
        self._driver: AsyncDriver | None = None
        self.breaker = Breaker("neo4j")
        self._liveness = Liveness(self._ask, lambda: self.breaker.trip(NO_ANSWER))
        self.plans = Plans()
        self.calls = 0

    async def _ask(self) -> None:
        """Whether anybody is there: a host of the URL, or any member of the cluster that the driver has heard of, for
        what the URL names may be gone while the others go on. Raises OSError or EOFError."""
        hosts = first_answer([place.ask(_WHICH_BOLT, 4) for place in self._address.ports])
        if self._driver is None or not self._address.routed:
            return await hosts
        try:
            async with asyncio.timeout(_HOSTS_SECONDS):
                await hosts
        except (OSError, EOFError):
            await _connected(self._driver)

    def _session(self, **settings: Any) -> Any:
        if self._driver is None:  # made where the event loop is
            self._driver = AsyncGraphDatabase.driver(self._address.uri, **self._address.settings)
            self._connecting = Connecting(self._driver)
        return self._driver.session(
            database=self._address.database, bookmark_manager=self._bookmarks, **{"fetch_size": -1, **settings}
        )

    async def read(self, statement: str, **parameters: Any) -> Record:
        """The one record of a reading statement. Tried a second time on a connection that had gone stale."""
        return await self._again(statement, parameters, "READ")

    async def stream(self, statement: str) -> AsyncIterator[Any]:
        """The one value of each record of a statement that reads everything, as they come; it may take as long as it
        takes."""
        with self._watched():
            async with self._session(default_access_mode="READ", fetch_size=1000) as session:
                async for record in await session.run(self.sent(statement)):
                    yield record[0]

    async def read_latest(self, statement: str, **parameters: Any) -> Record:
        """The one record of a reading statement, of the member of the cluster that is written to; what is read here
        from now on, wherever, is no older."""
        return await self._again(statement, parameters, "WRITE")

    async def read_locking(self, statement: str, **parameters: Any) -> Record:
        """The one record of a statement that locks nodes, by writing what they have already, and reads then."""
        return await self._again(statement, parameters, "WRITE")

    async def _again(self, statement: str, parameters: dict[str, Any], mode: str) -> Record:
        with self._watched():
            attempt = 0
            while True:
                try:
                    return await self._read(statement, parameters, mode)
                except (DriverError, Neo4jError) as error:
                    most = PATIENCE if _code(error) in _COLLIDED else int(error.is_retryable())
                    if attempt == most:
                        raise
                await patience(attempt)
                attempt += 1

    async def _read(self, statement: str, parameters: dict[str, Any], mode: str) -> Record:
        seconds = self._read_seconds
        text = self.sent(statement)
        async with self._liveness.waiting(seconds), self._session(default_access_mode=mode) as session:
            result = await session.run(Query(text, timeout=seconds), p=parameters)
            record: Record = await result.single(strict=True)
            return record

    def sent(self, statement: str) -> str:
        """A statement as it is sent, and counted."""
        self.calls += 1
        text = in_one_map(statement)
        self.plans.note(text)
        return text

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Unit]:
        """A transaction, committed at the end and rolled back where something is raised in it."""
        with self._watched():
            async with self._session() as session:
                async with self._liveness.waiting(self.call_seconds):
                    with session._pipelined_begin:  # as the driver's own execute_query: sent with the first statement
                        begun = await session.begin_transaction(timeout=2 * self.call_seconds)
                try:
                    yield Unit(self, begun, self._liveness)
                    if not begun.closed():
                        await self._commit(begun)
                finally:
                    await self._end(begun)

    async def _commit(self, begun: AsyncTransaction) -> None:
        try:
            async with self._liveness.waiting(self.call_seconds):
                await begun.commit()
        except (DriverError, Neo4jError, OSError, TimeoutError) as error:
            if isinstance(error, ClientError | TransientError):
                raise  # the server's own answer: it was not committed
            self.breaker.failed(_sentence(error))
            raise InDoubt(f"Neo4j: {_sentence(error)}", self.breaker.retry_after_ms) from error

    async def _end(self, begun: AsyncTransaction) -> None:
        """Rolls back what is not committed; where that cannot be said, Neo4j does it when the connection is gone."""
        with contextlib.suppress(DriverError, Neo4jError, OSError, TimeoutError):
            async with self._liveness.waiting(self.call_seconds):
                await begun.close()

    @contextlib.contextmanager
    def _watched(self) -> Any:
        """Counts the call's outcome in the circuit breaker, and names failures in our words."""
        self.breaker.enter()
        self.plans.cold |= self.breaker.state != "closed"
        try:
            yield
        except (DriverError, Neo4jError, OSError, TimeoutError) as error:
            raise self._judged(error) from error
        except BaseException:
            self.breaker.left()
            raise
        self.breaker.succeeded()

    def _judged(self, error: Exception) -> StoreError:
        said, code = _sentence(error), _code(error)
        if code in _COLLIDED:
            self.breaker.succeeded()
            return Collided(f"Neo4j: {said}")
        if code.startswith(_OUR_FAULTS):
            self.breaker.succeeded()
            return Taken(said) if isinstance(error, ConstraintError) else StoreError(said)
        if _TIMED_OUT in code:
            self.breaker.succeeded()
            return TooLong(said)
        if _OF_A_TRANSACTION in code:
            self.breaker.succeeded()
        elif isinstance(error, ConnectionAcquisitionTimeoutError | TimeoutError):
            self.breaker.left()  # all connections are in use, or the statement is hard; else the pulse has told
        else:
            self.breaker.failed(said)
        return Unavailable(f"Neo4j: {said}", self.breaker.retry_after_ms)

    async def bookmarks(self) -> list[str]:
        """What this process has seen, for others that must read what it wrote."""
        return list(await self._bookmarks.get_bookmarks())

    async def follow(self, process: str, bookmarks: list[str]) -> None:
        """Reads from now on see at least what another process has seen, which sends all it has seen each time."""
        before, self._heard[process] = self._heard.get(process, []), bookmarks
        await self._bookmarks.update_bookmarks(before, bookmarks)

    async def latency_ms(self) -> float:
        """What a trivial call takes just now, in milliseconds. Raises Unavailable, after an outage also until plans are
        made again."""
        begun = time.perf_counter()
        await self.read("RETURN 1")
        took = (time.perf_counter() - begun) * 1000
        if self.plans.cold:
            await self._warmed()
        return took

    async def _warmed(self) -> None:
        """Waits a moment, and no longer than a health check may take, for plans that go on being made."""
        if self._warming is None or self._warming.done():
            self._warming = asyncio.ensure_future(self._warm())
        await asyncio.wait([self._warming], timeout=_WARM_SECONDS)
        if not self._warming.done():
            raise Unavailable("Neo4j is back and makes its plans again", 1000)
        self._warming.result()

    async def _warm(self) -> None:
        """Has Neo4j plan what this process runs most, for it may have been restarted; one at a time beside others, and
        for some seconds at most: what is left is planned by who asks it."""
        end, seconds = time.monotonic() + _WARM_AT_MOST_SECONDS, self.call_seconds
        with self._watched():
            for statement in self.plans.hot():
                if time.monotonic() > end:
                    break
                async with (
                    self._liveness.waiting(self.call_seconds),
                    self._session(default_access_mode="WRITE") as session,
                ):
                    with contextlib.suppress(ClientError):  # told to whoever runs it
                        # With a parameter, or the plan is not kept.
                        await (await session.run(Query(f"EXPLAIN {statement}", timeout=seconds), p={})).consume()
        self.plans.cold = False

    async def close(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
            with contextlib.suppress(asyncio.CancelledError, Unavailable):
                await self._warming
        await self._liveness.close()
        if self._driver is not None:
            await self._connecting.close(_CONNECT_SECONDS)
            await self._driver.close()


class Unit:
    """A transaction that is under way: one statement at a time. failure: what ended it, where something did."""

    def __init__(self, graph: Neo4jClient, begun: AsyncTransaction, pulse: Liveness) -> None:
        self._graph, self._begun, self._liveness = graph, begun, pulse
        self.failure: Exception | None = None

    async def run(self, statement: str, **parameters: Any) -> Record | None:
        """Runs a statement that returns one record or none."""
        try:
            async with self._liveness.waiting(self._graph.call_seconds):
                result = await self._begun.run(self._graph.sent(statement), p=parameters)
                record = await result.single()
            self._graph.breaker.succeeded()  # what happens between statements may be up to others
            return record
        except Exception as error:
            self.failure = self.failure or error
            raise

    async def roll_back(self) -> None:
        """Ends the transaction, and keeps nothing of it."""
        async with self._liveness.waiting(self._graph.call_seconds):
            await self._begun.rollback()


def _code(error: BaseException) -> str:
    return str(getattr(error, "code", ""))


async def _connected(driver: AsyncDriver) -> None:
    try:
        await driver.verify_connectivity()
    except DriverError as error:
        raise OSError(str(error)) from error
    except Neo4jError:
        pass  # that is an answer


def _sentence(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return NO_ANSWER
    return (str(getattr(error, "message", "") or error) or type(error).__name__).splitlines()[0]
