"""Limit on concurrent operations of one caller."""

from __future__ import annotations

from collections.abc import Hashable

from server.limits import TOO_MANY_REQUESTS, Limits, exceeded


class Concurrency:
    """Counts what runs, by caller, up to the limit of this name."""

    def __init__(self, limits: Limits, name: str, what: str) -> None:
        self._limits, self._name, self._what = limits, name, what
        self._most: int = getattr(limits, name)
        self._running: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return sum(self._running.values())

    def enter(self, caller: Hashable) -> None:
        running = self._running.get(caller, 0)
        if running >= self._most:
            raise exceeded(self._limits, self._name, f"Too many {self._what} run at once", status=TOO_MANY_REQUESTS)
        self._running[caller] = running + 1

    def leave(self, caller: Hashable) -> None:
        running = self._running.pop(caller) - 1
        if running:
            self._running[caller] = running
