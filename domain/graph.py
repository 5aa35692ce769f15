"""Graph algorithms over memory links: neighbourhoods, shortest paths and shared references."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import islice
from math import prod
from typing import Generic, NamedTuple, TypeVar

import msgspec

from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory
from domain.message import Message
from domain.node import Id, Node
from domain.session import Session

MAX_DEPTH = 6
MAX_NODES = 1_000
STEPS = 20_000
WAYS = 5_000
WAYS_OF_ONE = 100
"""How many links, ways and ways to one node a search for paths follows from one end."""

FAN_OUT = 1_000
"""How many links of one memory are followed in each direction, the heaviest first; and how many of its messages, or of
its session's other memories, are looked at for what they share, the newest first."""
SHARED_FOLLOWED = 100_000
"""How many links, messages or memories are looked at in all for what memories share."""


class GraphInclude(enum.Enum):
    """What a neighbourhood includes besides memories."""

    MESSAGES = "MESSAGES"
    SESSIONS = "SESSIONS"
    ACTORS = "ACTORS"
    ENTITIES = "ENTITIES"


class GraphEdgeKind(enum.Enum):
    """The kinds of memory links, and how memories relate to messages, sessions, actors and
    entities."""

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
    MENTIONS = "MENTIONS"


class GraphEdge(msgspec.Struct, frozen=True, gc=False):
    """An edge between two nodes, given by their ids."""

    source: Id
    target: Id
    kind: GraphEdgeKind
    weight: float
    link: MemoryLink | None = None


def edge_of(link: MemoryLink) -> GraphEdge:
    return GraphEdge(link.source_id, link.target_id, GraphEdgeKind[link.kind.value], link.weight, link)


def hang(
    ids: Iterable[Id], edges: Iterable[GraphEdge], hanging: Iterable[GraphEdge], limit: int
) -> tuple[list[Id], list[GraphEdge], bool]:
    """Adds to a graph the edges to what hangs on its nodes, and their targets as far as the limit allows; the flag
    says whether it did not."""
    shown, drawn, truncated = dict.fromkeys(ids), list(edges), False
    for edge in hanging:
        if edge.target not in shown:
            if len(shown) >= limit:
                truncated = True
                continue
            shown[edge.target] = None
        drawn.append(edge)
    return list(shown), drawn, truncated


class MemoryGraph(msgspec.Struct, frozen=True):
    """A part of the graph. nodes: nearest first, then strongest; truncated: there was more within reach."""

    center: Memory
    nodes: list[Node]
    edges: list[GraphEdge]
    truncated: bool


class MemoryPath(msgspec.Struct, frozen=True):
    """A way from one memory to another. nodes, edges: all of it, in order; memories, links: those among them. weight:
    the product of its links' weights."""

    memories: list[Memory]
    links: list[MemoryLink]
    nodes: list[Node]
    edges: list[GraphEdge]
    weight: float

    @property
    def length(self) -> int:
        return len(self.edges)


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


K = TypeVar("K", bound=int | str | tuple[str, int])
Neighbors = Callable[[Sequence[K]], Iterator[tuple[K, K, float]]]
"""The links at some nodes: (node, other end, weight), in both directions."""


def nearest(center: K, neighbors: Neighbors[K], depth: int, limit: int) -> tuple[list[K], bool]:
    """Breadth first from `center`, which comes first: up to `limit` nodes, and whether there were more.

    Nodes come by distance, then by strength, the largest product of weights over the shortest ways there.
    """
    growing = spread(center, depth, limit)
    links: Iterable[tuple[K, K, float]] | None = None
    while True:
        try:
            links = neighbors(growing.send(links))
        except StopIteration as end:
            found: tuple[list[K], bool] = end.value
            return found


def spread(
    center: K, depth: int, limit: int
) -> Generator[list[K], Iterable[tuple[K, K, float]] | None, tuple[list[K], bool]]:
    """The same for one who has to wait for links: it yields nodes, and is sent the links at them."""
    found: dict[K, float] = {center: 1.0}
    frontier = [center]
    for _ in range(depth):
        reached: dict[K, float] = {}
        for node, other, weight in (yield frontier) or ():
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


class _Way(NamedTuple, Generic[K]):
    """A part of a path, from one of its ends on: its nodes in the order of the path, and the weights between them."""

    strength: float
    nodes: tuple[K, ...]
    weights: tuple[float, ...]


def shortest_paths(start: K, goal: K, neighbors: Neighbors[K], max_depth: int, first: int) -> list[list[K]]:
    """Up to `first` ways without a loop of at most `max_depth` links, the shortest first, then the strongest.

    They grow from both ends, always from the one that fewer lead from, until they meet. That is exact until more than
    STEPS links lead on from the ways of one end, more than WAYS_OF_ONE of them to one node, or they lead to more than
    WAYS nodes; from then on the strongest to each node are followed.
    """
    if start == goal:
        return [[start]][:first]
    known: dict[K, dict[K, float]] = {}
    ahead, behind = [_Way(1.0, (start,), ())], [_Way(1.0, (goal,), ())]
    found: list[list[K]] = []
    forward = True
    for _ in range(max_depth):
        if len(found) >= first or not ahead or not behind:
            break
        if forward:
            ahead = _further(ahead, True, known, neighbors)
        else:
            behind = _further(behind, False, known, neighbors)
        found += _meetings(ahead, behind, first)
        forward = len(ahead) < len(behind)
    return found[:first]


def _further(
    ways: list[_Way[K]], ahead: bool, known: dict[K, dict[K, float]], neighbors: Neighbors[K]
) -> list[_Way[K]]:
    """All ways with one more link, the best to each node first."""
    reached: dict[K, list[_Way[K]]] = {}
    for way, other, weight in islice(_steps(ways, -1 if ahead else 0, known, neighbors), STEPS):
        nodes, weights = (other,), (weight,)
        reached.setdefault(other, []).append(
            _Way(way.strength * weight, way.nodes + nodes, way.weights + weights)
            if ahead
            else _Way(way.strength * weight, nodes + way.nodes, weights + way.weights)
        )
    ranked = [
        (rank, -way.strength, other, way)
        for other, all_to_it in reached.items()
        for rank, way in enumerate(sorted(all_to_it, key=_best)[:WAYS_OF_ONE])
    ]
    return [way for *_, way in sorted(ranked)[:WAYS]]


def _best(way: _Way[K]) -> tuple[float, tuple[K, ...]]:
    return -way.strength, way.nodes


def _steps(
    ways: list[_Way[K]], end: int, known: dict[K, dict[K, float]], neighbors: Neighbors[K]
) -> Iterator[tuple[_Way[K], K, float]]:
    """Each way with each node that it leads on to, and the heaviest link there."""
    for way in ways:
        node = way.nodes[end]
        if (links := known.get(node)) is None:
            links = known[node] = {}
            for _, other, weight in neighbors([node]):
                links[other] = max(links.get(other, 0.0), weight)
        for other, weight in links.items():
            if other not in way.nodes:
                yield way, other, weight


def _meetings(ahead: list[_Way[K]], behind: list[_Way[K]], first: int) -> list[list[K]]:
    """The best paths of ways that lead to the same node, and have nothing else in common."""
    tails: dict[K, list[_Way[K]]] = {}
    for way in behind:
        tails.setdefault(way.nodes[0], []).append(way)
    met = (
        (-prod(tail.weights, start=head.strength), head.nodes, tail.nodes[1:])
        for head in ahead
        for tail in tails.get(head.nodes[-1], ())
        if set(head.nodes).isdisjoint(tail.nodes[1:])
    )
    return [[*head, *tail] for _, head, tail in nsmallest(first, met)]
