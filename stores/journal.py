"""Keeps the logs of what happens to records of the kinds that have one.

What every engine's transaction does in `put` and `delete`, and what those who follow a log are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from domain.change import ChangeKind, Line, RecordChange, matched, states
from domain.node import Id, Node, kind_of
from domain.values import NULL, Json, encode_json
from stores.catalogue import kinds
from stores.catalogue.column import Column
from stores.catalogue.kind import Kind
from stores.catalogue.references import gone_with
from stores.ports import Log, Store, Transaction
from stores.predicate import World, passes
from stores.rows import text

Way = tuple[tuple[Kind[Any], Column], ...]


def log(kind: type[Node]) -> Log:
    """The log of a kind."""
    return Log("records", kinds.kind(kind).name)


async def put(tx: Transaction, records: Sequence[Node]) -> None:
    """Adds lines for records of one type that are about to be put."""
    of = kinds.kind(type(records[0]))
    if of.logged is not None:
        before = await tx.get(of.record, [record.id for record in records])
        pairs = zip(before, records, strict=True)
        await tx.append([_line(tx, of, old, new) for old, new in pairs if old != new])


async def delete(tx: Transaction, records: Iterable[Node]) -> None:
    """Adds lines for those of the records that are deleted, by themselves or with others, whose kind has a log."""
    about = ((kinds.kind(type(record)), record) for record in records)
    await tx.append([_line(tx, of, record, None) for of, record in about if of.logged is not None])


def _line(tx: Transaction, of: Kind[Any], before: Node | None, after: Node | None) -> RecordChange:
    what = ChangeKind.CREATED if before is None else ChangeKind.DELETED if after is None else ChangeKind.UPDATED
    record = after or before
    assert record is not None
    return RecordChange(
        id=tx.new_id(RecordChange),
        about=of.name,
        kind=what,
        record_id=record.id,
        time=tx.now,
        before=_kept(of, before),
        after=_kept(of, after),
    )


def _kept(of: Kind[Any], record: Node | None) -> Json:
    return NULL if record is None or of.logged is None else encode_json(of.logged(record))


def forgotten(*records: str) -> list[str]:
    """What is left in a line of the log of what was erased: of the record, as the line keeps it before and after, which
    it was, of what, and by whom."""
    said = map(msgspec.json.decode, records)
    return [text(one and {**one, **{name: None for name in _SAID if name in one}}) for one in said]


_SAID = ("value", "label", "external_id")


@cache
def ways(kind: Kind[Any]) -> list[Way]:
    """The ways to the records that have a log and go with those of a kind; the empty one is to these themselves."""
    found = [step.way for step in gone_with(kind) if step.gone == "cascade" and step.way[-1][0].logged is not None]
    return [*([()] if kind.logged is not None else []), *found]


async def told(
    store: Store, kind: type[Node], lines: Sequence[RecordChange], filter: Any
) -> list[tuple[RecordChange, bool]]:
    """The lines of what matched a filter of the kind before or does after, and whether it has left the filter.

    Whom a filter calls by externalId is looked up now.
    """
    found = [Line(line, _state(kind, line.before), _state(kind, line.after)) for line in lines]
    world = World.of({}) if filter is None else await _world(store, states(found))
    return list(matched(found, [passes(filter, state, world) for state in states(found)]))


def _state(kind: type[Node], value: Json) -> Any:
    return msgspec.json.decode(value, type=kind | None)


async def _world(store: Store, records: Sequence[Node]) -> World:
    """What records name."""
    named: dict[type[Node], dict[Id, None]] = {}
    for record in records:
        for column in kinds.kind(type(record)).references:
            id = getattr(record, str(column.field))
            if isinstance(id, str) and (kind := kind_of(id)) is not None:
                named.setdefault(kind, {})[Id(id)] = None
    found: dict[Id, Node] = {}
    for kind, ids in named.items():
        found |= {one.id: one for one in await store.get(kind, list(ids)) if one is not None}
    return World.of(found)
