"""What tracers tell of spans: the records of OpenTelemetry, before they have a place in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from domain.span import SpanKind, SpanStatusCode
from domain.values import MAX_JSON, Json, encode_json

EVENTS_COUNT = "otel.events_count"
"""The attribute that says how many events of its own a span has told of."""

LEFT_OUT = "otel.left_out"
"""The attribute that names those that were too large to be kept."""

MAX_ATTRIBUTES = MAX_JSON - 16 * 1024
"""How many bytes of JSON the attributes of a span or event have at the most: there is room for how it ended."""

_MAX_LEFT_OUT = 50
_MAX_SHOWN = 80


class ReportedEvent(msgspec.Struct, frozen=True, gc=False):
    """Something that happened during a span, such as an exception."""

    time: datetime | None
    name: str
    attributes: Json


class SpanReport(msgspec.Struct, frozen=True, gc=False):
    """What one report says of a span; the same span may be told of again, with more to say.

    trace_id, span_id and parent_span_id are in lower-case hex. session, user and agent are externalIds; user_name and
    agent_name what they are called. A report without ended_at is of a span that runs, one without started_at of a span
    whose start is not known.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: SpanKind
    component: str
    started_at: datetime | None
    ended_at: datetime | None
    status_code: SpanStatusCode
    status_message: str | None
    attributes: Json
    events: list[ReportedEvent]
    session: str | None = None
    user: str | None = None
    user_name: str | None = None
    agent: str | None = None
    agent_name: str | None = None


class Received(msgspec.Struct, frozen=True):
    """How many reports said something new, and how many told what was known."""

    new: int = 0
    known: int = 0

    def __add__(self, other: Received) -> Received:
        return Received(self.new + other.new, self.known + other.known)


def bounded(attributes: Mapping[str, Any]) -> Json:
    """Attributes as JSON of at most MAX_ATTRIBUTES bytes: the largest are left out until they fit, and named."""
    whole = encode_json(attributes)
    excess = len(bytes(whole)) - MAX_ATTRIBUTES
    if excess <= 0:
        return whole
    sizes = {name: len(msgspec.json.encode({name: value})) for name, value in attributes.items()}
    left_out: list[str] = []
    room = excess + (_MAX_LEFT_OUT + 1) * (_MAX_SHOWN * 6 + 3)  # a letter takes up to six bytes in JSON
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if room <= 0:
            break
        left_out.append(name)
        room -= sizes[name]
    kept = {name: value for name, value in attributes.items() if name not in set(left_out)}
    return encode_json({**kept, LEFT_OUT: [name[:_MAX_SHOWN] for name in left_out[:_MAX_LEFT_OUT]]})
