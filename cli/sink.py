"""Where an import goes, and what the ways there share: how messages become memories, and how they are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from domain.link import LinkInput, MemoryLinkKind
from domain.memory import MemoryInput
from domain.message import MessageInput
from domain.values import Ref
from formats.conversation import Conversation
from formats.otlp import json as otlp_json
from formats.recollect.restore import Loaded, Source

ARCHIVED = "memories archived for room"

Progress = Callable[[int, int], None]
"""Told how many conversations or records are done, and how many there are."""


class Sink(Protocol):
    """Where an import goes."""

    async def check(self, conversations: Sequence[Conversation]) -> None:
        """Raises FormatError where a conversation cannot go there; called for a whole file before the first `add`."""

    async def add(self, conversation: Conversation, owner: str | None) -> dict[str, Loaded]:
        """Adds what is not there yet of a conversation, by externalIds; counts by what was counted.

        owner: the externalId of the user whose memories its messages become; None for no memories.
        """

    async def receive(self, exports: otlp_json.Exports, progress: Progress | None) -> Loaded:
        """Adds spans, as the endpoint for OTLP does; how many told something new."""

    async def load(self, source: Source, progress: Progress | None) -> dict[str, Loaded]:
        """Adds the records of a file of our own format, under their ids. Raises FormatError."""


def words(message: MessageInput) -> str:
    """The text of a message to be, as the message will have it."""
    return "\n".join(part.text for part in message.content or () if part.text is not None)


def memory_key(message: MessageInput) -> str:
    """The externalId of the memory a message becomes."""
    return f"{message.external_id}:memory"


class Recollection(msgspec.Struct, frozen=True):
    """The memories of one conversation: what becomes a memory, and what was remembered right before each, by keys."""

    memories: dict[str, MemoryInput]
    before: dict[str, str]


def recollection(conversation: Conversation, owner: str) -> Recollection:
    """One memory for each message with words. Before it comes that of the nearest message above that has some."""
    memories: dict[str, MemoryInput] = {}
    before: dict[str, str] = {}
    nearest: dict[str | None, str | None] = {None: None}
    for message in conversation.messages:
        key, text = memory_key(message), words(message)
        above = nearest.get(None if message.parent is None else message.parent.external_id)
        if not text.strip():
            nearest[message.external_id] = above
            continue
        nearest[message.external_id] = key
        if above is not None:
            before[key] = above
        memories[key] = MemoryInput(
            owner=Ref(external_id=owner),
            text=text,
            source_message=Ref(external_id=message.external_id),
            created_at=message.created_at,
            external_id=key,
        )
    return Recollection(memories, before)


def remembered(new: int, all: int, archived: int) -> dict[str, Loaded]:
    """The counts of memories; those that were archived to make room count apart."""
    counts = {"memories": Loaded(new, all - new)}
    return {**counts, ARCHIVED: Loaded(archived)} if archived else counts


def precedes(earlier: str, later: str) -> LinkInput:
    """The link from one memory to the next, by their externalIds."""
    return LinkInput(source=Ref(external_id=earlier), target=Ref(external_id=later), kind=MemoryLinkKind.PRECEDES)
