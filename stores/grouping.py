"""What engines share of groups, and how records are grouped with nothing but Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from itertools import product
from typing import Any

from domain.calendar import number
from domain.errors import ErrorCode, Rejected, reject
from domain.node import Node
from stores.ports.grouping import MAX_GROUPS, PERCENTS, By, Group, Grouping, Key, Summed, Value
from stores.predicate import World, column_of
from stores.rows import micros


def too_many() -> Rejected:
    return reject(ErrorCode.LIMIT, f"That makes more than {MAX_GROUPS} groups; filter more narrowly.", ["groupBy"])


def rank(count: int, percent: int) -> int:
    """The index, among so many in order, of a percentile by the nearest rank."""
    return -(-count * percent // 100) - 1


def percentiles(ordered: Any) -> tuple[float | None, ...]:
    return tuple(ordered[rank(len(ordered), percent)] if len(ordered) else None for percent in PERCENTS)


def grouped(records: Iterable[Node], grouping: Grouping, world: World) -> list[Group]:
    """The groups of some records."""
    found: dict[Key, list[Node]] = {}
    for record in records:
        if grouping.values_of is None or any(_naming(record, *grouping.values_of, world)):
            for key in dict.fromkeys(product(*(_keys(record, by, world) for by in grouping.by))):
                found.setdefault(key, []).append(record)
    if len(found) > MAX_GROUPS:
        raise too_many()
    if not grouping.by:
        found = found or {(): []}
    return [_group(key, grouping, of, world) for key, of in found.items()]


def _group(key: Key, grouping: Grouping, records: list[Node], world: World) -> Group:
    spread = [] if grouping.spread is None else sorted(_numbers(records, grouping.spread))

    def numbers(value: Value) -> list[float]:
        if grouping.values_of is None:
            return list(_numbers(records, value))
        of_each = (list(_numbers(_naming(one, *grouping.values_of, world), value)) for one in records)
        return [sum(several) for several in of_each if several]

    return Group(
        key,
        len(records),
        tuple(_summed(numbers(value), value) for value in grouping.values),
        tuple(sum(_plain(column_of(one, column)) == value for one in records) for column, value in grouping.having),
        percentiles(spread) if grouping.spread else (),
        len({column_of(one, grouping.apart) for one in records}) if grouping.apart else 0,
    )


def _summed(found: Sequence[float], value: Value) -> Summed:
    least, most = (min(found), max(found)) if found and value.ends else (None, None)
    return Summed(len(found), sum(found), least, most) if value.sum else Summed(0, 0, least, most)


def _naming(record: Node, kind: type[Node], column: str, world: World) -> Iterator[Node]:
    return (one for one in world.all(kind) if column_of(one, column) == record.id)


def _numbers(records: Iterable[Node], value: Value) -> Iterator[float]:
    for record in records:
        found = _number(column_of(record, value.column), value.size)
        since = _number(column_of(record, value.since), False) if value.since else 0
        if found is not None and since is not None:
            yield found - since


def _number(found: Any, size: bool) -> Any:
    if size:
        return len(found.encode())
    return micros(found) if isinstance(found, datetime) else found


def _keys(record: Node, by: By, world: World) -> list[str | int | None]:
    """The groups that a record is in by one of what they are told apart by."""
    base = record.id if not by.through else column_of(record, by.through)
    if by.joined is not None:
        of: list[Any] = [one for one in world.all(by.joined[0]) if base and column_of(one, by.joined[1]) == base]
    else:
        of = [record if not by.through else base and world.get(base)]
    found = [_key(column_of(one, by.column), by) for one in of if one is not None]
    if by.each:
        found = [text for texts in found for text in texts]
    if by.kind is not None and by.joined is not None:
        found = [one for one in found if one is not None]
    return list(dict.fromkeys(found)) or [None]


def _key(found: Any, by: By) -> Any:
    if by.bucket is not None:
        time = micros(found) or 0
        return number(by.bucket, time, by.offsets.at(time))
    if by.kind is not None:
        return found if found is not None and found.startswith(by.kind.prefix) else None
    return _plain(found)


def _plain(found: Any) -> Any:
    return found.value if isinstance(found, Enum) else found
