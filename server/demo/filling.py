"""Fills an empty workspace with the demo's story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from domain.actor import Agent, User
from domain.errors import ErrorCode, Rejected
from domain.link import LinkInput, MemoryLinkKind
from domain.memory import (
    Memory,
    MemoryFilter,
    MemoryInput,
    MemoryScope,
    MemoryType,
    UpdateMemoryInput,
    boosted,
    decayed,
)
from domain.message import Message
from domain.participant import ParticipantInput, SenderType
from domain.search import MemoryQuery, RecallInput
from domain.session import CreateSessionInput, Session, SessionKind, SessionStatus
from domain.state import SetStatesInput, StateInput
from domain.values import Ref, encode_json
from resolvers import memories, search, sessions, states
from resolvers.context import Context
from resolvers.links import put_links
from resolvers.lists import MEMORIES, ROOT, SESSIONS
from resolvers.memories import create_in
from resolvers.messages import add_in
from resolvers.traces import append_in
from server.demo.remembered import KEPT, LINKS, REVISED, Kept
from server.demo.screenplay import Line, message, message_name, perform
from server.demo.spans import trace
from server.demo.story import AGENTS, RECALLS, SCENES, STATES, USERS, Scene
from stores.ports import Transaction, Vector

DEMO = encode_json({"demo": True})
"""The metadata by which what the demo makes is known."""

_MARK = ("demo", "filled")
_FADING = 0.08
"""What a memory's decay factor loses in a day without use."""


async def fill(context: Context) -> bool:
    """Writes the story into an empty workspace, and says whether it had something to do.

    The story is one transaction. What follows it is done again where the program was stopped before the end.
    """
    if await is_demo(context):
        return False
    if await sessions.session(context, _session(SCENES[0])) is None:
        if not await _is_empty(context):
            return False
        texts = [REVISED.get(kept.name, kept.text) for kept in KEPT]
        vectors = dict(zip([kept.name for kept in KEPT], await context.embedder.embed(texts), strict=True))
        await context.store.write(lambda tx: _tell(tx, vectors, context.capacity))
    await _revise(context)
    await _recall(context)
    await _mark(context)
    return True


async def is_demo(context: Context) -> bool:
    """Whether the workspace is one that `fill` has filled."""
    return await states.state(context, *_MARK) is not None


async def _is_empty(context: Context) -> bool:
    pages = [(await listed.pages(context, [ROOT], first=1))[0] for listed in (SESSIONS, MEMORIES)]
    return not any(page.nodes for page in pages)


def _session(scene: Scene) -> Ref:
    return Ref(external_id=f"demo-{scene.key}")


async def _tell(tx: Transaction, vectors: Mapping[str, Vector], capacity: int) -> None:
    await _introduce(tx, tx.now - timedelta(days=10))
    handbook = [kept for kept in KEPT if kept.source.startswith("https:")]
    await _remember(tx, handbook, {}, vectors, capacity)
    for scene in SCENES:
        lines = perform(scene, tx.now)
        session = await _play(tx, scene, lines)
        times = {line.name: line.at for line in lines}
        formed = [kept for kept in KEPT if message_name(kept.source) in times]
        await _remember(tx, formed, times, vectors, capacity)
        await append_in(tx, session, trace(scene.key, lines))
    await put_links(tx, _links(), ["links"])


async def _introduce(tx: Transaction, at: datetime) -> None:
    """The people and agents, as far as they are not known yet."""
    for key, (name, profile) in USERS.items():
        if (await tx.find(User, [(key,)]))[0] is None:
            await tx.put([User(tx.new_id(User), key, name, encode_json(profile), at)])
    for key, (name, description, capabilities, config) in AGENTS.items():
        if (await tx.find(Agent, [(key,)]))[0] is None:
            await tx.put([Agent(tx.new_id(Agent), key, name, description, encode_json(config), capabilities, at)])


async def _play(tx: Transaction, scene: Scene, lines: Sequence[Line]) -> Session:
    session = await sessions.create_in(
        tx,
        CreateSessionInput(
            kind=SessionKind[scene.kind],
            title=scene.title,
            external_id=_session(scene).external_id,
            context=encode_json(scene.context or {}),
            capabilities=sorted({line.tool for line in lines if line.tool}),
            metadata=DEMO,
            participants=_participants(lines),
            created_at=tx.now - timedelta(days=scene.days),
        ),
    )
    await add_in(tx, session, [message(scene, line) for line in lines])
    [moved] = await tx.get(Session, [session.id])
    assert moved is not None
    status = SessionStatus.ENDED if scene.ended else SessionStatus.ACTIVE
    after = msgspec.structs.replace(moved, status=status, updated_at=lines[-1].at)
    await tx.put([after])
    return after


def _participants(lines: Sequence[Line]) -> list[ParticipantInput]:
    """Everyone who speaks, in the order of their first words."""
    found: dict[str, ParticipantInput] = {}
    for line in lines:
        if line.role in ("user", "agent"):
            found[line.who] = ParticipantInput(type=SenderType[line.role.upper()], actor=Ref(external_id=line.who))
        else:
            name = line.tool or "workflow"
            found[name] = ParticipantInput(type=SenderType[line.role.upper()], name=name)
    return list(found.values())


async def _remember(
    tx: Transaction,
    kept: Sequence[Kept],
    times: Mapping[str, datetime],
    vectors: Mapping[str, Vector],
    capacity: int,
) -> None:
    """Stores memories, faded by their age and freshened by their use."""
    inputs = [_memory(one, times, tx.now) for one in kept]
    stored = await create_in(tx, inputs, [vectors[one.name] for one in kept], capacity)
    current = await tx.get(Memory, [memory.id for memory in stored.memories])
    await tx.put([_aged(memory, one, tx.now) for memory, one in zip(current, kept, strict=True) if memory is not None])


def _memory(kept: Kept, times: Mapping[str, datetime], now: datetime) -> MemoryInput:
    def ago(days: float | None) -> datetime | None:
        return None if days is None else now - timedelta(days=days)

    source = message_name(kept.source)
    said = source in times
    return MemoryInput(
        type=MemoryType[kept.type],
        scope=MemoryScope.GLOBAL if not kept.owner else MemoryScope.USER if kept.owner in USERS else MemoryScope.AGENT,
        owner=Ref(external_id=kept.owner) if kept.owner else None,
        text=REVISED.get(kept.name, kept.text),
        importance=kept.importance,
        tags=kept.tags.split(),
        metadata=DEMO,
        source_message=Ref(external_id=source) if said else None,
        external_source=None if said else kept.source,
        ttl_seconds=kept.ttl,
        valid_from=ago(kept.since),
        valid_until=ago(kept.until),
        created_at=times[source] + timedelta(seconds=1) if said else now - timedelta(days=10),
        external_id=kept.name,
    )


def _aged(memory: Memory, kept: Kept, now: datetime) -> Memory:
    """The memory after the days since it was formed, with its uses spread over them."""
    age = now - memory.created_at
    factor = decayed(1.0, _FADING * age.days)
    for _ in range(kept.touches):
        factor = boosted(factor)
    return msgspec.structs.replace(
        memory,
        decay_factor=factor,
        access_count=kept.touches,
        last_accessed_at=now - age / (kept.touches + 1) if kept.touches else None,
        updated_at=memory.created_at,
    )


def _links() -> list[LinkInput]:
    found = []
    for row in LINKS.strip().splitlines():
        source, rest = row.split(" ", 1)
        for group in rest.split("; "):
            kind, targets = group.split(" ", 1)
            for target, weight in (one.split() for one in targets.split(", ")):
                found.append(
                    LinkInput(
                        source=Ref(external_id=source),
                        target=Ref(external_id=target),
                        kind=MemoryLinkKind[kind],
                        weight=float(weight),
                    )
                )
    return found


async def _revise(context: Context) -> None:
    """Gives memories that were put differently at first the text they have now."""
    now = {kept.name: kept.text for kept in KEPT}
    for name in REVISED:
        change = UpdateMemoryInput(memory=Ref(external_id=name), text=now[name], if_version=1)
        try:
            await memories.update(context, change)
        except Rejected as error:
            # It was changed, or deleted, already.
            if error.errors[0].code not in (ErrorCode.CONFLICT, ErrorCode.NOT_FOUND):
                raise


async def _recall(context: Context) -> None:
    """Lets agents recall for the messages that have no memories yet."""
    keys = [(message_name(place),) for place, _, _ in RECALLS]
    asked = await context.store.find(Message, keys)
    for (_, agent, text), found in zip(RECALLS, asked, strict=True):
        if found is None or (await context.store.memory_refs([found.id]))[0]:
            continue
        own = MemoryFilter(owner=Ref(external_id=agent))
        others = MemoryFilter(scopes=[MemoryScope.GLOBAL, MemoryScope.USER])
        query, filter = MemoryQuery(text=text), MemoryFilter(or_=[own, others])
        await search.recall(context, RecallInput(query=query, filter=filter, first=8, message=Ref(id=found.id)))


async def _mark(context: Context) -> None:
    """The state entries; the one that says that all is done comes with them."""
    entries = [
        StateInput(namespace=namespace, key=key, value=encode_json(value), tags=["demo"])
        for namespace, values in STATES.items()
        for key, value in values.items()
    ]
    done = StateInput(namespace=_MARK[0], key=_MARK[1], value=encode_json({"sessions": len(SCENES)}), tags=["demo"])
    await states.set_many(context, SetStatesInput(entries=[*entries, done]))
