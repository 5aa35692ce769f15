"""Keeps the logs of what happens to records of the kinds that have one.

What every engine's transaction does in `put` and `delete`, and what those who follow a log are told. A line has what
the record was before; what it was after is what its next line found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace

from domain.change import ChangeKind, Line, RecordChange, matched, states
from domain.node import Id, Node, kind_of
from stores.catalogue import kinds
from stores.catalogue.column import Column
from stores.catalogue.kind import Kind
from stores.catalogue.references import gone_with
from stores.filters import FILTERS, Contains, HasMembers, Shares, Some
from stores.ports import Log, Store, Transaction
from stores.predicate import World, passes

Way = tuple[tuple[Kind[Any], Column], ...]


class Logging(Transaction, Protocol):
    """What a transaction has beside the port's methods."""

    def is_logged(self, id: Id) -> bool:
        """Whether what is committed together has a line of a record already, which is not deleted since: one is
        enough, however often it is put."""


def log(kind: type[Node]) -> Log:
    """The log of a kind."""
    return Log.of_changes(kinds.kind(kind).name)


async def put(tx: Logging, records: Sequence[Node]) -> None:
    """Adds lines for records of one type that are about to be put."""
    if not records or (of := kinds.kind(type(records[0]))).logged is None:
        return
    if new := [record for record in records if not tx.is_logged(record.id)]:
        before = await tx.get(of.record, [record.id for record in new])
        lines = [
            RecordChange(of.name, ChangeKind.CREATED, one.id, tx.now, None)
            if old is None
            else RecordChange(of.name, ChangeKind.UPDATED, one.id, tx.now, of.logged(old))
            for old, one in zip(before, new, strict=True)
            if old != one
        ]
        await tx.log(lines)


async def delete(tx: Transaction, records: Iterable[Node]) -> None:
    """Adds lines for those of the records that are deleted, by themselves or with others, whose kind has a log."""
    about = ((kinds.kind(type(record)), record) for record in records)
    deleted = ChangeKind.DELETED
    await tx.log(
        [RecordChange(of.name, deleted, one.id, tx.now, of.logged(one)) for of, one in about if of.logged is not None]
    )


@cache
def ways(kind: Kind[Any]) -> list[Way]:
    """The ways to the records that have a log and go with those of a kind; the empty one is to these themselves."""
    found = [step.way for step in gone_with(kind) if step.gone == "cascade" and step.way[-1][0].logged is not None]
    return [*([()] if kind.logged is not None else []), *found]


class Told(NamedTuple):
    """A line for a follower. state: the record as the log has it; left: it has left the filter."""

    line: RecordChange
    state: Any
    left: bool


async def told(store: Store, kind: type[Node], lines: Sequence[RecordChange], filter: Any) -> list[Told]:
    """The lines of what matched a filter of the kind before or does after.

    Whom a filter calls by externalId is looked up now, and so is what it asks of other records that name these, and of
    texts, which the log does not keep. Of one that is gone nobody knows that any more: it is told.
    """
    found = [Line(line, line.before, line.after) for line in lines]
    if filter is None:
        return [Told(line, after or before, after is None) for line, before, after in found]
    asked = states(found)
    world, answers = await _world(store, asked), await _answers(store, kind, asked, filter)
    holds = [passes(_answered(filter, answers, state.id), state, world) for state in asked]
    return [Told(line, line.after or line.before, left) for line, left in matched(found, holds)]


Answers = dict[tuple[str, int], set[Id]]
"""Which records a member of a filter lets through that is looked up now, by its name and the identity of its value."""


def _leaves(filter: Any) -> Iterator[tuple[str, Any]]:
    """The members of a filter, and of those in it, that are looked up now."""
    for member in _ASKING[type(filter)]:
        if (value := getattr(filter, member)) is not None:
            yield member, value
    for part in (*(filter.and_ or ()), *(filter.or_ or ()), *(() if filter.not_ is None else (filter.not_,))):
        yield from _leaves(part)


_ASKING: dict[Any, list[str]] = {
    of.filter: [
        member
        for member, operator in FILTERS[of.record].items()
        if isinstance(operator, Some | Shares | Contains | HasMembers)
    ]
    for of in kinds.KINDS
    if of.filter is not None
}


async def _answers(store: Store, kind: type[Node], records: Sequence[Node], filter: Any) -> Answers:
    leaves = list(_leaves(filter))
    if not leaves:
        return {}
    ids = list({record.id for record in records})
    gone = {id for id, one in zip(ids, await store.get(kind, ids), strict=True) if one is None}
    return {
        (member, id(value)): gone | await store.passing(kind, ids, type(filter)(**{member: value}))
        for member, value in leaves
    }


def _answered(filter: Any, answers: Answers, of: Id) -> Any:
    """The filter for one record, of which is known what is asked of others."""
    if not answers:
        return filter

    def each(parts: Any) -> Any:
        return None if parts is None else [_answered(part, answers, of) for part in parts]

    given: dict[str, Any] = {"and_": each(filter.and_), "or_": each(filter.or_)}
    given["not_"] = None if filter.not_ is None else _answered(filter.not_, answers, of)
    for member in _ASKING[type(filter)]:
        if (value := getattr(filter, member)) is not None:
            given[member] = None
            if of not in answers[member, id(value)]:
                return type(filter)(or_=[])
    return replace(filter, **given)


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
