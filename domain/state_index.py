"""What of the values of state is searched by meaning, and the vectors of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec

from domain.declaration import DUE, NATURAL, listed, refers
from domain.node import Id, Node, register
from domain.state import SEPARATOR, StateEntry
from domain.state_schema import StateSchema
from domain.values import Command, Json, Said, decode_json

WHOLE = "$"
"""The member that is the whole value."""

CHARACTERS = 8_000
"""So much of the text of a member is embedded."""


class StateVector(Node, frozen=True, kw_only=True, gc=False):
    """The vector of a member of an entry's value. digest: of the text that it is of; embedder: whose it is
    (stores.ports.label_of); vector: of unit length, as little-endian float16; due_at: since when it waits for one, and
    after that when the entry's time is over, for an entry that takes the place of that one may leave it behind."""

    prefix: ClassVar[str] = "stv"
    noun: ClassVar[str] = "vector of a state entry"
    hidden: ClassVar[bool] = True

    entry_id: Annotated[Id, refers("StateEntry", gone="cascade", edge="OF"), NATURAL]
    member: Annotated[str, NATURAL]
    namespace: Annotated[str, listed("id")]
    digest: str
    embedder: str | None
    vector: bytes
    due_at: Annotated[datetime | None, DUE]


register(StateVector)


class StateQuery(Command, frozen=True, kw_only=True):
    """What entries are searched for: what they say."""

    text: Said


class Indexing(NamedTuple):
    """What holds for a namespace. schema: its own; members: those that are searched by meaning."""

    schema: StateSchema | None
    members: Sequence[str]

    def texts(self, entry: StateEntry) -> Iterator[tuple[str, str]]:
        """Each member that is searched with its text, of which the value says something."""
        if not entry.indexed or not self.members:
            return
        value = entry.value
        if self.schema is not None and entry.schema_id == self.schema.id:
            value = self.schema.current(value, entry.schema_version or 1)
        yield from self.texts_of(value)

    def texts_of(self, value: Json) -> Iterator[tuple[str, str]]:
        """The same of a value."""
        plain = decode_json(value)
        for member in self.members:
            if text := _text(_at(plain, member)):
                yield member, text


def above(namespace: str) -> list[str]:
    """A namespace and those that it is below, the nearest first."""
    steps = namespace.split(SEPARATOR)
    return [SEPARATOR.join(steps[:count]) for count in range(len(steps), 0, -1)]


def indexing(nearest: Sequence[StateSchema | None]) -> Indexing:
    """What holds for a namespace, of the schemas of it and those above it (see `above`): the nearest that says which
    members are searched."""
    return Indexing(nearest[0], next((one.index for one in nearest if one is not None and one.index), ()))


def digest_of(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _at(value: Any, member: str) -> Any:
    if member == WHOLE:
        return value
    for part in member.split("/")[1:]:
        value = value.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    """What a member says: a text as it is, texts in a list below each other, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = "\n".join(value)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text[:CHARACTERS].strip()
