"""Ids (UUIDv7) and the base class of every stored record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NewType, TypeAlias

import msgspec

Id = NewType("Id", str)
"""Opaque public id: a three-letter kind, an underscore, and a UUIDv7 in 32 lower-case hex digits."""

if TYPE_CHECKING:
    OfWhich: TypeAlias = Id | None
else:
    OfWhich = Id
"""An id that says of which. It is None where it is left out, and never null in what is read, as `Whose` is not."""

_VERSION = 0x7 << 76 | 0b10 << 62
_RANDOM = (1 << 62) - 1


def next_uuid7(last: int, unix_ms: int, random: int) -> int:
    """The UUIDv7 (RFC 9562, section 5.7) that follows `last`, as a 128-bit integer.

    unix_ms: the time in milliseconds since 1970. random: at least 62 random bits.
    Ids made one after another are strictly increasing, also within a millisecond and when the clock steps
    back: the 12 bits after the version count on (RFC 9562, section 6.2, method 1).
    """
    count = max((last >> 80 << 12 | last >> 64 & 0xFFF) + 1, unix_ms << 12)  # a full sequence goes on in the next one
    return (count >> 12 << 80) | _VERSION | (count & 0xFFF) << 64 | random & _RANDOM


class RecordType(msgspec.StructMeta):
    """Records are made by keyword: type checkers refuse positions. At run time there are positions for what is
    generated, since CPython makes a dict for a call of 16 keywords and more (a memory took 41 % longer to read)."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, kw_only: bool = False, **config: Any
    ) -> RecordType:
        return super().__new__(mcls, name, bases, namespace, **config)


class Node(msgspec.Struct, frozen=True, kw_only=True, gc=False, metaclass=RecordType):
    """A stored record with an id. Subclasses name their kind in `prefix` and, for messages, in `noun`. hidden: callers
    see no such records."""

    prefix: ClassVar[str] = ""
    noun: ClassVar[str] = "node"
    hidden: ClassVar[bool] = False
    kinds: ClassVar[dict[str, type[Node]]] = {}

    id: Id

    @classmethod
    def make_id(cls, uuid: int) -> Id:
        return Id(f"{cls.prefix}_{uuid.to_bytes(16).hex()}")


def id_of(record: Node | None) -> Id | None:
    return None if record is None else record.id


def kind_of(id: str) -> type[Node] | None:
    """The record type an id names, or None where the text is no id of ours."""
    return Node.kinds.get(id[:3]) if len(id) == 36 and id[3:4] == "_" else None


def register(*types: type[Node]) -> None:
    for record in types:
        Node.kinds[record.prefix] = record
