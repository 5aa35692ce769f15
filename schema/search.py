"""Searches, hits and recalls."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import strawberry

from domain import search as domain
from domain.search import SearchMode
from resolvers import messages, search, sessions
from schema import refs
from schema.fields import backed_by, relation
from schema.page import Node


@backed_by(domain.ScoreParts)
@strawberry.type(description="The parts of a score, each 0 to 1. From neighbors on: what vouches for a HYBRID hit.")
class ScoreParts:
    similarity: float | None = strawberry.field(description="(1 + cosine) / 2; the relevance in SEMANTIC mode.")
    text_rank: float | None = strawberry.field(description="0 to 1; the relevance in TEXT mode.")
    fusion: float | None = strawberry.field(description="All signals together; the relevance in HYBRID mode.")
    importance: float
    decay: float
    neighbors: float | None = strawberry.field(description="What the memories just before and after say.")
    reply: float | None = strawberry.field(description="What the question says that it follows or replies to.")
    session: float | None = strawberry.field(description="What the best of its session says.")
    people: float | None = strawberry.field(description="1 if the query names its sender or owner.")
    links: float | None = strawberry.field(description="What the best memory linked to it says.")
    references: float | None = strawberry.field(description="What memories say that the same messages drew on.")
    time: float | None = strawberry.field(description="1 if it is of a time that the query names.")
    entities: float | None = strawberry.field(
        description="Near 1 if it mentions an entity that the query names; else what others say that mention the same."
    )


@backed_by(domain.MemoryHit)
@strawberry.type(description="A memory found by a search, with its score.")
class MemoryHit:
    memory: Any = strawberry.field(graphql_type=refs.Memory)
    score: float
    parts: ScoreParts
    folded: list[Any] = strawberry.field(
        graphql_type=list[refs.Memory], description="Memories that say the same in almost the same words, best first."
    )


@backed_by(domain.MemorySearch)
@strawberry.type(description="The results of a search, best first.")
class MemorySearch:
    hits: list[MemoryHit]
    mode: SearchMode
    degraded: bool = strawberry.field(
        description="True if part of the store was unavailable and the results may be incomplete."
    )
    took_ms: float = strawberry.field(description="Time the search took on the server, in milliseconds.")


@backed_by(domain.Recall)
@strawberry.type(description="A recorded use of a memory, with its score at the time.")
class Recall(Node):
    memory = relation(search.recalled_memories, refs.Memory)
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    message = relation(messages.messages_of, refs.optional(refs.Message))
    event = relation(search.recall_events, refs.optional(refs.TraceEvent), "The trace event that recorded it.")
    score: float
    parts: ScoreParts
    recalled_at: datetime
