"""Compares what two stores hold of a workspace: counts, checksums, and what searches find."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator

import msgspec

from domain.audit import AuditEntry
from domain.key import ApiKey
from domain.memory import Memory, MemoryStatus
from domain.node import Id, Node
from domain.search import MemoryQuery, SearchMode
from domain.trash import TrashedBlob, TrashedPart, TrashedSession
from formats.recollect import jsonl as recollect_jsonl
from resolvers.context import Context
from resolvers.search import search

SEARCHES = 20
"""How many memories of a workspace are searched for in both stores."""

_FIRST = 5
_CLOSE = 1e-3
"""Results whose scores differ by less may change places: the stores round differently."""

_MODES = (SearchMode.SEMANTIC, SearchMode.HYBRID)
BESIDE = (ApiKey, AuditEntry, TrashedSession, TrashedPart, TrashedBlob)
"""What a workspace may hold and no export does; keys are in a workspace of their own, which has nothing else."""

_PAGE = 500
_TYPE = re.compile(rb'\{"type":"(\w+)"')


class Side(msgspec.Struct, frozen=True):
    """What a store holds of one kind of record: how many, and a checksum of them in order."""

    count: int
    checksum: str


class Compared(msgspec.Struct, frozen=True):
    """One line of the comparison: a kind of record, or the searches, of one workspace in both stores."""

    workspace: str
    kind: str
    source: Side
    target: Side

    @property
    def same(self) -> bool:
        return self.source == self.target


async def pages(context: Context, kind: type[Node]) -> AsyncIterator[list[Node]]:
    """All records of a kind, by id."""
    after: Id | None = None
    while page := await context.store.scan(kind, after, _PAGE):
        yield page
        after = page[-1].id


async def compare(old: Context, new: Context) -> list[Compared]:
    """What two stores hold of a workspace, kind by kind, and what searches find in it."""
    sides = await asyncio.gather(_held(_everything(old)), _held(_everything(new)))
    nothing = Side(0, "")
    kinds = {**sides[0], **sides[1]}
    found = [Compared(old.caller.workspace, kind, *(side.get(kind, nothing) for side in sides)) for kind in kinds]
    if "memory" in sides[0]:
        found.append(await _searched(old, new))
    return found


async def _everything(context: Context) -> AsyncIterator[bytes]:
    async for line in recollect_jsonl.export(context):
        yield line
    for kind in BESIDE:
        async for line in _lines(context, kind):
            yield line


async def _lines(context: Context, kind: type[Node]) -> AsyncIterator[bytes]:
    async for page in pages(context, kind):
        for record in page:
            yield msgspec.json.encode({"type": kind.noun.replace(" ", "_"), "record": record})


async def _held(lines: AsyncIterable[bytes]) -> dict[str, Side]:
    """Counts and checksums of lines by their type."""
    counts: dict[str, int] = {}
    digests: dict[str, hashlib._Hash] = {}
    async for line in lines:
        if found := _TYPE.match(line):
            kind = found[1].decode()
            counts[kind] = counts.get(kind, 0) + 1
            digests.setdefault(kind, hashlib.sha256()).update(line)
    return {kind: Side(count, digests[kind].hexdigest()[:12]) for kind, count in counts.items()}


async def _searched(old: Context, new: Context) -> Compared:
    """Searches for some memories in both stores: how many find the same.

    By meaning the first five must be the same. Words are weighed by each store's own BM25, so by both together the best
    of each must be among the first five of the other.
    """
    texts = [memory.text for memory in await _spread(old)]
    same = 0
    for text in texts:
        found = [[await _hits(side, text, mode) for side in (old, new)] for mode in _MODES]
        meaning, both = found
        best = [{id for id, _ in hits[:_FIRST]} for hits in both]
        same += _alike(*meaning) and all(
            hits[0][0] in others for hits, others in zip(both, reversed(best), strict=True) if hits
        )
    return Compared(old.caller.workspace, "searches", Side(len(texts), ""), Side(same, ""))


async def _hits(context: Context, text: str, mode: SearchMode) -> list[tuple[Id, float]]:
    found = await search(context, MemoryQuery(text=text), None, mode, 0.0, 2 * _FIRST)
    return [(hit.memory.id, hit.score) for hit in found.hits]


async def _spread(context: Context) -> list[Memory]:
    """Some active memories, evenly over all of them; twice as many are held at the most."""
    chosen: list[Memory] = []
    step, seen = 1, 0
    async for page in pages(context, Memory):
        for memory in page:
            if isinstance(memory, Memory) and memory.status is MemoryStatus.ACTIVE:
                if seen % step == 0:
                    chosen.append(memory)
                seen += 1
                if len(chosen) == 2 * SEARCHES:
                    chosen, step = chosen[::2], 2 * step
    count = min(SEARCHES, len(chosen))
    return [chosen[place * len(chosen) // count] for place in range(count)]


def _alike(one: list[tuple[Id, float]], other: list[tuple[Id, float]]) -> bool:
    """Whether the first results are the same; those of nearly the same score may have changed places."""
    for hits, others in ((one, dict(other)), (other, dict(one))):
        last = others and min(others.values())
        for id, score in hits[:_FIRST]:
            if abs(others.get(id, last or 0.0) - score) > _CLOSE:
                return False
    return len(one) == len(other)
