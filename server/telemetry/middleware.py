"""ASGI middleware that observes requests: each answer gets an X-Request-Id, each request a place in log and metrics."""

from __future__ import annotations

import contextlib
import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.headers import headers_of
from server.instrumentation import OK, UNTRACED, RequestRecord, current
from server.telemetry.logs import OperationLog
from server.telemetry.metrics import Metrics
from server.telemetry.tracing import Tracing

GRAPHQL, SPANS = "/graphql", "/v1/traces"

_BAD = 400

_HEADER = "x-request-id"
_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

_process, _numbers = secrets.token_hex(4), itertools.count(1)

_Entered = contextlib.AbstractContextManager[Any]


class Instrumented:
    """The application, observed: each answer has an X-Request-Id, and of each request there is a note at its end.

    It costs a request some 5 us.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log: OperationLog, tracing: Tracing | None = None) -> None:
        self._app, self._metrics, self._log, self._tracing = app, metrics, log, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        route = scope["path"]
        request = RequestRecord(_id(headers_of(scope)), route)
        if route == SPANS:
            request.kind = "spans"

        def answer(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_HEADER.encode(), request.id.encode())]
            return send(message)

        with _Watch(self, request, scope):
            await self._app(scope, receive, answer)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_socket = scope["type"] == "websocket"
        self._metrics.sockets += is_socket
        scope["observing"] = self
        try:
            await self._app(scope, receive, send)
        finally:
            self._metrics.sockets -= is_socket

    def operation(self, scope: Scope) -> _Entered:
        return _Watch(self, RequestRecord(_made(), GRAPHQL), scope)

    def traced(self, request: RequestRecord, scope: Scope) -> _Entered | None:
        """The span of a request; an export of spans has none: where they come from here that would never end."""
        if self._tracing is None or request.route != GRAPHQL:
            return None
        request.tracer = self._tracing
        return self._tracing.request(request, scope)

    def ended(self, request: RequestRecord) -> None:
        if request.status:
            self._metrics.answered(request.route, request.status)
            if request.status >= _BAD and request.outcome is OK:
                request.outcome = f"HTTP_{request.status}"
        if request.kind or (request.outcome is not OK and request.route == GRAPHQL):
            self._metrics.observe(request)
            self._log.observe(request)


class _Watch:
    """Makes a request the current one for as long as it lasts. (A generator would take three times as long.)"""

    __slots__ = ("_begun", "_observing", "_request", "_span", "_token")

    def __init__(self, observing: Instrumented, request: RequestRecord, scope: Scope) -> None:
        self._observing, self._request = observing, request
        self._span = observing.traced(request, scope)

    def __enter__(self) -> None:
        self._token = current.set(self._request)
        self._begun = time.perf_counter()
        if self._span is not None:
            self._span.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        request = self._request
        request.seconds = time.perf_counter() - self._begun
        if error is not None and isinstance(error, Exception):
            request.status = 500
        current.reset(self._token)
        self._observing.ended(request)
        if self._span is not None:
            self._span.__exit__(kind, error, trace)


def operation(scope: Scope) -> _Entered:
    """Observes one operation of a socket, where its application is observed."""
    observing: Instrumented | None = scope.get("observing")
    return UNTRACED if observing is None else observing.operation(scope)


def _id(headers: Mapping[str, str]) -> str:
    """The request id that a client or proxy sent, if it can stand in a log as it is; else one that is made."""
    given = headers.get(_HEADER)
    return given if given is not None and _SANE.fullmatch(given) else _made()


def _made() -> str:
    return f"{_process}-{next(_numbers):x}"
