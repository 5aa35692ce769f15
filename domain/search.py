"""Memory search: queries, and how hits are scored and ranked."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

from domain.declaration import listed, refers
from domain.memory import Memory, MemoryFilter
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.trace import TraceEvent
from domain.values import Command, Text, UnitFloat, Whose

TEXT_SHARE = 0.5
"""How much of the fusion is the words; the rest is the meaning."""


class SearchMode(enum.Enum):
    """Search by meaning (SEMANTIC), by words (TEXT), or by both (HYBRID)."""

    HYBRID = "HYBRID"
    SEMANTIC = "SEMANTIC"
    TEXT = "TEXT"


class MemoryQuery(Command, frozen=True, kw_only=True):
    """The query: a text, a vector of the embedder's dimension, or a memory to find similar ones to."""

    text: Text | None = None
    vector: list[float] | None = None
    like: Id | None = None


class ScoreParts(msgspec.Struct, frozen=True, gc=False):
    """What a score is made of. similarity is (1 + cosine) / 2; text_rank and fusion are between 0 and 1."""

    importance: float
    decay: float
    similarity: float | None = None
    text_rank: float | None = None
    fusion: float | None = None


class MemoryHit(msgspec.Struct, frozen=True, gc=False):
    """A memory that was found: score = relevance x importance x decay."""

    memory: Memory
    score: float
    parts: ScoreParts


class MemorySearch(msgspec.Struct, frozen=True, gc=False):
    """What a search found, best first. degraded: a store was down and the rest answered. took_ms: milliseconds."""

    hits: list[MemoryHit]
    mode: SearchMode
    degraded: bool
    took_ms: float


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A memory that may be a hit, as a store found it: its weight's parts and what it has of the two relevances."""

    id: Id
    importance: float
    decay: float
    similarity: float | None
    text_rank: float | None


class Recall(Node, frozen=True, kw_only=True, gc=False):
    """One use of a memory: by which session, message and trace event, with the score it had."""

    prefix: ClassVar[str] = "rcl"
    noun: ClassVar[str] = "recall"

    memory_id: Annotated[Id, refers(Memory, gone="cascade"), listed("recalled_at")]
    session_id: Annotated[Id | None, refers("Session", gone="null")]
    message_id: Annotated[Id | None, refers("Message", gone="null")]
    event_id: Annotated[Id | None, refers(TraceEvent, gone="null")]
    score: float
    parts: ScoreParts
    recalled_at: datetime


register(Recall)


class RecallOrderField(enum.Enum):
    """Fields to sort recalls by."""

    RECALLED_AT = "RECALLED_AT"
    SCORE = "SCORE"


class RecallOrder(Command, frozen=True, kw_only=True):
    """Sort order of recalls; ties are broken by id."""

    field: RecallOrderField = RecallOrderField.RECALLED_AT
    direction: OrderDirection = OrderDirection.DESC


class RecallInput(Command, frozen=True, kw_only=True):
    """A search whose results an agent will use, for a session and the message it answers. With either, it finds
    memories of the session's participants and GLOBAL ones; with `anyone`, or a filter that names an owner, all
    memories that match the filter."""

    query: MemoryQuery
    filter: MemoryFilter | None = None
    mode: SearchMode = SearchMode.HYBRID
    threshold: UnitFloat = 0.5
    first: int = 10
    session: Whose = None
    message: Whose = None
    anyone: bool = False


class Recalled(msgspec.Struct, frozen=True):
    """What a recall found, and the trace event that says so (None without a session)."""

    search: MemorySearch
    event: TraceEvent | None


def similarity(cosine: float) -> float:
    """A cosine between -1 and 1 as a similarity between 0 and 1."""
    return (1.0 + cosine) / 2.0


def fuse(similarity: float | None, text_rank: float | None) -> float:
    """The relevance of a hybrid hit, between 0 and 1, from what is known of its two sides."""
    return (1 - TEXT_SHARE) * (similarity or 0.0) + TEXT_SHARE * (text_rank or 0.0)


def score(candidate: Candidate, mode: SearchMode) -> tuple[float, ScoreParts]:
    """relevance x importance x decay, and its parts; relevance is similarity in SEMANTIC, text_rank in TEXT,
    their fusion in HYBRID."""
    fusion = None
    if mode is SearchMode.SEMANTIC:
        relevance = candidate.similarity or 0.0
    elif mode is SearchMode.TEXT:
        relevance = candidate.text_rank or 0.0
    else:
        relevance = fusion = fuse(candidate.similarity, candidate.text_rank)
    parts = ScoreParts(candidate.importance, candidate.decay, candidate.similarity, candidate.text_rank, fusion)
    return relevance * candidate.importance * candidate.decay, parts


def passes(candidate: Candidate, mode: SearchMode, threshold: float) -> bool:
    """Whether a candidate may be a hit: the threshold applies to similarity, and in HYBRID never drops one that was
    found by its words."""
    if mode is SearchMode.TEXT or (mode is SearchMode.HYBRID and candidate.text_rank is not None):
        return candidate.text_rank is not None
    return candidate.similarity is not None and candidate.similarity >= threshold


def rank(
    candidates: Iterable[Candidate], mode: SearchMode, threshold: float, first: int
) -> list[tuple[Candidate, float, ScoreParts]]:
    """The best `first` candidates with their scores, best first; ties by id, newest first."""
    scored = [(c, *score(c, mode)) for c in candidates if passes(c, mode, threshold)]
    scored.sort(key=lambda row: (row[1], row[0].id), reverse=True)
    return scored[:first]
