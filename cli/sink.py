"""Where an import goes, and what the ways there share: how messages become memories, and how they are counted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from domain.link import LinkInput, MemoryLinkKind
from domain.memory import MemoryInput
from domain.message import MessageInput
from domain.values import EMPTY_OBJECT, Json, Ref, decode_json, encode_json
from formats.conversation import Conversation, FormatError, moment
from formats.otlp import json as otlp_json
from formats.recollect.restore import Loaded, Source

ARCHIVED = "memories archived to make room"

Progress = Callable[[int, int], None]
"""Told how many conversations or records are done, and how many there are."""


class Spans(msgspec.Struct, frozen=True):
    """What an import of spans did. notes: what was not taken as it came, each once."""

    loaded: Loaded = Loaded()
    notes: list[str] = []

    def plus(self, loaded: Loaded, note: str) -> Spans:
        fresh = [note] if note and note not in self.notes else []
        return Spans(self.loaded + loaded, [*self.notes, *fresh])


class Sink(Protocol):
    async def check(self, conversations: Sequence[Conversation]) -> None:
        """Raises FormatError where a conversation cannot go there; called for a whole file before the first `add`."""

    async def add(self, conversation: Conversation, owner: str | None) -> dict[str, Loaded]:
        """Adds what is not there yet of a conversation, by externalIds; counts by what was counted.

        owner: the externalId of the user whose memories its messages become; None for no memories.
        """

    async def receive(self, exports: otlp_json.Exports, progress: Progress | None) -> Spans:
        """Adds spans, as the endpoint for OTLP does."""

    async def load(self, source: Source, progress: Progress | None) -> dict[str, Loaded]:
        """Adds the records of a file of our own format, under their ids. Raises FormatError."""


def words(message: MessageInput) -> str:
    """The text of a message to be, as the message will have it."""
    return "\n".join(part.text for part in message.content or () if part.text is not None)


def memory_key(message: MessageInput) -> str:
    """The externalId of the memory a message becomes."""
    return f"{message.external_id}:memory"


class Recollection(msgspec.Struct, frozen=True):
    """The memories of one conversation, by keys: what becomes a memory, what was remembered right before each, what is
    none or no longer, and what is one again."""

    memories: dict[str, MemoryInput]
    before: dict[str, str]
    discarded: list[str]
    returned: list[str]


def recollection(
    conversation: Conversation, owner: str, metadata: Json | None, kept: Collection[str] | None = None
) -> Recollection:
    """One memory for each message with words on the branch that is shown, but for what tools said and what passes.
    Before it comes that of the nearest message above that has one. metadata: what the session has, if it is there.
    kept: the messages on the branch that stays current, for an export that is older than what is there."""
    memories: dict[str, MemoryInput] = {}
    before: dict[str, str] = {}
    discarded: list[str] = []
    shown = conversation.branch(conversation.current) if kept is None else kept
    before_that = _shown_before(conversation, metadata)
    nearest: dict[str | None, str | None] = {None: None}
    for message in conversation.messages:
        key, text = memory_key(message), words(message)
        above = nearest.get(None if message.parent is None else message.parent.external_id)
        name = message.external_id
        if not text.strip() or name not in shown or name in conversation.passing or message.role == "tool":
            nearest[name] = above
            discarded.append(key)
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
    if kept is not None:
        return Recollection(memories, before, [], [])
    returned = [key for key, one in memories.items() if before_that and _source(one) not in before_that]
    return Recollection(memories, before, discarded, returned)


def _source(memory: MemoryInput) -> str | None:
    return None if memory.source_message is None else memory.source_message.external_id


def _shown_before(conversation: Conversation, metadata: Json | None) -> set[str]:
    """The branch that an earlier export showed; empty where that is not known."""
    node = decode_json(metadata).get(CURRENT) if metadata is not None else None
    return conversation.branch(f"{conversation.key}:{node}") if isinstance(node, str) else set()


def follow(title: str, metadata: Json, conversation: Conversation) -> dict[str, Any]:
    """The title and the metadata that a session has after another export: those of the export, unless it is older than
    what is there. What else the metadata has stays."""
    told = conversation.session
    if is_older(conversation, metadata):
        return {"title": title, "metadata": metadata}
    known, new = decode_json(metadata), decode_json(told.metadata or EMPTY_OBJECT)
    return {"title": told.title or title, "metadata": encode_json({**known, **new})}


def is_older(conversation: Conversation, metadata: Json) -> bool:
    """Whether an export is older than the one that a session's metadata is of."""
    told, known = _updated(conversation.session.metadata), _updated(metadata)
    return told is not None and known is not None and told < known


def moves(conversation: Conversation, metadata: Json | None, others: bool) -> bool:
    """Whether the session's current branch is to end where the export says. metadata: what the session has, None for a
    new one. others: it has messages that the export does not have, so that the same export says nothing new."""
    if conversation.current is None or metadata is None:
        return conversation.current is not None
    told, known = _updated(conversation.session.metadata), _updated(metadata)
    return told is None or known is None or told > known or (told == known and not others)


def _updated(metadata: Json | None) -> datetime | None:
    try:
        return moment(decode_json(metadata or EMPTY_OBJECT).get(UPDATED), UPDATED, "")
    except FormatError:
        return None


CURRENT = "current_node"
"""The member of the metadata that tells at which node the branch ends that an export shows."""

UPDATED = "update_time"
"""The member of the metadata that tells when an export's conversation was changed last: a time as files have it."""


def remembered(new: int, all: int, archived: int) -> dict[str, Loaded]:
    """The counts of memories; those that were archived to make room count apart."""
    counts = {"memories": Loaded(new, all - new)}
    return {**counts, ARCHIVED: Loaded(archived)} if archived else counts


def precedes(earlier: str, later: str) -> LinkInput:
    """The link from one memory to the next, by their externalIds."""
    return LinkInput(source=Ref(external_id=earlier), target=Ref(external_id=later), kind=MemoryLinkKind.PRECEDES)
