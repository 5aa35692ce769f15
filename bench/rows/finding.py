"""Searches and explorations: what a caller waits for."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from bench import queries
from bench.data import OWNER, Data
from bench.http import post
from bench.lab import Lab, parts
from bench.load import Load, Next, load
from bench.row import Measure, Row, at_most
from bench.vectors import Trial, clusters
from domain.caller import LOCAL
from server.graphql.documents import Request
from server.service import Service, open_service
from server.settings import Settings
from stores.embedded.engine import FILE

_MILLION = 1_000_000
_OWNER = {"externalId": OWNER}


def _searches(lab: Lab) -> Next:
    questions = lab.data.questions()
    return lambda: post(queries.SEARCH, {"text": next(questions), "owner": _OWNER})


def _neighborhoods(lab: Lab) -> Next:
    chance = random.Random(lab.seed)
    keys = [memory.key for memory in lab.data.memories]
    return lambda: post(queries.NEIGHBORHOOD, {"by": {"externalId": chance.choice(keys)}})


def _wait(name: str, make: Callable[[Lab], Next], share: float, callers: int = 1) -> Measure:
    """The milliseconds within which that share of the answers came."""

    async def loaded(lab: Lab) -> Load:
        return await load(await lab.server(), make(lab), 3 * lab.seconds, callers)

    async def measure(lab: Lab) -> float:
        return (await lab.once(name, lambda: loaded(lab))).wait_ms(share)

    return measure


def _in_large(share: float) -> Measure:
    async def measure(lab: Lab) -> float:
        return (await lab.once("large", lambda: _large(lab))).wait_ms(share)

    return measure


async def _large(lab: Lab) -> Load:
    """Searches among ten times the memories, in this process."""
    data = Data(10 * lab.size, lab.seed + 3)
    service = open_service(lab.folder / "large", Settings(memory_capacity=100_000_000))
    try:
        await _ask(service, queries.UPSERT_USER, {"input": {"externalId": OWNER}})
        for part in parts(data.memory_inputs()):
            await _ask(service, queries.CREATE_MEMORIES, {"input": {"memories": part}})
        questions = data.questions()
        done = Load()
        await _ask(service, queries.SEARCH, {"text": next(questions), "owner": _OWNER})
        end = time.perf_counter() + 3 * lab.seconds
        while (begun := time.perf_counter()) < end or len(done.waits) < 20:
            await _ask(service, queries.SEARCH, {"text": next(questions), "owner": _OWNER})
            done.waits.append(time.perf_counter() - begun)
        return done
    finally:
        await service.close()


async def _ask(service: Service, query: str, variables: dict[str, Any]) -> bytes:
    return await service.executor.execute(Request(query, variables), service.operation(LOCAL))


def _in_turns(share: float) -> Measure:
    """The same of few answers, of a round in which an older build has its turn too."""

    async def questions(lab: Lab) -> Next:
        return _searches(lab)

    async def measure(lab: Lab) -> float:
        asked = await lab.once("questions", lambda: questions(lab))
        return (await load(await lab.server(), asked, 2 * lab.seconds)).wait_ms(share)

    return measure


_INDEX = "SELECT sum(pgsize) / 1e6 FROM dbstat WHERE name LIKE 'memory_text%' OR name LIKE 'vector%'"


async def _index(lab: Lab) -> float:
    """The megabytes of the file that the words and the vectors of memories take."""
    await lab.server()
    file = apsw.Connection(str(lab.home / FILE), flags=apsw.SQLITE_OPEN_READONLY)
    with contextlib.closing(file):
        size: Any = file.execute(_INDEX).fetchone()
    return float(size[0])


def _million(size_or_wait: str) -> Measure:
    async def measure(lab: Lab) -> float:
        found = await lab.once("million", lambda: asyncio.to_thread(_among_a_million, lab.folder))
        return found[size_or_wait]

    return measure


def _among_a_million(folder: Path) -> dict[str, float]:
    """p95 of the vector index alone, over synthetic vectors in one scope, and the megabytes it holds."""
    queries = clusters(100, 99)
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        trial = Trial(Path(inner), clusters(_MILLION, 2), 1)
        trial.index.search(trial.db, [1], queries[0], 10)
        done = Load()
        for query in [*queries, *queries]:
            begun = time.perf_counter()
            trial.index.search(trial.db, [1], query, 10)
            done.waits.append(time.perf_counter() - begun)
        held = trial.index.stats().cache_bytes / 1e6
        trial.db.close()
    return {"wait": done.wait_ms(0.95), "size": held}


def _row(name: str, title: str, measure: Measure, most: float | None = None, unit: str = "ms", **more: Any) -> Row:
    wanted = None if most is None else at_most(most)
    return Row(name=name, title=title, unit=unit, measure=measure, wanted=wanted, lower=True, **{"rounds": 1} | more)


_BESIDE: dict[str, Any] = {"rounds": 10, "older": True, "opt_in": True}

ROWS = [
    _row("search-p50", "searchMemories HYBRID over HTTP, p50", _wait("search", _searches, 0.5), 4),
    _row("search-p95", "searchMemories HYBRID over HTTP, p95", _wait("search", _searches, 0.95), 10),
    _row("turns-p50", "searchMemories HYBRID over HTTP, p50", _in_turns(0.5), **_BESIDE),
    _row("turns-p95", "searchMemories HYBRID over HTTP, p95", _in_turns(0.95), **_BESIDE),
    _row("index-size", "Words and vectors of the memories on the disk", _index, unit="MB", older=True, opt_in=True),
    _row("search-large-p50", "searchMemories HYBRID in process, 10 times the memories, p50", _in_large(0.5)),
    _row("search-large-p95", "searchMemories HYBRID in process, 10 times the memories, p95", _in_large(0.95)),
    _row("million-p95", "Vector search in one scope of 1,000,000, p95", _million("wait"), 40, opt_in=True),
    _row("million-size", "Its index in memory", _million("size"), 120, "MB", opt_in=True),
    _row("around-p50", "Neighbourhood of depth 2, limit 100, over HTTP, p50", _wait("around", _neighborhoods, 0.5)),
    _row(
        "around-p95", "Neighbourhood of depth 2, limit 100, over HTTP, p95", _wait("around", _neighborhoods, 0.95), 10
    ),
]
