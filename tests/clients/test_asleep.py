"""A client that slept for longer than it may be silent comes back by itself, and misses nothing."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.graphql_client import in_memory
from tests.support.running import Running

START = "mutation ($by: CreateSessionInput!) { createSession(input: $by) { session { messageCursor } } }"
SAY = """mutation ($s: Ref!, $text: String!) {
  addMessage(input: {session: $s, role: "user", text: $text}) { errors { code } } }"""


@pytest.fixture(scope="module")
def impatient() -> Iterator[Running]:
    """A server that waits a second for the answer to a ping."""
    with in_memory() as folder:
        running = Running(folder / "data", RECOLLECT_PING_SECONDS="0.5", RECOLLECT_PING_TIMEOUT="1")
        running.start()
        yield running
        running.end()


@pytest.mark.parametrize("name", ["graphql-ws", "apollo"])
async def test_it_comes_back(clients: Path, impatient: Running, name: str) -> None:
    session = uuid.uuid4().hex
    made = await impatient.ask(START, {"by": {"externalId": session}})

    async def say(text: str) -> None:
        await impatient.ask(SAY, {"s": {"externalId": session}, "text": text})

    process = await asyncio.create_subprocess_exec(
        *("node", "asleep.mjs", name, f"http://{impatient.address}/graphql", session),
        made["createSession"]["session"]["messageCursor"],
        cwd=clients,
        stdout=asyncio.subprocess.PIPE,
    )
    lines: list[Any] = []

    async def until(last: str) -> None:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while {"text": last} not in lines:
                line = await process.stdout.readline()
                assert line, f"it ended: {lines}"
                lines.append(json.loads(line))

    try:
        await say("before")
        await until("before")
        process.send_signal(signal.SIGSTOP)
        slept = time.monotonic()
        for text in ("one", "two"):
            await say(text)
            await asyncio.sleep(1.5)
        assert time.monotonic() - slept > 1.5, "longer than a ping and the time to answer it"
        process.send_signal(signal.SIGCONT)
        await until("two")
        await say("after")
        await until("after")
    finally:
        process.kill()
        await process.wait()
    assert [line["text"] for line in lines if "text" in line] == ["before", "one", "two", "after"]
    if name == "graphql-ws":
        assert [line["closed"] for line in lines if "closed" in line] == [1013]
        assert not any("error" in line or "complete" in line for line in lines)
