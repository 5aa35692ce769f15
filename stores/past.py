"""The graph of a workspace as it was known at a time, read off what is there now and the versions of what was replaced.

What has not changed since is as it is now; of the rest the versions tell that were in force then. What was deleted,
erased or has expired since is gone from every time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec.structs import replace

from domain.entity import Entity, Mention
from domain.errors import ErrorCode, reject
from domain.graph import FAN_OUT, MAX_NODES, Exploration, GraphEdge, edge_of, hang, shortest_paths, spread
from domain.history import (
    LinkVersion,
    LinkVersionFilter,
    MemoryVersion,
    MemoryVersionFilter,
    MemoryVersionOrder,
    as_it_was,
    known_by,
    replaced_since,
)
from domain.link import MemoryLink, MemoryLinkKind, MemoryLinkOrder, MemoryLinkOrderField
from domain.memory import Memory, MemoryFilter, MemoryStatus
from domain.node import Id, Node, kind_of
from domain.page import Mark, OrderDirection, Page, Slice
from stores.orders import order_of
from stores.ports import Collection, Explored, Fields, Found, LinkFilter, NaturalKey, Records, Search, Store
from stores.replaced import Replaced

N = TypeVar("N", bound=Node)

MOST_REPLACED = 100_000
"""How many versions that were in force at a time one read looks at."""

Remembered = Callable[
    [Store, datetime, MemoryFilter, Callable[[MemoryFilter], Awaitable[list[Memory]]]], Awaitable[Replaced]
]
"""Gives what has changed since a time and a filter lets through, read by a function or remembered."""

_ACTIVE = [MemoryStatus.ACTIVE]
_FIRST_VERSION = MemoryVersionOrder(direction=OrderDirection.ASC)
_HEAVIEST = MemoryLinkOrder(field=MemoryLinkOrderField.WEIGHT)


class PastStore:
    """A store whose memories and links are those known at a time; what is not told of here is as it is now."""

    def __init__(self, store: Store, at: datetime, remembered: Remembered) -> None:
        self._store, self._at, self._remembered = store, at, remembered

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        return await self._then(kind, await self._store.get(kind, ids))

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        return await self._then(kind, await self._store.find(kind, keys))

    async def _then(self, kind: type[N], found: list[N | None]) -> list[N | None]:
        if kind is Memory:
            return await self._known(found)  # type: ignore[arg-type, return-value]
        return [None if getattr(one, "created_at", self._at) > self._at else one for one in found]

    async def _known(self, memories: Sequence[Memory | None]) -> list[Memory | None]:
        """Memories as they were known; None for those that were not."""
        later = list({one.id: None for one in memories if one is not None and one.updated_at > self._at})
        was: dict[Id, MemoryVersion] = {}
        if later:
            among = MemoryVersionFilter(in_force=self._at)
            pages = await self._store.pages(Collection.MEMORY_HISTORY, later, Slice(1), among, _FIRST_VERSION)
            was = {page.nodes[0].memory_id: page.nodes[0] for page in pages if page.nodes}
        return [
            one if one is None or one.updated_at <= self._at else as_it_was(one, was[one.id]) if one.id in was else None
            for one in memories
        ]

    async def replaced(self, filter: MemoryFilter | None) -> list[Memory]:
        """The memories that a filter lets through and that have changed since, as they were. Raises Rejected (LIMIT)
        where they are too many."""
        versions: dict[Id, MemoryVersion] = {}
        slice = Slice(MOST_REPLACED)
        [page] = await self._store.pages(Records(MemoryVersion), [Id("")], slice, replaced_since(filter, self._at))
        if page.has_next_page:
            most = f"More than {MOST_REPLACED:,} memories have changed since; ask more narrowly, by owner for one."
            raise reject(ErrorCode.LIMIT, most, ["asOf"])
        for version in page.nodes:  # of those whose beginning was not noted the first is the one
            versions.setdefault(version.memory_id, version)
        now = await self._store.get(Memory, list(versions)) if versions else []
        return [as_it_was(one, versions[one.id]) for one in now if one is not None and one.updated_at > self._at]

    async def pages(
        self,
        of: Collection | Records,
        parents: Sequence[Id],
        slice: Slice,
        filter: Any = None,
        order: Any = None,
        fields: Fields | None = None,
    ) -> list[Page[Any]]:
        """Of the workspace's memories; other lists are as they are now."""
        if of is not Collection.MEMORIES:
            return await self._store.pages(of, parents, slice, filter, order, fields)
        [page] = await self._store.pages(of, parents, slice, known_by(filter, self._at), order)
        chosen = order_of(of, order)
        before = [(chosen.mark(memory), memory) for memory in await self.replaced(filter)]
        return [_merged(page, before, slice, chosen.descending)]

    async def search(self, searches: Sequence[Search]) -> list[Found]:
        asked = [replace(search, filter=known_by(search.filter, self._at)) for search in searches]
        found = await self._store.search(asked)
        return [await self._with_replaced(search, one) for search, one in zip(searches, found, strict=True)]

    async def _with_replaced(self, search: Search, found: Found) -> Found:
        among = search.filter or MemoryFilter()
        if among.statuses is None:
            among = replace(among, statuses=_ACTIVE)
        replaced = await self._remembered(self._store, self._at, among, self.replaced)
        return await replaced.added(self._store, search, found)

    async def explore(
        self, centers: Sequence[Id], exploration: Exploration, fields: Fields | None = None
    ) -> list[Explored]:
        return [await self._explore(center, exploration) for center in centers]

    async def _explore(self, center: Id, exploration: Exploration) -> Explored:
        if (await self.get(Memory, [center]))[0] is None:
            return Explored([], [], False)
        links: dict[Id, dict[Id, MemoryLink]] = {}
        growing = spread(center, exploration.depth, exploration.limit)
        told: list[tuple[Id, Id, float]] | None = None
        try:
            while True:
                frontier = growing.send(told)
                await self._read_links(frontier, exploration, links)
                told = [
                    (node, link.target_id if link.source_id == node else link.source_id, link.weight)
                    for node in frontier
                    for link in links[node].values()
                ]
        except StopIteration as end:
            ids, truncated = end.value
        await self._read_links(ids, exploration, links)
        among = {link.id: link for node in ids for link in links[node].values()}
        inside = [one for one in among.values() if one.source_id in links and one.target_id in links]
        edges = [edge_of(one) for one in sorted(inside, key=lambda one: (-one.weight, one.id))]
        hanging = await self._hanging(ids, exploration)
        shown, drawn, more = hang(ids, edges, hanging, exploration.limit)
        return Explored(shown, drawn, truncated or more)

    async def _read_links(
        self, nodes: Sequence[Id], exploration: Exploration, read: dict[Id, dict[Id, MemoryLink]]
    ) -> None:
        """The links at memories as they were, to memories that were known, those with the most weight first."""
        wanted = [node for node in nodes if node not in read]
        read.update((node, {}) for node in wanted)
        if not wanted:
            return
        kinds, most = exploration.kinds, Slice(2 * FAN_OUT)
        now = LinkFilter(kinds=None if kinds is None else sorted(kinds, key=lambda kind: kind.value))
        then = LinkVersionFilter(in_force=self._at)
        pages = await self._store.pages(Collection.MEMORY_LINKS, wanted, most, now, _HEAVIEST)
        found = [link for page in pages for link in page.nodes if link.known_since <= self._at]
        for end in ("source", "target"):
            pages = await self._store.pages(Records(LinkVersion, end), wanted, most, then)
            found += [version.link for page in pages for version in page.nodes]
        links = [
            link for link in found if link.weight >= exploration.min_weight and (kinds is None or link.kind in kinds)
        ]
        ends = list({id: None for link in links for id in (link.source_id, link.target_id)})
        there = {id for id, one in zip(ends, await self.get(Memory, ends), strict=True) if one is not None}
        for link in sorted(links, key=lambda link: -link.weight):
            for end in {link.source_id, link.target_id} & set(wanted):
                if {link.source_id, link.target_id} <= there:
                    read[end].setdefault(link.id, link)

    async def paths(
        self,
        start: Id,
        goal: Id,
        kinds: Sequence[MemoryLinkKind] | None,
        max_depth: int,
        first: int,
        entities: bool = False,
    ) -> list[list[Id]]:
        if None in await self.get(Memory, [start, goal]):
            return []
        exploration = Exploration(kinds=None if kinds is None else frozenset(kinds))
        links: dict[Id, dict[Id, MemoryLink]] = {}
        mentions: dict[Id, list[Id]] = {}
        missing: dict[Id, None] = {}

        def read(nodes: Sequence[Id]) -> Iterator[tuple[Id, Id, float]]:
            for node in nodes:
                if node not in mentions:
                    missing[node] = None
                yield from ((node, other, 1.0) for other in mentions.get(node, ()))
                for link in links.get(node, {}).values():
                    yield node, link.target_id if link.source_id == node else link.source_id, link.weight

        while True:  # ways are looked for again with what was missing the last time
            found = shortest_paths(start, goal, read, max_depth, first)
            if not missing:
                return found
            memories = [node for node in missing if kind_of(node) is Memory]
            await self._read_links(memories, exploration, links)
            mentions.update((node, []) for node in missing)
            if entities:
                await self._read_mentions(list(missing), mentions)
            missing.clear()

    async def _read_mentions(self, nodes: Sequence[Id], read: dict[Id, list[Id]]) -> None:
        """The entities that memories mention, and the memories that mention entities, that were there."""
        for column, end, kind in (("target", "entity_id", Entity), ("entity", "target_id", Memory)):
            ends = [node for node in nodes if (kind_of(node) is Entity) == (kind is Memory)]
            pages = await self._store.pages(Records(Mention, column), ends, Slice(FAN_OUT)) if ends else []
            others = [
                [id for one in page.nodes if one.created_at <= self._at and kind_of(id := getattr(one, end)) is kind]
                for page in pages
            ]
            every = list({id: None for some in others for id in some})
            there = {id for id, one in zip(every, await self.get(kind, every), strict=True) if one is not None}
            for node, some in zip(ends, others, strict=True):
                read[node] += [id for id in some if id in there]

    async def links_between(
        self, pairs: Sequence[tuple[Id, Id]], kinds: Sequence[MemoryLinkKind] | None
    ) -> list[MemoryLink]:
        links: dict[Id, dict[Id, MemoryLink]] = {}
        exploration = Exploration(kinds=None if kinds is None else frozenset(kinds))
        await self._read_links(list({one: None for one, _ in pairs}), exploration, links)
        between = ([link for link in links[a].values() if {link.source_id, link.target_id} == {a, b}] for a, b in pairs)
        return [min(some, key=lambda link: (-link.weight, link.id)) for some in between if some]

    async def _hanging(self, ids: Sequence[Id], exploration: Exploration) -> list[GraphEdge]:
        """The edges to messages, sessions and actors that were there."""
        if not exploration.include:
            return []
        near = await self._store.explore(ids, replace(exploration, depth=0, limit=MAX_NODES))
        edges = [edge for one in near for edge in one.edges if edge.link is None]
        by_kind: dict[type[Node], dict[Id, None]] = defaultdict(dict)
        for edge in edges:
            if (kind := kind_of(edge.target)) is not None:
                by_kind[kind][edge.target] = None
        there = {one.id for kind, some in by_kind.items() for one in await self.get(kind, list(some)) if one}
        return [edge for edge in edges if edge.target in there]


def _merged(page: Page[Memory], more: Iterable[tuple[Mark, Memory]], slice: Slice, descending: bool) -> Page[Memory]:
    """A page of a list together with others that are at hand, of the same order."""
    after, before = page.listing.marks(slice)

    def lies(mark: Mark, end: Mark) -> int:
        """Whether a mark lies ahead of another one (-1), is it, or lies behind it (1)."""
        return 0 if mark == end else 1 if (mark < end) == descending else -1

    beside = [
        (mark, memory, after is not None and lies(mark, after) <= 0, before is not None and lies(mark, before) >= 0)
        for mark, memory in more
    ]
    rows = [*zip(page.marks, page.nodes, strict=True), *(row[:2] for row in beside if not row[2] and not row[3])]
    rows.sort(key=lambda row: tuple(row[0]), reverse=descending)
    cut = len(rows) > slice.limit
    rows = rows[max(0, len(rows) - slice.limit) :] if slice.backward else rows[: slice.limit]
    return Page(
        [memory for _, memory in rows],
        [mark for mark, _ in rows],
        page.has_next_page or any(row[3] for row in beside) or (cut and not slice.backward),
        page.has_previous_page or any(row[2] for row in beside) or (cut and slice.backward),
        page.listing,
        page.count_key,
        len(beside),
    )
