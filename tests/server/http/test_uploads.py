"""Files beside operations: the GraphQL multipart request spec, its limits, and that no other site can use it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from server.http.multipart import IN_MEMORY
from server.limits import Limits
from tests.support.toy import BOARD, serving

QUERY = "query ($files: [Upload!]!) { contents(files: $files) }"
LEAVE = {"GraphQL-Require-Preflight": "1"}


def form(operations: Any, places: Any, *files: tuple[str, tuple[str, bytes, str]]) -> list[tuple[str, Any]]:
    """The parts of a request, in the order of the spec."""
    return [("operations", (None, json.dumps(operations))), ("map", (None, json.dumps(places))), *files]


def two(**files: bytes) -> list[tuple[str, Any]]:
    """A request with files in a list."""
    operations = {"query": QUERY, "variables": {"files": [None] * len(files)}}
    places = {name: [f"variables.files.{number}"] for number, name in enumerate(files)}
    return form(operations, places, *((name, (f"{name}.txt", body, "text/plain")) for name, body in files.items()))


async def send(http: httpx.AsyncClient, parts: Any, **headers: str) -> httpx.Response:
    return await http.post("/graphql", files=parts, headers=LEAVE | headers)


def problem(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status
    [error] = answer.json()["errors"]
    return str(error["extensions"].get("limit") or error["message"])


class TestFiles:
    async def test_small_and_large(self, http: httpx.AsyncClient) -> None:
        answer = await send(http, two(a=b"abc", b=b"x" * (3 * IN_MEMORY)))
        found = ["a.txt text/plain 3 b'abc'", f"b.txt text/plain {3 * IN_MEMORY} b'{'x' * 20}'"]
        assert answer.json()["data"] == {"contents": found}

    async def test_nothing_but_text_is_decoded(self, http: httpx.AsyncClient) -> None:
        every = bytes(range(20))
        answer = await send(http, two(a=every, b=b"\r\n--" * 4, c=b""))
        assert [one.partition(" b'")[2][:-1].encode().decode("unicode_escape") for one in answer.json()["data"]["contents"]] == [
            every.decode("latin-1"), "\r\n--" * 4, ""
        ]  # fmt: skip

    @pytest.mark.parametrize("name", ["файл.txt", "日本.png", "é.txt"])
    async def test_names_are_in_any_script(self, http: httpx.AsyncClient, name: str) -> None:
        operations = {"query": QUERY, "variables": {"files": [None]}}
        answer = await send(http, form(operations, {"0": ["variables.files.0"]}, ("0", (name, b"a", "text/plain"))))
        assert answer.json()["data"] == {"contents": [f"{name} text/plain 1 b'a'"]}

    async def test_one_file_in_two_places(self, http: httpx.AsyncClient) -> None:
        operations = {"query": QUERY, "variables": {"files": [None, None]}}
        places = {"0": ["variables.files.0", "variables.files.1"]}
        answer = await send(http, form(operations, places, ("0", ("a", b"abc", "image/png"))))
        assert len(answer.json()["data"]["contents"]) == 2

    async def test_without_files(self, http: httpx.AsyncClient) -> None:
        answer = await send(http, form({"query": "{ hello }"}, {}))
        assert answer.json()["data"] == {"hello": "hello world"}

    async def test_a_file_where_none_belongs(self, http: httpx.AsyncClient) -> None:
        operations = {"query": "query ($n: String!) { hello(name: $n) }", "variables": {"n": None}}
        answer = await send(http, form(operations, {"0": ["variables.n"]}, ("0", ("a", b"abc", "text/plain"))))
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


class TestMalformed:
    @pytest.mark.parametrize(
        ("operations", "places", "files", "message"),
        [
            ({"query": QUERY, "variables": {"files": [None]}}, {"0": ["variables.files.0"]}, [], "in the map, but not"),
            ({"query": QUERY, "variables": {"files": [None]}}, {}, ["0"], "not one of the files in the map"),
            ({"query": QUERY, "variables": {"files": [1]}}, {"0": ["variables.files.0"]}, ["0"], "no null"),
            ({"query": QUERY, "variables": {"files": []}}, {"0": ["variables.files.0"]}, ["0"], "no null"),
            ({"query": QUERY, "variables": {}}, {"0": ["variables.files.0"]}, ["0"], "no null"),
            ({"query": None}, {"0": ["query"]}, ["0"], "no null"),
            ({"query": QUERY}, {"0": [""]}, ["0"], "no null"),
            ([{"query": QUERY}], {}, [], "not a GraphQL request"),
            ({}, {}, [], "not a GraphQL request"),
            ({"query": QUERY}, [], ["0"], "Expected `object`"),
        ],
    )
    async def test_parts(self, http: httpx.AsyncClient, operations: Any, places: Any, files: Any, message: str) -> None:
        parts = form(operations, places, *((name, ("a", b"abc", "text/plain")) for name in files))
        assert message in problem(await send(http, parts))

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"--b\r\n",
            b"--b\r\nContent-Disposition: form-data; name=operations\r\n\r\n{}",
            b"nothing of the kind",
            b"--b\r\n" + b"a: b\r\n" * 5000,
            b'--b\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{}\r\n' * 2 + b"--b--",
        ],
    )
    async def test_bodies(self, http: httpx.AsyncClient, body: bytes) -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=b", **LEAVE}
        assert (await http.post("/graphql", content=body, headers=headers)).status_code == 400

    @pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 500])
    async def test_boundaries(self, http: httpx.AsyncClient, content_type: str) -> None:
        answer = await http.post("/graphql", content=b"--b--", headers={"Content-Type": content_type, **LEAVE})
        assert answer.status_code == 400


class TestOtherSites:
    async def test_a_form_without_leave_is_refused(self, http: httpx.AsyncClient, key: str) -> None:
        """What a page elsewhere can send by itself: a form, and no header of its own."""
        write = form({"query": f'mutation {{ write(key: "{key}") }}'}, {})
        answer = await http.post("/graphql", files=write)
        assert "GraphQL-Require-Preflight".lower() in problem(answer)
        for name in ("Apollo-Require-Preflight", "GraphQL-Require-Preflight", "X-Requested-With"):
            assert BOARD.produced[key] == 0
            assert (await http.post("/graphql", files=write, headers={name: ""})).status_code == 400
        await send(http, write)
        assert BOARD.produced[key] == 1

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
    async def test_nor_are_other_simple_bodies_taken(
        self, http: httpx.AsyncClient, content_type: str, key: str
    ) -> None:
        body = json.dumps({"query": f'mutation {{ write(key: "{key}") }}'})
        answer = await http.post("/graphql", content=body, headers={"Content-Type": content_type})
        assert answer.status_code == 415
        assert BOARD.produced[key] == 0


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "parts"),
        [
            ({"max_uploads": 1}, two(a=b"a", b=b"b")),
            ({"max_upload_bytes": 5_000}, two(a=b"a" * 5_000)),
            ({"max_body_bytes": 500}, form({"query": "{ hello }" + " " * 500}, {})),
        ],
    )
    async def test_too_much(self, limits: dict[str, int], parts: Any) -> None:
        with serving(Limits(**limits)) as address:
            async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
                assert problem(await send(client, parts), 413) == f"RECOLLECT_{next(iter(limits)).upper()}"
                assert (await send(client, two(a=b"a"))).json()["data"]
