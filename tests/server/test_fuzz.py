"""Requests and frames by chance against a real server: no fault, no traceback, no leak.

3 seconds, or as many as RECOLLECT_FUZZ_SECONDS says.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from schema.build import build
from server import errors
from tests.support.graphql_client import in_memory
from tests.support.measuring import Usage
from tests.support.nonsense import Nonsense
from tests.support.running import Running

pytestmark = [
    pytest.mark.hypothesis,
    pytest.mark.skipif(sys.platform != "linux", reason="what a process uses is read from /proc"),
]

SECONDS = float(os.environ.get("RECOLLECT_FUZZ_SECONDS", "3"))
WARM_S = min(8.0, SECONDS / 4)
GROWTH_MB = 60
# Not made smaller: it takes minutes, and the server is no longer what it was when the example failed.
BATCH = settings(
    max_examples=50,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
STATUSES = {200, 400, 405, 406, 413, 415, 429, 431}
CODES = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str)} - {errors.INTERNAL}
CLOSES = {1000, 4400, 4401, 4409, 4429}
TYPES = {"connection_ack", "ka", "pong", "next", "data", "error", "complete"}


class Target:
    """The server, and a client of each kind."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.http = httpx.Client(base_url=f"http://{running.address}", timeout=30, trust_env=False)
        self.seen: Counter[str] = Counter()

    def told(self, problems: Any) -> None:
        """Errors of an answer, whose codes are those of the documentation."""
        for error in problems or ():
            code = error["extensions"]["code"]
            assert code in CODES | set(INPUT_CODES), error
            self.seen[code] += 1

    def post(self, content: bytes, headers: dict[str, str]) -> None:
        """A request whose answer is one that is documented."""
        answer = self.http.post("/graphql", content=content, headers={"Content-Type": "application/json", **headers})
        assert answer.status_code in STATUSES, (answer.status_code, answer.text, content)
        body = answer.json()
        self.told(body.get("errors"))
        self.seen["data"] += bool(body.get("data"))

    def talk(self, frames: tuple[list[str], list[str]], protocol: str) -> None:
        """A socket that ends as one that is documented."""
        url = f"ws://{self.running.address}/graphql"
        with connect(url, subprotocols=[Subprotocol(protocol)], proxy=None, close_timeout=1) as socket:
            with contextlib.suppress(ConnectionClosed):
                socket.send('{"type": "connection_init"}')
                for some in frames:
                    for frame in some:
                        socket.send(frame)
                    with contextlib.suppress(TimeoutError):
                        self._listen(socket, 0.03)
                socket.send('{"type": "last"}')  # which closes it
                self._listen(socket, 30)
            assert socket.close_code in CLOSES, (socket.close_code, frames)
            self.seen[str(socket.close_code)] += 1

    def _listen(self, socket: ClientConnection, seconds: float) -> None:
        while True:
            message = json.loads(socket.recv(timeout=seconds))
            assert message["type"] in TYPES
            payload = message.get("payload")
            if message["type"] == "error":
                self.told(payload if isinstance(payload, list) else [payload])
            elif isinstance(payload, dict):
                self.told(payload.get("errors"))
                self.seen["events"] += 1

    def open_files(self) -> int:
        """How many files and connections the server has open."""
        return len(list((Path("/proc") / str(self.running.process.pid) / "fd").iterdir()))


INPUT_CODES = ("INVALID", "NOT_FOUND", "DUPLICATE", "CONFLICT", "CAPACITY", "FORBIDDEN")


@pytest.fixture
def target() -> Iterator[Target]:
    with in_memory() as folder:
        running = Running(folder / "data")
        try:
            running.start()
            target = Target(running)
            yield target
            target.http.close()
        finally:
            print(running.said()[1][-5000:])  # shown where the test fails
            running.end()


def attacks(target: Target, nonsense: Nonsense) -> list[Callable[[], None]]:
    """A batch of examples of each kind."""
    accepts = st.sampled_from(["application/json", "application/graphql-response+json", "*/*"])

    @BATCH
    @given(nonsense.requests(), accepts)
    def requests(request: Any, accept: str) -> None:
        target.post(json.dumps(request).encode(), {"Accept": accept})

    @BATCH
    @given(st.binary(max_size=200) | nonsense.requests().map(lambda r: json.dumps(r).encode()[:-1]), accepts)
    def bodies(body: bytes, accept: str) -> None:
        target.post(body, {"Accept": accept})

    @BATCH
    @given(nonsense.documents(), st.text(max_size=30), st.text(max_size=30))
    def urls(document: str, variables: str, extensions: str) -> None:
        params = {"query": document.encode("utf-8", "replace"), "variables": variables, "extensions": extensions}
        answer = target.http.get("/graphql", params=params)
        assert answer.status_code in STATUSES, (answer.status_code, params)

    @BATCH
    @given(nonsense.conversations("subscribe", "complete"), nonsense.conversations("start", "stop"))
    def frames(newer: Any, older: Any) -> None:
        target.talk(newer, "graphql-transport-ws")
        target.talk(older, "graphql-ws")

    return [requests, bodies, urls, frames]


def test_by_chance(target: Target) -> None:
    batches = attacks(target, Nonsense(build()))
    began = time.monotonic()
    usage: Usage | None = None
    open_files = 0
    turns = 0
    while time.monotonic() - began < SECONDS or turns < len(batches):
        seed(turns)(batches[turns % len(batches)])()  # others each turn, the same each time
        turns += 1
        if usage is None and time.monotonic() - began > WARM_S and turns >= len(batches):
            usage, open_files = Usage(target.running.process.pid), target.open_files()
    assert target.running.process.poll() is None
    target.post(b'{"query": "{ health { status } }"}', {})
    if usage is not None:
        assert usage.grown < GROWTH_MB * max(1, SECONDS / 120), f"{usage.grown:.0f} MB more"
        assert target.open_files() <= open_files + 5
    print(f"{turns * 50} examples", dict(target.seen))
    assert {"data", "events", "4400", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "BAD_REQUEST"} <= set(
        target.seen
    )
    complaints = target.running.stop()[1]
    assert "Traceback" not in complaints, complaints[-5000:]
    assert "ERROR" not in complaints, complaints[-5000:]
