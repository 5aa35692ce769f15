"""What of a memory filter Weaviate can check, so that what it proposes is worth reading in Neo4j, which checks all."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, NamedTuple

from weaviate.classes.query import Filter

from domain.memory import MemoryFilter, MemoryStatus
from domain.values import Ref
from stores.rows import micros
from stores.services.neo4j import Graph
from stores.services.weaviate import Where

_PROPERTY = Filter.by_property
_NOTHING: Where = _PROPERTY("scope").equal("none")

Names = dict[tuple[str, str], list[str]]
"""The ids of what has an externalId, by "actor" or "session" and the externalId."""


class Pushed(NamedTuple):
    """A condition for Weaviate that holds for all that match; exact: and for nothing else."""

    where: Where
    exact: bool


def pushed(filter: MemoryFilter | None, now: int, names: Names) -> Pushed:
    """The conditions of a search at a time (microseconds since 1970): there, active and valid unless it asks else."""
    given = [_PROPERTY("expires_at").greater_than(now)]
    if filter is None or filter.statuses is None:
        given.append(_among("status", [MemoryStatus.ACTIVE]))
    if filter is None or filter.valid_at is None:
        given.append(_valid_at(now))
    asked = Pushed(None, True) if filter is None else _memory(filter, names)
    return Pushed(_all([*given, asked.where]), asked.exact)


async def names(graph: Graph, workspace: str, filter: MemoryFilter | None) -> Names:
    """Whom a filter calls by externalId: one statement, where it does."""
    wanted: dict[str, set[str]] = {"actor": set(), "session": set()}
    for kind, ref in _refs(filter):
        if ref.external_id is not None:
            wanted[kind].add(ref.external_id)
    if not any(wanted.values()):
        return {}
    lists = ", ".join(
        f"COLLECT {{ MATCH (o:{label}) WHERE o.workspace = $workspace AND o.external_id IN ${kind} "
        "RETURN [o.external_id, o.id] }"
        for label, kind in (("User", "actor"), ("Agent", "actor"), ("Session", "session"))
    )
    record = await graph.read(
        f"RETURN {lists}", workspace=workspace, **{kind: list(values) for kind, values in wanted.items()}
    )
    found: Names = {}
    for kind, rows in zip(("actor", "actor", "session"), record, strict=True):
        for external_id, id in rows:
            found.setdefault((kind, external_id), []).append(id)
    return found


def _refs(filter: MemoryFilter | None) -> Iterator[tuple[str, Ref]]:
    if filter is None:
        return
    if filter.owner is not None:
        yield "actor", filter.owner
    if filter.session is not None:
        yield "session", filter.session
    for part in (*(filter.and_ or ()), *(filter.or_ or ()), filter.not_):
        yield from _refs(part)


def _memory(f: MemoryFilter, names: Names) -> Pushed:
    parts: list[Where] = [
        _among("type", f.types),
        _among("scope", f.scopes),
        _refers("owner", "actor", f.owner, names),
        _among("status", f.statuses),
        _refers("session", "session", f.session, names),
    ]
    exact = f.text is None and f.metadata is None
    if f.tags:
        parts.append(_PROPERTY("tags").contains_all(f.tags))
    if f.importance is not None:
        parts.append(_at_least("importance", f.importance.min))
        if f.importance.max is not None:
            parts.append(_PROPERTY("importance").less_or_equal(f.importance.max))
    if f.created_at is not None:
        parts.append(_at_least("created_at", micros(f.created_at.from_)))
        if f.created_at.until is not None:
            parts.append(_PROPERTY("created_at").less_than(micros(f.created_at.until) or 0))
    if f.valid_at is not None:
        parts.append(_valid_at(micros(f.valid_at) or 0))
    for part in f.and_ or ():
        inner = _memory(part, names)
        parts.append(inner.where)
        exact = exact and inner.exact
    if f.or_ is not None:
        either = [_memory(part, names) for part in f.or_]
        parts.append(_any([part.where for part in either]))
        exact = exact and all(part.exact for part in either)
    if f.not_ is not None:
        inner = _memory(f.not_, names)
        exact = exact and inner.exact
        if inner.exact:
            parts.append(_NOTHING if inner.where is None else Filter.not_(inner.where))
    return Pushed(_all(parts), exact)


def _among(name: str, values: Iterable[Enum] | None) -> Where:
    return None if values is None else _one_of(name, [value.value for value in values])


def _refers(name: str, kind: str, ref: Ref | None, names: Names) -> Where:
    if ref is None:
        return None
    return _one_of(name, ids_of(kind, ref, names))


def ids_of(kind: str, ref: Ref, names: Names) -> list[str]:
    """Whom a reference names."""
    return names.get((kind, ref.external_id or ""), []) if ref.id is None else [ref.id]


def _one_of(name: str, values: Sequence[str]) -> Where:
    return _PROPERTY(name).contains_any(values) if values else _NOTHING


def _at_least(name: str, value: Any) -> Where:
    return None if value is None else _PROPERTY(name).greater_or_equal(value)


def _valid_at(us: int) -> Where:
    return _PROPERTY("valid_from").less_or_equal(us) & _PROPERTY("valid_until").greater_than(us)


def _all(parts: Iterable[Where]) -> Where:
    """All of them hold; None holds always."""
    conditions = [part for part in parts if part is not None]
    return functools.reduce(operator.and_, conditions) if conditions else None


def _any(parts: Sequence[Where]) -> Where:
    if None in parts:
        return None
    return functools.reduce(operator.or_, parts) if parts else _NOTHING
