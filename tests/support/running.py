"""The server as a process of its own, and clients that follow it in each of the ways there are."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

ROOT = Path(__file__).parents[2]
MAIN = "from cli.main import main; main()"
STARTS_IN = 120.0
BROKEN = (OSError, httpx.TransportError, WebSocketException)
"""What a follower meets when the server goes."""


class Refused(Exception):
    """A subscription that the server refused or gave up, with the code, path and time to wait it told."""

    def __init__(self, error: Any) -> None:
        self.code: str = error["extensions"]["code"]
        self.path: list[str] | None = error["extensions"].get("path")
        self.retry_after_ms: int | None = error["extensions"].get("retryAfterMs")
        super().__init__(error["message"])


def command(*arguments: str) -> list[str]:
    """The command line, as a process is given it."""
    return [sys.executable, "-c", MAIN, *arguments]


def environment(**settings: str) -> dict[str, str]:
    """The environment without settings of ours but these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RECOLLECT_")}
    return {**clean, **settings, "PYTHONUNBUFFERED": "1"}


def recollect(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """Runs the command line to its end: exit status, standard output, standard error."""
    done = subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(**settings), capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


class Running:
    """A server on a folder. Start it again after it was stopped or killed: it keeps its port."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data, self.port, self.settings = data, 0, settings
        self._process: subprocess.Popen[bytes] | None = None
        self._out, self._err = (data.with_suffix(f".{name}") for name in ("out", "err"))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that runs, or ran last."""
        assert self._process is not None
        return self._process

    @property
    def address(self) -> str:
        """host:port"""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it says where it is."""
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command("serve", "--port", str(self.port), "--data", str(self.data)),
                cwd=ROOT,
                env=environment(**self.settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        until = time.monotonic() + STARTS_IN
        while not (found := re.search(r"http://[\d.]+:(\d+)/graphql", self.said()[0])):
            assert self.process.poll() is None, self.said()[1]
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.01)
        self.port = int(found[1])

    def said(self) -> tuple[str, str]:
        """What it has written to standard output and standard error since it was started."""
        return self._out.read_text(), self._err.read_text()

    def kill(self) -> None:
        """Ends it without a word, as kill -9 does."""
        self.process.kill()
        self.process.wait(60)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Asks it to stop: exit status and what it wrote to standard error."""
        self.process.send_signal(how)
        return self.process.wait(60), self.said()[1]

    def end(self) -> None:
        """Whatever happened, it is gone then."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    async def ask(self, query: str, variables: Any = None) -> Any:
        """The data of a query or mutation."""
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=30) as client:
            answer = await client.post(f"http://{self.address}/graphql", json={"query": query, "variables": variables})
        body = answer.json()
        assert "errors" not in body, body["errors"]
        return body["data"]


def edges(payload: Any) -> Any:
    """The event in a result."""
    if payload.get("errors"):
        raise Refused(payload["errors"][0])
    [edge] = payload["data"].values()
    return edge


async def over_websocket(address: str, query: str, variables: Any, protocol: str) -> AsyncGenerator[Any]:
    """Events over one of the two sub-protocols."""
    start = {"graphql-transport-ws": "subscribe", "graphql-ws": "start"}[protocol]
    async with connect(f"ws://{address}/graphql", subprotocols=[Subprotocol(protocol)], proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init"}))
        await socket.send(json.dumps({"type": start, "id": "1", "payload": {"query": query, "variables": variables}}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] in ("next", "data"):
                yield edges(message["payload"])
            elif message["type"] == "error":
                payload = message["payload"]
                raise Refused(payload[0] if isinstance(payload, list) else payload)
            elif message["type"] == "complete":
                return


async def transport(address: str, query: str, variables: Any, cursor: str | None = None) -> AsyncIterator[Any]:
    """graphql-transport-ws; a cursor goes into the variable `after`."""
    async with aclosing(over_websocket(address, query, _after(variables, cursor), "graphql-transport-ws")) as found:
        async for edge in found:
            yield edge


async def legacy(address: str, query: str, variables: Any, cursor: str | None = None) -> AsyncIterator[Any]:
    """graphql-ws; a cursor goes into the variable `after`."""
    async with aclosing(over_websocket(address, query, _after(variables, cursor), "graphql-ws")) as found:
        async for edge in found:
            yield edge


async def sse(address: str, query: str, variables: Any, cursor: str | None = None) -> AsyncIterator[Any]:
    """Server-sent events; a cursor goes into the header Last-Event-ID, beside the variables of the first time."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": cursor} if cursor else {})}
    body = {"query": query, "variables": variables}
    timeout = httpx.Timeout(10, read=30)
    async with (
        httpx.AsyncClient(trust_env=False, verify=False, timeout=timeout) as client,
        client.stream("POST", f"http://{address}/graphql", json=body, headers=headers) as response,
    ):
        id = None
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                id = line.removeprefix("id: ")
            elif line.startswith("data: "):
                edge = edges(json.loads(line.removeprefix("data: ")))
                assert edge["cursor"] == id, "the id of an event is its cursor"
                yield edge


def _after(variables: Any, cursor: str | None) -> Any:
    return variables if cursor is None else {**variables, "after": cursor}


WAYS = {"graphql-transport-ws": transport, "graphql-ws": legacy, "SSE": sse}
