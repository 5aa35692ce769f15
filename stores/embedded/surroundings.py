"""What stands beside the candidates of a search: who said them, where in a session, and what they are tied to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import apsw
import msgspec

from domain.link import MemoryLinkKind
from domain.search import Candidate, Tie, asks
from stores.policies import DRAWN_BY, TIED
from stores.rows import moment

_SURROUNDED = (
    "SELECT t.key, t.id, t.importance, t.decay_factor, t.created_at, t.text, "
    "(SELECT id FROM session WHERE key = coalesce(m.session, t.session)), m.place, "
    "(SELECT CASE WHEN p.session = m.session THEN p.place END FROM message p WHERE p.key = m.parent), "
    "(SELECT name FROM participant WHERE key = m.sender), t.owner "
    "FROM json_each(?) e CROSS JOIN memory t ON t.key = e.value LEFT JOIN message m ON m.key = t.source_message"
)
_PLACES = (
    "WITH near AS (SELECT DISTINCT m.session AS session, m.place + d.value AS place FROM json_each(?) e "
    "CROSS JOIN memory t ON t.key = e.value CROSS JOIN message m ON m.key = t.source_message, json_each('[-1,1]') d) "
    "SELECT t.key FROM near CROSS JOIN message m ON m.session = near.session AND m.place = near.place "
    "CROSS JOIN memory t ON t.source_message = m.key"
)
_LINKS = (
    "SELECT l.src, l.dst, l.kind, l.weight FROM json_each(?1) e CROSS JOIN link l ON l.src = e.value UNION "
    "SELECT l.src, l.dst, l.kind, l.weight FROM json_each(?1) e CROSS JOIN link l ON l.dst = e.value LIMIT ?2"
)
_DRAWN = (
    "SELECT DISTINCT e.value, o.memory FROM json_each(?1) e "
    "CROSS JOIN memory_ref r ON r.memory = e.value AND r.message IN "
    "(SELECT message FROM memory_ref WHERE memory = e.value ORDER BY message DESC LIMIT ?3) "
    "CROSS JOIN memory_ref o ON o.message = r.message AND o.memory <> r.memory LIMIT ?2"
)


class Ends(NamedTuple):
    """A tie by the keys of its memories."""

    one: int
    other: int
    kind: MemoryLinkKind | None
    weight: float


class Surroundings:
    """Reads in one snapshot; of memories by their keys."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def ties(self, keys: Sequence[int]) -> list[Ends]:
        """The links of memories and what the same messages drew on, up to a number."""
        asked = _json(keys)
        links: Iterable[Any] = self._db.execute(_LINKS, (asked, TIED))
        found = [Ends(one, other, MemoryLinkKind(kind), weight) for one, other, kind, weight in links]
        drawn: Iterable[Any] = self._db.execute(_DRAWN, (asked, TIED, DRAWN_BY))
        return found + [Ends(one, other, None, 1.0) for one, other in drawn]

    def beside(self, keys: Sequence[int]) -> list[int]:
        """The memories formed from the messages just before and after those that these were formed from."""
        return [row[0] for row in self._db.execute(_PLACES, (_json(keys),))]

    def candidates(
        self, keys: Sequence[int], similarities: Mapping[int, float], ranks: Mapping[int, float]
    ) -> dict[int, Candidate]:
        """The memories as candidates, with all that is known of them. 8 us each."""
        found: list[Any] = self._db.execute(_SURROUNDED, (_json(keys),)).fetchall()
        owners = self._names({row[-1] for row in found if row[-1] is not None})
        return {
            key: Candidate(
                id, importance, decay, similarities.get(key), ranks.get(key), moment(at), asks(text[-40:]), session,
                place, parent, tuple(name for name in (sender, owners.get(owner)) if name), text=text,
            )
            for key, id, importance, decay, at, text, session, place, parent, sender, owner in found
        }  # fmt: skip

    def _names(self, owners: set[str]) -> dict[str, str]:
        sql = "SELECT id, name FROM {} WHERE id IN (SELECT value FROM json_each(?)) AND name IS NOT NULL"
        asked = _json(sorted(owners))
        return dict(row for table in ("user", "agent") for row in self._db.execute(sql.format(table), (asked,)))


def between(ends: Sequence[Ends], candidates: Mapping[int, Candidate]) -> list[Tie]:
    """Those ties whose both ends are candidates."""
    return [
        Tie(candidates[one].id, candidates[other].id, kind, weight)
        for one, other, kind, weight in ends
        if one in candidates and other in candidates
    ]


def _json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()
