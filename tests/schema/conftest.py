"""A fresh graph for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.graphql_client import Clock, Graph


@pytest.fixture
def clock() -> Clock:
    """The graph's time."""
    return Clock()


@pytest.fixture
async def graph(tmp_path: Path, clock: Clock) -> AsyncIterator[Graph]:
    """An empty graph."""
    graph = Graph(tmp_path, clock)
    await graph.begin()
    yield graph
    await graph.close()
