"""What will have faded, ended, expired or been pushed out of memories by a time, and why."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from operator import attrgetter

import msgspec

from domain.memory import DECAY_FLOOR, FADING, KEPT_SHARE, Memory, MemoryType, decayed
from domain.node import Id


class ForecastCause(enum.Enum):
    """What will become of a memory. FADED: its decay factor is at the minimum. ENDED: the fact holds no longer.
    EXPIRED: its time to live is over. EVICTED: archived because the capacity is reached."""

    FADED = "FADED"
    ENDED = "ENDED"
    EXPIRED = "EXPIRED"
    EVICTED = "EVICTED"


class Fate(msgspec.Struct, frozen=True, gc=False):
    """What becomes of a memory, and when."""

    memory_id: Id
    cause: ForecastCause
    time: datetime


class MemoryFate(msgspec.Struct, frozen=True):
    """What becomes of a memory, and when."""

    memory: Memory
    cause: ForecastCause
    time: datetime


class ForecastBucket(msgspec.Struct, frozen=True):
    """How many memories what becomes of in a stretch of time."""

    starts_at: datetime
    label: str
    faded: int
    ended: int
    expired: int
    evicted: int


class MemoryForecast(msgspec.Struct, frozen=True):
    """What becomes of active memories by a time. fates: the first of them; the counts and buckets are of all."""

    at: datetime
    active: int
    faded: int
    ended: int
    expired: int
    evicted: int
    fates: list[MemoryFate]
    buckets: list[ForecastBucket]


class Outlook(msgspec.Struct, frozen=True):
    """What a forecast goes by: as if decayMemories were called each day at this rate, and as many memories were written
    until then as in the time of equal length before now. all_fade: memories of each type, not of those that fade where
    none are named."""

    now: datetime
    at: datetime
    decay_per_day: float
    capacity: int
    all_fade: bool = False


def foreseen(memories: Sequence[Memory], outlook: Outlook) -> list[Fate]:
    """What becomes of all active memories of one owner, in no order; what is gone has no fate afterwards."""
    gone: dict[Id, datetime] = {}
    fates = []
    for memory in memories:
        if memory.expires_at is not None and memory.expires_at <= outlook.at:
            gone[memory.id] = memory.expires_at
            fates.append(Fate(memory.id, ForecastCause.EXPIRED, memory.expires_at))
    for fate in _evicted(memories, gone, outlook):
        gone[fate.memory_id] = fate.time
        fates.append(fate)
    fading = _Fading(outlook)
    for memory in memories:
        until = gone.get(memory.id, outlook.at)
        if memory.valid_until is not None and outlook.now < memory.valid_until <= until:
            fates.append(Fate(memory.id, ForecastCause.ENDED, memory.valid_until))
        if not (outlook.all_fade or memory.type in FADING):
            continue
        if (faded := fading[memory.decay_factor]) is not None and faded <= until:
            fates.append(Fate(memory.id, ForecastCause.FADED, faded))
    return fates


class _Fading(dict[float, datetime | None]):
    """When a decay factor reaches the minimum, by the factor, if it is above that: many memories have the same."""

    def __init__(self, outlook: Outlook) -> None:
        self._outlook = outlook

    def __missing__(self, factor: float) -> datetime | None:
        found = self[factor] = _fades(factor, self._outlook)
        return found


def _fades(factor: float, outlook: Outlook) -> datetime | None:
    if not outlook.decay_per_day or factor <= DECAY_FLOOR + 1e-9:
        return None
    days = ceil((factor - DECAY_FLOOR) / outlook.decay_per_day - 1e-9)
    left = outlook.at - outlook.now
    return outlook.now + timedelta(days=days) if days <= left / timedelta(days=1) else None


def _evicted(memories: Sequence[Memory], gone: dict[Id, datetime], outlook: Outlook) -> Iterator[Fate]:
    """The lightest of those that stay, where those that come pass the capacity: each time down to 90 % of it."""
    span = outlook.at - outlook.now
    begun = outlook.now - span if span <= outlook.now - _FIRST else _FIRST
    added = sum(memory.created_at > begun for memory in memories)
    left = [memory for memory in memories if memory.id not in gone]
    over = len(left) + added - outlook.capacity
    if over <= 0 or not added:
        return
    wave = outlook.capacity + 1 - int(outlook.capacity * KEPT_SHARE)
    rate = outlook.decay_per_day * (span / timedelta(days=1))
    lightest = sorted(left, key=attrgetter("id"))
    rates = {type: rate if outlook.all_fade or type in FADING else 0.0 for type in MemoryType}
    lightest.sort(key=lambda memory: memory.importance * decayed(memory.decay_factor, rates[memory.type]))
    for number in range(ceil(over / wave)):
        come = outlook.capacity + 1 + number * wave - len(left)
        time = outlook.now + span * min(1.0, max(0, come) / added)
        for memory in lightest[number * wave : (number + 1) * wave]:
            yield Fate(memory.id, ForecastCause.EVICTED, time)


_FIRST = datetime.fromisoformat("0001-01-02T00:00:00+00:00")
