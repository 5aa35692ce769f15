"""One socket, from its connection_init to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from domain.caller import LOCAL, Caller
from server.access.admission import Access, expired
from server.errors import FormattedError, OperationRefused, formatted
from server.graphql.documents import Request
from server.graphql.events import Batch, Event
from server.graphql.executor import Executor
from server.graphql.live import Push
from server.graphql.timeslice import give_way
from server.instrumentation import current
from server.limits import Limits, exceeded
from server.telemetry.middleware import operation as observed_operation
from server.websocket.frames import text_frame, write_frames
from server.websocket.protocol import (
    FORBIDDEN,
    ID_IN_USE,
    INIT_TIMEOUT,
    INITIALISED_TWICE,
    MALFORMED,
    NORMAL,
    UNAUTHORIZED,
    Closed,
    Message,
    Vocabulary,
    decoded,
    id_of,
    message_in,
    message_of,
    request_of,
)


class Times(msgspec.Struct, frozen=True):
    """How long one socket may take, and how often it hears from us, in seconds."""

    init_timeout: float
    keep_alive: float
    send_timeout: float


class Serving(NamedTuple):
    """What all sockets of an endpoint share."""

    executor: Executor
    make_context: Callable[[Caller], object]
    access: Access
    limits: Limits
    times: Times


class _Gone(Exception):
    pass


class Connection:
    """One socket: waits for connection_init, then runs operations until one side ends it."""

    def __init__(self, socket: WebSocket, words: Vocabulary, serving: Serving) -> None:
        self._socket, self._words = socket, words
        self._executor, self._make_context, self._access, self._limits, self._times = serving
        self._caller = LOCAL
        self._ready = False
        self._tending: list[asyncio.Future[None]] = []
        self._end: Closed | None = None  # of a connection that is over for another reason than its messages
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
        self._tending.append(asyncio.ensure_future(self._tend()))
        end: Closed | None = None
        try:
            async with asyncio.timeout(self._times.init_timeout) as self._deadline:
                await self._handle_all()
        except TimeoutError:
            end = self._end if self._ready else Closed(INIT_TIMEOUT, "Connection initialisation timeout")
        except Closed as closed:
            end = closed
        except _Gone:
            pass
        finally:
            await _cancelled([*self._tending, *self._tasks])
        if end is not None:
            await close(self._socket, end, self._times.send_timeout)

    async def _handle_all(self) -> None:
        while (frame := await self._socket.receive())["type"] == "websocket.receive":
            text = frame.get("text")
            if text is None:
                raise Closed(MALFORMED, "Invalid message: a binary frame")
            message = message_in(text)
            handle = self._handlers.get(message.type)
            if handle is None:
                raise Closed(MALFORMED, f"Invalid message: unknown type {message.type!r}")
            await handle(message)

    async def _init(self, message: Message) -> None:
        if self._ready:
            raise Closed(INITIALISED_TWICE, "Too many initialisation requests")
        payload = decoded(message.payload, dict[str, Any] | None) or {}
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
            raise Closed(FORBIDDEN, str(refused)) from None
        self._tending.append(asyncio.ensure_future(self._until_expiry()))

    async def _until_expiry(self) -> None:
        await self._access.ended(self._caller)
        self._end = Closed(FORBIDDEN, str(expired()))
        self._deadline.reschedule(asyncio.get_running_loop().time())

    async def _start(self, message: Message) -> None:
        if not self._ready:
            raise Closed(UNAUTHORIZED, "Unauthorized")
        key = id_of(message)
        if key in self._operations:
            raise Closed(ID_IN_USE, f"Subscriber for {key} already exists")
        if len(self._tasks) >= self._limits.max_socket_operations:
            refused = exceeded(self._limits, "max_socket_operations", "Too many operations run on this socket at once")
            await self._send(self._error(key, refused.errors))
            return
        try:
            request = request_of(message)
        except OperationRefused as unreadable:
            await self._send(self._error(key, unreadable.errors))
            return
        task = self._operations[key] = asyncio.ensure_future(self._operate(key, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self, message: Message) -> None:
        key = id_of(message)
        task = self._operations.pop(key, None)
        if task is not None:
            task.cancel()
            if self._words.confirms_stop:
                await self._send(message_of(key, "complete"))

    async def _ping(self, message: Message) -> None:
        decoded(message.payload, dict[str, Any] | None)
        await self._send('{"type":"pong"}')

    async def _pong(self, message: Message) -> None:
        decoded(message.payload, dict[str, Any] | None)

    async def _terminate(self, message: Message) -> None:
        raise Closed(NORMAL, "")

    async def _operate(self, id: str, request: Request) -> None:
        with contextlib.suppress(_Gone), observed_operation(self._socket.scope):
            await give_way()  # many can come at once, each with a document to be read
            try:
                await self._access.spend(self._caller)
                operation = self._executor.prepare(request)
                running = self._executor.stream(operation, self._make_context(self._caller), self._pusher(id))
                async with contextlib.aclosing(running) as events:
                    async for event in events:
                        await self._send(message_of(id, self._words.result, event.body.decode()))
                last = message_of(id, "complete")
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
        write = write_frames(self._socket.scope)
        if write is None:
            return None
        before = message_of(id, self._words.result, "").removesuffix("}").encode()

        def push(batch: Batch) -> bool:
            return not self._sending and write(batch.sent(before, _frames))

        return push

    def _error(self, id: str, errors: list[FormattedError]) -> str:
        current.get().fails(errors)
        return message_of(id, "error", msgspec.json.encode(self._words.error_payload(errors)).decode())

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


def _frames(before: bytes, events: Sequence[Event]) -> bytes:
    return b"".join([text_frame(before + event.body + b"}") for event in events])


async def close(socket: WebSocket, end: Closed, seconds: float) -> None:
    """Send the close frame, unless the client has left or takes nothing."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(seconds):
            await socket.close(end.code, end.reason)


async def _cancelled(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
