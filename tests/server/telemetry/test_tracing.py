"""Spans of the server's own: what they tell, whose trace they belong to, and where they end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.running import ROOT, Running, over_websocket, recollect
from tests.support.scraping import scrape

MARK = "s3cr3t"
NESTED = """query Nested { sessions { nodes { externalId messages(first: 3) { nodes { id sender { name } } } } } }"""
TRACE = """query Look($t: String!) { trace(traceId: $t) { spans(first: 200) { nodes {
  name spanId parentSpanId kind statusCode attributes } } } }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that sends its spans to itself."""
    running = Running(tmp_path_factory.mktemp("traced") / "data")
    running.start()
    running.stop()
    running.settings |= {
        "RECOLLECT_OTEL": "on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{running.address}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "no_proxy": "*",
    }
    running.start()
    asyncio.run(running.ask('mutation { createSession(input: {externalId: "s"}) { session { id } } }'))
    yield running
    running.end()


async def spans(server: Running, trace_id: str, *roots: str) -> list[dict[str, Any]]:
    """The spans of a trace, once those of these operations are there: a root ends, and is sent, last."""
    found: list[dict[str, Any]] = []
    for _ in range(100):
        trace = (await server.ask(TRACE, {"t": trace_id}))["trace"]
        found = trace["spans"]["nodes"] if trace else []
        if {span["name"] for span in found} >= set(roots):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def ask(server: Running, query: str, trace_id: str, variables: Any = None) -> httpx.Response:
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"query": query, "variables": variables}
        return await client.post(f"http://{server.address}/graphql", json=body, headers=headers)


async def test_a_request_its_levels_and_its_store_calls_are_spans_of_the_callers_trace(server: Running) -> None:
    answer = await ask(server, NESTED, "a" * 32)
    found = await spans(server, "a" * 32, "query Nested")
    [root] = [span for span in found if span["name"] == "query Nested"]
    assert root["parentSpanId"] == "00f067aa0ba902b7"
    assert root["attributes"]["graphql.operation.name"] == "Nested"
    assert root["attributes"]["recollect.cost"] == answer.json()["extensions"]["cost"]
    assert root["attributes"]["recollect.request_id"] == answer.headers["X-Request-Id"]
    levels = [span for span in found if span is not root and not span["name"].startswith("store ")]
    calls = [span for span in found if span["name"].startswith("store ")]
    assert levels and calls
    assert {span["parentSpanId"] for span in levels} == {root["spanId"]}
    assert {span["parentSpanId"] for span in calls} == {root["spanId"], *(span["spanId"] for span in levels)}


async def test_an_operation_of_a_socket_is_a_span(server: Running) -> None:
    events = over_websocket(server.address, "query OverASocket { viewer { name } }", {}, "graphql-transport-ws")
    async for _ in events:
        break
    await closed(events)
    names: set[str] = set()
    for _ in range(100):
        data = await server.ask("{ spans(first: 200) { nodes { name } } }")
        names = {span["name"] for span in data["spans"]["nodes"]}
        if "query OverASocket" in names:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(names)


async def closed(events: AsyncIterator[Any]) -> None:
    await events.aclose()  # type: ignore[attr-defined]


async def test_failures_are_told_and_values_are_not(server: Running) -> None:
    await ask(server, f'query Wrong {{ memories(after: "{MARK}") {{ nodes {{ id }} }} }}', "b" * 32)
    await ask(server, "query Typed($i: Int!) { sessions(first: $i) { nodes { id } } }", "b" * 32, {"i": MARK})
    found = await spans(server, "b" * 32, "query Wrong", "query Typed")
    outcomes = {span["name"]: span["attributes"].get("recollect.outcome") for span in found}
    assert outcomes["query Wrong"] == "INVALID"
    assert outcomes["query Typed"] == "BAD_USER_INPUT"
    assert {span["statusCode"] for span in found if span["name"] in ("query Wrong", "query Typed")} == {"ERROR"}
    assert MARK not in str(found)


async def test_a_server_that_sends_to_itself_comes_to_rest(server: Running) -> None:
    await server.ask(NESTED)
    await asyncio.sleep(1)
    before = scrape(server).sum("recollect_operations_total", kind="spans")
    await asyncio.sleep(1)
    assert before > 0
    assert scrape(server).sum("recollect_operations_total", kind="spans") == before


@pytest.mark.timed
def test_a_collector_that_is_gone_does_not_hold_up_the_end(tmp_path: Path) -> None:
    running = Running(tmp_path / "data", RECOLLECT_OTEL="on", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    running.start()
    try:
        asyncio.run(running.ask("{ viewer { name } }"))
        begun = time.monotonic()
        assert running.stop()[0] == 0
        assert time.monotonic() - begun < 9
    finally:
        running.end()


def test_nothing_of_it_is_loaded_where_it_is_off() -> None:
    """So that it costs nothing."""
    code = "import sys, server.serving; sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=30).returncode == 0


def test_without_its_packages_the_server_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ImportError\n")
    arguments = ("serve", "--port", "0", "--data", str(tmp_path / "data"))
    status, _, err = recollect(*arguments, RECOLLECT_OTEL="on", PYTHONPATH=str(tmp_path))
    assert (status, err) == (1, "recollect: RECOLLECT_OTEL=on needs extra packages: install recollect[otel].\n")
