"""The values of rows: times are microseconds since 1970 in UTC, JSON values their text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw

Row = tuple[Any, ...]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode


def micros(time: datetime | None) -> int | None:
    return None if time is None else (time - EPOCH) // MICROSECOND


def moment(us: int | None) -> Any:
    """The UTC time of microseconds since 1970; 0.3 us a call, without the rounding of a float."""
    return None if us is None else EPOCH + timedelta(0, 0, us)


def text(value: object) -> str:
    return _encode(value).decode()


def raw(value: Raw | None) -> str | None:
    return None if value is None else str(value, "utf-8")


def as_raw(value: str) -> Raw:
    return Raw(value)
