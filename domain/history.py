"""What memories and their links were before: versions, and the graph as it was known at a time.

Two times are told apart: when a fact held (valid_from, valid_until), and when it was known (from recorded_at until
replaced_at). Decay and accesses are no versions, nor is what a memory was formed from.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

import msgspec
from msgspec.structs import replace

from domain.declaration import SORTED, listed, refers
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryFilter, MemoryStatus, says_when
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import EMPTY_OBJECT, Command, FloatRange, GivenObject, Json, TimeRange


class VersionCause(enum.Enum):
    """What replaced a version. EVICTED: archived because the capacity was reached. RELEASED: what superseded it is
    gone."""

    UPDATED = "UPDATED"
    MERGED = "MERGED"
    REFORMED = "REFORMED"
    ARCHIVED = "ARCHIVED"
    EVICTED = "EVICTED"
    RESTORED = "RESTORED"
    SUPERSEDED = "SUPERSEDED"
    RELEASED = "RELEASED"


class MemoryVersion(Node, frozen=True, kw_only=True, gc=False):
    """An earlier text and state of a memory, as it was from recorded_at until replaced_at.

    recorded_at, cause: None of versions from before these were noted.
    """

    prefix: ClassVar[str] = "ver"
    noun: ClassVar[str] = "version"

    memory_id: Annotated[Id, refers("Memory", gone="cascade", edge="WAS")]
    version: int
    text: str
    status: MemoryStatus
    importance: float
    tags: list[str]
    metadata: Json
    valid_from: datetime | None
    valid_until: datetime | None
    replaced_at: Annotated[datetime, SORTED]
    recorded_at: datetime | None = None
    cause: VersionCause | None = None


class LinkVersion(Node, frozen=True, kw_only=True, gc=False):
    """A link as it was from recorded_at until replaced_at, when it was changed or removed."""

    prefix: ClassVar[str] = "lkv"
    noun: ClassVar[str] = "version of a link"
    hidden: ClassVar[bool] = True

    link_id: Annotated[Id, refers(MemoryLink, gone="keep")]
    kind: MemoryLinkKind
    source_id: Annotated[Id, refers("Memory", gone="cascade"), listed("replaced_at")]
    target_id: Annotated[Id, refers("Memory", gone="cascade"), listed("replaced_at")]
    weight: float
    created_at: datetime
    recorded_at: datetime
    replaced_at: datetime
    removed: bool
    metadata: Json = EMPTY_OBJECT

    @property
    def link(self) -> MemoryLink:
        """The link as it was."""
        return MemoryLink(
            id=self.link_id,
            kind=self.kind,
            weight=self.weight,
            source_id=self.source_id,
            target_id=self.target_id,
            created_at=self.created_at,
            metadata=self.metadata,
            updated_at=self.recorded_at,
        )


register(MemoryVersion, LinkVersion)


class MemoryVersionOrderField(enum.Enum):
    """Fields to sort versions by."""

    VERSION = "VERSION"


class MemoryVersionOrder(Command, frozen=True, kw_only=True):
    """Sort order of versions; ties are broken by id."""

    field: MemoryVersionOrderField = MemoryVersionOrderField.VERSION
    direction: OrderDirection = OrderDirection.DESC


class ReplacedField(enum.Enum):
    """Fields to sort by what was replaced."""

    REPLACED_AT = "REPLACED_AT"


class ReplacedOrder(Command, frozen=True, kw_only=True):
    """What was replaced first comes first."""

    field: ReplacedField = ReplacedField.REPLACED_AT
    direction: OrderDirection = OrderDirection.ASC


class MemoryVersionFilter(Command, frozen=True, kw_only=True):
    """Selects versions: those in force at a time, and what a MemoryFilter asks of them and of their memory."""

    in_force: datetime | None = None
    statuses: list[MemoryStatus] | None = None
    tags: list[str] | None = None
    importance: FloatRange | None = None
    updated_at: TimeRange | None = None
    valid_at: datetime | None = None
    text: str | None = None
    metadata: GivenObject = None
    memory: MemoryFilter | None = None
    and_: list[MemoryVersionFilter] | None = msgspec.field(name="and", default=None)
    or_: list[MemoryVersionFilter] | None = msgspec.field(name="or", default=None)
    not_: MemoryVersionFilter | None = msgspec.field(name="not", default=None)


class LinkVersionFilter(Command, frozen=True, kw_only=True):
    """Selects versions of links that were in force at a time."""

    in_force: datetime | None = None
    and_: list[LinkVersionFilter] | None = msgspec.field(name="and", default=None)
    or_: list[LinkVersionFilter] | None = msgspec.field(name="or", default=None)
    not_: LinkVersionFilter | None = msgspec.field(name="not", default=None)


_VARIES = ("statuses", "tags", "importance", "updated_at", "valid_at", "text", "metadata")
_LOGIC = ("and_", "or_", "not_")


def version_of(memory: Memory, id: Id, cause: VersionCause, now: datetime) -> MemoryVersion:
    """What a memory is, as the version that is replaced now."""
    return MemoryVersion(
        id=id,
        memory_id=memory.id,
        version=memory.version,
        text=memory.text,
        status=memory.status,
        importance=memory.importance,
        tags=memory.tags,
        metadata=memory.metadata,
        valid_from=memory.valid_from,
        valid_until=memory.valid_until,
        replaced_at=now,
        recorded_at=memory.updated_at,
        cause=cause,
    )


def version_of_link(link: MemoryLink, id: Id, removed: bool, now: datetime) -> LinkVersion:
    """What a link is, as the version that is replaced or removed now."""
    return LinkVersion(
        id=id,
        link_id=link.id,
        kind=link.kind,
        source_id=link.source_id,
        target_id=link.target_id,
        weight=link.weight,
        created_at=link.created_at,
        recorded_at=link.known_since,
        replaced_at=now,
        removed=removed,
        metadata=link.metadata,
    )


def as_it_was(memory: Memory, version: MemoryVersion) -> Memory:
    """A memory as a version of it has it; what varies without a version is as it is now."""
    return replace(
        memory,
        text=version.text,
        status=version.status,
        importance=version.importance,
        tags=version.tags,
        metadata=version.metadata,
        valid_from=version.valid_from,
        valid_until=version.valid_until,
        version=version.version,
        updated_at=version.recorded_at or memory.created_at,
    )


def known_by(filter: MemoryFilter | None, at: datetime) -> MemoryFilter:
    """The filter for memories that have not changed since a time: without a time of its own it asks what held then."""
    filter = _held(filter, at)
    until = TimeRange(until=_just_after(at))
    if filter.updated_at is None:
        return replace(filter, updated_at=until)
    return replace(filter, and_=[*(filter.and_ or ()), MemoryFilter(updated_at=until)])


def _just_after(at: datetime) -> datetime:
    try:
        return at + timedelta(microseconds=1)
    except OverflowError:  # the end of all times
        return at


def replaced_since(filter: MemoryFilter | None, at: datetime) -> MemoryVersionFilter:
    """The same filter for the versions that were in force at that time."""
    return replace(_asked_of_versions(_held(filter, at)), in_force=at)


def _held(filter: MemoryFilter | None, at: datetime) -> MemoryFilter:
    filter = filter or MemoryFilter()
    return filter if says_when(filter) else replace(filter, valid_at=at)


def _asked_of_versions(filter: MemoryFilter) -> MemoryVersionFilter:
    def each(parts: list[MemoryFilter] | None) -> list[MemoryVersionFilter] | None:
        return None if parts is None else [_asked_of_versions(part) for part in parts]

    fixed = replace(filter, **dict.fromkeys((*_VARIES, *_LOGIC)))
    return MemoryVersionFilter(
        **{name: getattr(filter, name) for name in _VARIES},
        memory=None if fixed == MemoryFilter() else fixed,
        and_=each(filter.and_),
        or_=each(filter.or_),
        not_=None if filter.not_ is None else _asked_of_versions(filter.not_),
    )
