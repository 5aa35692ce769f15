"""Change the embedder of the servers: give memories a second vector, and Weaviate a second collection, then use these.

Every transaction reads, once its workspace is locked, which set is in use and which is being made. One that gives a
memory a vector takes away that of the set that is being made, so that it is made again; the relays of all processes
tell Weaviate of both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stores.ports import AT_THE_END, Reembedding, Unembedded, Vector
from stores.services.labels import HELD
from stores.services.neo4j_client import Neo4jClient, Unit
from stores.services.outbox import Relay
from stores.services.vector_set import SETS, VectorSet
from stores.services.weaviate_client import WeaviateClient

_CLEARED = 2_000
"""Memories from which one transaction takes a vector."""

_NODE = "MATCH (m:Recollect {one: 1})"


async def begin(graph: Neo4jClient, vectors: WeaviateClient, relay: Relay, embedder: str) -> Reembedding:
    async with graph.transaction() as unit:
        found = await unit.run(f"{_NODE} {HELD.format('m')} RETURN {SETS}")
        assert found is not None
        coming = VectorSet.of(*found[2:4])
        given_up = None if coming is None or coming.embedder == embedder else coming
        if coming is None or given_up is not None:
            coming = VectorSet.another(embedder)
            await unit.run(
                f"{_NODE} SET m.coming = $embedder, m.coming_property = $property, "
                "m.retired = coalesce(m.retired, []) + $given_up",
                embedder=embedder,
                property=coming.field,
                given_up=[] if given_up is None else list(given_up),
            )
    return _Reembedding(graph, vectors, relay, coming)


class _Reembedding:
    """See stores.ports.Reembedding. Keys are the memories' ids."""

    def __init__(self, graph: Neo4jClient, vectors: WeaviateClient, relay: Relay, coming: VectorSet) -> None:
        self._graph, self._vectors, self._relay, self._coming = graph, vectors, relay, coming
        self._after = ""  # the id up to which there was a vector of every memory when it was last looked

    async def progress(self) -> tuple[int, int]:
        left, total = await self._graph.read(
            f"MATCH (n:Memory) RETURN sum(CASE WHEN n.{self._coming.field} IS NULL THEN 1 ELSE 0 END), count(n)"
        )
        return total - left, total

    async def missing(self, limit: int) -> list[Unembedded]:
        found = await self._missing(limit)
        if not found and self._after:  # some may have been changed since they were looked at
            self._after = ""
            found = await self._missing(limit)
        if found:
            self._after = str(found[-1].key)
        return found

    async def _missing(self, limit: int) -> list[Unembedded]:
        found = await self._graph.read(_missing_of(self._coming), after=self._after, limit=limit)
        return [Unembedded(*one) for one in found[0]]

    async def put(self, made: Sequence[tuple[Unembedded, Vector]]) -> None:
        async with self._graph.transaction() as unit:
            workspaces = await self._put(unit, made)
        for workspace in workspaces:
            self._relay.notify(workspace)

    async def _put(self, unit: Unit, made: Sequence[tuple[Unembedded, Vector]]) -> list[str]:
        rows = [[one.key, one.text, np.asarray(vector, "<f4").tobytes()] for one, vector in made]
        found = await unit.run(_put_in(self._coming), rows=rows)
        return [] if found is None else list(found[0])

    async def finish(self, embed: Callable[[list[str]], Vector]) -> bool:
        waiting = await self._graph.read("MATCH (o:Outbox {place: 0}) RETURN count(o)")
        if waiting[0]:
            return False
        async with self._graph.transaction() as unit:
            # No write goes on until the end: each begins with the lock of its workspace, and reads then what is in use.
            await unit.run(
                f"MATCH (w:Workspace) WITH w ORDER BY w.name {HELD.format('w')} RETURN count(w)",
            )
            found = await unit.run(_missing_of(self._coming), after="", limit=AT_THE_END + 1)
            left = [Unembedded(*one) for one in (found or [[]])[0]]
            if len(left) > AT_THE_END:
                await unit.roll_back()
                return False
            workspaces: list[str] = []
            if left:
                made = await asyncio.to_thread(embed, [one.text for one in left])
                workspaces = await self._put(unit, list(zip(left, made, strict=True)))
            await unit.run(
                f"{_NODE} WHERE m.coming_property = $property "
                "SET m.retired = coalesce(m.retired, []) + [m.embedder, coalesce(m.property, 'vector')], "
                "m.embedder = m.coming, m.property = m.coming_property REMOVE m.coming, m.coming_property",
                property=self._coming.field,
            )
        for workspace in workspaces:
            self._relay.notify(workspace)
        return True


async def retire(graph: Neo4jClient, vectors: WeaviateClient) -> None:
    """Takes away the sets that were in use before, and those that were given up."""
    found = await graph.read(f"{_NODE} RETURN coalesce(m.retired, []), {SETS}")
    names: list[Any] = found[0]
    used = VectorSet.of(*found[1:3]), VectorSet.of(*found[3:5])
    for embedder, field in zip(names[::2], names[1::2], strict=True):
        of = VectorSet.of(embedder, field)
        if of is not None and of not in used:
            await vectors.drop(of)
            await _clear(graph, of)
    async with graph.transaction() as unit:
        await unit.run(f"{_NODE} SET m.retired = coalesce(m.retired, [])[$count..]", count=len(names))


async def _clear(graph: Neo4jClient, of: VectorSet) -> None:
    after: str | None = ""
    while after is not None:
        async with graph.transaction() as unit:
            found = await unit.run(
                f"MATCH (n:Memory) WHERE n.id > $after WITH n ORDER BY n.id LIMIT {_CLEARED} "
                f"REMOVE n.{of.field} RETURN max(n.id)",
                after=after,
            )
        after = None if found is None else found[0]


def _put_in(coming: VectorSet) -> str:
    """Locks each memory before it looks whether its text is still the one that the vector was made of."""
    return (
        f"UNWIND $rows AS r MATCH (n:Memory {{id: r[0]}}) {HELD.format('n')}, r REMOVE n.held WITH n, r "
        f"WHERE n.text = r[1] SET n.{coming.field} = r[2] "
        "CREATE (:Outbox {workspace: n.workspace, place: 0, memory: n.id}) RETURN collect(DISTINCT n.workspace)"
    )


def _missing_of(coming: VectorSet) -> str:
    return (
        f"CALL () {{ MATCH (n:Memory) WHERE n.id > $after AND n.{coming.field} IS NULL "
        "WITH n ORDER BY n.id LIMIT $limit RETURN collect([n.id, n.text]) AS found } RETURN found"
    )
