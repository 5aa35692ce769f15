"""HTTP by a real client: methods, media types, status codes, limits and the page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Message

from server.graphql.executor import Executor
from server.http.graphql import GraphQLHTTP
from server.http.negotiation import Accepted
from server.limits import Limits
from tests.support.graphql_client import ANYONE, anybody
from tests.support.toy import BOARD, SCHEMA, SECRET, make_context, serving

JSON = "application/json"
RESPONSE_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def post(http: httpx.AsyncClient, body: Any, accept: str = JSON, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await http.post("/graphql", content=content, headers={"Content-Type": JSON, "Accept": accept} | headers)


def refused(response: httpx.Response, status: int, code: str = "BAD_REQUEST") -> str:
    """The message of a refusal with this status and code."""
    assert response.status_code == status
    errors = response.json()["errors"]
    assert [error["extensions"]["code"] for error in errors] == [code]
    return str(errors[0]["message"])


class TestPost:
    async def test_a_query(self, http: httpx.AsyncClient) -> None:
        body = {"query": "query Q($n: String!) { hello(name: $n) }", "variables": {"n": "you"}, "operationName": "Q"}
        response = await post(http, body)
        assert response.status_code == 200
        assert response.headers["content-type"] == JSON
        assert response.content == b'{"data":{"hello":"hello you"},"extensions":{"cost":1}}'

    async def test_a_mutation(self, http: httpx.AsyncClient, key: str) -> None:
        response = await post(http, {"query": "mutation M($k: String!) { write(key: $k) }", "variables": {"k": key}})
        assert response.json() == {"data": {"write": 1}, "extensions": {"cost": 11}}

    async def test_nulls_and_unknown_members_are_fine(self, http: httpx.AsyncClient) -> None:
        body = {"query": "{ hello }", "variables": None, "operationName": None, "extensions": None, "more": 1}
        assert (await post(http, body)).json() == {"data": {"hello": "hello world"}, "extensions": {"cost": 1}}

    async def test_a_content_type_with_parameters(self, http: httpx.AsyncClient) -> None:
        response = await post(http, {"query": "{ hello }"}, **{"Content-Type": "Application/JSON; charset=utf-8"})
        assert response.status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b'[{"query":"{ hello }"}]',
            b'"{ hello }"',
            b"{}",
            b'{"query":null}',
            b'{"query":1}',
            b'{"query":"{ hello }","variables":[]}',
            b'{"query":"{ hello }","variables":"{}"}',
            b'{"query":"{ hello }","operationName":1}',
            b'{"query":"{ hello }","extensions":1}',
            b'{"query":"{ hello }","variables":{"v":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        ],
    )
    @pytest.mark.parametrize("accept", [JSON, RESPONSE_JSON])
    async def test_what_is_no_request(self, http: httpx.AsyncClient, body: bytes, accept: str) -> None:
        response = await post(http, body, accept)
        refused(response, 400)
        assert response.headers["content-type"] == accept

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "application/graphql",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            None,
        ],
    )
    async def test_other_content_types(self, http: httpx.AsyncClient, content_type: str | None, key: str) -> None:
        """Those that a page of another site can send without leave are among them."""
        headers = {"Content-Type": content_type} if content_type else {}
        body = {"query": f'mutation {{ write(key: "{key}") }}'}
        refused(await http.post("/graphql", content=json.dumps(body), headers=headers), 415)
        assert BOARD.produced[key] == 0

    async def test_a_subscription_needs_a_stream(self, http: httpx.AsyncClient) -> None:
        for accept in (JSON, RESPONSE_JSON, "*/*"):
            response = await post(http, {"query": "subscription { breaks }"}, accept)
            assert EVENT_STREAM in refused(response, 406)

    async def test_failures_of_resolvers_are_masked(self, http: httpx.AsyncClient) -> None:
        response = await post(http, {"query": "{ fails }"}, RESPONSE_JSON)
        assert response.status_code == 200
        assert response.json()["data"] == {"fails": None}
        assert SECRET not in response.text


class TestSize:
    async def test_a_length_over_the_limit(self, http: httpx.AsyncClient) -> None:
        refused(await post(http, b" " * (1024 * 1024 + 1)), 413, "LIMIT")
        assert (await post(http, {"query": "{ hello }"})).status_code == 200

    async def test_a_body_of_unknown_length_over_the_limit(self, http: httpx.AsyncClient) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield b" " * 50_000

        response = await http.post("/graphql", content=chunks(), headers={"Content-Type": JSON})
        refused(response, 413, "LIMIT")

    async def test_exactly_the_limit(self, http: httpx.AsyncClient) -> None:
        body = b'{"query":"{ hello }"}'
        assert (await post(http, body + b" " * (1024 * 1024 - len(body)))).status_code == 200

    async def test_a_long_query_string(self) -> None:
        transport = httpx.ASGITransport(
            GraphQLHTTP(Executor(SCHEMA, role=anybody), make_context, access=ANYONE, limits=Limits(max_body_bytes=100))
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            refused(await client.get("/graphql", params={"query": "{ hello }" + " " * 100}), 413, "LIMIT")

    async def test_reading_stops_at_the_limit(self) -> None:
        """Also of a body without end, and without keeping it."""
        sent: list[Message] = []
        read = 0

        async def receive() -> Message:
            nonlocal read
            read += 1
            return {"type": "http.request", "body": b" " * 1000, "more_body": True}

        async def send(message: Message) -> None:
            sent.append(message)

        endpoint = GraphQLHTTP(
            Executor(SCHEMA, role=anybody), make_context, access=ANYONE, limits=Limits(max_body_bytes=5000)
        )
        scope = {"type": "http", "method": "POST", "query_string": b"", "headers": [(b"content-type", JSON.encode())]}
        await endpoint(scope, receive, send)
        assert sent[0]["status"] == 413
        assert read == 6

    @pytest.mark.parametrize("pieces", [[], [b"{"]])
    async def test_a_body_that_does_not_come(self, pieces: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("server.http.requests.STALLED_AFTER", 0.05)
        sent: list[Message] = []
        left = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]

        async def receive() -> Message:
            return left.pop() if left else await asyncio.Future()

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "query_string": b"", "headers": [(b"content-type", JSON.encode())]}
        await asyncio.wait_for(
            GraphQLHTTP(Executor(SCHEMA, role=anybody), make_context, access=ANYONE)(scope, receive, send), 5
        )
        assert sent[0]["status"] == 408


class TestStatus:
    """GraphQL over HTTP: what is no well-formed request is 400 everywhere, the rest depends on the media type."""

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("{ hello", "GRAPHQL_PARSE_FAILED"),
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("query Q($n: Int!) { hello }", "GRAPHQL_VALIDATION_FAILED"),
            ("query Q($n: String!) { hello(name: $n) }", "BAD_USER_INPUT"),
            ("query A { hello } query B { hello }", "BAD_USER_INPUT"),
        ],
    )
    async def test_refused_operations(self, http: httpx.AsyncClient, query: str, code: str) -> None:
        for accept, status in ((JSON, 200), (RESPONSE_JSON, 400)):
            response = await post(http, {"query": query}, accept)
            refused(response, status, code)
            assert response.headers["content-type"] == accept
            assert "data" not in response.json()

    async def test_a_context_that_cannot_be_made(self) -> None:
        def broken(_caller: object) -> object:
            raise RuntimeError(SECRET)

        transport = httpx.ASGITransport(GraphQLHTTP(Executor(SCHEMA, role=anybody), broken, access=ANYONE))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await post(client, {"query": "{ hello }"})
        assert refused(response, 500, "INTERNAL") == "Internal error"


class TestGet:
    async def test_a_query(self, http: httpx.AsyncClient) -> None:
        query = {"query": "query Q($n: String!) { hello(name: $n) }", "variables": '{"n":"+ä&"}', "operationName": "Q"}
        response = await http.get("/graphql", params=query)
        assert response.json() == {"data": {"hello": "hello +ä&"}, "extensions": {"cost": 1}}

    async def test_empty_parameters_are_absent(self, http: httpx.AsyncClient) -> None:
        empty = {"variables": "", "extensions": "", "operationName": ""}
        response = await http.get("/graphql", params={"query": "{ hello }", **empty})
        assert response.json()["data"] == {"hello": "hello world"}

    @pytest.mark.parametrize(
        "params",
        [{}, {"variables": "{}"}, {"query": "{ hello }", "variables": "{"}, {"query": "{ hello }", "variables": "[]"}],
    )
    async def test_what_is_no_request(self, http: httpx.AsyncClient, params: dict[str, str]) -> None:
        refused(await http.get("/graphql", params=params), 400)

    async def test_a_mutation_needs_post(self, http: httpx.AsyncClient, key: str) -> None:
        response = await http.get("/graphql", params={"query": f'mutation {{ write(key: "{key}") }}'})
        refused(response, 405)
        assert response.headers["allow"] == "POST"
        assert BOARD.produced[key] == 0

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
    async def test_other_methods(self, http: httpx.AsyncClient, method: str) -> None:
        response = await http.request(method, "/graphql")
        refused(response, 405)
        assert response.headers["allow"] == "GET, POST"


class TestAccept:
    @pytest.mark.parametrize(
        ("header", "json_type", "stream"),
        [
            ("*/*", JSON, False),
            ("application/*", JSON, False),
            (JSON, JSON, False),
            (RESPONSE_JSON, RESPONSE_JSON, False),
            (f"{RESPONSE_JSON}, {JSON}", RESPONSE_JSON, False),
            (f"{JSON}, {RESPONSE_JSON}", RESPONSE_JSON, False),
            (f"{RESPONSE_JSON};q=0.5, {JSON}", JSON, False),
            (f"{JSON}; Q=0.9 , {RESPONSE_JSON}; charset=utf-8; q=1", RESPONSE_JSON, False),
            (f"{RESPONSE_JSON};q=0, */*", JSON, False),
            (f"{JSON};q=0, {EVENT_STREAM}", None, True),
            (EVENT_STREAM, None, True),
            ("text/*", None, True),
            (f"{EVENT_STREAM}, {JSON}", JSON, True),
            (f"{EVENT_STREAM};q=0", None, False),
            (f"{EVENT_STREAM};q=wrong", None, True),
            ("text/html", None, False),
            (BROWSER, JSON, False),
        ],
    )
    def test_what_a_header_allows(self, header: str, json_type: str | None, stream: bool) -> None:
        accepted = Accepted(header)
        assert (accepted.json, accepted.stream) == (json_type, stream)

    async def test_nothing_we_have(self, http: httpx.AsyncClient) -> None:
        refused(await post(http, {"query": "{ hello }"}, "image/png"), 406)

    async def test_no_header(self, server: str) -> None:
        reader, writer = await asyncio.open_connection(*server.split(":"))
        writer.write(b"GET /graphql?query={hello} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert b"content-type: application/json" in answer
        assert answer.endswith(b'{"data":{"hello":"hello world"},"extensions":{"cost":1}}')


class TestPage:
    async def test_a_browser_is_led_to_the_page_of_queries(self, http: httpx.AsyncClient) -> None:
        """By a path beside this one, which stays right behind a proxy that has all of it elsewhere."""
        for header in (BROWSER, "text/html"):
            response = await http.get("/graphql", headers={"Accept": header})
            assert (response.status_code, response.headers["location"]) == (303, "query")

    async def test_a_query_is_answered_to_a_browser_too(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/graphql", params={"query": "{ hello }"}, headers={"Accept": BROWSER})
        assert response.json() == {"data": {"hello": "hello world"}, "extensions": {"cost": 1}}


class TestCompression:
    async def test_a_long_answer_is_compressed_for_those_who_take_it(self, http: httpx.AsyncClient) -> None:
        body = {"query": "query Q($v: JSON!) { echo(value: $v) }", "variables": {"v": ["hello"] * 1000}}
        plain = await post(http, body, **{"accept-encoding": "identity"})
        packed = await post(http, body, **{"accept-encoding": "gzip"})
        assert "content-encoding" not in plain.headers
        assert "content-encoding" not in (await post(http, body, **{"accept-encoding": "gzip;q=0, br"})).headers
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.json() == plain.json()
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 5

    async def test_a_short_one_is_not(self, http: httpx.AsyncClient) -> None:
        answer = await post(http, {"query": "{ hello }"}, **{"accept-encoding": "gzip"})
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(("connection", "seconds"), [("close", 0.3), ("keep-alive", 5.5)])  # uvicorn keeps it for 5
async def test_an_answer_that_nobody_takes_is_given_up(
    connection: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.http.protocol.TAKES_NOTHING", seconds)
    query = "query Q($v: JSON!) {" + " ".join(f"a{n}: echo(value: $v)" for n in range(50)) + "}"
    body = json.dumps({"query": query, "variables": {"v": "x" * 900_000}}).encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\nContent-Type: {JSON}\r\n"
    with serving(Limits(max_repeats=50)) as address, socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = address.split(":")
        await asyncio.to_thread(idle.connect, (host, int(port)))
        await asyncio.to_thread(idle.sendall, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await asyncio.sleep(seconds + 1)
        taken = await asyncio.to_thread(_rest_of, idle)
    assert taken < 50 * 900_000


def _rest_of(connection: socket.socket) -> int:
    """How much of an answer is still to be had."""
    taken = 0
    connection.settimeout(5)
    with contextlib.suppress(OSError):
        while piece := connection.recv(1 << 20):
            taken += len(piece)
    return taken
