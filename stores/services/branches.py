"""Reads the branches that end at messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from domain.branch import Entry, branch
from domain.node import Id
from stores.services.snapshot import ReadBatch

_BACK = (
    "UNWIND $keys AS k MATCH (e:Message {id: k}) WHERE e.workspace = $workspace "
    "CALL (e) { MATCH (n:Message) USING INDEX SEEK n:Message(session, place) "
    "WHERE n.session = e.session AND n.place <= e.place AND n.workspace = $workspace "
    "WITH n ORDER BY n.session DESC, n.place DESC "
    "RETURN collect([n.id, n.place, n.thread, n.parent, n.parent IS NULL AND EXISTS { (n)<-[:REPLIES_TO]-() }, n.id]) "
    "AS ns }"
    " RETURN collect([k, e.session, ns])"
)


class Branch(NamedTuple):
    """A branch: its session, and the places of its messages."""

    session: Id
    places: list[int]


async def branches(turn: ReadBatch, message_ids: Sequence[Id]) -> dict[Id, Branch]:
    """The branches that end at messages, of those that are there."""
    found: list[Any] = await turn.ask(_BACK, list(dict.fromkeys(message_ids))) if message_ids else []
    return {
        id: Branch(session, branch(id, (Entry(*one) for *one, there in back if there)))  # else it was deleted meanwhile
        for id, session, back in found
        if session is not None
    }
