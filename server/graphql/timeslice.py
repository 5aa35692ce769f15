"""Turns of the event loop: what takes long gives way, so that others do not wait for the whole of it."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic

TURN_S = 0.001
"""How long a turn may last before those who can wait do."""


class _Turn(threading.local):
    """The turn that lasts: of which loop, and since when. There is a loop a thread at the most."""

    loop: asyncio.AbstractEventLoop | None = None
    began = 0.0


_turn = _Turn()


async def give_way() -> None:
    """Goes on in the loop's next turn where this one has lasted long, else at once."""
    if lasts_long():
        await asyncio.sleep(0)


def lasts_long() -> bool:
    """Whether this turn of the loop has lasted long, whoever used it up; takes 0.2 us."""
    loop = asyncio.get_running_loop()
    if _turn.loop is not loop:
        # uvloop's clock stands still during a turn, so it tells when the turn began; asyncio's says that it does now.
        _turn.loop, _turn.began = loop, loop.time()
        loop.call_soon(_end)
    return monotonic() - _turn.began > TURN_S


def _end() -> None:
    _turn.loop = None
