"""GraphQL over HTTP: JSON answers, server-sent events, and the way to the page for people."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping

from graphql import OperationType
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.caller import Caller, Role
from server.access.admission import Access, expired
from server.access.rights import require
from server.errors import BAD_REQUEST, OperationRefused, formatted, plain
from server.graphql.documents import Request
from server.graphql.encoding import encode_errors
from server.graphql.events import Event
from server.graphql.executor import Executor
from server.graphql.operation import Operation
from server.headers import headers_of
from server.http.multipart import MULTIPART
from server.http.negotiation import EVENT_STREAM, RESPONSE_JSON, Accepted, accepted_of, takes_gzip
from server.http.requests import JSON, UPLOADS, HTTPRefused, RequestReader, parameters
from server.http.sse import EventStream
from server.limits import DEFAULTS, Limits
from stores.ports import Intake

ASKING = ("query", "documentId", "extensions")
"""Parameters of a URL of which one is in every request; a browser that sends none wants the page."""

PAGE = "query"
"""Where that is: beside this address, wherever a proxy has that."""

COMPRESSED_FROM = 2048
"""The shortest body, in bytes, that is compressed for a client that accepts gzip."""

THREAD_FROM = 64 * 1024
"""The shortest body, in bytes, that is compressed in a thread: 1 MB takes some 8 ms."""


_NO_HEADERS: Mapping[str, str] = {}


class GraphQLHTTP:
    """The HTTP endpoint, an ASGI application for `Route("/graphql", GraphQLHTTP(...))`.

    make_context: called once an operation for the resolvers' context. access: who may ask.
    limits: what is longer than they allow is refused with 413 as soon as that is known. intake: for files in requests.
    keep_alive: seconds between the comments that keep an event stream open.
    send_timeout: seconds after which a reader of an event stream that takes nothing is given up.
    """

    def __init__(
        self,
        executor: Executor,
        make_context: Callable[[Caller], object],
        *,
        access: Access,
        limits: Limits = DEFAULTS,
        intake: Intake | None = None,
        keep_alive: float = 12.0,
        send_timeout: float = 60.0,
    ) -> None:
        self._executor, self._make_context, self._access = executor, make_context, access
        self._reader = RequestReader(limits, intake)
        self._keep_alive, self._send_timeout = keep_alive, send_timeout
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End all event streams, so that the server can stop; their clients come back with their cursor."""
        self._stopping.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        accepted = accepted_of(headers.get("accept") or "*/*")
        try:
            self._access.check(scope)
            if scope["method"] == "GET" and _asks_for_page(scope, accepted):
                await Response(status_code=303, headers={"Location": PAGE, "Vary": "Accept"})(scope, receive, send)
                return
            _check(scope["method"], accepted)
            caller = await self._access.identify(headers.get("authorization"))
            await self._access.spend(caller)
            if headers.get("content-type", "").lower().startswith(MULTIPART):
                require(caller.role, Role.WRITE)  # before anything is written to the disk
            request = await self._reader.read(scope, receive, headers)
            await self._serve(request, headers, accepted, caller, scope, receive, send)
        except HTTPRefused as refused:
            body = encode_errors([plain(refused.message, BAD_REQUEST)])
            await Response(body, refused.status, refused.headers, accepted.json or JSON)(scope, receive, send)
        except OperationRefused as refused:  # before it was read
            body = encode_errors(refused.errors)
            await _send(send, refused.status or 400, accepted.json or JSON, body, headers, refused.headers)
        finally:
            if (form := scope.get(UPLOADS)) is not None:
                await form.discard()

    async def _serve(
        self,
        request: Request,
        headers: Mapping[str, str],
        accepted: Accepted,
        caller: Caller,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        media_type = accepted.json
        try:
            operation = self._prepared(request, headers, accepted, scope["method"])
            if media_type is None or operation.kind is OperationType.SUBSCRIPTION:
                await self._stream(self._events(operation, caller), caller, receive, send)
                return
            status, body = 200, await self._executor.run(operation, self._make_context(caller))
        except OperationRefused as refused:
            body = encode_errors(refused.errors)
            if media_type is None:
                await self._stream(_single(body), caller, receive, send)
                return
            status = refused.status or (400 if media_type == RESPONSE_JSON else 200)
        except HTTPRefused:
            raise
        except Exception as error:
            status, body = 500, encode_errors(formatted([error]))
        await _send(send, status, media_type or JSON, body, headers)

    def _prepared(self, request: Request, headers: Mapping[str, str], accepted: Accepted, method: str) -> Operation:
        operation = self._executor.prepare(request)
        if operation.kind is OperationType.MUTATION and method == "GET":
            raise HTTPRefused(405, "A mutation needs POST.", {"Allow": "POST"})
        if operation.kind is not OperationType.SUBSCRIPTION:
            return operation
        if not accepted.stream:
            raise HTTPRefused(406, f"A subscription needs a WebSocket, or {EVENT_STREAM} in Accept.")
        cursor = headers.get("last-event-id")
        return self._executor.resume(operation, cursor) if cursor else operation

    async def _events(self, operation: Operation, caller: Caller) -> AsyncGenerator[Event, None]:
        """The operation's events; a failure is the last one, as the SSE protocol has no other place for it."""
        try:
            context = self._make_context(caller)
            async with contextlib.aclosing(self._executor.stream(operation, context)) as events:
                async for event in events:
                    yield event
        except OperationRefused as refused:
            yield Event(encode_errors(refused.errors))
        except Exception as error:
            yield Event(encode_errors(formatted([error])))

    async def _stream(self, events: AsyncGenerator[Event, None], caller: Caller, receive: Receive, send: Send) -> None:
        """Write events until they end, the client leaves or takes nothing any more, or their credential is no longer
        good; then close them."""
        stream = EventStream(send)
        await stream.begin()
        expiry = asyncio.ensure_future(self._access.ended(caller))
        ends = [
            asyncio.ensure_future(work)
            for work in (
                stream.write(events),
                stream.beat(self._keep_alive, self._send_timeout),
                _disconnected(receive),
                self._stopping.wait(),
                expiry,
            )
        ]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in done:
                end.result()
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            await events.aclose()
        if done == {expiry}:
            with contextlib.suppress(TimeoutError):  # a client that takes nothing
                async with asyncio.timeout(self._send_timeout):
                    await stream.write(_single(encode_errors(expired().errors)))
        elif self._stopping.is_set():
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(
    send: Send,
    status: int,
    media_type: str,
    body: bytes,
    asked: Mapping[str, str],
    more: Mapping[str, str] = _NO_HEADERS,
) -> None:
    """Sends a whole answer, compressed where that is worth it and wanted. more: headers beside the usual ones."""
    headers = [(b"content-type", media_type.encode()), (b"vary", b"accept, accept-encoding")]
    headers += [(name.lower().encode(), value.encode()) for name, value in more.items()]
    if len(body) >= COMPRESSED_FROM and takes_gzip(asked.get("accept-encoding", "")):
        body = _gzip(body) if len(body) < THREAD_FROM else await asyncio.to_thread(_gzip, body)
        headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, level=1, wbits=31)


def _check(method: str, accepted: Accepted) -> None:
    if method not in ("GET", "POST"):
        raise HTTPRefused(405, "Use GET or POST for GraphQL.", {"Allow": "GET, POST"})
    if accepted.json is None and not accepted.stream:
        raise HTTPRefused(406, f"Answers are {RESPONSE_JSON}, {JSON} or {EVENT_STREAM}.")


def _asks_for_page(scope: Scope, accepted: Accepted) -> bool:
    return accepted.page and not any(name in ASKING for name, _ in parameters(scope["query_string"]))


async def _single(body: bytes) -> AsyncGenerator[Event, None]:
    yield Event(body)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
