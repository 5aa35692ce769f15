"""States and executions of workflows."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import workflow as domain
from resolvers import sessions, traces
from schema import payloads, refs
from schema.enums import NodeStatus
from schema.fields import backed_by, relation
from schema.page import Node
from schema.scalars import JSON
from schema.session import WorkflowSession


@backed_by(domain.WorkflowTransition)
@strawberry.type(description="A way out of a state.")
class WorkflowTransition:
    to: str
    name: str | None


@backed_by(domain.WorkflowState)
@strawberry.type(description="A state that a workflow may be in.")
class WorkflowState:
    name: str
    description: str | None
    transitions: list[WorkflowTransition]
    is_final: bool = strawberry.field(description="No transition leads on from it.")


@backed_by(domain.WorkflowExecution)
@strawberry.type(description="What was executed in a workflow.")
class WorkflowExecution(Node):
    external_id: str | None
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    state: str | None = strawberry.field(description="The state in which it was executed.")
    name: str
    input: JSON | None
    output: JSON | None
    error: str | None
    status: NodeStatus = strawberry.field(description="PENDING, OK or ERROR.")
    agent = relation(traces.event_agents, refs.optional(refs.Agent), reads=["agent_id"])
    started_at: datetime
    ended_at: datetime | None
    duration_ms: float | None
    metadata: JSON
    created_at: datetime


WorkflowPayload = payloads.payload("Workflow", session=refs.optional(WorkflowSession))
WorkflowExecutionPayload = payloads.payload("WorkflowExecution", execution=refs.optional(WorkflowExecution))
