"""The servers in turns with their own drivers: the same work over the same indexes, one beside the other."""

from __future__ import annotations

import random
import statistics
import time
from asyncio import gather
from collections.abc import Callable
from itertools import count
from typing import Any

from bench import queries
from bench.baselines.driver import Raw
from bench.baselines.servers import Floor
from bench.data import LONG, OWNER, small_talk
from bench.http import Connection, post
from bench.lab import Lab
from bench.load import load
from bench.process import BenchError
from bench.row import Measure, Row, at_most, within_times
from bench.rows.services import filled
from bench.rows.writes import adding, batches

_AT_LEAST, _ROUNDS, _BATCH = 20, 4, 100
_numbers = count(1)


class _Turns:
    """One caller asks the server and the floor in turns, of the same thing; milliseconds, the medians."""

    def __init__(self, name: str, draw: Callable[[Lab], Any], request: Callable[[Any], bytes], raw: str) -> None:
        """draw: makes what gives the next thing to ask of. raw: the method of the floor that does the same."""
        self._name, self._draw, self._request, self._raw = name, draw, request, raw

    def row(self, title: str, against: str, wanted: float) -> Row:
        async def ours(lab: Lab) -> float:
            return (await lab.once(self._name, lambda: self._measure(lab)))[0]

        async def floor(lab: Lab) -> float:
            return (await lab.once(self._name, lambda: self._measure(lab)))[1]

        return Row(
            name=self._name,
            title=f"{title}, 1 caller",
            unit="ms",
            measure=ours,
            baseline=floor,
            against=against,
            wanted=within_times(wanted),
            lower=True,
            rounds=1,
        )

    async def _measure(self, lab: Lab) -> tuple[float, float]:
        connection = await (await filled(lab)).connect()
        drawn = self._draw(lab)
        floor = await _floor(lab) if lab.servers else None
        taken: list[tuple[float, float]] = []
        try:
            end = time.perf_counter() + 4 * lab.seconds
            while time.perf_counter() < end or len(taken) < _AT_LEAST:
                thing = next(drawn)
                request, begun = self._request(thing), time.perf_counter()
                answer = await connection.ask(request)
                between = time.perf_counter()
                if floor is not None:
                    await getattr(floor, self._raw)(thing)
                taken.append((between - begun, time.perf_counter() - between))
                if b'"errors":[{' in answer or not answer.startswith(b"HTTP/1.1 200"):
                    raise BenchError(f"A server answered {answer[-300:].decode(errors='replace')}")
        finally:
            connection.close()
            if floor is not None:
                await floor.close()
        ours, its = zip(*taken[len(taken) // 4 :], strict=True)
        return statistics.median(ours) * 1000, statistics.median(its) * 1000


async def _floor(lab: Lab) -> Floor:
    floor = Floor(lab.servers, lab.seed)
    await floor.begin()
    return floor


def _questions(lab: Lab) -> Any:
    return lab.data.questions()


def _sessions(lab: Lab) -> Any:
    chance = random.Random(lab.seed)
    return (chance.choice(lab.data.others) for _ in count())


def _memories(lab: Lab) -> Any:
    chance = random.Random(lab.seed)
    return (chance.choice(lab.data.memories).key for _ in count())


def _texts(lab: Lab) -> Any:
    texts = [one["text"] for one in small_talk(500, lab.seed + 7)]
    return (f"{texts[number % len(texts)]} {number}" for number in _numbers)


def _searching(mode: str) -> Callable[[str], bytes]:
    owner = {"externalId": OWNER}
    return lambda text: post(queries.SEARCH_BY, {"text": text, "owner": owner, "mode": mode})


def _saying(key: str) -> bytes:
    said = {"session": {"externalId": key}, "role": "user", "text": "What did we decide?"}
    return post(queries.ADD_MESSAGE, {"input": said})


def _keeping(text: str) -> bytes:
    return post(queries.CREATE_MEMORY, {"input": {"text": text, "owner": {"externalId": OWNER}}})


def _around(key: str) -> bytes:
    return post(queries.NEIGHBORHOOD, {"by": {"externalId": key}})


def _several(name: str, title: str, callers: int, each: int, wanted: float) -> Row:
    """Many callers at once; milliseconds for each message, of the server and of autocommit statements in turns."""
    said = [{"role": "user", "text": "What did we decide?"}] * each

    async def ours(lab: Lab) -> float:
        if each > 1:
            return 1000 / await _on(batches(queries.ADD_MESSAGES, "messages", said, callers))(lab)
        return 1000 / (await load(await filled(lab), adding(lab), lab.seconds, callers, queries.WRITTEN)).rate

    async def floor(lab: Lab) -> float:
        stored, raw = 0, await _floor(lab)

        async def caller() -> None:
            nonlocal stored
            while time.perf_counter() < end:
                await raw.store(each)
                stored += each

        try:
            await raw.store(each)
            begun = time.perf_counter()
            end = begun + lab.seconds
            await gather(*(caller() for _ in range(min(callers, 10))))
            return (time.perf_counter() - begun) * 1000 / stored
        finally:
            await raw.close()

    return Row(
        name=name,
        title=title,
        unit="ms a message",
        measure=ours,
        baseline=floor,
        against=f"an autocommit statement of {each}, the same indexes, {min(callers, 10)} at once",
        wanted=within_times(wanted),
        lower=True,
        rounds=_ROUNDS,
    )


def _on(measure: Measure) -> Measure:
    async def measured(lab: Lab) -> float:
        await filled(lab)
        return await measure(lab)

    return measured


async def _second_size(lab: Lab) -> float:
    """How much longer the first call with twenty messages takes than later ones, after calls with one."""
    server = await filled(lab)
    connection = await server.connect()
    try:
        if lab.servers:
            raw = Raw(lab.servers["RECOLLECT_GRAPH_URL"])
            await raw.alone("CALL db.clearQueryCaches()")
            await raw.close()
        for _ in range(5):
            await _timed(connection, 1)
        first = await _timed(connection, 20)
        return max(0.01, first - statistics.median([await _timed(connection, 20) for _ in range(9)]))
    finally:
        connection.close()


async def _timed(connection: Connection, messages: int) -> float:
    said = [{"role": "user", "text": f"What did we decide? {next(_numbers)}"} for _ in range(messages)]
    request = post(queries.ADD_MESSAGES, {"input": {"session": {"externalId": LONG}, "messages": said}})
    begun = time.perf_counter()
    await connection.ask(request)
    return (time.perf_counter() - begun) * 1000


ROWS = [
    _Turns("services-say", _sessions, _saying, "say").row(
        "addMessage", "lock and read, write, commit, by the driver", 1.6
    ),
    _several("services-say-16", "addMessage, 16 callers", 16, 1, 1.2),
    _several("services-say-batches", "addMessages of 100, 8 callers", 8, _BATCH, 2),
    _Turns("services-keep", _texts, _keeping, "remember").row(
        "createMemory", "a node in Neo4j, then an object in Weaviate", 1.3
    ),
    _Turns("services-hybrid", _questions, _searching("HYBRID"), "both").row(
        "searchMemories HYBRID", "near_vector and a full-text query side by side, ten each", 1.7
    ),
    _Turns("services-text", _questions, _searching("TEXT"), "texts").row(
        "searchMemories TEXT", "one full-text query, ten records", 1.7
    ),
    _Turns("services-semantic", _questions, _searching("SEMANTIC"), "near").row(
        "searchMemories SEMANTIC", "near_vector, ten objects", 1.6
    ),
    _Turns("services-around", _memories, _around, "around").row(
        "Neighbourhood of depth 2, limit 100", "one statement of the driver", 1.6
    ),
    Row(
        name="services-size",
        title="A statement's second size class, longer than later calls",
        unit="ms",
        measure=_second_size,
        wanted=at_most(30),
        lower=True,
        rounds=3,
    ),
]
