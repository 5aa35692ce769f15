"""OTLP in protobuf, by the messages of opentelemetry-proto: imported with the first request, as it takes 25 ms.

The outer messages are taken apart here, and spans are decoded one by one, with the fields of long ones counted first:
decoded at once, two bytes of an empty message would take up to 170 bytes of memory.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from domain.unicode import decoded
from formats.otlp.logs import SentLog
from formats.otlp.spans import Malformed, SentSpan, Source, TooLarge, link, number

M = TypeVar("M", bound=Message)

MAX_PARTS = 400_000
"""How many fields, attributes and values a request has at the most: some 2 us each."""

_WEIGHED = 64 * 1024
"""From how many bytes on a span's fields are counted before it is decoded."""

_MAX_SOURCE = 1024 * 1024
"""How many bytes a resource or library has at the most: its attributes are written down with each span."""

_BROKEN = "This is not valid OTLP protobuf."


def spans_in(body: bytes) -> Iterator[tuple[SentSpan, Source]]:
    """The spans of an ExportTraceServiceRequest, each with its source.

    Raises Malformed, TooLarge.
    """
    return _Reading().spans(memoryview(body))


def logs_in(body: bytes) -> Iterator[tuple[SentLog, Source]]:
    """The log records of an ExportLogsServiceRequest, each with its source. Raises Malformed, TooLarge."""
    return _Reading().logs(memoryview(body))


class _Reading:
    """One request on its way from bytes to spans, of which only so much is read."""

    def __init__(self) -> None:
        self._left = MAX_PARTS

    def spans(self, body: memoryview) -> Iterator[tuple[SentSpan, Source]]:
        for part, source in self._all(body, Span.DESCRIPTOR):
            yield self._span(_decoded(Span, part)), source

    def logs(self, body: memoryview) -> Iterator[tuple[SentLog, Source]]:
        for part, source in self._all(body, LogRecord.DESCRIPTOR):
            yield self._log(_decoded(LogRecord, part)), source

    def _all(self, body: memoryview, kind: Any) -> Iterator[tuple[memoryview, Source]]:
        """What a request of spans or log records holds: both number their fields alike."""
        for of in self._parts(body, 1):
            resource = self._attributes(self._last(Resource, of, 1).attributes)
            for library in self._parts(of, 2):
                scope = self._last(InstrumentationScope, library, 1)
                source = Source(resource, scope.name, scope.version, self._attributes(scope.attributes))
                for part in self._parts(library, 2):
                    self._weigh(part, kind)
                    yield part, source

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLarge(f"A request may have at most {MAX_PARTS:,} fields and values; send it in parts.")

    def _weigh(self, part: memoryview, kind: Any) -> None:
        """Counts what a long span or log record is made of."""
        waiting: list[tuple[Any, memoryview]] = [(kind, part)] if len(part) > _WEIGHED else []
        while waiting:
            kind, message = waiting.pop()
            for place, _, content in _fields(message):
                self._spend(1)
                field = kind.fields_by_number.get(place)
                if content is not None and field is not None and field.type == field.TYPE_MESSAGE:
                    waiting.append((field.message_type, content))

    def _last(self, kind: type[M], message: memoryview, field: int) -> M:
        """The message in a field, of which the last one counts."""
        parts = self._parts(message, field)
        if not parts:
            return kind()
        if len(parts[-1]) > _MAX_SOURCE:
            raise TooLarge("The attributes of a resource or library are too long.")
        return _decoded(kind, parts[-1])

    def _parts(self, message: memoryview, field: int) -> list[memoryview]:
        found: list[memoryview] = []
        for place, _, content in _fields(message):
            self._spend(1)
            if place == field and content is not None:
                found.append(content)
        return found

    def _span(self, span: Span) -> SentSpan:
        self._spend(len(span.events) + len(span.links))
        return SentSpan(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.name,
            span.kind,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            self._attributes(span.attributes),
            [(event.time_unix_nano, event.name, self._attributes(event.attributes)) for event in span.events],
            [
                link(one.trace_id.hex(), one.span_id.hex(), one.trace_state, self._attributes(one.attributes))
                for one in span.links
            ],
            span.status.code,
            span.status.message,
            span.trace_state,
            (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count),
        )

    def _log(self, log: LogRecord) -> SentLog:
        return SentLog(
            log.trace_id.hex(),
            log.span_id.hex(),
            log.time_unix_nano or log.observed_time_unix_nano,
            log.event_name,
            log.severity_text,
            self._value(log.body) if log.HasField("body") else None,
            self._attributes(log.attributes),
        )

    def _attributes(self, pairs: Sequence[KeyValue]) -> dict[str, Any]:
        self._spend(len(pairs))
        return {pair.key: self._value(pair.value) for pair in pairs}

    def _value(self, value: AnyValue) -> Any:
        match value.WhichOneof("value"):
            case "string_value":
                return value.string_value
            case "int_value":
                return value.int_value
            case "bool_value":
                return value.bool_value
            case "double_value":
                return number(value.double_value)
            case "array_value":
                self._spend(len(value.array_value.values))
                return [self._value(one) for one in value.array_value.values]
            case "kvlist_value":
                return self._attributes(value.kvlist_value.values)
            case "bytes_value":
                return base64.b64encode(value.bytes_value).decode()
        return None


def _decoded(kind: type[M], data: memoryview) -> M:
    try:
        return kind.FromString(bytes(data))
    except DecodeError:
        pass
    try:
        return kind.FromString(_mended(kind.DESCRIPTOR, data))
    except (DecodeError, RecursionError):
        raise Malformed(_BROKEN) from None


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview | None]]:
    """The fields of a message: number, all its bytes and, of one that has a length, what is in it.

    https://protobuf.dev/programming-guides/encoding/. Raises Malformed.
    """
    at, end = 0, len(message)
    while at < end:
        start, content = at, None
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                length, begin = _varint(message, at)
                at = begin + length
                content = message[begin:at]
            case 5:
                at += 4
            case _:
                raise Malformed(_BROKEN)
        if at > end:
            raise Malformed(_BROKEN)
        yield tag >> 3, message[start:at], content


def _mended(kind: Any, message: memoryview) -> bytes:
    """A message whose strings are UTF-8: U+FFFD stands for what is none."""
    mended = bytearray()
    for place, whole, content in _fields(message):
        field = kind.fields_by_number.get(place)
        if content is None or field is None or field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
            mended += whole
            continue
        inner = (
            decoded(bytes(content)).encode()
            if field.type == field.TYPE_STRING
            else _mended(field.message_type, content)
        )
        mended += _varint_of(place << 3 | 2) + _varint_of(len(inner)) + inner
    return bytes(mended)


def _varint_of(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at + shift + 1
    raise Malformed(_BROKEN)


def response(rejected: int, message: str) -> bytes:
    """ExportTraceServiceResponse; nothing at all where there is nothing to tell."""
    if not message:
        return b""
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    return ExportTraceServiceResponse(partial_success=partial).SerializeToString()


def logs_response(rejected: int, message: str) -> bytes:
    """ExportLogsServiceResponse; nothing at all where there is nothing to tell."""
    if not message:
        return b""
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
    return ExportLogsServiceResponse(partial_success=partial).SerializeToString()


def status(code: int, message: str) -> bytes:
    """google.rpc.Status (https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto): a number in
    field 1 and a text in field 2, in which an ExportTracePartialSuccess has them too."""
    return ExportTracePartialSuccess(rejected_spans=code, error_message=message).SerializeToString()
