"""Spans: pieces of work with a start and an end, and the traces they form."""

from __future__ import annotations

import enum
import re
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple, replace

from domain.declaration import NATURAL, SORTED, SPREAD, listed, refers
from domain.message import ToolCall
from domain.model_call import ModelCall, ModelMessage
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.target import TargetFilter
from domain.values import (
    MAX_BATCH,
    Command,
    FloatRange,
    GivenObject,
    Json,
    Key,
    Name,
    Named,
    Ref,
    TimeRange,
    Whose,
)


class SpanKind(enum.Enum):
    """The kind of work a span represents."""

    AGENT = "AGENT"
    LLM = "LLM"
    TOOL = "TOOL"
    RETRIEVER = "RETRIEVER"
    EMBEDDING = "EMBEDDING"
    CHAIN = "CHAIN"
    REASONING = "REASONING"
    OTHER = "OTHER"


class SpanStatusCode(enum.Enum):
    """How a span ended, as defined by OpenTelemetry."""

    UNSET = "UNSET"
    OK = "OK"
    ERROR = "ERROR"


class CostSource(enum.Enum):
    """Where a cost is from: TOLD by who reported the call, or RECKONED by price; of a sum, if any part of it is."""

    TOLD = "TOLD"
    RECKONED = "RECKONED"


class TokenUsage(msgspec.Struct, frozen=True, gc=False):
    """Tokens and money (US dollars) a model call took. reckoned_usd: the part of the cost that nobody has told."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cost_usd: float | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    reckoned_usd: float | None = None

    @property
    def cost_source(self) -> CostSource | None:
        if self.cost_usd is None:
            return None
        return CostSource.TOLD if self.reckoned_usd is None else CostSource.RECKONED

    def and_then(self, later: TokenUsage) -> TokenUsage:
        """What both tell, the later one where it tells something."""
        if self == NO_USAGE or later == NO_USAGE:
            return self if later == NO_USAGE else later
        pairs = zip(astuple(self), astuple(later), strict=True)
        both = TokenUsage(*(before if after is None else after for before, after in pairs))
        told = later.cost_usd is not None and later.reckoned_usd is None
        return replace(both, reckoned_usd=None) if told else both


NO_USAGE = TokenUsage()
_FILE = re.compile(rb"data:[^;,\s\"]*;sha256,([0-9a-f]{64})")


class Span(Node, frozen=True, kw_only=True, gc=False):
    """A piece of work. trace_id and span_id are lower-case; one without ended_at is still running.

    provider and what follows is read from its attributes, events and log records when they come (domain.conventions).
    inherits_session: its session is that of the nearest ancestor that names one, or else of its trace, and another one
    where a nearer ancestor comes. inherits_agent, inherits_user: the same, but of ancestors alone; stores keep them.
    """

    prefix: ClassVar[str] = "spn"
    noun: ClassVar[str] = "span"

    trace_id: Annotated[str, NATURAL]
    span_id: Annotated[str, NATURAL]
    parent_span_id: str | None
    session_id: Annotated[Id | None, refers("Session", gone="cascade"), listed("started_at")]
    kind: SpanKind
    name: str
    status_code: SpanStatusCode
    status_message: str | None
    started_at: Annotated[datetime, SORTED]
    ended_at: datetime | None
    attributes: Json
    message_id: Annotated[Id | None, refers("Message", gone="null")]
    agent_id: Annotated[Id | None, refers("Agent", gone="keep"), listed("started_at")]
    user_id: Annotated[Id | None, refers("User", gone="keep"), listed("started_at")] = None
    provider: str | None = None
    model: str | None = None
    time_to_first_token_ms: float | None = None
    finish_reasons: list[str] = []
    tokens: Annotated[TokenUsage, SPREAD] = NO_USAGE
    call: ModelCall | None = None
    warnings: list[str] = []
    inherits_session: bool = False
    inherits_agent: bool = False
    inherits_user: bool = False

    @property
    def named_agent_id(self) -> Id | None:
        """The agent that it names itself."""
        return None if self.inherits_agent else self.agent_id

    @property
    def named_user_id(self) -> Id | None:
        return None if self.inherits_user else self.user_id

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from start to end; None while it runs."""
        return None if self.ended_at is None else milliseconds(self.started_at, self.ended_at)

    @property
    def usage(self) -> TokenUsage | None:
        return None if self.tokens == NO_USAGE else self.tokens

    @property
    def blobs(self) -> list[Id]:
        """What its messages show."""
        return [] if self.call is None else self.call.blobs

    @property
    def told_files(self) -> list[str]:
        """The SHA-256 of files that stood in its attributes (domain.telemetry.MediaFile)."""
        text = bytes(self.attributes)
        return list(dict.fromkeys(one.decode() for one in _FILE.findall(text))) if b";sha256," in text else []

    @property
    def input_messages(self) -> list[ModelMessage]:
        return [] if self.call is None else self.call.input

    @property
    def output_messages(self) -> list[ModelMessage]:
        return [] if self.call is None else self.call.output

    @property
    def tool_calls(self) -> list[ToolCall]:
        return [] if self.call is None else self.call.calls


class Trace(Node, frozen=True, kw_only=True, gc=False):
    """All spans of one traceId, as far as they have come. A store keeps their sums: see domain.tally.

    session_id: what the earliest span names that names a session, or the one with the least id of several. named_at,
    named_by: its start and its span_id; None where it stays whatever comes. ended_at, root_id: None while no span
    without a parent has come. running_spans: how many have begun and not ended. error_spans: how
    many failed.
    """

    prefix: ClassVar[str] = "trc"
    noun: ClassVar[str] = "trace"

    trace_id: Annotated[str, NATURAL]
    session_id: Annotated[Id | None, refers("Session", gone="cascade"), listed("started_at")]
    started_at: Annotated[datetime, SORTED]
    ended_at: datetime | None = None
    status_code: SpanStatusCode = SpanStatusCode.UNSET
    usage: Annotated[TokenUsage, SPREAD] = NO_USAGE
    root_id: Annotated[Id | None, refers("Span", gone="keep")] = None
    span_count: int = 0
    named_at: datetime | None = None
    named_by: str | None = None
    running_spans: int = 0
    error_spans: int = 0

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from the first start to the last end; None while it runs."""
        return None if self.ended_at is None else milliseconds(self.started_at, self.ended_at)


register(Span, Trace)


class SpanOrderField(enum.Enum):
    """Fields to sort spans by. Those without the figure come before the others."""

    STARTED_AT = "STARTED_AT"
    DURATION = "DURATION"
    TOKENS = "TOKENS"
    COST = "COST"


class SpanOrder(Command, frozen=True, kw_only=True):
    """Sort order of spans; ties are broken by id."""

    field: SpanOrderField = SpanOrderField.STARTED_AT
    direction: OrderDirection = OrderDirection.DESC


class TraceOrderField(enum.Enum):
    """Fields to sort traces by. Those without the figure come before the others. ERRORS: how many spans failed."""

    STARTED_AT = "STARTED_AT"
    DURATION = "DURATION"
    TOKENS = "TOKENS"
    COST = "COST"
    ERRORS = "ERRORS"


class TraceOrder(Command, frozen=True, kw_only=True):
    """Sort order of traces; ties are broken by id."""

    field: TraceOrderField = TraceOrderField.STARTED_AT
    direction: OrderDirection = OrderDirection.DESC


class SpanFilter(TargetFilter, frozen=True, kw_only=True):
    """Selects spans; all given members must match. text: in the name, the status message, or what a model or tool was
    given and answered, in either case."""

    text: str | None = None
    kinds: list[SpanKind] | None = None
    status_codes: list[SpanStatusCode] | None = None
    names: list[str] | None = None
    models: list[str] | None = None
    providers: list[str] | None = None
    attributes: GivenObject = None
    trace_id: Named = None
    session: Whose = None
    agent: Whose = None
    user: Whose = None
    started_at: TimeRange | None = None
    min_duration_ms: float | None = None
    duration_ms: FloatRange | None = None
    total_tokens: FloatRange | None = None
    cost_usd: FloatRange | None = None
    running: bool | None = None
    and_: list[SpanFilter] | None = msgspec.field(name="and", default=None)
    or_: list[SpanFilter] | None = msgspec.field(name="or", default=None)
    not_: SpanFilter | None = msgspec.field(name="not", default=None)


class TraceListFilter(Command, frozen=True, kw_only=True):
    """Selects traces; all given members must match. span: at least one span of it matches. running: a span of it runs,
    or its root has not come."""

    span: SpanFilter | None = None
    session: Whose = None
    status_codes: list[SpanStatusCode] | None = None
    started_at: TimeRange | None = None
    duration_ms: FloatRange | None = None
    total_tokens: FloatRange | None = None
    cost_usd: FloatRange | None = None
    running: bool | None = None
    and_: list[TraceListFilter] | None = msgspec.field(name="and", default=None)
    or_: list[TraceListFilter] | None = msgspec.field(name="or", default=None)
    not_: TraceListFilter | None = msgspec.field(name="not", default=None)


class StartSpanInput(Command, frozen=True, kw_only=True):
    """A span to start. Without traceId it starts a new trace; omitted ids are generated."""

    session: Whose = None
    trace_id: Key | None = None
    span_id: Key | None = None
    parent_span_id: Key | None = None
    name: Key
    kind: SpanKind = SpanKind.OTHER
    started_at: datetime | None = None
    attributes: GivenObject = None
    component: Name | None = None
    agent: Whose = None
    message: Ref | None = None
    idempotency_key: Key | None = None


class EndSpanInput(Command, frozen=True, kw_only=True):
    """A span to end, given by its id or by its traceId and spanId."""

    span: Id | UnsetType = UNSET
    trace_id: Key | UnsetType = UNSET
    span_id: Key | UnsetType = UNSET
    status_code: SpanStatusCode = SpanStatusCode.OK
    status_message: Name | UnsetType | None = UNSET
    ended_at: datetime | UnsetType = UNSET
    attributes: GivenObject | UnsetType = UNSET
    component: Name | UnsetType = UNSET


class DeleteSpansInput(Command, frozen=True, kw_only=True):
    """The ids of the spans to delete."""

    spans: Annotated[list[Id], Meta(max_length=MAX_BATCH)]
    dry_run: bool = False


MAX_COUNT = 2**31 - 1
"""The largest count that is told: GraphQL's Int."""

MAX_COST = 1e12
"""The largest cost of a span, in US dollars: sums of such stay finite."""


def milliseconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() * 1000
