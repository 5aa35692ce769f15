"""The trash."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import trash as domain
from schema import page, payloads, refs
from schema.enums import NodeKind
from schema.fields import backed_by
from schema.page import Node


@backed_by(domain.TrashedSession)
@strawberry.type(description="A deleted session that restoreSession can bring back.")
class TrashedSession(Node):
    session_id: strawberry.ID = strawberry.field(description="The id it had, and has again once it is restored.")
    external_id: str | None
    title: str
    kind: NodeKind
    message_count: int
    created_at: datetime = strawberry.field(description="Of the session.")
    deleted_at: datetime
    expires_at: datetime | None = strawberry.field(description="When it goes for good.")
    size_bytes: int = strawberry.field(description="What it takes in the trash.")


TrashedSessionConnection = page.connection_of("TrashedSession", TrashedSession)
EmptyTrashPayload = payloads.payload("EmptyTrash", count=refs.optional(int), size_bytes=refs.optional(int))
