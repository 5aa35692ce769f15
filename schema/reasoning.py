"""Reasoning chains."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import reasoning as domain
from domain.reasoning import ReasoningStepKind
from resolvers import messages, reasoning, sessions
from schema import page, payloads, refs
from schema.enums import publish
from schema.fields import backed_by, relation
from schema.page import Node
from schema.scalars import JSON

publish(ReasoningStepKind)


@backed_by(domain.ReasoningStep)
@strawberry.type(description="A step of a reasoning chain.")
class ReasoningStep:
    kind: ReasoningStepKind
    text: str
    tool_execution = relation(
        reasoning.executions,
        refs.optional(refs.ToolExecution),
        "The run of a tool that it made or saw.",
        reads=["tool_execution_id"],
    )
    data: JSON | None
    created_at: datetime


@backed_by(domain.ReasoningChain)
@strawberry.type(description="How an agent reasoned, step by step.")
class ReasoningChain(Node):
    external_id: str | None
    agent = relation(reasoning.agents, refs.optional(refs.Agent), reads=["agent_id"])
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    message = relation(
        messages.messages_of, refs.optional(refs.Message), "The message that it led to.", reads=["message_id"]
    )
    steps: list[ReasoningStep]
    conclusion: str | None = strawberry.field(description="What it came to; null while it goes on.")
    metadata: JSON
    created_at: datetime
    updated_at: datetime


ReasoningChainConnection = page.connection_of("ReasoningChain", ReasoningChain)
ReasoningChainPayload = payloads.payload("ReasoningChain", chain=refs.optional(ReasoningChain))
