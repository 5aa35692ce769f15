"""Callers that ask a server one thing after the other, each on a connection of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import count
from math import inf

import msgspec

from bench.http import Connection
from bench.process import BenchError, Process

_REFUSED = b'\r\n\r\n{"errors":'
"""How the answer to a document begins that was not run."""

Next = Callable[[], bytes]
"""Makes the next request."""


class Load(msgspec.Struct):
    """What callers have seen: how many answers, in how many seconds of the clock and of the server's processor."""

    seconds: float = 0.0
    cpu: float = 0.0
    waits: list[float] = []  # of each request, in seconds

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.waits) / self.seconds

    @property
    def per_cpu(self) -> float:
        """Answers per second of the server's processor time."""
        return len(self.waits) / self.cpu

    def wait_ms(self, share: float) -> float:
        """The time within which this share of the answers came, in milliseconds."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


async def load(
    server: Process, next_: Next, seconds: float, callers: int = 1, sign: bytes = b"", rate: float = inf
) -> Load:
    """Keeps callers busy for a while, after a quarter of that to warm up; each asks at least three times.

    sign: what a good answer has in it. rate: how often a second they ask at the most, all together. Raises BenchError
    for a bad answer.
    """
    connections = [await server.connect() for _ in range(callers)]
    try:
        await _ask_all(connections, next_, seconds / 4, sign, 1, rate)
        cpu, begun = server.cpu, time.perf_counter()
        waits = await _ask_all(connections, next_, seconds, sign, 3, rate)
        return Load(time.perf_counter() - begun, server.cpu - cpu, waits)
    finally:
        for connection in connections:
            connection.close()


async def _ask_all(
    connections: list[Connection], next_: Next, seconds: float, sign: bytes, at_least: int, rate: float
) -> list[float]:
    waits: list[float] = []
    start = time.perf_counter()
    end, places = start + seconds, count()

    async def caller(connection: Connection) -> None:
        asked = 0
        while asked < at_least or time.perf_counter() < end:
            if (early := start + next(places) / rate - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            request = next_()
            begun = time.perf_counter()
            answer = await connection.ask(request)
            waits.append(time.perf_counter() - begun)
            asked += 1
            if not answer.startswith(b"HTTP/1.1 200") or sign not in answer or _REFUSED in answer[:400]:
                raise BenchError(f"A server answered {answer[-300:].decode(errors='replace')}")

    await asyncio.gather(*(caller(connection) for connection in connections))
    return waits
