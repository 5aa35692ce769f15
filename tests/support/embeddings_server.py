"""A server that speaks OpenAI's embeddings API, for embedders behind one: a text's vector counts its words.

What it was asked is kept, and it can be told to fail. It lists its answers backwards, for no order is promised.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Failure = tuple[int, dict[str, str], bytes]
"""An answer in place of vectors: status, headers, body."""


def vector(text: str, dimension: int) -> list[float]:
    counts = [0.0] * dimension
    for word in re.findall(r"\w+", text.lower()):
        counts[int.from_bytes(hashlib.blake2b(word.encode()).digest()[:4], "big") % dimension] += 1.0
    return counts


class EmbeddingsServer(ThreadingHTTPServer):
    """asked: the bodies of requests. keys: the keys that came with them. failures: what it answers next instead."""

    daemon_threads = True

    def __init__(self, dimension: int, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.dimension, self.key = dimension, key
        self.asked: list[Any] = []
        self.failures: list[Failure] = []
        self.down: Failure | None = None
        """What every request is answered with."""
        self.hold_after: int | None = None
        """After so many requests those that come wait until this is None."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that have gone."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def fail(self, *statuses: int, retry_after: str | None = None) -> None:
        headers = {} if retry_after is None else {"retry-after": retry_after}
        self.failures += [(status, headers, b'{"error": {"message": "no luck"}}') for status in statuses]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EmbeddingsServer

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)
        while self.server.hold_after is not None and len(self.server.asked) > self.server.hold_after:
            time.sleep(0.01)
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        if self.server.down is not None:
            self._answer(*self.server.down)
        elif self.server.failures:
            self._answer(*self.server.failures.pop(0))
        elif self.path != "/v1/embeddings":
            self._answer(404, {}, b"not here")
        elif key != self.server.key:
            self._answer(401, {}, json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}}).encode())
        elif not all(asked["input"]):
            self._answer(400, {}, b'{"error": {"message": "input cannot be an empty string"}}')
        else:
            size = asked.get("dimensions", self.server.dimension)
            data = [
                {"object": "embedding", "index": index, "embedding": vector(text, size)}
                for index, text in enumerate(asked["input"])
            ]
            body = {"object": "list", "data": data[::-1], "model": asked["model"], "usage": {"total_tokens": 1}}
            self._answer(200, {}, json.dumps(body).encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def embeddings_server(dimension: int = 64, key: str = "sk-secret-0123456789") -> Iterator[EmbeddingsServer]:
    server = EmbeddingsServer(dimension, key)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
