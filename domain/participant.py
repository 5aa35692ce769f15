"""Participants of a session."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar

from domain.declaration import NATURAL, listed, refers
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import Called, Command, Key, Ref, Whose


class SenderType(enum.Enum):
    """The kind of sender."""

    USER = "USER"
    AGENT = "AGENT"
    SYSTEM = "SYSTEM"
    TOOL = "TOOL"


ROLES: dict[str, SenderType] = {
    "user": SenderType.USER,
    "assistant": SenderType.AGENT,
    "agent": SenderType.AGENT,
    "system": SenderType.SYSTEM,
    "tool": SenderType.TOOL,
}
"""The role words of simple callers, and the sender type of each."""


class Participant(Node, frozen=True, kw_only=True, gc=False):
    """One voice in one session; actor_id names the user or agent behind it, where there is one."""

    prefix: ClassVar[str] = "par"
    noun: ClassVar[str] = "participant"

    session_id: Annotated[Id, refers("Session", gone="cascade", edge="TAKES_PART_IN"), NATURAL, listed("name")]
    actor_id: Annotated[Id | None, refers("User", "Agent", gone="keep", edge="IS"), listed("session")]
    type: SenderType
    role: str
    name: str
    external_id: Annotated[str | None, listed()]
    joined_at: datetime
    left_at: datetime | None

    @property
    def type_name(self) -> str:
        """Its type, where types of other nodes are texts too."""
        return self.type.value


register(Participant)


def identity(type: SenderType, name: str, actor_id: Id | None = None, external_id: str | None = None) -> str:
    """What makes a participant the same one within its session: actor, else externalId, else type and name."""
    if actor_id is not None:
        return f"actor:{actor_id}"
    if external_id is not None:
        return f"external:{external_id}"
    return f"{type.value}:{name}"


class ParticipantOrderField(enum.Enum):
    """Fields to sort participants by."""

    JOINED_AT = "JOINED_AT"
    NAME = "NAME"


class ParticipantOrder(Command, frozen=True, kw_only=True):
    """Sort order of participants; ties are broken by id."""

    field: ParticipantOrderField = ParticipantOrderField.JOINED_AT
    direction: OrderDirection = OrderDirection.ASC


class ParticipantInput(Command, frozen=True, kw_only=True):
    """A new participant; actor is the user or agent (depending on type) behind it."""

    type: SenderType = SenderType.USER
    actor: Whose = None
    role: Called | None = None
    name: Called | None = None
    external_id: Key | None = None


class AddParticipantInput(ParticipantInput, frozen=True, kw_only=True):
    """A participant to add to a session."""

    session: Ref
    idempotency_key: Key | None = None


class RemoveParticipantInput(Command, frozen=True, kw_only=True):
    """The participant to remove; its messages stay."""

    session: Ref
    participant: Ref
