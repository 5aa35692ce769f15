"""Reads the branch that ends at a message.

To walk up 10,000 messages takes 15 ms, so a branch is remembered as long as its session has the same messages: then a
page of it takes 5 ms, and to tell of 50 messages whether they are on it 1.
"""

from __future__ import annotations

import apsw

from domain.branch import Entry, branch
from domain.node import Id
from stores.bounded import Bounded

MOST_BYTES = 8 << 20

_PLACE_BYTES = 36
"""What a place takes in a list."""

_END = "SELECT key, session, place FROM message WHERE id = ? AND workspace = ?"
_THERE = "SELECT count(*), max(place) FROM message WHERE session = ?"
_BACK = (
    "SELECT t.key, t.place, t.thread, t.parent, "
    "t.parent IS NULL AND EXISTS (SELECT 1 FROM message c WHERE c.parent = t.key) "
    "FROM message t WHERE t.session = ? AND t.place <= ? ORDER BY t.place DESC"
)

State = tuple[int, int]
"""How many messages a session has, and the place of the last one: no message ever changes its parent otherwise."""


class Branches:
    """The branches of a file that were asked for last; for any thread."""

    def __init__(self) -> None:
        self._known: Bounded[Id, tuple[State, list[int]]] = Bounded(MOST_BYTES)

    @property
    def bytes(self) -> int:
        return self._known.bytes

    def places(self, db: apsw.Connection, workspace: int, message_id: Id) -> list[int]:
        """The places of the messages from the first to this one; none where it is not there."""
        row = db.execute(_END, (message_id, workspace)).fetchone()
        if row is None:
            return []
        end, session, place = row
        state: State = tuple(db.execute(_THERE, (session,)).fetchone() or ())
        known = self._known.get(message_id)
        if known is not None and known[0] == state:
            return known[1]
        found = branch(end, (Entry(*one) for one in db.execute(_BACK, (session, place))))
        self._known.put(message_id, (state, found), 500 + _PLACE_BYTES * len(found))
        return found
