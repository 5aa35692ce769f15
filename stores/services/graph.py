"""The memory graph in Cypher: each question is one statement, bounded by depth and by how much it follows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from domain.graph import (
    FAN_OUT,
    SHARED_FOLLOWED,
    STEPS,
    WAYS,
    WAYS_OF_ONE,
    Exploration,
    GraphEdge,
    GraphEdgeKind,
    GraphInclude,
    edge_of,
    hang,
    shortest_paths,
)
from domain.link import MemoryLink, MemoryLinkKind
from domain.node import Id
from stores.policies import REFERENCES_SHOWN, SHARED_SHOWN, SHARING
from stores.ports import Explored, Fields, Shared
from stores.services.labels import MEMORY, NODE_IS_THERE, link_lists, seek, whole, whole_links
from stores.services.neo4j_client import Neo4jClient

_FOLLOWED = "l.weight >= $least AND coalesce(l.kind IN $kinds, true)"


def _neighbors(node: str, most: int = FAN_OUT) -> str:
    """Finds the memories y that a node is linked to, in either direction, and w, the weight of the heaviest link.

    most: how many links are followed in each direction, the heaviest first.
    """
    parts = (
        f"MATCH {way} WHERE {_FOLLOWED} AND {MEMORY.live('y')} "
        f"WITH y, l.weight AS w ORDER BY w DESC, y.id LIMIT {most} RETURN y, w"
        for way in (f"({node})-[l:LINK]->(y)", f"({node})<-[l:LINK]-(y)")
    )
    return f"CALL ({node}) {{ CALL ({node}) {{ {' UNION ALL '.join(parts)} }} RETURN y, max(w) AS w }} "


def _memory(parameter: str) -> str:
    """The memory of that id, in a list that is empty where it is not there."""
    return f"COLLECT {{ MATCH (n:Memory {{id: ${parameter}}}) WHERE {MEMORY.live()} RETURN n }}"


def _names(kinds: Collection[MemoryLinkKind] | None) -> list[str] | None:
    return None if kinds is None else [kind.value for kind in kinds]


# A level: from the frontier, which is the end of what was found, to what is new beyond it, the strongest first. The
# server takes each row to be as big as all lists it knows of, so they are short, and flat.
_LEVEL = (
    "CALL (found, strengths, truncated) { UNWIND range(size(found) - size(strengths), size(found) - 1) AS i "
    f"WITH found[i] AS x, strengths[i - size(found)] AS strength {_neighbors('x')}"
    "WITH y, max(strength * w) AS reach WHERE NOT y IN found "
    "WITH y, reach ORDER BY reach DESC, y.id LIMIT $limit + 1 RETURN collect(y) AS new, collect(reach) AS reaches } "
    "WITH found, new, reaches, truncated, $limit - size(found) AS room "
    "WITH found + new[..room] AS found, reaches[..room] AS strengths, truncated OR size(new) > room AS truncated "
)

_AMONG = (
    f"CALL (found) {{ UNWIND found AS a MATCH (a)-[l:LINK]->(b) WHERE b IN found AND {_FOLLOWED} "
    "WITH l ORDER BY l.weight DESC, l.id RETURN collect(l) AS ls } "
)

_COLUMNS = "[c IN $columns | [n IN found | n[c]]]"
"""Which they are is a parameter: a statement for each selection would be planned."""

_REFERENCES = f"COLLECT {{ MATCH (n)<-[:DRAWS_ON]-(m:Message) RETURN m.id ORDER BY m.id LIMIT {REFERENCES_SHOWN} }}"

_MENTIONED = (
    f"COLLECT {{ {seek('Mention', 'target', '= n.id', 'x')} "
    f"RETURN x.entity ORDER BY x.created_at, x.id LIMIT {REFERENCES_SHOWN} }}"
)

_HANGING: dict[GraphInclude, tuple[tuple[GraphEdgeKind, str], ...]] = {
    GraphInclude.MESSAGES: (
        (GraphEdgeKind.FORMED_FROM, "[n IN found | [n.source_message]]"),
        (GraphEdgeKind.REFERENCED_BY, f"[n IN found | {_REFERENCES}]"),
    ),
    GraphInclude.SESSIONS: ((GraphEdgeKind.IN_SESSION, "[n IN found | [n.session]]"),),
    GraphInclude.ACTORS: ((GraphEdgeKind.OWNED_BY, "[n IN found | [n.owner]]"),),
    GraphInclude.ENTITIES: ((GraphEdgeKind.MENTIONS, f"[n IN found | {_MENTIONED}]"),),
}
"""What hangs on each memory, as lists of ids."""


async def explore(
    graph: Neo4jClient, workspace: str, now: int, center: Id, exploration: Exploration, fields: Fields | None
) -> Explored:
    columns, decode = MEMORY.kind.reading(fields)
    wanted = [kind for include in GraphInclude if include in exploration.include for kind in _HANGING[include]]
    record = await graph.read(
        f"WITH {_memory('center')} AS found WITH found, [n IN found | 1.0] AS strengths, false AS truncated "
        f"{_LEVEL * exploration.depth}{_AMONG}"
        f"RETURN {', '.join(['truncated', _COLUMNS, link_lists(), *(ids for _, ids in wanted)])}",
        workspace=workspace,
        now=now,
        center=center,
        columns=[*columns, *NODE_IS_THERE],
        limit=exploration.limit,
        least=exploration.min_weight,
        kinds=_names(exploration.kinds),
    )
    truncated, read, linked, *hanging = record
    ids, links = read[-1], whole_links(linked)
    hangers = (
        GraphEdge(id, other, kind, 1.0)
        for (kind, _), found in zip(wanted, hanging, strict=True)
        for id, others in zip(ids, found, strict=True)
        for other in others
        if id is not None and other is not None
    )
    there = [id for id in ids if id is not None]
    shown, edges, more = hang(there, map(edge_of, links), hangers, exploration.limit)
    return Explored(shown, edges, truncated or more, {one.id: one for one in map(decode, whole(read))})


# A way from one end of a path is a row: the memory x that it leads to, and the ids and weights of all of it, in the
# order of the path. Ways are no lists of a row: the server takes each row to be as big as all that its lists hold.
_ENDS = {
    "start": ("ids + y.id", "weights + w"),
    "goal": ("[y.id] + ids", "[w] + weights"),
}


def _ways(end: str, length: int) -> str:
    """Finds the ways of a length from one end of a path."""
    ids, weights = _ENDS[end]
    begin = f"MATCH (x:Memory {{id: ${end}}}) WHERE {MEMORY.live('x')} "
    further = (
        f"{_neighbors('x', STEPS)} WITH ids, weights, strength * w AS strength, y, w WHERE NOT y.id IN ids "
        f"WITH ids, weights, strength, y, w LIMIT {STEPS} WITH * ORDER BY strength DESC, ids "
        f"WITH y, collect([{ids}, {weights}, strength])[..{WAYS_OF_ONE}] AS best "
        "UNWIND range(0, size(best) - 1) AS rank WITH y, rank, best[rank] AS way "
        f"ORDER BY rank, way[2] DESC, y.id LIMIT {WAYS} "
        "WITH y AS x, way[0] AS ids, way[1] AS weights, way[2] AS strength "
    )
    return f"{begin}WITH x, [x.id] AS ids, [] AS weights, 1.0 AS strength {further * length}"


def _paths(ahead: int, behind: int) -> str:
    """The paths of which so many links are followed from the start and so many from the goal: ways that lead to the
    same memory, and have nothing else in common. Then how many ways there were from either end."""
    return (
        f"CALL () {{ {_ways('start', ahead)} RETURN x, ids, weights, strength, true AS ahead "
        f"UNION ALL {_ways('goal', behind)} RETURN x, ids, weights, strength, false AS ahead }} "
        "WITH x, ids, weights, strength, ahead ORDER BY strength DESC, ids "
        "WITH x, collect(CASE WHEN ahead THEN [ids, strength] END) AS heads, "
        "collect(CASE WHEN NOT ahead THEN [ids, weights] END) AS tails "
        "WITH sum(size(heads)) AS ahead, sum(size(tails)) AS behind, "
        "collect(CASE WHEN heads <> [] AND tails <> [] THEN [heads, tails] END) AS meetings "
        "CALL (meetings) { UNWIND meetings AS meeting UNWIND meeting[0] AS head UNWIND meeting[1] AS tail "
        "WITH head, tail WHERE none(id IN tail[0][1..] WHERE id IN head[0]) "
        "WITH head[0] AS head, tail[0] AS tail, reduce(s = head[1], w IN tail[1] | s * w) AS strength "
        "ORDER BY strength DESC, head, tail LIMIT $first RETURN collect(head + tail[1..]) AS found } "
        "RETURN found, ahead, behind"
    )


async def paths(
    graph: Neo4jClient,
    workspace: str,
    now: int,
    start: Id,
    goal: Id,
    kinds: Sequence[MemoryLinkKind] | None,
    max_depth: int,
    first: int,
) -> list[list[Id]]:
    given = {"workspace": workspace, "now": now, "start": start, "goal": goal, "first": first}
    if start == goal:
        [here] = await graph.read(f"RETURN [n IN {_memory('start')} | n.id][..$first]", **given)
        return [here] if here else []
    found: list[list[Id]] = []
    ahead, behind = 1, 0
    for _ in range(max_depth):
        more, heads, tails = await graph.read(_paths(ahead, behind), **given, least=0.0, kinds=_names(kinds))
        found += [path for path in more if None not in path]
        if len(found) >= first or not heads or not tails:
            break
        ahead, behind = (ahead + 1, behind) if heads < tails else (ahead, behind + 1)
    return found[:first]


# What is beside each of some memories and entities. Mentions in the statements above would have each of them planned
# for seconds.
_BESIDE = (
    "UNWIND $ids AS id CALL (id) { "
    + " UNION ALL ".join(
        (
            f"MATCH (x:Memory {{id: id}}) {_neighbors('x', STEPS)}RETURN y.id AS other, w",
            f"{seek('Mention', 'target', '= id', 'k')} RETURN k.entity AS other, 1.0 AS w ORDER BY other LIMIT {STEPS}",
            f"{seek('Mention', 'entity', '= id', 'k')} MATCH (y:Memory {{id: k.target}}) WHERE {MEMORY.live('y')} "
            f"RETURN y.id AS other, 1.0 AS w ORDER BY other LIMIT {STEPS}",
        )
    )
    + " } RETURN collect([id, other, w])"
)
_READ = 200
"""Of how many memories and entities together."""


async def paths_over_entities(
    graph: Neo4jClient,
    workspace: str,
    now: int,
    ends: tuple[Id, Id],
    kinds: Sequence[MemoryLinkKind] | None,
    max_depth: int,
    first: int,
) -> list[list[Id]]:
    """Ways that also lead over entities: they are looked for again with what was missing the last time."""
    start, goal = ends
    given = {"workspace": workspace, "now": now}
    here = await graph.read(
        f"RETURN {_memory('start')} <> [] AND {_memory('goal')} <> []", **given, start=start, goal=goal
    )
    known: dict[Id, list[tuple[Id, Id, float]]] = {}
    missing: dict[Id, None] = {}

    def read(nodes: Sequence[Id]) -> Iterator[tuple[Id, Id, float]]:
        for node in nodes:
            if (beside := known.get(node)) is None:
                missing[node] = None
            else:
                yield from beside

    while here[0]:
        found = shortest_paths(start, goal, read, max_depth, first)
        if not missing:
            return found
        ids = list(missing)
        for some in (ids[at : at + _READ] for at in range(0, len(ids), _READ)):
            [beside] = await graph.read(_BESIDE, **given, ids=some, least=0.0, kinds=_names(kinds))
            known |= {id: [] for id in some}
            for id, other, weight in beside:
                known[id].append((id, other, weight))
        missing.clear()
    return []


async def links_between(
    graph: Neo4jClient,
    workspace: str,
    now: int,
    pairs: Sequence[tuple[Id, Id]],
    kinds: Sequence[MemoryLinkKind] | None,
) -> list[MemoryLink]:
    [found] = await graph.read(
        "UNWIND $pairs AS p CALL (p) { MATCH (a:Memory {id: p[0]})-[l:LINK]-(b:Memory {id: p[1]}) "
        f"WHERE {MEMORY.live('a')} AND {MEMORY.live('b')} AND {_FOLLOWED} "
        "RETURN l ORDER BY l.weight DESC, l.id LIMIT 1 } "
        f"WITH collect(l) AS ls RETURN {link_lists()}",
        workspace=workspace,
        now=now,
        pairs=[list(pair) for pair in pairs],
        least=0.0,
        kinds=_names(kinds),
    )
    return whole_links(found)


# How others, o, are found by what they share, m.
_FOUND_BY = {
    "messages": (
        "CALL (c) { MATCH (c)<-[:DRAWS_ON]-(m:Message) WITH m ORDER BY m.id DESC LIMIT $most RETURN m "
        "UNION MATCH (m:Message {id: c.source_message}) RETURN m } "
        "CALL (m) { MATCH (m)-[:DRAWS_ON]->(o) RETURN o "
        "UNION MATCH (o:Memory) WHERE o.source_message = m.id RETURN o }"
    ),
    "sessions": (
        "MATCH (m:Session {id: c.session}) MATCH (o:Memory) "
        "WHERE o.session = m.id AND o.created_at IS NOT NULL AND o.id IS NOT NULL "
        "WITH m, o ORDER BY o.session DESC, o.created_at DESC, o.id DESC LIMIT $most"
    ),
    "neighbors": (f"{_neighbors('c')} WITH y AS m {_neighbors('m')} WITH m, y AS o"),
}

_SHARED = (
    f"WITH {_memory('center')} AS found CALL (found) {{ UNWIND found AS c CALL (c) {{ "
    + " UNION ALL ".join(
        f"CALL (c) {{ {match} RETURN o, m.id AS id LIMIT {SHARED_FOLLOWED} }} RETURN o, id, '{name}' AS name"
        for name, match in _FOUND_BY.items()
    )
    + f" UNION ALL {_neighbors('c')} RETURN y AS o, c.id AS id, 'links' AS name }} "
    "WITH o, id, name ORDER BY id WITH o, "
    + ", ".join(f"collect(CASE name WHEN '{name}' THEN id END) AS {name}" for name in [*SHARING, "links"])
    + f" WHERE links = [] AND o.id <> $center AND {MEMORY.live('o')} "
    f"WITH *, {' + '.join(f'size({name}) * {worth}' for name, worth in SHARING.items())} AS score "
    "ORDER BY score DESC, o.id LIMIT $first RETURN collect([o.id, "
    + ", ".join(f"{name}[..{SHARED_SHOWN}]" for name in SHARING)
    + ", score]) AS shared } RETURN shared"
)


async def shared(graph: Neo4jClient, workspace: str, now: int, memory_id: Id, first: int) -> list[Shared]:
    """What shares messages, sessions or neighbours with a memory and is not linked to it; best first, ties by id."""
    [found] = await graph.read(
        _SHARED, workspace=workspace, now=now, center=memory_id, first=first, most=FAN_OUT, least=0.0, kinds=None
    )
    return [Shared(*row) for row in found if None not in row]
