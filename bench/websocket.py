"""As little of a WebSocket client as counting deliveries needs: graphql-transport-ws, one subscription a socket."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec

_MASK = b"\0\0\0\0"  # the mask of zeros is one, and changes nothing
_HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


def _frame(message: object) -> bytes:
    payload = msgspec.json.encode(message)
    head = bytes([0x81, 0x80 | len(payload)]) if len(payload) < 126 else b"\x81\xfe" + len(payload).to_bytes(2, "big")
    return head + _MASK + payload


class Crowd:
    """Subscribers, and how much they have been sent."""

    def __init__(self) -> None:
        self.subscribers: list[Subscriber] = []
        self.frames, self.last = 0, b""
        self._enough = asyncio.Event()
        self._awaited = 1

    async def join(self, port: int, count: int, query: str, variables: dict[str, Any]) -> None:
        """Opens sockets and subscribes on each."""
        loop = asyncio.get_running_loop()
        for start in range(0, count, 50):
            made = [
                loop.create_connection(lambda: Subscriber(self), "127.0.0.1", port)
                for _ in range(min(50, count - start))
            ]
            self.subscribers += [subscriber for _, subscriber in await asyncio.gather(*made)]
        request = _frame({"type": "subscribe", "id": "1", "payload": {"query": query, "variables": variables}})
        await asyncio.gather(*(subscriber.acknowledged for subscriber in self.subscribers))
        for subscriber in self.subscribers:
            subscriber.send(request)

    def count(self, frame: bytes) -> None:
        """Notes one more message."""
        self.frames += 1
        self.last = frame
        if self.frames >= self._awaited:
            self._enough.set()

    async def receive(self, frames: int) -> None:
        """Waits until so many messages have come in all."""
        self._awaited = frames
        if self.frames < frames:
            self._enough.clear()
            await self._enough.wait()

    def leave(self) -> None:
        """Closes all sockets."""
        for subscriber in self.subscribers:
            subscriber.close()


class Subscriber(asyncio.Protocol):
    """One socket: counts the frames that come, and looks into none but the first."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._received = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self.acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        """Ends it."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self.send(_HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio's protocol."""
        data = self._received + data if self._received else data
        at = 0
        if not self._upgraded:
            at = data.find(b"\r\n\r\n") + 4
            if at < 4:
                self._received = data
                return
            self._upgraded = True
            self.send(_frame({"type": "connection_init"}))
        while (end := _end_of_frame(data, at)) is not None:
            self._frame(data[at:end])
            at = end
        self._received = data[at:]

    def _frame(self, frame: bytes) -> None:
        if frame[0] & 0x0F == 9:
            self.send(b"\x8a\x80" + _MASK)
        elif self.acknowledged.done():
            self._crowd.count(frame)
        else:
            self.acknowledged.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio's protocol."""
        if not self.acknowledged.done():
            self.acknowledged.set_exception(exc or ConnectionResetError("The server closed the socket."))


def _end_of_frame(data: bytes, at: int) -> int | None:
    if len(data) < at + 2:
        return None
    length, head = data[at + 1] & 0x7F, 2
    if length == 126:
        length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
    elif length == 127:
        length, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
    end = at + head + length
    return end if len(data) >= end and len(data) >= at + head else None
