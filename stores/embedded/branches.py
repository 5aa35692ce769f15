"""Reads the branch that ends at a message."""

from __future__ import annotations

import apsw

from domain.branch import Entry, branch
from domain.node import Id

_END = "SELECT key, session, place FROM message WHERE id = ? AND workspace = ?"
_BACK = (
    "SELECT t.key, t.place, t.thread, t.parent, "
    "t.parent IS NULL AND EXISTS (SELECT 1 FROM message c WHERE c.parent = t.key) "
    "FROM message t WHERE t.session = ? AND t.place <= ? ORDER BY t.place DESC"
)


def places(db: apsw.Connection, workspace: int, message_id: Id) -> list[int]:
    """The places of the messages from the first to this one; none where it is not there."""
    row = db.execute(_END, (message_id, workspace)).fetchone()
    if row is None:
        return []
    end, *of = row
    return branch(end, (Entry(*one) for one in db.execute(_BACK, of)))
