"""Retention: how long and how much of what is kept."""

from __future__ import annotations

import enum
import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.values import Command


class RetainedKind(enum.Enum):
    """What a policy of retention is of. SESSIONS: by their last activity, with all that hangs on them; MESSAGES,
    MEMORIES: by their creation; CONTEXTS: earlier contexts of sessions, by when they were replaced; TRACES: by their
    start, with their spans; BLOBS: files that nothing shows, by when they were stored; AUDIT: entries of the
    audit log."""

    SESSIONS = "SESSIONS"
    MESSAGES = "MESSAGES"
    MEMORIES = "MEMORIES"
    CONTEXTS = "CONTEXTS"
    TRACES = "TRACES"
    BLOBS = "BLOBS"
    AUDIT = "AUDIT"


class RetentionRule(enum.Enum):
    """A part of a policy of retention."""

    DAYS = "DAYS"
    COUNT = "COUNT"
    BYTES = "BYTES"


class RetentionPolicy(Command, frozen=True, kw_only=True):
    """What is kept of a kind: what is no older than so many days, and no more than so many, and so many bytes of them,
    the latest ones. Bytes are those of texts and JSON values (of sessions and traces, of their messages and spans) and
    of files."""

    kind: RetainedKind
    days: Annotated[float, Meta(gt=0, le=36_500)] | None = None
    count: Annotated[int, Meta(ge=0)] | None = None
    bytes: Annotated[float, Meta(ge=0, le=1e18)] | None = None

    @property
    def is_empty(self) -> bool:
        return self.days is None and self.count is None and self.bytes is None


class ApplyRetentionInput(Command, frozen=True, kw_only=True):
    """Which policies to apply; those of the settings where none are given. With dryRun nothing is deleted."""

    policies: list[RetentionPolicy] | None = None
    dry_run: bool = False


class RetentionReason(msgspec.Struct, frozen=True):
    """How many a part of a policy alone takes away."""

    rule: RetentionRule
    count: int


class Removed(msgspec.Struct, frozen=True):
    """What a policy took away, or would. bytes: of these, where that was looked at. oldest, latest: the times that
    these are kept by. reasons: for each part of the policy. held: how many more would go, if nothing showed them."""

    kind: RetainedKind
    count: int
    bytes: float | None
    oldest: datetime | None
    latest: datetime | None
    reasons: list[RetentionReason]
    held: int = 0


class Retention(msgspec.Struct, frozen=True):
    removed: list[Removed]


_PARTS = {
    "days": re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)d"),
    "count": re.compile(r"([0-9]{1,12})"),
    "bytes": re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(kb|mb|gb|tb)"),
}
_UNITS = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}


def policies(text: str) -> list[RetentionPolicy]:
    """The policies of a setting, such as "sessions=90d traces=30d,100000 blobs=20GB". Raises ValueError, with the part
    that is none."""
    return [_policy(part) for part in text.split()]


def _policy(part: str) -> RetentionPolicy:
    name, _, told = part.lower().partition("=")
    kept: dict[str, float] = {}
    for one in told.split(","):
        rule, match = next(
            ((rule, found) for rule, shape in _PARTS.items() if (found := shape.fullmatch(one))), ("", None)
        )
        if match is None or rule in kept:
            raise ValueError(part)
        kept[rule] = float(match[1]) * _UNITS.get(match[match.lastindex or 1], 1)
    days, count = kept.get("days"), kept.get("count")
    if name.upper() not in RetainedKind.__members__ or (days is not None and not 0 < days <= 36_500):
        raise ValueError(part)
    kind = RetainedKind[name.upper()]
    return RetentionPolicy(kind=kind, days=days, count=None if count is None else int(count), bytes=kept.get("bytes"))
