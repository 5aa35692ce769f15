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
    """What a policy of retention is of: sessions by their last activity, with all that hangs on them; traces by their
    start, with their spans; entries of the audit log."""

    SESSIONS = "SESSIONS"
    TRACES = "TRACES"
    AUDIT = "AUDIT"


class RetentionPolicy(Command, frozen=True, kw_only=True):
    """What is kept of a kind: what is no older than so many days, and no more than so many, the latest ones."""

    kind: RetainedKind
    days: Annotated[float, Meta(gt=0, le=36_500)] | None = None
    count: Annotated[int, Meta(ge=0)] | None = None


class ApplyRetentionInput(Command, frozen=True, kw_only=True):
    """Which policies to apply; those of the settings where none are given. With dryRun nothing is deleted."""

    policies: list[RetentionPolicy] | None = None
    dry_run: bool = False


class Removed(msgspec.Struct, frozen=True):
    """What a policy took away, or would. oldest, latest: the times that these are kept by."""

    kind: RetainedKind
    count: int
    oldest: datetime | None
    latest: datetime | None


class Retention(msgspec.Struct, frozen=True):
    removed: list[Removed]


_POLICY = re.compile(r"([a-z]+)=(?=.)(?:([0-9]{1,6}(?:\.[0-9]{1,6})?)d(?:,(?=.)|$))?([0-9]{1,12})?")


def policies(text: str) -> list[RetentionPolicy]:
    """The policies of a setting, such as "sessions=90d traces=30d,100000 audit=365d". Raises ValueError, with the part
    that is none."""
    found = []
    for part in text.split():
        kinds = RetainedKind.__members__
        match = _POLICY.fullmatch(part.lower())
        if match is None or match[1].upper() not in kinds or (match[2] is None and match[3] is None):
            raise ValueError(part)
        days = None if match[2] is None else float(match[2])
        count = None if match[3] is None else int(match[3])
        if days is not None and not 0 < days <= 36_500:
            raise ValueError(part)
        found.append(RetentionPolicy(kind=kinds[match[1].upper()], days=days, count=count))
    return found
