"""OTLP over HTTP: the spans and log records of any program that is instrumented with OpenTelemetry come in here.

https://opentelemetry.io/docs/specs/otlp/#otlphttp. Failures are told as google.rpc.Status in the request's encoding.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import math
import secrets
import zlib
from collections.abc import Callable
from functools import partial

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.caller import Caller, Role
from domain.telemetry import Received
from formats.otlp import json as otlp_json
from formats.otlp import logs
from formats.otlp import spans as otlp
from resolvers.context import Context
from resolvers.telemetry import receive as take
from server.access.admission import Access
from server.access.rights import require
from server.errors import OperationRefused
from server.instrumentation import current
from server.limits import DEFAULTS
from stores.errors import Unavailable

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

NEW_SPANS = "recollect-new-spans"
"""The header of an answer that says how many of the spans told something new."""

MAX_TOLD = 5
"""Of how many rejected spans the reason is told."""

_COMPRESSED = {"gzip": 31, "deflate": 15}
"""zlib's name for each way in which a body may be compressed."""

_THREAD_FROM = 64 * 1024
"""The shortest body, in bytes, that is read in a thread: 1 MB takes some 50 ms."""

_log = logging.getLogger("recollect")


class Signal(msgspec.Struct, frozen=True):
    """What is sent. read, answer: by the media type of a request; rejected: what an answer in JSON calls those that are
    not taken."""

    read: Callable[[bytes, str, int], otlp.Read]
    answer: Callable[[int, str], bytes]
    rejected: str


class OTLP:
    """An endpoint, an ASGI application for `Route("/v1/traces", OTLP(TRACES, ...))`.

    signal: what is sent to it. make_context: called once a request, for the graph of the caller's workspace.
    access: who may send.
    max_body_bytes: a longer body, as it comes or inflated, is refused with 413.
    max_attributes_bytes: of a span or event; longer ones are shortened.
    max_held_bytes: what the bodies of all requests may take together; one beyond that is told to come again, with 503.
    read_timeout: seconds within which a body must have come.
    """

    def __init__(
        self,
        signal: Signal,
        make_context: Callable[[Caller], Context],
        *,
        access: Access,
        max_body_bytes: int = DEFAULTS.max_spans_bytes,
        max_attributes_bytes: int = DEFAULTS.max_attributes_bytes,
        max_held_bytes: int = 64 * 1024 * 1024,
        read_timeout: float = 30.0,
    ) -> None:
        self._signal, self._make_context, self._access = signal, make_context, access
        self._max, self._max_held, self._read_timeout = max_body_bytes, max_held_bytes, read_timeout
        self._held, self._limit = 0, max_attributes_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        held = _Held(self)
        try:
            _check(scope["method"], media_type, headers)
            self._access.check(scope)
            caller = await self._admit(_credential(headers))
            body = await self._body(receive, headers, held)
            read, received = await self._export(body, media_type, caller)
            news = {NEW_SPANS: str(received.new)}
            answer = Response(_accepted(self._signal, read, media_type), 200, news, media_type)
        except Refusal as refusal:
            answer = refusal.response(media_type)
        except OperationRefused as refused:
            told = refused.errors[0]["message"]
            answer = Refusal(refused.status or 400, told, dict(refused.headers)).response(media_type)
        finally:
            held.release()
        await answer(scope, receive, send)

    async def take(self, body: bytes, authorization: str | None) -> bytes:
        """Takes a request in protobuf that came another way, and answers it in protobuf. Raises Refusal."""
        held = _Held(self)
        try:
            caller = await self._admit(authorization)
            held.add(len(body))
            read, _ = await self._export(body, PROTOBUF, caller)
            return _accepted(self._signal, read, PROTOBUF)
        except OperationRefused as refused:
            raise Refusal(refused.status or 400, refused.errors[0]["message"]) from None
        finally:
            held.release()

    async def _admit(self, authorization: str | None) -> Caller:
        caller = await self._access.identify(authorization)
        await self._access.spend(caller)
        require(caller.role, Role.WRITE)
        return caller

    async def _body(self, receive: Receive, headers: Headers, held: _Held) -> bytes:
        """The body, inflated."""
        too_large = Refusal(
            413, f"The request is too long; send it in parts. RECOLLECT_MAX_SPANS_BYTES is {self._max:,}."
        )
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max:
            raise too_large
        wbits = _COMPRESSED.get(headers.get("content-encoding", "").strip().lower())
        inflate = None if wbits is None else _Inflating(self._max, wbits)
        body, came = bytearray(), 0
        try:
            async with asyncio.timeout(self._read_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "The body is incomplete.")
                    chunk = message.get("body", b"")
                    came += len(chunk)
                    chunk = chunk if inflate is None else inflate.more(chunk)
                    held.add(len(chunk))
                    body += chunk
                    if max(came, len(body)) > self._max:
                        raise too_large
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise Refusal(408, "The body did not arrive in time.") from None
        if inflate is not None:
            inflate.end()
        return bytes(body)

    async def _export(self, body: bytes, media_type: str, caller: Caller) -> tuple[otlp.Read, Received]:
        try:
            read = (
                self._signal.read(body, media_type, self._limit)
                if len(body) < _THREAD_FROM
                else await asyncio.to_thread(self._signal.read, body, media_type, self._limit)
            )
            return read, await take(self._make_context(caller), read.reports)
        except otlp.Malformed as error:
            raise Refusal(400, str(error)) from None
        except otlp.TooLarge as error:
            raise Refusal(413, str(error)) from None
        except Unavailable as error:
            _log.warning("A store is unavailable: %s", error)
            raise _later(error.retry_after_ms) from None
        except Exception:
            request_id = current.get().id or secrets.token_hex(4)
            _log.exception("Internal error %s", request_id)
            raise Refusal(500, f"Internal error {request_id}") from None


class _Held:
    """The bytes that one request holds of what all may."""

    def __init__(self, endpoint: OTLP) -> None:
        self._endpoint, self._bytes = endpoint, 0

    def add(self, count: int) -> None:
        """Raises Refusal where all together would hold too much."""
        self._bytes += count
        self._endpoint._held += count
        if self._endpoint._held > self._endpoint._max_held:
            raise _later(1000)

    def release(self) -> None:
        self._endpoint._held -= self._bytes


class _Inflating:
    """A compressed stream that is inflated as it comes, one byte beyond the limit at the most."""

    def __init__(self, limit: int, wbits: int) -> None:
        self._stream, self._room, self._behind = zlib.decompressobj(wbits), limit + 1, False

    def more(self, chunk: bytes) -> bytes:
        """What the next part of the stream holds."""
        if self._stream.eof:
            self._behind = self._behind or bool(chunk)
            return b""
        try:
            found = self._stream.decompress(chunk, self._room)
        except zlib.error:
            raise Refusal(400, "The body is not compressed as Content-Encoding says.") from None
        self._room -= len(found)
        return found

    def end(self) -> None:
        """Raises Refusal where the stream is not whole, or does not end with the body."""
        if not self._stream.eof or self._stream.unused_data or self._behind:
            raise Refusal(400, "The compressed body is incomplete or followed by extra data.")


class Refusal(Exception):
    """A request of which nothing is taken."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers

    @property
    def code(self) -> int:
        """google.rpc.Code"""
        return _CODES.get(self.status, 3)

    def response(self, media_type: str) -> Response:
        """The answer that says so: google.rpc.Status, in JSON unless the request was protobuf."""
        code = self.code
        if media_type == PROTOBUF:
            from formats.otlp.protobuf import status

            return Response(status(code, self.message), self.status, self.headers, PROTOBUF)
        told = msgspec.json.encode({"code": code, "message": self.message})
        return Response(told, self.status, self.headers, JSON)


_CODES = {401: 16, 403: 7, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 500: 13, 503: 14}
"""google.rpc.Code by HTTP status: UNIMPLEMENTED, DEADLINE_EXCEEDED, ...; INVALID_ARGUMENT where nothing else fits."""


def _credential(headers: Headers) -> str | None:
    """The credential of a request as a bearer's: Langfuse's SDK sends it as a password, LangSmith's as x-api-key."""
    told = headers.get("authorization")
    scheme, _, rest = (told or "").strip().partition(" ")
    if scheme.lower() == "basic":
        try:
            return f"Bearer {base64.b64decode(rest.strip(), validate=True).decode().partition(':')[2]}"
        except ValueError:
            return told
    key = headers.get("x-api-key")
    return f"Bearer {key}" if told is None and key else told


def _later(after_ms: int) -> Refusal:
    """What a client may try again."""
    seconds = max(1, math.ceil(after_ms / 1000))
    return Refusal(503, "Spans cannot be accepted now; try again later.", {"Retry-After": str(seconds)})


def _check(method: str, media_type: str, headers: Headers) -> None:
    if method != "POST":
        raise Refusal(405, "Use POST to send spans.", {"Allow": "POST"})
    if media_type not in (PROTOBUF, JSON):
        raise Refusal(415, f"Send spans as {PROTOBUF} or {JSON}.", {"Accept": f"{PROTOBUF}, {JSON}"})
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity", *_COMPRESSED):
        accepted = ", ".join(_COMPRESSED)
        raise Refusal(415, f"A body may be compressed by {accepted}.", {"Accept-Encoding": accepted})


def _read_spans(body: bytes, media_type: str, limit: int) -> otlp.Read:
    if media_type == JSON:
        return otlp.read(otlp_json.spans_in(body), limit)
    from formats.otlp.protobuf import spans_in

    return otlp.read(spans_in(body), limit)


def _read_logs(body: bytes, media_type: str, limit: int, others: bool = False) -> otlp.Read:
    if media_type == JSON:
        return logs.read(otlp_json.logs_in(body), limit, others=others)
    from formats.otlp.protobuf import logs_in

    return logs.read(logs_in(body), limit, others=others)


def _spans_answer(rejected: int, told: str) -> bytes:
    from formats.otlp.protobuf import response

    return response(rejected, told)


def _logs_answer(rejected: int, told: str) -> bytes:
    from formats.otlp.protobuf import logs_response

    return logs_response(rejected, told)


TRACES = Signal(_read_spans, _spans_answer, "rejectedSpans")
LOGS = Signal(_read_logs, _logs_answer, "rejectedLogRecords")
ALL_LOGS = Signal(partial(_read_logs, others=True), _logs_answer, "rejectedLogRecords")
"""Those too that belong to no span and name no session."""

METRICS = Signal(lambda *_: otlp.Read([], []), lambda *_: b"", "rejectedDataPoints")
"""Metrics are taken and not kept: exporters send them beside the rest, and log an error where they cannot."""


def _accepted(signal: Signal, read: otlp.Read, media_type: str) -> bytes:
    """The response of the protocol, with what was rejected, and what was taken otherwise than it came."""
    rejected, reasons = read.rejected, [*read.rejected[:MAX_TOLD], *(["..."] if len(read.rejected) > MAX_TOLD else [])]
    told = "; ".join([*reasons, *read.notes[:MAX_TOLD]])
    if media_type == JSON:
        partial = {signal.rejected: str(len(rejected)), "errorMessage": told}
        return msgspec.json.encode({"partialSuccess": partial} if told else {})
    return signal.answer(len(rejected), told)
