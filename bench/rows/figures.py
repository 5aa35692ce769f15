"""Statistics over many spans, in process: what a caller waits for, beside plain SQL for the same sums."""

from __future__ import annotations

import statistics
import time
from typing import Any, cast

from bench.in_process import answer
from bench.lab import Lab
from bench.row import Measure, Row, at_most
from server.service import Service, open_service
from server.settings import Settings
from stores.embedded.engine import EmbeddedEngine

_BY_MODEL = """{ traceStats(groupBy: [MODEL]) { groups { keys { value } count running errors
    durations { averageMs p50Ms p95Ms p99Ms } usage { inputTokens outputTokens costUsd } } } }"""
_BY_DAY = '{ traceStats(bucket: DAY, zone: "Europe/Berlin") { groups { keys { value } count usage { costUsd } } } }'
_START = """mutation { startSpan(input: {
    traceId: "0f", spanId: "01", name: "chat", kind: LLM, attributes: {note: "%s"}})
    { errors { message } } }"""
_RAW = """SELECT model, count(*), sum(ended_at IS NULL), sum(status_code = 'ERROR'), avg(ended_at - started_at),
    sum(input_tokens), sum(output_tokens), sum(cost_usd) FROM span WHERE workspace = 1 GROUP BY model"""
_VARIED = {
    "id": "'spn_' || printf('%032x', i)",
    "span_id": "printf('%016x', i)",
    "trace_id": "printf('%032x', i / 10)",
    "model": "'model-' || (i % 5)",
    "started_at": "started_at + i * 1000000",
    "ended_at": "started_at + i * 1000000 + (i * 7919) % 5000000",
    "input_tokens": "i % 4000",
    "output_tokens": "i % 700",
    "total_tokens": "i % 4000 + i % 700",
    "cost_usd": "(i % 97) / 1000.0",
}


async def _filled(lab: Lab) -> Service:
    """Ten times as many spans as the bench has items, with attributes of a kilobyte each."""
    service = open_service(lab.folder / "spans", Settings())
    await answer(service, _START % ("x" * 1_000))
    db = cast("EmbeddedEngine", service.engine).writer.db
    columns = [str(row[1]) for row in db.execute("PRAGMA table_info(span)") if row[1] != "key"]
    made = ", ".join(_VARIED.get(column, f"t.{column}") for column in columns)
    db.execute(
        f"WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {10 * lab.size}) "
        f"INSERT INTO span ({', '.join(columns)}) SELECT {made} FROM (SELECT * FROM span LIMIT 1) t, n"
    ).fetchall()
    return service


async def _measured(lab: Lab) -> tuple[float, float, float]:
    """Milliseconds of statistics by model, of the raw like, and of those by day, in turns; the medians."""
    service = await _filled(lab)
    try:
        reader = cast("EmbeddedEngine", service.engine).reader
        taken: list[tuple[float, float, float]] = []
        for _ in range(7):
            begun = time.perf_counter()
            found = await answer(service, _BY_MODEL)
            first = time.perf_counter()
            raw: list[Any] = reader.execute(_RAW).fetchall()
            second = time.perf_counter()
            await answer(service, _BY_DAY)
            taken.append((first - begun, second - first, time.perf_counter() - second))
        assert sum(row[1] for row in raw) == sum(one["count"] for one in found["traceStats"]["groups"])
    finally:
        await service.close()
    by_model, plain, by_day = (statistics.median(side) * 1000 for side in zip(*taken, strict=True))
    return by_model, plain, by_day


def _side(index: int) -> Measure:
    async def measure(lab: Lab) -> float:
        return (await lab.once("figures", lambda: _measured(lab)))[index]

    return measure


ROWS = [
    Row(
        name="trace-stats",
        title="traceStats by model over ten times the spans",
        unit="ms",
        measure=_side(0),
        baseline=_side(1),
        against="SQL for the same sums, no percentiles",
        wanted=at_most(60),
        lower=True,
        rounds=1,
    ),
    Row(
        name="trace-stats-days",
        title="traceStats by the days of a zone, over the same",
        unit="ms",
        measure=_side(2),
        lower=True,
        rounds=1,
    ),
]
