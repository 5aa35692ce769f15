"""Typed links between sessions."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, UnsetType

from domain.declaration import Natural, listed, refers
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.session import Session
from domain.values import EMPTY_OBJECT, MAX_BATCH, Command, GivenObject, Json, Key, Ref


class SessionLinkKind(enum.Enum):
    """How one session relates to another: CONTINUES: goes on with what that one began; PART_OF: is a part of it, given
    to somebody; REFERS_TO: names it; FORKED_FROM: was made of it by forkSession, which makes the link, too."""

    RELATED = "RELATED"
    CONTINUES = "CONTINUES"
    PART_OF = "PART_OF"
    REFERS_TO = "REFERS_TO"
    FORKED_FROM = "FORKED_FROM"


ONE_WAY = (SessionLinkKind.CONTINUES, SessionLinkKind.PART_OF)
"""Kinds that must not lead back to where they begin."""


class SessionLink(Node, frozen=True, kw_only=True, gc=False):
    """A link from one session to another; there is one at most for each source, kind and target."""

    prefix: ClassVar[str] = "sln"
    noun: ClassVar[str] = "link of sessions"

    source_id: Annotated[Id, refers(Session, gone="cascade", lives=True), Natural(0), listed("created_at")]
    kind: Annotated[SessionLinkKind, Natural(1)]
    target_id: Annotated[Id, refers(Session, gone="cascade", lives=True), Natural(2), listed("created_at")]
    created_at: datetime
    metadata: Json = EMPTY_OBJECT


register(SessionLink)


class SessionLinkOrderField(enum.Enum):
    """Fields to sort links of sessions by."""

    CREATED_AT = "CREATED_AT"


class SessionLinkOrder(Command, frozen=True, kw_only=True):
    """Sort order of links of sessions; ties are broken by id."""

    field: SessionLinkOrderField = SessionLinkOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class SessionLinkInput(Command, frozen=True, kw_only=True):
    """A link to create; an existing one gets the new metadata. FORKED_FROM is not made so, but by forkSession."""

    source: Ref
    target: Ref
    kind: SessionLinkKind = SessionLinkKind.RELATED
    metadata: GivenObject | UnsetType | None = UNSET


class LinkSessionsInput(Command, frozen=True, kw_only=True):
    """Up to 1,000 links, all or none."""

    links: Annotated[list[SessionLinkInput], Meta(max_length=MAX_BATCH)]
    idempotency_key: Key | None = None


class UnlinkSessionsInput(Command, frozen=True, kw_only=True):
    """The links to remove, by their ids."""

    links: Annotated[list[Id], Meta(max_length=MAX_BATCH)]
