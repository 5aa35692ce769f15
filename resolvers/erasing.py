"""What belongs to somebody who is erased, page by page: what it is, what goes and what is blanked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from domain.actor import Agent, User
from domain.annotation import Annotation
from domain.blob import Attachment, Blob
from domain.change import deletion
from domain.correction import MessageVersion, texts_of
from domain.entity import Entity, Mention
from domain.erasure import bare, emptied, nameless, told_by, without_votes
from domain.generation import EvictGenerationsInput
from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import Message
from domain.node import Id, Node
from domain.panel import Decision, Insight
from domain.participant import Participant, SenderType
from domain.session import Session
from domain.span import Span
from domain.state import StateEntry
from domain.tool_execution import ToolExecution
from domain.trace import TraceEvent
from domain.trash import TrashedSession
from domain.values import Ref
from resolvers import sessions, trash
from resolvers.blobs import delete_blob
from resolvers.context import Context, each, every, present
from resolvers.correction import blank, telling
from resolvers.entities import found_alone, mentioned_by, of_somebody, unmentioned
from resolvers.formation import formed_from
from resolvers.lists import ROOT
from resolvers.spans import delete_in
from resolvers.supersession import replaced_by, take_out
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import kind, referring
from stores.errors import Taken
from stores.ports import Collection, Records, Script, Transaction

T = TypeVar("T")

_TOGETHER = 200
"""How many records go in one transaction."""

_OTHERS = {User: (SenderType.USER,), Agent: (SenderType.USER, SenderType.AGENT)}
"""Who else must take part in a session, so that it is not the erased one's alone."""


def _parts_of(of: Kind[Any]) -> list[Records]:
    """The lists of what goes with records of a kind: of a session executions, decisions, experiments and the like."""
    return [
        Records(other.record, column.name)
        for other, column in referring(of)
        if column.refers is not None
        and column.refers.gone == "cascade"
        and other.order is not None
        and other.record not in (TraceEvent, Span, Attachment)
    ]


class Erasing:
    """One erasure. removed, blanked: how many records of each kind; texts: what was in them that is long enough to be
    searched for; files: how many blobs lost their bytes."""

    def __init__(self, context: Context, subject_id: Id, dry_run: bool = False) -> None:
        self._context, self.subject_id, self.dry_run = context, subject_id, dry_run
        self.removed: Counter[str] = Counter()
        self.blanked: Counter[str] = Counter()
        self.texts: set[str] = set()
        self.files = 0
        self._entities: dict[Id, None] = {}
        self._names: set[str] = set()
        self._seen: set[Id] = set()
        self._attachments: dict[Id, Id] = {}
        self._loose: dict[Id, str] = {}  # the keys of the bytes of blobs that nothing else shows

    async def everything(self, subject: Any) -> None:
        """Erases all that is the subject's, then the subject."""
        if isinstance(subject, TrashedSession):
            await self._trashed(subject)
            await self._end(partial(_delete_trashed, subject))
            await self._free_blobs()
        elif isinstance(subject, Session):
            formed = await self._session(subject)
            await self._end(partial(_delete_session, subject, formed))
            await self._free_blobs()
        else:
            await self._of_actor(subject)
            await self._free_blobs()
            self._saw([subject])
            await self._end(partial(_delete_actor, subject))

    async def _end(self, script: Script[Any]) -> None:
        """What is noted in the audit log; before it, what nothing mentions any more goes."""
        await self._free_entities()
        if not self.dry_run:
            await self._context.write(script)

    def _saw(self, records: Iterable[Node], how: Counter[str] | None = None) -> None:
        """Notes what goes, or is blanked."""
        count = self.removed if how is None else how
        for one in records:
            if one.id in self._seen:
                continue
            self._seen.add(one.id)
            count[kind(type(one)).name] += 1
            self.texts.update(told_by(one))
            if isinstance(one, Attachment):
                self._attachments[one.id] = one.blob_id
            if isinstance(one, Mention):
                self._entities[one.entity_id] = None

    async def _write(self, script: Script[Any]) -> None:
        if not self.dry_run:
            await self._context.store.write(script)

    # -- users and agents ------------------------------------------------------------------------------------------

    async def _of_actor(self, actor: User | Agent) -> None:
        context = self._context
        self._called(actor)
        mine = [one.id async for one in each(context, Collection.ACTOR_MEMORIES, actor.id)]
        await self._memories(mine)
        for session in [one async for one in each(context, Collection.ACTOR_SESSIONS, actor.id)]:
            parts = [one async for one in each(context, Collection.SESSION_PARTICIPANTS, session.id)]
            if any(one.actor_id != actor.id and one.type in _OTHERS[type(actor)] for one in parts):
                await self._take_part(session, [one for one in parts if one.actor_id == actor.id], actor)
            else:
                formed = await self._session(session, actor)
                await self._write(partial(_delete_session, session, formed))
        column = "user" if isinstance(actor, User) else "agent"
        tells: list[type[Node]] = [TraceEvent, Span, *([ToolExecution] if column == "agent" else [])]
        for record in tells:
            await self._told_of(Records(record, column), actor.id)
        for of in _parts_of(kind(type(actor))):
            self._saw([one async for one in each(context, of, actor.id)])
        await self._annotations(actor.id)
        await self._states(actor)
        for entry in [one async for one in each(context, trash.TRASH.of, ROOT)]:
            if actor.id in entry.actor_ids:
                await self._trashed(entry, actor)
                await self._write(partial(trash.take_out, [entry.id]))

    async def _take_part(self, session: Session, parts: Sequence[Participant], actor: User | Agent) -> None:
        """Blanks what somebody said in a session of others, and their names."""
        context = self._context
        for part in parts:
            self._called(part)
            for found in _some([one async for one in each(context, Collection.PARTICIPANT_MESSAGES, part.id)]):
                hanging = await self._hanging(MessageVersion, "message", [one.id for one in found])
                hanging += await self._hanging(Attachment, "target", [one.id for one in found])
                hanging += await mentioned_by(context, [one.id for one in found])
                hung_on = {one.message_id if isinstance(one, MessageVersion) else one.target_id for one in hanging}
                some = [one for one in found if not one.is_redacted or one.id in hung_on]
                if not some:
                    continue
                ids = [one.id for one in some]
                texts = texts_of(
                    [one.content for one in (*some, *hanging) if isinstance(one, Message | MessageVersion)]
                )
                formed = [one for made in await formed_from(context, ids) for one in made]
                await self._memories([one.id for one in formed if self._takes(one, actor)])
                self._saw(some, self.blanked)
                self._saw(hanging)
                self._saw([one async for one in telling(context, session.id, ids, texts)], self.blanked)
                if not self.dry_run:
                    await blank(context, some, context.store.write)
        self._saw(parts, self.blanked)
        ids = [one.id for one in parts]
        insights = [one async for one in each(context, Records(Insight, "session"), session.id)]
        insights = [one for one in insights if one.participant_id in ids]
        decisions = [one async for one in each(context, Records(Decision, "session"), session.id)]
        decisions = [one for one in decisions if any(vote.participant_id in ids for vote in one.votes)]
        self._saw(insights)
        self._saw(decisions, self.blanked)

        async def script(tx: Transaction) -> None:
            await tx.put([nameless(one) for one in await present(tx, Participant, ids)])
            await tx.delete(Insight, [one.id for one in insights])
            there = await present(tx, Decision, [one.id for one in decisions])
            await tx.put([without_votes(one, ids) for one in there])

        await self._write(script)

    def _takes(self, memory: Memory, actor: User | Agent | None) -> bool:
        """Whether a memory goes that was formed from what is erased: those that another user owns stay."""
        if isinstance(actor, User):
            return memory.owner_id is None or memory.owner_id.startswith(f"{Agent.prefix}_")
        return actor is None

    async def _told_of(self, of: Records, actor_id: Id) -> None:
        """What traces tell that somebody did: what is of no session goes, the rest is emptied."""
        told = [one async for one in each(self._context, of, actor_id)]
        loose, kept = [one for one in told if one.session_id is None], [one for one in told if one.session_id]
        shown = await self._hanging(Attachment, "target", [one.id for one in told if isinstance(one, Span)])
        self._saw([*loose, *shown])
        self._saw(kept, self.blanked)
        for some in _some(told):
            ids = [one.id for one in some]
            await self._write(partial(_empty, of.kind, ids, [one.id for one in shown if one.target_id in ids]))

    async def _annotations(self, author_id: Id) -> None:
        said = [one async for one in each(self._context, Records(Annotation, "author"), author_id)]
        self._saw(said)
        for some in _some(said):
            await self._write(partial(_delete_annotations, [one.id for one in some]))

    async def _states(self, actor: User | Agent) -> None:
        """State entries and cached generations with a tag that names somebody: by id or externalId, alone or as `user:`
        or `agent:`."""
        names = [name for name in (actor.id, actor.external_id) if name is not None]
        tags = [*names, *(f"{type(actor).__name__.lower()}:{name}" for name in names)]
        after: Id | None = None
        while page := await self._context.store.scan(StateEntry, after, _TOGETHER):
            after = page[-1].id
            mine = [one for one in page if not set(tags).isdisjoint(one.tags)]
            self._saw(mine)
            if mine:
                await self._write(partial(_delete_states, [one.id for one in mine]))
        for tag in tags:
            which = EvictGenerationsInput(tags=[tag], dry_run=self.dry_run)
            count = await self._context.engine.generations.evict(self._context.caller.workspace, which)
            self.removed.update({"generation": count} if count else {})

    # -- memories --------------------------------------------------------------------------------------------------

    async def _memories(self, ids: Sequence[Id]) -> None:
        for some in _some(ids):
            memories = await present(self._context.store, Memory, some)
            links = await every(self._context, Collection.MEMORY_LINKS, some)
            self._saw(memories)
            self._saw({one.id: one for one in links}.values())
            for of in (Collection.MEMORY_HISTORY, Collection.MEMORY_RECALLS):
                self._saw(await every(self._context, of, some))
            said = await self._hanging(Annotation, "target", some)
            self._saw(said)
            self._saw(await mentioned_by(self._context, some))
            replaced = await replaced_by(self._context, some)
            await self._write(partial(_delete_memories, some, replaced, [one.id for one in said]))

    # -- sessions --------------------------------------------------------------------------------------------------

    async def _session(self, session: Session, actor: User | Agent | None = None) -> list[Id]:
        """Notes all that a session has, and erases the memories formed in it; all that were. actor: whose the session
        is, if that is why."""
        context = self._context
        formed = await sessions.formed_in(context, Ref(id=session.id))
        memories = await present(context.store, Memory, formed)
        await self._memories([one.id for one in memories if self._takes(one, actor)])
        lists: list[Collection | Records] = [
            Collection.SESSION_PARTICIPANTS,
            Collection.SESSION_THREADS,
            Collection.SESSION_TRACE,
            Collection.SESSION_TRACES,
            Records(Annotation, "target"),
            *_parts_of(kind(Session)),
        ]
        for of in lists:
            self._saw([one async for one in each(context, of, session.id)])
        for of in (Collection.SESSION_MESSAGES, Collection.SESSION_SPANS):
            for some in _some([one async for one in each(context, of, session.id)]):
                ids = [one.id for one in some]
                self._saw(some)
                self._saw(await self._hanging(Annotation, "target", ids))
                self._saw(await self._hanging(Attachment, "target", ids))
                if of is Collection.SESSION_MESSAGES:
                    self._saw(await self._hanging(MessageVersion, "message", ids))
                    self._saw(await mentioned_by(context, ids))
        self._saw([session])
        await self._note_blobs()
        return formed

    # -- the trash -------------------------------------------------------------------------------------------------

    async def _trashed(self, entry: TrashedSession, actor: User | Agent | None = None) -> None:
        """Notes all that a session in the trash was made of, and erases the memories that were formed in it."""
        formed: list[Id] = []
        for part in await trash.parts_of(self._context.store, entry) or ():
            records = trash.records_of(part, part.records)
            self._saw(one for one in records if isinstance(one, Node))
            self._loose |= {one.id: one.stored_as for one in records if isinstance(one, Blob)}
            formed += [one.id for one in records if isinstance(one, trash.Lost) and one.id.startswith(Memory.prefix)]
        self._saw([entry])
        memories = await present(self._context.store, Memory, list(dict.fromkeys(formed)))
        await self._memories([one.id for one in memories if self._takes(one, actor)])

    async def _hanging(self, record: type[Node], column: str, ids: Sequence[Id]) -> list[Any]:
        return await every(self._context, Records(record, column), ids)

    # -- entities --------------------------------------------------------------------------------------------------

    def _called(self, one: User | Agent | Participant) -> None:
        """Notes what somebody is called."""
        if not isinstance(one, Participant) or one.name != one.role:
            self._names.update(name for name in (one.name, one.external_id) if name)

    async def _free_entities(self) -> None:
        """Deletes the entities that nothing mentions any more, and those that are the erased one, whoever mentions
        them."""
        gone = await unmentioned(self._context, self._entities, self._seen)
        gone += await of_somebody(self._context, self._names)
        gone += await found_alone(self._context, self._seen)
        gone = list(dict.fromkeys(gone))
        self._saw(await present(self._context.store, Entity, gone))
        for some in _some(gone):
            await self._write(partial(_delete_entities, some))

    # -- files -----------------------------------------------------------------------------------------------------

    async def _note_blobs(self) -> None:
        """Notes the blobs that nothing else shows; before what shows them goes, for they may go with that."""
        ids = [id for id in dict.fromkeys(self._attachments.values()) if id not in self._loose]
        shown = {one.blob_id for one in await self._hanging(Attachment, "blob", ids) if one.id not in self._attachments}
        for blob in await present(self._context.store, Blob, [id for id in ids if id not in shown]):
            self._saw([blob])
            self._loose[blob.id] = blob.stored_as

    async def _free_blobs(self) -> None:
        """Deletes the blobs that nothing shows any more, and their bytes."""
        await self._note_blobs()
        self.files = len(self._loose)
        if self.dry_run:
            return
        for blob in await present(self._context.store, Blob, list(self._loose)):
            try:
                await self._write(partial(delete_blob, blob.id))
            except Taken:  # it is shown again
                del self._loose[blob.id]
        if self._context.takes_blobs:
            await self._context.intake.blobs.delete(self._context.caller.workspace, list(self._loose.values()))


def _some(items: Iterable[T]) -> Iterator[list[T]]:
    every = list(items)
    return (every[start : start + _TOGETHER] for start in range(0, len(every), _TOGETHER))


async def _delete_memories(
    ids: Sequence[Id], replaced: Sequence[MemoryLink], said: Sequence[Id], tx: Transaction
) -> None:
    """Deletes memories, and what logs tell of them and of the annotations on them."""
    found = await present(tx, Memory, ids)
    await take_out(tx, replaced, ids)
    await tx.log([deletion(bare(memory), tx.now) for memory in found])
    await tx.delete(Memory, [memory.id for memory in found])
    await tx.forget([*ids, *said])


async def _delete_annotations(ids: Sequence[Id], tx: Transaction) -> None:
    await tx.delete(Annotation, ids)
    await tx.forget(ids)


async def _delete_entities(ids: Sequence[Id], tx: Transaction) -> None:
    await tx.delete(Entity, ids)


async def _delete_states(ids: Sequence[Id], tx: Transaction) -> None:
    await tx.delete(StateEntry, ids)


async def _delete_session(session: Session, formed: Sequence[Id], tx: Transaction) -> Session:
    """The log does not say what it was called."""
    await sessions.delete_in(tx, replace(session, external_id=None), formed)
    return session


async def _delete_trashed(entry: TrashedSession, tx: Transaction) -> TrashedSession:
    await trash.take_out([entry.id], tx)
    return entry


async def _delete_actor(actor: User | Agent, tx: Transaction) -> User | Agent:
    """Raises Taken where they have a memory by now."""
    if await tx.active(actor.id):
        raise Taken(f"{actor.id} has memories")
    await tx.forget([], links=True)
    await tx.delete(type(actor), [actor.id])
    return actor


async def _empty(kind: type[Node], ids: Sequence[Id], shown: Sequence[Id], tx: Transaction) -> None:
    """Empties what traces tell, and deletes it where it is of no session."""
    there: list[Any] = await present(tx, kind, ids)
    loose = [one for one in there if one.session_id is None]
    await tx.put([emptied(one) for one in there if one.session_id is not None])
    await tx.delete(Attachment, shown)
    if kind is Span:
        await delete_in(tx, loose)
    else:
        await tx.delete(kind, [one.id for one in loose])
