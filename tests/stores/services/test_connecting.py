"""Connections to Neo4j that nobody waits for any more."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stores.errors import Unavailable
from stores.services.neo4j_client import Address, Neo4jClient
from tests.support.services import urls

TURNS = 40
"""Of the event loop, in which a connection is opened."""


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What was taken away without having been closed."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: found.append(told.exc_value))
    yield found
    gc.collect()


def sockets() -> int:
    """How many this process has."""
    return sum(str(one.readlink()).startswith("socket:") for one in Path("/proc/self/fd").iterdir() if one.is_symlink())


@pytest.fixture
def full() -> Iterator[int]:
    """A port that takes no more connections, and does not say so either."""
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


async def test_a_call_that_is_given_up_while_it_connects_leaves_no_socket(
    real_servers: None, forgotten: list[Any]
) -> None:
    before = sockets()
    for turns in range(TURNS):
        client = Neo4jClient(Address(urls()["graph_url"]))
        calling = asyncio.ensure_future(client.read("RETURN 1"))
        for _ in range(turns):
            await asyncio.sleep(0)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await client.close()
    gc.collect()
    assert forgotten == []
    await asyncio.sleep(0.05)
    assert sockets() == before


async def test_nor_does_one_that_takes_too_long(full: int, forgotten: list[Any]) -> None:
    client = Neo4jClient(Address(f"bolt://neo4j:secret@127.0.0.1:{full}"), read_seconds=0.05)
    with pytest.raises(Unavailable):
        await client.read("RETURN 1")
    await client.close()
    gc.collect()
    assert forgotten == []
