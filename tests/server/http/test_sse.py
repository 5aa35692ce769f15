"""Server-sent events by a real client: frames, resuming, keep-alive and what happens when one side leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import Message

from domain.caller import Caller
from server.access.admission import Access
from server.graphql.executor import Executor
from server.http.graphql import GraphQLHTTP
from tests.support.graphql_client import ANYONE, anybody
from tests.support.toy import BOARD, SCHEMA, eventually, make_context, serving

TICKS = "subscription S($k: String!, $to: Int!, $after: String) { ticks(key: $k, to: $to, after: $after) { number } }"
HEADERS = {"Accept": "text/event-stream"}


def frames(text: str) -> list[str]:
    """The events of a stream, without its comments."""
    return [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]


async def ask(http: httpx.AsyncClient, query: str, variables: Any = None, **headers: str) -> httpx.Response:
    body = {"query": query, "variables": variables}
    return await http.post("/graphql", json=body, headers=HEADERS | headers)


@asynccontextmanager
async def streaming(http: httpx.AsyncClient, query: str, variables: Any = None) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream that goes on."""
    body = {"query": query, "variables": variables}
    async with http.stream("POST", "/graphql", json=body, headers=HEADERS) as response:
        yield response.aiter_lines()


class TestFrames:
    async def test_a_subscription(self, http: httpx.AsyncClient, key: str) -> None:
        response = await ask(http, TICKS, {"k": key, "to": 2})
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache"
        assert response.text == (
            ":\n\n"
            'event: next\nid: 1\ndata: {"data":{"ticks":{"number":1}}}\n\n'
            'event: next\nid: 2\ndata: {"data":{"ticks":{"number":2}}}\n\n'
            "event: complete\ndata:\n\n"
        )
        assert BOARD.closed[key] == 1

    async def test_by_get_as_browsers_do(self, http: httpx.AsyncClient, key: str) -> None:
        params = {"query": TICKS, "variables": json.dumps({"k": key, "to": 1})}
        response = await http.get("/graphql", params=params, headers=HEADERS)
        assert frames(response.text)[-1] == "event: complete\ndata:"

    async def test_a_query_is_one_event(self, http: httpx.AsyncClient) -> None:
        response = await ask(http, "{ hello }")
        expected = [
            'event: next\ndata: {"data":{"hello":"hello world"},"extensions":{"cost":1}}',
            "event: complete\ndata:",
        ]
        assert frames(response.text) == expected

    async def test_a_query_is_json_where_both_are_listed(self, http: httpx.AsyncClient, key: str) -> None:
        both = {"Accept": "text/event-stream, application/json"}
        assert (await ask(http, "{ hello }", **both)).json() == {
            "data": {"hello": "hello world"},
            "extensions": {"cost": 1},
        }
        assert len(frames((await ask(http, TICKS, {"k": key, "to": 1}, **both)).text)) == 2

    async def test_a_line_break_in_a_value_does_not_break_the_frame(self, http: httpx.AsyncClient) -> None:
        frame = frames((await ask(http, "{ raw }")).text)[0]
        assert json.loads(frame.removeprefix("event: next\ndata: ")) == {
            "data": {"raw": {"kept": [1, 2]}},
            "extensions": {"cost": 1},
        }


class TestFailures:
    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("subscription {", "GRAPHQL_PARSE_FAILED"),
            (TICKS, "BAD_USER_INPUT"),
            ("subscription { absent }", "NOT_FOUND"),
        ],
    )
    async def test_a_refusal_is_an_event(self, http: httpx.AsyncClient, query: str, code: str) -> None:
        response = await ask(http, query)
        assert response.status_code == 200
        told, end = frames(response.text)
        assert json.loads(told.removeprefix("event: next\ndata: "))["errors"][0]["extensions"]["code"] == code
        assert end == "event: complete\ndata:"

    async def test_a_source_that_fails(self, http: httpx.AsyncClient) -> None:
        first, told, end = frames((await ask(http, "subscription { breaks }")).text)
        assert first == 'event: next\ndata: {"data":{"breaks":1}}'
        assert "CURSOR_EXPIRED" in told
        assert end == "event: complete\ndata:"

    async def test_a_mutation_by_get(self, http: httpx.AsyncClient, key: str) -> None:
        response = await http.get("/graphql", params={"query": f'mutation {{ write(key: "{key}") }}'}, headers=HEADERS)
        assert response.status_code == 405


class TestResume:
    async def test_last_event_id_goes_on_after_it(self, http: httpx.AsyncClient, key: str) -> None:
        literal = f'subscription {{ ticks(key: "{key}", to: 5, after: "1") {{ number }} }}'
        for query, variables in ((TICKS, {"k": key, "to": 5, "after": "1"}), (literal, None)):
            text = (await ask(http, query, variables, **{"Last-Event-ID": "3"})).text
            assert [frame.split("\n")[1] for frame in frames(text)[:-1]] == ["id: 4", "id: 5"]

    async def test_it_means_nothing_to_others(self, http: httpx.AsyncClient) -> None:
        assert len(frames((await ask(http, "{ hello }", **{"Last-Event-ID": "3"})).text)) == 2


class TestEnds:
    async def test_a_client_that_leaves_closes_the_source(self, http: httpx.AsyncClient, key: str) -> None:
        async with streaming(http, "subscription S($k: String!) { silent(key: $k) }", {"k": key}):
            await eventually(lambda: BOARD.opened[key] == 1)
        await eventually(lambda: BOARD.closed[key] == 1)

    async def test_a_silent_stream_is_kept_alive(self, key: str) -> None:
        with serving(keep_alive=0.02) as server:
            async with httpx.AsyncClient(base_url=f"http://{server}", timeout=30, trust_env=False) as http:
                async with streaming(http, "subscription S($k: String!) { silent(key: $k) }", {"k": key}) as lines:
                    comments = 0
                    async for line in lines:
                        comments += line == ":"
                        if comments == 4:
                            break
                await eventually(lambda: BOARD.closed[key] == 1)

    async def test_a_server_that_stops_closes_the_source(self, key: str) -> None:
        with ExitStack() as stack:
            base = f"http://{stack.enter_context(serving())}"
            async with (
                httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as http,
                streaming(http, "subscription S($k: String!) { silent(key: $k) }", {"k": key}),
            ):
                await eventually(lambda: BOARD.opened[key] == 1)
                await asyncio.to_thread(stack.close)
                assert BOARD.closed[key] == 1


class Reader:
    """An ASGI server whose client takes so many messages and then nothing more."""

    def __init__(self, takes: int, body: bytes) -> None:
        self.taken: list[Message] = []
        self.stuck = asyncio.Event()
        self._takes, self._body = takes, body

    async def receive(self) -> Message:
        if self._body:
            body, self._body = self._body, b""
            return {"type": "http.request", "body": body}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Message) -> None:
        if len(self.taken) == self._takes:
            self.stuck.set()
            await asyncio.Event().wait()
        self.taken.append(message)


async def test_a_reader_that_takes_nothing_holds_up_the_source_and_is_given_up(key: str) -> None:
    body = json.dumps({"query": TICKS, "variables": {"k": key, "to": 1000}}).encode()
    reader = Reader(5, body)
    endpoint = GraphQLHTTP(
        Executor(SCHEMA, role=anybody), make_context, access=ANYONE, keep_alive=0.05, send_timeout=0.1
    )
    headers = [(b"content-type", b"application/json"), (b"accept", b"text/event-stream")]
    scope = {"type": "http", "method": "POST", "query_string": b"", "headers": headers}
    serving = asyncio.ensure_future(endpoint(scope, reader.receive, reader.send))
    await reader.stuck.wait()
    assert BOARD.produced[key] == 4
    await asyncio.wait_for(serving, 30)
    assert BOARD.produced[key] == 4
    assert BOARD.closed[key] == 1


class Expiring(Access):
    """Admits anybody, until an event."""

    def __init__(self, end: asyncio.Event) -> None:
        super().__init__(None, None)
        self._end = end

    async def ended(self, caller: Caller) -> None:
        await self._end.wait()


async def test_a_reader_that_takes_nothing_does_not_hold_a_stream_beyond_its_credential(key: str) -> None:
    reader = Reader(5, json.dumps({"query": TICKS, "variables": {"k": key, "to": 1000}}).encode())
    endpoint = GraphQLHTTP(
        Executor(SCHEMA, role=anybody), make_context, access=Expiring(reader.stuck), send_timeout=0.1
    )
    headers = [(b"content-type", b"application/json"), (b"accept", b"text/event-stream")]
    scope = {"type": "http", "method": "POST", "query_string": b"", "headers": headers}
    await asyncio.wait_for(endpoint(scope, reader.receive, reader.send), 30)
    assert BOARD.closed[key] == 1
