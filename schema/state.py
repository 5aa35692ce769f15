"""State entries."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import state as domain
from schema.fields import backed_by
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain.StateEntry)
@strawberry.type(description="A value stored by a program under a namespace and key.")
class StateEntry(Node):
    namespace: str
    key: str
    value: JSON | None
    tags: list[str]
    version: int = strawberry.field(description="Increases with every write; use it as ifVersion.")
    updated_at: datetime
    expires_at: datetime | None
    ttl_seconds: int | None


@backed_by(domain.StateNamespace)
@strawberry.type(description="A namespace of state.")
class StateNamespace:
    name: str
    count: int = strawberry.field(
        description="How many entries it has, with those of namespaces that are not told apart."
    )
