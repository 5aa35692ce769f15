"""Chunks: runs of messages that belong together, and where a session is cut into them."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, ClassVar, NamedTuple

import msgspec
from msgspec import Meta

from domain.declaration import NATURAL, listed, refers, shown
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import Command, Json, UnitFloat

BY_HAND = "BY_HAND"
"""The strategy and the reason of a chunk whose messages somebody has named."""


class Chunk(Node, frozen=True, kw_only=True, gc=False):
    """Messages of a session that memories were formed from. reason: why it ends where it does; strategy, settings: how
    the session was cut; cut_at: the id of its first message, if a compression has cut it."""

    prefix: ClassVar[str] = "chk"
    noun: ClassVar[str] = "chunk"

    session_id: Annotated[
        Id,
        refers("Session", gone="cascade", edge="OF"),
        listed("created_at"),
        shown("chunks", "Runs of its messages that memories were formed from, newest first."),
    ]
    message_ids: Annotated[list[Id], refers("Message", gone="keep")]
    reason: str
    strategy: str
    settings: Json
    created_at: datetime
    cut_at: Annotated[str | None, NATURAL] = None


class Formation(msgspec.Struct, frozen=True, gc=False):
    """How a memory's text was made, and when."""

    strategy: str
    settings: Json
    formed_at: datetime


register(Chunk)


class ChunkOrderField(enum.Enum):
    """Fields to sort chunks by."""

    CREATED_AT = "CREATED_AT"


class ChunkOrder(Command, frozen=True, kw_only=True):
    """Sort order of chunks; ties are broken by id."""

    field: ChunkOrderField = ChunkOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class ChunkStrategy(enum.Enum):
    """How a session is cut into chunks: by size and by gaps in time, or also where the topic changes."""

    SIZE = "SIZE"
    TOPIC = "TOPIC"


class Cutting(Command, frozen=True, kw_only=True):
    """Bounds of chunks. gapSeconds: a chunk ends before a silence that is longer. Of TOPIC: minMessages a chunk has
    before a topic may end it, and the similarity of the messages on both sides below which one ends."""

    max_messages: Annotated[int, Meta(ge=1, le=1000)] = 40
    max_characters: Annotated[int, Meta(ge=1)] = 8_000
    gap_seconds: Annotated[int, Meta(ge=1)] = 3_600
    min_messages: Annotated[int, Meta(ge=1)] = 4
    similarity: UnitFloat = 0.55


class Piece(NamedTuple):
    """A message as far as cutting asks. goes_on: it answers a tool call, and stands with that. alike: how alike what
    stands before and from it on is, from 0 to 1."""

    at: datetime
    characters: int
    goes_on: bool = False
    alike: float = 1.0


class Cut(NamedTuple):
    """A chunk as a range of messages, and why it ends: SIZE, TIME_GAP, TOPIC, or END with the messages."""

    start: int
    end: int
    reason: str


def cuts(pieces: Sequence[Piece], strategy: ChunkStrategy, bounds: Cutting) -> Iterator[Cut]:
    """Chunks that cover all messages once, in order. What goes on is cut off by the number of messages alone."""
    start = characters = 0
    for index, piece in enumerate(pieces):
        count = index - start
        if count and (reason := _ends(pieces[index - 1], piece, count, characters, strategy, bounds)):
            yield Cut(start, index, reason)
            start, characters = index, 0
        characters += piece.characters
    if start < len(pieces):
        yield Cut(start, len(pieces), "END")


def _ends(before: Piece, piece: Piece, count: int, characters: int, strategy: ChunkStrategy, bounds: Cutting) -> str:
    """Why a chunk ends before a message; "" where it goes on."""
    if count >= bounds.max_messages:
        return "SIZE"
    if piece.goes_on:
        return ""
    if (piece.at - before.at).total_seconds() > bounds.gap_seconds:
        return "TIME_GAP"
    if characters + piece.characters > bounds.max_characters:
        return "SIZE"
    if strategy is ChunkStrategy.TOPIC and count >= bounds.min_messages and piece.alike < bounds.similarity:
        return "TOPIC"
    return ""
