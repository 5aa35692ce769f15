"""What goes on while a server is down or hangs, what says so, and how soon."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from neo4j import Driver

from tests.support.faults import Start, column, health, seconds_until
from tests.support.load import EVENTS, MEMORY, end
from tests.support.running import Running, transport
from tests.support.servers import Server, Servers

SOON = 2.0
"""Seconds in which a server that hangs is found out. The machine may have other things to do: see `soon`."""

SEARCH = """query ($text: String!) { searchMemories(query: {text: $text}) { degraded hits { memory { text } } } }"""


def soon(seconds: float) -> bool:
    """Whether something was quick enough: with a little more than is promised, for what a busy machine takes."""
    return seconds < SOON + 1.0


@contextmanager
def hanging(server: Server) -> Iterator[None]:
    """It holds its connections open and answers nothing."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def answer(api: Running, query: str, **variables: Any) -> tuple[Any, float]:
    """An answer, and the seconds it took."""
    begun = time.monotonic()
    sent = {"query": query, "variables": variables}
    body = httpx.post(f"http://{api.address}/graphql", json=sent, trust_env=False, timeout=30).json()
    return body, time.monotonic() - begun


def well(api: Running) -> bool:
    return bool(health(api)["status"] == "healthy")


def test_neo4j_hangs(servers: Servers, api: Running, graph: Driver) -> None:
    answer(api, 'mutation { createSession(input: {externalId: "hanging"}) { session { id } } }')
    events = {"s": "hanging", "k": "once", "events": [{"type": "n", "data": part} for part in range(3)]}
    assert "errors" not in answer(api, EVENTS, **{**events, "k": "before"})[0]
    with hanging(servers.neo4j):
        for query in (EVENTS, "{ sessions { totalCount } }", EVENTS):
            body, took = answer(api, query, **events)
            [error] = body["errors"]
            assert error["extensions"]["code"] == "UNAVAILABLE"
            assert error["extensions"]["retryAfterMs"] >= 100
            assert soon(took)
        begun = time.monotonic()
        told = health(api)
        assert soon(time.monotonic() - begun)
        assert (told["code"], told["status"], told["neo4j"]["status"]) == (503, "unhealthy", "unhealthy")
    seconds_until(lambda: well(api), 20)
    assert "errors" not in answer(api, EVENTS, **events)[0]
    written = column(
        graph,
        "MATCH (s:Session {external_id: 'hanging'}) MATCH (n:TraceEvent {session: s.id}) RETURN n.data ORDER BY n.place",
    )
    assert written == ["0", "1", "2"] * 2, "what was in doubt and was sent again is there once, and whole"


def test_weaviate_hangs(servers: Servers, api: Running) -> None:
    text = "the mill by the river"
    assert "errors" not in answer(api, MEMORY, text=text, k="mill")[0]
    assert not answer(api, SEARCH, text="mill")[0]["data"]["searchMemories"]["degraded"]
    with hanging(servers.weaviate):
        body, took = answer(api, SEARCH, text="mill")
        assert soon(took)
        assert body["data"]["searchMemories"]["degraded"]
        assert body["data"]["searchMemories"]["hits"][0]["memory"]["text"] == text
        assert "errors" not in answer(api, MEMORY, text="the mill by the lake", k="lake")[0]
        told = health(api)
        assert (told["code"], told["weaviate"]["status"]) == (200, "degraded")
        assert told["weaviate"]["backlog"] == 1
        assert "full-text" in told["weaviate"]["reason"]
    seconds_until(lambda: well(api), 30)
    found = answer(api, SEARCH, text="mill lake")[0]["data"]["searchMemories"]
    assert not found["degraded"]
    assert found["hits"][0]["memory"]["text"] == "the mill by the lake"


async def test_redis_hangs(servers: Servers, start: Start) -> None:
    """Writes go on, and what one process writes another one's subscribers see within seconds."""
    here, there = start(), start()
    at = await here.ask("{ memoryCursor }")
    query = "subscription ($after: String) { memoryChanges(after: $after) { cursor memory { text } } }"
    events = transport(there.address, query, {"after": at["memoryCursor"]})
    seen: list[str] = []

    async def follow() -> None:
        async for edge in events:
            seen.append(edge["memory"]["text"])  # noqa: PERF401 - the list is read meanwhile

    following = asyncio.create_task(follow())
    for number in range(3):
        await here.ask(MEMORY, {"text": f"before {number}", "k": f"redis before {number}"})
    with hanging(servers.redis):
        for number in range(3):
            begun = time.monotonic()
            await here.ask(MEMORY, {"text": f"meanwhile {number}", "k": f"redis meanwhile {number}"})
            assert soon(time.monotonic() - begun)
        await asyncio.to_thread(seconds_until, lambda: len(seen) == 6, 15)
        told = await asyncio.to_thread(health, here)
        assert (told["code"], told["redis"]["status"]) == (200, "degraded")
        assert "once a second" in told["redis"]["reason"]
    await asyncio.to_thread(seconds_until, lambda: well(here), 20)
    await here.ask(MEMORY, {"text": "after", "k": "redis after"})
    await asyncio.to_thread(seconds_until, lambda: len(seen) == 7, 15)
    assert seen == [f"{when} {number}" for when in ("before", "meanwhile") for number in range(3)] + ["after"]
    await end([following])


@pytest.mark.parametrize("name", ["neo4j", "weaviate", "redis"])
def test_an_orderly_stop_while_a_server_hangs(servers: Servers, start: Start, name: str) -> None:
    api = start()
    assert well(api)
    with hanging(getattr(servers, name)):
        answer(api, MEMORY, text=f"last {name}", k=f"last {name}")
        begun = time.monotonic()
        status, said = api.stop()
        assert time.monotonic() - begun < 12
    assert status == 0
    assert "Traceback" not in said
