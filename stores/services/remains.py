"""Looks for texts in everything that the servers hold: all nodes and relationships of Neo4j, what Weaviate knows of a
workspace, and all keys of ours in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from stores.needles import Needles
from stores.ports import Remains
from stores.services.neo4j_client import Neo4jClient
from stores.services.redis_streams import Signals
from stores.services.weaviate_client import WeaviateClient

_TOGETHER = 500
"""How many things are looked through at once."""

_JOINED = (
    "reduce(all = '', k IN keys(n) | all + CASE WHEN n[k] IS :: STRING NOT NULL THEN n[k] + '\n' "
    "WHEN n[k] IS :: LIST<STRING NOT NULL> NOT NULL THEN reduce(s = '', one IN n[k] | s + one + '\n') ELSE '' END)"
)
_HELD = f"MATCH (n) RETURN {_JOINED} UNION ALL MATCH ()-[n]->() RETURN {_JOINED}"


async def remains(
    graph: Neo4jClient, vectors: WeaviateClient, events: Signals, workspace: str, texts: Sequence[str]
) -> list[Remains]:
    """Raises Unavailable where one of them does not answer: what was not looked through is not told as empty."""
    needles = await asyncio.to_thread(Needles, texts)
    parts = {"neo4j": graph.stream(_HELD), "weaviate": vectors.texts(workspace), "redis": events.texts()}
    return [Remains(name, frozenset(await _among(held, needles))) for name, held in parts.items()]


async def _among(held: AsyncIterator[str], needles: Needles) -> set[int]:
    found: set[int] = set()
    some: list[str] = []
    async for one in held:
        some.append(one)
        if len(some) == _TOGETHER:
            found |= needles.found("\0".join(some).encode("utf-8", "replace"))
            some = []
    return found | needles.found("\0".join(some).encode("utf-8", "replace"))
