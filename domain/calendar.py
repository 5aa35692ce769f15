"""Stretches of time by the calendar of a time zone.

A zone's offset from UTC is the same for months, so that a time's stretch is found by arithmetic alone: an engine adds
the offset of that time and divides. Numbers of stretches count from 1970, in local time.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.errors import invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STRIDE = timedelta(days=7)
"""No zone changes its offset and back in less."""

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR

FIRST, LAST = ((end - datetime(1970, 1, 1)) // _MICROSECOND for end in (datetime.min, datetime.max))
"""The first and the last time there is, in microseconds since 1970."""

_KNOWN_FROM, _KNOWN_UNTIL = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

AHEAD = 5 * 146_097 * _DAY
"""Whole weeks, of 2,000 years, that are added so that division of times before 1970 rounds down too."""


class TimeBucket(enum.Enum):
    """A stretch of time by the calendar. Weeks begin on Monday."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class Offsets(NamedTuple):
    """A zone's offsets from UTC in microseconds, and before which times, in microseconds since 1970, all but the last
    of them hold."""

    before: tuple[int, ...]
    offsets: tuple[int, ...]

    def at(self, micros: int) -> int:
        return self.offsets[bisect_right(self.before, micros)]


IN_UTC = Offsets((), (0,))


def zone_of(name: str, path: Sequence[str | int]) -> tzinfo:
    """The time zone of a name of the IANA database. Raises Rejected (INVALID)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid(f"There is no time zone {name[:100]!r}; names are like Europe/Berlin.", path) from None


def micros(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _offset(zone: tzinfo, time: datetime) -> int:
    return (time.astimezone(zone).utcoffset() or timedelta()) // _MICROSECOND


@lru_cache(maxsize=64)
def offsets(zone: tzinfo, first: datetime, last: datetime) -> Offsets:
    """A zone's offsets between two times; those of 1900 hold before that year too, those of 2200 after it."""
    first, last = (min(max(time, _KNOWN_FROM), _KNOWN_UNTIL) for time in (first, last))
    before, found = list[int](), [_offset(zone, first)]
    while first < last:
        later = min(first + _STRIDE, last)
        if (now := _offset(zone, later)) != found[-1]:
            before.append(_change(zone, micros(first), micros(later), now))
            found.append(now)
        first = later
    return Offsets(tuple(before), tuple(found))


def _change(zone: tzinfo, low: int, high: int, after: int) -> int:
    """The first time, between two, at which an offset holds."""
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, _EPOCH + middle * _MICROSECOND) == after:
            high = middle
        else:
            low = middle
    return high


def number(bucket: TimeBucket, time: int, offset: int) -> int:
    """Which stretch a time, in microseconds since 1970, lies in: for HOUR when that begins, in the same; for DAY and
    WEEK their number since 1970; for MONTH the months since the year 0. A local time before the first or behind the
    last there is lies in the stretch of that one. Engines reckon the same."""
    if bucket is TimeBucket.HOUR:
        return (time + offset) // _HOUR * _HOUR - offset
    local = min(max(time + offset, FIRST), LAST) + AHEAD
    match bucket:
        case TimeBucket.DAY:
            return local // _DAY - AHEAD // _DAY
        case TimeBucket.WEEK:
            return (local // _DAY + 3) // 7 - AHEAD // _DAY // 7
    day = _EPOCH + (local - AHEAD) * _MICROSECOND
    return day.year * 12 + day.month - 1


class Stretch(NamedTuple):
    """When a stretch begins, and what it is called: as RFC 3339 has an hour or a day, or YYYY-MM."""

    start: datetime
    label: str


def stretch(bucket: TimeBucket, found: int, zone: tzinfo) -> Stretch:
    """The stretch of a number."""
    if bucket is TimeBucket.HOUR:
        start = _EPOCH + max(found, FIRST) * _MICROSECOND
        return Stretch(start, _local(start, zone).isoformat(timespec="minutes"))
    if bucket is TimeBucket.MONTH:
        year, month = divmod(found, 12)
        day = datetime(year, month + 1, 1)
    else:
        days = found if bucket is TimeBucket.DAY else found * 7 - 3
        day = datetime(1970, 1, 1) + timedelta(days=days)
    label = day.date().isoformat()
    return Stretch(_in_utc(day, zone), label[:7] if bucket is TimeBucket.MONTH else label)


def _local(time: datetime, zone: tzinfo) -> datetime:
    """A time in a zone; where it has none there, for it is one of the first or the last of all, in UTC."""
    try:
        return time.astimezone(zone)
    except OverflowError:
        return time


def _in_utc(day: datetime, zone: tzinfo) -> datetime:
    """When a day begins; of the first and the last there are, at the latest in UTC."""
    try:
        return day.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return day.replace(tzinfo=UTC)
