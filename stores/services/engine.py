"""The services engine: Neo4j for the graph, Weaviate for finding memories, Redis for news."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from domain.caller import DEFAULT_WORKSPACE
from stores.breaker import Breaker
from stores.catalogue.kinds import KINDS
from stores.errors import StoreError, Unavailable
from stores.ids import Ids
from stores.ports import Figure, Generations, Log, Opening, Reembedding, Remains, Stats, StoreHealth
from stores.rates import Rates
from stores.rows import micros
from stores.services.followers import Followers
from stores.services.generations import RedisGenerations
from stores.services.labels import LINK
from stores.services.neo4j_client import Address, Neo4jClient, prepare
from stores.services.outbox import Relay
from stores.services.pending import Pending
from stores.services.redis_streams import Signals
from stores.services.reembedding import begin, retire
from stores.services.remains import remains
from stores.services.store import ServicesStore
from stores.services.vector_set import SETS, VectorSet
from stores.services.weaviate_client import WeaviateClient
from stores.services.writer import Writer

_FOUND_SECONDS = 10.0
"""How long a write of memories waits at the most until they can be found; while Weaviate is behind it does not wait."""

_LOOK_SECONDS = 5.0
_LOOK_SECONDS_ALONE = 1.0
"""How often Neo4j is asked for news: beside Redis, and in place of it."""


class ServicesEngine:
    """See stores.ports.Engine. Open it with `open_services`."""

    def __init__(self, opening: Opening, address: Address, epoch: str, vectors: VectorSet) -> None:
        self.epoch, self.clock = epoch, opening.clock
        self.graph = Neo4jClient(address, opening.read_seconds)
        self.vectors = WeaviateClient(opening.vectors_url, vectors)
        self._latest = vectors
        self.relay = Relay(self.graph, self.vectors)
        self.followers = Followers()
        self._signals = Signals(opening.events_url, self._heard)
        self.generations: Generations = RedisGenerations(self._signals)
        self._ids = Ids(self.clock)
        self._rates = Rates()
        self._stores: dict[str, ServicesStore] = {}
        self._writers: dict[str, Writer] = {}
        self._seen: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None
        self._planned = self._closed = False

    def workspace(self, name: str) -> ServicesStore:
        if (store := self._stores.get(name)) is None:
            store = self._stores[name] = ServicesStore(self, name)
        return store

    def writer(self, name: str) -> Writer:
        if (writer := self._writers.get(name)) is None:

            async def committed(pending: Pending) -> None:
                await self._committed(name, pending)

            writer = self._writers[name] = Writer(self.graph, name, self._ids, self.clock, committed)
        return writer

    async def _committed(self, workspace: str, pending: Pending) -> None:
        """After a commit: tells who follows a log, here and elsewhere, and waits until memories can be found."""
        self.start()
        ends = {f"{workspace}/{log}": end for log, end in pending.grown.items()}
        self.followers.tell(ends)
        if pending.told:
            self.relay.notify(workspace)  # beside the news
        if pending or ends or pending.told:  # without an end too: what was written is to be read everywhere
            await self._signals.send(workspace, ends, await self.graph.bookmarks())
        if pending.told:
            await self.relay.delivered(workspace, _FOUND_SECONDS)

    def listen(self) -> None:
        """Begins to hear of other processes' commits, where there is an event loop; once is enough."""
        if not self._closed:
            self._signals.start()

    @property
    def listening(self) -> bool:
        """Whether all that other processes commit is heard."""
        return self._signals.listening

    def start(self) -> None:
        """Begins to listen and to relay, where there is an event loop; once is enough."""
        if self._looking is None and not self._closed:
            self._looking = asyncio.create_task(self._look())
            self._signals.start()
            self.relay.start()

    async def _heard(self, ends: Mapping[str, int] | None, process: str, bookmarks: list[str]) -> None:
        """Another process has committed; what is read here from now on, by whomever, sees that."""
        if ends is None:
            self.followers.doubt()
        else:
            await self.graph.follow(process, bookmarks)
            self.followers.tell(ends)

    async def _look(self) -> None:
        """Asks Neo4j whether there is news of what is followed."""
        looked = 0.0
        while True:
            await asyncio.sleep(_LOOK_SECONDS_ALONE)
            now = time.monotonic()
            if not (names := self.followers.workspaces) or (self.listening and now - looked < _LOOK_SECONDS):
                continue
            looked = now
            try:
                record = await self.graph.read(
                    "UNWIND $names AS name MATCH (w:Workspace {name: name}) RETURN collect([w.name, w.writes])",
                    names=names,
                )
            except Unavailable:
                self.followers.doubt()  # who follows learns of the outage by asking, too
                continue
            except StoreError:
                continue
            writes = dict(record[0])
            for name, count in writes.items():
                if self._seen.get(name) != count:
                    self.followers.doubt(name)
            self._seen = writes

    async def health(self) -> list[StoreHealth]:
        self.start()
        graph, vectors, events, backlog = await asyncio.gather(
            _asked("neo4j", self.graph.latency_ms, self.graph.breaker),
            _asked("weaviate", self.vectors.latency_ms, self.vectors.breaker),
            _asked("redis", self._signals.latency_ms, self._signals.breaker),
            self.relay.backlog(),
        )
        if graph.status == "healthy" and not self._planned:
            self._planned = True
            with contextlib.suppress(StoreError):
                await self.workspace(DEFAULT_WORKSPACE).ends([Log("changes")])  # else who follows first begins late
        if self.vectors.behind and vectors.status == "healthy":
            vectors = msgspec.structs.replace(vectors, status="degraded", reason="it does not have all memories yet")
        return [
            graph,
            _lesser(vectors, "searches use only words, from Neo4j's full-text index", backlog),
            _lesser(events, "live subscriptions poll Neo4j once a second"),
        ]

    async def workspaces(self) -> list[str]:
        record = await self.graph.read("MATCH (w:Workspace) RETURN collect(w.name)")
        return [str(name) for name in record[0]]

    async def due(self) -> list[str]:
        expired = " UNION ".join(
            f"MATCH (n:{label}) USING INDEX n:{label}({due}) WHERE n.{due} <= $now RETURN n.workspace AS name"
            for label, due in ((of.label, of.due) for of in KINDS)
            if due is not None
        )
        record = await self.graph.read(f"CALL () {{ {expired} }} RETURN collect(name)", now=micros(self.clock()))
        return [str(name) for name in record[0]]

    async def spend(self, name: str, per_minute: int) -> float:
        try:
            return await self._signals.spend(name, per_minute)
        except Unavailable:
            return self._rates.spend(name, per_minute)

    async def remains(self, workspace: str, texts: Sequence[str]) -> list[Remains]:
        self.relay.notify(workspace)
        await self.relay.delivered(workspace, _FOUND_SECONDS)
        return await remains(self.graph, self.vectors, self._signals, workspace, texts)

    async def stats(self) -> Stats:
        counted = [kind for kind in KINDS if kind.counted]
        patterns = ["()-[:LINK]->()" if kind is LINK else f"(:{kind.label})" for kind in counted]
        record = await self.graph.read(f"RETURN {', '.join(f'COUNT {{ MATCH {one} }}' for one in patterns)}")
        return Stats({kind.name: count for kind, count in zip(counted, record, strict=True)})

    def figures(self) -> list[Figure]:
        breakers = (self.graph.breaker, self.vectors.breaker, self._signals.breaker)
        writers = self._writers.values()
        return [
            *(Figure("calls", breaker.name, breaker.calls) for breaker in breakers),
            *(Figure("errors", breaker.name, breaker.errors) for breaker in breakers),
            Figure("commits", "neo4j", sum(writer.commits for writer in writers)),
            Figure("writes", "neo4j", sum(writer.writes for writer in writers)),
        ]

    @property
    def embedder(self) -> str:
        return self.vectors.set.embedder

    async def latest(self) -> str:
        found = await self.graph.read(f"MATCH (m:Recollect {{one: 1}}) RETURN {SETS}")
        if (vectors := VectorSet.of(*found[:2])) is not None:
            self._latest = vectors
        return self._latest.embedder

    def use(self, embedder: str) -> None:
        if embedder == self._latest.embedder:
            self.vectors.set = self._latest

    async def reembedding(self, embedder: str) -> Reembedding:
        self.start()
        return await begin(self.graph, self.vectors, self.relay, embedder)

    async def retire(self) -> None:
        await retire(self.graph, self.vectors)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.gather(*(writer.close() for writer in self._writers.values()))
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self.relay.close()
        await self._signals.close()
        await self.vectors.close()
        await self.graph.close()


async def _asked(name: str, ask: Callable[[], Awaitable[float]], breaker: Breaker) -> StoreHealth:
    try:
        took = await ask()
    except StoreError as error:
        return StoreHealth(name, "unhealthy", 0.0, str(error), breaker.state)
    return StoreHealth(name, "healthy", took, None, breaker.state)


def _lesser(health: StoreHealth, instead: str, backlog: int = 0) -> StoreHealth:
    """A server without which everything goes on, in a lesser way."""
    status, reason = health.status, health.reason
    if status != "healthy":
        status, reason = "degraded", f"{reason}; {instead}"
    return StoreHealth(health.name, status, health.latency_ms, reason, health.circuit, backlog)


def open_services(opening: Opening) -> ServicesEngine:
    """Opens the servers; Neo4j must be there. Raises CannotOpen, with one sentence."""
    address = Address(opening.graph_url)
    epoch, vectors = prepare(address, opening.label, secrets.token_hex(4))
    return ServicesEngine(opening, address, epoch, vectors)
