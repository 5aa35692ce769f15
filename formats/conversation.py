"""What a conversation of any format is read into, and what the readers share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any, TypeVar, overload

import msgspec

from domain.message import MessageInput
from domain.session import CreateSessionInput
from domain.unicode import decoded, read_json
from domain.values import MAX_NAME, Json, encode_json

MAX_KEPT = 64 * 1024
"""How many bytes of members that mean nothing to us are kept as metadata, beside each session and message."""

MAX_ID = 500
"""The longest id of a conversation or node that is taken from a file; externalIds are made of them."""

_SHOWN = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS: dict[type, str] = {
    str: "a text",
    dict: "an object",
    list: "a list",
    int: "a number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
}


def one_line(text: str) -> str:
    """A text for one line of a terminal, whatever it quotes."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_SHOWN])


class FormatError(Exception):
    """A file that cannot be read: what is wrong with it, and where, as one line."""

    def __init__(self, message: str, position: str = "") -> None:
        self.message, self.position = one_line(message), one_line(position)
        super().__init__(f"{self.position}: {self.message}" if position else self.message)


class Conversation(msgspec.Struct, frozen=True):
    """One session to be, known by its externalId, with all its messages, parents before children.

    Messages are known by externalIds of their own, and name their parents by these. current: the one at which the
    branch ends that is shown, None where the file does not tell. passing: those that are nothing to remember, such as
    answers that are not finished.
    """

    session: CreateSessionInput
    messages: list[MessageInput]
    current: str | None = None
    passing: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        assert self.session.external_id is not None, "readers give every session an externalId"
        return self.session.external_id

    def branch(self, end: str | None) -> set[str]:
        """The messages of the branch that ends at one; at the latest for None, or where there is no such message."""
        above = {name: message.parent for message in self.messages if (name := message.external_id) is not None}
        name = end if end in above else next(reversed(above), None)
        found = set[str]()
        while name is not None:
            found.add(name)
            parent = above.get(name)
            name = None if parent is None else parent.external_id
        return found


T = TypeVar("T")


class Conversations(Sequence[Conversation]):
    """The conversations of a file, each made anew whenever it is asked for, so that one is in memory and not all."""

    def __init__(self, parts: Sequence[T], make: Callable[[T], Conversation]) -> None:
        """Makes each of them once. Raises FormatError, and later no more."""
        self._len = len(parts)
        self._make: Callable[[int], Conversation] = lambda place: make(parts[place])
        for _ in self:
            pass

    def __len__(self) -> int:
        return self._len

    @overload
    def __getitem__(self, place: int) -> Conversation: ...
    @overload
    def __getitem__(self, place: slice) -> list[Conversation]: ...
    def __getitem__(self, place: int | slice) -> Conversation | list[Conversation]:
        if isinstance(place, slice):
            return [self._make(index) for index in range(self._len)[place]]
        return self._make(range(self._len)[place])


def parse(data: bytes) -> Any:
    """The value of a JSON file. Raises FormatError with the line and column where it is none."""
    try:
        return read_json(msgspec.json.decode, data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise fault(data, str(error)) from None


def fault(data: bytes, known: str, line: int = 1) -> FormatError:
    """Where a file is broken, which the quicker reader only knows by its own words. line: where it begins."""
    text = decoded(data.removeprefix(b"\xef\xbb\xbf"))
    if not text.strip():
        return FormatError("the file is empty")
    try:
        json.loads(text, parse_constant=_no_constant, parse_int=float)
        return FormatError(f"not JSON: {known}")
    except json.JSONDecodeError as error:
        return FormatError(f"not JSON: {error.msg}", f"line {line - 1 + error.lineno}, column {error.colno}")
    except RecursionError:
        return FormatError("the JSON is nested too deeply")
    except ValueError as error:
        return FormatError(f"not JSON: {error}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def member(value: Mapping[str, Any], path: str, kind: type, where: str, optional: bool = False) -> Any:
    """A member of an object, which the file calls by the last name of `path`; an optional one may be null or left out.

    Raises FormatError, which names the path, where the member is missing or of another kind.
    """
    found = value.get(path.rpartition(".")[2])
    if found is None and optional:
        return None
    if found is None and path.rpartition(".")[2] not in value:
        raise FormatError(f"{path} is missing", where)
    return expect(found, path, kind, where)


def expect(value: Any, name: str, kind: type, where: str) -> Any:
    """The value, if it is of that kind. Raises FormatError, which calls it by `name`."""
    if type(value) is not kind:
        raise FormatError(f"{name} must be {_KINDS[kind]}, not {_KINDS[type(value)]}", where)
    return value


def own_id(value: Any, name: str, where: str) -> str:
    """An id that externalIds can be made of."""
    text: str = expect(value, name, str, where)
    if not 0 < len(text) <= MAX_ID:
        raise FormatError(f"{name} must have 1 to {MAX_ID} characters", where)
    return text


def moment(value: Any, name: str, where: str) -> datetime | None:
    """A time: seconds since 1970, to the microsecond, or RFC 3339 text. Raises FormatError for what is neither."""
    if value is None:
        return None
    try:
        if type(value) is int or type(value) is float:
            return _EPOCH + timedelta(seconds=value)
        if type(value) is str:
            found = datetime.fromisoformat(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise FormatError(f"{name} is not a time", where)


def first_time(messages: Sequence[MessageInput]) -> datetime | None:
    return next((message.created_at for message in messages if message.created_at is not None), None)


def title(text: str) -> str:
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"


def kept(members: Mapping[str, Any], limit: int = MAX_KEPT) -> dict[str, Any]:
    """The members that say something, as long as they are small; the names of larger ones are under "left_out"."""
    room, found, left_out = limit, {}, []
    for name, value in members.items():
        if value is None or value == [] or value == {} or value == "":
            continue
        size = len(name) + len(msgspec.json.encode(value))
        if size > room:
            left_out.append(name)
            continue
        room -= size
        found[name] = value
    return {**found, "left_out": left_out} if left_out else found


def metadata(members: Mapping[str, Any]) -> Json | None:
    """Members as metadata; None where there are none."""
    return encode_json(members) if members else None
