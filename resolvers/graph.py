"""Explore the memory graph, and fetch nodes by id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from math import prod
from typing import TypeVar

from domain.audit import AuditEntry
from domain.caller import Role
from domain.entity import Entity
from domain.errors import invalid
from domain.graph import (
    MAX_DEPTH,
    MAX_NODES,
    Exploration,
    GraphEdge,
    GraphEdgeKind,
    GraphInclude,
    MemoryGraph,
    MemoryPath,
    SharedReference,
    edge_of,
)
from domain.key import ApiKey
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory
from domain.message import Message
from domain.node import Id, Node, kind_of
from domain.page import MAX_FIRST
from domain.session import Session
from domain.values import Ref
from resolvers.context import Context, present, records_of, require
from resolvers.keys import keys_of
from stores.ports import Fields

MAX_PATHS = 20

_FOR_ADMINS = (ApiKey, AuditEntry)
"""What takes the right ADMIN to see, also by its id."""


N = TypeVar("N", bound=Node)


async def nodes(context: Context, ids: list[Id]) -> list[Node | None]:
    if len(ids) > MAX_NODES:
        raise invalid(f"At most {MAX_NODES} ids are allowed.", ["ids"])
    by_kind: dict[type[Node], list[Id]] = defaultdict(list)
    for id in ids:
        if (kind := kind_of(id)) is not None:
            by_kind[kind].append(id)
    found: dict[Id, Node | None] = {}
    for kind, same in by_kind.items():
        if kind.hidden or (kind in _FOR_ADMINS and not context.caller.role.allows(Role.ADMIN)):
            continue
        found.update(zip(same, await _read(context, kind, same), strict=True))
    return [found.get(id) for id in ids]


async def _read(context: Context, kind: type[Node], ids: list[Id]) -> Sequence[Node | None]:
    return await (keys_of(context, ids) if kind is ApiKey else context.store.get(kind, ids))


async def node(context: Context, id: Id) -> Node | None:
    return (await nodes(context, [id]))[0]


async def neighborhoods(  # noqa: PLR0913 - what the field takes
    context: Context,
    memories: Sequence[Memory],
    depth: int = 2,
    limit: int = 100,
    kinds: list[MemoryLinkKind] | None = None,
    min_weight: float | None = None,
    include: list[GraphInclude] | None = None,
    as_of: datetime | None = None,
    fields: Fields | None = None,
) -> list[MemoryGraph]:
    """Everything within `depth` links of each memory, nearest first, cut at `limit` nodes. fields: of the memories.
    Raises Rejected: INVALID."""
    context = context.as_of(as_of)
    _within(depth, 0, MAX_DEPTH, "depth")
    _within(limit, 1, MAX_NODES, "limit")
    wanted = Exploration(
        depth,
        limit,
        None if kinds is None else frozenset(kinds),
        min_weight or 0.0,
        frozenset(include or ()),
    )
    explored = await context.store.explore([memory.id for memory in memories], wanted, fields)
    known: dict[Id, Node] = {id: record for one in explored for id, record in one.records.items()}
    others = await nodes(context, list({id for one in explored for id in one.ids}.difference(known)))
    known.update((record.id, record) for record in others if record is not None)
    graphs = []
    for memory, one in zip(memories, explored, strict=True):
        found = {id: known[id] for id in one.ids if id in known}
        edges = [edge for edge in one.edges if edge.source in found and edge.target in found]
        center = found.get(memory.id, memory)
        assert isinstance(center, Memory)
        graphs.append(MemoryGraph(center, list(found.values()), edges, one.truncated))
    return graphs


async def paths(
    context: Context,
    from_: Id,
    to: Id,
    kinds: list[MemoryLinkKind] | None = None,
    max_depth: int = 6,
    first: int = 3,
    entities: bool | None = None,
    as_of: datetime | None = None,
) -> list[MemoryPath]:
    """Ways between two memories, the shortest first. Raises Rejected: NOT_FOUND, INVALID."""
    context = context.as_of(as_of)
    _within(max_depth, 0, MAX_DEPTH, "maxDepth")
    _within(first, 0, MAX_PATHS, "first")
    await require(context.store, Memory, Ref(id=from_), ["from"])
    await require(context.store, Memory, Ref(id=to), ["to"])
    found = []
    for path in await context.store.paths(from_, to, kinds, max_depth, first, bool(entities)):
        known = await records_of(context, path)
        linked = [pair for pair in pairwise(path) if not any(one.startswith(Entity.prefix) for one in pair)]
        links = await context.store.links_between(linked, kinds)
        if len(known) == len(path) and len(links) == len(linked):
            found.append(_path([known[id] for id in path], links))
    return found


def _path(nodes: list[Node], links: list[MemoryLink]) -> MemoryPath:
    """links: those between the memories that follow each other, in order."""
    edges: list[GraphEdge] = []
    for one, other in pairwise(nodes):
        if isinstance(one, Entity) or isinstance(other, Entity):
            source, target = (other, one) if isinstance(one, Entity) else (one, other)
            edges.append(GraphEdge(source.id, target.id, GraphEdgeKind.MENTIONS, 1.0))
        else:
            edges.append(edge_of(links[sum(edge.link is not None for edge in edges)]))
    memories = [one for one in nodes if isinstance(one, Memory)]
    return MemoryPath(memories, links, nodes, edges, prod((link.weight for link in links), start=1.0))


async def shared_references(
    context: Context, memories: Sequence[Memory], first: int = 10
) -> list[list[SharedReference]]:
    """What shares messages, sessions or neighbours with each memory, best first. Raises Rejected: INVALID."""
    _within(first, 0, MAX_FIRST, "first")
    shared = await context.store.shared([memory.id for memory in memories], first)
    every = [one for of in shared for one in of]
    others = await _known(context, Memory, [id for one in every for id in (one.memory_id, *one.neighbor_ids)])
    messages = await _known(context, Message, [id for one in every for id in one.message_ids])
    sessions = await _known(context, Session, [id for one in every for id in one.session_ids])
    return [
        [
            SharedReference(
                others[one.memory_id],
                [messages[id] for id in one.message_ids if id in messages],
                [sessions[id] for id in one.session_ids if id in sessions],
                [others[id] for id in one.neighbor_ids if id in others],
                one.score,
            )
            for one in of
            if one.memory_id in others
        ]
        for of in shared
    ]


async def _known(context: Context, kind: type[N], ids: Iterable[Id]) -> dict[Id, N]:
    return {record.id: record for record in await present(context.store, kind, list(dict.fromkeys(ids)))}


def _within(value: int, least: int, most: int, name: str) -> None:
    if not least <= value <= most:
        raise invalid(f"{name} must be between {least} and {most}.", [name])
