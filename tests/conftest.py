"""A fresh graph for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.graphql_client import Clock, Graph, in_memory


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on no disk where there is such a thing: a test does not wait for it."""
    with in_memory() as folder:
        yield folder


@pytest.fixture
def clock() -> Clock:
    """The graph's time."""
    return Clock()


@pytest.fixture
async def graph(folder: Path, clock: Clock) -> AsyncIterator[Graph]:
    """An empty graph."""
    graph = Graph(folder, clock)
    await graph.begin()
    yield graph
    await graph.close()
