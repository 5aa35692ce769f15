"""Reads that wait for a store through an outage, as those of subscriptions do."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from stores.errors import Unavailable
from stores.ports import Log, Store

OUTAGE_SECONDS = 60.0
"""How long they wait, unless it is set."""

_AGAIN_SECONDS = 1.0
"""How often they look whether the store is back, at the least."""

_CALM_SECONDS = 15.0
"""After so long without a failure the next one begins another outage; a call that fails takes no longer."""

_READS = tuple(name for name, method in vars(Store).items() if inspect.iscoroutinefunction(method) and name != "write")


class Outage:
    """How long a store has not answered one who waits for it. seconds: after which that is given up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = self._last = float("-inf")

    async def wait(self, failure: Unavailable) -> None:
        """Until it makes sense to try again. Raises the failure where it has been too long."""
        now = asyncio.get_running_loop().time()
        if now - self._last > _CALM_SECONDS:
            self._begun = now
        self._last = now
        if now - self._begun >= self._seconds:
            raise failure
        await asyncio.sleep(min(failure.retry_after_ms / 1000, _AGAIN_SECONDS) * random.uniform(0.5, 1))


class PatientStore:
    """A store whose reads are tried again through an outage of so many seconds; writes are not."""

    def __init__(self, store: Store, seconds: float) -> None:
        self._store, self._seconds = store, seconds
        for name in _READS:
            setattr(self, name, self._patient(getattr(store, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _patient(self, read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **named: Any) -> Any:
            try:
                return await read(*args, **named)
            except Unavailable as failure:
                outage = Outage(self._seconds)
                await outage.wait(failure)
            while True:
                try:
                    return await read(*args, **named)
                except Unavailable as failure:
                    await outage.wait(failure)

        return call

    async def follow(self, log: Log, after: int, filter: Any = None) -> AsyncGenerator[list[Any]]:
        """Goes on after the last line that was read."""
        outage = Outage(self._seconds)
        while True:
            try:
                async with aclosing(self._store.follow(log, after, filter)) as lines:
                    async for batch in lines:
                        after = batch[-1].place
                        yield batch
                return
            except Unavailable as failure:
                await outage.wait(failure)
