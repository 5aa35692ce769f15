"""OTLP in JSON: requests over HTTP, and files.

Ids are in hex (base64 is read too: see formats.otlp.spans), bytes in base64, 64-bit numbers may be texts, null is what
is not given, and members that are not known are passed over. A file holds one request, or one a line, as the
Collector's file exporter writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import msgspec

from domain.telemetry import MAX_ATTRIBUTES
from domain.unicode import read_json
from domain.values import MAX_BATCH
from formats.conversation import FormatError
from formats.file import File
from formats.otlp.leniency import Reader
from formats.otlp.logs import SentLog
from formats.otlp.spans import Malformed, Read, SentSpan, Source, TooLarge, link, number
from formats.otlp.spans import read as read_spans

SUMMARY = "OpenTelemetry spans in JSON, as written by the Collector"

R = TypeVar("R", bound=msgspec.Struct)

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)


class _Message(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """A message of the protocol; null stands for what is not given."""


class ArrayValue(_Message):
    values: list[AnyValue] | None = None


class KeyValueList(_Message):
    values: list[KeyValue] | None = None


class AnyValue(_Message):
    """A value of one of these types; none is given for null."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None


class KeyValue(_Message):
    key: str = ""
    value: AnyValue | None = None


class Event(_Message):
    time_unix_nano: int | str | None = None
    name: str | None = None
    attributes: list[KeyValue] | None = None


class Link(_Message):
    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    attributes: list[KeyValue] | None = None


class Status(_Message):
    message: str | None = None
    code: int | None = None


class JsonSpan(_Message):
    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: int | str | None = None
    end_time_unix_nano: int | str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: int | None = None
    events: list[Event] | None = None
    dropped_events_count: int | None = None
    links: list[Link] | None = None
    dropped_links_count: int | None = None
    status: Status | None = None


class MendedSpan(JsonSpan):
    """A span that was not all of the declared types. lost: where what is left out was."""

    lost: list[str] = []


class Resource(_Message):
    attributes: list[KeyValue] | None = None


class Scope(_Message):
    name: str | None = None
    version: str | None = None
    attributes: list[KeyValue] | None = None


class ScopeSpans(_Message):
    scope: Scope | None = None
    spans: list[JsonSpan] | None = None


class ResourceSpans(_Message):
    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None


class Request(_Message):
    """ExportTraceServiceRequest, which is TracesData too."""

    resource_spans: list[ResourceSpans] | None = None


class LogRecord(_Message):
    time_unix_nano: int | str | None = None
    observed_time_unix_nano: int | str | None = None
    severity_text: str | None = None
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    trace_id: str | None = None
    span_id: str | None = None
    event_name: str | None = None


class MendedLog(LogRecord):
    """As MendedSpan."""

    lost: list[str] = []


class ScopeLogs(_Message):
    scope: Scope | None = None
    log_records: list[LogRecord] | None = None


class ResourceLogs(_Message):
    resource: Resource | None = None
    scope_logs: list[ScopeLogs] | None = None


class LogsRequest(_Message):
    """ExportLogsServiceRequest."""

    resource_logs: list[ResourceLogs] | None = None


_decode = msgspec.json.Decoder(Request).decode
_decode_logs = msgspec.json.Decoder(LogsRequest).decode
_AROUND = {"resourceSpans", "scopeSpans", "spans", "resourceLogs", "scopeLogs", "logRecords"}
_lenient = Reader({JsonSpan: MendedSpan, LogRecord: MendedLog})

MAX_OBJECTS = 400_000
"""How many objects a request over HTTP may have: each takes some 100 bytes of memory, and an attribute is two."""


def spans_in(body: bytes) -> Iterator[tuple[SentSpan, Source]]:
    """The spans of a request, each with its source. Raises Malformed, TooLarge."""
    _check_size(body)
    return _spans(_decoded(body, _decode, Request))


def logs_in(body: bytes) -> Iterator[tuple[SentLog, Source]]:
    """The log records of a request, each with its source. Raises Malformed, TooLarge."""
    _check_size(body)
    return _logs(_decoded(body, _decode_logs, LogsRequest))


def _check_size(body: bytes) -> None:
    if body.count(b"{") > MAX_OBJECTS:
        raise TooLarge(f"A request may have at most {MAX_OBJECTS:,} objects; send it in parts.")


def _decoded(body: bytes, decode: Callable[[bytes], R], kind: type[R]) -> R:
    """A request; where it is not all of the declared types, what can be read of it. Raises Malformed."""
    try:
        try:
            return read_json(decode, body)
        except msgspec.ValidationError:
            lost: list[str] = []
            found = _lenient.message(read_json(msgspec.json.decode, body), kind, lost)
            if found is None or any(place.rpartition(".")[2] in _AROUND for place in lost):
                raise  # nobody could tell what is missing
            return cast(R, found)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"This is not valid OTLP JSON: {error}.") from None
    except RecursionError:
        raise Malformed("The request is nested too deeply.") from None


def _spans(request: Request) -> Iterator[tuple[SentSpan, Source]]:
    for of in request.resource_spans or ():
        resource = _attributes(of.resource.attributes if of.resource else None)
        for library in of.scope_spans or ():
            scope = library.scope or Scope()
            source = Source(resource, scope.name or "", scope.version or "", _attributes(scope.attributes))
            for span in library.spans or ():
                yield _span(span), source


def _logs(request: LogsRequest) -> Iterator[tuple[SentLog, Source]]:
    for of in request.resource_logs or ():
        resource = _attributes(of.resource.attributes if of.resource else None)
        for library in of.scope_logs or ():
            scope = library.scope or Scope()
            source = Source(resource, scope.name or "", scope.version or "", _attributes(scope.attributes))
            for log in library.log_records or ():
                yield _log(log), source


def _log(log: LogRecord) -> SentLog:
    lost = [*log.lost] if isinstance(log, MendedLog) else []
    return SentLog(
        log.trace_id or "",
        log.span_id or "",
        _time(log.time_unix_nano, lost, "timeUnixNano")
        or _time(log.observed_time_unix_nano, lost, "observedTimeUnixNano"),
        log.event_name or "",
        log.severity_text or "",
        _value(log.body),
        _attributes(log.attributes),
        lost,
    )


def _span(span: JsonSpan) -> SentSpan:
    lost = [*span.lost] if isinstance(span, MendedSpan) else []
    status = span.status or Status()
    return SentSpan(
        span.trace_id or "",
        span.span_id or "",
        span.parent_span_id or "",
        span.name or "",
        span.kind or 0,
        _time(span.start_time_unix_nano, lost, "startTimeUnixNano"),
        _time(span.end_time_unix_nano, lost, "endTimeUnixNano"),
        _attributes(span.attributes),
        [
            (_time(e.time_unix_nano, lost, "events.timeUnixNano"), e.name or "", _attributes(e.attributes))
            for e in span.events or ()
        ],
        [
            link(one.trace_id or "", one.span_id or "", one.trace_state or "", _attributes(one.attributes))
            for one in span.links or ()
        ],
        status.code or 0,
        status.message or "",
        span.trace_state or "",
        (span.dropped_attributes_count or 0, span.dropped_events_count or 0, span.dropped_links_count or 0),
        lost,
    )


def _attributes(pairs: Sequence[KeyValue] | None) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs or ()}


def _value(value: AnyValue | None) -> Any:
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return _int(value.int_value)
    if value.bool_value is not None:
        return value.bool_value
    if value.double_value is not None:
        return _double(value.double_value)
    if value.array_value is not None:
        return [_value(one) for one in value.array_value.values or ()]
    if value.kvlist_value is not None:
        return _attributes(value.kvlist_value.values)
    return value.bytes_value


def _int(value: int | str) -> int | str:
    """What is no number of 64 bits is the text that it came as."""
    try:
        found = int(value)
    except ValueError:
        return value
    return found if found in _INT64 else str(value)


def _double(value: float | str) -> float | str:
    try:
        return number(float(value))
    except ValueError:
        return value


def _time(value: int | str | None, lost: list[str], where: str) -> int:
    """Nanoseconds since 1970; what is no time is left out."""
    try:
        found = int(value or 0)
    except ValueError:
        found = -1
    if found in _UINT64:
        return found
    lost.append(where)
    return 0


# -- files -----------------------------------------------------------------------------------------------------


class Exports(msgspec.Struct, frozen=True):
    """What a file holds: requests of up to 1,000 spans."""

    requests: list[Request]


_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"resourceSpans"\s*:')


def begins(head: bytes) -> bool:
    """Whether a file that begins so is one of ours."""
    return _HEAD.match(head) is not None


def read(file: File) -> Exports:
    """The requests of a file, each of them checked. Raises FormatError, which names the line and the span."""
    data = file.data.removeprefix(b"\xef\xbb\xbf")
    lines = [(f"line {place}", line) for place, line in enumerate(data.splitlines(), 1) if line.strip()]
    if not lines:
        raise FormatError("the file is empty")
    try:
        _decode(lines[0][1])
    except msgspec.ValidationError:
        pass
    except msgspec.DecodeError:
        lines = [("", data)]  # one request, written over many lines
    requests = []
    for where, line in lines:
        try:
            for part in parts(_decoded(line, _decode, Request)):
                if rejected := reports(part).rejected:
                    raise FormatError(rejected[0], where)
                requests.append(part)
        except Malformed as error:
            raise FormatError(str(error).rstrip("."), where) from None
    return Exports(requests)


def reports(request: Request, limit: int = MAX_ATTRIBUTES) -> Read:
    """What the spans of a request tell; limit is that of `read`. Raises Malformed, TooLarge."""
    return read_spans(_spans(request), limit)


def encode(request: Request) -> bytes:
    return msgspec.json.encode(request)


def parts(request: Request, size: int = MAX_BATCH) -> Iterator[Request]:
    """A request in several, of up to `size` spans each."""
    taken: list[ResourceSpans] = []
    room = size
    for of in request.resource_spans or ():
        for library in of.scope_spans or ():
            spans = library.spans or []
            while spans:
                taken.append(ResourceSpans(of.resource, [ScopeSpans(library.scope, spans[:room])]))
                spans, room = spans[room:], room - len(spans[:room])
                if not room:
                    yield Request(taken)
                    taken, room = [], size
    if taken:
        yield Request(taken)


def count(request: Request) -> int:
    return sum(len(library.spans or ()) for of in request.resource_spans or () for library in of.scope_spans or ())
