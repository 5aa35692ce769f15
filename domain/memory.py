"""Memories and the rules of their decay."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.chunk import Formation
from domain.declaration import EXPIRES, NATURAL, SORTED, listed, made_of, refers, shown
from domain.entity import Mentioned
from domain.errors import invalid
from domain.link import NewLinkInput
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.target import TargetFilter
from domain.values import (
    EMPTY_OBJECT,
    MAX_BATCH,
    MAX_TEXT,
    Command,
    FloatRange,
    GivenObject,
    Json,
    Key,
    Ref,
    Seconds,
    Text,
    TimeRange,
    UnitFloat,
    Whose,
)

DECAY_FLOOR = 0.1
DECAY_RATE = 0.01
ACCESS_BOOST = 0.1
KEPT_SHARE = 0.9
"""The share of an owner's capacity that is left in place when a write would pass it."""


class MemoryType(enum.Enum):
    """What a memory is about: an event, a fact, a procedure, or the current task."""

    EPISODIC = "EPISODIC"
    SEMANTIC = "SEMANTIC"
    PROCEDURAL = "PROCEDURAL"
    WORKING = "WORKING"


class MemoryScope(enum.Enum):
    """Who a memory belongs to."""

    USER = "USER"
    AGENT = "AGENT"
    GLOBAL = "GLOBAL"


class MemoryStatus(enum.Enum):
    """ARCHIVED and SUPERSEDED memories are kept but not searched."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    SUPERSEDED = "SUPERSEDED"


class Memory(Node, frozen=True, kw_only=True, gc=False):
    """One memory. valid_from and valid_until say when the fact held, as opposed to when it was stored.

    formation: of one whose text was made of sources (domain.formation.Origin). stale: a message it was formed from was
    edited, redacted or deleted since.
    """

    prefix: ClassVar[str] = "mem"
    noun: ClassVar[str] = "memory"

    external_id: Annotated[str | None, NATURAL]
    type: MemoryType
    scope: MemoryScope
    owner_id: Annotated[Id | None, refers("User", "Agent", gone="refuse", edge="OWNED_BY"), listed("created_at")]
    status: MemoryStatus
    text: str
    tags: list[str]
    metadata: Json
    importance: Annotated[float, SORTED]
    decay_factor: float
    access_count: Annotated[int, SORTED]
    last_accessed_at: datetime | None
    created_at: Annotated[datetime, SORTED]
    updated_at: Annotated[datetime, SORTED]
    expires_at: Annotated[datetime | None, EXPIRES]
    version: int
    valid_from: datetime | None
    valid_until: datetime | None
    source_message_id: Annotated[Id | None, refers("Message", gone="null", edge="FORMED_FROM")]
    external_source: str | None
    session_id: Annotated[Id | None, refers("Session", gone="null", edge="FORMED_IN"), listed("created_at")]
    chunk_id: Annotated[
        Id | None,
        refers("Chunk", gone="null", edge="FORMED_BY"),
        listed("created_at"),
        shown("memories", "Memories formed from it, newest first."),
    ] = None
    formation: Formation | None = None
    stale: bool = False

    @property
    @made_of("type")
    def type_name(self) -> str:
        """Its type, where types of other nodes are texts too."""
        return self.type.value


class ExternalSource(msgspec.Struct, frozen=True, gc=False):
    """Something outside the graph that a memory came from, as its URI or name."""

    uri: str


class MemoryUsage(msgspec.Struct, frozen=True, gc=False):
    """How much of its capacity an owner uses. size_bytes counts the UTF-8 text of active memories."""

    active: int
    archived: int
    capacity: int
    size_bytes: int

    @property
    def fullness(self) -> float:
        """active / capacity."""
        return self.active / self.capacity


register(Memory)


class MemoryOrderField(enum.Enum):
    """Fields to sort memories by."""

    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    IMPORTANCE = "IMPORTANCE"
    LAST_ACCESSED_AT = "LAST_ACCESSED_AT"
    ACCESS_COUNT = "ACCESS_COUNT"


class MemoryOrder(Command, frozen=True, kw_only=True):
    """Sort order of memories; ties are broken by id."""

    field: MemoryOrderField = MemoryOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class MemoryFilter(TargetFilter, frozen=True, kw_only=True):
    """Selects memories; all given members must match. Expired memories never match. decay: of the decayFactor."""

    types: list[MemoryType] | None = None
    scopes: list[MemoryScope] | None = None
    owner: Whose = None
    statuses: list[MemoryStatus] | None = None
    session: Whose = None
    tags: list[str] | None = None
    importance: FloatRange | None = None
    decay: FloatRange | None = None
    created_at: TimeRange | None = None
    updated_at: TimeRange | None = None
    valid_at: datetime | None = None
    text: str | None = None
    metadata: GivenObject = None
    stale: bool | None = None
    entity: Whose = None
    and_: list[MemoryFilter] | None = msgspec.field(name="and", default=None)
    or_: list[MemoryFilter] | None = msgspec.field(name="or", default=None)
    not_: MemoryFilter | None = msgspec.field(name="not", default=None)


def without_text(filter: MemoryFilter, wide: bool = True) -> MemoryFilter:
    """The filter for a memory whose text is not known any more: what its text could match, it does.

    wide: holds at least where the filter may; else at most where it must, which is what stands in a `not`.
    """

    def each(parts: list[MemoryFilter] | None) -> list[MemoryFilter] | None:
        return None if parts is None else [without_text(part, wide) for part in parts]

    if filter.text is not None and not wide:
        return MemoryFilter(or_=[])
    return msgspec.structs.replace(
        filter,
        text=None,
        and_=each(filter.and_),
        or_=each(filter.or_),
        not_=None if filter.not_ is None else without_text(filter.not_, not wide),
    )


class NewMemory(Command, frozen=True, kw_only=True):
    """What every new memory may have, however its text is made."""

    type: MemoryType = MemoryType.EPISODIC
    scope: MemoryScope = MemoryScope.USER
    owner: Whose = None
    importance: UnitFloat = 0.5
    tags: list[Key] | None = None
    metadata: GivenObject = None
    links: list[NewLinkInput] | None = None
    vector: list[float] | None = None
    ttl_seconds: Seconds | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    created_at: datetime | None = None
    external_id: Key | None = None
    entities: Mentioned | None = None


class MemoryInput(NewMemory, frozen=True, kw_only=True):
    """A new memory. scope says whether the owner is a user or an agent; a GLOBAL memory has no owner."""

    text: Annotated[str, Meta(max_length=MAX_TEXT)]
    source_message: Ref | None = None
    external_source: Key | None = None


class OnDuplicate(enum.Enum):
    """What becomes of a new memory that says what an active one of its owner and type says: both are kept, or the one
    that is there is returned, counts an access, or also gets the new one's tags and importance."""

    KEEP = "KEEP"
    RETURN = "RETURN"
    TOUCH = "TOUCH"
    MERGE = "MERGE"


class CreateMemoryInput(MemoryInput, frozen=True, kw_only=True):
    """A memory to create."""

    on_duplicate: OnDuplicate = OnDuplicate.KEEP
    idempotency_key: Key | None = None


class CreateMemoriesInput(Command, frozen=True, kw_only=True):
    """Up to 1,000 memories to create, all or none; links may refer to earlier ones in the list by externalId."""

    memories: Annotated[list[MemoryInput], Meta(max_length=MAX_BATCH)]
    idempotency_key: Key | None = None


class UpdateMemoryInput(Command, frozen=True, kw_only=True):
    """Changes to a memory. Omitted fields stay unchanged; null clears optional ones. The previous version is kept in
    its history."""

    memory: Ref
    text: Text | UnsetType = UNSET
    importance: UnitFloat | UnsetType = UNSET
    tags: list[Key] | UnsetType | None = UNSET
    metadata: GivenObject | UnsetType | None = UNSET
    status: MemoryStatus | UnsetType = UNSET
    vector: list[float] | UnsetType = UNSET
    ttl_seconds: Seconds | UnsetType | None = UNSET
    valid_from: datetime | UnsetType | None = UNSET
    valid_until: datetime | UnsetType | None = UNSET
    entities: Mentioned | UnsetType | None = UNSET
    if_version: int | UnsetType = UNSET


Refs = Annotated[list[Ref], Meta(max_length=MAX_BATCH)]


class ArchiveMemoriesInput(Command, frozen=True, kw_only=True):
    """The memories to archive."""

    memories: Refs
    dry_run: bool = False


class RestoreMemoriesInput(Command, frozen=True, kw_only=True):
    """The archived memories to make active again."""

    memories: Refs


class DeleteMemoriesInput(Command, frozen=True, kw_only=True):
    """The memories to delete permanently, with their links and history."""

    memories: Refs
    dry_run: bool = False


class TouchMemoriesInput(Command, frozen=True, kw_only=True):
    """The memories whose use to record."""

    memories: Refs


class DecayMemoriesInput(Command, frozen=True, kw_only=True):
    """Lowers the decay factor of the matching active memories by `rate`, down to 0.1. Of no types but EPISODIC and
    SEMANTIC, unless `types` or the filter names types. A filter that matches everything is INVALID; to decay all
    memories, list all scopes."""

    filter: MemoryFilter | None = None
    types: list[MemoryType] | None = None
    rate: Annotated[float, Meta(gt=0, le=1)] = DECAY_RATE
    dry_run: bool = False


def narrows(filter: MemoryFilter | None) -> bool:
    """Whether a filter says which memories: one whose members are left out or empty does not, nor one that leaves out
    what nothing is."""
    if filter is None:
        return False
    said = {name: getattr(filter, name) for name in filter.__struct_fields__ if name not in ("and_", "or_", "not_")}
    empty: tuple[Any, ...] = (None, "", FloatRange(), TimeRange(), EMPTY_OBJECT)
    some = (value for name, value in said.items() if value not in empty and not (name == "tags" and not value))
    return (
        any(True for _ in some)
        or any(map(narrows, filter.and_ or ()))
        or (bool(filter.or_) and all(map(narrows, filter.or_ or ())))
        or (filter.not_ is not None and narrows(filter.not_) and not _is_never(filter.not_))
    )


def _is_never(filter: MemoryFilter) -> bool:
    """Whether nothing can match a filter, such as one of an empty list of types."""
    return (
        [] in (filter.types, filter.scopes, filter.statuses)
        or any(map(_is_never, filter.and_ or ()))
        or (filter.or_ is not None and all(map(_is_never, filter.or_)))
        or (filter.not_ is not None and not narrows(filter.not_))
    )


def says_when(filter: MemoryFilter | None) -> bool:
    """Whether a filter says of which time: by validAt, or by asking for what is superseded. Without it, what holds now
    is meant."""
    if filter is None:
        return False
    return (
        filter.valid_at is not None
        or MemoryStatus.SUPERSEDED in (filter.statuses or ())
        or any(map(says_when, filter.and_ or ()))
        or (bool(filter.or_) and all(map(says_when, filter.or_ or ())))
    )


def says_whose(filter: MemoryFilter | None) -> bool:
    """Whether a filter names the owner of whatever it lets through."""
    if filter is None:
        return False
    return (
        filter.owner is not None
        or any(map(says_whose, filter.and_ or ()))
        or (bool(filter.or_) and all(map(says_whose, filter.or_ or ())))
    )


FADING = (MemoryType.EPISODIC, MemoryType.SEMANTIC)
"""The types that fade where none are named: what is being worked on and how things are done stay."""


def names_types(filter: MemoryFilter | None) -> bool:
    """Whether a filter says of which types, in any of its parts."""
    if filter is None:
        return False
    parts = [*(filter.and_ or ()), *(filter.or_ or ()), filter.not_]
    return filter.types is not None or any(map(names_types, parts))


def decayed(factor: float, rate: float) -> float:
    """A decay factor after one step of fading: lower by the rate, never below 0.1."""
    return max(DECAY_FLOOR, factor - rate)


def boosted(factor: float) -> float:
    """A decay factor after an access: higher by 0.1, never above 1."""
    return min(1.0, factor + ACCESS_BOOST)


def touched(memory: Memory, now: datetime) -> Memory:
    """The memory after one access."""
    return msgspec.structs.replace(
        memory,
        decay_factor=boosted(memory.decay_factor),
        access_count=memory.access_count + 1,
        last_accessed_at=now,
    )


def weight(memory: Memory) -> float:
    """What a memory counts for, between 0 and 1: importance x decay."""
    return memory.importance * memory.decay_factor


def surplus(active: int, added: int, capacity: int) -> int:
    """How many of an owner's memories a write of `added` more moves out: none up to the capacity, and past it
    as many as bring the owner down to 90 % of it, as far as there are others than those just written."""
    total = active + added
    if total <= capacity:
        return 0
    return min(active, total - int(capacity * KEPT_SHARE))


def is_valid(memory: Memory, at: datetime) -> bool:
    """Whether the fact held at that time; valid_until is not in the span."""
    return (memory.valid_from is None or memory.valid_from <= at) and (
        memory.valid_until is None or at < memory.valid_until
    )


def has_ended(memory: Memory, at: datetime) -> bool:
    return memory.valid_until is not None and memory.valid_until <= at


def expiry(ttl_seconds: int | None, now: datetime) -> datetime | None:
    """When something written now with that time to live is gone."""
    if ttl_seconds is None:
        return None
    try:
        return now + timedelta(seconds=ttl_seconds)
    except OverflowError:
        raise invalid("ttlSeconds would end after the year 9999.", ["ttlSeconds"]) from None


def check(memory: MemoryInput) -> None:
    """Raises Rejected (INVALID) for a memory that cannot be: no text, or a scope that does not fit its owner."""
    if not memory.text.strip():
        raise invalid("A memory needs a text.", ["text"])
    if memory.scope is MemoryScope.GLOBAL and memory.owner is not None:
        raise invalid("A GLOBAL memory has no owner.", ["owner"])
    if memory.scope is not MemoryScope.GLOBAL and memory.owner is None:
        raise invalid(f"A memory of scope {memory.scope.value} needs an owner.", ["owner"])
    if memory.source_message is not None and memory.external_source is not None:
        raise invalid("Give sourceMessage or externalSource, not both.", ["externalSource"])
    if memory.valid_from is not None and memory.valid_until is not None and memory.valid_until <= memory.valid_from:
        raise invalid("validUntil must be after validFrom.", ["validUntil"])


def lightest_first(memories: Sequence[Memory]) -> list[Memory]:
    """The order in which capacity moves memories out: least importance x decay first, then the oldest id."""
    return sorted(memories, key=lambda memory: (weight(memory), memory.id))
