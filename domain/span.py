"""Spans: pieces of work with a start and an end, and the traces they form."""

from __future__ import annotations

import enum
import re
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from domain import model_call
from domain.declaration import NATURAL, SORTED, SPREAD, listed, refers
from domain.message import ToolCall
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.target import TargetFilter
from domain.values import Command, GivenObject, Json, Key, Name, Ref, TimeRange, Whose, decode_json


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


class TokenUsage(msgspec.Struct, frozen=True, gc=False):
    """Tokens and money (US dollars) a model call took."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cost_usd: float | None = None


class Span(Node, frozen=True, kw_only=True, gc=False):
    """A piece of work. trace_id and span_id are lower-case; one without ended_at is still running."""

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
    agent_id: Annotated[Id | None, refers("Agent", gone="keep")]

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from start to end; None while it runs."""
        return None if self.ended_at is None else milliseconds(self.started_at, self.ended_at)

    @property
    def usage(self) -> TokenUsage | None:
        """The token counts among the attributes; None where there is none."""
        return None if _tells_nothing(bytes(self.attributes)) else usage_of(decode_json(self.attributes))

    @property
    def model(self) -> str | None:
        return model_call.model_of(_members(self.attributes))

    @property
    def input_messages(self) -> list[model_call.ModelMessage]:
        return model_call.input_messages(_members(self.attributes))

    @property
    def output_messages(self) -> list[model_call.ModelMessage]:
        return model_call.output_messages(_members(self.attributes))

    @property
    def tool_calls(self) -> list[ToolCall]:
        return model_call.tool_calls(_members(self.attributes))


class Trace(Node, frozen=True, kw_only=True, gc=False):
    """All spans of one traceId, as far as they have come. A store keeps their sums: see domain.tally."""

    prefix: ClassVar[str] = "trc"
    noun: ClassVar[str] = "trace"

    trace_id: Annotated[str, NATURAL]
    session_id: Annotated[Id | None, refers("Session", gone="cascade"), listed("started_at")]
    started_at: datetime
    ended_at: datetime | None = None
    status_code: SpanStatusCode = SpanStatusCode.UNSET
    usage: Annotated[TokenUsage, SPREAD] = TokenUsage()
    root_id: Annotated[Id | None, refers("Span", gone="keep")] = None
    span_count: int = 0

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from the first start to the last end; None while a span runs."""
        return None if self.ended_at is None else milliseconds(self.started_at, self.ended_at)


register(Span, Trace)


class SpanOrderField(enum.Enum):
    """Fields to sort spans by."""

    STARTED_AT = "STARTED_AT"
    DURATION = "DURATION"


class SpanOrder(Command, frozen=True, kw_only=True):
    """Sort order of spans; ties are broken by id."""

    field: SpanOrderField = SpanOrderField.STARTED_AT
    direction: OrderDirection = OrderDirection.DESC


class TraceOrderField(enum.Enum):
    """Fields to sort traces by."""

    STARTED_AT = "STARTED_AT"
    DURATION = "DURATION"


class TraceOrder(Command, frozen=True, kw_only=True):
    """Sort order of traces; ties are broken by id."""

    field: TraceOrderField = TraceOrderField.STARTED_AT
    direction: OrderDirection = OrderDirection.DESC


class SpanFilter(TargetFilter, frozen=True, kw_only=True):
    """Selects spans; all given members must match."""

    kinds: list[SpanKind] | None = None
    status_codes: list[SpanStatusCode] | None = None
    names: list[str] | None = None
    trace_id: str | None = None
    session: Whose = None
    agent: Whose = None
    started_at: TimeRange | None = None
    min_duration_ms: float | None = None
    running: bool | None = None
    and_: list[SpanFilter] | None = msgspec.field(name="and", default=None)
    or_: list[SpanFilter] | None = msgspec.field(name="or", default=None)
    not_: SpanFilter | None = msgspec.field(name="not", default=None)


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


_INPUT = ("gen_ai.usage.input_tokens", "llm.token_count.prompt", "gen_ai.usage.prompt_tokens", "inputTokens")
_OUTPUT = ("gen_ai.usage.output_tokens", "llm.token_count.completion", "gen_ai.usage.completion_tokens", "outputTokens")
_TOTAL = ("gen_ai.usage.total_tokens", "llm.token_count.total", "totalTokens")
_COST = ("gen_ai.usage.cost", "llm.cost.total", "costUsd")


def usage_of(attributes: Any) -> TokenUsage | None:
    """Token usage by the attribute names of OpenTelemetry's GenAI conventions, then OpenInference's, then plain ones.

    A total that is not given is the sum of the others.
    """
    if not isinstance(attributes, dict):
        return None
    asked, said, total, cost = (_first(attributes, names) for names in (_INPUT, _OUTPUT, _TOTAL, _COST))
    if asked is None and said is None and total is None and cost is None:
        return None
    if total is None and (asked is not None or said is not None):
        total = (asked or 0) + (said or 0)
    return TokenUsage(_whole(asked), _whole(said), _whole(total), _money(cost))


_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?")
"""A count or a price that is told as text, as attributes of strings alone do."""

MAX_COUNT = 2**31 - 1
"""The largest count that is told: GraphQL's Int."""

MAX_COST = 1e12
"""The largest cost of a span, in US dollars: sums of such stay finite."""


def _members(attributes: Json) -> dict[str, Any]:
    found = decode_json(attributes)
    return found if isinstance(found, dict) else {}


def _whole(count: float | None) -> int | None:
    """A count as a whole number; one that cannot be (infinite, or beyond what can be told) is none."""
    return int(count) if count is not None and -MAX_COUNT <= count <= MAX_COUNT else None


def _money(cost: float | None) -> float | None:
    return cost if cost is not None and -MAX_COST <= cost <= MAX_COST else None


def _tells_nothing(attributes: bytes) -> bool:
    """Whether none of the names can be in an object's text; to look for what they share costs less than to read it."""
    return b"oken" not in attributes and b"ost" not in attributes and b"\\u" not in attributes


def _first(attributes: dict[str, Any], names: tuple[str, ...]) -> float | None:
    for name in names:
        if (value := attributes.get(name)) is None:
            continue
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return None


def milliseconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() * 1000
