"""Messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec

from domain.actor import AgentSnapshot
from domain.blob import Blob
from domain.errors import ErrorCode, Rejected, invalid, not_found, reject
from domain.memory import Memory
from domain.message import (
    AddMessageInput,
    AddMessagesInput,
    Answering,
    MemoryRef,
    Message,
    MessageInput,
    Odd,
    Thread,
    ToolCall,
    ToolResponse,
    contents,
    sender_type,
)
from domain.node import Id
from domain.page import Slice
from domain.participant import Participant, ParticipantInput, SenderType
from domain.session import Session
from domain.span import Span
from domain.values import EMPTY_OBJECT, Ref
from resolvers import tool_execution
from resolvers.actors import snapshots
from resolvers.blobs import Shown
from resolvers.context import Context, lookup, lookup_all, named_by, present, require
from resolvers.entities import Naming, mention
from resolvers.idempotency import write
from resolvers.sessions import join, participant
from stores.ports import Collection, Fields, Log, Transaction
from stores.treated import told

Path = Sequence[str | int]

_PAGE = 200
"""How many messages are read at a time in search of a call."""

_SHOWN = 80


async def messages_of(context: Context, records: Sequence[Any]) -> list[Message | None]:
    return await named_by(context, Message, [record.message_id for record in records])


async def parents(context: Context, messages: Sequence[Message]) -> list[Message | None]:
    return await named_by(context, Message, [message.parent_id for message in messages])


async def threads(context: Context, messages: Sequence[Message]) -> list[Thread | None]:
    return await named_by(context, Thread, [message.thread_id for message in messages])


async def senders(context: Context, messages: Sequence[Message]) -> list[Participant | None]:
    return await context.store.get(Participant, [message.sender_id for message in messages])


async def sender_snapshots(context: Context, messages: Sequence[Message]) -> list[AgentSnapshot | None]:
    """What the agents that sent messages were then."""
    spoke = [message.sender_id for message in messages if message.sender_type is SenderType.AGENT]
    actors = {one.id: one.actor_id for one in await present(context.store, Participant, list(dict.fromkeys(spoke)))}
    agents = [actors.get(message.sender_id) for message in messages]
    at = [None if id is None else (id, message.created_at) for id, message in zip(agents, messages, strict=True)]
    return await snapshots(context, at)


async def spans(context: Context, messages: Sequence[Message]) -> list[Span | None]:
    return await named_by(context, Span, [message.span_record_id for message in messages])


async def memory_refs(
    context: Context, messages: Sequence[Message], fields: Fields | None = None
) -> list[list[MemoryRef]]:
    """fields: of the memories, which are kept for `ref_memories`."""
    drawn = await context.store.memory_refs([message.id for message in messages], fields)
    context.drawn = drawn.memories, fields
    return drawn.refs


async def ref_memories(
    context: Context, refs: Sequence[MemoryRef], fields: Fields | None = None
) -> list[Memory | None]:
    known, having = context.drawn
    if having is not None and (fields is None or not fields <= having):  # of another selection
        known = {}
    missing = list({ref.memory_id for ref in refs if ref.memory_id not in known})
    read = dict(zip(missing, await context.store.get(Memory, missing), strict=True)) if missing else {}
    return [known.get(ref.memory_id) or read.get(ref.memory_id) for ref in refs]


async def responses(context: Context, calls: Sequence[ToolCall]) -> list[ToolResponse | None]:
    """What answers calls; those of spans have it with them."""
    found = iter(await context.store.responses([call for call in calls if call.at is not None]))
    return [call.response if call.at is None else next(found) for call in calls]


async def warnings(context: Context, messages: Sequence[Message]) -> list[list[str]]:
    """What of each message may not be as it was meant. Only where what a tool answered is not among these messages, the
    session before them is read for it."""
    found: dict[Id, list[str]] = {message.id: [] for message in messages}
    twice: list[tuple[Message, Odd]] = []
    ordered = sorted(messages, key=lambda message: (message.session_id, message.place))
    for _, of in groupby(ordered, lambda message: message.session_id):
        for message, odd in await _odd(context, list(of)):
            if not odd.calls:
                found[message.id].append(f"The tool response {odd.call_id[:_SHOWN]} answers no earlier call.")
            else:
                twice.append((message, odd))
    branches = await context.store.branches([message.id for message, _ in twice]) if twice else []
    for (message, odd), places in zip(twice, branches, strict=True):
        if odd.is_second(places):
            told = f"The tool response {odd.call_id[:_SHOWN]} answers a call that was answered before."
            found[message.id].append(told)
    return [found[message.id] for message in messages]


async def _odd(context: Context, group: Sequence[Message]) -> list[tuple[Message, Odd]]:
    """The odd tool responses of some messages of one session, in the order of their places."""
    known = {message.place: message for message in group}
    answering = Answering()
    odd = [
        (message, one) for message in group for one in answering.take(message.place, message.thread_id, message.content)
    ]
    missing = {(message.thread_id, one.call_id): message.place for message, one in reversed(odd) if not one.calls}
    if group[-1].place - group[0].place >= len(group):  # what is between them may have answered
        said = [(part, message) for message in reversed(group) for part in message.content]
        missing = {(one.thread_id, part.call_id): one.place for part, one in said if type(part) is ToolResponse}
    if not missing:
        return odd
    async for message in _back(context, group[-1]):
        known.setdefault(message.place, message)
        for call in message.tool_calls:
            id = message.thread_id, call.call_id
            if message.place < missing.get(id, 0):  # before the first that it can be answered by
                del missing[id]
        if not missing:
            break
    answering, here = Answering(), {message.id for message in group}
    every = [known[place] for place in sorted(known)]
    odd = [
        (message, one) for message in every for one in answering.take(message.place, message.thread_id, message.content)
    ]
    return [(message, one) for message, one in odd if message.id in here]


async def _back(context: Context, message: Message) -> AsyncIterator[Message]:
    """The messages of a session before one, the latest first."""
    listing = context.store.listing(Log("messages", message.session_id))
    before: str | None = listing.cursor((message.place,))
    while before is not None:
        slice = Slice(_PAGE, backward=True, before=before)
        [page] = await context.store.pages(Collection.SESSION_MESSAGES, [message.session_id], slice)
        for one in reversed(page.nodes):
            yield one
        before = page.page_info.start_cursor if page.has_previous_page else None


async def add(context: Context, input: AddMessageInput) -> Message:
    """Adds a message to a session."""

    shown = Shown([input], ())

    async def script(tx: Transaction) -> Message:
        session = await require(tx, Session, input.session, ["session"])
        return (await add_in(tx, session, [input], (), shown))[0]

    async with shown.kept(context):
        return await write(context, input, script)


async def add_many(context: Context, input: AddMessagesInput) -> list[Message]:
    """Adds messages to a session, all or none."""

    shown = Shown(input.messages, ("messages",))

    async def script(tx: Transaction) -> list[Message]:
        session = await require(tx, Session, input.session, ["session"])
        return await add_in(tx, session, input.messages, shown=shown)

    async with shown.kept(context):
        return await write(context, input, script)


async def add_in(
    tx: Transaction,
    session: Session,
    messages: Sequence[MessageInput],
    path: Path = ("messages",),
    shown: Shown | None = None,
) -> list[Message]:
    """Adds messages after the session's last one. An empty path means one message, whose fields stand at the top.
    shown: the blobs in them.

    Raises Rejected: NOT_FOUND, DUPLICATE or INVALID, with the path of the field.
    """
    adding = _Adding(tx, session)
    await adding.look_up(messages)
    blobs = {} if shown is None else await shown.of(tx)
    for index, message in enumerate(messages):
        await adding.add(message, [*path, index] if path else [], blobs.get(index, {}))
    await adding.store()
    return adding.added


class _Adding:
    """Messages on their way into one session, which may refer to each other."""

    def __init__(self, tx: Transaction, session: Session) -> None:
        self._tx, self._session = tx, session
        self._participants: list[Participant] | None = None
        self._voices: dict[tuple[str | None, str | None], Participant] = {}  # as long as nobody joins
        self._threads: dict[str, Id] = {}
        self._external: dict[str, Message] = {}
        self._taken: dict[Ref, Message] = {}
        self._memories: dict[Ref, Memory] = {}
        self._refs: list[tuple[Id, list[MemoryRef]]] = []
        self._namings: list[Naming] = []
        self.added: list[Message] = []

    async def look_up(self, inputs: Sequence[MessageInput]) -> None:
        """Reads what messages name outside the session, before they are added."""
        names = [Ref(external_id=one.external_id) for one in inputs if one.external_id is not None]
        self._taken = await lookup_all(self._tx, Message, names)
        refs = [ref.memory for one in inputs for ref in one.memory_refs or ()]
        self._memories = await lookup_all(self._tx, Memory, refs)

    async def add(self, input: MessageInput, path: Path, blobs: Mapping[int, Blob]) -> None:
        tx, session = self._tx, self._session
        external = input.external_id
        if external is not None and (external in self._external or Ref(external_id=external) in self._taken):
            raise reject(ErrorCode.DUPLICATE, "A message with this externalId already exists.", [*path, "externalId"])
        try:
            content = contents(input, blobs)
        except Rejected as error:
            raise error.below(path) from None
        voice = input.role, input.sender_name
        if input.sender is not None or (sender := self._voices.get(voice)) is None:
            sender = await self._sender(input, path)
            if input.sender is None:
                self._voices[voice] = sender
        message = Message(
            id=tx.new_id(Message),
            external_id=external,
            session_id=session.id,
            place=session.message_count + len(self.added) + 1,
            sender_id=sender.id,
            sender_type=sender.type,
            content=content,
            thread_id=None if input.thread is None else await self._thread(input.thread, input.created_at or tx.now),
            parent_id=None if input.parent is None else await self._parent(input, path),
            metadata=input.metadata or EMPTY_OBJECT,
            created_at=input.created_at or tx.now,
        )
        if input.memory_refs:
            self._refs.append((message.id, self._memory_refs(input, path)))
        if input.entities:
            self._namings.append(Naming(message.id, input.entities, path))
        if external is not None:
            self._external[external] = message
        self.added.append(message)

    async def store(self) -> None:
        if not self.added:
            return
        await self._tx.put(self.added)
        await tool_execution.join(self._tx, self.added)
        for message_id, refs in self._refs:
            await self._tx.reference(message_id, refs)
        await mention(self._tx, self._namings)
        # A time to come does not say when it was active, nor does that of filling it from older records.
        last = min(max(message.created_at for message in self.added), self._tx.now)
        if self._session.message_count:
            last = max(self._session.last_active_at, last)
        moved = msgspec.structs.replace(
            self._session,
            message_count=self._session.message_count + len(self.added),
            last_active_at=last,
            current_id=self.added[-1].id,
        )
        await self._tx.put([moved])

    async def _sender(self, input: MessageInput, path: Path) -> Participant:
        if input.sender is not None:
            if input.role is not None or input.sender_name is not None:
                raise invalid("Give sender, or role with senderName, not both.", [*path, "sender"])
            return await participant(self._tx, self._session, input.sender, [*path, "sender"])
        if input.role is None:
            raise invalid("Say who speaks: sender, or role.", [*path, "role"])
        try:
            type = sender_type(input.role)
        except Rejected as error:
            raise error.below(path) from None
        return await self._voice(type, input, path)

    async def _voice(self, type: SenderType, input: MessageInput, path: Path) -> Participant:
        """The session's participant of that type and name; without a name the only one of that type, else one that is
        called by the role."""
        if self._participants is None:
            self._participants = await self._tx.participants(self._session.id)
        same = [one for one in self._participants if one.type is type]
        if not input.sender_name and len(same) == 1:
            return same[0]
        wanted = told(self._tx, input.sender_name or input.role or "")
        for one in same:
            if one.name == wanted:
                return one
        made = ParticipantInput(type=type, role=input.role, name=wanted)
        one = await join(self._tx, self._session, made, path, input.created_at or self._tx.now)
        self._participants.append(one)
        self._voices.clear()
        return one

    async def _thread(self, name: str, at: datetime) -> Id:
        if (known := self._threads.get(name)) is None:
            found = (await self._tx.find(Thread, [(self._session.id, name)]))[0]
            if found is None:
                found = Thread(id=self._tx.new_id(Thread), session_id=self._session.id, name=name, created_at=at)
                await self._tx.put([found])
            known = self._threads[name] = found.id
        return known

    async def _parent(self, input: MessageInput, path: Path) -> Id:
        assert input.parent is not None
        found = self._external.get(input.parent.external_id or "") or await lookup(self._tx, Message, input.parent)
        if found is None or found.session_id != self._session.id:
            raise not_found("message of this session", [*path, "parent"])
        return found.id

    def _memory_refs(self, input: MessageInput, path: Path) -> list[MemoryRef]:
        refs = []
        for index, ref in enumerate(input.memory_refs or ()):
            if (memory := self._memories.get(ref.memory)) is None:
                raise not_found(Memory.noun, [*path, "memoryRefs", index, "memory"])
            refs.append(MemoryRef(memory.id, ref.score, ref.note))
        return refs
