"""The trash: deleted sessions that can be brought back for a while.

A session in the trash is deleted in truth, so nothing that reads has to pass it over. All that went with it, and what
others lost by that, is kept as JSON in a few records of its own, under the ids it had, and put again as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from domain.actor import Agent, User
from domain.blob import Attachment, Blob
from domain.change import ChangeKind, MemoryChange
from domain.errors import ErrorCode, not_found, reject
from domain.memory import Memory
from domain.message import MemoryRef, Message
from domain.node import Id, Node, kind_of
from domain.page import Slice
from domain.session import SESSION_TYPES, Session
from domain.tally import Tally
from domain.trace import TraceEvent
from domain.trash import (
    EmptiedTrash,
    EmptyTrashInput,
    RestoreSessionInput,
    TrashedBlob,
    TrashedPart,
    TrashedSession,
    TrashedSessionFilter,
)
from domain.values import Json, Ref
from resolvers.context import Context, Reader, each, present
from resolvers.lists import ROOT, Listed
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS, called, kind, natural_key
from stores.catalogue.references import checked, export_order, gone_with
from stores.ports import Records, Transaction

TRASH = Listed(Records(TrashedSession), TrashedSessionFilter)

_PART_BYTES = 512 * 1024
"""About so long the JSON of a part is: a property of a graph and a row of a table bear much more."""

_TOGETHER = 20
"""How many sessions are taken out of the trash in one write."""

_MADE_ANEW = (Attachment, Tally)
"""What is made again of the records that are put."""

_REFS, _LOST = "memory_refs", "lost"
"""What parts hold beside records: what messages drew on, and references that others lost."""


class Refs(NamedTuple):
    """What a message drew on."""

    message_id: Id
    refs: list[MemoryRef]


class Lost(NamedTuple):
    """What a record that stays named, in which field."""

    id: Id
    field: str
    named: Id


_BESIDE: dict[str, Any] = {_REFS: Refs, _LOST: Lost}


def _order() -> list[Kind[Any]]:
    exported = export_order()
    return [*exported, *(one for one in KINDS if one not in exported)]


_PLACES = {one.record: place for place, one in enumerate(_order())}
"""The order in which records are put: what others refer to comes first."""


# -- into the trash ----------------------------------------------------------------------------------------------------


async def keep(tx: Transaction, session: Session, blobs: Sequence[Blob], days: float) -> None:
    """Puts a copy of a session that is about to be deleted into the trash, with all that will go with it. blobs: those
    that do."""
    going: dict[Id, Node] = {session.id: session, **{one.id: one for one in blobs}}
    lost: list[Lost] = []
    for step in gone_with(kind(Session)):
        record, column = step.way[-1][0].record, step.way[-1][1]
        way = [(of.record, named.name) for of, named in step.way]
        if step.gone == "cascade":
            if record not in _MADE_ANEW:
                going |= {one.id: one for one in await tx.along(Session, way, [session.id])}
        else:
            field = str(column.field)
            lost += [Lost(one.id, field, getattr(one, field)) for one in await tx.along(Session, way, [session.id])]
    messages = [one.id for one in going.values() if isinstance(one, Message)]
    drawn = zip(messages, await tx.drawn(messages), strict=True)
    refs = [Refs(id, some) for id, some in drawn if some]
    parts = list(_parts(going, refs, [one for one in lost if one.id not in going]))
    await _make_way(tx, session, blobs)
    due = tx.now + timedelta(days=days)
    entry = TrashedSession(
        id=tx.new_id(TrashedSession),
        session_id=session.id,
        external_id=session.external_id,
        title=session.title,
        kind=session.kind,
        message_count=session.messages_there,
        created_at=session.created_at,
        deleted_at=tx.now,
        expires_at=due if session.expires_at is None else min(due, session.expires_at),
        parts=len(parts),
        size_bytes=sum(len(bytes(records)) for _, records in parts),
        actor_ids=sorted(_actors(going.values())),
    )
    await tx.put([entry])
    await tx.put(
        [
            TrashedPart(id=tx.new_id(TrashedPart), trash_id=entry.id, place=place, holds=holds, records=records)
            for place, (holds, records) in enumerate(parts)
        ]
    )
    await tx.put([TrashedBlob(id=tx.new_id(TrashedBlob), trash_id=entry.id, stored_as=one.stored_as) for one in blobs])


async def _make_way(tx: Transaction, session: Session, blobs: Sequence[Blob]) -> None:
    """Takes away what the trash has of a session, and of files, that an import has brought back: they are as they are
    now, and go there once more."""
    [earlier] = await tx.find(TrashedSession, [(session.id,)])
    if earlier is not None:
        await tx.delete(TrashedSession, [earlier.id])
    if blobs:
        there = await tx.find(TrashedBlob, [(one.stored_as,) for one in blobs])
        await tx.delete(TrashedBlob, [one.id for one in there if one is not None])


def _parts(going: dict[Id, Node], refs: Sequence[Refs], lost: Sequence[Lost]) -> Iterator[tuple[str, Json]]:
    """What each part holds, and its records, in the order in which they will be put."""
    by_kind: dict[type[Node], list[Any]] = {}
    for one in going.values():
        by_kind.setdefault(kind(type(one)).record, []).append(one)
    for record in sorted(by_kind, key=_PLACES.__getitem__):
        placed = record in (Message, TraceEvent)
        some = sorted(by_kind[record], key=lambda one: one.place if placed else one.id)
        yield from _split(kind(record).name, some)
    yield from _split(_REFS, refs)
    yield from _split(_LOST, lost)


def _split(holds: str, items: Sequence[Any]) -> Iterator[tuple[str, Json]]:
    some: list[bytes] = []
    size = 0
    for item in items:
        some.append(msgspec.json.encode(item))
        size += len(some[-1])
        if size >= _PART_BYTES:
            yield holds, msgspec.Raw(b"[%s]" % b",".join(some))
            some, size = [], 0
    if some:
        yield holds, msgspec.Raw(b"[%s]" % b",".join(some))


def _actors(records: Any) -> set[Id]:
    """The users and agents that records name."""
    found: set[Id] = set()
    for one in records:
        for column in kind(type(one)).references:
            named = getattr(one, str(column.field))
            ids = named if isinstance(named, list) else [named]
            found.update(id for id in ids if id is not None and kind_of(id) in (User, Agent))
    return found


# -- out of it ---------------------------------------------------------------------------------------------------------


async def restore(context: Context, input: RestoreSessionInput) -> Session:
    """Brings a deleted session back from the trash, with all that was in it and what memories and others had of it,
    under the ids it had. Events of its trace get new places.

    Raises Rejected: NOT_FOUND; DUPLICATE where an externalId of it was taken meanwhile, and nothing is brought back."""
    entry = await named(context, input.session)
    if entry is None:
        raise not_found(TrashedSession.noun, ["session"])

    async def script(tx: Transaction) -> Session:
        parts = await parts_of(tx, entry)
        if parts is None:
            raise not_found(TrashedSession.noun, ["session"])
        if (await tx.get(Session, [entry.session_id]))[0] is not None:  # an import has brought it back
            raise reject(ErrorCode.DUPLICATE, "The session is there: emptyTrash takes its copy away.", ["session"])
        await tx.delete(TrashedSession, [entry.id])
        await _Restoring(tx).put(parts)
        [session] = await tx.get(Session, [entry.session_id])
        assert session is not None, "it does not expire before its place in the trash"
        return session

    return await context.write(script)


async def parts_of(reader: Reader, entry: TrashedSession) -> list[TrashedPart] | None:
    """What a session in the trash lies in, in order; None where it is there no longer."""
    keys = [(entry.id, str(place)) for place in range(entry.parts)]
    found = await reader.find(TrashedPart, keys)
    [there] = await reader.get(TrashedSession, [entry.id])
    return None if there is None else [one for one in found if one is not None]


def records_of(part: TrashedPart, records: Json) -> list[Any]:
    """The records of a part, or what it holds else."""
    of: Any = _BESIDE.get(part.holds) or called(part.holds).record
    found: list[Any] = msgspec.json.decode(records, type=list[of])
    return [_typed(one) if isinstance(one, Session) else one for one in found]


def _typed(session: Session) -> Session:
    return SESSION_TYPES[session.kind](**msgspec.structs.asdict(session))


class _Restoring:
    """Puts what is brought back. there: its ids; same: the blobs among it whose bytes are here under another id by now,
    which is in its place wherever it stands."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._there: set[Id] = set()
        self._same: dict[Id, Id] = {}
        self._late: dict[Id, Id] = {}
        self._left: list[tuple[Node, Id]] = []  # what is not brought back, with what it hung on

    async def put(self, parts: Sequence[TrashedPart]) -> None:
        for part in parts:
            told = bytes(part.records)
            for id, other in self._same.items():
                told = told.replace(id.encode(), other.encode())
            records = records_of(part, msgspec.Raw(told))
            if part.holds == _LOST:
                await _give_back(self._tx, [one for one in records if one.named in self._there])
            elif part.holds == _REFS:
                for one in records:
                    if one.message_id in self._there:
                        await self._tx.reference(one.message_id, one.refs)
            else:
                await self._put(records)
        events = await present(self._tx, TraceEvent, [id for id, one in self._late.items() if one in self._there])
        await self._tx.put([replace(one, parent_id=self._late[one.id]) for one in events])
        await self._hand_over()

    async def _hand_over(self) -> None:
        """Puts what hung on a session that is in the trash beside that one, to be brought back with it."""
        for one, hung_on in self._left:
            [entry] = await self._tx.find(TrashedSession, [(hung_on,)])
            if entry is not None:
                [(holds, records)] = _split(kind(type(one)).name, [one])
                id, size = self._tx.new_id(TrashedPart), entry.size_bytes + len(bytes(records))
                part = TrashedPart(id=id, trash_id=entry.id, place=entry.parts, holds=holds, records=records)
                await self._tx.put([replace(entry, parts=entry.parts + 1, size_bytes=size)])
                await self._tx.put([part])

    async def _put(self, records: list[Any]) -> None:
        tx, (some, left) = self._tx, await _with_what_is_there(self._tx, records, self._there)
        self._left += left
        others = await _others(tx, some)
        some = [one for one in some if one.id not in others]
        if isinstance(records[0], Blob):
            self._same |= others
        if isinstance(records[0], TraceEvent):
            before = set(self._there)
            for one in some:
                if one.parent_id is not None and one.parent_id not in before:
                    self._late[one.id] = one.parent_id
                before.add(one.id)
            await tx.append(some)
        else:
            await tx.put(some)
        self._there |= {one.id for one in some}


async def _with_what_is_there(
    tx: Transaction, records: list[Any], there: set[Id]
) -> tuple[list[Any], list[tuple[Node, Id]]]:
    """Records of a kind, without the names of what was deleted meanwhile; and those that hang on it, with what they do.
    there: what was brought back."""
    of = kind(type(records[0]))
    fields = {str(one.field): one for one in of.references if str(one.field) in checked(of)}
    empties = {name for name, one in fields.items() if one.refers is not None and one.refers.gone == "null"}
    own = {one.id for one in records}
    named = {id for one in records for name in fields if (id := getattr(one, name)) is not None}
    outside = await _present_ids(tx, named - there - own)
    found = there | own | outside
    kept, left = [], []
    for one in records:
        gone = [name for name in fields if (id := getattr(one, name)) is not None and id not in found]
        if empties.issuperset(gone):
            kept.append(replace(one, **dict.fromkeys(gone)) if gone else one)
        else:
            left.append((one, next(getattr(one, name) for name in gone if name not in empties)))
    return kept, left


async def _present_ids(tx: Transaction, ids: set[Id]) -> set[Id]:
    by_kind: dict[type[Node], list[Id]] = {}
    for id in ids:
        if (of := kind_of(id)) is not None:
            by_kind.setdefault(of, []).append(id)
    return {one.id for of, some in by_kind.items() for one in await present(tx, of, some)}


async def _others(tx: Transaction, records: list[Any]) -> dict[Id, Id]:
    """The records of a kind whose names others have by now, with the ids of these, of what merges. Raises Rejected
    (DUPLICATE) for such names else."""
    if not records:
        return {}
    of = kind(type(records[0]))
    keys = {one.id: key for one in records if (key := natural_key(one)) is not None}
    found = zip(keys, await tx.find(of.record, list(keys.values())), strict=True)
    others = {id: other.id for id, other in found if other is not None and other.id != id}
    if others and not of.merges:
        name = " ".join(keys[next(iter(others))])[:120]
        message = f"There is another {of.record.noun} called {name} by now: delete that one, then restore this session."
        raise reject(ErrorCode.DUPLICATE, message, ["session"])
    return others


async def _give_back(tx: Transaction, lost: Sequence[Lost]) -> None:
    """Has records name again what they lost, unless they name another by now."""
    by_kind: dict[type[Node], dict[Id, dict[str, Id]]] = {}
    for one in lost:
        of = kind_of(one.id)
        assert of is not None
        by_kind.setdefault(of, {}).setdefault(one.id, {})[one.field] = one.named
    for of, fields in by_kind.items():
        before = await present(tx, of, list(fields))
        given = [{name: id for name, id in fields[one.id].items() if getattr(one, name) is None} for one in before]
        pairs = [(old, replace(old, **more)) for old, more in zip(before, given, strict=True) if more]
        await tx.put([new for _, new in pairs])
        if of is Memory:
            await tx.log(
                [MemoryChange(ChangeKind.UPDATED, new.id, tx.now, new, before=old) for old, new in pairs]  # type: ignore[arg-type]
            )


async def named(context: Context, ref: Ref) -> TrashedSession | None:
    """The session of an id, or the one that was deleted last of those with an externalId."""
    if ref.id is not None:
        return (await context.store.find(TrashedSession, [(ref.id,)]))[0]
    called = TrashedSessionFilter(external_ids=[ref.external_id or ""])
    [page] = await context.store.pages(TRASH.of, [ROOT], Slice(1), called)
    return page.nodes[0] if page.nodes else None


# -- for good ----------------------------------------------------------------------------------------------------------


async def empty(context: Context, input: EmptyTrashInput) -> EmptiedTrash:
    """Takes sessions out of the trash for good; with dryRun only counts them. Raises Rejected: NOT_FOUND."""
    found: dict[Id, TrashedSession] = {}
    if input.sessions is None:
        found = {one.id: one async for one in each(context, TRASH.of, ROOT)}
    for index, ref in enumerate(input.sessions or ()):
        if (entry := await named(context, ref)) is None:
            raise not_found(TrashedSession.noun, ["sessions", index])
        found[entry.id] = entry
    ids = list(found)
    for start in range(0, 0 if input.dry_run else len(ids), _TOGETHER):
        await context.write(partial(take_out, ids[start : start + _TOGETHER]))
    return EmptiedTrash(len(ids), sum(one.size_bytes for one in found.values()))


async def take_out(ids: Sequence[Id], tx: Transaction) -> None:
    await tx.delete(TrashedSession, ids)
