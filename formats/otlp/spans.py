"""OTLP, the protocol of OpenTelemetry: what its spans tell, whatever the encoding.

https://opentelemetry.io/docs/specs/otlp/ and opentelemetry/proto/trace/v1/trace.proto.
"""

from __future__ import annotations

import base64
import collections
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec.structs import force_setattr, replace

from domain.conventions.columns import component_of
from domain.conventions.events import Event, error_message, with_events
from domain.conventions.lookup import PENDING
from domain.conventions.reading import NOTHING, Reading, and_then
from domain.conventions.reading import read as read_conventions
from domain.shortening import shortened
from domain.span import SpanKind, SpanStatusCode
from domain.telemetry import EVENTS_COUNT, MAX_ATTRIBUTES, ReportedEvent, SpanReport, bounded
from domain.values import MAX_NAME
from formats.otlp.media import Taking

T = TypeVar("T")

MAX_SPANS = 10_000
"""How many spans a request has at the most."""

MAX_TOLD = 64 * 1024 * 1024
"""How many bytes of JSON the attributes of a request's spans have at the most: those of their resource and library are
written down with each span, so ten thousand spans can tell ten thousand times what stands in the request once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_is_hex = re.compile("[0-9A-Fa-f]+").fullmatch
_KINDS = ("", "internal", "server", "client", "producer", "consumer")
_STATUS = (SpanStatusCode.UNSET, SpanStatusCode.OK, SpanStatusCode.ERROR)


class Malformed(ValueError):
    """A body that is no OTLP; the message is one sentence."""


class TooLarge(ValueError):
    """A request that asks for more than is done at once; the message is one sentence."""


class Unacceptable(ValueError):
    """A span that cannot be taken while the rest of its request can; the message says why."""


_DROPPED = ("otel.dropped_attributes_count", "otel.dropped_events_count", "otel.dropped_links_count")
_NONE_DROPPED = (0, 0, 0)


class SentSpan(msgspec.Struct, frozen=True, gc=False):
    """A span as it stands in a request, whatever the encoding: ids in hex, times in nanoseconds since 1970, 0 for none.

    events: time, name and attributes of each. links: the spans it is tied to. dropped: how many attributes, events and
    links the tracer did not send. lost: where in the span what is of a wrong type was.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    events: list[tuple[int, str, dict[str, Any]]]
    links: list[dict[str, Any]]
    status_code: int
    status_message: str
    trace_state: str = ""
    dropped: tuple[int, int, int] = _NONE_DROPPED
    lost: Sequence[str] = ()


class Source(msgspec.Struct, frozen=True, gc=False):
    """What spans come from: attributes of the program; name, version and attributes of the library in it."""

    resource: dict[str, Any]
    scope: str
    scope_version: str
    scope_attributes: dict[str, Any]

    names: Reading = NOTHING
    """The session, user and agent that the program names for all its spans."""

    about: dict[str, Any] = {}
    """What is said of it with each span."""

    def __post_init__(self) -> None:
        about = {
            "otel.scope.name": self.scope,
            "otel.scope.version": self.scope_version,
            "otel.scope.attributes": self.scope_attributes,
            "otel.resource": self.resource,
        }
        force_setattr(self, "about", {name: value for name, value in about.items() if value})
        told = read_conventions(self.resource)
        if told is not NOTHING:
            names = (told.session, told.user, told.user_name, told.agent, told.agent_name)
            force_setattr(self, "names", Reading(SpanKind.OTHER, *names, warnings=told.warnings))


class Read(msgspec.Struct, frozen=True):
    """What a request tells: reports, and why some of its spans cannot be taken. notes: what is not as it came."""

    reports: list[SpanReport]
    rejected: list[str]

    @property
    def notes(self) -> list[str]:
        """Each once, with how often it is."""
        counts = collections.Counter(note for report in self.reports for note in report.notes)
        found = [f"{note} ({count:,} spans)" if count > 1 else note for note, count in counts.items()]
        shortened = sum(report.shortened for report in self.reports)
        left_out = sum(report.left_out for report in self.reports)
        for done, cut in (("shortened", shortened), ("left out", left_out)):
            if cut:
                found.append(f"{cut:,} attributes were {done} to fit RECOLLECT_MAX_ATTRIBUTES_BYTES per span or event")
        return found


def read(spans: Iterable[tuple[SentSpan, Source]], limit: int = MAX_ATTRIBUTES) -> Read:
    """What the spans of a request tell. Raises TooLarge, and what reading the request raises.

    limit: how many bytes the attributes of a span or event may have; longer ones are shortened.
    """
    return collect(spans, report, "span", limit)


def collect(
    sent: Iterable[tuple[T, Source]], report: Callable[[T, Source, int], SpanReport], noun: str, limit: int
) -> Read:
    """What each of a request's spans or log records tells, or why it cannot be taken. noun: what one is called."""
    found, size = Read([], []), 0
    for place, (one, source) in enumerate(sent):
        if place == MAX_SPANS:
            raise TooLarge(f"A request may have at most {MAX_SPANS:,} {noun}s; send it in parts.")
        try:
            told = report(one, source, limit)
        except Unacceptable as reason:
            found.rejected.append(f"{noun} {place + 1}: {reason}")
            continue
        size += len(bytes(told.attributes))
        for event in told.events:
            size += len(bytes(event.attributes))
        if size > MAX_TOLD:
            raise TooLarge(f"The {noun}s have more than {MAX_TOLD:,} bytes of attributes; send them in parts.")
        found.reports.append(told)
    return found


def report(span: SentSpan, source: Source, limit: int = MAX_ATTRIBUTES) -> SpanReport:
    """What a span of a request tells. Raises Unacceptable."""
    span, taking = _begun(span), Taking()
    attributes = taking.out_of(span.attributes)
    status = _STATUS[span.status_code] if 0 <= span.status_code < len(_STATUS) else SpanStatusCode.UNSET
    failed = status is SpanStatusCode.ERROR
    sent = [(time, name, taking.out_of(data)) for time, name, data in span.events]
    happened = [Event(*event) for event in sent]
    told = read_conventions(attributes, span.name, failed=failed, start=span.start)
    told = with_events(told, happened, span.start) if happened else told
    told = with_lost(told, span.lost) if span.lost else told
    about = _about(span, source)
    about.update(attributes)
    kept = bounded(about, limit)
    events, shortened, left_out = [], len(kept.shortened), len(kept.left_out)
    for time, name, data in sent:
        fit = bounded(data, limit)
        shortened, left_out = shortened + len(fit.shortened), left_out + len(fit.left_out)
        events.append(ReportedEvent(time_of(time), cut(name) or "event", fit.value))
    message = error_message(span.status_message, happened, attributes) if failed else span.status_message
    return SpanReport(
        hex_id(span.trace_id, 32, "traceId"),
        hex_id(span.span_id, 16, "spanId"),
        hex_id(parent, 16, "parentSpanId") if (parent := _of_base64(span.parent_span_id)).strip("0") else None,
        cut(span.name),
        component_of(told.kind, source.resource),
        time_of(span.start),
        time_of(span.end),
        status,
        cut(message) or None,
        kept.value,
        events,
        told if source.names is NOTHING else and_then(source.names, told),
        [*source.names.warnings, *told.warnings, *_long(span)],
        shortened,
        left_out,
        files=tuple(taking.files.values()),
    )


def _begun(span: SentSpan) -> SentSpan:
    """A span that stands for one that has begun, as that one."""
    if PENDING is None or span.attributes.get(PENDING.key) != PENDING.value:
        return span
    parent = span.attributes.get(PENDING.parent)
    return replace(
        span,
        span_id=span.parent_span_id,
        parent_span_id=parent if isinstance(parent, str) else "",
        end=0,
        status_code=0,
        status_message="",
        attributes={
            name: value for name, value in span.attributes.items() if name not in (PENDING.key, PENDING.parent)
        },
    )


def _long(span: SentSpan) -> Iterable[str]:
    """Which names of a span are shortened."""
    if not span.events and max(len(span.name), len(span.status_message)) <= MAX_NAME:
        return ()
    texts = [("name", span.name), ("status.message", span.status_message)]
    texts += [("event.name", name) for _, name, _ in span.events]
    long = dict.fromkeys(what for what, text in texts if len(text) > MAX_NAME)
    return [f"{what} was shortened, to {MAX_NAME:,} characters" for what in long]


def _about(span: SentSpan, source: Source) -> dict[str, Any]:
    """What a request says of a span beside its attributes, by the names that OpenTelemetry has for it outside OTLP.

    https://opentelemetry.io/docs/specs/otel/common/mapping-to-non-otlp/; scope.attributes, resource, links, span_kind,
    trace_state and events_count have none there.
    """
    about = source.about.copy()
    if 2 <= span.kind < len(_KINDS):
        about["otel.span_kind"] = _KINDS[span.kind]
    if span.trace_state:
        about["otel.trace_state"] = span.trace_state
    if span.links:
        about["otel.links"] = span.links
    if span.dropped != _NONE_DROPPED:
        about.update((name, count) for name, count in zip(_DROPPED, span.dropped, strict=True) if count)
    if span.events:
        about[EVENTS_COUNT] = len(span.events)
    return about


def _of_base64(id: str) -> str:
    """An id in hex, where it came as those write it who know protobuf's JSON but not OTLP's."""
    try:
        return base64.b64decode(id, validate=True).hex() if id.endswith("=") else id
    except ValueError:
        return id


def hex_id(text: str, length: int, name: str) -> str:
    text = _of_base64(text)
    if len(text) != length or not _is_hex(text):
        raise Unacceptable(f"{name} is not {length} hex digits")
    if text.count("0") == length:
        raise Unacceptable(f"{name} is all zeros")
    return text.lower()


def with_lost(told: Reading, lost: Iterable[str]) -> Reading:
    """With what is said of places that were left out."""
    return replace(told, warnings=(*told.warnings, *(f"{place} is of a wrong type and was left out" for place in lost)))


def time_of(ns: int) -> datetime | None:
    """Raises Unacceptable."""
    if ns == 0:
        return None
    try:
        return _EPOCH + timedelta(0, 0, ns // 1000)
    except OverflowError:
        raise Unacceptable("a time is out of range") from None


def cut(text: str) -> str:
    return shortened(text, MAX_NAME)


def number(value: float) -> float | str:
    """A double as JSON can have it: what is no finite number becomes the text that OTLP has for it in JSON."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def link(trace_id: str, span_id: str, trace_state: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A link as it stands among the attributes."""
    parts = {
        "traceId": trace_id.lower(),
        "spanId": span_id.lower(),
        "traceState": trace_state,
        "attributes": attributes,
    }
    return {name: part for name, part in parts.items() if part}
