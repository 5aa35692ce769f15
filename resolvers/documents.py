"""Search what documents say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.blob import Blob, BlobFilter
from domain.document import chunks
from domain.errors import invalid
from domain.finding import snippet
from domain.values import Said
from resolvers.blobs import BLOBS
from resolvers.context import Context
from resolvers.lists import ROOT
from stores import words

_MOST_WORDS, _DOCUMENTS = 32, 50

First = Annotated[int, Meta(ge=1, le=50)]


class DocumentChunk(msgspec.Struct, frozen=True):
    """A piece of a document that was found. score: the share of the words that are looked for which it has."""

    blob: Blob
    place: int
    offset: int
    text: str
    snippet: str
    score: float


async def search(
    context: Context, text: Said, filter: BlobFilter | None = None, first: First = 10
) -> list[DocumentChunk]:
    """The pieces of documents that have most of these words, among the newest documents that have all of them. Raises
    Rejected: INVALID."""
    asked = list(dict.fromkeys(text.split()))
    if len(asked) > _MOST_WORDS:
        raise invalid(f"Give up to {_MOST_WORDS} words.", ["text"])
    every = [*([] if filter is None else [filter]), *(BlobFilter(says=word) for word in asked)]
    [page] = await BLOBS.pages(context, [ROOT], _DOCUMENTS, filter=BlobFilter(and_=every))
    return (await asyncio.to_thread(_found, page.nodes, text))[:first]


def _found(blobs: Sequence[Blob], text: str) -> list[DocumentChunk]:
    """Those that have a word, the best first; of equal ones those of newer documents, and in a document the first."""
    looked_for, found = words.asked(text), list[DocumentChunk]()
    for blob in blobs:
        for one in chunks(blob.text):
            if spots := words.spots(looked_for, one.text):
                score = words.covered(looked_for, one.text)
                shown = snippet(one.text, spots)
                found.append(DocumentChunk(blob, one.place, one.offset, one.text, shown, score))
    return sorted(found, key=lambda one: -one.score)
