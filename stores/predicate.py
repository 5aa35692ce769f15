"""The operators of stores.filters on records: whether one passes a filter, with nothing but Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, singledispatch
from operator import attrgetter
from typing import Any, NamedTuple

from domain import members
from domain.members import MemberTest
from domain.message import Message
from domain.node import Id, Node
from domain.session import Session
from domain.values import FloatRange, Ref, fold, has_members
from stores import filters as f
from stores import words
from stores.catalogue.kinds import kind
from stores.filters import FILTERS, Operator

_MICROSECOND = timedelta(microseconds=1)


class World(NamedTuple):
    """What a filter may look at beside a record: all records by id, and those of a kind."""

    get: Callable[[Id], Node | None]
    all: Callable[[type[Node]], Iterable[Node]]

    @classmethod
    def of(cls, records: Mapping[Id, Node]) -> World:
        return cls(records.get, lambda of: (one for one in records.values() if isinstance(one, of)))


def passes(filter: Any, record: Node, world: World) -> bool:
    if filter is None:
        return True
    of = Session if isinstance(record, Session) else type(record)
    for member, op in FILTERS[of].items():
        if (value := getattr(filter, member)) is not None and not holds(op, record, value, world):
            return False
    if (either := getattr(filter, "or_", None)) is not None and not any(passes(x, record, world) for x in either):
        return False
    without = getattr(filter, "not_", None)
    return all(passes(x, record, world) for x in getattr(filter, "and_", None) or ()) and not (
        without is not None and passes(without, record, world)
    )


def column_of(record: Node, column: str) -> Any:
    """What a record has in a column."""
    return _reader(type(record), column)(record)


@lru_cache(maxsize=1024)
def _reader(of: type[Node], column: str) -> Callable[[Node], Any]:
    return attrgetter(str(kind(of).columns[column].field))


@singledispatch
def holds(op: Operator, record: Node, value: Any, world: World) -> bool:
    """Whether an operator's condition holds for a record."""
    raise NotImplementedError(type(op))


@holds.register
def _(op: f.Equal, record: Node, value: Any, world: World) -> bool:
    return bool(column_of(record, op.column) == op.normal(value))


@holds.register
def _(op: f.Among, record: Node, value: Any, world: World) -> bool:
    return column_of(record, op.column) in value


@holds.register
def _(op: f.Within, record: Node, value: Any, world: World) -> bool:
    found = column_of(record, op.column)
    low, high, below = f.bounds(value)
    if found is None:
        return low is None and high is None
    return (low is None or found >= low) and (high is None or found < high or (below == "<=" and found == high))


@holds.register
def _(op: f.AtLeast, record: Node, value: Any, world: World) -> bool:
    found = column_of(record, op.column)
    return found is not None and bool(found >= value)


@holds.register
def _(op: f.Lasts, record: Node, value: Any, world: World) -> bool:
    start, end = column_of(record, op.start), column_of(record, op.end)
    range = f.milliseconds(value)
    if start is None or end is None:
        return range == FloatRange()
    found = (end - start) // _MICROSECOND
    return (range.min is None or found >= range.min * 1000) and (range.max is None or found <= range.max * 1000)


@holds.register
def _(op: f.HoldsAt, record: Node, value: datetime, world: World) -> bool:
    start, end = column_of(record, op.start), column_of(record, op.end)
    return (start is None or start <= value) and (end is None or end > value)


@holds.register
def _(op: f.IsNull, record: Node, value: bool, world: World) -> bool:
    return (column_of(record, op.column) is None) is value


@holds.register
def _(op: f.Prefix, record: Node, value: str, world: World) -> bool:
    return bool(column_of(record, op.column).startswith(value))


@holds.register
def _(op: f.Contains, record: Node, value: str, world: World) -> bool:
    texts = (column_of(record, column) for column in op.columns)
    return any(fold(value) in fold(text) for text in texts if text is not None)


@holds.register
def _(op: f.HasAll, record: Node, value: Any, world: World) -> bool:
    return set(f.wanted(value)) <= set(column_of(record, op.column))


@holds.register
def _(op: f.HasMembers, record: Node, value: Any, world: World) -> bool:
    return has_members(bytes(column_of(record, op.column)).decode(), bytes(value).decode())


@holds.register
def _(op: f.MembersPass, record: Node, value: Sequence[MemberTest], world: World) -> bool:
    return members.passes(column_of(record, op.column), value)


@holds.register
def _(op: f.PartContains, record: Node, value: str, world: World) -> bool:
    return any(fold(value) in fold(text) for text in op.part.of(column_of(record, op.part.column)))


@holds.register
def _(op: f.Says, record: Node, value: str, world: World) -> bool:
    wanted = words.demanded(value)
    return isinstance(record, Message) and bool(wanted) and words.says(record.searched, wanted)


@holds.register
def _(op: f.HasPart, record: Node, value: Any, world: World) -> bool:
    return not set(op.wanted(value)).isdisjoint(op.part.of(column_of(record, op.part.column)))


@holds.register
def _(op: f.RefersTo, record: Node, value: Any, world: World) -> bool:
    return _names(f.called(value), column_of(record, op.column), world)


@holds.register
def _(op: f.Called, record: Node, value: Ref, world: World) -> bool:
    return _names(value, record.id, world) or _names(value, column_of(record, op.column), world)


def _names(ref: Ref, id: Id | None, world: World) -> bool:
    if ref.id is not None or id is None:
        return id is not None and id == ref.id
    return getattr(world.get(id), "external_id", None) == ref.external_id


@holds.register
def _(op: f.Through, record: Node, value: Any, world: World) -> bool:
    id = column_of(record, op.column)
    other = None if id is None else world.get(id)
    return other is not None and holds(op.operator, other, value, world)


@holds.register
def _(op: f.Some, record: Node, value: Any, world: World) -> bool:
    others = (other for other in world.all(op.kind) if column_of(other, op.column) == record.id)
    return any(holds(op.operator, other, value, world) for other in others)


@holds.register
def _(op: f.Shares, record: Node, value: Any, world: World) -> bool:
    same = (other for other in world.all(op.kind) if column_of(other, op.column) == column_of(record, op.column))
    return any(holds(op.operator, other, value, world) for other in same)


@holds.register
def _(op: f.Either, record: Node, value: Any, world: World) -> bool:
    return any(holds(one, record, value, world) for one in op.operators)


@holds.register
def _(op: f.Matching, record: Node, value: Any, world: World) -> bool:
    return passes(value, record, world)


@holds.register
def _(op: f.OfKind, record: Node, value: Any, world: World) -> bool:
    return column_of(record, op.column)[:3] in f.prefixes(value)


@holds.register
def _(op: f.Never, record: Node, value: Any, world: World) -> bool:
    return False
