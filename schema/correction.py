"""Earlier contents of messages."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import correction as domain
from schema import page, payloads, refs
from schema.fields import backed_by
from schema.message import Content
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain.MessageVersion)
@strawberry.type(description="What a message was before it was edited.")
class MessageVersion(Node):
    version: int
    text: str
    content: list[Content]
    metadata: JSON
    replaced_at: datetime


MessageVersionConnection = page.connection_of("MessageVersion", MessageVersion)
RedactionPayload = payloads.payload(
    "Redaction", message=refs.optional(refs.Message), memories=refs.optional(list[refs.Memory])
)
