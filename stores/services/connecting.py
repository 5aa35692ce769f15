"""Opens the connections of Neo4j's driver, so that none is forgotten half open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Connecting:
    """Each connection is opened by a task of its own, and closed where nobody waits for it any more: the driver (6.4)
    loses the socket of a call that is cancelled before the socket is connected."""

    def __init__(self, driver: Any) -> None:
        self._open: Callable[..., Awaitable[Any]] = driver._pool.opener
        self._opening: set[asyncio.Future[Any]] = set()
        driver._pool.opener = self._opened

    async def _opened(self, *arguments: Any) -> Any:
        opening = asyncio.ensure_future(self._open(*arguments))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_forget)
            raise

    async def close(self, seconds: float) -> None:
        """Waits so long for what is being opened: once connected it is the driver that closes what is cancelled."""
        if self._opening:
            await asyncio.wait(self._opening, timeout=seconds)
        for opening in self._opening:
            opening.cancel()


def _forget(opening: asyncio.Future[Any]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().kill()
