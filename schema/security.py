"""API keys and the audit log."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import audit, key
from schema.fields import backed_by
from schema.page import Node


@backed_by(key.ApiKey)
@strawberry.type(description="A key for this workspace. Its secret is shown only at creation and is not stored.")
class ApiKey(Node):
    name: str
    role_name: str = strawberry.field(name="role", description="READ, WRITE or ADMIN.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@backed_by(audit.AuditEntry)
@strawberry.type(description="An action performed or attempted in this workspace.")
class AuditEntry(Node):
    time: datetime
    caller: str = strawberry.field(description="The id of the credential: an API key's id or a token's subject.")
    caller_name: str
    action: str = strawberry.field(description="Name of the mutation, or export.")
    outcome: str = strawberry.field(description="OK, or the error code if the action was refused and changed nothing.")
    targets: list[strawberry.ID] = strawberry.field(description="The objects it changed, at most 20.")
