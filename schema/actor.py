"""Users and agents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from domain import actor as domain
from domain import memory as domain_memory
from resolvers import actors, lists
from schema import page
from schema.fields import backed_by, connection, relation
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain_memory.MemoryUsage)
@strawberry.type(description="How much of its memory capacity an owner uses.")
class MemoryUsage:
    active: int
    archived: int
    capacity: int = strawberry.field(description="How many active memories fit before the least are archived.")
    size_bytes: int = strawberry.field(description="The bytes of the active memories' texts.")
    fullness: float = strawberry.field(description="active / capacity.")


@backed_by(domain.User)
@strawberry.type(description="A person.")
class User(Node):
    external_id: str | None
    name: str
    profile: JSON
    created_at: datetime
    sessions = connection(lists.ACTOR_SESSIONS, page.SessionConnection, "Where it takes part.")
    memories = connection(lists.ACTOR_MEMORIES, page.MemoryConnection, "What it owns, archived ones included.")
    memory_usage = relation(actors.usages, MemoryUsage)


@backed_by(domain.Agent)
@strawberry.type(description="A program that acts.")
class Agent(Node):
    external_id: str | None
    name: str
    description: str | None
    config: JSON
    capabilities: list[str]
    created_at: datetime
    sessions = connection(lists.ACTOR_SESSIONS, page.SessionConnection, "Where it takes part.")
    memories = connection(lists.ACTOR_MEMORIES, page.MemoryConnection, "What it owns, archived ones included.")
    memory_usage = relation(actors.usages, MemoryUsage)


Actor = Annotated[User | Agent, strawberry.union("Actor", description="Who stands behind participants and memories.")]
