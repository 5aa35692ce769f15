"""Chunks of documents: cut when a document's text is stored, given vectors later, and compared by these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

import numpy as np
from msgspec.structs import replace

from domain.blob import Blob
from domain.document import DocumentChunk, pieces
from domain.node import Id, Node
from stores.embedder import Batching
from stores.ports import Store, Transaction, Vector, label_of
from stores.sums import Sums

COMPARED = 20_000
"""So many chunks are compared by their vectors in a search, the newest where there are more."""

_BATCH = 250


def cut(blob: Blob, new_id: Callable[[type[Node]], Id], now: datetime) -> list[DocumentChunk]:
    """The chunks of what a document says, which wait for their vectors."""
    return [
        DocumentChunk(
            id=new_id(DocumentChunk), blob_id=blob.id, place=place, offset=one.offset, text=one.text,
            embedder=None, vector=b"", due_at=now, created_at=now,
        )
        for place, one in enumerate(pieces(blob.text))
    ]  # fmt: skip


async def put(tx: Sums, blobs: Sequence[Blob]) -> None:
    """Stores blobs; where the text of one is new or another one, its chunks too."""
    before = await tx.get(Blob, [one.id for one in blobs])
    changed = [(old, new) for old, new in zip(before, blobs, strict=True) if (old.text if old else "") != new.text]
    for old, _ in changed:
        if old is not None and old.text:
            keys = [(old.id, str(place)) for place, _ in enumerate(pieces(old.text))]
            gone = [one.id for one in await tx.find(DocumentChunk, keys) if one is not None]
            await tx.delete(DocumentChunk, gone)
    await tx.store(blobs)
    await tx.put([chunk for _, new in changed for chunk in cut(new, tx.new_id, tx.now)])


async def embed_due(store: Store, embedder: Batching) -> int:
    """Gives chunks that wait for vectors theirs, as many as a batch has; how many those were. Raises NoEmbedder."""

    async def waiting(tx: Transaction) -> list[DocumentChunk]:
        return await tx.expired(DocumentChunk, _BATCH)

    if due := await store.write(waiting):
        vectors = await embedder.embed([one.text for one in due])
        made = dict(zip((one.id for one in due), packed(vectors), strict=True))
        await store.write(partial(_give, made, label_of(embedder)))
    return len(due)


async def _give(made: Mapping[Id, bytes], label: str, tx: Transaction) -> None:
    there = [one for one in await tx.get(DocumentChunk, list(made)) if one is not None]
    await tx.put([replace(one, vector=made[one.id], embedder=label, due_at=None) for one in there])


def packed(vectors: Vector) -> list[bytes]:
    """Vectors as chunks have them."""
    return [one.tobytes() for one in np.asarray(vectors, "<f2")]


def cosines(vectors: Iterable[bytes], query: Vector) -> list[float]:
    """How near each of these vectors is to one of unit length, in order."""
    matrix = np.frombuffer(b"".join(vectors), "<f2").reshape(-1, len(query))
    found: list[float] = np.vecdot(matrix.astype(np.float32), query).tolist()
    return found
