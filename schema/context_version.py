"""Earlier contexts of sessions."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import context_version as domain
from schema import page
from schema.fields import backed_by
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain.ContextVersion)
@strawberry.type(description="The context of a session before a change.")
class ContextVersion(Node):
    version: int = strawberry.field(description="Of the session: the last version of it with this context.")
    context: JSON
    recorded_at: datetime | None = strawberry.field(description="Time from which this was the context.")
    replaced_at: datetime = strawberry.field(description="Time at which it was replaced.")
    replaced_by: str = strawberry.field(description="Name of the credential that replaced it.")
    comment: str | None = strawberry.field(description="Why, where contextPatch said so.")


ContextVersionConnection = page.connection_of("ContextVersion", ContextVersion)
