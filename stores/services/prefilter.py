"""The part of a memory filter that Weaviate can check; Neo4j checks all of it."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from functools import singledispatch
from typing import Any, NamedTuple

from weaviate.classes.query import Filter

from domain.memory import Memory, MemoryFilter, MemoryScope, MemoryStatus, says_when
from domain.values import FloatRange, Ref, TimeRange
from stores import filters as f
from stores.filters import FILTERS, Kind, Operator, RefersTo
from stores.rows import micros
from stores.services.labels import LABELS
from stores.services.neo4j_client import Neo4jClient
from stores.services.weaviate_client import Where

_PROPERTY = Filter.by_property
_NOTHING: Where = _PROPERTY("scope").equal("none")

Names = dict[tuple[Kind, str], str]
"""The ids of what has an externalId, by its kind and that."""


class Prefilter(NamedTuple):
    """A condition for Weaviate that holds for all that match; exact: and for nothing else."""

    where: Where
    exact: bool


def prefilter(filter: MemoryFilter | None, now: int, names: Names, owners: Sequence[str] | None = None) -> Prefilter:
    """The conditions of a search at a time (microseconds since 1970): there, active and valid unless it asks else."""
    given = [_PROPERTY("expires_at").greater_than(now)]
    if filter is None or filter.statuses is None:
        given.append(_one_of("status", [MemoryStatus.ACTIVE.value]))
    if not says_when(filter):
        given += _VALID_AT(now, names)
    if owners is not None:
        given.append(_any([_one_of("scope", [MemoryScope.GLOBAL.value]), _one_of("owner", owners)]))
    asked = Prefilter(None, True) if filter is None else _compile(filter, names)
    return Prefilter(_all([*given, asked.where]), asked.exact)


Called = frozenset[tuple[Kind, str]]
"""What has an externalId, by its kind and that."""


def called(filter: MemoryFilter | None) -> Called:
    """Whom a filter calls by externalId."""
    return frozenset(_external_ids(filter))


async def names(graph: Neo4jClient, workspace: str, called: Called) -> Names:
    """Who that is: one statement, where it is anyone."""
    if not called:
        return {}
    wanted: dict[Kind, set[str]] = {}
    for kind, external_id in sorted(called, key=lambda one: (one[0].__name__, one[1])):
        wanted.setdefault(kind, set()).add(external_id)
    lists = ", ".join(
        f"COLLECT {{ MATCH (o:{label}) WHERE o.workspace = $workspace AND o.external_id IN ${label} "
        "RETURN [o.external_id, o.id] }"
        for label in (LABELS[kind].name for kind in wanted)
    )
    asked = {LABELS[kind].name: list(external_ids) for kind, external_ids in wanted.items()}
    record = await graph.read(f"RETURN {lists}", workspace=workspace, **asked)
    return {(kind, name): id for kind, rows in zip(wanted, record, strict=True) for name, id in rows if name and id}


def _external_ids(filter: MemoryFilter | None) -> Iterator[tuple[Kind, str]]:
    if filter is None:
        return
    for member, op in FILTERS[Memory].items():
        if isinstance(op, RefersTo) and (ref := getattr(filter, member)) is not None and ref.external_id is not None:
            yield from ((kind, ref.external_id) for kind in op.kinds)
    for part in (*(filter.and_ or ()), *(filter.or_ or ()), filter.not_):
        yield from _external_ids(part)


def ids_of(kinds: Sequence[Kind], ref: Ref, names: Names) -> list[str]:
    """Whom a reference names."""
    if ref.id is not None:
        return [ref.id]
    return [names[kind, ref.external_id] for kind in kinds if ref.external_id and (kind, ref.external_id) in names]


Conditions = Callable[[Any, Names], list[Any]]


@singledispatch
def _emit(op: Operator) -> Conditions | None:
    """An operator's conditions; None where Weaviate cannot check it."""
    return None


@_emit.register
def _(op: f.Among) -> Conditions:
    def conditions(values: Any, names: Names) -> list[Any]:
        return [_one_of(op.column, [value.value if isinstance(value, Enum) else value for value in values])]

    return conditions


@_emit.register
def _(op: f.RefersTo) -> Conditions:
    return lambda ref, names: [_one_of(op.column, ids_of(op.kinds, ref, names))]


@_emit.register
def _(op: f.HasAll) -> Conditions:
    return lambda texts, names: [_PROPERTY(op.column).contains_all(texts)] if texts else []


@_emit.register
def _(op: f.Within) -> Conditions:
    def conditions(range: TimeRange | FloatRange, names: Names) -> list[Any]:
        low, high, below = f.bounds(range)
        property = _PROPERTY(op.column)
        return [
            *([] if low is None else [property.greater_or_equal(_micros(low))]),
            *(
                []
                if high is None
                else [(property.less_than if below == "<" else property.less_or_equal)(_micros(high))]
            ),
        ]

    return conditions


@_emit.register
def _(op: f.HoldsAt) -> Conditions:
    start, end = _PROPERTY(op.start), _PROPERTY(op.end)
    return lambda time, names: [start.less_or_equal(_micros(time)), end.greater_than(_micros(time))]


_UNTOLD = ("updated_at", "decay")
"""What Weaviate is not told of memories."""

_CONDITIONS = [(member, None if member in _UNTOLD else _emit(op)) for member, op in FILTERS[Memory].items()]
_VALID_AT: Any = _emit(FILTERS[Memory]["valid_at"])


def _compile(filter: MemoryFilter, names: Names) -> Prefilter:
    parts: list[Where] = []
    exact = True
    for member, conditions in _CONDITIONS:
        if (value := getattr(filter, member)) is not None:
            exact = exact and conditions is not None
            parts += conditions(value, names) if conditions else []
    both = [_compile(part, names) for part in filter.and_ or ()]
    either = [_compile(part, names) for part in filter.or_ or ()]
    parts += [part.where for part in both]
    if filter.or_ is not None:
        parts.append(_any([part.where for part in either]))
    without = [] if filter.not_ is None else [_compile(filter.not_, names)]
    # What holds for more than what matches says nothing about what does not.
    parts += [_NOTHING if part.where is None else Filter.not_(part.where) for part in without if part.exact]
    return Prefilter(_all(parts), exact and all(part.exact for part in (*both, *either, *without)))


def _micros(value: Any) -> Any:
    return micros(value) if isinstance(value, datetime) else value


def _one_of(name: str, values: Sequence[str]) -> Where:
    return _PROPERTY(name).contains_any(values) if values else _NOTHING


def _all(parts: Iterable[Where]) -> Where:
    """All of them hold; None holds always."""
    conditions = [part for part in parts if part is not None]
    return functools.reduce(operator.and_, conditions) if conditions else None


def _any(parts: Sequence[Where]) -> Where:
    if None in parts:
        return None
    return functools.reduce(operator.or_, parts) if parts else _NOTHING
