"""Links between memories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType

import msgspec

from domain.change import ChangeKind, MemoryChange
from domain.errors import invalid, not_found
from domain.history import VersionCause
from domain.link import (
    LinkDirection,
    LinkInput,
    LinkMemoriesInput,
    MemoryLink,
    MemoryLinkKind,
    MemoryLinkOrder,
    UnlinkMemoriesInput,
)
from domain.memory import Memory
from domain.node import Id
from domain.page import Page
from domain.supersession import ending, superseded
from domain.values import EMPTY_OBJECT, Ref, changed, given
from resolvers.context import Context, Unchanged, lookup_all
from resolvers.idempotency import write
from resolvers.lists import MEMORY_LINKS
from resolvers.supersession import ahead, check_circles, release, replacing
from resolvers.versions import keep_links, put_next
from stores.ports import LinkFilter, Transaction

Path = Sequence[str | int]


async def of(  # noqa: PLR0913 - the arguments of a field
    context: Context,
    memories: Sequence[Memory],
    direction: LinkDirection = LinkDirection.BOTH,
    kinds: list[MemoryLinkKind] | None = None,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    order_by: MemoryLinkOrder | None = None,
) -> list[Page[MemoryLink]]:
    ids = [memory.id for memory in memories]
    return await MEMORY_LINKS.pages(context, ids, first, after, last, before, LinkFilter(direction, kinds), order_by)


async def sources(context: Context, links: Sequence[MemoryLink]) -> list[Memory | None]:
    return await context.store.get(Memory, [link.source_id for link in links])


async def targets(context: Context, links: Sequence[MemoryLink]) -> list[Memory | None]:
    return await context.store.get(Memory, [link.target_id for link in links])


async def link(context: Context, input: LinkMemoriesInput) -> list[MemoryLink]:
    """Links memories, all or none; an existing link gets the new weight and metadata."""
    known = await ahead(context, input.links)

    async def script(tx: Transaction) -> list[MemoryLink]:
        stored, changed = await _put_links(tx, input.links, ["links"], known=known)
        if not changed:
            raise Unchanged(stored)
        return stored

    return await write(context, input, script)


async def put_links(
    tx: Transaction, inputs: Sequence[LinkInput], path: Path, made: Mapping[str, Memory] = MappingProxyType({})
) -> list[MemoryLink]:
    """Stores links that lead away from new memories, or are checked already; one of kind SUPERSEDES marks its target.
    made: memories of the same write by externalId.

    Raises Rejected: NOT_FOUND, and INVALID for a link of a memory to itself, or back to what supersedes it.
    """
    return (await _put_links(tx, inputs, path, made))[0]


async def _put_links(
    tx: Transaction,
    inputs: Sequence[LinkInput],
    path: Path,
    made: Mapping[str, Memory] = MappingProxyType({}),
    known: Set[Id] | None = None,
) -> tuple[list[MemoryLink], bool]:
    """The links as they are stored, and whether any of them has changed. known: what targets supersede, as `ahead`
    tells, where links may lead back; without it those alone may that lead to others of the same write."""
    has_changed = False
    ends = await _ends(tx, inputs, path, made)
    keys = [(source.id, input.kind.value, target.id) for input, (source, target) in zip(inputs, ends, strict=True)]
    there = dict(zip(keys, await tx.find(MemoryLink, keys), strict=True)) if keys else {}
    asked = {
        index: (source.id, target.id)
        for index, (input, (source, target)) in enumerate(zip(inputs, ends, strict=True))
        if input.kind is MemoryLinkKind.SUPERSEDES and (known is not None or target.external_id in made)
    }
    await check_circles(tx, asked, known or frozenset(), [[*path, index, "target"] for index in range(len(inputs))])
    marked: dict[Id, Memory] = {}
    stored = []
    for input, key, (source, target) in zip(inputs, keys, ends, strict=True):
        source, target = marked.get(source.id, source), marked.get(target.id, target)
        before = there[key]
        new = before or MemoryLink(
            id=tx.new_id(MemoryLink),
            kind=input.kind,
            weight=input.weight,
            source_id=source.id,
            target_id=target.id,
            created_at=tx.now,
        )
        supersedes = input.kind is MemoryLinkKind.SUPERSEDES
        if supersedes and before is None:
            new = msgspec.structs.replace(new, ended=target.valid_until)
        record = changed(new, weight=input.weight, **given(input, metadata=EMPTY_OBJECT))
        if before is not None and record is not before:
            await keep_links(tx, [before], removed=False)
            record = msgspec.structs.replace(record, updated_at=tx.now)
        there[key] = record
        stored.append(record)
        if record is not before:
            has_changed = True
            await tx.put([record])
            await tx.log([MemoryChange(ChangeKind.LINKED, source.id, tx.now, source, record)])
        ended = superseded(target, ending(record, source).at, tx.now) if supersedes and before is None else target
        if ended != target:
            [marked[target.id]] = await put_next(tx, [target], [ended], VersionCause.SUPERSEDED)
    return stored, has_changed


async def _ends(
    tx: Transaction, inputs: Sequence[LinkInput], path: Path, fresh: Mapping[str, Memory]
) -> list[tuple[Memory, Memory]]:
    refs = [ref for input in inputs for ref in (input.source, input.target) if ref.external_id not in fresh]
    found = await lookup_all(tx, Memory, refs)

    def end(ref: Ref, path: Path) -> Memory:
        memory = fresh.get(ref.external_id or "") or found.get(ref)
        if memory is None:
            raise not_found(Memory.noun, path)
        return memory

    ends = []
    for index, input in enumerate(inputs):
        source = end(input.source, [*path, index, "source"])
        target = end(input.target, [*path, index, "target"])
        if source.id == target.id:
            raise invalid("A memory cannot be linked to itself.", [*path, index, "target"])
        ends.append((source, target))
    return ends


async def unlink(context: Context, input: UnlinkMemoriesInput) -> list[MemoryLink]:
    """Removes links, all or none, and returns them; what they superseded is as it was before."""
    known = [link for link in await context.store.get(MemoryLink, input.links) if link is not None]
    ended = [link.target_id for link in known if link.kind is MemoryLinkKind.SUPERSEDES]
    superseding = await replacing(context, ended)

    async def script(tx: Transaction) -> list[MemoryLink]:
        gone = []
        for index, found in enumerate(await tx.get(MemoryLink, input.links)):
            if found is None:
                raise not_found("link", ["links", index])
            source = (await tx.get(Memory, [found.source_id]))[0]
            if source is not None:
                await tx.log([MemoryChange(ChangeKind.UNLINKED, source.id, tx.now, source, found)])
            gone.append(found)
        await release(tx, superseding, [found.id for found in gone])
        await keep_links(tx, gone, removed=True)
        await tx.delete(MemoryLink, [found.id for found in gone])
        return gone

    return await context.write(script)
