"""Traces: events, spans, and the trees they form."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import model_call
from domain import span as domain_span
from domain import trace as domain
from domain.change import ChangeKind
from domain.span import CostSource, SpanStatusCode
from resolvers import formation, lists, live, messages, sessions, tool_execution, traces
from schema import page, refs
from schema.enums import NodeKind
from schema.fields import backed_by, connection, relation, with_lists
from schema.message import Content, ToolCall
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain_span.TokenUsage)
@strawberry.type(description="Tokens used by model calls and their cost in US dollars.")
class TokenUsage:
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cost_usd: float | None
    cached_tokens: int | None = strawberry.field(description="Those of the input that came from a cache.")
    reasoning_tokens: int | None = strawberry.field(description="Those of the output that were thoughts.")
    cost_source: CostSource | None = strawberry.field(description="Null if there is no cost.")


@backed_by(domain.TraceEvent)
@strawberry.type(
    description="An event in a session's trace log. Events of type span_start and span_end open and close spans."
)
class TraceEvent(Node):
    external_id: str | None
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    type: str
    component: str
    time: datetime
    duration_ms: float | None
    data: JSON
    user = relation(traces.event_users, refs.optional(refs.User))
    agent = relation(traces.event_agents, refs.optional(refs.Agent))
    message = relation(messages.messages_of, refs.optional(refs.Message))
    span = relation(traces.event_spans, refs.optional(refs.Span))
    parent = relation(traces.event_parents, refs.optional(refs.TraceEvent))
    named_memories = relation(traces.event_memories, list[refs.Memory], "The memories it names.")


@backed_by(model_call.ModelMessage)
@strawberry.type(description="A message sent to or by a model, taken from the span's attributes.")
class ModelMessage:
    role: str = strawberry.field(description="The role as given to the model: system, user, assistant or tool.")
    text: str = strawberry.field(description="The text parts, joined by newlines.")
    content: list[Content]


@backed_by(domain_span.Span)
@strawberry.type(description="A unit of work; without endedAt it is still running.")
@with_lists(domain_span.Span)
class Span(Node):
    trace_id: str = strawberry.field(description="In lower case.")
    span_id: str = strawberry.field(description="In lower case.")
    parent_span_id: str | None
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    parent = relation(traces.span_parents, refs.optional(refs.Span))
    children = connection(lists.SPAN_CHILDREN, page.SpanConnection, "Child spans, in order of their start.")
    kind: NodeKind
    name: str
    status_code: SpanStatusCode
    status_message: str | None
    started_at: datetime
    ended_at: datetime | None
    duration_ms: float | None
    attributes: JSON
    events = connection(lists.SPAN_EVENTS, page.TraceEventConnection)
    usage: TokenUsage | None
    provider: str | None = strawberry.field(description="Who ran the model, such as openai.")
    model: str | None = strawberry.field(description="The model that was called.")
    time_to_first_token_ms: float | None = strawberry.field(
        description="Time until the first part of a streamed answer came."
    )
    finish_reasons: list[str] = strawberry.field(description="Why the model ended each of its answers.")
    input_messages: list[ModelMessage] = strawberry.field(description="Messages sent to the model.")
    output_messages: list[ModelMessage] = strawberry.field(
        description="Messages produced by the model, or the output of the tool."
    )
    tool_calls: list[ToolCall] = strawberry.field(
        description="Tool calls requested by the model, or the call this span executed."
    )
    tool_execution = relation(
        tool_execution.of_spans,
        refs.optional(refs.ToolExecution),
        "Of a tool's span: the run it tells of.",
        reads=["id"],
    )
    message = relation(messages.messages_of, refs.optional(refs.Message))
    formed_memories = relation(
        formation.formed_by_spans,
        list[refs.Memory],
        "Memories formed from it, or from its message.",
        reads=["id", "message_id"],
    )
    used_memories = relation(
        formation.used_by_spans,
        list[refs.Memory],
        "Memories that its events name, and those that its message used.",
        reads=["id", "message_id"],
    )
    agent = relation(
        traces.event_agents,
        refs.optional(refs.Agent),
        "Its own agent, or that of its nearest ancestor.",
        reads=["agent_id"],
    )
    user = relation(
        traces.event_users,
        refs.optional(refs.User),
        "Its own user, or that of its nearest ancestor.",
        reads=["user_id"],
    )
    warnings: list[str] = strawberry.field(description="What of its attributes could not be read.")


@backed_by(domain_span.Trace)
@strawberry.type(description="All spans of one traceId.")
class Trace(Node):
    trace_id: str
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    root = relation(traces.roots, refs.optional(Span), "The earliest span without a parent; null while none has come.")
    spans = connection(lists.TRACE_SPANS, page.SpanConnection, "In order of their start.")
    started_at: datetime
    duration_ms: float | None = strawberry.field(
        description="Time from the first start to the last end; null while a span runs or the root has not come."
    )
    running_spans: int = strawberry.field(description="How many of its spans have begun and not ended.")
    error_spans: int = strawberry.field(description="How many of its spans failed.")
    status_code: SpanStatusCode = strawberry.field(
        description="ERROR if any span failed, otherwise OK if any span succeeded."
    )
    usage: TokenUsage | None = strawberry.field(
        description="Summed over all spans; usage reported by both a span and its children is counted once."
    )


@backed_by(live.TraceEdge)
@strawberry.type(description="A change to a trace: spans of it have come, begun or ended.")
class TraceChange:
    cursor: str
    time: datetime
    kind: ChangeKind = strawberry.field(description="CREATED, UPDATED or DELETED, also with its session.")
    trace_id: str
    trace: Trace | None = strawberry.field(description="The trace as it is now; null once it is deleted.")
    left: bool = strawberry.field(
        description="The trace matched the filter before this change and does not any more; a deleted one leaves every "
        "list."
    )
