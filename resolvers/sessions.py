"""Sessions and who takes part in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from domain.actor import Actor, Agent, User
from domain.blob import Blob
from domain.change import ChangeKind, MemoryChange
from domain.context_version import (
    ContextVersion,
    ContextVersionFilter,
    ContextVersionOrder,
    context_version,
)
from domain.errors import ErrorCode, invalid, not_found, reject
from domain.memory import Memory, expiry
from domain.message import Message
from domain.node import Id, id_of, kind_of
from domain.page import OrderDirection, Slice
from domain.participant import (
    AddParticipantInput,
    Participant,
    ParticipantInput,
    RemoveParticipantInput,
    SenderType,
    identity,
)
from domain.session import (
    SESSION_TYPES,
    ArchiveSessionInput,
    CreateSessionInput,
    DeleteSessionInput,
    EndSessionInput,
    Session,
    SessionStatus,
    UpdateSessionInput,
)
from domain.values import EMPTY_OBJECT, Json, Ref, changed, given, merge
from domain.workflow import defined, redefined
from resolvers import playground, trash, workflow
from resolvers.actors import BOTH, actors, named
from resolvers.attachments import shown_only_in
from resolvers.context import Context, Unchanged, each, lookup, present, require
from resolvers.idempotency import write
from resolvers.lists import SESSION_PARTICIPANTS
from resolvers.parts import check_kind
from stores.ports import Collection, Log, Records, Transaction
from stores.treated import settled, told, told_json


async def session(context: Context, by: Ref) -> Session | None:
    return await lookup(context.store, Session, by)


async def sessions_of(context: Context, records: Sequence[Any]) -> list[Session | None]:
    ids = [record.session_id for record in records]
    found = dict(zip(ids, await context.store.get(Session, [id or Id("") for id in ids]), strict=True))
    return [found[id] for id in ids]


async def trace_cursors(context: Context, sessions: Sequence[Session]) -> list[str]:
    return await _cursors(context, [Log("trace", session.id) for session in sessions])


async def message_cursors(context: Context, sessions: Sequence[Session]) -> list[str]:
    return await _cursors(context, [Log("messages", session.id) for session in sessions])


async def memory_cursor(context: Context) -> str:
    return (await _cursors(context, [Log("changes")]))[0]


async def _cursors(context: Context, logs: Sequence[Log]) -> list[str]:
    ends = await context.store.ends(logs)
    return [context.store.listing(log).cursor((end,)) for log, end in zip(logs, ends, strict=True)]


async def participant_actors(context: Context, participants: Sequence[Participant]) -> list[Actor | None]:
    return await actors(context, [participant.actor_id for participant in participants])


async def create(context: Context, input: CreateSessionInput) -> Session:
    """Creates a session with its first participants."""
    return await write(context, input, lambda tx: create_in(tx, input))


async def create_in(tx: Transaction, input: CreateSessionInput) -> Session:
    """Creates a session, set up by its kind. Raises Rejected: DUPLICATE for a taken externalId or a participant named
    twice; INVALID for a part of another kind, and for a panel with a part of its own and nobody in it."""
    check_kind(input.kind, input)
    if input.panel is not None and not input.participants:
        raise invalid("A panel has participants.", ["participants"])
    if input.external_id is not None and (await tx.find(Session, [(input.external_id,)]))[0] is not None:
        raise reject(ErrorCode.DUPLICATE, "A session with this externalId already exists.", ["externalId"])
    created = input.created_at or tx.now
    record = SESSION_TYPES[input.kind](
        id=tx.new_id(Session),
        external_id=input.external_id,
        kind=input.kind,
        title=input.title or "",
        status=SessionStatus.ACTIVE,
        context=input.context or EMPTY_OBJECT,
        capabilities=input.capabilities or [],
        metadata=input.metadata or EMPTY_OBJECT,
        created_at=created,
        updated_at=created,
        last_active_at=min(created, tx.now),
        message_count=0,
        version=1,
        panel_format=None if input.panel is None else input.panel.format,
        workflow=None if input.workflow is None else defined(input.workflow, ["workflow"]),
        expires_at=expiry(input.ttl_seconds, tx.now),
    )
    await tx.put([record])
    for index, participant in enumerate(input.participants or ()):
        await join(tx, record, participant, ["participants", index], created)
    if record.workflow is not None:
        await workflow.tell_defined(tx, record.id, record.workflow, created)
    if input.playground is not None:
        for index, one in enumerate(input.playground.experiments or ()):
            await playground.begin(tx, record.id, one, ["playground", "experiments", index], created)
    return record


async def update(context: Context, input: UpdateSessionInput) -> Session:
    """Updates a session. Raises Rejected: CONFLICT where ifVersion is not its version any more."""

    async def script(tx: Transaction) -> Session:
        before = await require(tx, Session, input.session, ["session"])
        if input.if_version is not UNSET and input.if_version != before.version:
            raise reject(ErrorCode.CONFLICT, f"The session is at version {before.version}.", ["ifVersion"])
        check_kind(before.kind, input)
        changes = given(input, title="", status=None, capabilities=[], metadata=EMPTY_OBJECT)
        if input.ttl_seconds is not UNSET:
            changes["expires_at"] = expiry(input.ttl_seconds, tx.now)
        if input.panel is not UNSET:
            changes["panel_format"] = input.panel.format
        if input.workflow is not UNSET:
            changes["workflow"] = redefined(before.workflow, input.workflow, ["workflow"])
        if input.current_branch is not UNSET:
            changes["current_id"] = await _end(tx, before, input.current_branch)
        if (patch := input.context_patch) is not UNSET:
            parts = given(patch, set=None, remove=None)
            changes["context"] = merge(
                before.context,
                told_json(tx, parts.get("set")),
                [told(tx, name) for name in parts.get("remove") or ()],
                ["contextPatch"],
            )
            if changed(before, context=changes["context"]) is not before:
                comment = None if patch.comment is UNSET else patch.comment
                was = context_version(before, tx.new_id(ContextVersion), context.caller.name, comment, tx.now)
                await tx.put([was])
                changes["context_since"] = tx.now
        after = await change_in(tx, before, **changes)
        if after.workflow is not None and after.workflow != before.workflow:
            await workflow.tell_defined(tx, after.id, after.workflow, tx.now)
        return after

    return await context.write(script)


async def contexts_at(context: Context, sessions: Sequence[Session], time: datetime) -> list[Json | None]:
    """The context of each session as it was at a time; None where the session was not there yet."""
    among, first = ContextVersionFilter(in_force=time), ContextVersionOrder(direction=OrderDirection.ASC)
    then = [one for one in sessions if one.created_at <= time < (one.context_since or one.created_at)]
    of = Records(ContextVersion, "session")
    pages = await context.store.pages(of, [one.id for one in then], Slice(1), among, first) if then else []
    was = {one.session_id: one.context for page in pages for one in page.nodes}
    return [was.get(one.id, one.context) if one.created_at <= time else None for one in sessions]


async def _end(tx: Transaction, session: Session, ref: Ref | None) -> Id | None:
    """The message of a session at which its current branch is to end; None for the latest."""
    found = None if ref is None else await lookup(tx, Message, ref)
    if ref is not None and (found is None or found.session_id != session.id):
        raise not_found("message of this session", ["currentBranch"])
    return id_of(found)


async def end(context: Context, input: EndSessionInput) -> Session:
    """Marks a session as ended."""
    return await _mark(context, input.session, SessionStatus.ENDED)


async def archive(context: Context, input: ArchiveSessionInput) -> Session:
    """Marks a session as archived; with dryRun only returns it."""
    if input.dry_run:
        return await require(context.store, Session, input.session, ["session"])
    return await _mark(context, input.session, SessionStatus.ARCHIVED)


async def delete(context: Context, input: DeleteSessionInput) -> Session:
    """Deletes a session with its messages and trace and returns it; with dryRun only returns it. Where the server keeps
    a trash (RECOLLECT_TRASH_DAYS) it can be brought back for a while by restoreSession."""
    formed = [] if input.dry_run else await formed_in(context, input.session)

    async def script(tx: Transaction) -> Session:
        found = await require(tx, Session, input.session, ["session"])
        if not input.dry_run:
            await delete_in(tx, found, formed, context.trash_days)
        return found

    return await context.write(script)


async def delete_in(tx: Transaction, session: Session, formed: Sequence[Id], trash_days: float = 0.0) -> None:
    """Deletes a session, with the documents that only it shows: no search finds what they say. The memories that were
    formed in it are told to have changed. trash_days: for how long it can be brought back; all blobs that only it shows
    go with it then, and come back with it, else those that say nothing can be used again until they are swept."""
    shown = [one for one in await shown_only_in(tx, session) if one.text or trash_days]
    if trash_days:
        await trash.keep(tx, session, shown, trash_days)
    lost = Ref(id=session.id, external_id=session.external_id)
    await tx.log(
        [
            MemoryChange(ChangeKind.UPDATED, memory.id, tx.now, memory, before=memory, lost=lost)
            for memory in await present(tx, Memory, formed)
            if memory.session_id == session.id
        ]
    )
    await tx.delete(Session, [session.id])
    await tx.delete(Blob, [one.id for one in shown])


async def formed_in(context: Context, session: Ref) -> list[Id]:
    """The memories that were formed in a session, whatever became of them, the first ones first."""
    if (found := await lookup(context.store, Session, session)) is None:
        return []
    used = each(context, Collection.SESSION_MEMORIES, found.id)  # these and others, read off an index
    return sorted([memory.id async for memory in used if memory.session_id == found.id])


async def _mark(context: Context, ref: Ref, status: SessionStatus) -> Session:
    async def script(tx: Transaction) -> Session:
        return await change_in(tx, await require(tx, Session, ref, ["session"]), status=status)

    return await context.write(script)


async def change_in(tx: Transaction, before: Session, **changes: Any) -> Session:
    """Stores the changes of a session as its next version. Raises Unchanged."""
    if (after := settled(tx, before, changed(before, **changes))) is before:
        raise Unchanged(before)
    after = msgspec.structs.replace(after, updated_at=tx.now, version=before.version + 1)
    await tx.put([after])
    return after


async def add_participant(context: Context, input: AddParticipantInput) -> Participant:
    """Adds a participant to a session. Raises Rejected: DUPLICATE where it takes part already; nothing changes then."""

    async def script(tx: Transaction) -> Participant:
        return await join(tx, await require(tx, Session, input.session, ["session"]), input, [], tx.now)

    return await write(context, input, script)


async def remove_participant(context: Context, input: RemoveParticipantInput) -> Participant:
    """Marks a participant as having left."""

    async def script(tx: Transaction) -> Participant:
        found = await require(tx, Session, input.session, ["session"])
        before = await participant(tx, found, input.participant, ["participant"])
        if before.left_at is not None:
            raise Unchanged(before)
        after = msgspec.structs.replace(before, left_at=tx.now)
        await tx.put([after])
        return after

    return await context.write(script)


async def participant(tx: Transaction, session: Session, ref: Ref, path: Sequence[str | int]) -> Participant:
    """A session's participant by its id, its externalId, or the id or externalId of the actor behind it.

    Raises Rejected: NOT_FOUND.
    """
    present = await tx.participants(session.id)
    if ref.id is not None:
        id: Id | None = ref.id
        while id is not None:
            for found in present:
                if id in (found.id, found.actor_id):
                    return found
            id = await _meant(tx, id)
    else:
        for found in present:
            if found.external_id == ref.external_id:
                return found
        ids = [actor.id for kind in (User, Agent) if (actor := await lookup(tx, kind, ref)) is not None]
        called = [found for found in present if found.actor_id in ids]
        if len(called) > 1:
            raise reject(ErrorCode.AMBIGUOUS, f"{BOTH}.", path)
        for found in called:
            return found
    raise not_found("participant of this session", path)


async def _meant(tx: Transaction, id: Id) -> Id | None:
    """The id that is meant by another one, which stands for it in a transaction."""
    kind = kind_of(id)
    if kind is None or not issubclass(kind, Participant | User | Agent):
        return None
    meant = id_of((await tx.get(kind, [id]))[0])
    return None if meant == id else meant


async def taking_part(context: Context, session: Session) -> list[Participant]:
    """Who takes part in a session now."""
    found: list[Participant] = []
    more, after = True, None
    while more:
        [page] = await SESSION_PARTICIPANTS.pages(context, [session.id], SESSION_PARTICIPANTS.cap, after)
        found += [one for one in page.nodes if one.left_at is None]
        more, after = page.has_next_page, page.page_info.end_cursor
    return found


async def join(
    tx: Transaction, session: Session, input: ParticipantInput, path: Sequence[str | int], at: datetime
) -> Participant:
    """Adds a participant to a session; one that had left comes back. Raises Rejected: DUPLICATE, INVALID."""
    actor: Actor | None = None
    if input.actor is not None:
        if input.type not in (SenderType.USER, SenderType.AGENT):
            raise invalid("Only participants of type USER and AGENT have an actor.", [*path, "actor"])
        kind: type[Any] = User if input.type is SenderType.USER else Agent
        actor = await named(tx, kind, input.actor, [*path, "actor"])
    role = input.role or input.type.value.lower()
    name = told(tx, input.name or (actor.name if actor else role))
    key = identity(input.type, name, id_of(actor), input.external_id)
    before = (await tx.find(Participant, [(session.id, key)]))[0]
    if before is not None and before.left_at is None:
        raise reject(ErrorCode.DUPLICATE, f"{name} is already a participant of this session.", path)
    record = Participant(
        id=before.id if before else tx.new_id(Participant),
        session_id=session.id,
        actor_id=id_of(actor),
        type=input.type,
        role=role,
        name=name,
        external_id=input.external_id,
        joined_at=before.joined_at if before else at,
        left_at=None,
    )
    await tx.put([record])
    return record
