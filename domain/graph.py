"""Exploring how memories link: neighbourhoods, paths and what is shared."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory
from domain.message import Message
from domain.node import Id, Node
from domain.session import Session

MAX_DEPTH = 6
MAX_NODES = 1_000
STEP_BUDGET = 50_000
"""How many links a search for paths follows at the most before it answers with what it has."""


class GraphInclude(enum.Enum):
    """What a neighbourhood shows beside memories."""

    MESSAGES = "MESSAGES"
    SESSIONS = "SESSIONS"
    ACTORS = "ACTORS"


class GraphEdgeKind(enum.Enum):
    """The kinds of memory links, and how memories hang on messages, sessions and actors."""

    RELATED = "RELATED"
    DERIVED_FROM = "DERIVED_FROM"
    SUPPORTS = "SUPPORTS"
    CONTRADICTS = "CONTRADICTS"
    SUPERSEDES = "SUPERSEDES"
    CAUSES = "CAUSES"
    PRECEDES = "PRECEDES"
    FORMED_FROM = "FORMED_FROM"
    REFERENCED_BY = "REFERENCED_BY"
    IN_SESSION = "IN_SESSION"
    OWNED_BY = "OWNED_BY"


class GraphEdge(msgspec.Struct, frozen=True, gc=False):
    """An edge between two nodes of a graph, by their ids."""

    source: Id
    target: Id
    kind: GraphEdgeKind
    weight: float
    link: MemoryLink | None = None


class MemoryGraph(msgspec.Struct, frozen=True):
    """A part of the graph. nodes: nearest first, then strongest; truncated: there was more within reach."""

    center: Memory
    nodes: list[Node]
    edges: list[GraphEdge]
    truncated: bool


class MemoryPath(msgspec.Struct, frozen=True):
    """A way from one memory to another. weight: the product of its links' weights."""

    memories: list[Memory]
    links: list[MemoryLink]
    length: int
    weight: float


class SharedReference(msgspec.Struct, frozen=True):
    """Another memory with what it shares: messages count 1, neighbours 0.5 and sessions 0.25 to the score."""

    memory: Memory
    messages: list[Message]
    sessions: list[Session]
    neighbors: list[Memory]
    score: float


class Exploration(msgspec.Struct, frozen=True):
    """What to explore: memories within `depth` links, over links of these kinds with at least this weight."""

    depth: int = 2
    limit: int = 100
    kinds: frozenset[MemoryLinkKind] | None = None
    min_weight: float = 0.0
    include: frozenset[GraphInclude] = frozenset()


K = TypeVar("K", bound=int | str)
Neighbors = Callable[[Sequence[K]], Iterator[tuple[K, K, float]]]
"""The links at some nodes: (node, other end, weight), in both directions."""


def nearest(center: K, neighbors: Neighbors[K], depth: int, limit: int) -> tuple[list[K], bool]:
    """Breadth first from `center`, which comes first: up to `limit` nodes, and whether there were more.

    Nodes come by distance, then by strength, the largest product of weights over the shortest ways there.
    """
    found: dict[K, float] = {center: 1.0}
    frontier = [center]
    for _ in range(depth):
        reached: dict[K, float] = {}
        for node, other, weight in neighbors(frontier):
            if other not in found:
                reached[other] = max(reached.get(other, 0.0), found[node] * weight)
        ordered = sorted(reached, key=lambda node: (-reached[node], node))
        room = limit - len(found)
        frontier = ordered[:room]
        found.update((node, reached[node]) for node in frontier)
        if len(ordered) > room:
            return list(found), True
        if not frontier:
            break
    return list(found), False


def shortest_paths(start: K, goal: K, neighbors: Neighbors[K], max_depth: int, first: int) -> list[list[K]]:
    """Up to `first` ways without a loop of at most `max_depth` links, the shortest first, then the strongest.

    Stops with what it has after STEP_BUDGET links.
    """
    if start == goal:
        return [[start]]
    ahead, meeting = _distances(start, goal, neighbors, max_depth)
    if meeting is None:
        return []
    paths: list[tuple[float, list[K]]] = []
    known = _Known(neighbors)
    for length in range(meeting, max_depth + 1):
        found = list(_walk([start], goal, length, ahead, known))
        paths += sorted(found, key=lambda path: (-path[0], path[1]))
        if len(paths) >= first or known.steps > STEP_BUDGET:
            break
    return [path for _, path in paths[:first]]


def _distances(start: K, goal: K, neighbors: Neighbors[K], max_depth: int) -> tuple[dict[K, int], int | None]:
    """Distances to the goal of the nodes around it, and the length of the shortest way; searched from both ends,
    the smaller frontier first."""
    sides = ({start: 0}, {goal: 0})
    frontiers = [[start], [goal]]
    depths = [0, 0]
    steps = 0
    while sum(depths) < max_depth and all(frontiers) and steps <= STEP_BUDGET:
        side = 0 if len(frontiers[0]) <= len(frontiers[1]) else 1
        depths[side] += 1
        reached = []
        for _, other, _weight in neighbors(frontiers[side]):
            steps += 1
            if other not in sides[side]:
                sides[side][other] = depths[side]
                reached.append(other)
        frontiers[side] = reached
        if any(node in sides[1 - side] for node in reached):
            return {**dict.fromkeys(sides[1], depths[1]), **sides[1]}, sum(depths)
    return sides[1], None


class _Known(Generic[K]):
    """Neighbours, each looked up once, with a count of the links followed."""

    def __init__(self, neighbors: Neighbors[K]) -> None:
        self._neighbors = neighbors
        self._links: dict[K, dict[K, float]] = {}
        self.steps = 0

    def __call__(self, node: K) -> dict[K, float]:
        if (links := self._links.get(node)) is None:
            links = self._links[node] = {}
            for _, other, weight in self._neighbors([node]):
                links[other] = max(links.get(other, 0.0), weight)
        self.steps += len(links)
        return links


def _walk(
    path: list[K], goal: K, left: int, ahead: dict[K, int], known: _Known[K], weight: float = 1.0
) -> Iterator[tuple[float, list[K]]]:
    """All loop-free ways of exactly `left` more links; a node that is known to be too far is not entered."""
    beyond = max(ahead.values()) + 1
    for other, link in known(path[-1]).items():
        if known.steps > STEP_BUDGET:
            return
        if other in path:
            continue
        if other == goal:
            if left == 1:
                yield weight * link, [*path, other]
        elif left > 1 and ahead.get(other, beyond) <= left - 1:
            yield from _walk([*path, other], goal, left - 1, ahead, known, weight * link)
