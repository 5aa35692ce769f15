"""One request and its answer: uvicorn's cycle, without its waits and writes where they are not needed."""

from __future__ import annotations

from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

WHOLE_BODY = "recollect.body"
"""The member of a scope that has the body of a request that came whole before its application began."""

_LEFT_TO_UVICORN = frozenset((b"connection", b"transfer-encoding"))


class Exchange(RequestResponseCycle):
    """Keeps the head of an answer until its body comes: a whole answer is one write, which spares a request 20 us."""

    _head: Any = None

    async def run_asgi(self, app: Any) -> None:
        if not self.more_body:
            cast("Scope", self.scope)[WHOLE_BODY] = bytes(self.body)
        await super().run_asgi(app)

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and not self.response_started:
            self._head = message  # in place of one whose body did not come
            return
        head, self._head = self._head, None
        if head is not None:
            if self._answered(head, message):
                return
            await super().send(head)
        await super().send(message)

    def _answered(self, head: Any, message: Any) -> bool:
        """Writes an answer that is whole; whether it was."""
        body = message.get("body", b"")
        given = dict(head["headers"])
        if (
            message.get("more_body", False)
            or self.flow.write_paused
            or self.disconnected
            or given.get(b"content-length") != b"%d" % len(body)
            or not _LEFT_TO_UVICORN.isdisjoint(given)
            or HEADER_VALUE_RE.search(b"".join(given.values()))
        ):
            return False
        parts = [STATUS_LINE[head["status"]]]
        for name, value in (*self.default_headers, *head["headers"]):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n", body)
        self.transport.write(b"".join(parts))
        self.response_started = self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True
