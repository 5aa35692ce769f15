"""Users and agents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from domain import actor as domain
from domain import memory as domain_memory
from resolvers import actors, lists
from schema import page
from schema.fields import backed_by, connection, relation, with_lists
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain_memory.MemoryUsage)
@strawberry.type(description="Memory capacity used by an owner.")
class MemoryUsage:
    active: int
    archived: int
    capacity: int = strawberry.field(
        description="Number of active memories allowed before the least important are archived."
    )
    size_bytes: int = strawberry.field(description="Size of the active memories' texts in bytes.")
    fullness: float = strawberry.field(description="active / capacity.")


@backed_by(domain.User)
@strawberry.type(description="A person.")
class User(Node):
    external_id: str | None
    name: str
    profile: JSON
    created_at: datetime
    sessions = connection(lists.ACTOR_SESSIONS, page.SessionConnection, "Sessions it takes part in.")
    memories = connection(lists.ACTOR_MEMORIES, page.MemoryConnection, "Memories it owns, including archived ones.")
    memory_usage = relation(actors.usages, MemoryUsage)


@backed_by(domain.Agent)
@strawberry.type(description="A program that acts on its own or for a user.")
@with_lists(domain.Agent)
class Agent(Node):
    external_id: str | None
    name: str
    description: str | None
    config: JSON
    capabilities: list[str]
    created_at: datetime
    sessions = connection(lists.ACTOR_SESSIONS, page.SessionConnection, "Sessions it takes part in.")
    memories = connection(lists.ACTOR_MEMORIES, page.MemoryConnection, "Memories it owns, including archived ones.")
    memory_usage = relation(actors.usages, MemoryUsage)


Actor = Annotated[
    User | Agent, strawberry.union("Actor", description="The user or agent behind a participant or memory.")
]
