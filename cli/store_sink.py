"""Imports into an opened store."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from cli.sink import Progress, Recollection, Spans, follow, is_older, moves, precedes, recollection, remembered
from domain.memory import Memory
from domain.message import Message
from domain.node import Id, id_of
from domain.session import Session
from domain.telemetry import MAX_ATTRIBUTES
from formats.conversation import Conversation
from formats.otlp import json as otlp_json
from formats.recollect import jsonl as recollect_jsonl
from formats.recollect.restore import Loaded, Source
from resolvers import branches
from resolvers.context import Context, Unchanged
from resolvers.links import put_links
from resolvers.lists import MESSAGE_BRANCH
from resolvers.memories import archive_in, restore_in
from resolvers.memories import create_in as create_memories_in
from resolvers.messages import add_in
from resolvers.sessions import change_in
from resolvers.sessions import create_in as create_session_in
from resolvers.telemetry import receive
from stores.ports import Transaction, Vector, label_of


class StoreSink:
    """Writes into an opened store, each conversation in one transaction; the caps of requests do not hold here."""

    def __init__(self, context: Context, max_attributes_bytes: int = MAX_ATTRIBUTES) -> None:
        self._context, self._store, self._limit = context, context.store, max_attributes_bytes

    async def check(self, conversations: Sequence[Conversation]) -> None:
        """Everything can go into a store."""

    async def load(self, source: Source, progress: Progress | None) -> dict[str, Loaded]:
        """Loads a file of our own format, under the ids it has."""
        return await recollect_jsonl.load(source, self._context, progress)

    async def receive(self, exports: otlp_json.Exports, progress: Progress | None) -> Spans:
        """Adds spans, each request in one transaction."""
        spans = Spans()
        for done, request in enumerate(exports.requests, 1):
            read = otlp_json.reports(request, self._limit)
            received = await receive(self._context, read.reports)
            spans = spans.plus(Loaded(received.new, received.known), "; ".join(read.notes))
            if progress is not None:
                progress(done, len(exports.requests))
        return spans

    async def add(self, conversation: Conversation, owner: str | None) -> dict[str, Loaded]:
        """Adds a conversation, or what it has grown by."""
        [before] = await self._store.find(Session, [(conversation.key,)])
        known_as = None if before is None else before.metadata
        [end] = [None] if before is None else await branches.ends(self._context, [before])
        kept = None
        if owner is not None and end is not None and known_as is not None and is_older(conversation, known_as):
            kept = await self._on_branch(end)
        found = Recollection({}, {}, [], []) if owner is None else recollection(conversation, owner, known_as, kept)
        vectors = await self._vectors(found)

        async def script(tx: Transaction) -> dict[str, Loaded]:
            counts = await _add_messages(tx, conversation, id_of(end))
            if owner is not None:
                counts |= await self._remember(tx, found, vectors)
            return counts

        return await self._store.write(script)

    async def _on_branch(self, end: Message) -> set[str]:
        """The externalIds of the messages of a branch."""
        found: set[str] = set()
        more, after = True, None
        while more:
            [page] = await MESSAGE_BRANCH.pages(self._context, [end.id], MESSAGE_BRANCH.cap, after)
            found |= {one.external_id for one in page.nodes if one.external_id is not None}
            more, after = page.has_next_page, page.page_info.end_cursor
        return found

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
        await archive_in(tx, await tx.find(Memory, [(key,) for key in found.discarded]))
        await restore_in(tx, await tx.find(Memory, [(key,) for key in found.returned]), self._context.capacity)
        archived = 0
        if fresh:
            inputs = [found.memories[key] for key in fresh]
            made = await create_memories_in(
                tx,
                inputs,
                [vectors[key] for key in fresh],
                self._context.capacity,
                label_of(self._context.embedder),
            )
            links = [precedes(found.before[key], key) for key in fresh if key in found.before]
            await put_links(tx, links, ["links"], {str(memory.external_id): memory for memory in made.memories})
            archived = len(made.archived)
        return remembered(len(fresh), len(found.memories), archived)


async def _add_messages(tx: Transaction, conversation: Conversation, end: Id | None) -> dict[str, Loaded]:
    """end: where the current branch of the session ends, if it is there."""
    before = (await tx.find(Session, [(conversation.key,)]))[0]
    session = before or await create_session_in(tx, conversation.session)
    messages = conversation.messages
    stored = await tx.find(Message, [(str(message.external_id),) for message in messages])
    fresh = [message for message, known in zip(messages, stored, strict=True) if known is None]
    await add_in(tx, session, fresh)
    others = session.message_count > len(messages) - len(fresh)
    known_as = None if before is None else before.metadata
    [now] = await tx.get(Session, [session.id])
    assert now is not None
    if moves(conversation, known_as, others):
        end = id_of((await tx.find(Message, [(str(conversation.current),)]))[0])
    elif conversation.current is None or not fresh or end is None:
        end = now.current_id
    await _follow(tx, now, end, None if before is None else follow(now.title, now.metadata, conversation))
    return {
        "sessions": Loaded(before is None, before is not None),
        "messages": Loaded(len(fresh), len(messages) - len(fresh)),
    }


async def _follow(tx: Transaction, session: Session, end: Id | None, changes: dict[str, Any] | None) -> None:
    """Says where the current branch of a session ends, and of one that was there before what else has changed."""
    if changes is None:
        await tx.put([replace(session, current_id=end)])
        return
    with contextlib.suppress(Unchanged):
        await change_in(tx, session, current_id=end, **changes)
