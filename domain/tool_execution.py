"""Tool executions: runs of tools, with what went in, what came out and how long it took."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, NamedTuple

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from domain.declaration import DUE, NATURAL, SORTED, Stored, listed, refers, shown
from domain.node import Id, Node, OfWhich, register
from domain.page import OrderDirection
from domain.span import Span, SpanKind, SpanStatusCode, milliseconds
from domain.values import (
    MAX_TEXT,
    NULL,
    AnyNamed,
    Command,
    GivenJson,
    Json,
    Key,
    Ref,
    TimeRange,
    Whose,
)

TOOL_START = "tool_start"
TOOL_END = "tool_end"
TOOL_TIMEOUT = "tool_timeout"


class ToolStatus(enum.Enum):
    """The status of a tool execution. One that has not ended in time is a TIMEOUT."""

    PENDING = "PENDING"
    OK = "OK"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"


class ToolLimits(NamedTuple):
    """After how many seconds without an end an execution is a TIMEOUT, and how many may run at once in a session and
    in a workspace."""

    seconds: float = 30.0
    in_session: int = 100
    in_workspace: int = 100

    def end(self, now: datetime) -> datetime:
        """When an execution times out that is told of now."""
        return now + timedelta(seconds=self.seconds)


class ToolExecution(Node, frozen=True, kw_only=True, gc=False):
    """One run of a tool.

    call_key: of the latest execution of a call id its session and that, or else what it alone has. times_out_at: of one
    that has not ended. asked, answered: whether startToolExecution and finishToolExecution told of it, or its span
    alone.
    """

    prefix: ClassVar[str] = "tex"
    noun: ClassVar[str] = "tool execution"

    call_key: Annotated[str, NATURAL]
    session_id: Annotated[
        Id | None,
        refers("Session", gone="cascade"),
        listed("started_at"),
        shown("tool_executions", "Tools that ran in it, newest first."),
    ]
    message_id: Annotated[Id | None, refers("Message", gone="null"), listed("started_at")]
    span_record_id: Annotated[Id | None, refers("Span", gone="null"), Stored("span"), listed("started_at")]
    agent_id: Annotated[Id | None, refers("Agent", gone="keep"), listed("started_at")]
    call_id: str | None
    tool: Annotated[str, SORTED]
    arguments: Json
    result: Json
    error: str | None
    status: ToolStatus
    started_at: Annotated[datetime, SORTED]
    ended_at: datetime | None
    duration_ms: float | None
    times_out_at: Annotated[datetime | None, DUE]
    asked: bool = False
    answered: bool = False

    def status_at(self, now: datetime) -> ToolStatus:
        """What its status is at a time; a sweeper stores a TIMEOUT only later."""
        late = self.times_out_at is not None and self.times_out_at <= now
        return ToolStatus.TIMEOUT if late else self.status

    def ended(self, status: ToolStatus, at: datetime, result: Json, error: str | None) -> ToolExecution:
        """The same, at its end."""
        return replace(
            self,
            status=status,
            result=result,
            error=error,
            ended_at=at,
            duration_ms=milliseconds(self.started_at, at),
            times_out_at=None,
        )

    def retired(self) -> ToolExecution:
        """The same, which is not the latest of its call id any more."""
        return replace(self, call_key=self.span_record_id or self.id)


register(ToolExecution)


def call_key(session_id: Id, call_id: str) -> str:
    """Under which key the latest execution of a call of a session is found."""
    return f"{session_id} {call_id}"


class ToolExecutionOrderField(enum.Enum):
    """Fields to sort tool executions by. Those that have no duration come before the others."""

    STARTED_AT = "STARTED_AT"
    DURATION = "DURATION"
    TOOL = "TOOL"


class ToolExecutionOrder(Command, frozen=True, kw_only=True):
    """Sort order of tool executions; ties are broken by id."""

    field: ToolExecutionOrderField = ToolExecutionOrderField.STARTED_AT
    direction: OrderDirection = OrderDirection.DESC


class ToolExecutionFilter(Command, frozen=True, kw_only=True):
    """Selects tool executions; all given members must match. timesOutAt: of those that have not ended."""

    tools: list[str] | None = None
    statuses: list[ToolStatus] | None = None
    call_ids: AnyNamed = None
    session: Whose = None
    agent: Whose = None
    message: OfWhich = None
    started_at: TimeRange | None = None
    times_out_at: TimeRange | None = None
    min_duration_ms: float | None = None
    and_: list[ToolExecutionFilter] | None = msgspec.field(name="and", default=None)
    or_: list[ToolExecutionFilter] | None = msgspec.field(name="or", default=None)
    not_: ToolExecutionFilter | None = msgspec.field(name="not", default=None)


def as_stored(filter: ToolExecutionFilter, now: datetime) -> ToolExecutionFilter:
    """The filter of what is stored that finds those whose status at a time is asked for."""
    statuses, pending = filter.statuses, [ToolStatus.PENDING]
    filter = replace(
        filter,
        statuses=None,
        and_=filter.and_ and [as_stored(one, now) for one in filter.and_],
        or_=filter.or_ and [as_stored(one, now) for one in filter.or_],
        not_=filter.not_ and as_stored(filter.not_, now),
    )
    if statuses is None:
        return filter
    since = now + timedelta(microseconds=1)
    either = [ToolExecutionFilter(statuses=[one for one in statuses if one is not ToolStatus.PENDING])]
    if ToolStatus.PENDING in statuses:
        either.append(ToolExecutionFilter(statuses=pending, times_out_at=TimeRange(from_=since)))
    if ToolStatus.TIMEOUT in statuses:
        either.append(ToolExecutionFilter(statuses=pending, times_out_at=TimeRange(until=since)))
    return replace(filter, and_=[*(filter.and_ or ()), ToolExecutionFilter(or_=either)])


class StartToolExecutionInput(Command, frozen=True, kw_only=True):
    """A tool that starts to run. callId: of the tool call it answers, by which it is joined to its message and its
    span; message and span name them where there is no such id."""

    session: Ref
    tool: Key
    call_id: Key | None = None
    arguments: GivenJson = None
    message: Ref | None = None
    span: OfWhich = None
    agent: Whose = None
    started_at: datetime | None = None
    idempotency_key: Key | None = None


class FinishToolExecutionInput(Command, frozen=True, kw_only=True):
    """The end of a tool execution, given by its id or by its session and callId. status: OK where it is left out, or
    ERROR with an error."""

    tool_execution: OfWhich = None
    session: Whose = None
    call_id: Key | None = None
    status: ToolStatus | None = None
    result: GivenJson = None
    error: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None
    ended_at: datetime | None = None
    idempotency_key: Key | None = None


class ToolStats(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the executions of one tool. Durations, in milliseconds, are of those that ended; a percentile is
    the least that so many of a hundred do not exceed."""

    tool: str
    count: int
    pending: int
    ok: int
    error: int
    timeout: int
    average_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None


def keys_of(span: Span) -> list[str]:
    """Under which keys the execution that a tool's span tells of may be found, the best one first."""
    call_id = call_id_of(span)
    named = [] if span.session_id is None or call_id is None else [call_key(span.session_id, call_id)]
    return [*named, span.id]


def call_id_of(span: Span) -> str | None:
    return (span.call.ran.call_id or None) if span.call is not None and span.call.ran is not None else None


def told_by(span: Span, before: ToolExecution) -> ToolExecution:
    """An execution as it is after its span has told of it; what a caller told of its end stays."""
    assert span.kind is SpanKind.TOOL
    ran = None if span.call is None else span.call.ran
    response = None if ran is None else ran.response
    session_id = before.session_id if before.asked else span.session_id
    message_id = before.message_id if before.session_id == session_id else None
    after = replace(
        before,
        span_record_id=span.id,
        session_id=session_id,
        agent_id=before.agent_id or span.named_agent_id,
        message_id=message_id or (span.message_id if call_id_of(span) is None else None),
        call_id=before.call_id or call_id_of(span),
        arguments=before.arguments if ran is None or before.asked else ran.arguments,
        started_at=before.started_at if before.asked else span.started_at,
    )
    if span.ended_at is None or before.answered:
        return after
    failed = span.status_code is SpanStatusCode.ERROR or (response is not None and response.is_error)
    return after.ended(
        ToolStatus.ERROR if failed else ToolStatus.OK,
        max(span.ended_at, after.started_at),
        NULL if response is None else response.result,
        span.status_message if failed else None,
    )
