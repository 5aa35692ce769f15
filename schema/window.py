"""Windows of sessions."""

from __future__ import annotations

import strawberry

from domain.window import WindowPart
from resolvers import window
from schema.enums import publish
from schema.fields import backed_by, relation
from schema.memory import Memory
from schema.message import Message
from schema.scalars import JSON

publish(WindowPart)


@backed_by(window.WindowReason)
@strawberry.type(description="Why something is in a window.")
class WindowReason:
    id: strawberry.ID = strawberry.field(description="Of the message, memory or reasoning chain.")
    part: WindowPart
    tokens: int


@backed_by(window.SessionWindow)
@strawberry.type(description="What an agent reads of a session before it answers.")
class SessionWindow:
    memories: list[Memory] = strawberry.field(
        description="Of older messages and what the query recalls, by their time."
    )
    messages: list[Message] = strawberry.field(
        description="The latest ones, in order; calls and results are not split."
    )
    model_messages = relation(
        window.model_messages, JSON, "All of it in the form of a model vendor; results stand right behind their calls."
    )
    tokens: int = strawberry.field(description="Of all model messages; never above maxTokens.")
    omitted: int = strawberry.field(
        description="Messages of the branch that are neither here nor in what a memory here was formed from."
    )
    reasons: list[WindowReason]
