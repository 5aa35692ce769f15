"""How far the reads of this process have come, by the count of writes that the node of a workspace has.

The member of a cluster that is written to says how many there were; with its answer comes the bookmark that all later
reads wait for, on whichever member. Weaviate has come as far once no entry of the outbox is left.
"""

from __future__ import annotations

import asyncio
import time

from domain.consistency import unknown
from stores.services.labels import seek
from stores.services.neo4j_client import Neo4jClient
from stores.services.outbox import Relay
from stores.services.writer import Writer

_LATEST = (
    "OPTIONAL MATCH (w:Workspace {name: $workspace}) WITH coalesce(w.writes, 0) AS writes "
    f"RETURN writes, EXISTS {{ {seek('Outbox', 'workspace', '= $workspace', 'o')} }}"
)

_TRIES, _AGAIN_SECONDS = 3, 0.2
"""A member may think for a moment that it is still the one which is written to."""

_FOUND_SECONDS = 10.0
"""How long a search waits at the most for what Weaviate was not told yet; then it does without Weaviate."""


class Reached:
    """Of one workspace. What was known at a time, by the clock of this process, is known from then on."""

    def __init__(self, graph: Neo4jClient, relay: Relay, writer: Writer, workspace: str) -> None:
        self._graph, self._relay, self._writer, self._workspace = graph, relay, writer, workspace
        self._read = self._found = (float("-inf"), 0)  # when it was asked, and the count of then

    @property
    def written(self) -> int:
        return max(self._writer.written, self._read[1])

    async def reach(self, written: int, within: float | None, found: bool) -> None:
        """See stores.ports.Store.reach. A round trip, or none where it is known already."""
        now = time.monotonic()
        at, count = self._found if found else (self._read[0], self.written)
        if written <= count and (within is None or now - at <= within):
            return
        for _ in range(_TRIES):
            count, waiting = await self._graph.read_latest(_LATEST, workspace=self._workspace)
            if count >= written:
                break
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            raise unknown()
        self._read = max(self._read, (now, count))
        if not waiting or (found and await self._delivered()):
            self._found = max(self._found, (now, count))

    async def _delivered(self) -> bool:
        self._relay.notify(self._workspace)
        return await self._relay.delivered(self._workspace, _FOUND_SECONDS)
