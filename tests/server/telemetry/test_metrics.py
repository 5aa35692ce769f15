"""/metrics: what a server counts, and who may see it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from server.instrumentation import RequestRecord
from server.telemetry import metrics
from stores.open import open_engine
from stores.ports import FIGURES, Opening
from tests.support.running import Running
from tests.support.scraping import Scrape, scrape, scraped

ADMIN, READER, ELSEWHERE = "admin-key-1234567", "reader-key-123456", "other-key-1234567"
KEYS = f"{ADMIN},{READER}=default:read,{ELSEWHERE}=elsewhere:admin"

UPSERT = 'mutation Upsert { upsertUser(input: {externalId: "ada"}) { user { id } } }'
REMEMBER = """mutation { createMemories(input: {memories: [{text: "Black tea.", owner: {externalId: "ada"}}]}) {
  memories { id } errors { message } } }"""
SEARCH = (
    """query Find { searchMemories(query: {text: "tea"}, filter: {owner: {externalId: "ada"}}) { hits { score } } }"""
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("metrics") / "data")
    running.start()
    yield running
    running.end()


def post(server: Running, query: str, **headers: str) -> httpx.Response:
    return httpx.post(f"http://{server.address}/graphql", json={"query": query}, headers=headers, trust_env=False)


class Grown:
    """How much has been counted since this was made."""

    def __init__(self, server: Running) -> None:
        self._server, self._before = server, scrape(server)

    def by(self, name: str, /, **labels: str) -> float:
        return scrape(self._server).sum(name, **labels) - self._before.sum(name, **labels)


def test_operations_are_counted_by_kind_name_and_outcome(server: Running) -> None:
    grown = Grown(server)
    for _ in range(3):
        post(server, "query Who { viewer { name } }")
    post(server, UPSERT)
    post(server, "query Who { nothing }")
    post(server, "query Late { sessions(first: 100000) { nodes { id } } }")
    assert grown.by("recollect_operations_total", kind="query", name="Who", outcome="OK") == 3
    assert grown.by("recollect_operations_total", kind="mutation", name="Upsert", outcome="OK") == 1
    assert grown.by("recollect_operations_total", outcome="GRAPHQL_VALIDATION_FAILED") == 1
    assert grown.by("recollect_operations_total", name="Late", outcome="INVALID") == 1
    assert grown.by("recollect_operation_seconds_count", kind="query", name="Who") == 3
    assert grown.by("recollect_operation_seconds_sum", kind="mutation", name="Upsert") > 0
    assert grown.by("recollect_http_responses_total", route="/graphql") == 6


def test_store_calls_caches_and_writes_are_counted(server: Running) -> None:
    post(server, UPSERT)
    grown = Grown(server)
    for _ in range(2):
        assert "errors" not in post(server, REMEMBER).json()
    for _ in range(2):
        assert post(server, SEARCH).json()["data"]["searchMemories"]["hits"]
    assert grown.by("recollect_store_call_seconds_count", call="write") == 2
    assert grown.by("recollect_store_call_seconds_count", call="search") == 2
    assert grown.by("recollect_store_call_errors_total") == 0
    assert grown.by("recollect_store_writes_total", part="sqlite") == 2
    assert 1 <= grown.by("recollect_store_commits_total", part="sqlite") <= 2
    assert grown.by("recollect_cache_requests_total", cache="documents", result="hit") >= 1
    assert grown.by("recollect_cache_requests_total", cache="documents", result="miss") >= 1
    assert grown.by("recollect_store_cache_hits_total") + grown.by("recollect_store_cache_misses_total") >= 2


def test_the_process_and_the_store_are_told(server: Running) -> None:
    found = scrape(server)
    assert found.sum("recollect_store_up", part="sqlite") == 1
    assert found.sum("recollect_store_latency_seconds", part="sqlite") < 1
    assert found.sum("recollect_store_bytes", part="sqlite") == sum(
        path.stat().st_size for path in server.data.glob("recollect.db*")
    )
    assert 30e6 < found.sum("process_resident_memory_bytes") < 500e6
    assert found.sum("process_cpu_seconds_total") > 0
    assert abs(found.sum("process_start_time_seconds") - time.time()) < 600
    assert {f"recollect_store_{name}" + "_total" * counted for name, (_, counted) in FIGURES.items()} <= found.names


async def test_a_busy_loop_is_late(server: Running) -> None:
    """The loop is measured four times a second."""
    began, grown = time.monotonic(), Grown(server)
    await until(lambda: grown.by("recollect_loop_lateness_seconds_count") >= 2)
    assert grown.by("recollect_loop_lateness_seconds_count") <= 4 * (time.monotonic() - began) + 1


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[metrics.Metrics]:
    engine = open_engine(Opening(data=str(tmp_path), embedder="test", dimension=16))
    yield metrics.Metrics(engine, lambda: metrics.Reading(0, 0, 0, 0, 0, {}, {}))
    await engine.close()


async def text_of(watched: metrics.Metrics) -> Scrape:
    return Scrape((await watched.text()).decode())


async def test_a_loop_that_is_blocked_is_told(watched: metrics.Metrics) -> None:
    task = asyncio.create_task(watched.watch_lateness())
    await asyncio.sleep(0.01)
    time.sleep(0.6)  # noqa: ASYNC251 - this is what must not be
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await text_of(watched)).sum("recollect_loop_lateness_seconds_sum") >= 0.3


async def test_subscribers_groups_and_sockets_are_counted_as_long_as_they_are_there(server: Running) -> None:
    post(server, 'mutation { createSession(input: {externalId: "watched"}) { session { id } } }')
    follow = 'subscription Follow { sessionTrace(session: {externalId: "watched"}) { cursor } }'
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            one = connect(
                f"ws://{server.address}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None
            )
            socket = await stack.enter_async_context(one)
            await socket.send('{"type":"connection_init"}')
            await socket.recv()
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": follow}}))
        await until(lambda: scrape(server).sum("recollect_subscribers") == 3)
        found = scrape(server)
        assert (found.sum("recollect_sockets"), found.sum("recollect_live_groups")) == (3, 1)
        operations = found.sum("recollect_operations_total", kind="subscription", name="Follow")
    await until(lambda: scrape(server).sum("recollect_sockets") == 0)
    found = scrape(server)
    assert (found.sum("recollect_subscribers"), found.sum("recollect_live_groups")) == (0, 0)
    assert found.sum("recollect_operations_total", kind="subscription", name="Follow") == operations + 3
    assert found.sum("recollect_operation_seconds_count", kind="subscription") == 0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - it happens in the server
            await asyncio.sleep(0.02)


def test_exports_of_spans_are_counted(server: Running) -> None:
    grown = Grown(server)
    for body in (b"{}", b"nonsense"):
        headers = {"Content-Type": "application/json"}
        httpx.post(f"http://{server.address}/v1/traces", content=body, headers=headers, trust_env=False)
    assert grown.by("recollect_operations_total", kind="spans", outcome="OK") == 1
    assert grown.by("recollect_operations_total", kind="spans", outcome="HTTP_400") == 1


async def test_names_of_callers_do_not_fill_the_metrics(watched: metrics.Metrics) -> None:
    for number in range(1000):
        request = RequestRecord("1")
        request.asks("query", f"Name{number}" if number else "x" * 1000, "", 1)
        watched.observe(request)
        watched.observe(request)
    told = await text_of(watched)
    names = {labels["name"] for name, labels, _ in told.samples if name == "recollect_operations_total"}
    assert len(names) <= metrics.MAX_NAMES + 1
    assert max(map(len, names)) <= metrics.MAX_NAME
    assert told.sum("recollect_operations_total") == 2000
    assert told.sum("recollect_operations_total", kind="query", name="Name1", outcome="OK") == 2


def test_addresses_of_callers_do_not_fill_the_metrics(server: Running) -> None:
    for path in ("/nowhere", "/else/where"):
        httpx.get(f"http://{server.address}{path}", trust_env=False)
    routes = {labels["route"] for name, labels, _ in scrape(server).samples if name == "recollect_http_responses_total"}
    assert routes <= {*metrics.ROUTES, metrics.OTHER}
    assert metrics.OTHER in routes


def test_metrics_are_read_not_written(server: Running) -> None:
    assert httpx.post(f"http://{server.address}/metrics", trust_env=False).status_code == 405


def test_another_site_does_not_see_them(server: Running) -> None:
    answer = httpx.get(f"http://{server.address}/metrics", headers={"Host": "evil.example"}, trust_env=False)
    assert (answer.status_code, "recollect_" in answer.text) == (403, False)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("closed") / "data", RECOLLECT_API_KEYS=KEYS, RECOLLECT_RATE_LIMIT="1")
    running.start()
    yield running
    running.end()


class TestWithCredentials:
    def test_an_admin_of_the_server_sees_them_at_any_rate(self, closed: Running) -> None:
        for _ in range(3):
            assert scrape(closed, ADMIN).sum("recollect_build_info") == 1

    @pytest.mark.parametrize(
        ("key", "status"), [(None, 401), ("nobody-knows-this", 401), (READER, 403), (ELSEWHERE, 403)]
    )
    def test_nobody_else_does(self, closed: Running, key: str | None, status: int) -> None:
        answer = scraped(closed, key)
        assert (answer.status_code, "recollect_" in answer.text) == (status, False)

    @pytest.mark.parametrize(("setting", "status"), [("open", 200), ("off", 404)])
    def test_they_can_be_opened_and_closed(self, tmp_path: Path, setting: str, status: int) -> None:
        running = Running(tmp_path / "data", RECOLLECT_API_KEYS=KEYS, RECOLLECT_METRICS=setting)
        running.start()
        try:
            assert scraped(running).status_code == status
        finally:
            running.end()


async def test_a_label_is_one_whatever_its_text_is(watched: metrics.Metrics) -> None:
    request = RequestRecord("1")
    request.asks("query", 'a"b\\c\nd', "", 1)
    watched.observe(request)
    assert (await text_of(watched)).sum("recollect_operations_total", name='a"b\\c\nd') == 1
