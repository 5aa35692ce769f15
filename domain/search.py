"""Memory search: queries, what stores find for them, and hits. How hits are ranked: domain.ranking."""

from __future__ import annotations

import enum
import re
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

from domain.declaration import listed, refers
from domain.link import MemoryLinkKind
from domain.memory import Memory, MemoryFilter
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.trace import TraceEvent
from domain.values import Command, Text, UnitFloat, Whose


class SearchMode(enum.Enum):
    """Search by meaning (SEMANTIC), by words (TEXT), or by both (HYBRID)."""

    HYBRID = "HYBRID"
    SEMANTIC = "SEMANTIC"
    TEXT = "TEXT"


class Ranking(enum.Enum):
    """RELEVANCE: importance and decay order what is about equally relevant. PRODUCT: relevance x importance x decay."""

    RELEVANCE = "RELEVANCE"
    PRODUCT = "PRODUCT"


class MemoryQuery(Command, frozen=True, kw_only=True):
    """The query: a text, a vector of the embedder's dimension, or a memory to find similar ones to."""

    text: Text | None = None
    vector: list[float] | None = None
    like: Id | None = None


class ScoreParts(msgspec.Struct, frozen=True, gc=False):
    """What a score is made of, each between 0 and 1. similarity is (1 + cosine) / 2. From neighbors on: what vouches
    for a hit of HYBRID beside its own words and meaning (domain.ranking.Weights)."""

    importance: float
    decay: float
    similarity: float | None = None
    text_rank: float | None = None
    fusion: float | None = None
    neighbors: float | None = None
    reply: float | None = None
    session: float | None = None
    people: float | None = None
    links: float | None = None
    references: float | None = None
    time: float | None = None
    entities: float | None = None


VOUCHING = ("neighbors", "reply", "session", "people", "links", "references", "time", "entities")
"""The parts that vouch for a hit."""


class MemoryHit(msgspec.Struct, frozen=True, gc=False):
    """A memory that was found. folded: others that say the same in almost the same words, best first."""

    memory: Memory
    score: float
    parts: ScoreParts
    folded: list[Memory] = []


class MemorySearch(msgspec.Struct, frozen=True, gc=False):
    """What a search found, best first. degraded: a store was down and the rest answered. took_ms: milliseconds."""

    hits: list[MemoryHit]
    mode: SearchMode
    degraded: bool
    took_ms: float


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A memory that may be a hit, as a store found it: its weight's parts and what it has of the two relevances.

    What follows is known of it in a HYBRID search. at: when it was made. asks: whether it ends as a question.
    session_id, place: where the message stands that it was formed from. parent: the place of the message which that one
    replies to. people: names of who said it and whose it is. entities: those it mentions, of the best candidates.

    text: what it says, in a search for words.
    """

    id: Id
    importance: float
    decay: float
    similarity: float | None
    text_rank: float | None
    at: datetime | None = None
    asks: bool = False
    session_id: Id | None = None
    place: int | None = None
    parent: int | None = None
    people: tuple[str, ...] = ()
    entities: tuple[Id, ...] = ()
    text: str | None = None


class Tie(msgspec.Struct, frozen=True, gc=False):
    """A link between two candidates; kind None: the same messages drew on both. weight: between 0 and 1."""

    one: Id
    other: Id
    kind: MemoryLinkKind | None
    weight: float


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
    ranking: Ranking | None = None
    threshold: UnitFloat = 0.5
    first: int = 10
    session: Whose = None
    message: Whose = None
    anyone: bool = False


class Recalled(msgspec.Struct, frozen=True):
    """What a recall found, and the trace event that says so (None without a session)."""

    search: MemorySearch
    event: TraceEvent | None


_QUESTION = re.compile(r"[?\uff1f\u061f]\W*$")


def asks(text: str) -> bool:
    """Whether a text, of which the end is enough, ends as a question."""
    return _QUESTION.search(text) is not None


def similarity(cosine: float) -> float:
    """A cosine between -1 and 1 as a similarity between 0 and 1."""
    return (1.0 + cosine) / 2.0
