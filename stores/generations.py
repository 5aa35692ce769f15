"""A cache of generations in memory, for engines that have no better place."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from datetime import datetime

from msgspec.structs import replace

from domain.generation import CachedGeneration, EvictGenerationsInput


class MemoryGenerations:
    """See stores.ports.Generations. kept: by workspace and key."""

    def __init__(self, kept: MutableMapping[tuple[str, str], CachedGeneration], clock: Callable[[], datetime]) -> None:
        self._kept, self._clock = kept, clock

    async def find(self, workspace: str, key: str) -> CachedGeneration | None:
        found = self._kept.get((workspace, key))
        if found is None or not self._lives(found):
            return None
        self._kept[workspace, key] = found = replace(found, hits=found.hits + 1)
        return found

    async def keep(self, workspace: str, generation: CachedGeneration) -> None:
        self._kept[workspace, generation.key] = generation

    async def evict(self, workspace: str, which: EvictGenerationsInput) -> int:
        gone = [
            (name, key)
            for (name, key), one in self._kept.items()
            if name == workspace and which.matches(key, one.model, one.tags) and self._lives(one)
        ]
        for place in () if which.dry_run else gone:
            del self._kept[place]
        return len(gone)

    def _lives(self, one: CachedGeneration) -> bool:
        return one.expires_at is None or one.expires_at > self._clock()
