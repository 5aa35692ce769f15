"""Files of our own format carry the bytes of blobs, into the workspace they came from and into others."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.message import ImageContent, Message
from formats.conversation import FormatError
from formats.recollect import jsonl
from tests.support.graphql_client import Clock, Graph
from tests.support.media import image

LONG = image("PNG") + bytes(2_000_000)
"""An image of several lines."""


@pytest.fixture
async def lines(graph: Graph) -> list[bytes]:
    await graph.do("createSession", {"externalId": "s"})
    for data in (LONG, image("GIF")):
        part = {"image": {"data": base64.b64encode(data).decode(), "caption": "look", "filename": "a.img"}}
        await graph.do("addMessage", {"session": {"externalId": "s"}, "role": "user", "content": [part]})
    return [line async for line in jsonl.export(graph.context)]


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Graph]:
    graph = Graph(tmp_path, Clock())
    await graph.begin()
    yield graph
    await graph.close()


async def read(graph: Graph) -> list[bytes]:
    """The bytes that messages show."""
    query = (
        '{ session(by: {externalId: "s"}) { messages { nodes { content { ... on ImageContent { blob { id } } } } } } }'
    )
    shown = (await graph.data(query))["session"]["messages"]["nodes"]
    found = await graph.context.store.get(jsonl.Blob, [one["content"][0]["blob"]["id"] for one in shown])
    blobs, workspace = graph.intake.blobs, graph.context.caller.workspace
    return [
        b"".join([piece async for piece in blobs.read(workspace, one.stored_as, 0, one.size_bytes)])
        for one in found
        if one
    ]


async def test_there_and_back(other: Graph, lines: list[bytes]) -> None:
    for count in (2, 0):
        loaded = await jsonl.load(lambda: iter(lines), other.context)
        assert loaded["blob"].new == count
        assert await read(other) == [LONG, image("GIF")]
    assert [line async for line in jsonl.export(other.context)] == lines
    assert not list(other.intake.blobs.staging.iterdir())


async def test_bytes_that_are_there_under_another_id(other: Graph, lines: list[bytes]) -> None:
    await other.do("createSession", {"externalId": "mine"})
    part = {"image": {"data": base64.b64encode(LONG).decode()}}
    mine = await other.do("addMessage", {"session": {"externalId": "mine"}, "role": "user", "content": [part]}, "message { content { ... on ImageContent { blob { id } } } }")  # fmt: skip
    loaded = await jsonl.load(lambda: iter(lines), other.context)
    assert (loaded["blob"].new, loaded["blob"].there) == (1, 1)
    assert await read(other) == [LONG, image("GIF")]
    shown = await other.context.store.scan(Message, None, 10)
    parts = [one.content[0] for one in shown]
    assert {part.blob_id for part in parts if isinstance(part, ImageContent)} >= {
        mine["message"]["content"][0]["blob"]["id"]
    }


def changed(lines: list[bytes], type: str, **members: Any) -> list[bytes]:
    """The file with something else in the first line of a type, and no end that tells of it."""
    found = [json.loads(line) for line in lines]
    first = next(line for line in found if line.get("type") == type)
    first["record"] |= members
    writer = jsonl.Writer()
    made = [writer._line(line) for line in found[:-1]]
    return [*made, writer.end()]


@pytest.mark.parametrize(
    ("type", "members"),
    [
        ("blob_bytes", {"data": "AAAA"}),
        ("blob_bytes", {"data": "?"}),
        ("blob_bytes", {"stored_as": "../x"}),
        ("blob", {"stored_as": "../../x"}),
        ("blob", {"sha256": "0" * 64}),
        ("blob", {"media_type": "text/html"}),
        ("message", {"content": [{"kind": "image", "blob_id": "blb_" + "0" * 32}]}),
    ],
)
async def test_what_is_wrong_in_a_file(other: Graph, lines: list[bytes], type: str, members: Any) -> None:
    with pytest.raises(FormatError):
        await jsonl.load(lambda: iter(changed(lines, type, **members)), other.context)
    assert await other.data("{ blobs { nodes { id } } }") == {"blobs": {"nodes": []}}


async def test_a_file_of_before_there_were_blobs(other: Graph, lines: list[bytes]) -> None:
    old = [{"kind": "media", "media_type": "image/png", "url": "https://example.com/a.png"}, {"kind": "media", "media_type": "file", "url": None}]  # fmt: skip
    await jsonl.load(lambda: iter(changed(lines, "message", content=old)), other.context)
    query = '{ session(by: {externalId: "s"}) { messages(first: 1) { nodes { content { __typename ... on Media { mediaType url } } } } } }'
    [message] = (await other.data(query))["session"]["messages"]["nodes"]
    assert [tuple(part.values()) for part in message["content"]] == [
        ("ImageContent", "image/png", "https://example.com/a.png"),
        ("DocumentContent", "file", None),
    ]
