"""As little of an HTTP client as a load generator needs: keep-alive, one request at a time on a connection."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any, cast

import msgspec

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def post(
    query: str, variables: dict[str, Any] | None = None, path: str = "/graphql", authorization: str | None = None
) -> bytes:
    """The bytes of a GraphQL request."""
    body = msgspec.json.encode({"query": query, "variables": variables or {}})
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    if authorization is not None:
        head += f"\r\nAuthorization: {authorization}"
    return head.encode() + b"\r\n\r\n" + body


def get(path: str) -> bytes:
    """The bytes of a plain GET."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


class Connection(asyncio.Protocol):
    """One connection to a server on this machine."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._received = bytearray()
        self._whole = 0  # bytes of the answer that is coming, 0 while its head is not complete

    @classmethod
    async def open(cls, port: int) -> Connection:
        """A connection to a port."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    async def ask(self, request: bytes) -> bytes:
        """The whole answer, head and body."""
        assert self._transport is not None
        if self._transport.is_closing():  # servers close what is idle for seconds, as it is while another's turn lasts
            await asyncio.get_running_loop().create_connection(
                lambda: self, *self._transport.get_extra_info("peername")
            )
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    async def data(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        """The data of a GraphQL answer. Raises ValueError where it has errors, or its payload has."""
        answer = msgspec.json.decode((await self.ask(post(query, variables))).partition(b"\r\n\r\n")[2])
        payloads = [value for value in (answer.get("data") or {}).values() if isinstance(value, dict)]
        errors = answer.get("errors") or [error for payload in payloads for error in payload.get("errors", ())]
        if errors:
            raise ValueError(errors[0]["message"])
        return answer["data"]

    def close(self) -> None:
        """Ends it."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's protocol."""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio's protocol."""
        self._received += data
        if not self._whole:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._received, 0, head + 2)
            self._whole = head + 4 + (int(length[1]) if length else 0)
        if len(self._received) >= self._whole:
            answer = bytes(self._received)
            self._received.clear()
            self._whole = 0
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio's protocol."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("The server closed the connection."))
