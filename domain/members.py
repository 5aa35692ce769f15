"""What filters ask of the members of JSON values, and the texts by which an engine can tell."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.values import MAX_NAME, Command, FloatRange, GivenJson, Json, Name

Pointer: TypeAlias = Annotated[
    str,
    Meta(
        max_length=MAX_NAME,
        pattern=r"^(/([^~/]|~[01])*)+$",
        extra={"must": "Must be a JSON Pointer such as /address/city."},
    ),
]


class MemberTest(Command, frozen=True, kw_only=True):
    """What a member of the value must be; all that is given must hold. at: a JSON Pointer through objects, such as
    /address/city. equals: also null, which one that is not there does not equal. range: of numbers. prefix: what a text
    begins with, case counting. exists: whether it is there, null or not."""

    at: Pointer
    equals: GivenJson | UnsetType | None = UNSET
    range: FloatRange | None = None
    prefix: Name | None = None
    exists: bool | None = None


class Mark(NamedTuple):
    """What one of the texts of a value must be, or none of them may: between two, or beginning with the first."""

    low: str
    high: str | None
    there: bool = True


def marks(value: Json) -> list[str]:
    """A text for each thing that can be asked of a value's members: that it is there, what it equals, its number, and
    the first 1,000 characters of its text."""
    return list(_marks("", msgspec.json.decode(value)))


def _marks(at: str, value: Any) -> Iterator[str]:
    if at:
        yield f"{at}\n"
        yield f"{at}\n={_digest(value)}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{at}\nn{_sortable(value)}"
        elif isinstance(value, str):
            yield f"{at}\ns{value[:1_000]}"
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _marks(f"{at}/{name.replace('~', '~0').replace('/', '~1')}", member)


def asked(test: MemberTest) -> list[Mark]:
    """What a test asks of the texts of a value."""
    found, at = [], f"{test.at}\n"
    if test.exists is not None:
        found.append(Mark(at, at, test.exists))
    if test.equals is not UNSET:
        equal = f"{at}={_digest(None if test.equals is None else msgspec.json.decode(test.equals))}"
        found.append(Mark(equal, equal))
    if test.range is not None:
        least, most = (None if one is None else _sortable(one) for one in (test.range.min, test.range.max))
        found.append(Mark(f"{at}n{least or ''}", f"{at}n{most or 'g'}"))
    if test.prefix is not None:
        found.append(Mark(f"{at}s{test.prefix}", None))
    return found


def passes(value: Json, tests: Sequence[MemberTest]) -> bool:
    """Whether a value passes all tests."""
    return _passes(marks(value), [mark for test in tests for mark in asked(test)])


def passes_encoded(value: str, tests: str) -> bool:
    """The same, of tests as JSON."""
    return _passes(marks(msgspec.Raw(value.encode())), _asked(tests))


@lru_cache(maxsize=64)
def _asked(tests: str) -> list[Mark]:
    return msgspec.json.decode(tests, type=list[Mark])


def _passes(texts: Sequence[str], asked: Sequence[Mark]) -> bool:
    return all(any(_is(text, mark) for text in texts) == mark.there for mark in asked)


def _is(text: str, mark: Mark) -> bool:
    return text.startswith(mark.low) if mark.high is None else mark.low <= text <= mark.high


def _digest(value: Any) -> str:
    """The same of values that are equal as JSON (domain.values.same)."""
    return blake2b(msgspec.json.encode(_alike(value), order="deterministic"), digest_size=16).hexdigest()


def _alike(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _alike(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_alike(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _sortable(number: float) -> str:
    """16 letters that are in the order of numbers."""
    try:
        number = float(number) + 0.0  # -0.0 is 0.0
    except OverflowError:
        number = float("inf") if number > 0 else float("-inf")
    [bits] = struct.unpack(">Q", struct.pack(">d", number))
    return f"{bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63):016x}"
