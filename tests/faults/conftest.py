"""Three servers that may be killed, and server processes of ours in front of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from neo4j import Driver, GraphDatabase

from server.settings import Settings
from stores.embedder import open_embedder
from stores.services.neo4j_client import Address, prepare
from tests.support.faults import Start
from tests.support.running import Running
from tests.support.servers import Servers, running


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Servers that nobody else uses."""
    with running() as three:
        embedder = open_embedder(Settings().embedder)
        # What the first start of a process does takes longer than a test waits for it on a busy machine.
        prepare(Address(three.neo4j.url), f"{embedder.name} {embedder.dimension}", "first")
        yield three


@pytest.fixture
def start(servers: Servers, tmp_path: Path) -> Iterator[Start]:
    """Starts server processes, each on a port of its own; all are gone after the test."""
    processes: list[Running] = []

    def starting(**settings: str) -> Running:
        process = Running(tmp_path / f"process-{len(processes)}", **servers.environment, **settings)
        processes.append(process)
        process.start()
        return process

    yield starting
    for process in processes:
        process.end()
    for process in processes:
        assert "Traceback" not in process.said()[1]


@pytest.fixture
def api(start: Start) -> Running:
    """One of them."""
    return start()


@pytest.fixture(scope="session")
def graph(servers: Servers) -> Iterator[Driver]:
    """What Neo4j has, asked behind everybody's back."""
    address = Address(servers.neo4j.url)
    with GraphDatabase.driver(address.uri, auth=address.auth) as driver:
        yield driver
