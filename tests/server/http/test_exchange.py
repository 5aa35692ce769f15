"""Requests and answers byte by byte: whichever way they come, they are answered alike."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from server.http.exchange import WHOLE_BODY
from tests.support.toy import BOARD, eventually, serving

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")


def post(query: str, path: str = "/graphql", version: str = "1.1", **headers: str) -> bytes:
    body = json.dumps({"query": query}).encode()
    given = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body))} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/{version}\r\n{head}\r\n".encode() + body


async def talk(address: str, *pieces: bytes) -> bytes:
    """What a server answers to these pieces, each sent a while after the one before, until it closes."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02 if len(pieces) < 20 else 0.001)
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def undated(answer: bytes) -> bytes:
    return re.sub(rb"date: [^\r]*\r\n", b"", answer)


HELLO = post("{ hello }", Connection="close")
HEAD, BODY = HELLO[: HELLO.index(b"\r\n\r\n") + 4], HELLO[HELLO.index(b"\r\n\r\n") + 4 :]
CHUNKED = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", HEAD)


class TestPieces:
    @pytest.mark.parametrize(
        "pieces",
        [
            [HEAD, BODY],
            [HEAD + BODY[:5], BODY[5:]],
            [HELLO[index : index + 1] for index in range(len(HELLO))],
            [CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)],
            [CHUNKED, b"%x\r\n%b\r\n" % (len(BODY), BODY), b"0\r\n\r\n"],
            [HELLO.replace(b"/graphql", b"/%67raphql")],
            [HELLO.replace(b"/graphql", b"http://localhost/graphql")],
        ],
    )
    async def test_the_answer_is_the_same(self, server: str, pieces: list[bytes]) -> None:
        answer = await talk(server, *pieces)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert sorted(undated(answer).split(b"\r\n")) == sorted(undated(await talk(server, HELLO)).split(b"\r\n"))

    async def test_a_body_that_is_too_long(self, server: str) -> None:
        long = post("{ hello }" + " " * (1024 * 1024))
        for pieces in ([long, HELLO], [long[:200], long[200:] + HELLO]):
            answer = await talk(server, *pieces)
            assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"413", b"200"]
            assert b"RECOLLECT_MAX_BODY_BYTES" in answer

    async def test_what_is_expected_is_allowed(self, server: str) -> None:
        answer = await talk(server, HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"), BODY)
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")

    async def test_an_older_version(self, server: str) -> None:
        answer = await talk(server, post("{ hello }", version="1.0"))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" in answer

    async def test_a_head_alone_is_asked_for(self, server: str) -> None:
        answer = await talk(server, b"HEAD /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert answer.endswith(b"\r\n\r\n")


class TestConnections:
    async def test_several_in_a_row(self, server: str) -> None:
        """And of several in one read, each is answered in its turn."""
        slow = post("query { later }", Connection="keep-alive")
        for pieces in ([slow, slow, HELLO], [slow + slow + HELLO], [slow + slow[:30], slow[30:] + HELLO]):
            answer = await talk(server, *pieces)
            assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
            assert re.findall(rb'{"data":{"(\w+)"', answer) == [b"later", b"later", b"hello"]

    async def test_one_that_is_refused_does_not_end_it(self, server: str) -> None:
        answer = await talk(server, post("{ hello"), post("{ nothing }"), HELLO)
        assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"200", b"200"]
        assert answer.count(b'"errors"') == 2

    async def test_what_is_no_request_behind_one(self, server: str) -> None:
        answer = await talk(server, post("{ hello }"), b"nonsense\r\n\r\n")
        assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"400"]

    async def test_one_that_is_idle_is_closed_and_one_that_is_not_is_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("server.http.protocol.KEPT_ALIVE", 0.3)
        loop = asyncio.get_running_loop()
        with serving() as address:
            busy = asyncio.create_task(talk(address, *[post("{ hello }")] * 18 + [HELLO]))
            begun = loop.time()
            assert (await talk(address, post("{ hello }"))).count(b"HTTP/1.1 200") == 1
            assert 0.25 < loop.time() - begun < 5
            assert (await busy).count(b"HTTP/1.1 200") == 19

    async def test_a_request_may_last_longer_than_an_idle_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("server.http.protocol.KEPT_ALIVE", 0.1)

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await asyncio.sleep(0.4)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
            await send({"type": "http.response.body", "body": b"late"})

        with serving(app=app) as address:
            assert (await talk(address, HELLO.replace(b"close", b"keep-alive"))).endswith(b"late")

    async def test_a_stream_behind_a_whole_request(self, server: str, key: str) -> None:
        """It is written as it comes, and ends when its reader leaves."""
        host, port = server.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            post(f'subscription {{ ticks(key: "{key}", to: 1000000) {{ number }} }}', Accept="text/event-stream")
        )
        read = b""
        async with asyncio.timeout(20):
            while read.count(b"event: next") < 3:
                read += (piece := await reader.read(1 << 16))
                assert piece, read
        writer.close()
        assert b"transfer-encoding: chunked" in read
        await eventually(lambda: BOARD.closed[key] == 1)


class TestApplications:
    """What an application may do wrong, or leave out, is seen to as uvicorn does."""

    async def answered(self, *messages: Any, then: Exception | None = None, pieces: list[bytes] | None = None) -> bytes:
        async def app(scope: Scope, _receive: Receive, send: Send) -> None:
            assert (WHOLE_BODY in scope) is (pieces is None)
            for message in messages:
                await send(message)
            if then is not None:
                raise then

        with serving(app=app) as address:
            return await talk(address, *(pieces or [HELLO]))

    START: Any = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}
    REST: Any = {"type": "http.response.body", "body": b"rest"}

    async def test_a_failure_before_the_body(self) -> None:
        for messages in ([], [self.START]):
            answer = await self.answered(*messages, then=RuntimeError("no"))
            assert answer.startswith(b"HTTP/1.1 500 ")

    async def test_a_failure_behind_an_answer(self) -> None:
        answer = await self.answered(self.START, self.REST, then=RuntimeError("no"))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\nrest")

    async def test_no_body(self) -> None:
        assert (await self.answered(self.START)).startswith(b"HTTP/1.1 500 ")

    @pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\x00", b"\x7f"])
    async def test_a_header_that_would_be_two(self, value: bytes) -> None:
        start = {**self.START, "headers": [(b"content-length", b"4"), (b"x-told", value)]}
        assert await self.answered(start, self.REST) == b""

    async def test_a_length_that_is_not_that_of_the_body(self) -> None:
        start = {**self.START, "headers": [(b"content-length", b"5")]}
        assert b"rest\r\n" not in await self.answered(start, self.REST)

    async def test_a_body_in_pieces(self) -> None:
        answer = await self.answered({**self.START, "headers": []}, {**self.REST, "more_body": True}, self.REST)
        assert answer.endswith(b"4\r\nrest\r\n4\r\nrest\r\n0\r\n\r\n")

    async def test_it_closes_the_connection(self) -> None:
        headers = [(b"content-length", b"4"), (b"connection", b"close")]
        answer = await self.answered({**self.START, "headers": headers}, self.REST)
        assert answer.count(b"connection: close") == 1

    async def test_a_request_in_pieces_is_read_as_it_comes(self) -> None:
        answer = await self.answered(self.START, self.REST, pieces=[HEAD, BODY])
        assert answer.endswith(b"\r\n\r\nrest")
