"""How memories are formed: from what, in which order, and by what text."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, ClassVar, NamedTuple

from msgspec import Meta

from domain.blob import Blob
from domain.chunk import Formation
from domain.correction import texts_of
from domain.declaration import NATURAL, listed, refers
from domain.memory import NewMemory
from domain.message import Message
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.span import Span
from domain.summary import MAX_SENTENCES
from domain.values import MAX_BATCH, Command, Key, Ref, Text

GIVEN, EXTRACTIVE = "GIVEN", "EXTRACTIVE"
"""The strategies of a formation: the text was given, or made of the sentences that carry the sources."""


class Origin(Node, frozen=True, kw_only=True, gc=False):
    """One of the messages, spans and blobs that a memory was formed from. place: in their order, from 0. It stays when
    that one is deleted."""

    prefix: ClassVar[str] = "org"
    noun: ClassVar[str] = "origin"
    hidden: ClassVar[bool] = True

    memory_id: Annotated[Id, refers("Memory", gone="cascade", edge="OF", lives=True), NATURAL, listed("place")]
    source_id: Annotated[Id, refers("Message", "Span", "Blob", gone="keep"), NATURAL, listed("place")]
    place: int


register(Origin)


class Birth(NamedTuple):
    """What a memory is formed from, in order, in which session and chunk, and how."""

    sources: Sequence[Id]
    session_id: Id | None
    chunk_id: Id | None
    formation: Formation


class OriginOrderField(enum.Enum):
    """Fields to sort origins by."""

    PLACE = "PLACE"


class OriginOrder(Command, frozen=True, kw_only=True):
    """Sort order of origins; ties are broken by id."""

    field: OriginOrderField = OriginOrderField.PLACE
    direction: OrderDirection = OrderDirection.ASC


Sentences = Annotated[int, Meta(ge=1, le=MAX_SENTENCES)]


class FormMemoryInput(NewMemory, frozen=True, kw_only=True):
    """A memory to form from messages, spans and blobs. Without a text, it gets the sentences that carry them, at most
    maxSentences. Without an owner, the memory is the one user's who takes part in the messages' session."""

    messages: Annotated[list[Ref], Meta(max_length=MAX_BATCH)] | None = None
    spans: Annotated[list[Id], Meta(max_length=MAX_BATCH)] | None = None
    blobs: Annotated[list[Ref], Meta(max_length=MAX_BATCH)] | None = None
    text: Text | None = None
    max_sentences: Sentences = 5
    idempotency_key: Key | None = None


class ReformMemoryInput(Command, frozen=True, kw_only=True):
    """A memory whose text is to be made anew of what its sources are now, by the same strategy. A text that was given
    cannot be made anew: give it."""

    memory: Ref
    text: Text | None = None
    idempotency_key: Key | None = None


def told(source: Node) -> str:
    """What a message, a span or a blob says; of a span what the model answered, or else what it was asked."""
    if isinstance(source, Message):
        return source.text or "\n".join(texts_of([source.content]))
    if isinstance(source, Span):
        return "\n".join(one.text for one in source.output_messages or source.input_messages)
    return source.text if isinstance(source, Blob) else ""
