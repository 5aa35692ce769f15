"""Hostile callers against a real server: what they cost it is measured from outside, and so is what others notice."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from server.websocket.frames import MAX_FRAGMENTS
from tests.support.attacks import ATTACKS, ODD
from tests.support.graphql_client import in_memory
from tests.support.measuring import Usage, Witness, measured
from tests.support.running import Running

pytestmark = [
    pytest.mark.timed,
    pytest.mark.skipif(sys.platform != "linux", reason="what a process uses is read from /proc"),
]

CPU_S = 1.0
MEMORY_MB = 150
LATE_S = 1.0

EVERY = [(name, query) for name, queries in {**ATTACKS, **ODD}.items() for query in queries]
WRONG_ITEMS = {"input": {"session": {"id": "s"}, "messages": [{"role": 5}] * 60_000}}
TOO_MANY_ITEMS = {"input": {"session": {"externalId": "none"}, "messages": [{"role": "user", "text": "a"}] * 28_000}}
ADD = "mutation ($input: AddMessagesInput!) { addMessages(input: $input) { errors { code } } }"
INIT = json.dumps({"type": "connection_init"})


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A server with the limits it has by itself."""
    with in_memory() as folder:
        running = Running(folder / "data")
        try:
            running.start()
            yield running
            _, complaints = running.stop()
            assert "Traceback" not in complaints, complaints
        finally:
            running.end()


@pytest.fixture(scope="module")
def witness(server: Running) -> Iterator[Witness]:
    """Somebody else who uses it."""
    witness = Witness(server.address)
    yield witness
    witness.end()


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with httpx.AsyncClient(base_url=f"http://{server.address}", timeout=30, trust_env=False) as client:
        await client.post("/graphql", json={"query": "{ __typename }"})
        yield client


def bearable(usage: Usage) -> None:
    """A refusal costs little, and nobody else notices."""
    assert usage.cpu < CPU_S, f"{usage.cpu:.2f} s of CPU"
    assert usage.peak < MEMORY_MB, f"{usage.peak:.0f} MB"
    assert usage.late < LATE_S, f"others waited {usage.late:.2f} s"


def named(error: Any) -> str:
    """What refused: the limit, else the code."""
    return str(error["extensions"].get("limit") or error["extensions"]["code"])


async def opened(server: Running, init: bool = True) -> ClientConnection:
    """A socket, ready for operations."""
    url = f"ws://{server.address}/graphql"
    protocols = [Subprotocol("graphql-transport-ws")]
    socket = await connect(url, subprotocols=protocols, proxy=None, max_size=None, open_timeout=30, close_timeout=1)
    if init:
        await socket.send(INIT)
        assert json.loads(await socket.recv())["type"] == "connection_ack"
    return socket


def subscribe(id: str, query: str, variables: Any = None) -> str:
    return json.dumps({"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables}})


class TestDocuments:
    @pytest.mark.parametrize(("name", "query"), EVERY)
    async def test_over_http(
        self, server: Running, witness: Witness, http: httpx.AsyncClient, name: str, query: str
    ) -> None:
        async with measured(server.process.pid, witness) as usage:
            answer = await http.post("/graphql", json={"query": query})
        assert answer.status_code == 200
        assert {named(error) for error in answer.json()["errors"]} == {name}
        bearable(usage)

    async def test_over_a_socket(self, server: Running, witness: Witness, http: httpx.AsyncClient) -> None:
        socket = await opened(server)
        for name, query in EVERY:
            async with measured(server.process.pid, witness) as usage:
                await socket.send(subscribe("1", query))
                message = json.loads(await socket.recv())
            assert message["type"] == "error"
            assert {named(error) for error in message["payload"]} == {name}
            bearable(usage)
        await socket.close()

    @pytest.mark.parametrize("name", ["RECOLLECT_MAX_TOKENS", "RECOLLECT_MAX_REPEATS", "GRAPHQL_VALIDATION_FAILED"])
    async def test_many_in_a_row_leave_no_trace(
        self, server: Running, witness: Witness, http: httpx.AsyncClient, name: str
    ) -> None:
        for query in {**ATTACKS, **ODD}[name]:
            await http.post("/graphql", json={"query": query})
        usage = Usage(server.process.pid)
        for turn in range(20):
            for query in {**ATTACKS, **ODD}[name]:
                await http.post("/graphql", json={"query": f"{query} # {turn}"})
        assert usage.grown < 30


class TestVariables:
    @pytest.mark.parametrize(("variables", "code"), [(WRONG_ITEMS, "BAD_USER_INPUT"), (TOO_MANY_ITEMS, "INVALID")])
    async def test_a_megabyte(
        self, server: Running, witness: Witness, http: httpx.AsyncClient, variables: Any, code: str
    ) -> None:
        async with measured(server.process.pid, witness) as usage:
            answer = (await http.post("/graphql", json={"query": ADD, "variables": variables})).json()
        errors = answer.get("errors") or answer["data"]["addMessages"]["errors"]
        assert {error.get("code") or error["extensions"]["code"] for error in errors} == {code}
        bearable(usage)

    @pytest.mark.parametrize(
        "body", [b"[" * 1_000_000, b'{"a":' * 150_000, b'{"query":"' + b"\\u0000" * 150_000 + b'"}']
    )
    async def test_odd_json(self, server: Running, witness: Witness, http: httpx.AsyncClient, body: bytes) -> None:
        async with measured(server.process.pid, witness) as usage:
            answer = await http.post("/graphql", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (200, 400)
        assert answer.json()["errors"]
        bearable(usage)


class TestBodies:
    @pytest.mark.parametrize("size", [1024 * 1024 + 1, 50_000_000])
    async def test_too_long(self, server: Running, witness: Witness, http: httpx.AsyncClient, size: int) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(size // 10_000 + 1):
                yield b" " * 10_000

        async with measured(server.process.pid, witness) as usage:
            try:
                answer = await http.post("/graphql", content=chunks(), headers={"Content-Type": "application/json"})
                assert answer.status_code == 413
                assert named(answer.json()["errors"][0]) == "RECOLLECT_MAX_BODY_BYTES"
            except httpx.WriteError:
                pass  # the server had gone before all was sent
        bearable(usage)

    async def test_many_that_never_end(self, server: Running, witness: Witness, http: httpx.AsyncClient) -> None:
        head = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        async with measured(server.process.pid, witness) as usage:
            writers = []
            for _ in range(100):
                _, writer = await asyncio.open_connection(*server.address.split(":"))
                writer.write(head + b"x" * 500_000)
                writers.append(writer)
            await asyncio.sleep(0.5)
            for writer in writers:
                writer.close()
        bearable(usage)


async def raw(server: Running, *pieces: bytes) -> bytes:
    """What the server answers to these bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection(*server.address.split(":"))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


class TestHeads:
    @pytest.mark.parametrize(
        "pieces",
        [
            [b"a: " + b"b" * 40_000 + b"\r\n\r\n"],
            [b"a: b\r\n"] * 10_000,
            [b"a: ", *[b"b" * 10_000] * 500],
            [b"a" * 10_000] * 500,
        ],
    )
    async def test_too_long(
        self, server: Running, witness: Witness, http: httpx.AsyncClient, pieces: list[bytes]
    ) -> None:
        async with measured(server.process.pid, witness) as usage:
            answer = await raw(server, b"GET /healthz HTTP/1.1\r\nHost: a\r\n", *pieces)
        assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # reset while it still sent
        assert usage.peak < 20
        bearable(usage)

    async def test_a_long_url(self, server: Running) -> None:
        answer = await raw(server, b"GET /graphql?query=" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b"RECOLLECT_MAX_HEADER_BYTES" in answer

    async def test_at_the_limit(self, server: Running, witness: Witness, http: httpx.AsyncClient) -> None:
        answer = await http.get("/healthz", headers={"a": "b" * 32_000})
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        "pieces",
        [
            [b"0\r\nX: ", *[b"a" * 10_000] * 500],
            [b"0\r\n", *[b"X: y\r\n" * 1_000] * 500],
            [b"5;" + b"a" * 10_000, *[b"a" * 10_000] * 500],
        ],
    )
    async def test_what_stands_beside_a_body_is_bounded_too(
        self, server: Running, witness: Witness, http: httpx.AsyncClient, pieces: list[bytes]
    ) -> None:
        head = b"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with measured(server.process.pid, witness) as usage:
            answer = await raw(server, head, *pieces)
        assert answer.count(b"HTTP/1.1 ") <= 1, "one request has one answer"
        assert usage.peak < 20

    async def test_a_head_behind_a_long_body_is_not_too_long(self, server: Running) -> None:
        body = json.dumps({"query": "{ __typename }" + " " * 40_000}).encode()
        head = (
            b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection(*server.address.split(":"))
        writer.write(head % len(body) + body + b"GET /")
        await asyncio.sleep(0.1)
        writer.write(b"healthz HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        assert answer.count(b"HTTP/1.1 200 ") == 2
        assert b"431" not in answer

    async def test_a_socket_is_bounded_too(self, server: Running) -> None:
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a\r\n"
        answer = await raw(
            server, b"GET /graphql HTTP/1.1\r\nHost: a\r\n" + upgrade + b"a: " + b"b" * 40_000 + b"\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 431 ")

    async def test_a_head_that_does_not_come(self, server: Running) -> None:
        """Nor does one that comes a byte at a time."""
        nothing, begun = await asyncio.gather(raw(server), raw(server, b"GET / HT"))
        assert nothing.startswith(b"HTTP/1.1 408 ")
        assert begun.startswith(b"HTTP/1.1 408 ")


class TestSockets:
    async def test_pings_of_one_who_takes_nothing(self, server: Running, witness: Witness) -> None:
        _, writer = await self._upgraded(server)
        ping = bytes((0x89, 0x80 | 125, 0, 0, 0, 0)) + b"a" * 125
        async with measured(server.process.pid, witness) as usage:
            for _ in range(500):
                writer.write(ping * 800)
                await writer.drain()
        writer.transport.abort()
        assert usage.peak < MEMORY_MB / 5

    async def test_a_message_in_too_many_pieces(self, server: Running) -> None:
        reader, writer = await self._upgraded(server)
        writer.write(bytes((0x01, 0x80, 0, 0, 0, 0)) + bytes((0x00, 0x80, 0, 0, 0, 0)) * MAX_FRAGMENTS)
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer[0] == 0x88
        assert int.from_bytes(answer[2:4]) == 1009
        writer.close()

    async def _upgraded(self, server: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*server.address.split(":"))
        writer.write(
            b"GET /graphql HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n" % server.address.encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return reader, writer

    @pytest.mark.parametrize(
        "frame", ["null", "[]", "1", '"a"', "{", json.dumps({"type": "subscribe", "id": "1", "payload": {"query": 1}})]
    )
    async def test_malformed_messages(self, server: Running, frame: str) -> None:
        socket = await opened(server)
        await socket.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400

    async def test_frames_over_a_megabyte(self, server: Running, witness: Witness, http: httpx.AsyncClient) -> None:
        async with measured(server.process.pid, witness) as usage:
            for _ in range(10):
                socket = await opened(server)
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.send(" " * 20_000_000)
                    await socket.recv()
                assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
        bearable(usage)

    async def test_a_thousand_idle_ones(self, server: Running, witness: Witness, http: httpx.AsyncClient) -> None:
        async with AsyncExitStack() as stack:
            async with measured(server.process.pid, witness) as usage:
                for _ in range(20):
                    sockets = await asyncio.gather(*(opened(server) for _ in range(50)))
                    for socket in sockets:
                        stack.push_async_callback(socket.close)
            assert usage.peak < MEMORY_MB
            assert usage.late < LATE_S
            idle = Usage(server.process.pid)
            await asyncio.sleep(1)
            assert idle.cpu < 0.1

    async def test_floods_of_subscriptions(self, server: Running, witness: Witness, http: httpx.AsyncClient) -> None:
        """20 sockets with 150 each, of which 100 are taken, over and over; each is one of its own."""
        follow = "subscription ($after: String) { memoryChanges(after: $after) { cursor } }"

        async def flood(turn: int) -> int:
            socket = await opened(server)
            for number in range(150):
                query = follow.replace("cursor", f"cursor # {turn} {number}\n")
                await socket.send(subscribe(str(number), query))
            refused = 0
            while refused < 50:
                message = json.loads(await asyncio.wait_for(socket.recv(), 20))
                assert message["type"] == "error", message
                refused += named(message["payload"][0]) == "RECOLLECT_MAX_SOCKET_OPERATIONS"
            await socket.close()
            return refused

        await flood(-1)
        grown = Usage(server.process.pid)
        async with measured(server.process.pid, witness) as usage:
            assert await asyncio.gather(*(flood(turn) for turn in range(20))) == [50] * 20
        assert usage.peak < MEMORY_MB
        assert usage.late < 3 * LATE_S  # 2,000 are read, started and ended
        await asyncio.gather(*(flood(turn) for turn in range(20)))
        assert grown.grown < MEMORY_MB
        await server.ask("{ health { status } }")
