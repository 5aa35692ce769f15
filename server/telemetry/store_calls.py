"""Counts and times every call of a store, whatever the engine."""

from __future__ import annotations

import inspect
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, cast

from domain.errors import CursorExpired, Rejected
from resolvers.context import Unchanged
from server.instrumentation import current, span
from stores.errors import Taken
from stores.ports import Engine, Store


class Timing:
    """How often something took how long. counts: for each bound how many were within it and beyond the one before,
    and how many were beyond the last.

    (prometheus_client's histogram does the same for 2 to 4 us, this for 0.3.)
    """

    __slots__ = ("bounds", "counts", "failed", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts = bounds, [0] * (len(bounds) + 1)
        self.total, self.failed = 0.0, 0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


CALL_BOUNDS = (1e-5, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 2.5e-3, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0)

CALLS = tuple(name for name, method in vars(Store).items() if inspect.iscoroutinefunction(method))
"""The methods of a store that are counted: all but those that follow a log for as long as somebody listens."""


class TimedEngine:
    """An engine whose stores' calls are timed. calls: by name of method, how long they took and how many failed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stores: dict[str, Store] = {}
        self.calls = {name: Timing(CALL_BOUNDS) for name in CALLS}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def workspace(self, name: str) -> Store:
        if (store := self._stores.get(name)) is None:
            store = self._stores[name] = cast(Store, _TimedStore(self._engine.workspace(name), self.calls))
        return store


class _TimedStore:
    def __init__(self, store: Store, calls: dict[str, Timing]) -> None:
        self._store = store
        for name, timing in calls.items():
            setattr(self, name, _timed(getattr(store, name), timing, f"store {name}"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _timed(method: Callable[..., Awaitable[Any]], timing: Timing, name: str) -> Callable[..., Awaitable[Any]]:
    """The method, timed. It costs 1 us; the shortest read of an embedded store takes 6."""

    async def call(*args: Any, **named: Any) -> Any:
        request = current.get()
        request.store_calls += 1
        begun = perf_counter()
        try:
            if request.tracer is not None:
                with span(name):
                    result = await method(*args, **named)
            else:
                result = await method(*args, **named)
        except Exception as error:
            timing.failed += not isinstance(error, _ANSWERS)
            timing.add(perf_counter() - begun)
            raise
        timing.add(perf_counter() - begun)
        return result

    return call


_ANSWERS = (Rejected, CursorExpired, Taken, Unchanged)
"""What a store raises that is well."""
