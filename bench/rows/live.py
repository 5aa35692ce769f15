"""Live delivery: one subscription a socket, all of them of one session's trace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bench import queries
from bench.data import LONG, events
from bench.http import Connection, post
from bench.lab import Lab
from bench.process import BenchError, Process
from bench.row import Measure, Row, times
from bench.websocket import Crowd

_TOGETHER = 10  # events a mutation
_PATIENCE_S = 60.0
_PAUSE_S = 0.5
_SESSION = {"session": {"externalId": LONG}}


def deliveries(server: Callable[[Lab], Awaitable[Process]], subscribers: int) -> Measure:
    """Messages delivered per second of the server's processor time, the writes that cause them included."""

    async def measure(lab: Lab) -> float:
        process, crowd = await server(lab), Crowd()
        try:
            await crowd.join(process.port, subscribers, queries.TRACE, _SESSION)
            return await _published(process, crowd, max(1, round(lab.seconds * 20_000 / subscribers / _TOGETHER)))
        finally:
            crowd.leave()

    return measure


def one_at_a_time(subscribers: int) -> Measure:
    """Microseconds of the server's processor for a delivery, where each event is written alone, the write included."""

    async def measure(lab: Lab) -> float:
        process, crowd = await lab.server(), Crowd()
        try:
            await crowd.join(process.port, subscribers, queries.TRACE, _SESSION)
            turns = max(3, round(lab.seconds * 20_000 / subscribers))
            return 1e6 / await _published(process, crowd, turns, together=1)
        finally:
            crowd.leave()

    return measure


async def _published(process: Process, crowd: Crowd, times: int, together: int = _TOGETHER) -> float:
    connection = await process.connect()
    request = post(queries.APPEND, {"input": {**_SESSION, "events": events(together)}})
    each = together * len(crowd.subscribers)
    async with asyncio.timeout(_PATIENCE_S):
        while await _delivered(connection, request, crowd) < each:  # not all have subscribed yet
            pass
        spent, before = process.cpu, crowd.frames
        for turn in range(times):
            await connection.ask(request)
            await crowd.receive(before + (turn + 1) * each)
    spent = process.cpu - spent
    connection.close()
    if crowd.frames != before + times * each or b'"next"' not in crowd.last or b'"errors"' in crowd.last:
        raise BenchError(f"Subscribers were sent {crowd.frames} messages, the last one {crowd.last[:300]!r}.")
    return times * each / spent


async def _delivered(connection: Connection, request: bytes, crowd: Crowd) -> int:
    """Publishes once; how many messages came of it before there was a pause."""
    before = seen = crowd.frames
    await connection.ask(request)
    while True:
        await asyncio.sleep(_PAUSE_S)
        if crowd.frames == seen:
            return seen - before
        seen = crowd.frames


def _row(subscribers: int, ratio: float | None) -> Row:
    return Row(
        name=f"live-{subscribers}",
        title=f"Live events to {subscribers:,} subscribers",
        unit="deliveries/CPU-s",
        measure=deliveries(Lab.server, subscribers),
        baseline=deliveries(Lab.plain, subscribers),
        against="Strawberry's graphql-transport-ws",
        wanted=None if ratio is None else times(ratio),
        rounds=2,
    )


ROWS = [_row(100, None), _row(1_000, 6)]
