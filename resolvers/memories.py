"""Create, update, decay and archive memories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import isfinite
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET
from msgspec.structs import replace

from domain.actor import Actor, Agent, User
from domain.change import ChangeKind, MemoryChange, deletion
from domain.entity import Mention
from domain.errors import ErrorCode, Rejected, invalid, not_found, reject
from domain.formation import Birth, Origin
from domain.history import VersionCause
from domain.link import LinkInput
from domain.memory import (
    FADING,
    ArchiveMemoriesInput,
    CreateMemoriesInput,
    CreateMemoryInput,
    DecayMemoriesInput,
    DeleteMemoriesInput,
    ExternalSource,
    Memory,
    MemoryFilter,
    MemoryInput,
    MemoryScope,
    MemoryStatus,
    OnDuplicate,
    RestoreMemoriesInput,
    TouchMemoriesInput,
    UpdateMemoryInput,
    check,
    decayed,
    expiry,
    names_types,
    narrows,
    surplus,
    touched,
)
from domain.message import Message
from domain.node import Id, id_of
from domain.values import EMPTY_OBJECT, Ref, changed, given
from resolvers.actors import actors, named, whose
from resolvers.context import Context, Unchanged, embedding, lookup, lookup_all, require
from resolvers.duplicates import duplicate_of
from resolvers.entities import Naming, mention, mentioned_by, say, unsay
from resolvers.idempotency import write
from resolvers.links import put_links
from resolvers.supersession import release, replaced_by, replacing, shift, take_out
from resolvers.versions import put_next
from stores.filters import FILTERS, RefersTo, Some, called
from stores.ports import Transaction, Vector, label_of
from stores.treated import settled

Path = Sequence[str | int]

_SHOWN = 200
"""How many memories a mutation over a whole filter returns; it changes all of them."""

_PAGE = 1_000


class Stored(msgspec.Struct, frozen=True):
    """What a write stored, and what capacity moved out for it."""

    memories: list[Memory]
    archived: list[Memory]


class StoredOne(msgspec.Struct, frozen=True):
    memory: Memory
    archived: list[Memory]


class Affected(msgspec.Struct, frozen=True):
    """How many memories a write over a filter changed (or would), and the first of them."""

    count: int
    memories: list[Memory]


async def memory(context: Context, by: Ref, as_of: datetime | None = None) -> Memory | None:
    return await lookup(context.as_of(as_of).store, Memory, by)


async def owners(context: Context, memories: Sequence[Memory]) -> list[Actor | None]:
    return await actors(context, [memory.owner_id for memory in memories])


async def single_sources(context: Context, memories: Sequence[Memory]) -> list[Message | ExternalSource | None]:
    ids = [memory.source_message_id for memory in memories if memory.source_message_id is not None]
    found = dict(zip(ids, await context.store.get(Message, ids), strict=True))
    return [
        found[memory.source_message_id]
        if memory.source_message_id is not None
        else ExternalSource(memory.external_source)
        if memory.external_source is not None
        else None
        for memory in memories
    ]


@embedding
async def create(context: Context, input: CreateMemoryInput) -> StoredOne:
    """Creates a memory."""
    embedder = label_of(context.embedder)
    with as_one():
        vectors = await vectors_of(context, [input])
    same = None if input.on_duplicate is OnDuplicate.KEEP else await duplicate_of(context, input, vectors[0])

    async def script(tx: Transaction) -> StoredOne:
        if same is not None and (there := (await tx.get(Memory, [same.id]))[0]) is not None:
            return StoredOne(await _instead(tx, there, input), [])
        with as_one():
            stored = await create_in(tx, [input], vectors, context.capacity, embedder)
        return StoredOne(stored.memories[0], stored.archived)

    return await write(context, input, script, StoredOne)


async def _instead(tx: Transaction, there: Memory, input: CreateMemoryInput) -> Memory:
    """What a memory that says the same becomes in place of a new one."""
    if input.on_duplicate is OnDuplicate.RETURN:
        raise Unchanged(StoredOne(there, []))
    after = touched(there, tx.now)
    if input.on_duplicate is OnDuplicate.MERGE:
        await mention(tx, [Naming(there.id, input.entities or (), new=False)])
    if input.on_duplicate is OnDuplicate.MERGE:
        tags = list(dict.fromkeys([*there.tags, *(input.tags or ())]))
        importance = max(there.importance, input.importance)
        if (tags, importance) != (there.tags, there.importance):
            return await update_in(tx, there, replace(after, tags=tags, importance=importance))
    await tx.put([after])
    return after


@contextmanager
def as_one() -> Iterator[None]:
    """A refusal of the one memory of a list is one of the memory itself."""
    try:
        yield
    except Rejected as error:
        raise Rejected([replace(one, path=one.path[2:]) for one in error.errors]) from None


@embedding
async def create_many(context: Context, input: CreateMemoriesInput) -> Stored:
    """Creates memories, all or none."""
    embedder = label_of(context.embedder)
    vectors = await vectors_of(context, input.memories)

    async def script(tx: Transaction) -> Stored:
        return await create_in(tx, input.memories, vectors, context.capacity, embedder)

    return await write(context, input, script, Stored)


async def vectors_of(context: Context, inputs: Sequence[MemoryInput]) -> list[Vector]:
    """A unit vector for each memory: the one given, or that of its text. Raises Rejected (INVALID)."""
    given = [
        None
        if input.vector is None
        else unit_vector(input.vector, context.embedder.dimension, ["memories", i, "vector"])
        for i, input in enumerate(inputs)
    ]
    missing = [i for i, vector in enumerate(given) if vector is None]
    if missing:
        made = await context.embedder.embed([inputs[i].text for i in missing])
        for i, vector in zip(missing, made, strict=True):
            given[i] = vector
    return [vector for vector in given if vector is not None]


def unit_vector(numbers: Sequence[float], dimension: int, path: Path) -> Vector:
    """A caller's vector at unit length. Raises Rejected (INVALID) for another dimension, and for one without a
    direction."""
    if len(numbers) != dimension:
        raise invalid(f"A vector must have {dimension} numbers, not {len(numbers)}.", path)
    vector = np.asarray(numbers, dtype=np.float64)
    largest = float(np.max(np.abs(vector)))
    if not isfinite(largest) or largest == 0:
        raise invalid("A vector must have finite numbers that are not all 0.", path)
    vector /= largest  # its length is within reach then, whatever the numbers
    result: Vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return result


async def create_in(
    tx: Transaction,
    inputs: Sequence[MemoryInput],
    vectors: Sequence[Vector],
    capacity: int,
    embedder: str | None = None,
    births: Sequence[Birth] = (),
) -> Stored:
    """Stores memories with their vectors and links, and archives what then passes an owner's capacity.

    embedder: whose vectors they are (label_of). births: of each, where they are formed. Raises Rejected: INVALID,
    NOT_FOUND or DUPLICATE, with paths below "memories".
    """
    made: list[Memory] = []
    external: dict[str, Memory] = {}
    names = [Ref(external_id=one.external_id) for one in inputs if one.external_id is not None]
    taken = await lookup_all(tx, Memory, names)
    sources = await lookup_all(tx, Message, [one.source_message for one in inputs if one.source_message is not None])
    owned: dict[tuple[MemoryScope, Ref], Id] = {}
    for index, input in enumerate(inputs):
        path: Path = ["memories", index]
        try:
            check(input)
        except Rejected as error:
            raise error.below(path) from None
        name = input.external_id
        if name is not None and (name in external or Ref(external_id=name) in taken):
            raise reject(ErrorCode.DUPLICATE, "A memory with this externalId already exists.", [*path, "externalId"])
        owner = await _owner(tx, input, owned, path)
        source = None
        if input.source_message is not None and (source := sources.get(input.source_message)) is None:
            raise not_found(Message.noun, [*path, "sourceMessage"])
        made.append(_made(tx, input, owner, source))
        if births:
            birth = births[index]
            formed = {"chunk_id": birth.chunk_id, "formation": birth.formation, "session_id": birth.session_id}
            made[-1] = replace(made[-1], **formed)
        if input.external_id is not None:
            external[input.external_id] = made[-1]
    await tx.put(made)
    await tx.embed({memory.id: vector for memory, vector in zip(made, vectors, strict=True)}, embedder)
    if births:
        await tx.put(
            [origin for memory, birth in zip(made, births, strict=True) for origin in origins(tx, memory, birth)]
        )
    await mention(
        tx,
        [
            Naming(memory.id, input.entities, ["memories", index])
            for index, (memory, input) in enumerate(zip(made, inputs, strict=True))
            if input.entities
        ],
    )
    await tx.log([MemoryChange(ChangeKind.CREATED, memory.id, tx.now, memory) for memory in made])
    for index, (memory, input) in enumerate(zip(made, inputs, strict=True)):
        links = [
            LinkInput(source=Ref(id=memory.id), target=link.target, kind=link.kind, weight=link.weight)
            for link in input.links or ()
        ]
        await put_links(tx, links, ["memories", index, "links"], external)
    return Stored(made, await make_room(tx, made, capacity))


def origins(tx: Transaction, memory: Memory, birth: Birth) -> list[Origin]:
    """What a memory was formed from, as records."""
    return [
        Origin(id=tx.new_id(Origin), memory_id=memory.id, source_id=id, place=place)
        for place, id in enumerate(birth.sources)
    ]


async def _owner(
    tx: Transaction, input: MemoryInput, known: dict[tuple[MemoryScope, Ref], Id], path: Path
) -> Id | None:
    if input.owner is None:
        return None
    if (id := known.get((input.scope, input.owner))) is None:
        kind: type[Any] = User if input.scope is MemoryScope.USER else Agent
        id = known[input.scope, input.owner] = (await named(tx, kind, input.owner, [*path, "owner"])).id
    return id


def _made(tx: Transaction, input: MemoryInput, owner: Id | None, source: Message | None) -> Memory:
    return Memory(
        id=tx.new_id(Memory),
        external_id=input.external_id,
        type=input.type,
        scope=input.scope,
        owner_id=owner,
        status=MemoryStatus.ACTIVE,
        text=input.text,
        tags=input.tags or [],
        metadata=input.metadata or EMPTY_OBJECT,
        importance=input.importance,
        decay_factor=1.0,
        access_count=0,
        last_accessed_at=None,
        created_at=min(input.created_at or tx.now, tx.now),
        updated_at=tx.now,
        expires_at=expiry(input.ttl_seconds, tx.now),
        version=1,
        valid_from=input.valid_from,
        valid_until=input.valid_until,
        source_message_id=id_of(source),
        external_source=input.external_source,
        session_id=None if source is None else source.session_id,
    )


async def make_room(tx: Transaction, written: Sequence[Memory], capacity: int) -> list[Memory]:
    """Archives the least of each owner of what was just written, where that passed the capacity."""
    archived: list[Memory] = []
    for owner in {memory.owner_id: None for memory in written}:
        mine = [memory.id for memory in written if memory.owner_id == owner]
        total = await tx.active(owner)
        if (count := surplus(total - len(mine), len(mine), capacity)) > 0:
            archived += await tx.lightest(owner, count, mine)
    return await _set_status(tx, archived, MemoryStatus.ARCHIVED, VersionCause.EVICTED)


async def _set_status(
    tx: Transaction, memories: Sequence[Memory], status: MemoryStatus, cause: VersionCause
) -> list[Memory]:
    return await put_next(tx, memories, [replace(memory, status=status) for memory in memories], cause)


@embedding
async def update(context: Context, input: UpdateMemoryInput) -> StoredOne:
    """Updates a memory and keeps the previous version in its history. Raises Rejected: CONFLICT, INVALID, NOT_FOUND."""
    if input.text is not UNSET and not input.text.strip():
        raise invalid("A memory needs a text.", ["text"])
    vector: Vector | None = None
    embedder, turned = label_of(context.embedder), False
    if input.vector is not UNSET:
        vector = unit_vector(input.vector, context.embedder.dimension, ["vector"])
        turned = not await _points(context, input.memory, vector)
    elif input.text is not UNSET:
        vector = (await context.embedder.embed([input.text]))[0]
    mentions: list[Mention] = []
    if input.entities is not UNSET and (known := await lookup(context.store, Memory, input.memory)) is not None:
        mentions = await mentioned_by(context, [known.id])

    async def script(tx: Transaction) -> StoredOne:
        before = await require(tx, Memory, input.memory, ["memory"])
        if input.if_version is not UNSET and input.if_version != before.version:
            raise reject(ErrorCode.CONFLICT, f"The memory is at version {before.version}.", ["ifVersion"])
        said = input.entities is not UNSET and await say(tx, Naming(before.id, input.entities or ()), mentions)
        after = settled(tx, before, _changed(before, input, tx))
        if after is before and not turned:
            if said:
                return StoredOne(before, [])
            raise Unchanged(StoredOne(before, []))
        if after.valid_from != before.valid_from:
            await shift(tx, before, after)
        after = await update_in(tx, before, after, vector, embedder)
        revived = before.status is not MemoryStatus.ACTIVE and after.status is MemoryStatus.ACTIVE
        return StoredOne(after, await make_room(tx, [after], context.capacity) if revived else [])

    return await context.write(script)


async def update_in(
    tx: Transaction,
    before: Memory,
    after: Memory,
    vector: Vector | None = None,
    embedder: str | None = None,
    cause: VersionCause = VersionCause.UPDATED,
) -> Memory:
    """Stores what a memory is now as its next version; vector: of a new text, by that embedder."""
    [after] = await put_next(tx, [before], [after], cause)
    if after.text != before.text:
        await unsay(tx, Memory, [after.id])
    if vector is not None:
        await tx.embed({after.id: vector}, embedder)
    return after


def _changed(before: Memory, input: UpdateMemoryInput, tx: Transaction) -> Memory:
    changes = given(input, text="", importance=0, tags=[], metadata=EMPTY_OBJECT, status=None)
    changes |= given(input, valid_from=None, valid_until=None)
    if input.ttl_seconds is not UNSET:
        changes["expires_at"] = expiry(input.ttl_seconds, tx.now)
    after = changed(before, **changes)
    if after.valid_from is not None and after.valid_until is not None and after.valid_until <= after.valid_from:
        raise invalid("validUntil must be after validFrom.", ["validUntil"])
    return after


async def _points(context: Context, ref: Ref, vector: Vector) -> bool:
    """Whether a memory has that vector, as precisely as vectors are kept."""
    found = await lookup(context.store, Memory, ref)
    [kept] = await context.store.vectors([] if found is None else [found.id]) or [None]
    return kept is not None and bool(np.allclose(kept, vector, atol=1e-3))


async def _all(tx: Transaction, refs: Sequence[Ref]) -> list[Memory]:
    found = await lookup_all(tx, Memory, refs)
    for index, ref in enumerate(refs):
        if ref not in found:
            raise not_found(Memory.noun, ["memories", index])
    return list({found[ref].id: found[ref] for ref in refs}.values())


async def archive_in(tx: Transaction, memories: Sequence[Memory | None]) -> list[Memory]:
    """Archives those that are active."""
    active = [one for one in memories if one is not None and one.status is MemoryStatus.ACTIVE]
    return await _set_status(tx, active, MemoryStatus.ARCHIVED, VersionCause.ARCHIVED)


async def restore_in(tx: Transaction, memories: Sequence[Memory | None], capacity: int) -> list[Memory]:
    """Makes those active that are archived; what capacity archives for them."""
    idle = [one for one in memories if one is not None and one.status is MemoryStatus.ARCHIVED]
    return await make_room(tx, await _set_status(tx, idle, MemoryStatus.ACTIVE, VersionCause.RESTORED), capacity)


async def archive(context: Context, input: ArchiveMemoriesInput) -> Stored:
    """Archives memories: they are kept but no longer searched."""

    async def script(tx: Transaction) -> Stored:
        found = await _all(tx, input.memories)
        if input.dry_run:
            return Stored(found, [])
        fresh = [memory for memory in found if memory.status is not MemoryStatus.ARCHIVED]
        if not fresh:
            raise Unchanged(Stored(found, []))
        after = await _set_status(tx, fresh, MemoryStatus.ARCHIVED, VersionCause.ARCHIVED)
        return Stored(_updated(found, after), [])

    return await context.write(script)


async def restore(context: Context, input: RestoreMemoriesInput) -> Stored:
    """Makes archived and superseded memories active again; if the owner is over capacity, others are archived."""
    named = (await lookup_all(context.store, Memory, input.memories)).values()
    links = await replacing(context, [one.id for one in named])

    async def script(tx: Transaction) -> Stored:
        found = await _all(tx, input.memories)
        idle = [memory for memory in found if memory.status is not MemoryStatus.ACTIVE]
        if not idle:
            raise Unchanged(Stored(found, []))
        opened = {one.id: one for one in await release(tx, links, [link.id for link in links])}
        idle = [opened.get(memory.id, memory) for memory in idle]
        after = await _set_status(tx, idle, MemoryStatus.ACTIVE, VersionCause.RESTORED)
        return Stored(_updated(found, after), await make_room(tx, after, context.capacity))

    return await context.write(script)


async def delete(context: Context, input: DeleteMemoriesInput) -> Stored:
    """Deletes memories with their links and history, and returns them as they were. What they superseded is as it was
    before, or superseded by those that superseded them."""
    named = (await lookup_all(context.store, Memory, input.memories)).values()
    links = await replaced_by(context, [one.id for one in named])

    async def script(tx: Transaction) -> Stored:
        found = await _all(tx, input.memories)
        if not input.dry_run:
            await take_out(tx, links, [memory.id for memory in found])
            await tx.log([deletion(memory, tx.now) for memory in found])
            await tx.delete(Memory, [memory.id for memory in found])
        return Stored(found, [])

    return await context.write(script)


async def touch(context: Context, input: TouchMemoriesInput) -> Stored:
    """Records an access of each memory: raises its decay factor and sets lastAccessedAt."""

    async def script(tx: Transaction) -> Stored:
        after = [touched(memory, tx.now) for memory in await _all(tx, input.memories)]
        await tx.put(after)
        return Stored(after, [])

    return await context.write(script)


class _Step(msgspec.Struct, frozen=True):
    """What one of several writes has changed, and how far it has come; None: to the end."""

    memories: list[Memory]
    last: Id | None


async def decay(context: Context, input: DecayMemoriesInput) -> Affected:
    """Lowers the decay factor of the matching active memories, except those already at the minimum. It writes 1,000 at
    a time, in order of their ids, so other writes are not held up; if interrupted, finished batches stay. With
    dryRun it only returns what would change."""
    of_types = MemoryFilter(types=input.types)
    if not (narrows(input.filter) or narrows(of_types)):
        raise invalid("The filter matches everything; to decay all memories, list all scopes.", ["filter"])
    await whose(context, input.filter)
    if not (narrows(await _there(context, input.filter)) or narrows(of_types)):
        raise invalid("The filter leaves out nobody who is there; to decay all memories, list all scopes.", ["filter"])
    if input.types is None and not names_types(input.filter):
        of_types = MemoryFilter(types=[*FADING])
    filter = of_types if input.filter is None else MemoryFilter(and_=[input.filter, of_types])
    done, step = Affected(0, []), _Step([], None)
    while True:

        async def script(tx: Transaction, after: Id | None = step.last) -> _Step:
            page = await tx.matching(filter, _PAGE, after)
            faded = [replace(memory, decay_factor=decayed(memory.decay_factor, input.rate)) for memory in page]
            fading = [new for new, memory in zip(faded, page, strict=True) if new != memory]
            last = page[-1].id if len(page) == _PAGE else None
            if input.dry_run or not fading:
                raise Unchanged(_Step(fading, last))
            await tx.put(fading)
            return _Step(fading, last)

        step = await context.write(script)
        done = Affected(done.count + len(step.memories), [*done.memories, *step.memories][:_SHOWN])
        if step.last is None:
            return done


async def _there(context: Context, filter: MemoryFilter | None) -> MemoryFilter | None:
    """A filter in which what names somebody or something that is not there says that it matches nothing."""
    if filter is None:
        return None
    for member, told in FILTERS[Memory].items():
        operator = told.operator if isinstance(told, Some) else told
        if isinstance(operator, RefersTo) and (ref := getattr(filter, member)) is not None:
            found = [await lookup(context.store, kind, called(ref)) for kind in operator.kinds]
            if not any(found):
                return replace(filter, types=[])
    return replace(
        filter,
        and_=filter.and_ and [part for one in filter.and_ if (part := await _there(context, one))],
        or_=filter.or_ and [part for one in filter.or_ if (part := await _there(context, one))],
        not_=await _there(context, filter.not_),
    )


def _updated(found: Sequence[Memory], after: Sequence[Memory]) -> list[Memory]:
    changed = {memory.id: memory for memory in after}
    return [changed.get(memory.id, memory) for memory in found]
