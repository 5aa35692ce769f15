"""What every resolver is given: the graph of the caller's workspace, and the few things beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from domain.errors import not_found
from domain.node import Id, Node
from domain.values import Ref
from stores.ports import Engine, Store, Transaction, Vector

N = TypeVar("N", bound=Node)

DEFAULT_WORKSPACE = "default"
MEMORY_CAPACITY = 10_000


class Embedder(Protocol):
    """Turns texts into vectors, off the event loop and batched over concurrent callers."""

    name: str
    dimension: int

    async def embed(self, texts: Sequence[str]) -> Vector:
        """A unit vector for each text: an array of len(texts) x dimension."""


def _now() -> datetime:
    return datetime.now(UTC)


class Context:
    """One caller's view. capacity: how many active memories an owner may have before the least are archived."""

    def __init__(
        self,
        engine: Engine,
        embedder: Embedder,
        workspace: str = DEFAULT_WORKSPACE,
        capacity: int = MEMORY_CAPACITY,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self.engine, self.embedder, self.workspace, self.capacity, self.clock = (
            engine,
            embedder,
            workspace,
            capacity,
            clock,
        )
        self.store: Store = engine.workspace(workspace)


Reader = Store | Transaction


async def lookup(reader: Reader, kind: type[N], ref: Ref) -> N | None:
    """The record a reference names, or None."""
    if ref.id is not None:
        return (await reader.get(kind, [ref.id]))[0] if ref.id.startswith(f"{kind.prefix}_") else None
    return (await reader.find(kind, [(ref.external_id or "",)]))[0]


async def require(reader: Reader, kind: type[N], ref: Ref, path: Sequence[str | int]) -> N:
    """The record a reference names. Raises Rejected (NOT_FOUND, at the path) where there is none."""
    if (found := await lookup(reader, kind, ref)) is None:
        raise not_found(kind.noun, path)
    return found


async def present(reader: Reader, kind: type[N], ids: Sequence[Id]) -> list[N]:
    """The records of ids that are there, in order."""
    return [record for record in await reader.get(kind, ids) if record is not None]


async def named_by(context: Context, kind: type[N], ids: Sequence[Id | None]) -> list[N | None]:
    """The record of each id, None for none; each is read once."""
    wanted = list({id for id in ids if id is not None})
    found = dict(zip(wanted, await context.store.get(kind, wanted), strict=True)) if wanted else {}
    return [None if id is None else found[id] for id in ids]
