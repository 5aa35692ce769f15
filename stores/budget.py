"""Limits on the size of one filter, for every engine."""

from __future__ import annotations

from typing import Any

from domain.errors import invalid
from stores.catalogue.kinds import KINDS
from stores.filters import FILTERS, HasAll, wanted

MAX_CONDITIONS = 200
MAX_VALUES = 1_000
"""What one filter may hold; SQLite takes expressions of a depth of 1,000."""

MAX_VALUES_IN_ALL = 10_000
"""SQLite takes statements with 32,766 values."""

_OPERATORS = {of.filter: FILTERS[of.record] for of in KINDS if of.filter is not None}


class _Budget:
    """What is left for the rest of a filter."""

    def __init__(self) -> None:
        self._conditions, self._values = MAX_CONDITIONS, MAX_VALUES_IN_ALL

    def spend(self, conditions: int, values: int = 0) -> None:
        self._conditions -= conditions
        self._values -= values
        if self._conditions < 0 or self._values < 0 or values > MAX_VALUES:
            raise invalid(
                f"A filter may have at most {MAX_CONDITIONS} conditions, {MAX_VALUES} values in each "
                f"and {MAX_VALUES_IN_ALL} values in all.",
                ["filter"],
            )


def check(filter: Any) -> None:
    """Raises Rejected (INVALID) for a filter that asks too much. A member is a condition, of a list of texts that must
    all be there each text, and a filter in it, or the members and, or and not, are two."""
    if (operators := _OPERATORS.get(type(filter))) is not None:
        _spend(filter, operators, _Budget())


def _spend(filter: Any, operators: Any, budget: _Budget) -> None:
    for member, operator in operators.items():
        value = getattr(filter, member)
        if value is None:
            continue
        if (inner := _OPERATORS.get(type(value))) is not None:
            budget.spend(2)
            _spend(value, inner, budget)
        elif isinstance(operator, HasAll):
            texts = len(wanted(value))
            budget.spend(texts, texts)
        else:
            budget.spend(1, len(value) if isinstance(value, list) else 1)
    for part in (*(filter.and_ or ()), *(filter.or_ or ()), *(() if filter.not_ is None else (filter.not_,))):
        budget.spend(2)
        _spend(part, operators, budget)
