"""Memories that take the place of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from domain.change import ChangeKind, MemoryChange
from domain.errors import invalid
from domain.history import VersionCause
from domain.link import LinkDirection, LinkInput, MemoryLink, MemoryLinkKind
from domain.memory import Memory
from domain.node import Id
from domain.page import Slice
from domain.supersession import Ending, circle, ending, inherited, moved, released
from resolvers.context import Context, lookup_all, present
from resolvers.versions import put_next
from stores.ports import Collection, LinkFilter, Transaction

Path = Sequence[str | int]

_MOST = 1_000
"""How many memories may supersede one, or be superseded by one, as far as this is looked at."""


async def _links(context: Context, ids: Iterable[Id], direction: LinkDirection) -> list[MemoryLink]:
    """The links of kind SUPERSEDES that leave or reach memories."""
    among = LinkFilter(direction, [MemoryLinkKind.SUPERSEDES])
    found: dict[Id, MemoryLink] = {}
    if wanted := list(dict.fromkeys(ids)):
        for page in await context.store.pages(Collection.MEMORY_LINKS, wanted, Slice(_MOST), among):
            found.update((link.id, link) for link in page.nodes)
    return list(found.values())


async def replaced_by(context: Context, ids: Sequence[Id]) -> list[MemoryLink]:
    """The links by which memories supersede others, the others that do so with these, and those by which the memories
    themselves are superseded."""
    made = await _links(context, ids, LinkDirection.OUT)
    reached = await replacing(context, [*ids, *(one.target_id for one in made)]) if made else []
    return list({link.id: link for link in (*made, *reached)}.values())


async def replacing(context: Context, ids: Sequence[Id]) -> list[MemoryLink]:
    """The links by which memories are superseded."""
    return await _links(context, ids, LinkDirection.IN)


async def release(tx: Transaction, known: Sequence[MemoryLink], gone: Sequence[Id]) -> list[Memory]:
    """Gives back to memories what links that go have taken, and returns those that have changed.

    known: the links of kind SUPERSEDES that reach them, those that go and those that stay.
    """
    links = await present(tx, MemoryLink, [link.id for link in known])
    return await _release(tx, await _endings(tx, links), gone)


async def take_out(tx: Transaction, known: Sequence[MemoryLink], gone: Sequence[Id]) -> None:
    """Gives back what memories that go have superseded, as `release` does, or leaves it to those that supersede them.

    known: what `replaced_by` tells of the memories that go.
    """
    await _take_out(tx, await present(tx, MemoryLink, [link.id for link in known]), set(gone))


async def give_back(tx: Transaction, expired: Sequence[Memory]) -> None:
    """Takes out memories whose time is over."""
    ids = {one.id for one in expired}
    mine = await tx.supersessions(list(ids)) if ids else []
    targets = {link.target_id for link in mine} - ids
    others = await tx.supersessions(list(targets)) if targets else []
    links = {link.id: link for link in (*mine, *others) if link.target_id in targets | ids}
    await _take_out(tx, list(links.values()), ids, expired)


async def _take_out(tx: Transaction, links: Sequence[MemoryLink], gone: Set[Id], told: Sequence[Memory] = ()) -> None:
    heirs = await _inherit(tx, links, gone)
    stay = [link for link in (*links, *heirs) if link.target_id not in gone]
    await _release(tx, await _endings(tx, stay, told), [link.id for link in stay if link.source_id in gone])


async def _inherit(tx: Transaction, links: Sequence[MemoryLink], gone: Set[Id]) -> list[MemoryLink]:
    """Has memories supersede what those that go, and that they superseded, have superseded."""
    made = inherited(links, gone, lambda: tx.new_id(MemoryLink), tx.now)
    sources = {one.id: one for one in await present(tx, Memory, [link.source_id for link in made])}
    made = [link for link in made if link.source_id in sources]
    await tx.put(made)
    await tx.log([MemoryChange(ChangeKind.LINKED, one.source_id, tx.now, sources[one.source_id], one) for one in made])
    return made


async def shift(tx: Transaction, before: Memory, after: Memory) -> None:
    """Moves the end of what a memory supersedes to where it begins now. It is called before that is stored."""
    links, _ = await _with_others(tx, [before])
    old, new = await _endings(tx, links, [before]), await _endings(tx, links, [after])
    for was in await present(tx, Memory, list(old)):
        now = moved(was, old[was.id], new[was.id], tx.now)
        if now != was:
            await put_next(tx, [was], [now], VersionCause.SUPERSEDED)


async def _with_others(tx: Transaction, sources: Sequence[Memory]) -> tuple[list[MemoryLink], list[Id]]:
    """The links by which memories supersede others, beside all that do so with these, and the ids of the former."""
    ids = {one.id for one in sources}
    mine = [link for link in await tx.supersessions(list(ids)) if link.source_id in ids and link.target_id not in ids]
    targets = {link.target_id for link in mine}
    every = [link for link in await tx.supersessions(list(targets)) if link.target_id in targets] if targets else []
    return every, [link.id for link in mine]


async def _endings(tx: Transaction, links: Sequence[MemoryLink], told: Sequence[Memory] = ()) -> dict[Id, list[Ending]]:
    """What ends each memory that links supersede. told: memories that are not to be read."""
    sources = {one.id: one for one in await present(tx, Memory, [link.source_id for link in links])}
    sources |= {one.id: one for one in told}
    of: dict[Id, list[Ending]] = {}
    for link in links:
        of.setdefault(link.target_id, []).append(ending(link, sources.get(link.source_id)))
    return of


async def _release(tx: Transaction, of: Mapping[Id, list[Ending]], gone: Sequence[Id]) -> list[Memory]:
    changed = []
    for before in await present(tx, Memory, list(of)):
        endings = of[before.id]
        out = [one for one in endings if one.link.id in gone]
        after, others = released(before, out, [one for one in endings if one not in out], tx.now)
        if others:
            await tx.put(others)
        if after != before:
            changed += await put_next(tx, [before], [after], VersionCause.RELEASED)
    return changed


async def ahead(context: Context, inputs: Sequence[LinkInput]) -> set[Id]:
    """What the targets of links of kind SUPERSEDES supersede, and what that does, as far as is known before the write:
    a write reads the links of these at once, and has to follow only those that have come since."""
    refs = [one.target for one in inputs if one.kind is MemoryLinkKind.SUPERSEDES]
    waiting = {one.id for one in (await lookup_all(context.store, Memory, refs)).values()} if refs else set()
    seen: set[Id] = set()
    while waiting:
        seen |= waiting
        waiting = {link.target_id for link in await _links(context, waiting, LinkDirection.OUT)} - seen
    return seen


async def check_circles(
    tx: Transaction, new: Mapping[int, tuple[Id, Id]], known: Set[Id], paths: Sequence[Path]
) -> None:
    """Raises Rejected (INVALID) for a link by which a memory would, over others, supersede itself. new: sources and
    targets of links of kind SUPERSEDES, by their place in paths; known: memories that these may lead to."""
    there: set[tuple[Id, Id]] = set()
    seen: set[Id] = set()
    waiting = known | {target for _, target in new.values()} if new else set[Id]()
    while waiting:
        seen |= waiting
        links = await tx.supersessions(sorted(waiting))
        there.update((link.source_id, link.target_id) for link in links if link.source_id in waiting)
        waiting = {target for _, target in there} - seen
    place = circle(there, new.values())
    if place is not None:
        raise invalid("A memory would supersede itself, over others.", paths[list(new)[place]])
