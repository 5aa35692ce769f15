"""State entries."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import state as domain
from domain import state_schema as schemas
from resolvers import state_index, state_schemas
from schema import page, payloads, refs
from schema.fields import backed_by, relation
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain.StateEntry)
@strawberry.type(description="A value stored by a program under a namespace and key.")
class StateEntry(Node):
    namespace: str
    key: str
    value = relation(state_schemas.values, refs.optional(JSON), reads=["value", "schema_id", "schema_version"])
    tags: list[str]
    version: int = strawberry.field(description="Increases with every write; use it as ifVersion.")
    updated_at: datetime
    expires_at: datetime | None
    ttl_seconds: int | None
    schema_version: int | None = strawberry.field(
        description="The version of its namespace's schema by which it was checked when it was written."
    )
    indexed: bool = strawberry.field(description="Whether searchStates may find it.")


@backed_by(domain.StateNamespace)
@strawberry.type(description="A namespace of state.")
class StateNamespace:
    name: str
    count: int = strawberry.field(
        description="How many entries it has, with those of namespaces that are not told apart."
    )


@backed_by(schemas.StateSchema)
@strawberry.type(description="What the values of a namespace of state must be: a JSON Schema.")
class StateSchema(Node):
    namespace: str
    schema: JSON
    version: int = strawberry.field(description="Increases with every change; use it as ifVersion.")
    migrations: JSON = strawberry.field(
        description="The steps of each version after the first, from values of the one before."
    )
    index: list[str] = strawberry.field(
        description="The members of values that searchStates looks for, here and in namespaces below that name none."
    )
    created_at: datetime
    updated_at: datetime


@backed_by(state_index.StateHit)
@strawberry.type(description="A state entry that was found.")
class StateHit:
    entry: StateEntry
    score: float = strawberry.field(description="From 0 to 1: (1 + cosine) / 2 of the member that is nearest.")


@backed_by(state_index.StateHits)
@strawberry.type(description="What a search of state found, best first.")
class StateSearch:
    hits: list[StateHit]
    complete: bool = strawberry.field(
        description="False while entries wait for their vectors, after an index was declared for instance."
    )


StateSchemaConnection = page.connection_of("StateSchema", StateSchema)
StateSchemaPayload = payloads.payload("StateSchema", state_schema=refs.optional(StateSchema))
