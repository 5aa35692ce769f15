"""What is noted of a request while it runs: for the log, the metrics and the spans that are made of it at its end."""

from __future__ import annotations

import contextlib
import itertools
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from server.logs import OperationLog
    from server.metrics import Metrics
    from server.tracing import Tracing

OK = "OK"
"""The outcome of what went well; of anything else it is the code of the first error."""

GRAPHQL, SPANS = "/graphql", "/v1/traces"

_BAD = 400

_HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")

_process, _numbers = secrets.token_hex(4), itertools.count(1)


_Entered = contextlib.AbstractContextManager[Any]


class Observed:
    """One request, or one operation on a socket.

    kind: query, mutation or subscription, "spans" for an export of them, "" where it was refused before that was known.
    hash: the start of the SHA-256 of the document's text. outcome: "OK", or the code of the first error.
    store_calls: how often a method of stores.ports.Store was called for it. seconds: how long it took.
    """

    kind = name = hash = ""
    cost: int | None = None
    outcome = OK
    status = store_calls = 0
    seconds = 0.0

    def __init__(self, id: str, route: str = "", tracing: Tracing | None = None) -> None:
        self.id, self.route, self.tracing = id, route, tracing

    def asks(self, kind: str, name: str, hash: str, cost: int | None) -> None:
        """Notes which operation it is."""
        self.kind, self.name, self.hash, self.cost = kind, name, hash, cost

    def fails(self, errors: Sequence[dict[str, Any]]) -> None:
        """Notes what its caller is told, as server.errors makes it."""
        if errors and self.outcome is OK:
            self.outcome = errors[0]["extensions"]["code"]


current: ContextVar[Observed] = ContextVar("observed", default=Observed(""))  # noqa: B039 - what nobody asked for
"""The request that is being served; one that nobody looks at outside of requests."""


def span(name: str) -> _Entered:
    """A part of the current request, as a span of its trace; nothing where there is no tracing, for 0.2 us."""
    tracing = current.get().tracing
    return _UNTRACED if tracing is None else tracing.part(name)


_UNTRACED = contextlib.nullcontext()


class Observing:
    """The application, observed: each answer has an X-Request-Id, and of each request there is a note at its end.

    It costs a request some 5 us.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log: OperationLog, tracing: Tracing | None = None) -> None:
        self._app, self._metrics, self._log, self._tracing = app, metrics, log, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request or socket."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        route = scope["path"]
        # An export of spans is not traced: where they come from here that would never end.
        request = Observed(_id(scope["headers"]), route, self._tracing if route == GRAPHQL else None)
        if route == SPANS:
            request.kind = "spans"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_HEADER, request.id.encode())]
            await send(message)

        try:
            with self.watched(request, scope):
                await self._app(scope, receive, answer)
        except Exception:
            request.status = 500
            raise
        finally:
            self._metrics.answered(route, request.status)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A socket, or the beginning and the end of the application."""
        is_socket = scope["type"] == "websocket"
        self._metrics.sockets += is_socket
        scope["observing"] = self
        try:
            await self._app(scope, receive, send)
        finally:
            self._metrics.sockets -= is_socket

    def watched(self, request: Observed, scope: Scope) -> _Entered:
        """Makes a request the current one, and notes at the end how it was."""
        watch = _Watch(request, self._ended)
        return watch if request.tracing is None else _within(request.tracing.request(request, scope), watch)

    def operation(self, scope: Scope) -> _Entered:
        """Observes one operation of a socket."""
        return self.watched(Observed(_made(), GRAPHQL, self._tracing), scope)

    def _ended(self, request: Observed) -> None:
        if request.outcome is OK and request.status >= _BAD:
            request.outcome = f"HTTP_{request.status}"
        if request.kind or (request.outcome is not OK and request.route == GRAPHQL):
            self._metrics.observe(request)
            self._log.observe(request)


class _Watch:
    """Measures a request. (A generator would take three times as long.)"""

    __slots__ = ("_begun", "_ended", "_request", "_token")

    def __init__(self, request: Observed, ended: Callable[[Observed], None]) -> None:
        self._request, self._ended = request, ended

    def __enter__(self) -> None:
        self._token = current.set(self._request)
        self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._request.seconds = time.perf_counter() - self._begun
        current.reset(self._token)
        self._ended(self._request)


@contextlib.contextmanager
def _within(outer: _Entered, inner: _Entered) -> Iterator[None]:
    with outer, inner:
        yield


def operation(scope: Scope) -> _Entered:
    """Observes one operation of a socket, where its application is observed."""
    observing: Observing | None = scope.get("observing")
    return _UNTRACED if observing is None else observing.operation(scope)


def _id(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The request id that a client or proxy sent, if it can stand in a log as it is; else one that is made."""
    for name, value in headers:
        if name == _HEADER and _SANE.fullmatch(value):
            return value.decode()
    return _made()


def _made() -> str:
    return f"{_process}-{next(_numbers):x}"
