"""Traces: the log of a session, line by line."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from domain.declaration import NATURAL, PLACE, Stored, listed, refers
from domain.node import Id, Node, OfWhich, register
from domain.page import OrderDirection
from domain.span import SpanKind
from domain.values import MAX_BATCH, Command, GivenJson, Json, Key, Name, Ref, TimeRange, Whose

SPAN_START = "span_start"
SPAN_END = "span_end"
SPAN_UPDATE = "span_update"
RECALL = "recall"


class TraceEvent(Node, frozen=True, kw_only=True, gc=False):
    """One line of a session's log. place is its position in commit order, given by the store."""

    prefix: ClassVar[str] = "evt"
    noun: ClassVar[str] = "trace event"

    session_id: Annotated[Id | None, refers("Session", gone="cascade"), NATURAL, listed("place")]
    type: str
    component: str
    time: datetime
    duration_ms: float | None
    data: Json
    user_id: Annotated[Id | None, refers("User", gone="keep"), listed("place")]
    agent_id: Annotated[Id | None, refers("Agent", gone="keep"), listed("place")]
    message_id: Annotated[Id | None, refers("Message", gone="cascade"), listed("place")]
    parent_id: Annotated[Id | None, refers("TraceEvent", gone="null", later=True)]
    span_record_id: Annotated[Id | None, refers("Span", gone="null"), Stored("span"), listed("place")]
    memory_ids: Annotated[list[Id], refers("Memory", gone="keep"), Stored("memories", empty_is_null=True)]
    external_id: Annotated[str | None, NATURAL]
    place: Annotated[int, PLACE] = 0


register(TraceEvent)


class TraceEventOrderField(enum.Enum):
    """Fields to sort events by; PLACE is the order in which they were added to the session's log."""

    PLACE = "PLACE"
    TIME = "TIME"
    DURATION = "DURATION"


class TraceEventOrder(Command, frozen=True, kw_only=True):
    """Sort order of events; ties are broken by id."""

    field: TraceEventOrderField = TraceEventOrderField.PLACE
    direction: OrderDirection = OrderDirection.ASC


class TraceFilter(Command, frozen=True, kw_only=True):
    """Selects events; all given members must match."""

    types: list[str] | None = None
    components: list[str] | None = None
    time: TimeRange | None = None
    agent: Whose = None
    message: OfWhich = None
    min_duration_ms: float | None = None
    and_: list[TraceFilter] | None = msgspec.field(name="and", default=None)
    or_: list[TraceFilter] | None = msgspec.field(name="or", default=None)
    not_: TraceFilter | None = msgspec.field(name="not", default=None)


class TraceEventInput(Command, frozen=True, kw_only=True):
    """An event for a session's log; only type is required. Events of type span_start and span_end, with traceId and
    spanId, also open and close a span; their `data` becomes its attributes."""

    type: Key
    component: Name | None = None
    time: datetime | None = None
    duration_ms: Annotated[float, Meta(ge=0)] | None = None
    data: GivenJson = None
    user: Whose = None
    agent: Whose = None
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
    """Up to 1,000 events for a session's log, all or none."""

    session: Ref
    events: Annotated[list[TraceEventInput], Meta(max_length=MAX_BATCH)]
    idempotency_key: Key | None = None
