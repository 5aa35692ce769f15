"""Lines that writes add to the log of their session."""

from __future__ import annotations

from typing import Any

from domain.node import Id
from domain.trace import TraceEvent
from domain.values import encode_json
from stores.ports import Transaction


async def log(
    tx: Transaction, session_id: Id | None, type: str, component: str, data: dict[str, Any], **told: Any
) -> TraceEvent:
    """Adds a line. told: what is known of the other fields of the event."""
    nothing: dict[str, Any] = dict.fromkeys(
        ["duration_ms", "user_id", "agent_id", "message_id", "parent_id", "span_record_id", "external_id"]
    )
    event = TraceEvent(
        id=tx.new_id(TraceEvent),
        session_id=session_id,
        type=type,
        component=component,
        data=encode_json(data),
        **{"time": tx.now, "memory_ids": [], **nothing, **told},
    )
    return (await tx.append([event]))[0]
