"""GraphQL over a WebSocket: graphql-transport-ws, and the older graphql-ws."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from domain.caller import LOCAL, Caller
from server.access.auth import Access, expired
from server.errors import FormattedError, OperationRefused, formatted
from server.graphql.documents import Request
from server.graphql.events import Event
from server.graphql.executor import Executor
from server.graphql.live import Push
from server.graphql.timeslice import give_way
from server.instrumentation import current
from server.limits import DEFAULTS, Limits, exceeded
from server.telemetry.middleware import operation as observed_operation
from server.websocket.frames import write_text

MALFORMED = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
INIT_TIMEOUT = 4408
NO_SUBPROTOCOL = 4406
ID_IN_USE = 4409
INITIALISED_TWICE = 4429
NORMAL = 1000

# What fits in a close frame beside its code, in bytes.
MAX_REASON = 123


class Vocabulary(msgspec.Struct, frozen=True):
    """A sub-protocol: its name, and what it says where the two differ."""

    name: str
    start: str
    stop: str
    result: str
    pings: bool
    ends_by_message: bool
    confirms_stop: bool
    keeps_alive: bool
    one_error: bool

    def error_payload(self, errors: list[FormattedError]) -> Any:
        """The payload of an `error` message."""
        return errors[0] if self.one_error else errors


TRANSPORT = Vocabulary(
    "graphql-transport-ws",
    start="subscribe",
    stop="complete",
    result="next",
    pings=True,
    ends_by_message=False,
    confirms_stop=False,
    keeps_alive=False,
    one_error=False,
)
LEGACY = Vocabulary(
    "graphql-ws",
    start="start",
    stop="stop",
    result="data",
    pings=False,
    ends_by_message=True,
    confirms_stop=True,
    keeps_alive=True,
    one_error=True,
)


class Message(msgspec.Struct):
    """A message of a client; the payload is decoded by whoever the type leads to."""

    type: str
    id: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


class Times(msgspec.Struct, frozen=True):
    """How long one socket may take, and how often it hears from us, in seconds."""

    init_timeout: float
    keep_alive: float
    send_timeout: float


class GraphQLWebSocket:
    """The WebSocket endpoint, an ASGI application for `WebSocketRoute("/graphql", GraphQLWebSocket(...))`.

    The length of a message is bounded by the server that runs this (uvicorn: ws_max_size).

    make_context: called once an operation for the resolvers' context.
    access: who may come in: `authorization` in the payload of connection_init, or the header of the handshake.
    init_timeout: seconds a client has for connection_init.
    limits: how many operations a socket may have at once, running or being closed; one more is answered by an `error`.
    keep_alive: seconds between the keep-alive messages of the older protocol.
    send_timeout: seconds after which a client that takes nothing is given up, checked every keep_alive seconds.
    """

    def __init__(
        self,
        executor: Executor,
        make_context: Callable[[Caller], object],
        *,
        access: Access,
        limits: Limits = DEFAULTS,
        init_timeout: float = 10.0,
        keep_alive: float = 12.0,
        send_timeout: float = 60.0,
    ) -> None:
        self._serving = _Serving(executor, make_context, access, limits, Times(init_timeout, keep_alive, send_timeout))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket from its handshake to its end."""
        socket = WebSocket(scope, receive, send)
        words = next((words for words in (TRANSPORT, LEGACY) if words.name in scope["subprotocols"]), None)
        await socket.accept(words.name if words else None)
        try:
            self._serving.access.check(scope)
            if words is None:
                raise _Closed(NO_SUBPROTOCOL, f"Subprotocol not acceptable: use {TRANSPORT.name}")
        except OperationRefused as refused:
            await _close(socket, _Closed(FORBIDDEN, str(refused)), self._serving.times.send_timeout)
        except _Closed as refused:
            await _close(socket, refused, self._serving.times.send_timeout)
        else:
            await _Connection(socket, words, self._serving).serve()


class _Serving(NamedTuple):
    """What all sockets of an endpoint share."""

    executor: Executor
    make_context: Callable[[Caller], object]
    access: Access
    limits: Limits
    times: Times


class _Connection:
    """One socket: waits for connection_init, then runs operations until one side ends it."""

    def __init__(self, socket: WebSocket, words: Vocabulary, serving: _Serving) -> None:
        self._socket, self._words = socket, words
        self._executor, self._make_context, self._access, self._limits, self._times = serving
        self._caller = LOCAL
        self._ready = False
        self._tending: list[asyncio.Future[None]] = []
        self._end: _Closed | None = None  # of a connection that is over for another reason than its messages
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # of operations, also of those that are being closed
        self._sending, self._progress = 0, 0.0
        self._handlers = self._vocabulary()

    def _vocabulary(self) -> dict[str, Callable[[Message], Awaitable[None]]]:
        words = self._words
        handlers: dict[str, Callable[[Message], Awaitable[None]]]
        handlers = {"connection_init": self._init, words.start: self._start, words.stop: self._stop}
        if words.pings:
            handlers |= {"ping": self._ping, "pong": self._pong}
        if words.ends_by_message:
            handlers["connection_terminate"] = self._terminate
        return handlers

    async def serve(self) -> None:
        """Handle messages in order until the end; then no operation is left."""
        self._tending.append(asyncio.ensure_future(self._tend()))
        end: _Closed | None = None
        try:
            async with asyncio.timeout(self._times.init_timeout) as self._deadline:
                await self._handle_all()
        except TimeoutError:
            end = self._end if self._ready else _Closed(INIT_TIMEOUT, "Connection initialisation timeout")
        except _Closed as closed:
            end = closed
        except _Gone:
            pass
        finally:
            await _cancelled([*self._tending, *self._tasks])
        if end is not None:
            await _close(self._socket, end, self._times.send_timeout)

    async def _handle_all(self) -> None:
        while (frame := await self._socket.receive())["type"] == "websocket.receive":
            text = frame.get("text")
            if text is None:
                raise _Closed(MALFORMED, "Invalid message: a binary frame")
            message = _decoded(text, Message)
            handle = self._handlers.get(message.type)
            if handle is None:
                raise _Closed(MALFORMED, f"Invalid message: unknown type {message.type!r}")
            await handle(message)

    async def _init(self, message: Message) -> None:
        if self._ready:
            raise _Closed(INITIALISED_TWICE, "Too many initialisation requests")
        payload = _decoded(message.payload, dict[str, Any] | None) or {}
        await self._admit(payload.get("authorization") or payload.get("Authorization"))
        self._ready = True
        self._deadline.reschedule(None)
        await self._send('{"type":"connection_ack"}')
        if self._words.keeps_alive:
            await self._send('{"type":"ka"}')

    async def _admit(self, authorization: object) -> None:
        """Lets the client in, and out again once the credential is no longer good."""
        given = authorization if isinstance(authorization, str) else self._socket.headers.get("authorization")
        try:
            self._caller = await self._access.identify(given)
        except OperationRefused as refused:
            if self._words.one_error:
                told = msgspec.json.encode(refused.errors[0]).decode()
                await self._send(f'{{"type":"connection_error","payload":{told}}}')
            raise _Closed(FORBIDDEN, str(refused)) from None
        if not self._access.is_open:
            self._tending.append(asyncio.ensure_future(self._until_expiry()))

    async def _until_expiry(self) -> None:
        await self._access.ended(self._caller)
        self._end = _Closed(FORBIDDEN, str(expired()))
        self._deadline.reschedule(asyncio.get_running_loop().time())

    async def _start(self, message: Message) -> None:
        if not self._ready:
            raise _Closed(UNAUTHORIZED, "Unauthorized")
        key, request = _id(message), _decoded(message.payload, Request)
        if key in self._operations:
            raise _Closed(ID_IN_USE, f"Subscriber for {key} already exists")
        if len(self._tasks) >= self._limits.max_socket_operations:
            refused = exceeded(self._limits, "max_socket_operations", "Too many operations run on this socket at once")
            await self._send(self._error(key, refused.errors))
            return
        task = self._operations[key] = asyncio.ensure_future(self._operate(key, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self, message: Message) -> None:
        key = _id(message)
        task = self._operations.pop(key, None)
        if task is not None:
            task.cancel()
            if self._words.confirms_stop:
                await self._send(_message(key, "complete"))

    async def _ping(self, message: Message) -> None:
        _decoded(message.payload, dict[str, Any] | None)
        await self._send('{"type":"pong"}')

    async def _pong(self, message: Message) -> None:
        _decoded(message.payload, dict[str, Any] | None)

    async def _terminate(self, message: Message) -> None:
        raise _Closed(NORMAL, "")

    async def _operate(self, id: str, request: Request) -> None:
        """Run one operation to its end and tell the client how it ended."""
        with contextlib.suppress(_Gone), observed_operation(self._socket.scope):
            await give_way()  # many can come at once, each with a document to be read
            try:
                await self._access.spend(self._caller)
                operation = self._executor.prepare(request)
                running = self._executor.stream(operation, self._make_context(self._caller), self._pusher(id))
                async with contextlib.aclosing(running) as events:
                    async for event in events:
                        await self._send(_message(id, self._words.result, event.body.decode()))
                last = _message(id, "complete")
            except _Gone:
                raise
            except OperationRefused as refused:
                last = self._error(id, refused.errors)
            except Exception as error:
                last = self._error(id, formatted([error]))
            # The id is free for the client with the last message, and may be another operation's since it was stopped.
            if self._operations.get(id) is asyncio.current_task():
                del self._operations[id]
                await self._send(last)

    def _pusher(self, id: str) -> Push | None:
        """Sends events of an operation at once, where the socket has room and nothing else is on its way."""
        write = write_text(self._socket.scope)
        if write is None:
            return None
        before = _message(id, self._words.result, "").removesuffix("}").encode()

        def push(events: Sequence[Event]) -> bool:
            return not self._sending and write([before + event.body + b"}" for event in events])

        return push

    def _error(self, id: str, errors: list[FormattedError]) -> str:
        current.get().fails(errors)
        return _message(id, "error", msgspec.json.encode(self._words.error_payload(errors)).decode())

    async def _send(self, text: str) -> None:
        """Send a message; returns when the server has taken it. Raises _Gone if the client has left."""
        loop = asyncio.get_running_loop()
        if not self._sending:
            self._progress = loop.time()
        self._sending += 1
        try:
            await self._socket.send({"type": "websocket.send", "text": text})
        except (WebSocketDisconnect, RuntimeError):
            raise _Gone from None
        finally:
            self._sending -= 1
            self._progress = loop.time()

    async def _tend(self) -> None:
        """Keep the connection alive, and give it up when nothing could be sent for too long."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(_Gone):
            while True:
                await asyncio.sleep(self._times.keep_alive)
                if self._sending and loop.time() - self._progress > self._times.send_timeout:
                    self._deadline.reschedule(loop.time())
                    return
                if self._ready and self._words.keeps_alive and not self._sending:
                    await self._send('{"type":"ka"}')


class _Closed(Exception):
    """The server ends the connection with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:MAX_REASON].decode(errors="ignore")


class _Gone(Exception):
    """The client is no longer there."""


def _message(id: str, type: str, payload: str | None = None) -> str:
    """A message about an operation; the payload is JSON already."""
    tail = "}" if payload is None else f',"payload":{payload}}}'
    return f'{{"id":{msgspec.json.encode(id).decode()},"type":"{type}"{tail}'


def _id(message: Message) -> str:
    if not message.id:
        raise _Closed(MALFORMED, f"Invalid message: {message.type} without an id")
    return message.id


def _decoded(text: str | msgspec.Raw, type: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Closed(MALFORMED, f"Invalid message: {error}") from None


async def _close(socket: WebSocket, end: _Closed, seconds: float) -> None:
    """Send the close frame, unless the client has left or takes nothing."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(seconds):
            await socket.close(end.code, end.reason)


async def _cancelled(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
