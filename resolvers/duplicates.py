"""Find memories that say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from domain.actor import Agent, User
from domain.errors import invalid, not_found
from domain.memory import Memory, MemoryFilter, MemoryInput, MemoryScope, MemoryStatus, weight
from domain.merging import ALIKE, DuplicateGroup, differs
from domain.page import MAX_FIRST_LONG, Slice
from domain.search import SearchMode
from domain.values import Ref
from resolvers.actors import whose
from resolvers.context import Context, lookup, present
from stores.ports import Collection, Search, Vector

_MOST = 20_000
"""Memories of an owner that are compared at the most, the newest."""

_ROWS = 1_000


async def duplicates(context: Context, owner: Ref, threshold: float = ALIKE) -> list[DuplicateGroup]:
    """Groups of an owner's active memories that say nearly the same, the largest first. Texts with different numbers
    are never one. Raises Rejected: INVALID, NOT_FOUND, AMBIGUOUS."""
    if not 0.5 <= threshold <= 1:
        raise invalid("threshold must be between 0.5 and 1.", ["threshold"])
    await whose(context, MemoryFilter(owner=owner), ())
    user, agent = await lookup(context.store, User, owner), await lookup(context.store, Agent, owner)
    if (found := user or agent) is None:
        raise not_found("user or agent", ["owner"])
    filter = MemoryFilter(statuses=[MemoryStatus.ACTIVE], valid_at=context.clock())
    memories: list[Memory] = []
    more, after = True, None
    while more and len(memories) < _MOST:
        slice = Slice(MAX_FIRST_LONG, after=after)
        [page] = await context.store.pages(Collection.ACTOR_MEMORIES, [found.id], slice, filter)
        memories += page.nodes
        more, after = page.has_next_page, page.page_info.end_cursor
    memories.sort(key=lambda one: (-weight(one), one.id))
    vectors = await context.store.vectors([one.id for one in memories])
    return await asyncio.to_thread(_groups, memories, vectors, threshold)


def _groups(memories: Sequence[Memory], vectors: Sequence[Vector | None], threshold: float) -> list[DuplicateGroup]:
    having = [(one, vector) for one, vector in zip(memories, vectors, strict=True) if vector is not None]
    if not having:
        return []
    rows = np.vstack([vector for _, vector in having])
    taken: set[int] = set()
    found = []
    for start in range(0, len(rows), _ROWS):
        similarities = (1 + rows[start : start + _ROWS] @ rows.T) / 2
        for lead, row in enumerate(similarities, start):
            if lead in taken:
                continue
            near = [int(at) for at in np.flatnonzero(row >= threshold) if at > lead and int(at) not in taken]
            near = [at for at in near if not differs(having[lead][0].text, having[at][0].text)]
            if near:
                taken.update(near)
                least = min(float(row[at]) for at in near)
                found.append(DuplicateGroup([having[at][0] for at in (lead, *near)], min(least, 1.0)))
    return sorted(found, key=lambda group: (-len(group.memories), -group.similarity))


async def duplicate_of(context: Context, input: MemoryInput, vector: Vector) -> Memory | None:
    """The active memory of the same owner and type that says what a new one would say."""
    owner = None
    if input.scope is not MemoryScope.GLOBAL:
        if input.owner is None:
            return None
        kind: type[User] | type[Agent] = User if input.scope is MemoryScope.USER else Agent
        owner = await lookup(context.store, kind, input.owner)
        if owner is None:
            return None
    filter = MemoryFilter(owner=None if owner is None else Ref(id=owner.id), scopes=[input.scope], types=[input.type])
    wanted = Search(SearchMode.SEMANTIC, ALIKE, 5, input.text, vector, filter)
    [found] = await context.store.search([wanted])
    best = sorted(found.candidates, key=lambda one: (-(one.similarity or 0.0), one.id))
    for memory in await present(context.store, Memory, [one.id for one in best[:5]]):
        if not differs(memory.text, input.text):
            return memory
    return None
