"""Statistics of sessions, messages, memories and spans: what they are grouped by, and the figures of a group."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from domain.calendar import TimeBucket
from domain.node import Id
from domain.span import TokenUsage


class SessionGroup(enum.Enum):
    """What sessions are grouped by. A session is counted in the group of each of its users, agents and capabilities;
    the times are of its creation."""

    KIND = "KIND"
    STATUS = "STATUS"
    USER = "USER"
    AGENT = "AGENT"
    CAPABILITY = "CAPABILITY"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class MessageGroup(enum.Enum):
    """What messages are grouped by; USER and AGENT are who sent them."""

    SENDER_TYPE = "SENDER_TYPE"
    SESSION = "SESSION"
    KIND = "KIND"
    USER = "USER"
    AGENT = "AGENT"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class MemoryGroup(enum.Enum):
    """What memories are grouped by. A memory is counted in the group of each of its tags; the times are of its
    creation."""

    OWNER = "OWNER"
    TYPE = "TYPE"
    SCOPE = "SCOPE"
    STATUS = "STATUS"
    TAG = "TAG"
    SESSION = "SESSION"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class TraceGroup(enum.Enum):
    """What spans are grouped by. TOOL is the name of a tool's span, USER and AGENT whom a span names itself; the times
    are of its start."""

    KIND = "KIND"
    STATUS = "STATUS"
    NAME = "NAME"
    MODEL = "MODEL"
    PROVIDER = "PROVIDER"
    TOOL = "TOOL"
    SESSION = "SESSION"
    USER = "USER"
    AGENT = "AGENT"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class GroupKey(msgspec.Struct, frozen=True):
    """One of the values that a group has in common. starts_at: of a stretch of time."""

    by: str
    value: str | None
    node_id: Id | None = None
    starts_at: datetime | None = None


class Durations(msgspec.Struct, frozen=True):
    """Milliseconds that things took. A percentile is the least duration that so many of a hundred do not exceed."""

    count: int
    sum_ms: float
    average_ms: float | None
    min_ms: float | None
    max_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class SessionFigures(msgspec.Struct, frozen=True):
    """usage: of all their traces."""

    keys: list[GroupKey]
    count: int
    active: int
    ended: int
    archived: int
    messages: int
    usage: TokenUsage
    first_at: datetime | None
    last_at: datetime | None


class MessageFigures(msgspec.Struct, frozen=True):
    keys: list[GroupKey]
    count: int
    edited: int
    redacted: int
    first_at: datetime | None
    last_at: datetime | None


class MemoryFigures(msgspec.Struct, frozen=True):
    """owners: how many have some, those without an owner being one. fullness: the share of all their capacities that
    active memories take."""

    keys: list[GroupKey]
    count: int
    active: int
    archived: int
    superseded: int
    owners: int
    fullness: float | None
    size_bytes: int
    average_importance: float | None
    average_decay: float | None
    accesses: int
    first_at: datetime | None
    last_at: datetime | None


class TraceFigures(msgspec.Struct, frozen=True):
    """usage: each token is counted once, at the span that tells of it nearest to the call."""

    keys: list[GroupKey]
    count: int
    running: int
    ok: int
    errors: int
    durations: Durations
    usage: TokenUsage
    first_at: datetime | None
    last_at: datetime | None


class Stats(msgspec.Struct, frozen=True):
    """How many records a workspace has."""

    sessions: int
    messages: int
    users: int
    agents: int
    memories: int
    traces: int
    spans: int
    tool_executions: int
    annotations: int
    blobs: int
    entities: int


Figures = SessionFigures | MessageFigures | MemoryFigures | TraceFigures

TIMES: dict[str, TimeBucket] = {one.name: one for one in TimeBucket}
"""The groups that are stretches of time, by their names."""
