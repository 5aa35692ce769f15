"""State entries by meaning: the vectors of the namespaces asked for are read and compared, each of them."""

from __future__ import annotations

from domain.state import SEPARATOR, StateEntry
from stores.ports import FoundStates, StateSearch
from stores.services.filters import Where, apply
from stores.services.labels import STATE
from stores.services.neo4j_client import Neo4jClient
from stores.state_index import COMPARED, nearest

_SEEK = "USING INDEX SEEK n:StateVector(workspace, namespace, id) WHERE n.workspace = $workspace AND n.namespace"

_VECTORS = (
    f"CALL () {{ MATCH (n:StateVector) {_SEEK} = $namespace AND n.id IS NOT NULL RETURN n "
    f"UNION ALL MATCH (n:StateVector) {_SEEK} STARTS WITH $below AND n.id IS NOT NULL RETURN n }} "
    "WITH n LIMIT $most RETURN collect([n.entry, n.embedder, n.vector])"
)

_TOGETHER = 200
"""So many of the nearest are looked at first, ten times as many each time that is not enough."""


async def find(graph: Neo4jClient, workspace: str, now: int, search: StateSearch) -> FoundStates:
    """See stores.ports.Store.search_states. now: microseconds since 1970."""
    [rows] = await graph.read(
        _VECTORS,
        workspace=workspace,
        namespace=search.namespace,
        below=search.namespace + SEPARATOR,
        most=COMPARED + 1,
    )
    near, waiting = nearest([(entry, embedder, bytes(vector or b"")) for entry, embedder, vector in rows], search)
    where = Where()
    where.conditions.append(STATE.live())
    apply(search.filter, StateEntry, where)
    asking = (
        f"{where.given}CALL (refs) {{ UNWIND $ids AS id MATCH (n:State {{id: id}}) WHERE {where.cypher} "
        f"RETURN collect(n) AS ns }} RETURN {STATE.lists()}"
    )
    found: dict[str, StateEntry] = {}
    start, count = 0, _TOGETHER
    while start < len(near) and len(found) < search.limit:
        some = [id for id, _ in near[start : start + count]]
        [columns] = await graph.read(asking, workspace=workspace, now=now, ids=some, **where.parameters)
        found |= {one.id: one for one in STATE.records(columns)}
        start, count = start + count, 10 * count
    hits = [(found[id], cosine) for id, cosine in near if id in found][: search.limit]
    return FoundStates([one for one, _ in hits], [cosine for _, cosine in hits], waiting)
