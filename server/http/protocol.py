"""uvicorn's HTTP protocol with limits on header size and on slow clients.

httptools keeps a header until it is whole and uvicorn keeps all of them, so a head without an end would fill the
memory, and one that never comes would hold its connection for ever. So would what stands beside the chunks of a body,
and an answer that nobody takes.
"""

from __future__ import annotations

import re
from asyncio import Event, TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.deadlines import Deadlines
from server.graphql.encoding import encode_errors
from server.http.exchange import Exchange
from server.limits import Limits, exceeded

HEAD_TIMEOUT = 10.0
"""Seconds within which the head of a request must be whole, from the connection's or the request's beginning."""

KEPT_ALIVE = 5.0
"""Seconds after which a connection without a request is closed."""

TAKES_NOTHING = 60.0
"""Seconds after which a client that takes nothing of its answer is given up."""

TOO_LONG = 431
TOO_LATE = 408

_PER_HEADER = len(": \r\n")

_PLAIN = re.compile(rb"(?:/[A-Za-z0-9_-]+)+")
"""What stands in a request line as it stands in a scope: a path with nothing to decode, and nothing else."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head that is too long with 431, and one that is too late with 408; closes what else is without end."""

    limits: Limits
    idle: Deadlines[BoundedProtocol]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading = True  # a head, not a body
        self._moved = False  # past a head, within a body or to its end, by what has come last
        self._received, self._too_long = 0, False
        self._timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.idle.end(self)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._reading = True
        super().on_message_begin()

    def data_received(self, data: bytes) -> None:
        self._moved = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._received = 0 if self._moved else self._received + len(data)
        if self._received > self.limits.max_header_bytes:
            self._too_long = True
            self.send_400_response("")
        elif self._moved and not self._reading:
            self._stop_waiting()
        elif self._timer is None:  # for a head, or for what httptools keeps behind one: chunks' extensions, trailers
            self._wait()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved = True
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """Begins with the request, unless its head is too long."""
        length = len(self.url) + sum([len(name) + len(value) + _PER_HEADER for name, value in self.headers])
        if length > self.limits.max_header_bytes:
            self._too_long = True
            raise ValueError("too long")  # ends the parser, which asks for send_400_response
        self._reading, self._moved = False, True
        self._stop_waiting()
        if self._is_plain():
            self._begin()
        else:
            super().on_headers_complete()

    def _is_plain(self) -> bool:
        """Whether uvicorn's own way would come to `_begin`, after 20 us."""
        return (
            (self.cycle is None or self.cycle.response_complete)  # else it waits for the answer to the one before
            and _PLAIN.fullmatch(self.url) is not None
            and self.parser.get_http_version() == "1.1"
            and self.parser.get_method() != b"HEAD"
            and not (self.parser.should_upgrade() or self.expect_100_continue)
            and not (self.access_log or self.root_path or self.limit_concurrency)
        )

    def _begin(self) -> None:
        self.scope |= {
            "method": self.parser.get_method().decode(),
            "path": self.url.decode(),
            "raw_path": self.url,
            "query_string": b"",
        }
        self.cycle = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=Event(),
            expect_100_continue=False,
            keep_alive=self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)

    def send_400_response(self, msg: str) -> None:
        """Refuses what the parser could not read, or not read further."""
        if self._too_long:
            refused = exceeded(self.limits, "max_header_bytes", "The head of the request is too long")
            self._end(TOO_LONG, b"Request Header Fields Too Large", encode_errors(refused.errors))
        else:
            super().send_400_response(msg)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        self._end(TOO_LATE, b"Request Timeout", b"")

    def _end(self, status: int, reason: bytes, body: bytes) -> None:
        """Refuses a head; what comes in the middle of a request or of its answer is not answered a second time."""
        if self._reading and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(
                b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                % (status, reason, len(body), body)
            )
        self.transport.close()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            else:
                self.idle.begin(self, self.loop)
        self._let_go(self.transport.get_write_buffer_size())

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn's has a timer for each request."""
        self.idle.end(self)

    def _let_go(self, left: int) -> None:
        """Gives up a client that takes nothing of what is left for it when the connection is to be closed."""

        def look() -> None:
            now = self.transport.get_write_buffer_size()
            if not self.transport.is_closing():
                return
            if now >= left:
                self.transport.abort()
            else:
                self._let_go(now)

        if left:
            self.loop.call_later(TAKES_NOTHING, look)


def bounded(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol with these limits, as uvicorn takes it."""
    idle = Deadlines[BoundedProtocol](KEPT_ALIVE, BoundedProtocol.timeout_keep_alive_handler)
    return type("BoundedProtocol", (BoundedProtocol,), {"limits": limits, "idle": idle})
