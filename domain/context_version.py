"""What the context of sessions was before: a version for each change, with its time, and why."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

from domain.declaration import SORTED, listed, refers, shown
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.session import Session
from domain.values import Command, GivenObject, Json, TimeRange


class ContextVersion(Node, frozen=True, kw_only=True, gc=False):
    """A context as it was from recorded_at until replaced_at. version: of the session, the last one that had it.
    replaced_by: the name of the credential that replaced it; comment: why, where that was said."""

    prefix: ClassVar[str] = "ctx"
    noun: ClassVar[str] = "version of a context"

    session_id: Annotated[
        Id,
        refers(Session, gone="cascade"),
        listed("version"),
        shown("context_history", "Earlier contexts, newest first; context is what it is now."),
    ]
    version: int
    context: Json
    recorded_at: datetime
    replaced_at: Annotated[datetime, SORTED]
    replaced_by: str
    comment: str | None = None


register(ContextVersion)


class ContextVersionOrderField(enum.Enum):
    """Fields to sort earlier contexts by."""

    VERSION = "VERSION"
    REPLACED_AT = "REPLACED_AT"


class ContextVersionOrder(Command, frozen=True, kw_only=True):
    """Sort order of earlier contexts; ties are broken by id."""

    field: ContextVersionOrderField = ContextVersionOrderField.VERSION
    direction: OrderDirection = OrderDirection.DESC


class ContextVersionFilter(Command, frozen=True, kw_only=True):
    """Selects earlier contexts: those in force at a time, those replaced in a time, and those with these members.
    All given members must match."""

    in_force: datetime | None = None
    replaced_at: TimeRange | None = None
    context: GivenObject = None
    and_: list[ContextVersionFilter] | None = msgspec.field(name="and", default=None)
    or_: list[ContextVersionFilter] | None = msgspec.field(name="or", default=None)
    not_: ContextVersionFilter | None = msgspec.field(name="not", default=None)


def context_version(session: Session, id: Id, by: str, comment: str | None, now: datetime) -> ContextVersion:
    """The context that a session has, as the version that is replaced now."""
    return ContextVersion(
        id=id,
        session_id=session.id,
        version=session.version,
        context=session.context,
        recorded_at=session.context_since or session.created_at,
        replaced_at=now,
        replaced_by=by,
        comment=comment,
    )
