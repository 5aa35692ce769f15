"""The process itself: how soon it is there, what it holds, and how it behaves while everything happens at once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from math import inf

import msgspec

from bench import queries
from bench.data import LONG, OWNER, events
from bench.http import post
from bench.lab import Lab
from bench.load import Load, Next, load
from bench.row import Measure, Row, at_most
from bench.websocket import Crowd

_SEARCH = {"text": "black tea in the morning", "owner": {"externalId": OWNER}}
_SUBSCRIBERS = 50
_CALLERS = 16
_PART = 0.6


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


class _Lateness(msgspec.Struct):
    """How the server bore callers and subscribers that do everything: the answers a second, the processors it took, and
    of its event loop how late it was and how long it had waited for a processor, in milliseconds, in order of size."""

    rate: float
    cpus: float
    late: list[float]
    queued: list[float]


async def _lateness(lab: Lab) -> tuple[_Lateness, _Lateness]:
    """While the callers do not pause, then at a part of the rate that had."""
    file, crowd = lab.folder / "lateness.json", Crowd()
    loads: list[tuple[Load, float, float]] = []
    async with lab.instead(("-m", "bench.probe", str(file))) as server:
        try:
            await crowd.join(server.port, _SUBSCRIBERS, queries.TRACE, {"session": {"externalId": LONG}})
            await load(server, _mixed(lab), lab.seconds, _CALLERS)
            for share in (inf, _PART):
                rate = share * loads[0][0].rate if loads else inf
                begun = time.monotonic()
                done = await load(server, _mixed(lab), 4 * lab.seconds, _CALLERS, rate=rate)
                loads.append((done, begun, time.monotonic()))
        finally:
            crowd.leave()
    samples = msgspec.json.decode(file.read_bytes(), type=list[tuple[float, float, float]])
    full, part = (_borne(done, [one for one in samples if begun <= one[0] <= end]) for done, begun, end in loads)
    return full, part


def _borne(done: Load, samples: list[tuple[float, float, float]]) -> _Lateness:
    late, queued = sorted(late for _, late, _ in samples), sorted(queued for *_, queued in samples)
    return _Lateness(done.rate, done.cpu / done.seconds, late, queued)


def _borne_by(paced: bool, read: Callable[[_Lateness], float]) -> Measure:
    async def measure(lab: Lab) -> float:
        return read((await lab.once("lateness", lambda: _lateness(lab)))[paced])

    return measure


def _at(share: float, ordered: list[float]) -> float:
    return ordered[int(share * (len(ordered) - 1))]


def _row(name: str, title: str, unit: str, measure: Measure, most: float | None = None, rounds: int = 1) -> Row:
    wanted = None if most is None else at_most(most)
    return Row(name=name, title=title, unit=unit, measure=measure, wanted=wanted, lower=True, rounds=rounds)


_MIXED = f"{_CALLERS} callers and {_SUBSCRIBERS} subscribers at everything"

ROWS = [
    _row("start", "Start, from spawn to /readyz, empty folder", "s", _start, 1.5, 5),
    _row("resident", "Memory held, idle, embedder loaded", "MB", _resident, 150),
    msgspec.structs.replace(
        _row("mixed-rate", _MIXED, "requests/s", _borne_by(False, lambda borne: borne.rate)), lower=False
    ),
    _row("mixed-cpu", "The server's part of that", "processors", _borne_by(False, lambda borne: borne.cpus)),
    _row("late-p50", "Its event loop late, p50", "ms", _borne_by(False, lambda borne: _at(0.5, borne.late))),
    _row("late-p99", "Its event loop late, p99", "ms", _borne_by(False, lambda borne: _at(0.99, borne.late)), 20),
    _row("queued-p99", "It waited for a processor, p99", "ms", _borne_by(False, lambda borne: _at(0.99, borne.queued))),
    _row(
        "late-paced-p99",
        f"Event loop late at {_PART:.0%} of that rate, p99",
        "ms",
        _borne_by(True, lambda borne: _at(0.99, borne.late)),
        20,
    ),
]
