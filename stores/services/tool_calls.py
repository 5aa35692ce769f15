"""Reads what answers tool calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.message import ToolCall, ToolResponse
from domain.node import Id
from domain.tool_calls import Spot
from stores.rows import as_raw
from stores.services.snapshot import ReadBatch
from stores.tool_calls import LATER, Said, answered, asked

_OF_AN_ID = "MATCH (n:ToolResponse) WHERE n.session = k[0] AND n.call_id = k[1] AND n.workspace = $workspace"
_RESPONSES = (
    f"UNWIND $keys AS k CALL (k) {{ {_OF_AN_ID} AND n.place >= k[2] AND n.place <= k[3] RETURN n UNION ALL "
    f"{_OF_AN_ID} AND n.place > k[3] RETURN n ORDER BY n.place, n.part LIMIT {LATER} }} "
    "RETURN collect([n.session, n.call_id, n.place, n.part, n.result, n.is_error])"
)
# The turn that the first call belongs to begins behind the last message of somebody else.
_SAID = (
    "UNWIND $keys AS k CALL (k) { OPTIONAL MATCH (m:Message) WHERE m.session = k[0] AND m.place < k[1] "
    "AND m.workspace = $workspace AND m.sender_type <> 'AGENT' RETURN m.place AS before ORDER BY before DESC LIMIT 1 } "
    "MATCH (n:Message) WHERE n.session = k[0] AND n.place > coalesce(before, 0) AND n.place <= k[2] "
    "AND n.workspace = $workspace WITH k, n ORDER BY n.place RETURN collect([k[0], n.id, n.place, "
    "n.sender_type = 'AGENT', n.thread, n.parent, n.parent IS NULL AND EXISTS { (n)<-[:REPLIES_TO]-() }, "
    "CASE WHEN n.content CONTAINS '\"toolCall\"' THEN n.content END, n.id])"
)


async def responses(turn: ReadBatch, calls: Sequence[ToolCall]) -> list[ToolResponse | None]:
    wanted = asked(calls)
    keys = [[session, call_id, *places] for session, ids in wanted.items() for call_id, places in ids.items()]
    found: list[Any] = await turn.ask(_RESPONSES, keys) if keys else []
    results: dict[Id, dict[Spot, tuple[str, str, bool]]] = {}
    for session, call_id, place, part, result, is_error in found:
        if None in (session, call_id, place, part, result, is_error):  # it was deleted meanwhile
            continue
        results.setdefault(session, {})[place, part] = call_id, result, is_error
    spans = [
        [session, min(wanted[session][call_id].first for call_id, *_ in met.values()), max(place for place, _ in met)]
        for session, met in results.items()
    ]
    said: dict[Id, list[Said]] = {}
    for session, *row, there in await turn.ask(_SAID, spans) if spans else ():
        if there is not None:
            said.setdefault(session, []).append(Said(*row))
    spots = {
        session: answered(said.get(session, []), [(call_id, *spot) for spot, (call_id, *_) in met.items()])
        for session, met in results.items()
    }

    def response(call: ToolCall) -> ToolResponse | None:
        if call.at is None or (spot := spots.get(call.at.session_id, {}).get((call.at.place, call.at.index))) is None:
            return None
        _, result, is_error = results[call.at.session_id][spot]
        return ToolResponse(call.call_id, as_raw(result), is_error)

    return [response(call) for call in calls]
