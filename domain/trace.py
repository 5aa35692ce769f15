"""Traces: the log of a session, line by line."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from domain.node import Id, Node, register
from domain.span import SpanKind
from domain.values import MAX_BATCH, Command, GivenJson, Json, Key, Name, Ref, TimeRange

SPAN_START = "span_start"
SPAN_END = "span_end"
SPAN_UPDATE = "span_update"
RECALL = "recall"


class TraceEvent(Node, frozen=True, gc=False):
    """One line of a session's log. place is its position in commit order, given by the store."""

    prefix: ClassVar[str] = "evt"
    noun: ClassVar[str] = "trace event"

    session_id: Id | None
    type: str
    component: str
    time: datetime
    duration_ms: float | None
    data: Json
    user_id: Id | None
    agent_id: Id | None
    message_id: Id | None
    parent_id: Id | None
    span_record_id: Id | None
    memory_ids: list[Id]
    external_id: str | None
    place: int = 0


register(TraceEvent)


class TraceFilter(Command, frozen=True, kw_only=True):
    """Which events: every member that is given must hold."""

    types: list[str] | None = None
    components: list[str] | None = None
    time: TimeRange | None = None
    agent: Ref | None = None
    message: Id | None = None
    min_duration_ms: float | None = None
    and_: list[TraceFilter] | None = msgspec.field(name="and", default=None)
    or_: list[TraceFilter] | None = msgspec.field(name="or", default=None)
    not_: TraceFilter | None = msgspec.field(name="not", default=None)


class TraceEventInput(Command, frozen=True, kw_only=True):
    """One line of a session's log; only type is required. The types span_start and span_end, with traceId and
    spanId, also open and close a span; `data` of both become its attributes."""

    type: Key
    component: Name | None = None
    time: datetime | None = None
    duration_ms: Annotated[float, Meta(ge=0)] | None = None
    data: GivenJson = None
    user: Ref | None = None
    agent: Ref | None = None
    message: Ref | None = None
    parent: Ref | None = None
    memories: Annotated[list[Ref], Meta(max_length=MAX_BATCH)] | None = None
    trace_id: Key | None = None
    span_id: Key | None = None
    parent_span_id: Key | None = None
    name: Name | None = None
    kind: SpanKind | None = None
    external_id: Key | None = None


class AppendTraceEventsInput(Command, frozen=True, kw_only=True):
    """Up to 1,000 lines for a session's log, all or none."""

    session: Ref
    events: Annotated[list[TraceEventInput], Meta(max_length=MAX_BATCH)]
    idempotency_key: Key | None = None
