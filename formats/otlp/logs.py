"""Log records by OTLP: lines of the spans they belong to, and what they tell of model calls.

https://opentelemetry.io/docs/specs/otel/logs/data-model/ and opentelemetry/proto/logs/v1/logs.proto.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.conventions.columns import UNNAMED, component_of
from domain.conventions.events import Event, heard, tells_content
from domain.conventions.reading import NOTHING, Reading, and_then
from domain.conventions.reading import read as read_conventions
from domain.span import SpanKind, SpanStatusCode
from domain.telemetry import MAX_ATTRIBUTES, ReportedEvent, SpanReport, bounded
from domain.values import EMPTY_OBJECT
from formats.otlp.media import Taking
from formats.otlp.spans import Read, Source, Unacceptable, collect, cut, hex_id, time_of, with_lost

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
    lost: Sequence[str] = ()


PROGRAM = "log:"
"""What the session of a program's other records is called, before the program's name."""


def read(logs: Iterable[tuple[SentLog, Source]], limit: int = MAX_ATTRIBUTES, *, others: bool = False) -> Read:
    """What the records of a request tell of spans and sessions. Raises TooLarge, and what reading the request raises.

    limit: how many bytes a line may have; longer ones are shortened. others: records of no span that name no session
    are lines of one that is called after the program; else they cannot be taken.
    """
    return collect(logs, partial(report, others=others), "log record", limit)


def report(log: SentLog, source: Source, limit: int = MAX_ATTRIBUTES, *, others: bool = False) -> SpanReport:
    """What a record tells of its span, as an event of it. Raises Unacceptable."""
    is_of_span = bool(log.trace_id.strip("0") and log.span_id.strip("0"))
    taking = Taking()
    if is_of_span:
        log = replace(log, attributes=taking.out_of(log.attributes), body=taking.out_of({"": log.body})[""])
    told_name = log.attributes.get("event.name")
    name = log.name or (told_name if isinstance(told_name, str) else "")
    line = {"body": log.body, "severity": log.severity, **log.attributes}
    kept = bounded({key: value for key, value in line.items() if value is not None and value != ""}, limit)
    if not is_of_span:
        told = _of_session(log, source, others)
    else:
        told = heard(Event(log.time, name, log.attributes, log.body)) if tells_content(name) else NOTHING
        told = replace(told, kind=SpanKind.OTHER)  # OpenLIT writes records of a stream in the span above the call
    told = with_lost(told, log.lost) if log.lost else told
    sent = [log.trace_id, log.span_id, log.time, name, log.severity]
    digest = hashlib.blake2b(msgspec.json.encode(sent) + bytes(kept.value), digest_size=12).hexdigest()
    return SpanReport(
        hex_id(log.trace_id, 32, "traceId") if is_of_span else "",
        hex_id(log.span_id, 16, "spanId") if is_of_span else "",
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


def _of_session(log: SentLog, source: Source, others: bool) -> Reading:
    """Whom a record of no span names. Raises Unacceptable."""
    own = read_conventions(log.attributes)
    told = own if source.names is NOTHING else and_then(source.names, own)
    if told.session is None:
        if not others:
            raise Unacceptable("it belongs to no span and names no session")
        program = source.resource.get("service.name")
        named = program if isinstance(program, str) and program.strip() else UNNAMED
        told = replace(told, session=cut(f"{PROGRAM}{named}"))
    return replace(told, kind=SpanKind.OTHER)
