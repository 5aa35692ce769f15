"""What memories were formed from: chunks of sessions, and formations."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import chunk as domain
from domain import compression
from resolvers import formation, sessions
from schema import page, payloads, refs
from schema.blob import Blob
from schema.fields import backed_by, relation, with_lists
from schema.message import Message
from schema.page import Node
from schema.scalars import JSON
from schema.trace import Span


@backed_by(domain.Chunk)
@strawberry.type(description="Messages of a session that memories were formed from.")
@with_lists(domain.Chunk)
class Chunk(Node):
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    messages = relation(formation.chunk_messages, page.MessageConnection, "Its messages, in order.")
    reason: str = strawberry.field(
        description="Why it ends where it does: SIZE, TIME_GAP, TOPIC, END (of the messages) or BY_HAND."
    )
    strategy: str = strawberry.field(description="How the session was cut: SIZE, TOPIC or BY_HAND.")
    settings: JSON = strawberry.field(description="The bounds it was cut by.")
    created_at: datetime


@backed_by(formation.MemoryFormation)
@strawberry.type(description="How a memory was formed.")
class MemoryFormation:
    chunk = relation(formation.chunks_of, refs.optional(Chunk), "The messages it was formed from, as a chunk.")
    messages: list[Message] = strawberry.field(description="In the order in which they were said.")
    spans: list[Span]
    blobs: list[Blob]
    strategy: str = strawberry.field(description="How its text was made: GIVEN, EXTRACTIVE or MODEL.")
    settings: JSON
    formed_at: datetime


ChunkConnection = page.connection_of("Chunk", Chunk)


@backed_by(compression.CompressedChunk)
@strawberry.type(description="A chunk as a compression leaves it, or takes it away.")
class CompressedChunk:
    change: compression.CompressionChange
    reason: str = strawberry.field(description="Why it ends where it does, as Chunk has it.")
    text: str = strawberry.field(description="What its memory says; empty where its messages have no text.")
    messages: list[Message]
    memory = strawberry.field(
        description="Its memory; null while it is only shown.", graphql_type=refs.optional(refs.Memory)
    )


CompressionPayload = payloads.payload(
    "Compression",
    chunks=refs.optional(list[CompressedChunk]),
    archived=refs.optional(list[refs.Memory]),
)
