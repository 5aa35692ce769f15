"""How the responses to tool calls are looked for, whatever the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from domain.message import Content, ToolCall
from domain.node import Id
from domain.tool_calls import CallPart, Spot, Step, answers

LATER = 50
"""How many responses of an id are looked at behind the last call of it that is asked for: those of other branches, and
of later turns, may stand before the one that counts."""

_parts = msgspec.json.Decoder(list[Content]).decode


class Asked(NamedTuple):
    """The places of the first and the last call of an id that are asked for in a session."""

    first: int
    last: int


class Said(NamedTuple):
    """A message as an engine reads it for this. key, parent: what the engine tells messages apart by. content: its
    parts as JSON, None where no call is among them."""

    key: object
    place: int
    by_agent: bool
    thread: object
    parent: object
    replied: bool
    content: str | None


def asked(calls: Sequence[ToolCall]) -> dict[Id, dict[str, Asked]]:
    """What is asked for, by session and call id."""
    found: dict[Id, dict[str, Asked]] = {}
    for call in calls:
        if call.at is not None:
            ids = found.setdefault(call.at.session_id, {})
            there = ids.get(call.call_id, Asked(call.at.place, call.at.place))
            ids[call.call_id] = Asked(min(there.first, call.at.place), max(there.last, call.at.place))
    return found


def answered(messages: Iterable[Said], responses: Iterable[tuple[str, int, int]]) -> dict[Spot, Spot]:
    """Which response answers which call, of a session's messages by place, and the responses among them as call id,
    place and index."""
    said = list(messages)
    parts: dict[int, list[CallPart]] = {}
    ids = set()
    for call_id, place, index in responses:
        parts.setdefault(place, []).append(CallPart(index, call_id, True))
        ids.add(call_id)
    for one in said:
        if one.content is not None:
            parts.setdefault(one.place, []).extend(_calls(one.content, ids))
    places = {one.key: one.place for one in said}
    # The parent of one that lies before the messages at hand is at no place that is known: its branch begins here.
    return answers(
        Step(
            one.place,
            one.by_agent,
            one.thread,
            None if one.parent is None else places.get(one.parent, 0),
            one.replied,
            sorted(parts.get(one.place, [])),
        )
        for one in said
    )


def _calls(content: str, ids: set[str]) -> Iterable[CallPart]:
    decoded: Any = _parts(content)
    for index, part in enumerate(decoded):
        if type(part) is ToolCall and part.call_id in ids:
            yield CallPart(index, part.call_id, False)
