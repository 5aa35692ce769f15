"""Edit, redact and delete messages, and fork sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from domain.annotation import Annotation
from domain.blob import Attachment
from domain.change import ChangeKind, MemoryChange
from domain.correction import (
    MESSAGE_EDITED,
    MESSAGE_REDACTED,
    MESSAGES_DELETED,
    TELLING,
    DeleteMessagesInput,
    EditMessageInput,
    ForkSessionInput,
    MessageVersion,
    RedactMessageInput,
    json_without,
    record_without,
    redacted,
    texts_of,
    without,
)
from domain.entity import Entity, Mention
from domain.errors import ErrorCode, not_found, reject
from domain.memory import Memory
from domain.message import Content, Media, MemoryRef, Message, Thread, contents
from domain.node import Id, Node, kind_of
from domain.participant import Participant
from domain.session import SESSION_TYPES, Session, SessionStatus
from domain.shortening import one_line
from domain.span import Span
from domain.trace import TraceEvent
from domain.values import EMPTY_OBJECT, changed
from resolvers import branches, tool_execution
from resolvers.blobs import Shown, free
from resolvers.context import Context, Unchanged, each, every, lookup, present, require
from resolvers.conversation import MAX_TITLE
from resolvers.entities import copy_mentions, mentioned_by, unmentioned, unsay
from resolvers.event import log
from resolvers.formation import formed_from
from resolvers.idempotency import write
from resolvers.session_links import tell_fork
from stores.ports import Collection, Records, Script, Transaction
from stores.treated import settled

COMPONENT = "conversation"
"""The component of the events of corrections."""

_AT_ONCE = 500
"""How many messages are written at a time where a session is forked."""


class Redaction(msgspec.Struct, frozen=True):
    """A message without its content, and the memories that were formed from it."""

    message: Message
    memories: list[Memory]


async def edit(context: Context, input: EditMessageInput) -> Message:
    """Replaces the content of a message; what it was is kept as a version. Raises Rejected: NOT_FOUND, INVALID;
    CONFLICT where it was redacted or is at another version."""
    formed, shown = await _formed(context, [input.message]), Shown([input], ())

    async def script(tx: Transaction) -> Message:
        before = await require(tx, Message, input.message, ["message"])
        if before.is_redacted:
            raise reject(ErrorCode.CONFLICT, "This message was redacted.", ["message"])
        if input.if_version is not UNSET and input.if_version != before.version:
            raise reject(ErrorCode.CONFLICT, f"The message is at version {before.version}.", ["ifVersion"])
        metadata = before.metadata if input.metadata is UNSET else input.metadata or EMPTY_OBJECT
        blobs = (await shown.of(tx)).get(0, {})
        after = settled(tx, before, changed(before, content=contents(input, blobs), metadata=metadata))
        if after is before:
            raise Unchanged(before)
        was = MessageVersion(
            id=tx.new_id(MessageVersion),
            message_id=before.id,
            version=before.version,
            content=before.content,
            metadata=before.metadata,
            replaced_at=tx.now,
        )
        after = replace(after, version=before.version + 1, edited_at=tx.now)
        await tx.put([after])
        await tx.put([was])
        await tool_execution.join(tx, [after])
        if after.content != before.content:
            await unsay(tx, Message, [after.id])
            await _tell(tx, formed)
        told = {"version": after.version}
        await log(tx, after.session_id, MESSAGE_EDITED, COMPONENT, told, message_id=after.id)
        return after

    async with shown.kept(context):
        return await write(context, input, script)


async def redact(context: Context, input: RedactMessageInput) -> Redaction:
    """Removes the content of a message for good, with what it was before, files that nothing else shows, and what
    traces tell of it in its session. The memories formed from it stay and are returned; their followers are told.
    Raises Rejected: NOT_FOUND."""
    message = await require(context.store, Message, input.message, ["message"])
    formed = await _formed(context, [input.message])
    if not input.dry_run:
        mentions = await mentioned_by(context, [message.id])
        files = list({one.blob_id for one in await every(context, Records(Attachment, "target"), [message.id])})
        done = await blank(context, [message], context.write)
        if not done:
            raise not_found(Message.noun, ["message"])
        message = done[0]
        await free(context, files)
        await _forget(context, [one.entity_id for one in mentions])
    return Redaction(message, await present(context.store, Memory, formed))


async def _forget(context: Context, entities: Sequence[Id]) -> None:
    """Deletes those of some entities that nothing mentions any more."""
    gone = await unmentioned(context, entities)

    async def script(tx: Transaction) -> None:
        await tx.delete(Entity, [one.id for one in await present(tx, Entity, gone)])

    if gone:
        await context.store.write(script)


async def blank(
    context: Context,
    messages: Sequence[Message],
    write: Callable[[Script[list[Message]]], Awaitable[list[Message]]],
) -> list[Message]:
    """Removes the contents of messages of one session, what they were before, and what traces tell of them; those that
    were there, without content. More is told while it is looked for, so it is looked for until nothing is found."""
    ids = [one.id for one in messages]
    formed = list(dict.fromkeys(one.id for made in await formed_from(context, ids) for one in made))
    versions = await every(context, Records(MessageVersion, "message"), ids)
    mentions = await mentioned_by(context, ids)
    texts = texts_of([one.content for one in (*messages, *versions)])
    done: list[Message] | None = None
    traces: list[Id] = []
    while done is None or traces:
        traces = [one.id async for one in telling(context, messages[0].session_id, ids, texts)]
        if done is None or traces:
            gone = [one.id for one in (*versions, *mentions)] if done is None else []
            done = await write(_blanking(messages[0].session_id, ids, formed, texts, traces, gone))
    return done


def _blanking(
    session_id: Id,
    ids: Sequence[Id],
    formed: Sequence[Id],
    texts: Sequence[str],
    traces: Sequence[Id],
    hanging: Sequence[Id],
) -> Script[list[Message]]:
    async def script(tx: Transaction) -> list[Message]:
        before = await present(tx, Message, ids)
        whole = [one for one in before if not one.is_redacted]
        said = texts_of([one.content for one in whole]) + list(texts)  # they may have been edited since
        for kind in TELLING:
            of: list[Any] = await present(tx, kind, _of_kind(kind, traces))
            told = [fresh for one in of if (fresh := record_without(one, said)) is not one]
            await tx.put(told)
            if kind is Annotation:
                await tx.forget([one.id for one in told])  # what its followers could still be told of it
        await _take_from_session(tx, session_id, said)
        if whole:
            await tx.put([redacted(one) for one in whole])
            await _tell(tx, formed)
            for one in whole:
                await log(tx, session_id, MESSAGE_REDACTED, COMPONENT, {}, message_id=one.id)
        old = await present(tx, MessageVersion, _of_kind(MessageVersion, hanging))
        await _let_go(tx, [(one.id, one.content) for one in whole] + [(one.message_id, one.content) for one in old])
        await tx.delete(MessageVersion, [one.id for one in old])
        named = await present(tx, Mention, _of_kind(Mention, hanging))
        await tx.delete(Mention, [one.id for one in named])
        return [redacted(one) for one in before]

    return script


def _of_kind(kind: type[Node], ids: Sequence[Id]) -> list[Id]:
    return [one for one in ids if kind_of(one) is kind]


async def _let_go(tx: Transaction, contents: Sequence[tuple[Id, Sequence[Content]]]) -> None:
    """Messages show their blobs no longer."""
    shown = {
        (id, part.blob_id) for id, content in contents for part in content if isinstance(part, Media) and part.blob_id
    }
    found = await tx.find(Attachment, list(shown))
    await tx.delete(Attachment, [one.id for one in found if one is not None])


async def telling(
    context: Context, session_id: Id, messages: Sequence[Id], texts: Sequence[str]
) -> AsyncIterator[Node]:
    """What is told of texts in a session, and what is said of it, of its spans and of these messages."""
    targets = [session_id, *messages]
    lists: list[Collection | Records] = [Collection.SESSION_TRACE, Collection.SESSION_SPANS]
    lists += [Records(kind, "session") for kind in TELLING if kind not in (TraceEvent, Span, Annotation)]
    for of in lists if texts else ():
        async for one in each(context, of, session_id):
            if record_without(one, texts) is not one:
                yield one
            if isinstance(one, Span):
                targets.append(one.id)
    for start in range(0, len(targets) if texts else 0, _TOGETHER):
        for said in await every(context, Records(Annotation, "target"), targets[start : start + _TOGETHER]):
            if record_without(said, texts) is not said:
                yield said


_TOGETHER = 500
"""So many records are asked at once what is said of them."""


async def _take_from_session(tx: Transaction, id: Id, texts: Sequence[str]) -> None:
    """Takes texts out of what a session is called, and out of its context."""
    [session] = await tx.get(Session, [id])
    if session is not None:
        titled = session.title in [one_line(text, MAX_TITLE) for text in texts]
        title = "" if titled and session.title else without(session.title, texts)
        after = changed(
            session,
            title=title,
            context=json_without(session.context, texts),
            metadata=json_without(session.metadata, texts),
        )
        if after is not session:
            await tx.put([after])


async def _formed(context: Context, messages: Sequence[Any]) -> list[Id]:
    """The memories formed from messages, by references or ids."""
    found = [await lookup(context.store, Message, one) for one in messages]
    memories = await formed_from(context, [one.id for one in found if one is not None])
    return list(dict.fromkeys(memory.id for some in memories for memory in some))


async def _tell(tx: Transaction, memory_ids: Sequence[Id]) -> None:
    """Says of memories, and tells their followers, that what they were formed from has changed."""
    before = await present(tx, Memory, memory_ids)
    after = [replace(memory, stale=True) for memory in before]
    await tx.put(after)
    await tx.log(
        [
            MemoryChange(ChangeKind.UPDATED, new.id, tx.now, new, before=old)
            for old, new in zip(before, after, strict=True)
        ]
    )


async def delete(context: Context, input: DeleteMessagesInput) -> list[Message]:
    """Deletes messages, all or none, and returns them as they were; replies go on from what was before them. Raises
    Rejected: NOT_FOUND."""
    formed = await _formed(context, input.messages)
    known = [one for ref in input.messages if (one := await lookup(context.store, Message, ref)) is not None]
    moved = await _moved(context, known)

    async def script(tx: Transaction) -> list[Message]:
        gone: dict[Id, Message] = {}
        for index, ref in enumerate(input.messages):
            one = await require(tx, Message, ref, ["messages", index])
            gone[one.id] = one
        if input.dry_run:
            return list(gone.values())
        replies = await present(tx, Message, list(moved))
        await tx.put([replace(one, parent_id=moved[one.id]) for one in replies if one.parent_id in gone])
        await _tell(tx, formed)
        await tx.delete(Message, list(gone))
        for session in await present(tx, Session, list({one.session_id: None for one in gone.values()})):
            of = [one for one in gone.values() if one.session_id == session.id]
            current = None if session.current_id in gone else session.current_id
            await tx.put([replace(session, deleted_count=session.deleted_count + len(of), current_id=current)])
            await log(tx, session.id, MESSAGES_DELETED, COMPONENT, {"messages": [one.id for one in of]})
        return list(gone.values())

    return await context.write(script)


async def _moved(context: Context, gone: Sequence[Message]) -> dict[Id, Id | None]:
    """What the replies to messages that go reply to then: what the branch has before them."""
    ids = {one.id for one in gone}
    found: dict[Id, Id | None] = {}
    for one in gone:
        replies = [reply.id async for reply in each(context, Collection.MESSAGE_REPLIES, one.id) if reply.id not in ids]
        if replies:
            branch = [before.id async for before in branches.all_messages(context, one.id, _NOTHING, _BRANCH)]
            before = next((id for id in reversed(branch) if id not in ids), None)
            found |= dict.fromkeys(replies, before)
    return found


_NOTHING: frozenset[str] = frozenset()
_BRANCH = Collection.MESSAGE_BRANCH


async def fork(context: Context, input: ForkSessionInput) -> Session:
    """Makes a session that begins as another one: a copy of its participants, and of its messages up to one of them.
    Raises Rejected: NOT_FOUND, DUPLICATE."""
    session = await require(context.store, Session, input.session, ["session"])
    [end] = await branches.ends(context, [session])
    if input.at is not None:
        end = await lookup(context.store, Message, input.at)
        if end is None or end.session_id != session.id:
            raise not_found("message of this session", ["at"])
    messages = [] if end is None else [one async for one in branches.all_messages(context, end.id, of=_BRANCH)]
    drawn = await context.store.memory_refs([one.id for one in messages], frozenset())
    refs = {one.id: of for one, of in zip(messages, drawn.refs, strict=True) if of}
    mentions = await mentioned_by(context, [one.id for one in messages])

    async def script(tx: Transaction) -> Session:
        if input.external_id is not None and (await tx.find(Session, [(input.external_id,)]))[0] is not None:
            raise reject(ErrorCode.DUPLICATE, "A session with this externalId already exists.", ["externalId"])
        copy = _Copy(tx, session, messages)
        made = await copy.make(input, refs)
        await copy_mentions(tx, mentions, copy.made_of)
        return made

    return await write(context, input, script)


class _Copy:
    """A session on its way to be the copy of another one."""

    def __init__(self, tx: Transaction, session: Session, messages: Sequence[Message]) -> None:
        self._tx, self._session, self._messages = tx, session, messages
        self._new: dict[Id, Id] = {}

    @property
    def made_of(self) -> dict[Id, Id]:
        """What became of each message."""
        return self._new

    async def make(self, input: ForkSessionInput, refs: dict[Id, list[MemoryRef]]) -> Session:
        tx, before = self._tx, self._session
        messages = [await self._there(one) for one in self._messages]
        last = messages[-1] if messages else None
        made = SESSION_TYPES[before.kind](
            id=tx.new_id(Session),
            external_id=input.external_id,
            kind=before.kind,
            title=before.title if input.title is None else input.title,
            status=SessionStatus.ACTIVE,
            context=before.context,
            capabilities=before.capabilities,
            metadata=before.metadata,
            created_at=tx.now,
            updated_at=tx.now,
            last_active_at=tx.now if last is None else min(last.created_at, tx.now),
            message_count=len(messages),
            version=1,
            forked_from_id=None if last is None else last.id,
            panel_format=before.panel_format,
            workflow=before.workflow,
        )
        await tx.put([made])
        self._new[before.id] = made.id
        await tell_fork(tx, made, before)
        await self._copy(Participant, await tx.participants(before.id))
        named = list({one.thread_id: None for one in messages if one.thread_id is not None})
        await self._copy(Thread, await present(tx, Thread, named))
        return await self._say(made, messages, refs)

    async def _there(self, message: Message) -> Message:
        """A message as it is now: it may have been changed since it was read."""
        [now] = await self._tx.get(Message, [message.id])
        if now is None:
            raise not_found("message of this session", ["at"])
        return now

    async def _copy(self, kind: type[Any], records: Sequence[Any]) -> None:
        for one in records:
            self._new[one.id] = self._tx.new_id(kind)
        await self._tx.put(
            [replace(one, id=self._new[one.id], session_id=self._new[one.session_id]) for one in records]
        )

    async def _say(self, made: Session, messages: Sequence[Message], refs: dict[Id, list[MemoryRef]]) -> Session:
        tx, new = self._tx, self._new
        for place, one in enumerate(messages, 1):
            new[one.id] = tx.new_id(Message)
            copy = replace(
                one,
                id=new[one.id],
                external_id=None,
                session_id=made.id,
                place=place,
                sender_id=new[one.sender_id],
                thread_id=one.thread_id and new[one.thread_id],
                parent_id=one.parent_id and new.get(one.parent_id),
                version=1,
            )
            await tx.put([copy])
            if one.id in refs:
                await tx.reference(copy.id, refs[one.id])
        if not messages:
            return made
        moved = replace(made, current_id=new[messages[-1].id])
        await tx.put([moved])
        return moved
