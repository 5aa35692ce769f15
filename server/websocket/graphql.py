"""GraphQL over a WebSocket: graphql-transport-ws, and the older graphql-ws."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from domain.caller import Caller
from server.access.admission import Access
from server.errors import OperationRefused
from server.graphql.executor import Executor
from server.limits import DEFAULTS, Limits
from server.websocket.connection import Connection, Serving, Times, close
from server.websocket.protocol import (
    FORBIDDEN,
    LEGACY,
    NO_SUBPROTOCOL,
    TRANSPORT,
    Closed,
)


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
        self._serving = Serving(executor, make_context, access, limits, Times(init_timeout, keep_alive, send_timeout))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        words = next((words for words in (TRANSPORT, LEGACY) if words.name in scope["subprotocols"]), None)
        await socket.accept(words.name if words else None)
        try:
            self._serving.access.check(scope)
            if words is None:
                raise Closed(NO_SUBPROTOCOL, f"Subprotocol not acceptable: use {TRANSPORT.name}")
        except OperationRefused as refused:
            await close(socket, Closed(FORBIDDEN, str(refused)), self._serving.times.send_timeout)
        except Closed as refused:
            await close(socket, refused, self._serving.times.send_timeout)
        else:
            await Connection(socket, words, self._serving).serve()
