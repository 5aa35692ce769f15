"""What the values of a namespace of state must be: a JSON Schema, and how values of its earlier versions become new."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.declaration import DUE, NATURAL, SORTED, Stored
from domain.errors import ErrorCode, reject
from domain.node import Node, register
from domain.page import OrderDirection
from domain.values import MAX_JSON, MAX_NAME, Command, GivenJson, GivenObject, Json, Key, Name, decode_json, encode_json

MAX_SCHEMA = 64 * 1024
"""The longest schema, in bytes."""

MAX_STEPS = 1_000
"""How many steps a schema may have in all its versions."""

MAX_MEMBERS = 10
"""How many members of values are searched by meaning."""

Member: TypeAlias = Annotated[
    str,
    Meta(
        max_length=MAX_NAME,
        pattern=r"^(\$|(/([^~/]|~[01])*)+)$",
        extra={"must": "Must be a JSON Pointer such as /title, or $ for the whole value."},
    ),
]
"""A member of values, or all of a value."""

_POINTER = re.compile(r"(/([^~/]|~[01])+)+")
"""A JSON Pointer to a member of an object, such as /address/city."""


class RenameMember(Command, frozen=True, kw_only=True):
    """A member is called otherwise from now on; where there is one of that name already, nothing changes."""

    at: Key
    to: Key


class DefaultMember(Command, frozen=True, kw_only=True):
    """A member that is not there has this value."""

    at: Key
    value: GivenJson


class StateStep(Command, frozen=True, kw_only=True):
    """A step from a value of the version before to one of this version. Members are named by JSON Pointers, such as
    /address/city. remove: the member that is no more. A member of what is not there, or is no object, is left alone."""

    rename: RenameMember | None = None
    default: DefaultMember | None = None
    remove: Key | None = None

    @property
    def pointer(self) -> str:
        """The member that it is about."""
        return self.remove or next(one.at for one in (self.rename, self.default) if one is not None)

    @property
    def is_whole(self) -> bool:
        """Whether it is one step, of what a JSON Pointer points to."""
        given = [one for one in (self.rename, self.default, self.remove) if one is not None]
        return len(given) == 1 and _POINTER.fullmatch(self.pointer) is not None


class StateSchema(Node, frozen=True, kw_only=True, gc=False):
    """The JSON Schema of a namespace. version: how often it was changed, from 1. migrations: the steps of each version
    after the first, from values of the one before. index: the members that are searched by meaning, here and in
    namespaces below that name none; due_at: since when entries that are there wait for that to hold for them."""

    prefix: ClassVar[str] = "sch"
    noun: ClassVar[str] = "state schema"

    namespace: Annotated[str, NATURAL]
    schema: Json
    version: int
    migrations: Json
    created_at: Annotated[datetime, SORTED]
    updated_at: datetime
    index: Annotated[list[str], Stored("indexed")] = []
    due_at: Annotated[datetime | None, DUE] = None

    def current(self, value: Json, version: int) -> Json:
        """A value that was written at a version of this schema, as it is now."""
        if version >= self.version:
            return value
        steps = [step for some in _steps(bytes(self.migrations))[version - 1 :] for step in some]
        return encode_json(stepped(decode_json(value), steps)) if steps else value

    def and_then(self, steps: Sequence[StateStep]) -> Json:
        """The migrations, with those to one more version. Raises Rejected (LIMIT) where they are too much."""
        every = [*decode_json(self.migrations), [_given(step) for step in steps]]
        if sum(map(len, every)) > MAX_STEPS:
            raise reject(ErrorCode.LIMIT, f"A schema has up to {MAX_STEPS:,} steps in all its versions.", ["steps"])
        migrations = encode_json(every)
        if len(bytes(migrations)) > MAX_JSON:
            message = f"The steps of a schema have up to {MAX_JSON:,} bytes in all its versions."
            raise reject(ErrorCode.LIMIT, message, ["steps"])
        return migrations


register(StateSchema)


class StateSchemaOrderField(enum.Enum):
    """Fields to sort the schemas of namespaces by."""

    CREATED_AT = "CREATED_AT"


class StateSchemaOrder(Command, frozen=True, kw_only=True):
    """An order of the schemas of namespaces; ties are broken by id."""

    field: StateSchemaOrderField = StateSchemaOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class SetStateSchemaInput(Command, frozen=True, kw_only=True):
    """What values of a namespace must be from now on. steps: how those of the version before become such; they are
    taken when a value is read. Without a schema it stays as it is; a new one then takes any value. index: the members
    of values that searchStates looks for, up to 10, as JSON Pointers such as /title, or $ for the whole value; it holds
    for entries that are there too, and for namespaces below, as `a/b` is below `a`, that name none. Omitted it stays;
    null and [] take it away. ifVersion is the version the schema must have; 0 means there must be none."""

    namespace: Key
    schema: GivenObject | UnsetType = UNSET
    index: Annotated[list[Member], Meta(max_length=MAX_MEMBERS)] | UnsetType | None = UNSET
    steps: Annotated[list[StateStep], Meta(max_length=MAX_STEPS)] | UnsetType | None = UNSET
    if_version: int | UnsetType = UNSET
    idempotency_key: Key | None = None


class DeleteStateSchemaInput(Command, frozen=True, kw_only=True):
    """The namespace that takes any value from now on. Its entries stay as they are stored."""

    namespace: Name
    if_version: int | UnsetType = UNSET


@lru_cache(maxsize=64)
def _steps(migrations: bytes) -> list[list[StateStep]]:
    return msgspec.json.decode(migrations, type=list[list[StateStep]])


def _given(step: StateStep) -> dict[str, Any]:
    return {name: value for name, value in decode_json(encode_json(step)).items() if value is not None}


def stepped(value: Any, steps: Sequence[StateStep]) -> Any:
    """A plain value after steps, which change what it is made of."""
    for step in steps:
        *way, name = [part.replace("~1", "/").replace("~0", "~") for part in step.pointer.split("/")[1:]]
        holder = value
        for part in way:
            holder = holder.get(part) if isinstance(holder, dict) else None
        if not isinstance(holder, dict):
            continue
        if step.default is not None:
            holder.setdefault(name, deepcopy(step.default.value))
        elif name in holder and step.remove is not None:
            del holder[name]
        elif name in holder and step.rename is not None and step.rename.to not in holder:
            holder[step.rename.to] = holder.pop(name)
    return value
