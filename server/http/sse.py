"""Server-sent events: a stream of results as graphql-sse has them, in distinct connections mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.types import Send

from server.graphql.events import Event
from server.http.negotiation import EVENT_STREAM

# A value handed through as raw JSON may hold line breaks, which would end the data line of an event.
ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


class EventStream:
    """One response of server-sent events (graphql-sse, distinct connections)."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._since: float | None = None  # when the send began that has not ended yet

    async def begin(self) -> None:
        headers = [(b"content-type", EVENT_STREAM.encode() + b"; charset=utf-8"), (b"cache-control", b"no-cache")]
        headers.append((b"x-accel-buffering", b"no"))
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._chunk(b":\n\n")

    async def write(self, events: AsyncGenerator[Event, None]) -> None:
        """Everything from behind the head to `complete`, one event at a time as the client takes them."""
        async for event in events:
            name = b"id: %b\n" % event.cursor.encode() if event.cursor and event.cursor.isprintable() else b""
            await self._chunk(b"event: next\n%bdata: %b\n\n" % (name, event.body.translate(ONE_LINE)))
        await self._chunk(b"event: complete\ndata:\n\n", more=False)

    async def beat(self, every: float, send_timeout: float) -> None:
        """A comment every so many seconds; ends when one send has lasted longer than the timeout."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(every)
            if self._since is None:
                await self._chunk(b":\n\n")
            elif loop.time() - self._since > send_timeout:
                return

    async def _chunk(self, data: bytes, more: bool = True) -> None:
        self._since = asyncio.get_running_loop().time()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._since = None
