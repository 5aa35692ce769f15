"""Neo4j by URLs of clusters, and what one process has seen, read by another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from domain.session import Session
from stores.contract.making import DIMENSION, Clock, talk
from stores.open import open_engine
from stores.ports import Opening
from stores.services import liveness
from stores.services.engine import ServicesEngine
from stores.services.liveness import Place
from stores.services.neo4j_client import Address, Neo4jClient, prepare
from tests.support.services import empty, urls

pytestmark = pytest.mark.usefixtures("real_servers")


def through(place: str) -> str:
    """The URL of Neo4j with other hosts in it."""
    parts = urlsplit(urls()["graph_url"])
    return f"neo4j://{parts.netloc.rpartition('@')[0]}@{place}{parts.path}"


def its_place() -> str:
    return urlsplit(urls()["graph_url"]).netloc.rpartition("@")[2]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[[], ServicesEngine]]:
    """Opens engines over the same empty servers, as processes side by side do."""
    empty()
    engines: list[ServicesEngine] = []

    def opening() -> ServicesEngine:
        engine = open_engine(Opening(data=str(tmp_path), embedder="test", dimension=DIMENSION, clock=Clock(), **urls()))
        assert isinstance(engine, ServicesEngine)
        engines.append(engine)
        return engine

    yield opening
    for engine in engines:
        await engine.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what it waits for is of tasks and processes of their own
            await asyncio.sleep(0.02)


async def test_what_another_process_wrote_is_read_though_nobody_follows_it(
    opened: Callable[[], ServicesEngine],
) -> None:
    here, there = opened(), opened()
    there.listen()
    await until(lambda: there.listening)
    for _ in range(20):
        await talk(here.workspace("w"))
    async with asyncio.timeout(10):
        while not set(await here.graph.bookmarks()) <= set(await there.graph.bookmarks()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert len(await there.graph.bookmarks()) <= 2, "one that only listens keeps no bookmark of each write"


async def test_a_process_that_only_reads_listens(opened: Callable[[], ServicesEngine]) -> None:
    here, there = opened(), opened()
    where, _, _ = await talk(here.workspace("w"))
    await there.workspace("w").get(Session, [where.id])
    await until(lambda: there.listening)


async def test_the_second_address_is_used_where_the_first_is_down() -> None:
    empty()
    address = Address(through(f"127.0.0.1:1,{its_place()}"))
    assert prepare(address, f"test {DIMENSION}", "epoch")
    graph = Neo4jClient(address)
    assert (await graph.read("RETURN 7"))[0] == 7
    async with graph.transaction() as unit:
        assert await unit.run("RETURN 1") is not None
    assert graph.breaker.state == "closed"
    await graph.close()


@pytest.mark.parametrize("hangs", [False, True])
async def test_the_loss_of_the_host_in_the_url_is_no_outage_of_those_the_driver_knows(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the URL leads to a host that is gone, the members of the cluster are known from before."""
    monkeypatch.setattr(liveness, "_PATIENCE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as gone:  # whose backlog takes connections, which nobody reads
        host, port = gone.getsockname()
        if not hangs:
            gone.close()
        address = Address(urls()["graph_url"])
        address.ports = [Place(host, port, secure=False)]
        graph = Neo4jClient(address)
        [total] = await graph.read("UNWIND range(1, 3000000) AS x RETURN sum(x % 7 * x % 11)")
        assert total > 0
        assert (graph.breaker.state, graph.breaker.errors) == ("closed", 0)
        await graph.close()
        await asyncio.sleep(0)
