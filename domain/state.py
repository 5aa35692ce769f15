"""State: values that programs keep by namespace and key."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.declaration import EXPIRES, NATURAL, Stored, listed, refers
from domain.members import MemberTest
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import MAX_BATCH, Command, GivenLongJson, Json, Key, Seconds, TimeRange


class StateEntry(Node, frozen=True, kw_only=True, gc=False):
    """One value. version counts its writes, from 1; an entry past expires_at is gone. schema_id, schema_version: the
    schema by which it was checked when it was written. indexed: whether a search by meaning may find it."""

    prefix: ClassVar[str] = "sta"
    noun: ClassVar[str] = "state entry"

    namespace: Annotated[str, NATURAL, listed("name"), listed("updated_at")]
    key: Annotated[str, Stored("name"), NATURAL]
    value: Json
    tags: list[str]
    version: int
    updated_at: datetime
    expires_at: Annotated[datetime | None, EXPIRES]
    ttl_seconds: int | None = None
    schema_id: Annotated[Id | None, refers("StateSchema", gone="keep")] = None
    schema_version: int | None = None
    indexed: bool = True


register(StateEntry)


class StateOrderField(enum.Enum):
    """Fields to sort state entries by."""

    KEY = "KEY"
    UPDATED_AT = "UPDATED_AT"


class StateOrder(Command, frozen=True, kw_only=True):
    """Sort order of state entries; ties are broken by id."""

    field: StateOrderField = StateOrderField.KEY
    direction: OrderDirection = OrderDirection.ASC


class StateFilter(Command, frozen=True, kw_only=True):
    """Selects entries; all given members must match. prefix matches the beginning of the key;
    members: what each test asks of the value as it is stored."""

    prefix: str | None = None
    tags: list[str] | None = None
    members: list[MemberTest] | None = None
    updated_at: TimeRange | None = None
    and_: list[StateFilter] | None = msgspec.field(name="and", default=None)
    or_: list[StateFilter] | None = msgspec.field(name="or", default=None)
    not_: StateFilter | None = msgspec.field(name="not", default=None)


class StateInput(Command, frozen=True, kw_only=True):
    """A value to store. Without ttlSeconds it does not expire. Omitted tags stay unchanged; null removes them.
    ifVersion is the version the entry must have; 0 means it must not exist yet, as ifAbsent does. indexed:
    whether a search by meaning may find it; omitted it stays as it is, true at first."""

    namespace: Key
    key: Key
    value: GivenLongJson
    tags: list[Key] | UnsetType | None = UNSET
    ttl_seconds: Seconds | None = None
    if_version: int | UnsetType = UNSET
    if_absent: bool = False
    indexed: bool | UnsetType = UNSET


class SetStateInput(StateInput, frozen=True, kw_only=True):
    """A value to store."""

    idempotency_key: Key | None = None


class SetStatesInput(Command, frozen=True, kw_only=True):
    """Up to 1,000 values to store, all or none."""

    entries: Annotated[list[StateInput], Meta(max_length=MAX_BATCH)]
    idempotency_key: Key | None = None


class DeleteStateInput(Command, frozen=True, kw_only=True):
    """The entry to delete."""

    namespace: Key
    key: Key
    if_version: int | UnsetType = UNSET


class DeleteStatesInput(Command, frozen=True, kw_only=True):
    """The entries of a namespace to delete: those of some keys, or whose keys begin with a prefix, or all. below: also
    those of the namespaces below it, as `a/b` is below `a`."""

    namespace: Key
    keys: Annotated[list[Key], Meta(max_length=MAX_BATCH)] | None = None
    prefix: str | None = None
    below: bool = False
    dry_run: bool = False


class StateNamespace(msgspec.Struct, frozen=True):
    """A namespace, and how many entries it has with those below it that are not told apart."""

    name: str
    count: int


SEPARATOR = "/"
"""What parts the names of namespaces into steps."""


def gathered(counts: Iterable[tuple[str, int]], depth: int | None) -> list[StateNamespace]:
    """Namespaces with their counts, in order; those with more steps than depth are counted with what is above them."""
    found: dict[str, int] = {}
    for name, count in counts:
        shown = name if depth is None else SEPARATOR.join(name.split(SEPARATOR)[:depth])
        found[shown] = found.get(shown, 0) + count
    return [StateNamespace(name, count) for name, count in sorted(found.items())]
