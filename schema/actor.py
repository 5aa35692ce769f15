"""Users and agents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from domain import actor as domain
from domain import memory as domain_memory
from domain import routing as domain_routing
from domain.routing import RouteReason
from resolvers import actors, lists, routing
from schema import page, refs
from schema.enums import publish
from schema.fields import backed_by, connection, relation, with_lists
from schema.page import Node
from schema.scalars import JSON

publish(RouteReason)


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


@backed_by(domain_routing.AgentRoute)
@strawberry.type(description="A way to an agent, for routeAgent. Any one of what it has leads there.")
class AgentRoute:
    name: str | None
    capabilities: list[str] = strawberry.field(description="What the agent can do this way.")
    keywords: list[str] = strawberry.field(description="Words or phrases that stand in what is asked.")
    pattern: str | None = strawberry.field(description="A regular expression of RE2 that is found in what is asked.")
    examples: list[str] = strawberry.field(description="Texts that mean about what is asked.")
    priority: int
    is_fallback: bool = strawberry.field(description="It is for what leads nowhere else.")


@backed_by(domain.Agent)
@strawberry.type(description="A program that acts on its own or for a user.")
@with_lists(domain.Agent)
class Agent(Node):
    external_id: str | None
    name: str
    description: str | None
    config: JSON
    capabilities: list[str]
    routes: list[AgentRoute] = strawberry.field(description="What leads to it, for routeAgent.")
    created_at: datetime
    sessions = connection(lists.ACTOR_SESSIONS, page.SessionConnection, "Sessions it takes part in.")
    memories = connection(lists.ACTOR_MEMORIES, page.MemoryConnection, "Memories it owns, including archived ones.")
    memory_usage = relation(actors.usages, MemoryUsage)


@backed_by(domain.AgentSnapshot)
@strawberry.type(description="What an agent was when it spoke.")
class AgentSnapshot:
    agent = relation(actors.of_snapshots, refs.optional(refs.Agent), "The agent as it is now.", reads=["agent_id"])
    name: str
    description: str | None
    config: JSON
    capabilities: list[str]
    replaced_at: datetime | None = strawberry.field(
        description="Time from which the agent was another one; null where it still is this one."
    )


Actor = Annotated[
    User | Agent, strawberry.union("Actor", description="The user or agent behind a participant or memory.")
]


@backed_by(domain_routing.Reason)
@strawberry.type(description="Why an agent should answer.")
class AgentMatchReason:
    kind: RouteReason
    detail: str = strawberry.field(description="The capability, keywords, pattern or example; empty for a fallback.")
    score: float = strawberry.field(description="What it counts, from 0 to 1.")
    route: str | None = strawberry.field(description="The name of the route, if it has one.")


@backed_by(routing.AgentMatch)
@strawberry.type(description="An agent that should answer.")
class AgentMatch:
    agent: Agent
    score: float = strawberry.field(description="From 0 to 1: of all reasons together.")
    priority: int = strawberry.field(description="The highest of the routes that led to it.")
    reasons: list[AgentMatchReason] = strawberry.field(description="The best first.")
