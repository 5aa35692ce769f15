"""A data folder or servers, opened, and what they tell those who watch them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from stores.ports.generations import Generations
from stores.ports.reembedding import Reembedding
from stores.ports.store import Store


class StoreHealth(msgspec.Struct, frozen=True, rename="camel"):
    """The health of one part of a store. status: "healthy", "degraded" with a reason, or "unhealthy" with one.

    latency_ms: what a trivial call took just now. circuit: of parts behind a circuit breaker. backlog: what waits.
    """

    name: str
    status: str
    latency_ms: float
    reason: str | None = None
    circuit: str | None = None
    backlog: int = 0


class Remains(NamedTuple):
    """Which of the texts that were looked for a part of a store still has somewhere, by their places in the list."""

    store: str
    texts: frozenset[int]


class Stats(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a store holds: records of each kind, by its name; bytes on the disk, where that is known."""

    records: dict[str, int]
    bytes: int | None = None


class Figure(NamedTuple):
    """A figure of an engine for those who watch it. name: one of FIGURES; of: the part it is of."""

    name: str
    of: str
    value: float


FIGURES = {
    "bytes": ("Bytes used by a part, on disk or in memory.", False),
    "commits": ("Committed transactions.", True),
    "writes": ("Committed writes; concurrent writes share a transaction.", True),
    "calls": ("Calls to a part.", True),
    "errors": ("Calls to a part that failed.", True),
    "cache_hits": ("Searches whose vectors were in memory.", True),
    "cache_misses": ("Searches that had to load vectors.", True),
}
"""What each figure tells, and whether it is counted from the start on; of the other ones it is how things are now."""


READ_SECONDS = 10.0
"""How long a read may take, unless it is set."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is opened with.

    An entry point of the group `recollect.engines`, called as the scheme of its URLs, names a function that takes
    one and returns an Engine; it raises stores.errors.CannotOpen, with one sentence. embedder, dimension: whose
    vectors the store will hold, and no others; "": whosever it holds. data: a folder, made where it is missing,
    where no URL is set. clock: the time.
    """

    embedder: str
    dimension: int
    data: str = ""
    graph_url: str = ""
    vectors_url: str = ""
    events_url: str = ""
    read_seconds: float = READ_SECONDS
    clock: Callable[[], datetime] = partial(datetime.now, UTC)

    @property
    def label(self) -> str | None:
        """Of the embedder (label_of); None for whosever it is."""
        return f"{self.embedder} {self.dimension}" if self.embedder else None


class Engine(Protocol):
    """An opened store of all workspaces."""

    generations: Generations

    def workspace(self, name: str) -> Store:
        """The graph of a workspace, which is made when it is first written to."""

    async def health(self) -> list[StoreHealth]: ...

    async def workspaces(self) -> list[str]: ...

    async def due(self) -> list[str]:
        """The names of those in which the time of records is over, and which were not swept yet."""

    async def spend(self, name: str, per_minute: int) -> float:
        """Spends one of what a name may have in a minute, in all processes on this store together.

        The seconds to wait where there is none left, else 0.
        """

    async def remains(self, workspace: str, texts: Sequence[str]) -> list[Remains]:
        """Takes what was deleted out of what is kept beneath and beside the records, in slices, so that others are
        served meanwhile; then looks for texts of 16 bytes and more in all of that and in the records, everywhere in
        each part of the store, the graph first. workspace: of which they were."""

    async def stats(self) -> Stats:
        """Counts of records and bytes, for people."""

    def figures(self) -> list[Figure]:
        """What can be told at once and at no cost, as often as somebody asks."""

    @property
    def embedder(self) -> str:
        """Whose vectors are written and searched for by this process (label_of)."""

    async def latest(self) -> str:
        """Whose vectors the store holds by now: of another embedder once a reembedding has ended in some process."""

    def use(self, embedder: str) -> None:
        """Writes and searches for the vectors of the latest embedder from now on."""

    async def reembedding(self, embedder: str) -> Reembedding:
        """Begins to change the embedder (label_of), or goes on."""

    async def retire(self) -> None:
        """Takes away the vectors of embedders of before, once no process uses them."""

    async def close(self) -> None:
        """Finishes what was begun and lets go of files and connections."""
