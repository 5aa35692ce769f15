"""The memory graph, as a frontend draws it."""

from __future__ import annotations

import strawberry

from domain import graph as domain
from domain.graph import GraphEdgeKind
from schema import refs
from schema.fields import backed_by
from schema.memory import Memory, MemoryLink
from schema.message import Message
from schema.page import Node
from schema.session import Session


@backed_by(domain.GraphEdge)
@strawberry.type(description="An edge between two nodes, given by their ids.")
class GraphEdge:
    source: strawberry.ID
    target: strawberry.ID
    kind: GraphEdgeKind
    weight: float
    link: MemoryLink | None = strawberry.field(description="The link, if the edge is a memory link.")


@backed_by(domain.MemoryGraph)
@strawberry.type(description="Part of the graph around a memory, as flat lists of nodes and edges.")
class MemoryGraph:
    center: Memory
    nodes: list[Node] = strawberry.field(description="The centre first, then by distance and strength.")
    edges: list[GraphEdge] = strawberry.field(description="All links among the nodes, heaviest first.")
    truncated: bool = strawberry.field(description="True if more nodes were in reach than the limit allows.")


@backed_by(domain.MemoryPath)
@strawberry.type(description="A path from one memory to another.")
class MemoryPath:
    memories: list[Memory]
    links: list[MemoryLink]
    nodes: list[Node] = strawberry.field(description="The memories, and the entities between them, in order.")
    edges: list[GraphEdge] = strawberry.field(description="The links and mentions between the nodes, in order.")
    length: int
    weight: float = strawberry.field(description="The product of the links' weights.")


@backed_by(domain.SharedReference)
@strawberry.type(description="Another memory, with up to ten shared items of each kind.")
class SharedReference:
    memory: Memory
    messages: list[Message]
    sessions: list[Session]
    neighbors: list[Memory]
    score: float = strawberry.field(description="A shared message counts 1, a neighbour 0.5, a session 0.25.")


__all__ = ["GraphEdge", "MemoryGraph", "MemoryPath", "SharedReference", "refs"]
