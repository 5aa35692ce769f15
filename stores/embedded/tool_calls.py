"""Reads what answers tool calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from domain.message import ToolCall, ToolResponse
from domain.node import Id
from domain.tool_calls import Spot
from stores.rows import as_raw
from stores.tool_calls import LATER, Asked, Said, answered, asked

_MET = "SELECT call_id, place, part FROM tool_response WHERE session = ?1 AND call_id = ?2 AND place BETWEEN ?3 AND ?4"
_LATER = (
    "SELECT call_id, place, part FROM tool_response WHERE session = ?1 AND call_id = ?2 AND place > ?3 "
    f"ORDER BY place, part LIMIT {LATER}"
)
_TURN = (
    "SELECT place FROM message WHERE session = ? AND place < ? AND sender_type <> 'AGENT' ORDER BY place DESC LIMIT 1"
)
_SAID = (
    "SELECT t.key, t.place, t.sender_type = 'AGENT', t.thread, t.parent, "
    "t.parent IS NULL AND EXISTS (SELECT 1 FROM message c WHERE c.parent = t.key), "
    "CASE WHEN instr(t.content, '\"toolCall\"') THEN t.content END "
    "FROM message t WHERE t.session = ? AND t.place > ? AND t.place <= ? ORDER BY t.place"
)
_RESULT = "SELECT result, is_error FROM tool_response WHERE session = ? AND call_id = ? AND place = ? AND part = ?"


def responses(db: apsw.Connection, workspace: int, calls: Sequence[ToolCall]) -> list[ToolResponse | None]:
    sessions: dict[Id, tuple[int, dict[Spot, Spot]]] = {}
    for session_id, ids in asked(calls).items():
        row = db.execute("SELECT key FROM session WHERE id = ? AND workspace = ?", (session_id, workspace)).fetchone()
        if row is not None:
            sessions[session_id] = row[0], _answered(db, row[0], ids)
    return [_response(db, call, sessions) for call in calls]


def _answered(db: apsw.Connection, session: int, ids: dict[str, Asked]) -> dict[Spot, Spot]:
    found: list[Any] = []
    for call_id, (first, last) in ids.items():
        found += db.execute(_MET, (session, call_id, first, last)).fetchall()
        found += db.execute(_LATER, (session, call_id, last)).fetchall()
    if not found:
        return {}
    met = {row[0] for row in found}
    begin = min(ids[call_id].first for call_id in met)
    before = db.execute(_TURN, (session, begin)).fetchone()
    said = db.execute(_SAID, (session, before[0] if before else 0, max(row[1] for row in found)))
    return answered((Said(*row) for row in said), found)


def _response(
    db: apsw.Connection, call: ToolCall, sessions: dict[Id, tuple[int, dict[Spot, Spot]]]
) -> ToolResponse | None:
    if call.at is None or call.at.session_id not in sessions:
        return None
    session, found = sessions[call.at.session_id]
    if (spot := found.get((call.at.place, call.at.index))) is None:
        return None
    row = db.execute(_RESULT, (session, call.call_id, *spot)).fetchone()
    return None if row is None else ToolResponse(call.call_id, as_raw(row[0]), bool(row[1]))
