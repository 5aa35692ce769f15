"""What stands beside the candidates of a search: who said them, where in a session, and what they are tied to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from domain.link import MemoryLinkKind
from domain.node import Id
from domain.search import Tie, asks
from stores.policies import DRAWN_BY, TIED
from stores.rows import moment
from stores.services.neo4j_client import Neo4jClient

_PLACED = (
    "OPTIONAL MATCH (m:Message {id: n.source_message}) OPTIONAL MATCH (s:Participant {id: m.sender}) "
    "OPTIONAL MATCH (r:Message {id: m.parent}) WHERE r.session = m.session "
    "OPTIONAL MATCH (o:User|Agent {id: n.owner})"
)
_PLACE = (
    "[n.id, n.created_at, right(n.text, 40), coalesce(m.session, n.session), m.place, r.place, s.name, o.name, n.id]"
)
"""The id once more, last: what is deleted while it is read has lost it."""

_READ = (
    f"CALL () {{ UNWIND $ids AS id MATCH (n:Memory {{id: id}}) {_PLACED} RETURN collect({_PLACE}) AS places }} "
    "CALL () { UNWIND $best AS id MATCH (b:Memory {id: id}) MATCH (c:Message {id: b.source_message}) "
    "UNWIND [c.place - 1, c.place + 1] AS place MATCH (d:Message {session: c.session, place: place}) "
    f"MATCH (n:Memory {{source_message: d.id}}) WITH DISTINCT n {_PLACED} RETURN collect({_PLACE}) AS near }} "
    "CALL () { UNWIND $best AS id MATCH (:Memory {id: id})-[l:LINK]-(:Memory) WITH DISTINCT l LIMIT $most "
    "RETURN collect([startNode(l).id, endNode(l).id, l.kind, l.weight, l.id]) AS links } "
    "CALL () { UNWIND $best AS id MATCH (b:Memory {id: id}) CALL (b) { MATCH (c:Message)-[:DRAWS_ON]->(b) "
    "RETURN c ORDER BY c.created_at DESC LIMIT $newest } MATCH (c)-[:DRAWS_ON]->(o:Memory) WHERE o <> b "
    "WITH DISTINCT b, o LIMIT $most RETURN collect([b.id, o.id, null, 1.0, b.id]) AS drawn } "
    "RETURN places, near, links + drawn"
)


class Placed(NamedTuple):
    """What is known of a memory's place; the fields are those of domain.search.Candidate."""

    at: Any = None
    asks: bool = False
    session_id: Id | None = None
    place: int | None = None
    parent: int | None = None
    people: tuple[str, ...] = ()


class Surroundings(NamedTuple):
    """By id the places of memories, of those beside the best, too; and the ties of the best."""

    places: dict[Id, Placed]
    ties: list[Tie]

    def others(self, known: Iterable[Id]) -> list[Id]:
        """Those that stand beside known ones, or are tied to them."""
        tied = (id for tie in self.ties for id in (tie.one, tie.other))
        return sorted({*self.places, *tied}.difference(known))


NOWHERE = Placed()
NOTHING = Surroundings({}, [])


async def read(graph: Neo4jClient, ids: Sequence[Id], best: Sequence[Id]) -> Surroundings:
    """Of candidates, and of what is beside the best of them. One statement; 200: 10 ms."""
    record = await graph.read(_READ, ids=list(ids), best=list(best), most=TIED, newest=DRAWN_BY)
    places, near, ties = record
    return Surroundings(
        dict(_placed(row) for row in (*places, *near) if None not in (*row[:3], row[-1])),
        [
            Tie(one, other, None if kind is None else MemoryLinkKind(kind), weight)
            for one, other, kind, weight, there in ties
            if None not in (one, other, there)
        ],
    )


def _placed(row: Sequence[Any]) -> tuple[Id, Placed]:
    id, at, end, session, place, parent, sender, owner, _ = row
    people = tuple(name for name in (sender, owner) if name)
    return Id(id), Placed(moment(at), asks(end), session, place, parent, people)
