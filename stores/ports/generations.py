"""Where cached generations are kept. It is a cache: what is in it may be gone."""

from __future__ import annotations

from typing import Protocol

from domain.generation import CachedGeneration, EvictGenerationsInput


class Generations(Protocol):
    """The cached generations of all workspaces, each found in its own."""

    async def find(self, workspace: str, key: str) -> CachedGeneration | None:
        """The generation under a key, this hit counted; None where there is none, it has expired, or the cache cannot
        be reached."""

    async def keep(self, workspace: str, generation: CachedGeneration) -> None:
        """Keeps a generation in place of what is under its key. Raises stores.errors.Unavailable."""

    async def evict(self, workspace: str, which: EvictGenerationsInput) -> int:
        """Takes generations out, and counts them; with dry_run it counts them. Raises stores.errors.Unavailable."""
