"""What the drivers of Neo4j and Weaviate take for the same work, over the same indexes, as their manuals show it.

Nodes are of labels of their own, Bench..., which have the indexes that ours have.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, LiteralString

import numpy as np
from neo4j import AsyncGraphDatabase
from weaviate.classes.query import Filter, MetadataQuery

from bench.data import OWNER
from stores.services.labels import statements
from stores.services.neo4j_client import Address
from stores.services.vector_set import VectorSet
from stores.services.weaviate_client import Address as VectorsAddress
from stores.services.weaviate_client import client
from stores.words import asked, stored

DIMENSION = 256
_WORKSPACE = "default"
_FIRST = 10

_OWNER: LiteralString = "MATCH (u:User {workspace: 'default', external_id: $owner}) RETURN u.id"
_LOCKED: LiteralString = (
    "MERGE (w:BenchWorkspace {name: $name}) SET w.held = true WITH w SET w.writes = coalesce(w.writes, 0) + 1 "
    "WITH w MATCH (s:Session {workspace: 'default', external_id: $key}) "
    "RETURN w.writes, s.id, s.title, s.status, s.message_count, s.version"
)
_SAID: LiteralString = (
    "UNWIND $rows AS row CREATE (n:BenchMessage) SET n = row "
    "WITH count(*) AS count MATCH (w:BenchWorkspace {name: $name}) SET w.said = coalesce(w.said, 0) + count FINISH"
)
_ONE: LiteralString = "UNWIND $rows AS row CREATE (n:BenchMessage) SET n = row FINISH"
_KEPT: LiteralString = "CREATE (n:BenchMemory) SET n = $row FINISH"
_BY_WORDS: LiteralString = (
    "CALL db.index.fulltext.queryNodes('memory_texts', $lucene, {limit: $first}) YIELD node AS n, score "
    "RETURN collect([score, n.id, n.type, n.text, n.importance, n.created_at])"
)
_AROUND: LiteralString = """
MATCH (c:Memory {workspace: 'default', external_id: $key})
CALL (c) {
  MATCH (c)-[k:LINK]-(a:Memory) WITH a, max(k.weight) AS reach ORDER BY reach DESC LIMIT $limit
  RETURN collect(a) AS first, collect(reach) AS reaches }
CALL (c, first, reaches) {
  UNWIND range(0, size(first) - 1) AS i WITH c, first, first[i] AS a, reaches[i] AS so_far
  MATCH (a)-[k:LINK]-(b:Memory) WHERE b <> c AND NOT b IN first
  WITH b, max(so_far * k.weight) AS reach ORDER BY reach DESC LIMIT $limit RETURN collect(b) AS second }
WITH [c] + first + second[..$limit - 1 - size(first)] AS found
CALL (found) {
  UNWIND found AS a MATCH (a)-[k:LINK]->(b) WHERE b IN found
  RETURN collect([a.id, b.id, k.kind, k.weight]) AS links }
RETURN [[n IN found | n.id], [n IN found | n.text], [n IN found | n.importance], links]"""


class Floor:
    """Both drivers. Leave it by `close`."""

    def __init__(self, servers: Mapping[str, str], seed: int) -> None:
        address = Address(servers["RECOLLECT_GRAPH_URL"])
        self._database = address.database
        self._driver = AsyncGraphDatabase.driver(
            address.uri, auth=address.auth, notifications_min_severity="OFF", max_connection_pool_size=10
        )
        self._weaviate = client(VectorsAddress(servers["RECOLLECT_VECTORS_URL"]))
        self._random = np.random.default_rng(seed)
        self._owner = ""

    async def begin(self) -> None:
        """Makes the indexes that the nodes of the floor have, and connects."""
        for statement in _indexes():
            await self._run(statement)
        await self._run("CALL db.awaitIndexes(60)")
        [[self._owner]] = await self._run(_OWNER, owner=OWNER)
        await self._weaviate.connect()

    async def say(self, key: str) -> None:
        """Locks and reads, writes, commits: what an addMessage cannot do without."""
        async with self._driver.session(database=self._database) as session, await session.begin_transaction() as unit:
            await (await unit.run(_LOCKED, name=_WORKSPACE, key=key)).single(strict=True)
            await (await unit.run(_SAID, name=_WORKSPACE, rows=[_message()])).consume()
            await unit.commit()

    async def store(self, count: int) -> None:
        """Messages by one statement, which commits by itself."""
        await self._run(_ONE, rows=[_message() for _ in range(count)])

    async def remember(self, text: str) -> None:
        """A node, and then an object."""
        id = uuid.uuid4()
        words = stored(text)
        row = {
            "id": f"mem_{id.hex}",
            "workspace": _WORKSPACE,
            "text": text,
            "words": " ".join(words.exact),
            "loose": " ".join(words.loose),
            "owner": self._owner,
            "scope": "USER",
            "status": "ACTIVE",
            "type": "SEMANTIC",
            "importance": 0.5,
            "created_at": time.time_ns() // 1000,
        }
        await self._run(_KEPT, row=row)
        told = {name: row[name] for name in ("words", "owner", "scope", "status", "type", "importance", "created_at")}
        await self._memories.data.insert(told, uuid=id, vector=self._vector())

    async def near(self, text: str) -> None:
        """The ten nearest of the owner's."""
        found = await self._memories.query.near_vector(
            self._vector(),
            limit=_FIRST,
            filters=Filter.by_property("owner").equal(self._owner) & Filter.by_property("status").equal("ACTIVE"),
            return_metadata=MetadataQuery(distance=True),
            return_properties=["words"],
        )
        assert len(found.objects) == _FIRST

    async def texts(self, text: str) -> None:
        """The ten best of the owner's by words, with what is shown of them."""
        words = " ".join(asked(text).exact)
        given = {"workspace": _WORKSPACE, "owner": self._owner, "status": "ACTIVE"}
        lucene = f"+words:({words}) " + " ".join(f'+{name}:("{value}")^0' for name, value in given.items())
        await self._run(_BY_WORDS, lucene=lucene, first=_FIRST)

    async def both(self, text: str) -> None:
        """Those two side by side."""
        await asyncio.gather(self.near(text), self.texts(text))

    async def around(self, key: str) -> None:
        """A neighbourhood of depth 2: what is found, and the links among it."""
        await self._run(_AROUND, key=key, limit=100)

    async def close(self) -> None:
        """Takes away the nodes of the floor, and lets go of the connections."""
        for name in ("BenchMessage", "BenchMemory", "BenchWorkspace"):
            await self._run(f"MATCH (n:{name}) CALL (n) {{ DELETE n }} IN TRANSACTIONS")
        await self._driver.close()
        await self._weaviate.close()

    @property
    def _memories(self) -> Any:
        return self._weaviate.collections.use(VectorSet(f"bench {DIMENSION}").collection).with_tenant(_WORKSPACE)

    def _vector(self) -> list[float]:
        vector = self._random.standard_normal(DIMENSION)
        return [*(vector / np.linalg.norm(vector)).tolist(), 1.0]

    async def _run(self, statement: LiteralString, **parameters: Any) -> list[Any]:
        async with self._driver.session(database=self._database, fetch_size=-1) as session:
            return [record async for record in await session.run(statement, parameters)]


def _message() -> dict[str, Any]:
    id = uuid.uuid4().hex
    return {
        "id": f"msg_{id}",
        "workspace": _WORKSPACE,
        "session": f"ses_{id[:8]}",
        "place": int(id[:7], 16),
        "sender": f"prt_{id[:12]}",
        "sender_type": "USER",
        "created_at": time.time_ns() // 1000,
        "content": '[{"kind":"text","text":"What did we decide?"}]',
    }


def _indexes() -> Iterator[Any]:
    for statement in statements():
        if "(n:Message)" in statement or "(n:Memory)" in statement:
            yield statement.replace("(n:Me", "(n:BenchMe").replace(" IF NOT EXISTS", "_of_bench IF NOT EXISTS")
