"""How much one filter may ask, of any engine."""

from __future__ import annotations

from typing import Any

from domain.errors import invalid

MAX_CONDITIONS = 200
MAX_VALUES = 1_000
"""What one filter may hold; SQLite takes expressions of a depth of 1,000."""

MAX_VALUES_IN_ALL = 10_000
"""SQLite takes statements with 32,766 values."""


class Budget:
    """What is left for the rest of a filter; its parts share one."""

    def __init__(self) -> None:
        self._conditions, self._values = MAX_CONDITIONS, MAX_VALUES_IN_ALL

    def spend(self, values: int = 0) -> None:
        """Takes one condition off. Raises Rejected (INVALID) where there are too many, or too many values."""
        self._conditions -= 1
        self._values -= values
        if self._conditions < 0 or self._values < 0 or values > MAX_VALUES:
            raise invalid(
                f"A filter has at most {MAX_CONDITIONS} conditions, each of {MAX_VALUES} values, "
                f"and {MAX_VALUES_IN_ALL} values in all.",
                ["filter"],
            )


def check(filter: Any) -> None:
    """Raises Rejected (INVALID) for a filter that asks too much."""
    if filter is not None:
        _spend(filter, Budget())


def _spend(filter: Any, budget: Budget) -> None:
    for name in filter.__struct_fields__:
        value = getattr(filter, name)
        if value is None:
            continue
        parts = value if isinstance(value, list) else [value]
        budget.spend(len(parts))
        for part in parts:
            if isinstance(part, type(filter)):
                _spend(part, budget)
