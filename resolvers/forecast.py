"""Foresee what becomes of memories."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, tzinfo
from heapq import nsmallest
from operator import attrgetter

import msgspec

from domain.calendar import IN_UTC, TimeBucket, micros, number, offsets, stretch, zone_of
from domain.errors import ErrorCode, invalid, reject
from domain.forecast import (
    Fate,
    ForecastBucket,
    ForecastCause,
    MemoryFate,
    MemoryForecast,
    Outlook,
    foreseen,
)
from domain.memory import DECAY_RATE, Memory, MemoryFilter, MemoryStatus, names_types
from domain.node import Id
from domain.page import MAX_FIRST, Slice
from resolvers.actors import whose
from resolvers.context import Context
from resolvers.lists import ROOT
from stores.ports import Collection

MOST_FORESEEN = 100_000
MOST_BUCKETS = 2_000

_CAUSES = ForecastCause.FADED, ForecastCause.ENDED, ForecastCause.EXPIRED, ForecastCause.EVICTED
"""In the order in which MemoryForecast and ForecastBucket count them."""

_READ = frozenset({"owner_id", "type", "importance", "decay_factor", "created_at", "expires_at", "valid_until"})


async def forecast(
    context: Context,
    at: datetime,
    filter: MemoryFilter | None = None,
    decay_per_day: float = DECAY_RATE,
    bucket: TimeBucket = TimeBucket.DAY,
    zone: str = "UTC",
    first: int = 50,
) -> MemoryForecast:
    """What will have faded, ended, expired or been pushed out of the active memories by a time, and why: as if
    decayMemories were called each day at that rate with this filter, and as many memories came as in the time of equal
    length before now. It changes nothing. Raises Rejected: INVALID, LIMIT."""
    now, told = context.clock(), zone_of(zone, ["zone"])
    if at <= now:
        raise invalid("at must be later than now.", ["at"])
    if not 0 <= decay_per_day <= 1:
        raise invalid("decayPerDay must be between 0 and 1.", ["decayPerDay"])
    if not 0 <= first <= MAX_FIRST:
        raise invalid(f"first must be between 0 and {MAX_FIRST}.", ["first"])
    await whose(context, filter)
    memories = await _active(context, filter)
    outlook = Outlook(now, at, decay_per_day, context.capacity, names_types(filter))
    fates = await asyncio.to_thread(_fates, memories, outlook)  # 100,000 take half a second
    active = len(memories)
    if filter is not None:
        among = await context.store.passing(Memory, [memory.id for memory in memories], filter)
        fates, active = [fate for fate in fates if fate.memory_id in among], len(among)
    causes = [fate.cause for fate in fates]
    faded, ended, expired, evicted = map(causes.count, _CAUSES)
    soonest = nsmallest(first, fates, key=attrgetter("time", "memory_id"))
    return MemoryForecast(
        at,
        active,
        faded,
        ended,
        expired,
        evicted,
        await _shown(context, soonest),
        await asyncio.to_thread(_buckets, fates, bucket, told),
    )


async def _active(context: Context, filter: MemoryFilter | None) -> list[Memory]:
    """All active memories of whom a filter names: capacity is of an owner, whatever else the filter asks."""
    whom = MemoryFilter(statuses=[MemoryStatus.ACTIVE])
    if filter is not None:
        whom = msgspec.structs.replace(whom, owner=filter.owner, scopes=filter.scopes)
    [page] = await context.store.pages(Collection.MEMORIES, [ROOT], Slice(MOST_FORESEEN), whom, fields=_READ)
    if page.has_next_page:
        raise reject(
            ErrorCode.LIMIT, f"There are more than {MOST_FORESEEN:,} active memories; name an owner.", ["filter"]
        )
    return page.nodes


def _fates(memories: Sequence[Memory], outlook: Outlook) -> list[Fate]:
    """Of all of them, in no order."""
    of_owners: defaultdict[Id | None, list[Memory]] = defaultdict(list)
    for memory in memories:
        of_owners[memory.owner_id].append(memory)
    return [fate for mine in of_owners.values() for fate in foreseen(mine, outlook)]


async def _shown(context: Context, fates: Sequence[Fate]) -> list[MemoryFate]:
    found = await context.store.get(Memory, [fate.memory_id for fate in fates])
    return [
        MemoryFate(memory, fate.cause, fate.time)
        for memory, fate in zip(found, fates, strict=True)
        if memory is not None
    ]


def _buckets(fates: Sequence[Fate], bucket: TimeBucket, zone: tzinfo) -> list[ForecastBucket]:
    """The stretches in which something becomes of memories, in order."""
    if not fates:
        return []
    # Of each time it is reckoned once where it lies: most memories fade or are pushed out at the same ones.
    times = [Counter(fate.time for fate in fates if fate.cause is cause) for cause in _CAUSES]
    every = set[datetime]().union(*times)
    zoned = IN_UTC if str(zone) == "UTC" else offsets(zone, min(every), max(every))
    counts: defaultdict[int, list[int]] = defaultdict(lambda: [0] * len(_CAUSES))
    for place, of in enumerate(times):
        for time, count in of.items():
            at = micros(time)
            counts[number(bucket, at, zoned.at(at))][place] += count
    if len(counts) > MOST_BUCKETS:
        raise reject(ErrorCode.LIMIT, f"There are more than {MOST_BUCKETS:,} buckets; take longer ones.", ["bucket"])
    return [ForecastBucket(*stretch(bucket, found, zone), *count) for found, count in sorted(counts.items())]
