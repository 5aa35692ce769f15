"""Vectors that records have beside them, of chunks and of state, made anew where the embedder has changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from domain.document import DocumentChunk
from domain.node import Id
from domain.state_index import StateVector
from stores import documents, state_index
from stores.embedder import Batching
from stores.ports import Engine, Store, Transaction, label_of

Embedded = TypeVar("Embedded", DocumentChunk, StateVector)

_BATCH = 250


async def renew(engine: Engine, embedder: Batching) -> None:
    """Gives all of them vectors of an embedder that have those of another one, or none. Raises NoEmbedder."""
    for name in await engine.workspaces():
        store = engine.workspace(name)
        await outdate(store, DocumentChunk, label_of(embedder))
        await outdate(store, StateVector, label_of(embedder))
        for embed_due in (documents.embed_due, state_index.embed_due):
            while await embed_due(store, embedder):
                pass


async def outdate(store: Store, kind: type[Embedded], embedder: str) -> None:
    """Has those wait that have a vector of another embedder than that (label_of)."""
    last: Id | None = None
    while some := await store.scan(kind, last, _BATCH):
        last = some[-1].id
        if stale := [one.id for one in some if one.embedder not in (None, embedder)]:
            await store.write(partial(_take, kind, stale))


async def _take(kind: type[Embedded], ids: Sequence[Id], tx: Transaction) -> None:
    there = [one for one in await tx.get(kind, ids) if one is not None]
    await tx.put([replace(one, vector=b"", embedder=None, due_at=tx.now) for one in there])
