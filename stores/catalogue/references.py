"""What refers to what: what goes with a deleted record, what a file's lines must stand behind, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from domain.declaration import Gone
from stores.catalogue.column import Column
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS, referring, targets


class Step(NamedTuple):
    """What happens to records when others are deleted. way: from the deleted ones to these, each time the kind and its
    column that names the one before."""

    gone: Gone
    way: tuple[tuple[Kind[Any], Column], ...]


def gone_with(kind: Kind[Any]) -> list[Step]:
    """What happens before records of a kind are deleted: references are emptied, then records deleted, the farthest
    first, for the way to them leads through the nearer ones."""
    steps = list(dict.fromkeys(_walk(kind, (), {kind.name})))
    return sorted(steps, key=lambda step: (step.gone == "cascade", -len(step.way)))


def _walk(kind: Kind[Any], way: tuple[tuple[Kind[Any], Column], ...], seen: set[str]) -> Iterator[Step]:
    for other, column in referring(kind):
        assert column.refers is not None
        here = (*way, (other, column))
        if column.refers.gone == "cascade" and other.name not in seen:
            yield from _walk(other, here, {*seen, other.name})
        yield Step(column.refers.gone, here)


def checked(kind: Kind[Any]) -> dict[str, tuple[Kind[Any], ...]]:
    """The fields that must name what stands before the record in a file, and the kinds they may name."""
    return {
        str(column.field): targets(column.refers)
        for column in kind.references
        if column.refers is not None and column.refers.gone != "keep" and not column.refers.later
    }


def export_order() -> list[Kind[Any]]:
    """The kinds that files have: what others refer to comes first, else as the catalogue has them."""
    left: list[Kind[Any]] = [kind for kind in KINDS if kind.exported]
    done: list[Kind[Any]] = []
    while left:
        done.append(_next(left, done))
        left.remove(done[-1])
    return done


def _next(left: Sequence[Kind[Any]], done: Sequence[Kind[Any]]) -> Kind[Any]:
    for kind in left:
        if all(other in done for kinds in checked(kind).values() for other in kinds if other is not kind):
            return kind
    raise TypeError(f"These kinds refer to each other in a circle: {left}.")
