"""Tool executions."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import tool_execution as domain
from resolvers import messages, sessions, tool_execution, traces
from schema import page, payloads, refs
from schema.enums import NodeStatus
from schema.fields import backed_by, relation
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain.ToolExecution)
@strawberry.type(description="A run of a tool, told by startToolExecution, by its span, or by both.")
class ToolExecution(Node):
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    call_id: str | None = strawberry.field(description="The id of the tool call it answers.")
    tool: str
    arguments: JSON | None
    result: JSON | None
    error: str | None
    status = relation(
        tool_execution.statuses,
        NodeStatus,
        "PENDING, OK, ERROR, or TIMEOUT if it has not ended in time.",
        reads=["status", "times_out_at"],
    )
    started_at: datetime
    ended_at: datetime | None
    duration_ms: float | None = strawberry.field(description="Null while it runs, and if it timed out.")
    times_out_at: datetime | None = strawberry.field(description="When it times out, unless it ends before.")
    message = relation(
        messages.messages_of, refs.optional(refs.Message), "The message with its tool call.", reads=["message_id"]
    )
    span = relation(tool_execution.spans, refs.optional(refs.Span), reads=["span_record_id"])
    agent = relation(traces.event_agents, refs.optional(refs.Agent), reads=["agent_id"])


ToolExecutionConnection = page.connection_of("ToolExecution", ToolExecution)
ToolExecutionPayload = payloads.payload("ToolExecution", tool_execution=refs.optional(ToolExecution))


@backed_by(domain.ToolStats)
@strawberry.type(description="What became of the executions of one tool. Durations are of those that ended.")
class ToolStats:
    tool: str
    count: int
    pending: int
    ok: int
    error: int
    timeout: int
    average_ms: float | None
    p50_ms: float | None = strawberry.field(description="Half of them took no longer.")
    p90_ms: float | None
    p95_ms: float | None = strawberry.field(description="95 of 100 took no longer.")
    p99_ms: float | None
    max_ms: float | None
