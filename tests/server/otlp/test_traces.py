"""OTLP over HTTP, to the letter: encodings, refusals, partial success."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from domain.session import Session
from domain.span import Span
from domain.telemetry import MAX_ATTRIBUTES
from domain.tool_execution import ToolLimits
from domain.values import decode_json
from formats.otlp import json as otlp_json
from formats.otlp import protobuf as otlp_protobuf
from formats.otlp.spans import MAX_SPANS
from resolvers.context import Context
from server.otlp.endpoint import JSON, OTLP, PROTOBUF, TRACES
from stores.errors import Unavailable
from tests.formats.test_recollect_jsonl import opened
from tests.support.graphql_client import ANYONE

TRACE = "0AF7651916CD43DD8448EB211C80319C"
SPAN = "B7AD6B7169203331"


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    async with opened(tmp_path / "data") as context:
        yield context


def client(context: Context, **limits: Any) -> httpx.AsyncClient:
    """Speaks to the endpoint."""
    app: Any = OTLP(TRACES, lambda _: context, access=ANYONE, **limits)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://server")


def span(trace: str = TRACE, id: str = SPAN, **more: Any) -> dict[str, Any]:
    """A span in JSON."""
    at = {"startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000250000999"}
    return {"traceId": trace, "spanId": id, "name": "work", "kind": 1, **at, **more}


def request(*spans: Any, resource: Any = None) -> dict[str, Any]:
    """A request in JSON."""
    return {
        "resourceSpans": [
            {"resource": resource or {}, "scopeSpans": [{"scope": {"name": "lib"}, "spans": list(spans)}]}
        ]
    }


def protobuf(*spans: dict[str, bytes], attributes: dict[str, AnyValue] | None = None) -> bytes:
    """A request in protobuf: its spans by trace_id and span_id."""
    message = ExportTraceServiceRequest()
    of = message.resource_spans.add().scope_spans.add()
    for one in spans:
        pairs = [KeyValue(key=key, value=value) for key, value in (attributes or {}).items()]
        of.spans.add(name="work", start_time_unix_nano=1, end_time_unix_nano=2, attributes=pairs, **one)  # type: ignore[arg-type]
    return message.SerializeToString()


def wrapped(content: bytes, field: int) -> bytes:
    """A message in a field of another, in protobuf."""
    length, size = b"", len(content)
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + content


IDS = {"trace_id": bytes.fromhex(TRACE), "span_id": bytes.fromhex(SPAN)}


async def post(http: httpx.AsyncClient, body: Any, type: str = JSON, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await http.post("/v1/traces", content=content, headers=sent)


async def stored(context: Context) -> list[Span]:
    return await context.store.scan(Span, None, 100)


class TestAccepted:
    async def test_json(self, context: Context) -> None:
        async with client(context) as http:
            answer = await post(http, request(span()), "application/json; charset=utf-8")
        assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, JSON, {})
        [found] = await stored(context)
        assert (found.trace_id, found.span_id, found.parent_span_id) == (TRACE.lower(), SPAN.lower(), None)
        assert found.duration_ms == 250.0

    async def test_ids_in_base64(self, context: Context) -> None:
        def coded(id: str) -> str:
            return base64.b64encode(bytes.fromhex(id)).decode()

        ids = {"traceId": coded(TRACE), "spanId": coded(SPAN)}
        below = {**ids, "spanId": coded("c" * 16), "parentSpanId": coded(SPAN)}
        async with client(context) as http:
            await post(http, request(span(**ids, parentSpanId=coded("0" * 16)), span(**below)))
        found = {one.span_id: one.parent_span_id for one in await stored(context)}
        assert found == {SPAN.lower(): None, "c" * 16: SPAN.lower()}
        assert {one.trace_id for one in await stored(context)} == {TRACE.lower()}

    async def test_protobuf(self, context: Context) -> None:
        async with client(context) as http:
            answer = await post(http, protobuf(IDS), PROTOBUF)
        assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, PROTOBUF, b"")
        [found] = await stored(context)
        assert (found.trace_id, found.span_id) == (TRACE.lower(), SPAN.lower())

    @pytest.mark.parametrize(
        ("name", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
    )
    async def test_compressed(self, context: Context, name: str, compress: Callable[[bytes], bytes]) -> None:
        async with client(context) as http:
            answer = await post(http, compress(protobuf(IDS)), PROTOBUF, content_encoding=name)
        assert answer.status_code == 200
        assert len(await stored(context)) == 1

    @pytest.mark.parametrize(
        "body", [{}, {"resourceSpans": []}, {"resourceSpans": None}, request(), {"future": [1, {"x": 2}]}]
    )
    async def test_nothing_in_it(self, context: Context, body: Any) -> None:
        async with client(context) as http:
            assert (await post(http, body)).json() == {}
            assert (await post(http, b"", PROTOBUF)).status_code == 200
        assert await stored(context) == []

    async def test_both_encodings_tell_the_same(self, context: Context) -> None:
        async with client(context) as http:
            await post(http, protobuf(IDS), PROTOBUF)
            one = {**request(span(startTimeUnixNano="1", endTimeUnixNano=2)), "resourceSpans": [{"scopeSpans": [{"spans": [
                span(startTimeUnixNano="1", endTimeUnixNano=2)]}]}]}  # fmt: skip
            answer = await post(http, one)
        assert answer.headers["recollect-new-spans"] == "0"

    async def test_what_a_span_is_told_with(self, context: Context) -> None:
        attributes = [{"key": "service.name", "value": {"stringValue": "shop"}}]
        more = span(
            kind=3,
            links=[{"traceId": "AB" * 16, "spanId": "CD" * 8, "attributes": attributes}],
            traceState="a=b",
            status={"code": 2, "message": "boom"},
            droppedEventsCount=4,
            parentSpanId="0" * 16,
        )
        async with client(context) as http:
            await post(http, request(more, resource={"attributes": attributes}))
        [found] = await stored(context)
        assert decode_json(found.attributes) == {
            "otel.scope.name": "lib",
            "otel.resource": {"service.name": "shop"},
            "otel.span_kind": "client",
            "otel.trace_state": "a=b",
            "otel.links": [{"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": {"service.name": "shop"}}],
            "otel.dropped_events_count": 4,
        }
        assert (found.status_code.value, found.status_message, found.parent_span_id) == ("ERROR", "boom", None)


REJECTED = [
    ({"id": "0" * 16}, "spanId is all zeros"),
    ({"trace": "0" * 32}, "traceId is all zeros"),
    ({"trace": TRACE[1:]}, "traceId is not 32 hex digits"),
    ({"id": SPAN + "00"}, "spanId is not 16 hex digits"),
    ({"id": "x" * 16}, "spanId is not 16 hex digits"),
    ({"id": "12 4 6 8 0 2 4 6"}, "spanId is not 16 hex digits"),
    ({"trace": base64.b64encode(b"x" * 24).decode()}, "traceId is not 32 hex digits"),
    ({"parentSpanId": "12"}, "parentSpanId is not 16 hex digits"),
    ({"id": None}, "spanId is not 16 hex digits"),
]


class TestPartialSuccess:
    @pytest.mark.parametrize(("wrong", "why"), REJECTED)
    async def test_json(self, context: Context, wrong: Any, why: str) -> None:
        async with client(context) as http:
            answer = await post(http, request(span(), span(**wrong)))
        assert answer.status_code == 200
        assert answer.json() == {"partialSuccess": {"rejectedSpans": "1", "errorMessage": f"span 2: {why}"}}
        assert len(await stored(context)) == 1

    async def test_protobuf(self, context: Context) -> None:
        async with client(context) as http:
            wrong = [{**IDS, "span_id": bytes(8)}, {**IDS, "trace_id": b"short"}, {"trace_id": b"", "span_id": b""}]
            answer = await post(http, protobuf(*wrong, IDS), PROTOBUF)
        told = ExportTraceServiceResponse.FromString(answer.content).partial_success
        assert told.rejected_spans == 3
        assert told.error_message.startswith(
            "span 1: spanId is all zeros; span 2: traceId is not 32 hex digits; span 3"
        )
        assert len(await stored(context)) == 1

    async def test_few_reasons_are_told(self, context: Context) -> None:
        async with client(context) as http:
            answer = await post(http, request(*[span(id="0" * 16)] * 100))
        told = answer.json()["partialSuccess"]
        assert told["rejectedSpans"] == "100"
        assert told["errorMessage"].count("zeros") == 5

    @pytest.mark.parametrize("size", [300_000, 1_500_000, 5_000_000])
    async def test_a_long_span_is_shortened_in_either_encoding(self, context: Context, size: int) -> None:
        text = "begin " + "x" * size + " end"
        in_json = request(span(id="1" * 16, attributes=[{"key": "x", "value": {"stringValue": text}}]))
        async with client(context) as http:
            answer = await post(http, protobuf(IDS, attributes={"x": AnyValue(string_value=text)}), PROTOBUF)
            told = ExportTraceServiceResponse.FromString(answer.content).partial_success
            assert (told.rejected_spans, told.error_message[:26]) == (0, "1 attributes were shortene")
            assert (await post(http, in_json)).json()["partialSuccess"]["rejectedSpans"] == "0"
        kept = [decode_json(found.attributes)["x"] for found in await stored(context)]
        assert kept[0] == kept[1]
        assert (kept[0][:6], kept[0][-4:]) == ("begin ", " end")

    @pytest.mark.slow
    @pytest.mark.parametrize("part", [b"\x4a\x00", b"\x5a\x00", b"\x6a\x00", b"\x4a\x04\x12\x02\x32\x00"])
    async def test_a_span_of_a_million_parts_is_refused_before_it_is_decoded(
        self, context: Context, part: bytes
    ) -> None:
        spans = ExportTraceServiceRequest.FromString(protobuf(IDS))
        one = spans.resource_spans[0].scope_spans[0].spans[0].SerializeToString() + part * 1_000_000
        async with client(context) as http:
            assert (await post(http, wrapped(wrapped(wrapped(one, 2), 2), 1), PROTOBUF)).status_code == 413
        assert await stored(context) == []

    async def test_how_many_are_shortened_and_left_out_is_counted(self, context: Context) -> None:
        many = [{"key": f"t{n}", "value": {"stringValue": "x" * 100}} for n in range(3_000)]
        numbers = {"key": "n", "value": {"arrayValue": {"values": [{"intValue": 10**9 + n} for n in range(100_000)]}}}
        async with client(context) as http:
            told = (await post(http, request(span(attributes=many)))).json()["partialSuccess"]["errorMessage"]
            shortened, left_out = (int(note.split()[0].replace(",", "")) for note in told.split("; "))
            assert (shortened + left_out, shortened > 2_000) == (3_000, True)
            told = (await post(http, request(span(attributes=[numbers])))).json()["partialSuccess"]["errorMessage"]
            assert told.startswith("1 attributes were ")

    async def test_names_that_are_shortened_are_told(self, context: Context) -> None:
        long = "begin " + "x" * 2_000 + " end"
        told = {"name": long, "status": {"code": 2, "message": long}, "events": [{"name": long}]}
        async with client(context) as http:
            answer = (await post(http, request(span(**told)))).json()["partialSuccess"]
        assert answer["rejectedSpans"] == "0"
        for name in ("name", "status.message", "event.name"):
            assert f"{name} was shortened, to 1,000 characters" in answer["errorMessage"]
        [found] = await stored(context)
        for kept in (found.name, str(found.status_message)):
            assert (len(kept), kept[:6], kept[-4:]) == (1_000, "begin ", " end")

    async def test_a_time_that_cannot_be(self, context: Context) -> None:
        async with client(context) as http:
            told = (await post(http, request(span(startTimeUnixNano=-(2**62), endTimeUnixNano=-(2**63))))).json()
        assert "endTimeUnixNano" in told["partialSuccess"]["errorMessage"]

    async def test_attributes_that_are_too_large_are_shortened_and_told(self, context: Context) -> None:
        large = [
            {"key": "large", "value": {"stringValue": "ß" * MAX_ATTRIBUTES}},
            {"key": "small", "value": {"intValue": 1}},
        ]
        async with client(context) as http:
            told = (await post(http, request(span(attributes=large)))).json()["partialSuccess"]
            assert told["rejectedSpans"] == "0"
            assert told["errorMessage"].startswith("1 attributes were shortened")
        [found] = await stored(context)
        kept = decode_json(found.attributes)
        cut = kept.pop("large")
        assert kept == {"otel.scope.name": "lib", "small": 1, "otel.shortened": ["large"]}
        assert cut.startswith("ßßß")
        assert cut.endswith("ßßß")
        assert f"[{MAX_ATTRIBUTES - cut.count('ß'):,} characters left out]" in cut

    async def test_the_bound_is_a_setting(self, context: Context) -> None:
        texts = [{"key": "t", "value": {"stringValue": "x" * 5_000}}]
        events = [{"name": "e", "attributes": texts}]
        async with client(context, max_attributes_bytes=4096) as http:
            binary = protobuf(IDS, attributes={"t": AnyValue(string_value="x" * 5_000)})
            told = ExportTraceServiceResponse.FromString((await post(http, binary, PROTOBUF)).content).partial_success
            assert (told.rejected_spans, "1 attributes were shortened" in told.error_message) == (0, True)
            told = (await post(http, request(span(attributes=texts, events=events)))).json()["partialSuccess"]
            assert "2 attributes were shortened" in told["errorMessage"]

    @pytest.mark.parametrize("name", ["session.id", "user.id", "gen_ai.agent.id"])
    async def test_names_that_cannot_be_are_told(self, context: Context, name: str) -> None:
        for value, note in (("   ", "is blank"), ("\u3000\n", "is blank"), ("x" * 1_001, "more than 1,000")):
            async with client(context) as http:
                sent = request(span(attributes=[{"key": name, "value": {"stringValue": value}}]))
                told = (await post(http, sent)).json()["partialSuccess"]
            assert f"{name} {note}" in told["errorMessage"] or f"{name} has {note}" in told["errorMessage"]

    async def test_two_long_session_ids_are_two_sessions(self, context: Context) -> None:
        ids = ["x" * 1_500 + end for end in "ab"]
        async with client(context) as http:
            for index, id in enumerate(ids):
                attributes = [{"key": "session.id", "value": {"stringValue": id}}]
                await post(http, request(span(f"{index + 1:032x}", attributes=attributes)))
            await post(
                http, request(span(f"{9:032x}", attributes=[{"key": "session.id", "value": {"stringValue": " "}}]))
            )
        sessions = await context.store.scan(Session, None, 10)
        assert len({session.external_id for session in sessions}) == len(sessions) == 2
        assert all(len(str(session.external_id)) == 1_000 for session in sessions)

    async def test_what_a_later_report_adds_shortens_and_loses_nothing(self, context: Context) -> None:
        async with client(context) as http:
            for key in ("asked", "answered"):
                await post(http, request(span(attributes=[{"key": key, "value": {"stringValue": key * 25_000}}])))
        [found] = await stored(context)
        kept = decode_json(found.attributes)
        assert kept["asked"].startswith("asked")
        assert kept["answered"].endswith("answered")


MALFORMED = [
    (b"", JSON),
    (b"{", JSON),
    (b"[]", JSON),
    (b"null", JSON),
    (b'{"resourceSpans": {}}', JSON),
    (b'{"resourceSpans": [{"scopeSpans": 5}]}', JSON),
    (b'{"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]}', JSON),
    (
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"value": '
        + b'{"arrayValue": {"values": [' * 5000,
        JSON,
    ),
    (protobuf(IDS)[:-1], PROTOBUF),
    (protobuf(IDS)[:5], PROTOBUF),
    (b"\x0a", PROTOBUF),
    (b"\x0b\x0c", PROTOBUF),
    (b"\xff" * 20, PROTOBUF),
    (b"\x0a\x02\x12\x05", PROTOBUF),
    (b'{"resourceSpans": []}', PROTOBUF),
]


class TestRefused:
    @pytest.mark.parametrize(("body", "type"), MALFORMED)
    async def test_malformed(self, context: Context, body: bytes, type: str) -> None:
        async with client(context) as http:
            answer = await post(http, body, type)
        assert (answer.status_code, answer.headers["content-type"]) == (400, type)
        code, message = status(answer)
        assert code == 3
        assert message.endswith(".")
        assert await stored(context) == []

    @pytest.mark.parametrize(
        "body",
        [
            b"garbage",
            gzip.compress(protobuf(IDS), mtime=0)[:-3],
            gzip.compress(protobuf(IDS), mtime=0) + b"more",
            b"",
            zlib.compress(b"x"),
        ],
    )
    async def test_bad_gzip(self, context: Context, body: bytes) -> None:
        async with client(context) as http:
            answer = await post(http, body, PROTOBUF, content_encoding="gzip")
        assert (answer.status_code, status(answer)[0]) == (400, 3)

    @pytest.mark.parametrize(
        "type", ["", "text/plain", "application/grpc", "application/json+x", "multipart/form-data"]
    )
    async def test_other_types(self, context: Context, type: str) -> None:
        async with client(context) as http:
            answer = await post(http, b"{}", type)
        assert (answer.status_code, answer.json()["code"]) == (415, 3)

    async def test_other_compressions(self, context: Context) -> None:
        async with client(context) as http:
            answer = await post(http, b"{}", content_encoding="br")
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate")

    @pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
    async def test_other_methods(self, context: Context, method: str) -> None:
        async with client(context) as http:
            answer = await http.request(method, "/v1/traces")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")

    async def test_bodies_that_are_too_long(self, context: Context) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b" " * 100

        whole = gzip.compress(b" " * 100)
        async with client(context, max_body_bytes=1000) as http:
            assert (await post(http, b" " * 1001)).status_code == 413
            assert (await http.post("/", content=parts(), headers={"content-type": JSON})).status_code == 413
            bomb = await post(http, gzip.compress(b" " * 100_000_000), content_encoding="gzip")
            assert (bomb.status_code, status(bomb)) == (
                413,
                (8, "The request is too long; send it in parts. RECOLLECT_MAX_SPANS_BYTES is 1,000."),
            )
            assert (await post(http, whole, content_encoding="gzip")).status_code == 400, "this one fits"

    async def test_more_than_is_done_at_once(self, context: Context) -> None:
        async with client(context) as http:
            assert (await post(http, request(*[span()] * (MAX_SPANS + 1)))).status_code == 413
            assert (await post(http, b'{"x": [' + b"{}," * otlp_json.MAX_OBJECTS + b"{}]}")).status_code == 413
            empty = b"\x0a\x85\x80\x80\x01\x12\x80\x80\x80\x01" + b"\x12\x00" * 2**20
            answer = await post(http, empty, PROTOBUF)
            assert answer.status_code == 413
            assert (await post(http, b"\x0a\x00" * (otlp_protobuf.MAX_PARTS + 1), PROTOBUF)).status_code == 413

    async def test_what_is_said_once_and_told_with_each_span(self, context: Context) -> None:
        resource = {"attributes": [{"key": "a", "value": {"stringValue": "x" * (MAX_ATTRIBUTES - 1000)}}]}
        spans = [span(id=f"{number:016x}") for number in range(1, 301)]
        async with client(context) as http:
            assert (await post(http, request(*spans, resource=resource))).status_code == 413
            assert (await post(http, request(*spans[:10], resource=resource))).status_code == 200

    async def test_when_all_bodies_together_are_too_much(self, context: Context) -> None:
        async with client(context, max_held_bytes=10) as http:
            answer = await post(http, request(span()))
            assert (answer.status_code, answer.headers["retry-after"], status(answer)[0]) == (503, "1", 14)
            assert (await post(http, {})).status_code == 200, "what was held is let go"

    async def test_a_body_that_does_not_come(self, context: Context) -> None:
        sent: list[Any] = []

        async def never() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", JSON.encode())]}
        await OTLP(TRACES, lambda _: context, access=ANYONE, read_timeout=0.01)(scope, never, send)
        assert sent[0]["status"] == 408

    @pytest.mark.parametrize("type", [JSON, PROTOBUF])
    async def test_a_store_that_is_away_asks_to_come_again(self, context: Context, type: str) -> None:
        async with client(Away()) as http:  # type: ignore[arg-type]
            answer = await post(http, request(span()) if type == JSON else protobuf(IDS), type)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
        assert status(answer) == (14, "Spans cannot be accepted now; try again later.")

    async def test_a_fault_of_ours_is_not_told(self, context: Context) -> None:
        def broken(_caller: object) -> Context:
            raise RuntimeError("the password is swordfish")

        app: Any = OTLP(TRACES, broken, access=ANYONE)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://server") as http:
            answer = await post(http, request(span()))
        assert answer.status_code == 500
        assert "swordfish" not in answer.text


class Away:
    """The graph of a store that cannot be written."""

    store: Any
    telemetry_messages = "auto"
    tools = ToolLimits()

    def __init__(self) -> None:
        self.store = self

    async def write(self, script: Callable[[Any], Awaitable[Any]]) -> Any:
        raise Unavailable("the disk is full", 2500)


def status(answer: httpx.Response) -> tuple[int, str]:
    """Code and message of a google.rpc.Status, by Google's own reading of it."""
    if answer.headers["content-type"] == JSON:
        return answer.json()["code"], answer.json()["message"]
    found = Status.FromString(answer.content)
    return found.code, found.message
