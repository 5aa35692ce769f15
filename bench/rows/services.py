"""The services engine beside the embedded one, and beside what Neo4j's driver takes for the same without us."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, LiteralString

from bench import queries
from bench.baselines.driver import HISTORY, NESTED, SESSION, Raw
from bench.data import LONG, LONG_MESSAGES, OWNER, events
from bench.http import post
from bench.lab import Lab
from bench.load import Load, load
from bench.process import BenchError
from bench.row import Measure, Row, within_times
from bench.rows import large
from bench.rows.live import deliveries
from bench.rows.writes import adding, batches

_AT_LEAST = 10
"""How often each side is asked at least."""

_BATCH = 100
_LONG = {"by": {"externalId": LONG}}
_ROW = {"workspace": "default", "sender_type": "USER", "content": '[{"type":"text","text":"What did we decide?"}]'}

Told = Callable[[Any, Any], bool]
"""Whether the server's answer and the driver's say the same."""


class _Pair:
    """A request and the raw call that reads the same, asked in turns by one caller; milliseconds, the medians."""

    def __init__(self, name: str, query: str, statement: LiteralString, same: Told, **variables: Any) -> None:
        self._name, self._query, self._statement, self._same, self._variables = name, query, statement, same, variables

    async def ours(self, lab: Lab) -> float:
        """What the server takes, over HTTP."""
        return (await lab.once(self._name, lambda: self._measure(lab)))[0]

    async def raw(self, lab: Lab) -> float:
        """What the driver takes."""
        return (await lab.once(self._name, lambda: self._measure(lab)))[1]

    async def _measure(self, lab: Lab) -> tuple[float, float]:
        connection = await (await filled(lab)).connect()
        variables = {**_LONG, **self._variables}
        request = post(self._query, variables)
        taken: list[tuple[float, float]] = []
        raw = Raw(lab.servers["RECOLLECT_GRAPH_URL"]) if lab.servers else None
        try:
            if raw is not None and not self._same(
                (await connection.data(self._query, variables))["session"], await self._ask(raw)
            ):
                raise BenchError("The driver does not read what the server answers.")
            end = time.perf_counter() + 3 * lab.seconds
            while time.perf_counter() < end or len(taken) < _AT_LEAST:
                begun = time.perf_counter()
                await connection.ask(request)
                between = time.perf_counter()
                if raw is not None:
                    await self._ask(raw)
                taken.append((between - begun, time.perf_counter() - between))
        finally:
            connection.close()
            if raw is not None:
                await raw.close()
        ours, its = zip(*taken[len(taken) // 4 :], strict=True)
        return statistics.median(ours) * 1000, statistics.median(its) * 1000

    async def _ask(self, raw: Raw) -> Any:
        return await raw.read(self._statement, key=LONG, first=self._variables.get("first", 50))


async def filled(lab: Lab) -> Any:
    """The server, with the data in it. Raises BenchError where the servers behind it were not empty."""
    if lab.servers:
        await lab.once("empty", lambda: _expect_empty(lab))
    return await lab.server()


async def _expect_empty(lab: Lab) -> None:
    raw = Raw(lab.servers["RECOLLECT_GRAPH_URL"])
    try:
        await raw.expect_empty()
    finally:
        await raw.close()


def _same_session(ours: Any, raw: Any) -> bool:
    return all(ours[name] == raw[name] for name in ("id", "kind", "title", "status", "messageCount"))


def _same_history(ours: Any, raw: Any) -> bool:
    return [node["id"] for node in ours["messages"]["nodes"]] == [message["id"] for message in reversed(raw)]


def _same_page(ours: Any, raw: Any) -> bool:
    nodes = [edge["node"] for edge in ours["messages"]["edges"]]
    refs = [(node["id"], ref["score"], ref["memory"]["id"]) for node in nodes for ref in node["memoryRefs"]]
    ids, types = raw["messages"][:2]
    return (
        [(node["id"], node["senderType"]) for node in nodes] == list(zip(ids, types, strict=True))
        and {(node["sender"]["id"], node["sender"]["name"]) for node in nodes} == {tuple(one) for one in raw["senders"]}
        and sorted(refs) == sorted(zip(raw["of"], raw["scores"], raw["memories"][0], strict=True))
    )


def _raw_rows(callers: int, each: int) -> Measure:
    """Rows a second that the driver writes alone, where callers write some at a time."""

    async def measure(lab: Lab) -> float:
        raw, done = Raw(lab.servers["RECOLLECT_GRAPH_URL"]), 0
        rows = [_ROW] * each

        async def caller() -> None:
            nonlocal done
            while time.perf_counter() < end:
                await raw.write(rows)
                done += each

        try:
            await raw.write(rows)
            begun = time.perf_counter()
            end = begun + lab.seconds
            await asyncio.gather(*(caller() for _ in range(callers)))
            return done / (time.perf_counter() - begun)
        finally:
            await raw.close()

    return measure


def _on(measure: Callable[[Lab], Awaitable[float]]) -> Measure:
    async def measured(lab: Lab) -> float:
        await filled(lab)
        return await measure(lab)

    return measured


def _adds(callers: int) -> Measure:
    async def measure(lab: Lab) -> float:
        return (await load(await filled(lab), adding(lab), lab.seconds, callers, queries.WRITTEN)).rate

    return measure


def _searches(share: float) -> Measure:
    async def loaded(lab: Lab) -> Load:
        questions = lab.data.questions()
        owner = {"externalId": OWNER}
        server = await filled(lab)
        ask = lambda: post(queries.SEARCH, {"text": next(questions), "owner": owner})  # noqa: E731
        return await load(server, ask, 3 * lab.seconds)

    async def measure(lab: Lab) -> float:
        return (await lab.once("services-search", lambda: loaded(lab))).wait_ms(share)

    return measure


def _read(name: str, title: str, pair: _Pair, most: float | None = None) -> Row:
    return Row(
        name=name,
        title=f"{title}, over HTTP",
        unit="ms",
        measure=pair.ours,
        baseline=pair.raw,
        against="one raw call of the driver",
        wanted=None if most is None else within_times(most),
        lower=True,
        rounds=1,
    )


def _written(name: str, title: str, measure: Measure, callers: int, each: int = 1) -> Row:
    rows = f"{each} nodes" if each > 1 else "a node"
    return Row(
        name=name,
        title=title,
        unit="durable rows/s",
        measure=measure,
        baseline=_raw_rows(callers, each),
        against=f"the driver, {rows} a transaction, {callers} at once",
        rounds=2,
    )


ROWS = [
    _read("services-get", "One session by its externalId", _Pair("get", queries.GET, SESSION, _same_session)),
    _read("services-history", "Page of the latest 50", _Pair("history", queries.HISTORY, HISTORY, _same_history)),
    _read("services-nested-50", "Nested page of 50", _Pair("n50", queries.NESTED, NESTED, _same_page, first=50), 1.6),
    _read(
        "services-nested-1000",
        "Nested page of 1,000",
        _Pair("n1000", queries.NESTED, NESTED, _same_page, first=LONG_MESSAGES),
        1.5,
    ),
    Row(name="services-search-p50", title="searchMemories HYBRID, p50", unit="ms", measure=_searches(0.5), lower=True,
        rounds=1),
    Row(name="services-search-p95", title="searchMemories HYBRID, p95", unit="ms", measure=_searches(0.95), lower=True,
        rounds=1),
    _written("services-add-128", "addMessage, 128 callers", _adds(128), 10),
    _written(
        "services-trace-1",
        "appendTraceEvents, 1 at a time, 128 callers",
        _on(batches(queries.APPEND, "events", events(1), 128)),
        10,
    ),
    _written(
        "services-trace-batches",
        "appendTraceEvents, 100 at a time, 8 callers",
        _on(batches(queries.APPEND, "events", events(_BATCH))),
        8,
        _BATCH,
    ),
    *(
        Row(
            name=f"services-live-{count}",
            title=f"Live events to {count:,} subscribers",
            unit="deliveries/CPU-s",
            measure=deliveries(filled, count),
            rounds=2,
        )
        for count in (100, 1_000)
    ),
    *large.ROWS,
]  # fmt: skip
