"""A fresh graph for each test that asks for one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.graphql_client import Clock, Graph, in_memory
from tests.support.services import require_services

# Each client for HTTP loads all certificates, 25 ms, though no test speaks TLS with anybody.
ssl.create_default_context = cache(ssl.create_default_context)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on no disk where there is such a thing: a test does not wait for it."""
    with in_memory() as folder:
        yield folder


@pytest.fixture
def clock() -> Clock:
    """The graph's time."""
    return Clock()


@pytest.fixture(scope="session", params=["embedded", "services"])
def family(request: pytest.FixtureRequest) -> str:
    """The engines that a test runs on."""
    if request.param == "services":
        require_services()
    return str(request.param)


@pytest.fixture
async def graph(folder: Path, clock: Clock, family: str) -> AsyncIterator[Graph]:
    """An empty graph."""
    graph = Graph(folder, clock, family=family)
    await graph.begin()
    yield graph
    await graph.close()
