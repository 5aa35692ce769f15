"""State entries by meaning: the vectors of the namespaces asked for are compared, each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

from domain.state import SEPARATOR, StateEntry
from stores.embedded.filters import Where, apply
from stores.embedded.rows import table
from stores.ports import FoundStates, StateSearch
from stores.rows import text
from stores.state_index import COMPARED, nearest

_STATE = table(StateEntry)

_VECTORS = """
SELECT (SELECT id FROM state WHERE key = t.entry), t.embedder, t.vector FROM (
    SELECT entry, embedder, vector FROM state_vector WHERE workspace = ?1 AND namespace = ?2
    UNION ALL
    SELECT entry, embedder, vector FROM state_vector WHERE workspace = ?1 AND namespace > ?3 AND namespace < ?4
    LIMIT ?5
) t
"""

_TOGETHER = 200
"""So many of the nearest are looked at first, four times as many each time that is not enough."""


def find(db: apsw.Connection, workspace: int, search: StateSearch) -> FoundStates:
    """See stores.ports.Store.search_states."""
    below = search.namespace + SEPARATOR
    after = search.namespace + chr(ord(SEPARATOR) + 1)  # the first name behind those that begin with it
    rows: list[Any] = db.execute(_VECTORS, (workspace, search.namespace, below, after, COMPARED + 1)).fetchall()
    near, waiting = nearest(rows, search)
    where = Where(workspace)
    where.add(f"+t.workspace = ?{_STATE.live}", workspace)
    apply(search.filter, StateEntry, where)
    sql = f"SELECT {_STATE.columns} FROM state t WHERE t.id IN (SELECT value FROM json_each(?)) AND {where.sql}"
    found: dict[str, StateEntry] = {}
    start, count = 0, _TOGETHER
    while start < len(near) and len(found) < search.limit:
        some = [id for id, _ in near[start : start + count]]
        passing: Iterable[Any] = db.execute(sql, [text(some), *where.params])
        found |= {one.id: one for one in map(_STATE.decode, passing)}
        start, count = start + count, 4 * count
    hits = [(found[id], cosine) for id, cosine in near if id in found][: search.limit]
    return FoundStates([one for one, _ in hits], [cosine for _, cosine in hits], waiting)
