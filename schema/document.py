"""Chunks of documents, and searches of what documents say."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import document as domain
from domain.search import SearchMode
from resolvers import documents
from schema import page, refs
from schema.fields import backed_by, relation
from schema.page import Node


@backed_by(domain.DocumentChunk)
@strawberry.type(description="A piece of what a document says, of up to 1,000 characters.")
class DocumentChunk(Node):
    blob = relation(documents.blobs_of, refs.optional(refs.Blob), "Its document.", reads=["blob_id"])
    place: int = strawberry.field(description="Its place among the chunks of the document, from 0.")
    offset: int = strawberry.field(description="Where it begins in the document's text, in characters.")
    text: str
    embedder: str | None = strawberry.field(
        description="By what its vector was made; null while it has none, and is found by its words alone."
    )
    created_at: datetime


DocumentChunkConnection = page.connection_of("DocumentChunk", DocumentChunk)


@backed_by(documents.DocumentHit)
@strawberry.type(description="A chunk of a document that was found.")
class DocumentHit:
    chunk: DocumentChunk
    score: float = strawberry.field(description="From 0 to 1.")
    snippet: str = strawberry.field(description="A part of it in one line; the words are marked: **word**.")


@backed_by(documents.DocumentSearch)
@strawberry.type(description="What a search of documents found, best first.")
class DocumentSearch:
    hits: list[DocumentHit]
    mode: SearchMode = strawberry.field(description="TEXT where SEMANTIC was asked and the embedder is not there.")
    degraded: bool = strawberry.field(description="Whether the meaning could not be looked for.")
    waiting: int = strawberry.field(
        description="How many chunks of those documents have no vector yet, and are looked for by their words alone."
    )
