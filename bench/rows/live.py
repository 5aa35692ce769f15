"""Live delivery: one subscription a socket, all of them of one session's trace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bench import queries
from bench.data import LONG, events
from bench.http import post
from bench.lab import Lab
from bench.process import BenchError, Process
from bench.row import Measure, Row, times
from bench.websocket import Crowd

_TOGETHER = 10  # events a mutation
_PATIENCE_S = 60.0
_SESSION = {"session": {"externalId": LONG}}


def _deliveries(server: Callable[[Lab], Awaitable[Process]], subscribers: int) -> Measure:
    """Messages delivered per second of the server's processor time, the writes that cause them included."""

    async def measure(lab: Lab) -> float:
        process, crowd = await server(lab), Crowd()
        try:
            await crowd.join(process.port, subscribers, queries.TRACE, _SESSION)
            await _settled(process)
            return await _published(process, crowd, max(1, round(lab.seconds * 20_000 / subscribers / _TOGETHER)))
        finally:
            crowd.leave()

    return measure


async def _settled(process: Process) -> None:
    """Waits until the server has nothing to do: then all have subscribed."""
    cpu = -1.0
    while process.cpu - cpu > 0.01:
        cpu = process.cpu
        await asyncio.sleep(0.2)


async def _published(process: Process, crowd: Crowd, times: int) -> float:
    connection = await process.connect()
    request = post(queries.APPEND, {"input": {**_SESSION, "events": events(_TOGETHER)}})
    each = _TOGETHER * len(crowd.subscribers)
    spent = 0.0
    async with asyncio.timeout(_PATIENCE_S):
        for turn in range(times + 1):
            if turn == 1:  # the first one warms up
                spent = process.cpu
            await connection.ask(request)
            await crowd.receive((turn + 1) * each)
    spent = process.cpu - spent
    connection.close()
    if crowd.frames != (times + 1) * each or b'"next"' not in crowd.last or b'"errors"' in crowd.last:
        raise BenchError(f"Subscribers were sent {crowd.frames} messages, the last one {crowd.last[:300]!r}.")
    return times * each / spent


def _row(subscribers: int, ratio: float | None) -> Row:
    return Row(
        name=f"live-{subscribers}",
        title=f"Live events to {subscribers:,} subscribers",
        unit="deliveries/CPU-s",
        measure=_deliveries(Lab.server, subscribers),
        baseline=_deliveries(Lab.plain, subscribers),
        against="Strawberry's graphql-transport-ws",
        wanted=None if ratio is None else times(ratio),
        rounds=2,
    )


ROWS = [_row(100, None), _row(1_000, 6)]
