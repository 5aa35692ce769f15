"""Search what documents say."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.blob import Blob, BlobFilter
from domain.document import DocumentChunk
from domain.finding import snippet
from domain.ranking import Asked, Ranked, rank
from domain.search import Candidate, Ranking, SearchMode, similarity
from domain.values import Said
from resolvers.actors import whose
from resolvers.context import Context, named_by, present
from resolvers.search import meaning, means, usual_of
from stores import documents, words
from stores.errors import NoEmbedder, StoreError
from stores.ports import ChunkSearch, FoundChunks, Vector, label_of

_CANDIDATES = 200

_THRESHOLD = 0.5

First = Annotated[int, Meta(ge=1, le=50)]


class DocumentHit(msgspec.Struct, frozen=True):
    """A chunk that was found, its score between 0 and 1, and a piece of it in which what was looked for is marked."""

    chunk: DocumentChunk
    score: float
    snippet: str


class DocumentSearch(msgspec.Struct, frozen=True):
    """What was found, the best first. degraded: the meaning could not be looked for. waiting: so many chunks have no
    vector yet, and could be found by their words alone."""

    hits: list[DocumentHit]
    mode: SearchMode
    degraded: bool
    waiting: int


async def search(
    context: Context,
    text: Said,
    filter: BlobFilter | None = None,
    mode: SearchMode = SearchMode.HYBRID,
    first: First = 10,
) -> DocumentSearch:
    """The chunks of documents that have words of a text, or mean the same. Raises Rejected: INVALID; AMBIGUOUS for a
    sender who may be two."""
    await whose(context, filter)
    vector, degraded = None, False
    if mode is not SearchMode.TEXT and means(text):
        try:
            vector = await meaning(context, text, mode)
        except NoEmbedder:
            degraded = True
    if degraded and mode is SearchMode.SEMANTIC:
        mode = SearchMode.TEXT
    looked_for = ChunkSearch(text, _CANDIDATES, filter, vector, label_of(context.embedder))
    found = await context.store.search_chunks(looked_for)
    chunks = {one.id: one for one in found.chunks}
    ranked = await _ranked(context, text, mode, first, vector, found)
    asked = words.asked(text)
    hits = [
        DocumentHit(one := chunks[hit.candidate.id], hit.score, snippet(one.text, words.spots(asked, one.text)))
        for hit in ranked
    ]
    return DocumentSearch(hits, mode, degraded, found.waiting)


async def _ranked(
    context: Context, text: str, mode: SearchMode, first: int, vector: Vector | None, found: FoundChunks
) -> list[Ranked]:
    """A document is to its chunks what a session is to messages; its name is one that a query may tell."""
    usual = await usual_of(context, mode, vector)
    blobs = await present(context.store, Blob, list({one.blob_id for one in found.chunks}))
    names = {one.id: one.filename for one in blobs}
    candidates = [
        Candidate(
            one.id, 1.0, 1.0, None if (cosine := found.cosines.get(one.id)) is None else similarity(cosine),
            found.ranks.get(one.id), one.created_at, False, one.blob_id, one.place, None,
            (names[one.blob_id],) if one.blob_id in names else (), text=one.text,
        )
        for one in found.chunks
    ]  # fmt: skip
    asked = Asked(
        mode,
        _THRESHOLD,
        first,
        Ranking.RELEVANCE,
        text,
        context.clock(),
        context.embedder.kindred,
        found.covered,
        usual,
    )
    return rank(candidates, asked, weights=context.weights)


async def blobs_of(context: Context, chunks: Sequence[DocumentChunk]) -> list[Blob | None]:
    return await named_by(context, Blob, [one.blob_id for one in chunks])


async def embed_all(context: Context) -> None:
    """Gives the chunks of the workspace that wait for them their vectors."""
    with contextlib.suppress(NoEmbedder):  # they wait on
        while await documents.embed_due(context.store, context.embedder):
            pass


async def embed(context: Context) -> None:
    """Gives chunks their vectors that have just been made, where that takes no other server; else the sweeper does."""
    if context.embedder.is_at_hand:
        with contextlib.suppress(NoEmbedder, StoreError):
            await documents.embed_due(context.store, context.embedder)
