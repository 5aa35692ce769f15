"""What an operation costs: the number of objects that may come back, and 10 for each write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from server.graphql.limits.sizes import Size


class Sum(NamedTuple):
    """A cost that depends on variables: what is certain, and parts that come as often as the largest of some sizes."""

    fixed: int
    parts: tuple[tuple[tuple[Size, ...], Cost], ...]


Cost = int | Sum
"""A number where no variable says how many there will be, which is what most documents come to."""


def times(sizes: Sequence[Size], cost: Cost) -> Cost:
    """What a thing costs that comes as often as the largest of these sizes."""
    if isinstance(cost, int) and all(isinstance(size, int) for size in sizes):
        return cost * max(size for size in sizes if isinstance(size, int))
    return Sum(0, ((tuple(sizes), cost),))


def total(costs: Iterable[Cost]) -> Cost:
    fixed = 0
    parts: list[tuple[tuple[Size, ...], Cost]] = []
    for cost in costs:
        if isinstance(cost, int):
            fixed += cost
        else:
            fixed += cost.fixed
            parts += cost.parts
    return Sum(fixed, tuple(parts)) if parts else fixed


def known(cost: Cost, variables: Mapping[str, Any]) -> int:
    if isinstance(cost, int):
        return cost
    found = cost.fixed
    for sizes, part in cost.parts:  # no generators, which take as long as all the rest
        found += max([size if isinstance(size, int) else size.read(variables) for size in sizes]) * known(
            part, variables
        )
    return found
