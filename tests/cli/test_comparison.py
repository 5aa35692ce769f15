"""Which memories are searched for where two stores are compared: evenly over all, without all being held."""

from __future__ import annotations

import pytest

from cli.comparison import SEARCHES, _spread
from tests.support.graphql_client import Graph


@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 39, 40, 41, 700])
async def test_some_are_taken_evenly(graph: Graph, count: int) -> None:
    for start in range(0, count, 100):
        memories = [{"text": str(n), "scope": "GLOBAL"} for n in range(start, min(count, start + 100))]
        await graph.do("createMemories", {"memories": memories})
    places = [int(memory.text) for memory in await _spread(graph.context)]
    assert len(places) == min(SEARCHES, count)
    apart = [later - one for one, later in zip([-1, *places], [*places, count], strict=True)]
    assert max(apart) <= 2 * max(1, count // SEARCHES) + 2
    assert min(apart, default=1) >= 1
