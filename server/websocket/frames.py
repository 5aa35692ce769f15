"""uvicorn's WebSocket protocol, with a way to write finished text frames straight to the transport.

An event for a thousand subscribers is encoded once; what differs is the operation's id. Through ASGI each delivery
costs some 25 us of wrapping, from here 5, nearly all of it the system's; so several frames go in one write.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from domain.unicode import decoded

EXTENSION = "recollect.write_frames"

MAX_FRAGMENTS = 10_000
"""Of which a message may be made: also an empty one takes room until the last has come."""

_TEXT_FRAME = 0x81
"""The last frame of a text message (RFC 6455, section 5.2)."""


class FrameProtocol(WebSocketsSansIOProtocol):
    """Offers `write_frames` to the application, in the scope's extensions. Only right without compression."""

    async def run_asgi(self) -> None:
        extensions = cast("dict[str, object]", self.scope.setdefault("extensions", {}))
        extensions[EXTENSION] = self.write_frames
        await super().run_asgi()

    def handle_ping(self) -> None:
        """Answers, unless the client takes nothing: its pongs would fill the memory."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)

    def handle_cont(self, event: Frame) -> None:
        if self.close_sent:
            return
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hands on a message. A text that is no UTF-8 is read with U+FFFD: a socket with all that is followed on it
        does not end for one text that was cut."""
        if self.curr_msg_data_type == "text":
            self.frames = [decoded(b"".join(self.frames)).encode()]
        super().send_receive_event_to_app()

    def keepalive_timeout(self) -> None:
        """Closes a connection that does not answer, such as one of a laptop that sleeps."""
        # uvicorn's 1011 is final for graphql-ws, and so for Apollo and urql: they would not come back.
        fail = self.conn.fail
        self.conn.fail = lambda code, reason="": fail(CloseCode.TRY_AGAIN_LATER, reason)  # type: ignore[method-assign]
        super().keepalive_timeout()

    def write_frames(self, frames: bytes) -> bool:
        """Sends finished frames at once; False, with nothing sent, while the client is slow or is leaving."""
        if not self.writable.is_set() or not self.handshake_complete or self.close_sent or self.disconnected:
            return False
        self.transport.write(frames)
        return True


def text_frame(message: bytes) -> bytes:
    """The frame of a text message (UTF-8)."""
    return _header(len(message)) + message


def _header(length: int) -> bytes:
    if length < 126:
        return bytes((_TEXT_FRAME, length))
    if length < 65536:
        return struct.pack("!BBH", _TEXT_FRAME, 126, length)
    return struct.pack("!BBQ", _TEXT_FRAME, 127, length)


def write_frames(scope: Scope) -> Callable[[bytes], bool] | None:
    """The way to write frames of a socket's scope; None where another server runs us."""
    found: Callable[[bytes], bool] | None = (scope.get("extensions") or {}).get(EXTENSION)
    return found
