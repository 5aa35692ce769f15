"""Decisions and insights of panels."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import panel as domain
from domain.panel import InsightCategory
from resolvers import panel, sessions
from schema import payloads, refs
from schema.fields import backed_by, relation
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain.Vote)
@strawberry.type(description="What a participant of a panel was for.")
class Vote:
    participant = relation(panel.participants, refs.optional(refs.Participant), reads=["participant_id"])
    choice: str
    comment: str | None


@backed_by(domain.Decision)
@strawberry.type(description="What a panel has decided.")
class Decision(Node):
    external_id: str | None
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    topic: str | None = strawberry.field(description="What was to be decided.")
    text: str
    votes: list[Vote]
    consensus: float | None = strawberry.field(
        description="From 0 to 1: as it was told, else the share of the votes that are for what most are for."
    )
    metadata: JSON
    created_at: datetime


@backed_by(domain.Insight)
@strawberry.type(description="What a panel has come to understand.")
class Insight(Node):
    external_id: str | None
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    category: InsightCategory
    text: str
    supporting_messages = relation(
        panel.supporting,
        list[refs.Message],
        "The messages that support it, without those that were deleted.",
        reads=["message_ids"],
    )
    participant = relation(
        panel.participants, refs.optional(refs.Participant), "Who has it, where that is told.", reads=["participant_id"]
    )
    consensus: float | None
    metadata: JSON
    created_at: datetime


DecisionPayload = payloads.payload("Decision", decision=refs.optional(Decision))
InsightPayload = payloads.payload("Insight", insight=refs.optional(Insight))
