"""Value types shared by many records, with their limits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw

from domain.errors import invalid
from domain.node import Id

MAX_NAME = 1_000
MAX_TEXT = 100_000
MAX_JSON = 256 * 1024
MAX_LONG_JSON = 8 * 1024 * 1024
MAX_BATCH = 1_000

Json: TypeAlias = Raw
"""A JSON value as its encoded text, of at most 256 KB, in a state entry of 8 MB: kept and sent as it came, decoded
where a rule looks inside."""

GivenJson: TypeAlias = Any
"""A JSON value in a command: a Json, or None where it is not given. (A union with None is beyond msgspec's Raw.)"""

GivenLongJson: TypeAlias = Annotated[Any, Meta(extra={"bytes": MAX_LONG_JSON})]
"""A GivenJson that may be long."""

GivenObject: TypeAlias = Annotated[Any, Meta(extra={"json": "object"})]

Text: TypeAlias = Annotated[str, Meta(max_length=MAX_TEXT)]
Name: TypeAlias = Annotated[str, Meta(max_length=MAX_NAME)]
Called: TypeAlias = Annotated[str, Meta(max_length=MAX_NAME, pattern=r"^$|\S")]
"""What somebody is called: not blanks alone; an empty one is as if none were given."""

Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, pattern=r"\S")]
Said: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]
"""A text that says something."""

UnitFloat: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Seconds: TypeAlias = Annotated[int, Meta(ge=1)]

EMPTY_OBJECT = Raw(b"{}")
NULL = Raw(b"null")


S = TypeVar("S", bound=msgspec.Struct)


class Command(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a caller asks for. The constraints of its fields are checked where it is read from a request.

    A member `T | None` takes null for left out. One of a change, which must tell the two apart, is `T | UnsetType`,
    which refuses null, or `T | None | UnsetType`, of which null clears what it changes.
    """


class Ref(Command, frozen=True, kw_only=True):
    """A reference to an object by our id or by the caller's own externalId. Give exactly one."""

    id: Id | None = None
    external_id: str | None = None


if TYPE_CHECKING:
    Whose: TypeAlias = Ref | None
    Named: TypeAlias = str | None
    AnyNamed: TypeAlias = list[str] | None
else:
    Whose, Named, AnyNamed = Ref, str, list[str]
"""A reference, a name, or several names that say whose or of which. Such a one is None where it is left out, and never
null in what is read: who sends null has lost an id, and would be given everybody's."""


class TimeRange(Command, frozen=True, kw_only=True):
    """A time range that includes `from` and excludes `until`."""

    from_: datetime | None = msgspec.field(name="from", default=None)
    until: datetime | None = None


class FloatRange(Command, frozen=True, kw_only=True):
    """A number range that includes both ends."""

    min: float | None = None
    max: float | None = None


def encode_json(value: object) -> Json:
    return Raw(msgspec.json.encode(value))


def decode_json(value: Json) -> Any:
    return msgspec.json.decode(value)


@lru_cache(maxsize=64)
def _members(text: str) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.json.decode(text)
    return members


def has_members(text: str, wanted: str) -> bool:
    """Whether the JSON object `text` has all members of the object `wanted`, with equal values."""
    members = msgspec.json.decode(text)
    return all(name in members and same(members[name], value) for name, value in _members(wanted).items())


def same(a: Any, b: Any) -> bool:
    """Whether two plain JSON values are equal: numbers by their value, objects in any order; true is not 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(value, b[name]) for name, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    equal: bool = isinstance(a, bool) is isinstance(b, bool) and a == b
    return equal


def given(command: Command, **empty: Any) -> dict[str, Any]:
    """Those of the named members that were given, with what is said here in the place of null."""
    found = {name: getattr(command, name) for name in empty}
    return {name: empty[name] if value is None else value for name, value in found.items() if value is not UNSET}


def changed(record: S, **changes: Any) -> S:
    """The record with the changes; the same record where they change nothing."""
    fresh = {name: value for name, value in changes.items() if not _equal(getattr(record, name), value)}
    return msgspec.structs.replace(record, **fresh) if fresh else record


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Raw) and isinstance(b, Raw):
        return bytes(a) == bytes(b) or same(decode_json(a), decode_json(b))
    return bool(a == b)


def fold(text: str) -> str:
    """A text without the difference of case, for looking for one in another."""
    return text.lower().replace("ς", "σ")  # at the end of a word lower() makes the former of what it makes the latter


def merge(base: Json, patch: Json | None, remove: Sequence[str] | None, path: Sequence[str | int]) -> Json:
    """`base`, an object, with the members of `patch` set and those named in `remove` gone; one level deep.

    Raises Rejected (INVALID, at `path`, where the patch was given) for an object that would be too large.
    """
    members = decode_json(base)
    if patch is not None:
        members.update(decode_json(patch))
    for name in remove or ():
        members.pop(name, None)
    merged = encode_json(members)
    if len(bytes(merged)) > MAX_JSON:
        raise invalid(f"The merged object would exceed {MAX_JSON} bytes.", path)
    return merged
