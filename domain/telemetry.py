"""Span reports from tracers (OpenTelemetry), before they are stored in the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from domain.conventions.reading import NOTHING, Reading
from domain.shortening import Fitted, fitted
from domain.span import SpanStatusCode
from domain.values import MAX_JSON, Json, decode_json, encode_json

EVENTS_COUNT = "otel.events_count"
"""The attribute that says how many events of its own a span has told of."""

CHUNKS_COUNT = "otel.chunks_count"
"""What the event of a streamed answer's parts says: how many they are."""

SHORTENED = "otel.shortened"
"""The attribute that names those that were too long, of which beginning and end are kept."""

LEFT_OUT = "otel.left_out"
"""The attribute that names those that could not be shortened, such as thousands of numbers."""

MAX_ATTRIBUTES = MAX_JSON - 16 * 1024
"""How many bytes of JSON the attributes of a span or event have at the most: there is room for how it ended."""

_MAX_NAMED = 20
_MAX_SHOWN = 80


class ReportedEvent(msgspec.Struct, frozen=True, gc=False):
    """Something that happened during a span, such as an exception."""

    time: datetime | None
    name: str
    attributes: Json


class MediaFile(msgspec.Struct, frozen=True, gc=False):
    """A file that was taken out of what a span tells. digest: SHA-256 of the data, in hex."""

    digest: str
    data: bytes
    media_type: str

    @property
    def reference(self) -> str:
        """What stands in its place."""
        return f"data:{self.media_type};sha256,{self.digest}"


class SpanReport(msgspec.Struct, frozen=True, gc=False):
    """What one report says of a span; the same span may be told of again, with more to say.

    trace_id, span_id and parent_span_id are in lower-case hex; a log record of no span has empty ones, and is a line of
    the session that it names. told: what it tells by any convention. A report without
    ended_at is of a span that runs, one without started_at of a span whose start is not known. notes: what of it could
    not be taken as it came; shortened, left_out: how many attributes. line: of a log
    record, which is the report's event, what it is called each time that it is sent. files: taken out of it.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    component: str
    started_at: datetime | None
    ended_at: datetime | None
    status_code: SpanStatusCode
    status_message: str | None
    attributes: Json
    events: list[ReportedEvent]
    told: Reading = NOTHING
    notes: list[str] = []
    shortened: int = 0
    left_out: int = 0
    line: str | None = None
    files: Sequence[MediaFile] = ()


class Received(msgspec.Struct, frozen=True):
    """How many reports said something new, and how many told what was known."""

    new: int = 0
    known: int = 0

    def __add__(self, other: Received) -> Received:
        return Received(self.new + other.new, self.known + other.known)


def bounded(attributes: Mapping[str, Any], limit: int = MAX_ATTRIBUTES) -> Fitted:
    """Attributes as JSON of at most so many bytes: long texts are shortened until they fit, and the first of them named
    there, as is what has to be left out."""
    room = (_MAX_NAMED + 1) * (_MAX_SHOWN * 6 + 3)  # a letter takes up to six bytes in JSON
    whole = fitted(attributes, limit)
    if not whole.shortened and not whole.left_out:
        return whole
    found = fitted(attributes, max(limit - 2 * room, limit // 2))
    named = {SHORTENED: found.shortened, LEFT_OUT: found.left_out}
    told = {key: [name[:_MAX_SHOWN] for name in names[:_MAX_NAMED]] for key, names in named.items() if names}
    return Fitted(encode_json({**decode_json(found.value), **told}), found.shortened, found.left_out)
