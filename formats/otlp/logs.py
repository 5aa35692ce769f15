"""Log records by OTLP: lines of the spans they belong to, and what they tell of model calls.

https://opentelemetry.io/docs/specs/otel/logs/data-model/ and opentelemetry/proto/logs/v1/logs.proto.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.conventions.columns import component_of
from domain.conventions.events import Event, heard, tells_content
from domain.conventions.reading import NOTHING
from domain.span import SpanKind, SpanStatusCode
from domain.telemetry import MAX_ATTRIBUTES, ReportedEvent, SpanReport, bounded
from domain.values import EMPTY_OBJECT
from formats.otlp.media import Taking
from formats.otlp.spans import Read, Source, Unacceptable, collect, cut, hex_id, time_of

LINE = "log"
"""What a line is called whose record has no name."""


class SentLog(msgspec.Struct, frozen=True, gc=False):
    """A log record as it stands in a request: ids in hex, time in nanoseconds since 1970."""

    trace_id: str
    span_id: str
    time: int
    name: str
    severity: str
    body: Any
    attributes: dict[str, Any]


def read(logs: Iterable[tuple[SentLog, Source]], limit: int = MAX_ATTRIBUTES) -> Read:
    """What the records of a request tell of spans. Those of no span are not kept. Raises TooLarge, and what reading the
    request raises. limit: how many bytes a line may have; longer ones are shortened."""
    return collect(logs, report, "log record", limit)


def report(log: SentLog, source: Source, limit: int = MAX_ATTRIBUTES) -> SpanReport:
    """What a record tells of its span, as an event of it. Raises Unacceptable."""
    if not log.trace_id.strip("0") or not log.span_id.strip("0"):
        raise Unacceptable("it belongs to no span")
    taking = Taking()
    log = replace(log, attributes=taking.out_of(log.attributes), body=taking.out_of({"": log.body})[""])
    told_name = log.attributes.get("event.name")
    name = log.name or (told_name if isinstance(told_name, str) else "")
    line = {"body": log.body, "severity": log.severity, **log.attributes}
    kept = bounded({key: value for key, value in line.items() if value is not None and value != ""}, limit)
    told = heard(Event(log.time, name, log.attributes, log.body)) if tells_content(name) else NOTHING
    told = replace(told, kind=SpanKind.OTHER)  # OpenLIT writes records of a stream in the span above the call
    sent = [log.trace_id, log.span_id, log.time, name, log.severity]
    digest = hashlib.blake2b(msgspec.json.encode(sent) + bytes(kept.value), digest_size=12).hexdigest()
    return SpanReport(
        hex_id(log.trace_id, 32, "traceId"),
        hex_id(log.span_id, 16, "spanId"),
        None,
        "",
        component_of(told.kind, source.resource),
        None,
        None,
        SpanStatusCode.UNSET,
        None,
        EMPTY_OBJECT,
        [ReportedEvent(time_of(log.time), cut(name) or LINE, kept.value)],
        told,
        list(told.warnings),
        len(kept.shortened),
        len(kept.left_out),
        line=f"log-{digest}",
        files=tuple(taking.files.values()),
    )
