"""Weaviate: the memories' vectors and words, to find them by; what is found is read from Neo4j.

One collection for each set of vectors, a tenant for each workspace, an object for each memory; its UUID is
the memory's id, so that a write that is told twice is told once.

The vector of a memory m of the weight w (importance x decay) is [w m, w]. Its dot product with a question's [q, s] is
w (cosine + s): with s = 1 twice its score (see domain.search), so the index ranks by relevance x weight itself, and
with s = -c above 0 just for those whose cosine is above c, however light they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import numpy as np
import weaviate
from grpc.aio import AioRpcError
from weaviate.classes.config import Configure, DataType, Property, StopwordsPreset, Tokenization, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.classes.init import AdditionalConfig, Auth, Timeout
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.collections import CollectionAsync
from weaviate.config import GrpcConfig
from weaviate.connect import v4
from weaviate.exceptions import WeaviateBaseError

from domain.memory import Memory
from domain.node import Id
from stores.breaker import Breaker
from stores.errors import Unavailable
from stores.ports import Vector
from stores.services.liveness import NO_ANSWER, Liveness, Place
from stores.services.server_url import Form, bracketed, one_host, parse, whole_number
from stores.services.vector_set import VectorSet

Where = Any
"""A condition on objects (weaviate.classes.query.Filter ...), or None; the client's own type has no public name."""

QUERY_SECONDS = 2.0
WRITE_SECONDS = 8.0
_CONNECT_SECONDS = 1.5
_LOOK_SECONDS = 1.0
"""How long it may take to look for what a call did not find."""

FIRST, LAST = -(2**53), 2**53 - 1
"""Stand for no time in the past and none to come: Weaviate's numbers come as doubles, and it has no cheap NULL."""

_LIGHTEST = 1e-9
"""A vector of no weight would have no direction."""

_PAGE = 1_000
"""How many objects are read at once."""

_MOST = 10_000
"""Weaviate gives no more results than that."""


def _named(name: str, kind: DataType = DataType.TEXT) -> Property:
    return Property(name=name, data_type=kind, tokenization=Tokenization.FIELD, index_searchable=False)


def _ranged(name: str, kind: DataType) -> Property:
    return Property(name=name, data_type=kind, index_filterable=False, index_range_filters=True)


_PROPERTIES = [
    Property(name="words", data_type=DataType.TEXT, tokenization=Tokenization.WHITESPACE, index_filterable=False),
    *map(_named, ("owner", "scope", "type", "session", "status")),
    _named("tags", DataType.TEXT_ARRAY),
    Property(name="weight", data_type=DataType.NUMBER, index_filterable=False),
    _ranged("importance", DataType.NUMBER),
    *(_ranged(name, DataType.INT) for name in ("created_at", "expires_at", "valid_from", "valid_until")),
]

_LIVE = b"GET /v1/.well-known/live HTTP/1.0\r\n\r\n"

_DETAILS = re.compile(r'details = "(.*)"')
_TENANT = re.compile(r"(?!sha256-)[A-Za-z0-9_-]{1,64}")


class Missing(Unavailable):
    """No such tenant: nothing was ever told of the workspace, or Weaviate has lost its disk.

    everything: there is no collection either.
    """

    def __init__(self, reason: str, everything: bool) -> None:
        super().__init__(reason)
        self.everything = everything


class Entry(NamedTuple):
    """What Weaviate is told of a memory: its properties, weight (importance x decay) among them, and its vector."""

    id: Id
    properties: Mapping[str, Any]
    vector: Vector | None


class Hit(NamedTuple):
    """A memory that was found. score: BM25 of words; weight x (cosine + shift) of vectors."""

    id: Id
    score: float
    weight: float = 1.0


class WeaviateClient:
    """The collections. Every call is bounded in time and raises Unavailable where Weaviate cannot answer.

    set: the vectors in use, which calls are about that name no others.

    behind: workspaces of which Weaviate has not been told everything. A process keeps one connection for good.
    """

    def __init__(self, url: str, vectors: VectorSet) -> None:
        """url: weaviate://:APIKEY@host:8080?grpc=50051, weaviates:// for TLS. Raises CannotOpen where it is none."""
        to = Address(url)
        self._client, self._replicas, self._idle = client(to), to.replicas, to.idle
        self._used: dict[str, float] = {}  # when a call was last about a workspace
        self.set = vectors
        self._connecting = asyncio.Lock()
        self.breaker = Breaker("weaviate")
        place = Place(to.host, to.port, to.secure)
        self._liveness = Liveness(lambda: place.ask(_LIVE, 1), lambda: self.breaker.trip(NO_ANSWER))
        self.behind: set[str] = set()
        self.calls = 0

    async def prepare(self, of: VectorSet | None = None) -> None:
        """Makes the collection where it is missing."""
        name = (of or self.set).collection
        async with self._asked(WRITE_SECONDS) as client:
            if await client.collections.exists(name):
                config = await client.collections.use(name).config.get()
                if config.multi_tenancy_config.enabled:
                    return
                await client.collections.delete(name)
            await client.collections.create(
                name,
                multi_tenancy_config=Configure.multi_tenancy(auto_tenant_activation=True),
                replication_config=None if self._replicas is None else Configure.replication(factor=self._replicas),
                vector_config=Configure.Vectors.self_provided(
                    vector_index_config=Configure.VectorIndex.hnsw(distance_metric=VectorDistances.DOT)
                ),
                inverted_index_config=Configure.inverted_index(stopwords_preset=StopwordsPreset.NONE),
                properties=_PROPERTIES,
            )

    async def put(self, workspace: str, entries: Sequence[Entry], of: VectorSet | None = None) -> None:
        """Tells of up to 400 memories as they are now; the tenant must be there. 800 a second and core."""
        objects = [DataObject(uuid=UUID(e.id[4:]), properties=e.properties, vector=_weighed(e)) for e in entries]
        async with self._tenant(workspace, WRITE_SECONDS, of) as tenant:
            answer = await tenant.data.insert_many(objects)
            if answer.has_errors:
                raise _Refused(next(iter(answer.errors.values())).message)

    async def remove(self, workspace: str, ids: Sequence[Id], of: VectorSet | None = None) -> None:
        """Forgets up to 400 memories."""
        async with self._tenant(workspace, WRITE_SECONDS, of) as tenant:
            await tenant.data.delete_many(where=Filter.by_id().contains_any([UUID(id[4:]) for id in ids]))

    async def nearest(
        self,
        workspace: str,
        vector: Vector,
        shift: float,
        limit: int,
        where: Where,
        least: float | None = None,
        of: VectorSet | None = None,
    ) -> list[Hit]:
        """The memories with the greatest weight x (cosine + shift), the greatest first, and none with less than that is
        least: an object costs as much on the way as to find it."""
        async with self._tenant(workspace, QUERY_SECONDS, of) as tenant:
            found = await tenant.query.near_vector(
                [*vector.tolist(), shift],
                limit=min(limit, _MOST),
                distance=None if least is None else -least,
                filters=where,
                return_metadata=MetadataQuery(distance=True),
                return_properties=["weight"],
            )
        return [
            Hit(_id(one), -float(one.metadata.distance or 0.0), max(float(one.properties["weight"]), _LIGHTEST))
            for one in found.objects
        ]

    async def by_words(self, workspace: str, words: str, limit: int, where: Where) -> list[Hit]:
        """The memories with any of the words (those of stores.words), the best first."""
        async with self._tenant(workspace, QUERY_SECONDS) as tenant:
            found = await tenant.query.bm25(
                words,
                query_properties=["words"],
                limit=min(limit, _MOST),
                filters=where,
                return_metadata=MetadataQuery(score=True),
                return_properties=[],
            )
        return [Hit(_id(one), float(one.metadata.score or 0.0)) for one in found.objects]

    async def count(self, workspace: str) -> int:
        """How many memories Weaviate knows of a workspace."""
        try:
            async with self._tenant(workspace, QUERY_SECONDS) as tenant:
                return (await tenant.aggregate.over_all(total_count=True)).total_count or 0
        except Missing:
            return 0

    async def indexed(self, workspace: str, ids: Sequence[Id]) -> set[Id]:
        """Those of these ids that have a vector in the index."""
        asked = Filter.by_id().contains_any([UUID(id[4:]) for id in ids])
        try:
            hits = await self.nearest(workspace, np.ones(self.set.dimension, np.float32), 1.0, len(ids), asked)
        except Missing:
            return set()
        return {hit.id for hit in hits}

    async def texts(self, workspace: str) -> AsyncIterator[str]:
        """All that is known of each memory of a workspace."""
        after: UUID | None = None
        with contextlib.suppress(Missing):
            while True:
                async with self._tenant(workspace, QUERY_SECONDS) as tenant:
                    found = (await tenant.query.fetch_objects(limit=_PAGE, after=after)).objects
                for one in found:
                    yield "\n".join(map(str, one.properties.values()))
                if len(found) < _PAGE:
                    return
                after = found[-1].uuid

    async def incarnation(self) -> Hashable:
        """Something that is another one after a restart of a node."""
        async with self._asked(QUERY_SECONDS) as client:
            found = await client.cluster.statistics()
        return tuple((node.name, node.raft.term, node.initial_last_applied_index) for node in found.statistics)

    async def open(self, workspace: str, of: VectorSet | None = None) -> None:
        """Makes the tenant of a workspace, and the collection, where they are missing."""
        await self.prepare(of)
        async with self._asked(WRITE_SECONDS) as client:
            await client.collections.use((of or self.set).collection).tenants.create([tenant_name(workspace)])

    async def forget(self, workspace: str) -> None:
        """Takes away all that is known of a workspace."""
        async with self._asked(WRITE_SECONDS, workspace) as client:
            await client.collections.use(self.set.collection).tenants.remove([tenant_name(workspace)])

    async def drop(self, of: VectorSet) -> None:
        """Takes away a set that is not in use."""
        async with self._asked(WRITE_SECONDS) as client:
            await client.collections.delete(of.collection)

    async def rest(self) -> None:
        """Sets the tenants inactive that this process has not used for long: they leave the memory of Weaviate, and are
        active again at their next use, in whichever process that is."""
        now = time.monotonic()
        for workspace in [name for name, used in self._used.items() if now - used > self._idle]:
            del self._used[workspace]
            with contextlib.suppress(Missing):
                async with self._asked(WRITE_SECONDS, workspace) as client:
                    await client.collections.use(self.set.collection).tenants.deactivate([tenant_name(workspace)])

    async def latency_ms(self) -> float:
        """What a trivial call takes just now, in milliseconds. Raises Unavailable."""
        begun = time.perf_counter()
        async with self._asked(QUERY_SECONDS) as client:
            await client.get_meta()
        return (time.perf_counter() - begun) * 1000

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._liveness.close()
        await self._client.close()

    @contextlib.asynccontextmanager
    async def _tenant(
        self, workspace: str, seconds: float, of: VectorSet | None = None
    ) -> AsyncIterator[CollectionAsync[Any, Any]]:
        self._used[workspace] = time.monotonic()
        async with self._asked(seconds, workspace, of) as client:
            yield client.collections.use((of or self.set).collection).with_tenant(tenant_name(workspace))

    @contextlib.asynccontextmanager
    async def _asked(
        self, seconds: float, workspace: str | None = None, of: VectorSet | None = None
    ) -> AsyncIterator[weaviate.WeaviateAsyncClient]:
        """One call: bounded, counted in the circuit breaker, its failures named in our words.

        workspace: whose tenant it is about; where that is not there, what is raised is Missing.
        """
        self.breaker.enter()
        self.calls += 1
        try:
            async with self._liveness.waiting(seconds):
                async with self._connecting:
                    await self._client.connect()
                yield self._client
        except (WeaviateBaseError, AioRpcError, httpx.HTTPError, OSError, TimeoutError, _Refused) as error:
            said = _sentence(error)
            if workspace is not None and (missing := await self._missing(workspace, error, of or self.set)):
                self.breaker.succeeded()
                raise missing from error
            self.breaker.failed(said)
            raise Unavailable(f"Weaviate: {said}", self.breaker.retry_after_ms) from error
        except BaseException:
            self.breaker.left()
            raise
        self.breaker.succeeded()

    async def _missing(self, workspace: str, error: Exception, of: VectorSet) -> Missing | None:
        """What a call failed for lack of, asked for by itself: each version says it in other words."""
        if isinstance(error, OSError | httpx.HTTPError):  # TimeoutError is an OSError
            return None
        said = _sentence(error)
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                if not await self._client.collections.exists(of.collection):
                    return Missing(said, everything=True)
                collection = self._client.collections.use(of.collection)
                # A write makes a collection without tenants where there is none; that is no better than none.
                if not (await collection.config.get()).multi_tenancy_config.enabled:
                    return Missing(said, everything=True)
                tenant = tenant_name(workspace)
                return None if await collection.tenants.get_by_names([tenant]) else Missing(said, everything=False)
        except (WeaviateBaseError, AioRpcError, httpx.HTTPError, OSError):
            return None


class _Once:
    """Takes the place of the client's retries: they sleep for seconds, while a caller could be answered without."""

    def __init__(self, times: float = 1) -> None:
        pass

    async def awith_exponential_backoff(
        self, count: int, error: str, f: Callable[..., Awaitable[Any]], *args: Any, **named: Any
    ) -> Any:
        """Calls once."""
        return await f(*args, **named)


vars(v4)["_Retry"] = _Once


class _Refused(Exception):
    """Weaviate took the call and not what was in it."""


_FORM = Form(
    "RECOLLECT_VECTORS_URL",
    "weaviate://:APIKEY@host:8080?grpc=50051",
    ("weaviate", "weaviates"),
    8080,
    options=("grpc", "idle", "replicas", "tls"),
)

_MOST_REPLICAS = 99
_IDLE_SECONDS = 24 * 3600


class Address:
    """A URL weaviate://:APIKEY@host:8080?grpc=50051&replicas=3, weaviates:// for TLS. Raises CannotOpen.

    idle: after how many seconds without use a tenant is set inactive. replicas: on how many nodes the collection keeps
    each tenant, when it is made; None where the URL does not say.
    """

    def __init__(self, url: str) -> None:
        parts = parse(url, _FORM)
        self.host, self.port = one_host(parts, _FORM)
        self.grpc = whole_number(parts, _FORM, "grpc", 50051, 65535)
        self.replicas = (
            whole_number(parts, _FORM, "replicas", 1, _MOST_REPLICAS) if "replicas" in parts.options else None
        )
        self.idle = whole_number(parts, _FORM, "idle", _IDLE_SECONDS, 10**9)
        self.key = parts.password
        self.secure = parts.scheme == "weaviates" or parts.options.get("tls") == "true"


def client(to: Address) -> weaviate.WeaviateAsyncClient:
    return weaviate.use_async_with_custom(
        http_host=bracketed(to.host),
        http_port=to.port,
        http_secure=to.secure,
        grpc_host=bracketed(to.host),
        grpc_port=to.grpc,
        grpc_secure=to.secure,
        auth_credentials=Auth.api_key(to.key) if to.key else None,
        additional_config=AdditionalConfig(
            timeout=Timeout(init=_CONNECT_SECONDS, query=QUERY_SECONDS, insert=WRITE_SECONDS),
            # After an outage the channel would wait for up to two minutes before it tries again.
            grpc_config=GrpcConfig(channel_options=[("grpc.max_reconnect_backoff_ms", 1000)]),
        ),
        skip_init_checks=True,  # one of them asks the package index for a newer client
    )


def tenant_name(workspace: str) -> str:
    """A workspace's tenant: its name, or a hash where Weaviate takes no such name."""
    if _TENANT.fullmatch(workspace):
        return workspace
    return f"sha256-{hashlib.sha256(workspace.encode()).hexdigest()[:40]}"


def _weighed(entry: Entry) -> list[float] | None:
    if entry.vector is None or not entry.vector.any():
        return None
    weight = max(entry.properties["weight"], _LIGHTEST)
    return [*(entry.vector * weight).tolist(), weight]


def _id(one: Any) -> Id:
    return Id(f"{Memory.prefix}_{one.uuid.hex}")


def _sentence(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return NO_ANSWER
    said = str(getattr(error, "message", "") or error)
    if details := _DETAILS.search(said):
        said = details[1]
    return (said.strip() or type(error).__name__).splitlines()[0][:300]
