"""Entities: named things that memories and messages mention."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.declaration import NATURAL, SORTED, Natural, listed, refers
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import (
    MAX_BATCH,
    AnyNamed,
    Command,
    GivenObject,
    Json,
    Key,
    Ref,
    TimeRange,
    fold,
)
from domain.words import plain as words

THING = "thing"
"""The type of an entity of which none is told."""

MAX_MENTIONS = 100
"""How many entities the caller may say that one record mentions."""


MAX_ALIASES = 1_000
"""How many other names an entity may have."""


class MergedEntity(msgspec.Struct, frozen=True, gc=False):
    """An entity as it was when it became a part of another one."""

    id: Id
    name: str
    type: str
    aliases: list[str]
    metadata: Json
    external_id: str | None
    merged_at: datetime


class Entity(Node, frozen=True, kw_only=True, gc=False):
    """A named thing: a person, a place, a project, a file. found: by a rule, and no caller has named it yet. merged:
    those that became a part of it, the first one first."""

    prefix: ClassVar[str] = "ent"
    noun: ClassVar[str] = "entity"

    external_id: Annotated[str | None, NATURAL]
    name: Annotated[str, SORTED]
    type: Annotated[str, SORTED]
    aliases: list[str]
    metadata: Json
    merged: list[MergedEntity]
    created_at: Annotated[datetime, SORTED]
    updated_at: Annotated[datetime, SORTED]
    found: bool = False

    @property
    def names(self) -> list[str]:
        """All that it is called."""
        return [self.name, *self.aliases]


class EntityName(Node, frozen=True, kw_only=True, gc=False):
    """That a name of a type means an entity; of the type "", that it does where no type is told. It holds no text, only
    the digest of one, so that nothing of what is masked or erased is in a key."""

    prefix: ClassVar[str] = "enm"
    noun: ClassVar[str] = "entity name"
    hidden: ClassVar[bool] = True

    entity_id: Annotated[Id, refers("Entity", gone="cascade", edge="OF")]
    digest: Annotated[str, Natural(0)]
    type: Annotated[str, Natural(1)]


class Mention(Node, frozen=True, kw_only=True, gc=False):
    """That a record mentions an entity. found: by a rule; else the caller said so."""

    prefix: ClassVar[str] = "mtn"
    noun: ClassVar[str] = "mention"
    hidden: ClassVar[bool] = True

    target_id: Annotated[
        Id,
        refers("Message", "Memory", gone="cascade", edge="IN", lives=True),
        Natural(0),
        listed("created_at"),
    ]
    entity_id: Annotated[Id, refers("Entity", gone="cascade", edge="MENTIONS"), Natural(1), listed("created_at")]
    created_at: datetime
    found: bool = False


register(Entity, EntityName, Mention)


def plain(name: str) -> str:
    """A name without needless blanks."""
    return " ".join(name.split())


def kind_of_thing(type: str | None) -> str:
    """A type as it is kept."""
    return plain(type or THING).lower()


def digest_of(name: str) -> str:
    """What a name is found by, in whatever case and with whatever blanks it is written."""
    return hashlib.sha256(fold(plain(name)).encode("utf-8", "replace")).hexdigest()[:32]


def named_in(text: str, entities: Iterable[Entity]) -> frozenset[Id]:
    """The entities of which a text has a name whole, in whatever case."""
    said = f" {' '.join(words(text))} "
    return frozenset(
        one.id for one in entities if any(f" {name} " in said for name in map(" ".join, map(words, one.names)) if name)
    )


class MentionOrderField(enum.Enum):
    """Fields to sort mentions by."""

    CREATED_AT = "CREATED_AT"


class MentionOrder(Command, frozen=True, kw_only=True):
    """Sort order of mentions; ties are broken by id."""

    field: MentionOrderField = MentionOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.ASC


class EntityOrderField(enum.Enum):
    """Fields to sort entities by."""

    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    NAME = "NAME"
    TYPE = "TYPE"


class EntityOrder(Command, frozen=True, kw_only=True):
    """Sort order of entities; ties are broken by id."""

    field: EntityOrderField = EntityOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class EntityFilter(Command, frozen=True, kw_only=True):
    """Selects entities; all given members must match. text: in the name. aliases: all of these, as they are written.
    found: whether a rule found it and no caller has named it yet."""

    types: list[str] | None = None
    text: str | None = None
    aliases: list[str] | None = None
    external_ids: AnyNamed = None
    found: bool | None = None
    metadata: GivenObject = None
    created_at: TimeRange | None = None
    updated_at: TimeRange | None = None
    and_: list[EntityFilter] | None = msgspec.field(name="and", default=None)
    or_: list[EntityFilter] | None = msgspec.field(name="or", default=None)
    not_: EntityFilter | None = msgspec.field(name="not", default=None)


class EntityRef(Command, frozen=True, kw_only=True):
    """An entity by its id, by your externalId, or by one of its names. Give exactly one. type: of a name, where several
    things are called so."""

    id: Id | None = None
    external_id: str | None = None
    name: str | None = None
    type: str | None = None


class EntityInput(Command, frozen=True, kw_only=True):
    """A named thing. One that is known by this externalId, or by this name and type, is meant; else it is created.
    Without a type, what first was called so is meant; a new one is a "thing". Aliases and members of metadata are added
    to what is known."""

    name: Key
    type: Key | None = None
    aliases: Annotated[list[Key], Meta(max_length=MAX_MENTIONS)] | None = None
    metadata: GivenObject = None
    external_id: Key | None = None


Mentioned = Annotated[list[EntityInput], Meta(max_length=MAX_MENTIONS)]
"""What a caller says that a record mentions."""


class UpsertEntityInput(Command, frozen=True, kw_only=True):
    """An entity to create or change: one that is there, or an externalId of yours, which is created where it does not
    exist yet; then it needs a name. Omitted fields stay unchanged; aliases and metadata replace what was there."""

    entity: Ref
    name: Key | UnsetType = UNSET
    type: Key | UnsetType = UNSET
    aliases: Annotated[list[Key], Meta(max_length=MAX_MENTIONS)] | UnsetType | None = UNSET
    metadata: GivenObject | UnsetType | None = UNSET
    idempotency_key: Key | None = None


class MergeEntitiesInput(Command, frozen=True, kw_only=True):
    """Entities that are the same thing as another one, and become a part of it."""

    into: Ref
    entities: Annotated[list[Ref], Meta(max_length=MAX_BATCH)]
    dry_run: bool = False


class FindEntitiesInput(Command, frozen=True, kw_only=True):
    """Has the server's rules look through texts that are there: messages first, then memories, in the order of their
    ids. after: the endCursor of the call before."""

    after: Key | None = None
    first: Annotated[int, Meta(ge=1, le=500)] = 100


class FoundEntities(msgspec.Struct, frozen=True):
    """searched: how many texts were looked through. end_cursor: where to go on; None where all have been."""

    searched: int
    end_cursor: str | None


class DeleteEntitiesInput(Command, frozen=True, kw_only=True):
    """The entities to delete; what mentions them stays."""

    entities: Annotated[list[Ref], Meta(max_length=MAX_BATCH)]
    dry_run: bool = False
