"""Change the embedder of a store while it is in use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from stores.ports.values import Vector

AT_THE_END = 256
"""How many may be missing at the end: writes wait while they are embedded."""


class Unembedded(NamedTuple):
    """A memory that has no vector of the new embedder yet. key: what the engine knows it by."""

    key: str | int
    text: str


class Reembedding(Protocol):
    """New vectors of all memories, of all workspaces, made of their texts beside those that are in use, in whose place
    they come at the end. What is begun again for the same embedder goes on, in whichever process; for another one it
    begins anew."""

    async def progress(self) -> tuple[int, int]:
        """How many memories have one, and how many there are."""

    async def missing(self, limit: int) -> list[Unembedded]:
        """Some that have none, those among them that were changed since they got one; none only where all have one."""

    async def put(self, made: Sequence[tuple[Unembedded, Vector]]) -> None:
        """Keeps vectors; those of memories whose text is another one by now are passed over."""

    async def finish(self, embed: Callable[[list[str]], Vector]) -> bool:
        """Takes the new vectors into use, in one transaction, in which up to AT_THE_END that are missing are made
        too. False: more are missing, or not all can be searched yet. embed: may be called in any thread, and waits."""
