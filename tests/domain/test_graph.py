"""Walking graphs, against brute force."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import graph
from domain.graph import nearest, shortest_paths

Links = dict[tuple[int, int], float]

graphs = st.dictionaries(
    st.tuples(st.integers(0, 8), st.integers(0, 8)), st.sampled_from([0.1, 0.25, 0.5, 0.9, 1.0]), max_size=24
)


class Graph:
    """Links in both directions, and a count of the nodes that were looked at."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.looked: list[int] = []

    def __call__(self, nodes: Sequence[int]) -> Iterator[tuple[int, int, float]]:
        for node in nodes:
            self.looked.append(node)
            for (a, b), weight in self.links.items():
                if a == node:
                    yield node, b, weight
                if b == node:
                    yield node, a, weight

    def strongest(self) -> dict[int, dict[int, float]]:
        found: dict[int, dict[int, float]] = {node: {} for node in range(9)}
        for (a, b), weight in self.links.items():
            for one, other in ((a, b), (b, a)):
                found[one][other] = max(found[one].get(other, 0.0), weight)
        return found


def ways(links: Links, start: int, goal: int, most: int) -> list[tuple[int, float]]:
    """Length and strength of all ways without a loop, the best first."""
    strongest = Graph(links).strongest()
    found: list[tuple[int, float]] = []

    def walk(path: list[int], weight: float) -> None:
        if path[-1] == goal:
            found.append((len(path) - 1, weight))
        elif len(path) <= most:
            for other, strength in strongest[path[-1]].items():
                if other not in path:
                    walk([*path, other], weight * strength)

    walk([start], 1.0)
    return sorted(found, key=lambda way: (way[0], -way[1]))


def layers(links: Links, center: int, depth: int) -> list[dict[int, float]]:
    strongest = Graph(links).strongest()
    found, seen = [{center: 1.0}], {center}
    for _ in range(depth):
        reached: dict[int, float] = {}
        for node, strength in found[-1].items():
            for other, weight in strongest[node].items():
                if other not in seen:
                    reached[other] = max(reached.get(other, 0.0), strength * weight)
        seen |= reached.keys()
        found.append(reached)
    return found


@given(graphs, st.integers(0, 8), st.integers(0, 6))
def test_a_neighborhood_is_all_within_reach_nearest_first_then_strongest(links: Links, center: int, depth: int) -> None:
    expected = [
        node
        for layer in layers(links, center, depth)
        for node in sorted(layer, key=lambda node, of=layer: (-of[node], node))  # type: ignore[misc]
    ]
    assert nearest(center, Graph(links), depth, 100) == (expected, False)


@given(graphs, st.integers(0, 8), st.integers(0, 6), st.integers(1, 9))
def test_a_limit_cuts_its_end_and_says_so(links: Links, center: int, depth: int, limit: int) -> None:
    whole, _ = nearest(center, Graph(links), depth, 100)
    assert nearest(center, Graph(links), depth, limit) == (whole[:limit], len(whole) > limit)


@given(graphs, st.integers(0, 8), st.integers(0, 8), st.integers(0, 8), st.integers(1, 30))
def test_paths_are_the_shortest_then_the_strongest(links: Links, start: int, goal: int, most: int, first: int) -> None:
    strongest = Graph(links).strongest()
    found = shortest_paths(start, goal, Graph(links), most, first)
    told = [(len(path) - 1, prod(strongest[a][b] for a, b in pairwise(path))) for path in found]
    expected = ways(links, start, goal, most)[:first]
    assert [length for length, _ in told] == [length for length, _ in expected]
    assert [weight for _, weight in told] == pytest.approx([weight for _, weight in expected])
    assert all(path[0] == start and path[-1] == goal and len(set(path)) == len(path) for path in found)
    assert len({tuple(path) for path in found}) == len(found)


def test_no_way_is_looked_for_beyond_what_is_asked() -> None:
    line = {(n, n + 1): 1.0 for n in range(8)}
    assert shortest_paths(0, 8, Graph(line), 8, 3) == [list(range(9))]
    assert shortest_paths(0, 8, Graph(line), 7, 3) == []
    assert shortest_paths(0, 0, Graph(line), 0, 3) == [[0]]


def test_a_search_without_end_stops_with_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "STEPS", 20)
    full = {(a, b): 0.5 for a in range(9) for b in range(a)}
    walked = Graph(full)
    found = shortest_paths(0, 8, walked, 8, 1_000_000)
    assert found[0] == [0, 8]
    assert len(found) < 100
    far = {**{(n, n + 1): 1.0 for n in range(3)}, **{(0, n): 1.0 for n in range(4, 9)}}
    assert shortest_paths(0, 3, Graph(far), 6, 3) == [[0, 1, 2, 3]]
