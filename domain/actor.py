"""Users and agents, who act through participants and own memories."""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.declaration import NATURAL, SORTED, listed, refers
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.routing import AgentRoute, AgentRouteInput
from domain.values import Called, Command, GivenObject, Json, Key, Text


class User(Node, frozen=True, kw_only=True, gc=False):
    prefix: ClassVar[str] = "usr"
    noun: ClassVar[str] = "user"

    external_id: Annotated[str | None, NATURAL]
    name: Annotated[str, SORTED]
    profile: Json
    created_at: Annotated[datetime, SORTED]


class Agent(Node, frozen=True, kw_only=True, gc=False):
    prefix: ClassVar[str] = "agt"
    noun: ClassVar[str] = "agent"

    external_id: Annotated[str | None, NATURAL]
    name: Annotated[str, SORTED]
    description: str | None
    config: Json
    capabilities: list[str]
    created_at: Annotated[datetime, SORTED]
    routes: list[AgentRoute] = []


class AgentVersion(Node, frozen=True, kw_only=True, gc=False):
    """What an agent was, until replaced_at."""

    prefix: ClassVar[str] = "agv"
    noun: ClassVar[str] = "version of an agent"
    hidden: ClassVar[bool] = True

    agent_id: Annotated[Id, refers("Agent", gone="cascade"), listed("replaced_at")]
    replaced_at: datetime
    name: str
    description: str | None
    config: Json
    capabilities: list[str]


register(User, Agent, AgentVersion)

Actor = User | Agent


class AgentVersionOrderField(enum.Enum):
    """What versions of agents are sorted by."""

    REPLACED_AT = "REPLACED_AT"


class AgentVersionOrder(Command, frozen=True, kw_only=True):
    """What was replaced first comes first."""

    field: AgentVersionOrderField = AgentVersionOrderField.REPLACED_AT
    direction: OrderDirection = OrderDirection.ASC


class AgentSnapshot(msgspec.Struct, frozen=True):
    """What an agent was when it did something. replaced_at: until when; None where it still is that."""

    agent_id: Id
    name: str
    description: str | None
    config: Json
    capabilities: list[str]
    replaced_at: datetime | None


def is_another(before: Agent, after: Agent) -> bool:
    """Whether what a snapshot tells of an agent has changed."""
    return (before.name, before.description, bytes(before.config), before.capabilities) != (
        after.name,
        after.description,
        bytes(after.config),
        after.capabilities,
    )


def snapshot(agent: Agent, earlier: Sequence[AgentVersion], at: datetime) -> AgentSnapshot:
    """What an agent was at a time. earlier: all it was from then on, in order; what it was before may be among it."""
    place = bisect_right(earlier, at, key=attrgetter("replaced_at"))
    was = earlier[place] if place < len(earlier) else None
    of: Agent | AgentVersion = was or agent
    until = None if was is None else was.replaced_at
    return AgentSnapshot(agent.id, of.name, of.description, of.config, of.capabilities, until)


class ActorOrderField(enum.Enum):
    """Fields to sort users and agents by."""

    CREATED_AT = "CREATED_AT"
    NAME = "NAME"


class ActorOrder(Command, frozen=True, kw_only=True):
    """Sort order of users and agents; ties are broken by id."""

    field: ActorOrderField = ActorOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class ActorFilter(Command, frozen=True, kw_only=True):
    """Selects users or agents; text searches names and externalIds."""

    text: str | None = None
    capability: str | None = None
    metadata: GivenObject = None
    and_: list[ActorFilter] | None = msgspec.field(name="and", default=None)
    or_: list[ActorFilter] | None = msgspec.field(name="or", default=None)
    not_: ActorFilter | None = msgspec.field(name="not", default=None)


class UpsertUserInput(Command, frozen=True, kw_only=True):
    """Creates a user, or updates the one with this externalId. Omitted fields stay unchanged; null clears optional
    ones."""

    external_id: Key
    name: Called | UnsetType = UNSET
    profile: GivenObject | UnsetType | None = UNSET
    idempotency_key: Key | None = None


class UpsertAgentInput(Command, frozen=True, kw_only=True):
    """Creates an agent, or updates the one with this externalId. Omitted fields stay unchanged; null clears optional
    ones. routes: what leads to it, for routeAgent."""

    external_id: Key
    name: Called | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    config: GivenObject | UnsetType | None = UNSET
    capabilities: list[Key] | UnsetType | None = UNSET
    routes: Annotated[list[AgentRouteInput], Meta(max_length=50)] | UnsetType | None = UNSET
    idempotency_key: Key | None = None
