"""API keys and the audit log."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import audit, key
from domain.caller import Role
from schema.fields import backed_by
from schema.page import Node


@backed_by(key.ApiKey)
@strawberry.type(description="A key that opens this workspace. Its secret was shown once and is not kept.")
class ApiKey(Node):
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@backed_by(audit.AuditEntry)
@strawberry.type(description="One thing that was done in this workspace, or tried.")
class AuditEntry(Node):
    time: datetime
    caller: str = strawberry.field(description="The id of the credential: of an API key, or a token's subject.")
    caller_name: str
    action: str = strawberry.field(description="The mutation, or export.")
    outcome: str = strawberry.field(description="OK, or the code of the refusal; nothing was changed then.")
    targets: list[strawberry.ID] = strawberry.field(description="What it was done to: the first 20.")
