"""The process itself: how soon it is there, what it holds, and how it behaves while everything happens at once."""

from __future__ import annotations

import asyncio
import random
import time

import msgspec

from bench import queries
from bench.data import LONG, OWNER, events
from bench.http import post
from bench.lab import Lab
from bench.load import Next, load
from bench.row import Measure, Row, at_most
from bench.websocket import Crowd

_SEARCH = {"text": "black tea in the morning", "owner": {"externalId": OWNER}}
_SUBSCRIBERS = 50
_CALLERS = 16


async def _start(lab: Lab) -> float:
    async with lab.fresh() as server:
        return server.ready_s


async def _resident(lab: Lab) -> float:
    """Megabytes in memory a second after the embedder has been used for the first time."""
    async with lab.fresh() as server:
        connection = await server.connect()
        await connection.data(queries.UPSERT_USER, {"input": {"externalId": OWNER}})
        memory = {"text": "Prefers black tea.", "owner": {"externalId": OWNER}}
        await connection.data(queries.CREATE_MEMORIES, {"input": {"memories": [memory]}})
        await connection.data(queries.SEARCH, _SEARCH)
        connection.close()
        await asyncio.sleep(lab.seconds)
        return server.resident


def _mixed(lab: Lab) -> Next:
    """A little of everything, as often as agents and people do it."""
    chance = random.Random(lab.seed)
    long = {"externalId": LONG}
    message = {"session": long, "role": "user", "text": "What did we decide about the launch?"}
    questions = lab.data.questions()
    keys = [memory.key for memory in lab.data.memories]
    kinds = {
        lambda: post(queries.ADD_MESSAGE, {"input": message}): 30,
        lambda: post(queries.APPEND, {"input": {"session": long, "events": events(20)}}): 20,
        lambda: post(queries.GET, {"by": long}): 15,
        lambda: post(queries.HISTORY, {"by": long}): 10,
        lambda: post(queries.NESTED, {"by": long, "first": 50}): 10,
        lambda: post(queries.NESTED, {"by": long, "first": 1_000}): 1,
        lambda: post(queries.SEARCH, {**_SEARCH, "text": next(questions)}): 10,
        lambda: post(queries.NEIGHBORHOOD, {"by": {"externalId": chance.choice(keys)}}): 4,
    }
    makes, weights = list(kinds), list(kinds.values())
    return lambda: chance.choices(makes, weights)[0]()


async def _lateness(lab: Lab) -> list[float]:
    """How late the event loop was, in milliseconds, in order of size, while callers and subscribers were at it."""
    file, crowd = lab.folder / "lateness.json", Crowd()
    async with lab.instead(("-m", "bench.probe", str(file))) as server:
        try:
            await crowd.join(server.port, _SUBSCRIBERS, queries.TRACE, {"session": {"externalId": LONG}})
            await load(server, _mixed(lab), lab.seconds, _CALLERS)
            begun = time.monotonic()
            await load(server, _mixed(lab), 4 * lab.seconds, _CALLERS)
            ended = time.monotonic()
        finally:
            crowd.leave()
    samples = msgspec.json.decode(file.read_bytes(), type=list[tuple[float, float]])
    return sorted(late for at, late in samples if begun <= at <= ended)


def _late(share: float) -> Measure:
    async def measure(lab: Lab) -> float:
        samples = await lab.once("lateness", lambda: _lateness(lab))
        return samples[int(share * (len(samples) - 1))]

    return measure


def _row(name: str, title: str, unit: str, measure: Measure, most: float | None = None, rounds: int = 1) -> Row:
    wanted = None if most is None else at_most(most)
    return Row(name=name, title=title, unit=unit, measure=measure, wanted=wanted, lower=True, rounds=rounds)


_LATE = f"Event loop late, {_CALLERS} callers and {_SUBSCRIBERS} subscribers at everything"

ROWS = [
    _row("start", "Start, from spawn to /readyz, empty folder", "s", _start, 1.5, 5),
    _row("resident", "Memory held, idle, embedder loaded", "MB", _resident, 150),
    _row("late-p50", f"{_LATE}, p50", "ms", _late(0.5)),
    _row("late-p99", f"{_LATE}, p99", "ms", _late(0.99)),
]
