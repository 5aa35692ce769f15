"""Both sub-protocols by a real client, message by message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from server.graphql.executor import Executor
from server.limits import Limits
from server.websocket.graphql import GraphQLWebSocket
from tests.support.graphql_client import ANYONE, anybody
from tests.support.toy import BOARD, SCHEMA, SECRET, eventually, make_context, serving

TRANSPORT = "graphql-transport-ws"
LEGACY = "graphql-ws"
TICKS = "subscription S($k: String!, $to: Int!) { ticks(key: $k, to: $to) { number } }"
SILENT = "subscription S($k: String!) { silent(key: $k) }"
INIT = {"type": "connection_init"}
BOTH = pytest.mark.parametrize("protocol", [TRANSPORT, LEGACY])


class Client:
    """A socket that speaks JSON."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *messages: Any) -> None:
        for message in messages:
            await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), 30))
        return message

    async def next(self, *types: str) -> list[dict[str, Any]]:
        """The next messages, which have these types."""
        messages = [await self.receive() for _ in types]
        assert [message["type"] for message in messages] == list(types)
        return messages

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close that comes next."""
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(self.socket.recv(), 30)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason

    async def run(self, id: str, query: str, variables: Any = None, start: str = "subscribe") -> None:
        await self.send({"id": id, "type": start, "payload": {"query": query, "variables": variables}})


@asynccontextmanager
async def opened(server: str, protocol: str | None = TRANSPORT, init: bool = False) -> AsyncIterator[Client]:
    subprotocols = [Subprotocol(name) for name in (protocol or "").split(",") if name] or None
    async with connect(f"ws://{server}/graphql", subprotocols=subprotocols, proxy=None, close_timeout=0.5) as socket:
        client = Client(socket)
        if init:
            await client.send(INIT)
            await client.next(*(["connection_ack"] if protocol == TRANSPORT else ["connection_ack", "ka"]))
        yield client


class TestHandshake:
    async def test_the_newer_protocol_is_preferred(self, server: str) -> None:
        async with opened(server, f"{LEGACY},{TRANSPORT}") as client:
            assert client.socket.subprotocol == TRANSPORT

    @pytest.mark.parametrize("protocol", [None, "other"])
    async def test_no_protocol_of_ours(self, server: str, protocol: str | None) -> None:
        async with opened(server, protocol) as client:
            assert (await client.closed())[0] == 4406

    @pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {"token": "t"}}])
    async def test_init_is_acknowledged(self, server: str, payload: dict[str, Any]) -> None:
        async with opened(server) as client:
            await client.send(INIT | payload)
            assert await client.receive() == {"type": "connection_ack"}

    @BOTH
    async def test_no_init_in_time(self, protocol: str) -> None:
        with serving(init_timeout=0.05) as server:
            async with opened(server, protocol) as client:
                assert await client.closed() == (4408, "Connection initialisation timeout")

    async def test_the_time_for_init_ends_with_it(self) -> None:
        peer = Peer(INIT, {"type": "ping"}, takes=2, pause=0.1)
        endpoint = GraphQLWebSocket(Executor(SCHEMA, role=anybody), make_context, access=ANYONE, init_timeout=0.05)
        await asyncio.wait_for(endpoint(SCOPE, peer.receive, peer.send), 30)
        assert peer.taken[-1]["text"] == '{"type":"pong"}'

    @BOTH
    async def test_a_second_init(self, server: str, protocol: str) -> None:
        async with opened(server, protocol, init=True) as client:
            await client.send(INIT)
            assert await client.closed() == (4429, "Too many initialisation requests")

    async def test_an_operation_before_init(self, server: str) -> None:
        async with opened(server) as client:
            await client.run("1", "{ hello }")
            assert await client.closed() == (4401, "Unauthorized")

    async def test_ping_also_before_init(self, server: str) -> None:
        async with opened(server) as client:
            await client.send({"type": "ping", "payload": {"a": 1}}, {"type": "pong"}, {"type": "ping"}, INIT)
            await client.next("pong", "pong", "connection_ack")


class TestMalformed:
    @BOTH
    @pytest.mark.parametrize(
        "message",
        [
            "",
            "{",
            "[]",
            "1",
            "null",
            '"ping"',
            "[" * 20_000,
            b'{"type":"connection_init"}',
            {},
            {"type": None},
            {"type": 1},
            {"type": "unknown"},
            {"type": "connection_ack"},
            {"type": "connection_init", "payload": []},
            {"type": "connection_init", "payload": "token"},
        ],
    )
    async def test_before_init(self, server: str, protocol: str, message: Any) -> None:
        async with opened(server, protocol) as client:
            await client.send(message)
            code, reason = await client.closed()
            assert code == 4400
            assert reason.startswith("Invalid message: ")

    @pytest.mark.parametrize(
        "message",
        [
            {"type": "subscribe", "payload": {"query": "{ hello }"}},
            {"id": "", "type": "subscribe", "payload": {"query": "{ hello }"}},
            {"id": 1, "type": "subscribe", "payload": {"query": "{ hello }"}},
            {"id": "1", "type": "subscribe"},
            {"id": "1", "type": "subscribe", "payload": None},
            {"id": "1", "type": "subscribe", "payload": "{ hello }"},
            {"id": "1", "type": "subscribe", "payload": {}},
            {"id": "1", "type": "subscribe", "payload": {"query": 1}},
            {"id": "1", "type": "subscribe", "payload": {"query": "{ hello }", "variables": []}},
            {"id": "1", "type": "subscribe", "payload": {"query": "{ hello }", "variables": "{}"}},
            {"id": "1", "type": "subscribe", "payload": {"query": "{ hello }", "operationName": 1}},
            {"id": "1", "type": "subscribe", "payload": {"query": "{ hello }", "extensions": 1}},
            {"type": "complete"},
            {"type": "ping", "payload": 1},
            {"type": "pong", "payload": []},
            {"id": "1", "type": "start", "payload": {"query": "{ hello }"}},
            {"type": "connection_terminate"},
            {"type": "x" * 500},
        ],
    )
    async def test_after_init(self, server: str, message: Any) -> None:
        async with opened(server, init=True) as client:
            await client.send(message)
            assert (await client.closed())[0] == 4400

    @pytest.mark.parametrize("depth", [5_000, 100_000])
    @pytest.mark.parametrize("value", ["[%s1%s]", '{"a":[1,"]}\\"",%s[]%s],"b":{}}'])
    async def test_what_is_nested_too_deeply_is_content(self, server: str, key: str, depth: int, value: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("1", SILENT, {"k": key})
            deep = value % ("[" * depth, "]" * depth)
            query = '"query":"query($k:String){hello}"'
            for text in (
                f'{{"id":"2","type":"subscribe","payload":{{{query},"variables":{{"k":{deep}}}}}}}',
                f'{{"payload":{{{query},"extensions":{deep}}},"type":"subscribe","id":"2"}}',
                f'{{"type":"subscribe","other":{deep},"id":"2","payload":{{{query}}}}}',
            ):
                await client.send(text)
                told = await client.receive()
                assert (told["id"], told["type"]) == ("2", "error")
                assert told["payload"][0]["message"] == "The request is nested too deeply."
            await client.run("3", "{ hello }")
            assert (await client.receive())["id"] == "3", "the socket goes on, with what runs on it"

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 100_000,
            '{"id":"1","type":"subscribe","payload":' + "[" * 9_999,
            "[" * 5_000 + "]" * 5_000,
            '{"type":"ping","payload":' + "[" * 9_999 + "]" * 9_999 + "}",
        ],
    )
    async def test_what_is_deep_and_no_message(self, server: str, text: str) -> None:
        async with opened(server, init=True) as client:
            await client.send(text)
            code, reason = await client.closed()
            assert (code, "recursion" in reason) == (4400, False)

    async def test_a_message_over_a_megabyte(self, server: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("1", "{ hello }" + " " * (1024 * 1024))
            assert (await client.closed())[0] == 1009

    async def test_a_bad_message_ends_the_operations(self, server: str, key: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("1", SILENT, {"k": key})
            await eventually(lambda: BOARD.opened[key] == 1)
            await client.send("[]")
            assert (await client.closed())[0] == 4400
        assert BOARD.closed[key] == 1


class TestOperations:
    async def test_a_query_and_a_mutation(self, server: str, key: str) -> None:
        async with opened(server, init=True) as client:
            await client.run('"ä', "query Q($n: String!) { hello(name: $n) }", {"n": "you"})
            payload = {"data": {"hello": "hello you"}, "extensions": {"cost": 1}}
            assert await client.receive() == {"id": '"ä', "type": "next", "payload": payload}
            assert await client.receive() == {"id": '"ä', "type": "complete"}
            await client.run("2", "mutation M($k: String!) { write(key: $k) }", {"k": key})
            assert (await client.receive())["payload"] == {"data": {"write": 1}, "extensions": {"cost": 11}}

    async def test_a_subscription(self, server: str, key: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("1", TICKS, {"k": key, "to": 3})
            messages = await client.next("next", "next", "next", "complete")
            assert [m["payload"]["data"]["ticks"]["number"] for m in messages[:3]] == [1, 2, 3]
            assert BOARD.closed[key] == 1

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("{", "GRAPHQL_PARSE_FAILED"),
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            (TICKS, "BAD_USER_INPUT"),
            ("subscription { absent }", "NOT_FOUND"),
        ],
    )
    async def test_a_refusal_ends_the_operation_only(self, server: str, query: str, code: str) -> None:
        async with opened(server, init=True) as client:
            for _ in range(2):
                await client.run("1", query)
                refused = (await client.next("error"))[0]
                assert {error["extensions"]["code"] for error in refused["payload"]} == {code}
            await client.run("1", "{ hello }")
            await client.next("next", "complete")

    async def test_a_source_that_fails_ends_with_its_error(self, server: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("1", "subscription { breaks }")
            _, error = await client.next("next", "error")
            assert error["payload"][0]["extensions"] == {"code": "CURSOR_EXPIRED"}

    async def test_errors_beside_data_are_a_result(self, server: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("1", "{ hello fails }")
            result = (await client.next("next", "complete"))[0]
            assert result["payload"]["data"] == {"hello": "hello world", "fails": None}
            assert SECRET not in json.dumps(result)

    async def test_complete_stops_the_source(self, server: str, key: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("1", SILENT, {"k": key})
            await eventually(lambda: BOARD.opened[key] == 1)
            await client.send({"id": "1", "type": "complete"}, {"id": "1", "type": "complete"})
            await eventually(lambda: BOARD.closed[key] == 1)
            await client.run("1", "{ hello }")  # the id is free, and nothing else was said about it
            await client.next("next", "complete")

    async def test_a_query_is_stopped_too(self, server: str, key: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("1", "query Q($k: String!) { waits(key: $k) }", {"k": key})
            await eventually(lambda: BOARD.opened[key] == 1)
            await client.send({"id": "1", "type": "complete"})
            await eventually(lambda: BOARD.closed[key] == 1)

    async def test_an_id_in_use(self, server: str, key: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("1", SILENT, {"k": key})
            await client.run("1", "{ hello }")
            assert await client.closed() == (4409, "Subscriber for 1 already exists")

    async def test_a_long_id_in_use(self, server: str, key: str) -> None:
        async with opened(server, init=True) as client:
            for _ in range(2):
                await client.run("ä" * 500, SILENT, {"k": key})
            code, reason = await client.closed()
            assert code == 4409
            assert len(reason.encode()) <= 123

    async def test_operations_do_not_wait_for_each_other(self, server: str, key: str) -> None:
        async with opened(server, init=True) as client:
            await client.run("slow", SILENT, {"k": key})
            await client.run("fast", "{ later }")
            assert [m["id"] for m in await client.next("next", "complete")] == ["fast", "fast"]

    async def test_one_too_many(self, key: str) -> None:
        with serving(Limits(max_socket_operations=2)) as server:
            async with opened(server, init=True) as client:
                for name in ("1", "2", "3"):
                    await client.run(name, SILENT, {"k": key})
                refused = (await client.next("error"))[0]
                assert refused["id"] == "3"
                assert refused["payload"][0]["extensions"]["limit"] == "RECOLLECT_MAX_SOCKET_OPERATIONS"
                await eventually(lambda: BOARD.opened[key] == 2)
                await client.send({"id": "1", "type": "complete"})
                await eventually(lambda: BOARD.closed[key] == 1)
                await client.run("3", "{ hello }")
                await client.next("next", "complete")

    async def test_a_context_that_cannot_be_made(self) -> None:
        def broken(_caller: object) -> object:
            raise RuntimeError(SECRET)

        start = {"id": "1", "type": "subscribe", "payload": {"query": "{ hello }"}}
        peer = Peer(INIT, start, takes=2)
        await asyncio.wait_for(
            GraphQLWebSocket(Executor(SCHEMA, role=anybody), broken, access=ANYONE)(SCOPE, peer.receive, peer.send), 5
        )
        assert "INTERNAL" in peer.taken[-1]["text"]
        assert SECRET not in peer.taken[-1]["text"]


class TestEnds:
    @BOTH
    @pytest.mark.parametrize("how", ["close", "abort"])
    async def test_a_client_that_leaves_ends_its_operations(
        self, server: str, protocol: str, how: str, key: str
    ) -> None:
        start = "subscribe" if protocol == TRANSPORT else "start"
        async with opened(server, protocol, init=True) as client:
            for name in ("1", "2", "3"):
                await client.run(name, SILENT, {"k": key}, start)
            await client.run("4", "subscription S($k: String!) { ticks(key: $k) { number } }", {"k": key}, start)
            await eventually(lambda: BOARD.opened[key] == 4)
            if how == "abort":
                client.socket.transport.abort()
        await eventually(lambda: BOARD.closed[key] == 4)

    async def test_a_server_that_stops(self, key: str) -> None:
        with ExitStack() as stack:
            server = stack.enter_context(serving())
            async with opened(server, init=True) as client:
                await client.run("1", SILENT, {"k": key})
                await eventually(lambda: BOARD.opened[key] == 1)
                await asyncio.to_thread(stack.close)
                assert (await client.closed())[0] == 1012
        assert BOARD.closed[key] == 1


class TestLegacy:
    async def test_a_subscription(self, server: str, key: str) -> None:
        async with opened(server, LEGACY, init=True) as client:
            assert client.socket.subprotocol == LEGACY
            await client.run("1", TICKS, {"k": key, "to": 2}, "start")
            messages = await client.next("data", "data", "complete")
            assert messages[0] == {"id": "1", "type": "data", "payload": {"data": {"ticks": {"number": 1}}}}

    async def test_a_query(self, server: str) -> None:
        async with opened(server, LEGACY, init=True) as client:
            await client.run("1", "{ hello }", start="start")
            await client.next("data", "complete")

    async def test_a_refusal_is_one_error(self, server: str) -> None:
        async with opened(server, LEGACY, init=True) as client:
            await client.run("1", "{ nothing more }", start="start")
            refused = (await client.next("error"))[0]
            assert refused["payload"]["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}

    async def test_stop_is_confirmed(self, server: str, key: str) -> None:
        async with opened(server, LEGACY, init=True) as client:
            await client.run("1", SILENT, {"k": key}, "start")
            await eventually(lambda: BOARD.opened[key] == 1)
            await client.send({"id": "1", "type": "stop"})
            assert await client.receive() == {"id": "1", "type": "complete"}
            await eventually(lambda: BOARD.closed[key] == 1)

    async def test_terminate(self, server: str, key: str) -> None:
        async with opened(server, LEGACY, init=True) as client:
            await client.run("1", SILENT, {"k": key}, "start")
            await eventually(lambda: BOARD.opened[key] == 1)
            await client.send({"type": "connection_terminate"})
            assert (await client.closed())[0] == 1000
        assert BOARD.closed[key] == 1

    async def test_start_before_init(self, server: str) -> None:
        async with opened(server, LEGACY) as client:
            await client.run("1", "{ hello }", start="start")
            assert (await client.closed())[0] == 4401

    @pytest.mark.parametrize("type", ["subscribe", "ping", "complete"])
    async def test_words_of_the_newer_protocol(self, server: str, type: str) -> None:
        async with opened(server, LEGACY, init=True) as client:
            await client.send({"id": "1", "type": type, "payload": {"query": "{ hello }"}})
            assert (await client.closed())[0] == 4400

    async def test_keep_alive(self) -> None:
        with serving(keep_alive=0.02) as server:
            async with opened(server, LEGACY, init=True) as client:
                await client.next("ka", "ka", "ka")
            async with opened(server, TRANSPORT, init=True) as client:
                await client.send({"type": "ping"})
                await client.next("pong")  # nothing but the answer


SCOPE: dict[str, Any] = {"type": "websocket", "subprotocols": [TRANSPORT], "headers": []}


class Peer:
    """An ASGI server whose client sends these messages, and leaves when it has taken so many.

    pause: seconds before each message but the first. stays: it does not leave, and takes nothing more.
    """

    def __init__(self, *messages: Any, takes: int, pause: float = 0, stays: bool = False) -> None:
        self.taken: list[Message] = []
        self.full = asyncio.Event()
        self._takes, self._pause, self._stays = takes, pause, stays
        self.messages: list[Message] = [{"type": "websocket.connect"}]
        self.messages += [{"type": "websocket.receive", "text": json.dumps(message)} for message in messages]

    async def receive(self) -> Message:
        if self._pause and self.taken:
            await asyncio.sleep(self._pause)
        if self.messages:
            return self.messages.pop(0)
        await self.full.wait()
        if self._stays:
            await asyncio.Event().wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            return
        if len(self.taken) == self._takes:
            await asyncio.Event().wait()
        self.taken.append(message)
        if len(self.taken) == self._takes:
            self.full.set()


class TestSlowReaders:
    async def test_each_operation_holds_one_event(self, key: str) -> None:
        starts = [
            {"id": name, "type": "subscribe", "payload": {"query": TICKS, "variables": {"k": key, "to": 1000}}}
            for name in "123"
        ]
        peer = Peer(INIT, *starts, takes=10, stays=True)
        endpoint = GraphQLWebSocket(
            Executor(SCHEMA, role=anybody), make_context, access=ANYONE, keep_alive=0.05, send_timeout=0.1
        )
        serving = asyncio.ensure_future(endpoint(SCOPE, peer.receive, peer.send))
        await peer.full.wait()
        await asyncio.wait_for(serving, 30)  # given up after the timeout
        assert BOARD.produced[key] == 9 + 3  # what was taken beside the ack, and one event an operation
        assert BOARD.closed[key] == 3

    async def test_a_close_that_is_not_taken_does_not_hold_the_socket(self) -> None:
        peer = Peer(INIT, [], takes=1, stays=True)
        endpoint = GraphQLWebSocket(Executor(SCHEMA, role=anybody), make_context, access=ANYONE, send_timeout=0.05)
        await asyncio.wait_for(endpoint(SCOPE, peer.receive, peer.send), 30)
        assert len(peer.taken) == 1

    async def test_pings_wait_as_well(self) -> None:
        peer = Peer(*[{"type": "ping"}] * 1000, takes=3, stays=True)
        endpoint = GraphQLWebSocket(
            Executor(SCHEMA, role=anybody), make_context, access=ANYONE, keep_alive=0.05, send_timeout=0.1
        )
        await asyncio.wait_for(endpoint(SCOPE, peer.receive, peer.send), 30)
        assert len(peer.taken) == 3
        assert len(peer.messages) == 1000 - 4
