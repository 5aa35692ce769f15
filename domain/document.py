"""Documents: what they say, in chunks that can be found and shown."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, ClassVar, NamedTuple

from domain.declaration import DUE, NATURAL, listed, refers, shown
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import Command

CHARACTERS, OVERLAP = 1_000, 100
"""How long a chunk of a document may be, and how much of it stands in the one before, too."""

_ENDS = (re.compile(r"\n\s*\n"), re.compile(r"[.!?\u3002]\s|\n"), re.compile(r"\s"))
"""Where a chunk best ends: between paragraphs, else sentences, else words."""


class DocumentChunk(Node, frozen=True, kw_only=True, gc=False):
    """A piece of what a document says. offset: of its first character in that. embedder: whose vector it has
    (stores.ports.label_of); vector: of unit length, as little-endian float16; due_at: since when it waits for one."""

    prefix: ClassVar[str] = "dch"
    noun: ClassVar[str] = "document chunk"

    blob_id: Annotated[
        Id,
        refers("Blob", gone="cascade", edge="OF"),
        NATURAL,
        listed("place", "id"),
        shown("chunks", "Pieces of what it says, in order."),
    ]
    place: int
    offset: int
    embedder: str | None
    vector: bytes
    due_at: Annotated[datetime | None, DUE]
    created_at: datetime
    text: str


register(DocumentChunk)


class DocumentChunkOrderField(enum.Enum):
    """What chunks of documents are sorted by."""

    PLACE = "PLACE"


class DocumentChunkOrder(Command, frozen=True, kw_only=True):
    """An order of chunks of documents; ties are broken by id."""

    field: DocumentChunkOrderField = DocumentChunkOrderField.PLACE
    direction: OrderDirection = OrderDirection.ASC


class Piece(NamedTuple):
    """A part of a text, and where it begins in that."""

    offset: int
    text: str


def pieces(text: str, characters: int = CHARACTERS, overlap: int = OVERLAP) -> Iterator[Piece]:
    """The pieces of a text in order; together they have all of it, and each goes on before the one before ends."""
    start = 0
    while start < len(text):
        end = _end(text, start, characters)
        if text[start:end].strip():
            yield Piece(start, text[start:end])
        if end == len(text):
            return
        start = max(start + 1, end - overlap)


def _end(text: str, start: int, characters: int) -> int:
    """Where a piece ends that begins there: in its second half, if that has a good place."""
    most = start + characters
    if most >= len(text):
        return len(text)
    for pattern in _ENDS:
        found = [one.end() for one in pattern.finditer(text, start + characters // 2, most)]
        if found:
            return found[-1]
    return most
