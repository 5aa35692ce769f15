"""Statistics."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import statistics as domain
from resolvers import statistics
from schema import page, refs
from schema.fields import backed_by, relation
from schema.trace import TokenUsage


@backed_by(domain.GroupKey)
@strawberry.type(description="One of the values that what is in a group has in common.")
class GroupKey:
    by: str = strawberry.field(description="What is grouped by, as it was asked for.")
    value: str | None = strawberry.field(
        description="Null of what has none. A stretch of time is called by its beginning in the zone that was asked "
        "for: 2026-03-29T14:00+02:00, 2026-03-29 or 2026-03."
    )
    starts_at: datetime | None = strawberry.field(description="When a stretch of time begins.")
    node = relation(statistics.nodes_of, refs.optional(page.Node), "The user, agent or session it is, if any.")


@backed_by(domain.Durations)
@strawberry.type(
    description="Milliseconds that things took that have ended. A percentile is the least duration that so many of a "
    "hundred do not exceed (nearest rank)."
)
class Durations:
    count: int
    sum_ms: float
    average_ms: float | None
    min_ms: float | None
    max_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@backed_by(domain.SessionFigures)
@strawberry.type(description="Figures of sessions.")
class SessionFigures:
    keys: list[GroupKey] = strawberry.field(description="Of a group, in the order of groupBy.")
    count: int
    active: int
    ended: int
    archived: int
    messages: int
    usage: TokenUsage = strawberry.field(description="Of all traces of these sessions.")
    first_at: datetime | None = strawberry.field(description="When the first of them was created.")
    last_at: datetime | None


@backed_by(domain.MessageFigures)
@strawberry.type(description="Figures of messages.")
class MessageFigures:
    keys: list[GroupKey] = strawberry.field(description="Of a group, in the order of groupBy.")
    count: int
    edited: int
    redacted: int
    first_at: datetime | None
    last_at: datetime | None


@backed_by(domain.MemoryFigures)
@strawberry.type(description="Figures of memories.")
class MemoryFigures:
    keys: list[GroupKey] = strawberry.field(description="Of a group, in the order of groupBy.")
    count: int
    active: int
    archived: int
    superseded: int
    owners: int = strawberry.field(description="How many own them; nobody is one of these.")
    fullness: float | None = strawberry.field(description="active / the capacities of all these owners.")
    size_bytes: int = strawberry.field(description="Size of all their texts in bytes.")
    average_importance: float | None
    average_decay: float | None
    accesses: int
    first_at: datetime | None
    last_at: datetime | None


@backed_by(domain.TraceFigures)
@strawberry.type(description="Figures of spans.")
class TraceFigures:
    keys: list[GroupKey] = strawberry.field(description="Of a group, in the order of groupBy, the bucket last.")
    count: int
    running: int
    ok: int
    errors: int
    durations: Durations
    usage: TokenUsage = strawberry.field(
        description="Usage reported by both a span and its children is counted once, with the children."
    )
    first_at: datetime | None
    last_at: datetime | None


@backed_by(domain.Stats)
@strawberry.type(description="How many of each the workspace has.")
class Stats:
    sessions: int
    messages: int
    users: int
    agents: int
    memories: int = strawberry.field(description="Those too that hold no longer.")
    traces: int
    spans: int
    tool_executions: int
    annotations: int
    blobs: int
    entities: int


@backed_by(statistics.SessionStats)
@strawberry.type(description="Statistics of sessions.")
class SessionStats:
    total = relation(statistics.totals, SessionFigures)
    groups = relation(statistics.groups, list[SessionFigures], "By time, then the largest first.")


@backed_by(statistics.MessageStats)
@strawberry.type(description="Statistics of messages.")
class MessageStats:
    total = relation(statistics.totals, MessageFigures)
    groups = relation(statistics.groups, list[MessageFigures], "By time, then the largest first.")


@backed_by(statistics.MemoryStats)
@strawberry.type(description="Statistics of memories.")
class MemoryStats:
    total = relation(statistics.totals, MemoryFigures)
    groups = relation(statistics.groups, list[MemoryFigures], "By time, then the largest first.")


@backed_by(statistics.TraceStats)
@strawberry.type(description="Statistics of spans.")
class TraceStats:
    total = relation(statistics.totals, TraceFigures)
    groups = relation(statistics.groups, list[TraceFigures], "By time, then the largest first.")
