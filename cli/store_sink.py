"""Where an import goes: the sinks have a protocol, and what they share; the one that writes into a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from domain.link import LinkInput, MemoryLinkKind
from domain.memory import Memory, MemoryInput
from domain.message import Message, MessageInput
from domain.session import Session
from domain.values import Ref
from formats.conversation import Conversation
from formats.otlp import json as otlp_json
from formats.recollect import jsonl as recollect_jsonl
from formats.recollect.restore import Loaded, Source
from resolvers.context import Context
from resolvers.links import put_links
from resolvers.memories import create_in as create_memories_in
from resolvers.messages import add_in
from resolvers.sessions import create_in as create_session_in
from resolvers.telemetry import receive
from stores.ports import Transaction, Vector

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


class StoreSink:
    """Writes into an opened store, each conversation in one transaction; the caps of requests do not hold here."""

    def __init__(self, context: Context) -> None:
        self._context, self._store = context, context.store

    async def check(self, conversations: Sequence[Conversation]) -> None:
        """Everything can go into a store."""

    async def load(self, source: Source, progress: Progress | None) -> dict[str, Loaded]:
        """Loads a file of our own format, under the ids it has."""
        return await recollect_jsonl.load(source, self._context, progress)

    async def receive(self, exports: otlp_json.Exports, progress: Progress | None) -> Loaded:
        """Adds spans, each request in one transaction."""
        loaded = Loaded()
        for done, request in enumerate(exports.requests, 1):
            received = await receive(self._context, otlp_json.reports(request).reports)
            loaded += Loaded(received.new, received.known)
            if progress is not None:
                progress(done, len(exports.requests))
        return loaded

    async def add(self, conversation: Conversation, owner: str | None) -> dict[str, Loaded]:
        """Adds a conversation, or what it has grown by."""
        found = Recollection({}, {}) if owner is None else recollection(conversation, owner)
        vectors = await self._vectors(found)

        async def script(tx: Transaction) -> dict[str, Loaded]:
            counts = await _add_messages(tx, conversation)
            if owner is not None:
                counts |= await self._remember(tx, found, vectors)
            return counts

        return await self._store.write(script)

    async def _vectors(self, found: Recollection) -> dict[str, Vector]:
        """The vectors of the memories that are not there yet, made before the write begins."""
        keys = list(found.memories)
        stored = await self._store.find(Memory, [(key,) for key in keys])
        fresh = [key for key, memory in zip(keys, stored, strict=True) if memory is None]
        made = await self._context.embedder.embed([found.memories[key].text for key in fresh]) if fresh else ()
        return dict(zip(fresh, made, strict=True))

    async def _remember(self, tx: Transaction, found: Recollection, vectors: dict[str, Vector]) -> dict[str, Loaded]:
        keys = list(vectors)
        stored = await tx.find(Memory, [(key,) for key in keys])
        fresh = [key for key, memory in zip(keys, stored, strict=True) if memory is None]
        archived = 0
        if fresh:
            inputs = [found.memories[key] for key in fresh]
            made = await create_memories_in(tx, inputs, [vectors[key] for key in fresh], self._context.capacity)
            links = [precedes(found.before[key], key) for key in fresh if key in found.before]
            await put_links(tx, links, ["links"], {str(memory.external_id): memory for memory in made.memories})
            archived = len(made.archived)
        return remembered(len(fresh), len(found.memories), archived)


async def _add_messages(tx: Transaction, conversation: Conversation) -> dict[str, Loaded]:
    before = (await tx.find(Session, [(conversation.key,)]))[0]
    session = before or await create_session_in(tx, conversation.session)
    messages = conversation.messages
    stored = await tx.find(Message, [(str(message.external_id),) for message in messages])
    fresh = [message for message, known in zip(messages, stored, strict=True) if known is None]
    await add_in(tx, session, fresh)
    return {
        "sessions": Loaded(before is None, before is not None),
        "messages": Loaded(len(fresh), len(messages) - len(fresh)),
    }


def precedes(earlier: str, later: str) -> LinkInput:
    """The link from one memory to the next, by their externalIds."""
    return LinkInput(source=Ref(external_id=earlier), target=Ref(external_id=later), kind=MemoryLinkKind.PRECEDES)
