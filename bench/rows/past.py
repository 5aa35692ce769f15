"""What will have become of memories, and what was known of them at a time, in process and as processor time."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from bench import queries
from bench.data import OWNER, Memory
from bench.in_process import answer
from bench.lab import Lab, parts
from bench.row import Measure, Row, at_most, within_times
from server.service import Service, open_service
from server.settings import Settings

_ROUNDS = 40
_CHANGED = 10
"""One memory of so many has changed since the time that is asked about."""

_FORECAST = """{ memoryForecast(at: "2100-01-01T00:00:00Z", decayPerDay: 0.0001, bucket: MONTH) {
    active faded evicted fates { cause time memory { id text } } buckets { startsAt faded evicted } } }"""
_UPDATE = """mutation ($input: UpdateMemoryInput!) { updateMemory(input: $input) { errors { message } } }"""
_THEN = queries.SEARCH.replace("$owner: Ref!", "$owner: Ref!, $asOf: DateTime").replace(
    "mode: HYBRID", "mode: HYBRID, asOf: $asOf"
)


async def _filled(lab: Lab) -> tuple[Service, str]:
    """Memories of one owner, and a time after which some of them were changed."""
    service = open_service(lab.folder / "past", Settings())
    await answer(service, queries.UPSERT_USER, input={"externalId": OWNER})
    for part in parts(lab.data.memory_inputs()):
        await answer(service, queries.CREATE_MEMORIES, input={"memories": part})
    then = datetime.now(UTC).isoformat()
    for some in parts(iter(lab.data.memories[::_CHANGED])):
        await asyncio.gather(*(answer(service, _UPDATE, input=_changed(one)) for one in some))
    return service, then


def _changed(memory: Memory) -> dict[str, Any]:
    return {"memory": {"externalId": memory.key}, "text": f"{memory.text} Or so."}


async def _measured(lab: Lab) -> tuple[float, float, float]:
    """Milliseconds of the processor for a forecast, a search as of then, and the same as it is, these in turns; the
    medians."""
    service, then = await _filled(lab)

    async def milliseconds(query: str, **asked: Any) -> float:
        begun = time.process_time()
        await answer(service, query, **asked)
        return (time.process_time() - begun) * 1000

    try:
        forecasts = [await milliseconds(_FORECAST) for _ in range(_ROUNDS)]
        taken: dict[str | None, list[float]] = {then: [], None: []}
        for text in islice(lab.data.questions(), 2 * _ROUNDS):
            for as_of in (then, None) if len(taken[None]) % 2 else (None, then):
                asked = {"text": text, "owner": {"externalId": OWNER}, "asOf": as_of}
                taken[as_of].append(await milliseconds(_THEN, **asked))
    finally:
        await service.close()
    return statistics.median(forecasts), statistics.median(taken[then]), statistics.median(taken[None])


def _side(index: int) -> Measure:
    async def measure(lab: Lab) -> float:
        return (await lab.once("past", lambda: _measured(lab)))[index]

    return measure


_SHARED: dict[str, Any] = {"unit": "CPU-ms", "lower": True, "rounds": 1}

ROWS = [
    Row(name="past-forecast", title="memoryForecast of all memories", measure=_side(0), wanted=at_most(30), **_SHARED),
    Row(
        name="past-search",
        title="searchMemories HYBRID as of before a tenth was changed",
        measure=_side(1),
        baseline=_side(2),
        against="the same as it is now",
        wanted=within_times(1.3),
        **_SHARED,
    ),
]
