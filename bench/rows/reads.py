"""Reads by id and by page, per second of the server's processor time."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec

from bench import queries
from bench.baselines.raw import raw_page
from bench.data import LONG, LONG_MESSAGES
from bench.http import post
from bench.lab import Lab
from bench.load import Next, load
from bench.process import BenchError, Process
from bench.row import Measure, Row, Wanted, times, within_times
from domain.caller import LOCAL
from server.graphql.documents import Request
from stores.embedded.engine import EmbeddedEngine

_CALLERS = 4
_LONG = {"by": {"externalId": LONG}}

_Server = Callable[[Lab], Awaitable[Process]]


def _asking(server: _Server, make: Callable[[Lab], Next]) -> Measure:
    async def measure(lab: Lab) -> float:
        return (await load(await server(lab), make(lab), lab.seconds, _CALLERS)).per_cpu

    return measure


def _same(query: str, variables: dict[str, Any] | None = None, path: str = "/graphql") -> Callable[[Lab], Next]:
    request = post(query, variables, path)
    return lambda _: lambda: request


def any_session(lab: Lab) -> Next:
    requests = [post(queries.GET, {"by": {"externalId": key}}) for key in lab.data.others]
    chance = random.Random(lab.seed)
    return lambda: chance.choice(requests)


def _nested(first: int) -> dict[str, Any]:
    return {**_LONG, "first": first}


async def _checked(lab: Lab) -> Process:
    """The server of the baseline, once it is known to answer the same."""

    async def compare() -> None:
        pages = []
        for server in (await lab.server(), await lab.plain()):
            connection = await server.connect()
            answer = await connection.data(queries.NESTED, _nested(LONG_MESSAGES))
            connection.close()
            pages.append([_told(edge["node"]) for edge in answer["session"]["messages"]["edges"]])
        if pages[0] != pages[1]:
            raise BenchError("The baseline does not answer what Recollect answers.")

    await lab.once("same", compare)
    return await lab.plain()


def _told(message: dict[str, Any]) -> dict[str, Any]:
    """What is the same in both: all but the ids and the form of times."""
    refs = [{"score": ref["score"], **ref["memory"], "id": None} for ref in message["memoryRefs"]]
    return {**message, "id": None, "createdAt": None, "sender": message["sender"]["name"], "memoryRefs": refs}


async def _inside(lab: Lab) -> tuple[float, float]:
    """Milliseconds of a page of 1,000 and of its raw like, in turns; the medians."""
    request = Request(queries.NESTED, _nested(LONG_MESSAGES))
    taken: list[tuple[float, float]] = []
    async with lab.inside() as service:
        reader = cast("EmbeddedEngine", service.engine).reader
        end = time.perf_counter() + 3 * lab.seconds
        while time.perf_counter() < end or len(taken) < 5:
            begun = time.perf_counter()
            answer = await service.executor.execute(request, service.operation(LOCAL))
            between = time.perf_counter()
            raw = raw_page(reader, LONG, LONG_MESSAGES)
            taken.append((between - begun, time.perf_counter() - between))
    if _without_cursors(answer) != _without_cursors(raw):
        raise BenchError("The raw page is not the page.")
    ours, its = zip(*taken, strict=True)
    return statistics.median(ours) * 1000, statistics.median(its) * 1000


def _without_cursors(body: bytes) -> Any:
    session = msgspec.json.decode(body)["data"]["session"]
    for edge in session["messages"]["edges"]:
        del edge["cursor"]
    del session["messages"]["pageInfo"]["endCursor"]
    return session


def _side(index: int) -> Measure:
    async def measure(lab: Lab) -> float:
        return (await lab.once("inside", lambda: _inside(lab)))[index]

    return measure


def _row(name: str, title: str, make: Callable[[Lab], Next], **beside: Any) -> Row:
    return Row(name=name, title=title, unit="requests/CPU-s", measure=_asking(Lab.server, make), **beside)


def _beside(server: _Server, make: Callable[[Lab], Next], against: str, wanted: Wanted | None = None) -> dict[str, Any]:
    return {"baseline": _asking(server, make), "against": against, "wanted": wanted}


_TYPENAME = _same(queries.TYPENAME)
_FIFTY = _same(queries.NESTED, _nested(50))
_THOUSAND = _same(queries.NESTED, _nested(LONG_MESSAGES))
_CACHED = _same(queries.NESTED, _nested(50), "/cached")
_PLAIN = "Strawberry, DataLoaders, sqlite3"

ROWS = [
    _row("typename", "{ __typename }", _TYPENAME, **_beside(Lab.plain, _TYPENAME, "Strawberry's ASGI view", times(8))),
    _row("get", "One session by its externalId", any_session),
    _row("history", "Page of the latest 50 messages, plain fields", _same(queries.HISTORY, _LONG)),
    _row("nested-50", "Nested page of 50 messages", _FIFTY, **_beside(_checked, _FIFTY, _PLAIN, times(20))),
    _row("nested-1000", "Nested page of 1,000", _THOUSAND, **_beside(_checked, _THOUSAND, _PLAIN, times(20))),
    _row(
        "nested-50-cached",
        "Nested page of 50 messages",
        _FIFTY,
        **_beside(_checked, _CACHED, f"{_PLAIN}, its caches on"),
    ),
    Row(
        name="nested-1000-raw",
        title="Nested page of 1,000, in process",
        unit="ms",
        measure=_side(0),
        baseline=_side(1),
        against="two SQL statements and msgspec",
        wanted=within_times(3),
        lower=True,
        rounds=1,
    ),
]
