"""Make one memory of several, and put one in the place of another."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from domain.errors import invalid, not_found
from domain.formation import Origin
from domain.history import VersionCause
from domain.link import LinkInput, MemoryLinkKind, NewLinkInput
from domain.memory import Memory, MemoryInput
from domain.merging import MergeMemoriesInput, SupersedeMemoryInput, merged
from domain.node import Id
from domain.values import Ref
from resolvers.context import Context, embedding, lookup_all, require
from resolvers.entities import copy_mentions, mentioned_by
from resolvers.formation import origins_of
from resolvers.idempotency import write
from resolvers.links import put_links
from resolvers.memories import StoredOne, as_one, create_in, update_in, vectors_of
from resolvers.supersession import ahead, check_circles
from stores.ports import Transaction, Vector, label_of


class Merged(msgspec.Struct, frozen=True):
    """The memory that stays, and those that it has superseded, as they are now."""

    memory: Memory
    merged: list[Memory]


@embedding
async def merge(context: Context, input: MergeMemoriesInput) -> Merged:
    """Makes one memory of several of the same owner. The others stay, superseded by it, with their history and what
    they were formed from. Raises Rejected: NOT_FOUND, INVALID."""
    if input.text is not None and not input.text.strip():
        raise invalid("A memory needs a text.", ["text"])
    links = [LinkInput(source=input.into, target=ref, kind=MemoryLinkKind.SUPERSEDES) for ref in input.memories]
    beyond = await ahead(context, links)
    known = await lookup_all(context.store, Memory, [input.into, *input.memories])
    formed = await _formed(context, list(known.values()))
    mentions = await mentioned_by(context, [one.id for one in known.values()])
    embedder = label_of(context.embedder)
    vector: Vector | None = None if input.text is None else (await context.embedder.embed([input.text]))[0]

    async def script(tx: Transaction) -> Merged:
        into = await require(tx, Memory, input.into, ["into"])
        others = await _others(tx, input, into, beyond)
        after = merged(into, others, input.text)
        if input.dry_run:
            return Merged(after, others)
        after = await update_in(tx, into, after, vector, embedder, VersionCause.MERGED)
        await put_links(tx, [_link(into, one) for one in others], ["memories"])
        await _add_origins(tx, after, others, formed)
        said = [one for one in mentions if not one.found]  # what a rule found is of another text
        await copy_mentions(tx, said, dict.fromkeys((one.target_id for one in said), into.id))
        now = await tx.get(Memory, [one.id for one in others])
        return Merged(after, [one for one in now if one is not None])

    return await write(context, input, script, Merged)


def _link(into: Memory, other: Memory) -> LinkInput:
    return LinkInput(source=Ref(id=into.id), target=Ref(id=other.id), kind=MemoryLinkKind.SUPERSEDES)


async def _others(tx: Transaction, input: MergeMemoriesInput, into: Memory, beyond: set[Id]) -> list[Memory]:
    """beyond: what these supersede. Raises Rejected: NOT_FOUND, INVALID."""
    found = await lookup_all(tx, Memory, input.memories)
    for index, ref in enumerate(input.memories):
        if (one := found.get(ref)) is None:
            raise not_found(Memory.noun, ["memories", index])
        if one.id == into.id:
            raise invalid("A memory cannot be merged into itself.", ["memories", index])
        if (one.scope, one.owner_id) != (into.scope, into.owner_id):
            raise invalid("Only memories of one owner can be merged.", ["memories", index])
    if not found:
        raise invalid("Name the memories to merge.", ["memories"])
    new = {index: (into.id, found[ref].id) for index, ref in enumerate(input.memories)}
    await check_circles(tx, new, beyond, [["memories", index] for index in new])
    return list({one.id: one for one in found.values()}.values())


async def _formed(context: Context, memories: Sequence[Memory]) -> dict[Id, list[Id]]:
    """The ids of what each memory was formed from."""
    formed = await origins_of(context, memories) if memories else []
    return {
        one.id: ids or ([] if one.source_message_id is None else [one.source_message_id])
        for one, ids in zip(memories, formed, strict=True)
    }


async def _add_origins(tx: Transaction, into: Memory, others: Sequence[Memory], formed: dict[Id, list[Id]]) -> None:
    """Gives a memory what others were formed from, behind what it was formed from itself."""
    wanted = list(dict.fromkeys(id for one in (into, *others) for id in formed.get(one.id, ())))
    there = await tx.find(Origin, [(into.id, id) for id in wanted])
    await tx.put(
        [
            Origin(id=tx.new_id(Origin), memory_id=into.id, source_id=id, place=place)
            for place, (id, one) in enumerate(zip(wanted, there, strict=True))
            if one is None
        ]
    )


@embedding
async def supersede(context: Context, input: SupersedeMemoryInput) -> StoredOne:
    """Creates the memory that holds now in place of another one, which is superseded: as that one was, but for what is
    given. Raises Rejected: NOT_FOUND, INVALID, DUPLICATE."""
    before = await require(context.store, Memory, input.memory, ["memory"])
    mentions = await mentioned_by(context, [before.id])
    new = MemoryInput(
        type=before.type,
        scope=before.scope,
        owner=None if before.owner_id is None else Ref(id=before.owner_id),
        text=input.text,
        importance=before.importance if input.importance is UNSET else input.importance,
        tags=before.tags if input.tags is UNSET else input.tags,
        metadata=before.metadata if input.metadata is UNSET else input.metadata,
        links=[NewLinkInput(target=Ref(id=before.id), kind=MemoryLinkKind.SUPERSEDES)],
        valid_from=input.valid_from,
        external_id=input.external_id,
    )
    embedder = label_of(context.embedder)
    vectors = await vectors_of(context, [new])

    async def script(tx: Transaction) -> StoredOne:
        with as_one():
            stored = await create_in(tx, [new], vectors, context.capacity, embedder)
        said = [one for one in mentions if not one.found]
        await copy_mentions(tx, said, {before.id: stored.memories[0].id})
        return StoredOne(stored.memories[0], stored.archived)

    return await write(context, input, script, StoredOne)
