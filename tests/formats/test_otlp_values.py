"""Values of attributes come through as they are, and any bytes are read or refused."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from domain.span import SpanKind
from domain.values import decode_json
from formats.otlp import json as otlp_json
from formats.otlp import protobuf as otlp_protobuf
from formats.otlp.spans import Malformed, read
from tests.server.otlp.test_traces import IDS, protobuf, span

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda name: not name.startswith("otel."))
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(st.characters(exclude_categories=["Cs"])) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def any_value(value: Any) -> AnyValue:
    """A value as OpenTelemetry's SDK would send it."""
    message = AnyValue()
    match value:
        case None:
            pass
        case bool():
            message.bool_value = value
        case int():
            message.int_value = value
        case float():
            message.double_value = value
        case str():
            message.string_value = value
        case bytes():
            message.bytes_value = value
        case list():
            message.array_value.SetInParent()
            message.array_value.values.extend(any_value(one) for one in value)
        case dict():
            message.kvlist_value.SetInParent()
            message.kvlist_value.values.extend(KeyValue(key=name, value=any_value(one)) for name, one in value.items())
    return message


def json_value(value: Any) -> Any:
    """The same in JSON."""
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": kept(value)}
        case str():
            return {"stringValue": value}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list():
            return {"arrayValue": {"values": [json_value(one) for one in value]}}
    return {"kvlistValue": {"values": [{"key": name, "value": json_value(one)} for name, one in value.items()]}}


def kept(value: Any) -> Any:
    """What becomes of a value: bytes are base64, and numbers without end are named."""
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case bytes():
            return base64.b64encode(value).decode()
        case list():
            return [kept(one) for one in value]
        case dict():
            return {name: kept(one) for name, one in value.items()}
    return value


def typed(value: Any) -> Any:
    """A value with its types, for 1, 1.0 and True are equal."""
    if isinstance(value, dict):
        return {name: typed(one) for name, one in value.items()}
    return [typed(one) for one in value] if isinstance(value, list) else (type(value), value)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_attributes_come_through_with_their_types(attributes: dict[str, Any]) -> None:
    body = protobuf(IDS, attributes={name: any_value(value) for name, value in attributes.items()})
    pairs = [{"key": name, "value": json_value(value)} for name, value in attributes.items()]
    text = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span(attributes=pairs)]}]}]}).encode()
    for found in (read(otlp_protobuf.spans_in(body)), read(otlp_json.spans_in(text))):
        assert typed(decode_json(found.reports[0].attributes)) == typed(kept(attributes))


@given(
    st.binary(max_size=200)
    | st.builds(lambda at, bits: _bent(protobuf(IDS), at, bits), st.integers(0, 70), st.integers(1, 255))
)
def test_any_bytes_are_read_or_malformed(body: bytes) -> None:
    for reader in (otlp_protobuf.spans_in, otlp_json.spans_in):
        try:
            found = read(reader(body))
        except Malformed:
            continue
        assert all(report.told.kind in (None, *SpanKind) for report in found.reports)


def _bent(body: bytes, at: int, bits: int) -> bytes:
    """A body with one byte changed."""
    at %= len(body)
    return body[:at] + bytes([body[at] ^ bits]) + body[at + 1 :]
