"""Foresee what becomes of memories."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, tzinfo

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
from domain.memory import DECAY_RATE, Memory, MemoryFilter, MemoryStatus
from domain.node import Id
from domain.page import MAX_FIRST, Slice
from resolvers.actors import whose
from resolvers.context import Context
from resolvers.lists import ROOT
from stores.ports import Collection

MOST_FORESEEN = 100_000
MOST_BUCKETS = 2_000

_READ = frozenset({"owner_id", "importance", "decay_factor", "created_at", "expires_at", "valid_until"})


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
    decayMemories were called each day at that rate, and as many memories came as in the time of equal length before
    now. It changes nothing. Raises Rejected: INVALID, LIMIT."""
    now, told = context.clock(), zone_of(zone, ["zone"])
    if at <= now:
        raise invalid("at must be later than now.", ["at"])
    if not 0 <= decay_per_day <= 1:
        raise invalid("decayPerDay must be between 0 and 1.", ["decayPerDay"])
    if not 0 <= first <= MAX_FIRST:
        raise invalid(f"first must be between 0 and {MAX_FIRST}.", ["first"])
    await whose(context, filter)
    memories = await _active(context, filter)
    outlook = Outlook(now, at, decay_per_day, context.capacity)
    fates = await asyncio.to_thread(_fates, memories, outlook)  # 100,000 take a second
    active = len(memories)
    if filter is not None:
        among = await context.store.passing(Memory, [memory.id for memory in memories], filter)
        fates, active = [fate for fate in fates if fate.memory_id in among], len(among)
    count = Counter(fate.cause for fate in fates)
    return MemoryForecast(
        at,
        active,
        count[ForecastCause.FADED],
        count[ForecastCause.ENDED],
        count[ForecastCause.EXPIRED],
        count[ForecastCause.EVICTED],
        await _shown(context, fates[:first]),
        _buckets(fates, bucket, told),
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
    """Of all of them, the first one first."""
    of_owners: defaultdict[Id | None, list[Memory]] = defaultdict(list)
    for memory in memories:
        of_owners[memory.owner_id].append(memory)
    fates = (fate for mine in of_owners.values() for fate in foreseen(mine, outlook))
    return sorted(fates, key=lambda fate: (fate.time, fate.memory_id))


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
    ends = micros(fates[0].time), micros(fates[-1].time)
    zoned = IN_UTC if str(zone) == "UTC" else offsets(zone, *ends)
    counts: defaultdict[int, Counter[ForecastCause]] = defaultdict(Counter)
    for fate in fates:
        time = micros(fate.time)
        counts[number(bucket, time, zoned.at(time))][fate.cause] += 1
    if len(counts) > MOST_BUCKETS:
        raise reject(ErrorCode.LIMIT, f"There are more than {MOST_BUCKETS:,} buckets; take longer ones.", ["bucket"])
    return [
        ForecastBucket(
            *stretch(bucket, place, zone),
            count[ForecastCause.FADED],
            count[ForecastCause.ENDED],
            count[ForecastCause.EXPIRED],
            count[ForecastCause.EVICTED],
        )
        for place, count in sorted(counts.items())
    ]
