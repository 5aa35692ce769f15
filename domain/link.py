"""Typed, weighted links between memories."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, UnsetType

from domain.declaration import Natural, Stored, listed, refers
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import EMPTY_OBJECT, MAX_BATCH, Command, GivenObject, Json, Key, Ref, UnitFloat


class MemoryLinkKind(enum.Enum):
    """How one memory relates to another."""

    RELATED = "RELATED"
    DERIVED_FROM = "DERIVED_FROM"
    SUPPORTS = "SUPPORTS"
    CONTRADICTS = "CONTRADICTS"
    SUPERSEDES = "SUPERSEDES"
    CAUSES = "CAUSES"
    PRECEDES = "PRECEDES"


class LinkDirection(enum.Enum):
    """Which links of a memory to return: outgoing, incoming or both."""

    OUT = "OUT"
    IN = "IN"
    BOTH = "BOTH"


class MemoryLink(Node, frozen=True, kw_only=True, gc=False):
    """A link from one memory to another; there is one at most for each source, kind and target. ended: of one of kind
    SUPERSEDES, until when the target was valid before it."""

    prefix: ClassVar[str] = "lnk"
    noun: ClassVar[str] = "link"

    kind: Annotated[MemoryLinkKind, Natural(1)]
    weight: float
    source_id: Annotated[Id, refers("Memory", gone="cascade", lives=True), Stored("src"), Natural(0)]
    target_id: Annotated[
        Id,
        refers("Memory", gone="cascade", lives=True),
        Stored("dst"),
        Natural(2),
        listed("kind", "src", "weight"),
    ]
    created_at: datetime
    metadata: Json = EMPTY_OBJECT
    ended: datetime | None = None
    updated_at: datetime | None = None

    @property
    def known_since(self) -> datetime:
        """Since when it is as it is."""
        return self.updated_at or self.created_at


register(MemoryLink)


class MemoryLinkOrderField(enum.Enum):
    """Fields to sort links by."""

    CREATED_AT = "CREATED_AT"
    WEIGHT = "WEIGHT"


class MemoryLinkOrder(Command, frozen=True, kw_only=True):
    """Sort order of links; ties are broken by id."""

    field: MemoryLinkOrderField = MemoryLinkOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class NewLinkInput(Command, frozen=True, kw_only=True):
    """A link from the memory being created."""

    target: Ref
    kind: MemoryLinkKind = MemoryLinkKind.RELATED
    weight: UnitFloat = 1.0


class LinkInput(Command, frozen=True, kw_only=True):
    """A link to create; an existing one gets the new weight and metadata."""

    source: Ref
    target: Ref
    kind: MemoryLinkKind = MemoryLinkKind.RELATED
    weight: UnitFloat = 1.0
    metadata: GivenObject | UnsetType | None = UNSET


class LinkMemoriesInput(Command, frozen=True, kw_only=True):
    """Up to 1,000 links, all or none."""

    links: Annotated[list[LinkInput], Meta(max_length=MAX_BATCH)]
    idempotency_key: Key | None = None


class UnlinkMemoriesInput(Command, frozen=True, kw_only=True):
    """The links to remove, by their ids."""

    links: Annotated[list[Id], Meta(max_length=MAX_BATCH)]
