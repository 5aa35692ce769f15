"""Processor time of the server for each thing it does, beside the least there could be, and beside an older build.

What the clock on the wall says depends on what else the machine does; this does so much less.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec

from bench import queries
from bench.data import LONG, LONG_MESSAGES, OWNER, events, small_talk
from bench.http import post
from bench.lab import Lab
from bench.load import Next, load
from bench.row import Measure, Row, Wanted, within_times
from bench.rows.live import one_at_a_time
from bench.rows.reads import any_session
from bench.rows.writes import adding

_UNIT = "µs of processor"
_SPANS = 1_000
_SHORT = 4  # rounds are shorter by this, and there are more of them
_ROUNDS = 10

_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
_numbers = count(1)


def spent(make: Callable[[Lab], Next], callers: int, each: int = 1, sign: bytes = b"", floor: bool = False) -> Measure:
    """Microseconds of the server's processor for one of the things that a request brings `each` of."""

    async def measure(lab: Lab) -> float:
        server = await (lab.floor() if floor else lab.server())
        done = await load(server, make(lab), lab.seconds / _SHORT, callers, sign)
        return done.cpu / len(done.waits) / each * 1e6

    return measure


def _always(query: str, variables: dict[str, Any] | None = None) -> Callable[[Lab], Next]:
    request = post(query, variables)
    return lambda _: lambda: request


def _into_sessions(query: str, name: str, items: list[dict[str, Any]]) -> Callable[[Lab], Next]:
    def make(lab: Lab) -> Next:
        requests = [post(query, {"input": {"session": {"externalId": key}, name: items}}) for key in lab.data.others]
        places = count()
        return lambda: requests[next(places) % len(requests)]

    return make


def _texts(count: int, seed: int) -> list[str]:
    return [one["text"] for one in small_talk(count, seed)]


def _remembering(lab: Lab) -> Next:
    texts = _texts(500, lab.seed)

    def make() -> bytes:
        number = next(_numbers)
        memory = {"text": f"{texts[number % len(texts)]} {number}", "owner": {"externalId": OWNER}}
        return post(queries.CREATE_MEMORY, {"input": memory})

    return make


def _spans(media_type: str) -> Callable[[Lab], Next]:
    """Requests of spans that nobody has told yet, in traces of ten."""

    def make(lab: Lab) -> Next:
        texts = _texts(2 * _SPANS, lab.seed)
        return lambda: _posted(_exported(texts), media_type)

    return make


def _exported(texts: list[str]) -> dict[str, Any]:
    """An ExportTraceServiceRequest as JSON has it."""
    spans: list[dict[str, Any]] = []
    for place in range(_SPANS):
        number = next(_numbers)
        if place % 10 == 0:
            trace, root = f"{number * 2_654_435_761 % 2**128:032x}", ""
        kind = ("AGENT", "LLM", "TOOL", "RETRIEVER")[0 if place % 10 == 0 else 1 + place % 3]
        told = {"openinference.span.kind": kind, "session.id": f"traced-{number // 100}"}
        told |= {"input.value": texts[place], "output.value": texts[-place - 1]}
        attributes = [{"key": key, "value": {"stringValue": value}} for key, value in told.items()]
        if kind == "LLM":
            counted = {"llm.token_count.prompt": 200 + place, "llm.token_count.completion": 40}
            attributes += [{"key": key, "value": {"intValue": str(value)}} for key, value in counted.items()]
        start = 1_760_000_000_000_000_000 + number * 1_000_000
        span = {"traceId": trace, "spanId": f"{number:016x}", "parentSpanId": root, "name": f"{kind.lower()} {place}"}
        times = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 900_000)}
        spans.append({**span, **times, "kind": 1, "attributes": attributes})
        root = root or spans[-1]["spanId"]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bench"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}


def _posted(told: dict[str, Any], media_type: str) -> bytes:
    body = msgspec.json.encode(told) if media_type == _JSON else _protobuf(told)
    head = f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _protobuf(told: dict[str, Any]) -> bytes:
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for span in told["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return ParseDict(told, ExportTraceServiceRequest()).SerializeToString()


def _row(
    name: str,
    title: str,
    measure: Measure,
    floor: Measure | None = None,
    against: str = "",
    wanted: Wanted | None = None,
    rounds: int = _ROUNDS,
) -> Row:
    return Row(
        name=f"cpu-{name}",
        title=title,
        unit=_UNIT,
        measure=measure,
        baseline=floor,
        against=against,
        wanted=wanted,
        lower=True,
        rounds=rounds,
        older=True,
    )


_NESTED = {"by": {"externalId": LONG}}
_add = {callers: spent(adding, callers, sign=queries.WRITTEN) for callers in (1, 128)}
_least = {callers: spent(adding, callers, sign=queries.WRITTEN, floor=True) for callers in (1, 128)}
_ADDS = _into_sessions(queries.ADD_MESSAGES, "messages", small_talk(100, 1))
_APPENDS = _into_sessions(queries.APPEND, "events", events(100))

ROWS = [
    _row(
        "typename",
        "{ __typename }",
        spent(_always(queries.TYPENAME), 16),
        spent(_always(queries.TYPENAME), 16, floor=True),
        "bare uvicorn, a constant",
        within_times(1.7),
    ),
    _row("session", "One session by its externalId", spent(any_session, 4)),
    _row(
        "add-128",
        "addMessage, 128 callers",
        _add[128],
        _least[128],
        "bare uvicorn, five statements of apsw",
        within_times(1.9),
    ),
    _row(
        "add-1", "addMessage, 1 caller", _add[1], _least[1], "bare uvicorn, five statements of apsw", within_times(1.4)
    ),
    _row("adds", "addMessages of 100, a message", spent(_ADDS, 8, 100, queries.WRITTEN)),
    _row("events", "appendTraceEvents of 100, an event", spent(_APPENDS, 8, 100, queries.WRITTEN)),
    _row("nested-50", "Nested page of 50 messages", spent(_always(queries.NESTED, {**_NESTED, "first": 50}), 4)),
    _row(
        "nested-1000",
        "Nested page of 1,000",
        spent(_always(queries.NESTED, {**_NESTED, "first": LONG_MESSAGES}), 2),
    ),
    _row("memory", "createMemory, 1 caller", spent(_remembering, 1, sign=queries.WRITTEN)),
    _row("spans-json", "Spans in, 1,000 a request of JSON, a span", spent(_spans(_JSON), 2, _SPANS, b"200 OK")),
    _row("spans-protobuf", "Spans in, 1,000 of protobuf, a span", spent(_spans(_PROTOBUF), 2, _SPANS, b"200 OK")),
    _row("live-100", "One live event to 100 subscribers, a delivery", one_at_a_time(100), rounds=4),
    _row("live-1000", "One live event to 1,000 subscribers, a delivery", one_at_a_time(1_000), rounds=4),
]
