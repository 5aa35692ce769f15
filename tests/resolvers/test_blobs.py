"""Blobs in messages, and those that nothing shows."""

from __future__ import annotations

import asyncio
import base64
import io
from hashlib import sha256
from typing import Any

import docx
import pytest

from resolvers import blobs
from tests.support.graphql_client import Graph
from tests.support.media import SAMPLES, image, wav

pytestmark = pytest.mark.both_families

SHOWN = """__typename ... on ImageContent { caption width height mediaType url blob { id filename sizeBytes } }
    ... on AudioContent { caption transcript durationMs mediaType blob { id filename } }
    ... on VideoContent { caption transcript durationMs width height mediaType blob { id } }
    ... on DocumentContent { caption title text mediaType blob { id filename } } ... on TextContent { text }"""
LATER = 20_000
"""Days after which the files, whose times are real, are old too."""

S = {"session": {"externalId": "s"}}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
async def talk(graph: Graph) -> Graph:
    await graph.do("createSession", {"externalId": "s"})
    return graph


async def say(graph: Graph, *parts: Any, **more: Any) -> Any:
    made = await graph.do(
        "addMessage",
        {**S, "role": "user", "content": list(parts), **more},
        f"message {{ id text content {{ {SHOWN} }} }}",
    )
    return made["message"]


def files(graph: Graph) -> list[bytes]:
    folder = graph.intake.blobs.staging.parent
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "secret"]


class TestInMessages:
    async def test_each_kind_with_what_is_told_of_it(self, talk: Graph) -> None:
        film, paper = SAMPLES["film.mp4"][0], SAMPLES["paper.pdf"][0]
        said = await say(
            talk,
            {"text": "look"},
            {"image": {"data": encoded(image()), "caption": "red", "filename": "red.png"}},
            {"audio": {"data": encoded(wav()), "transcript": "hm", "durationMs": 50, "mediaType": "audio/x-wav"}},
            {"video": {"data": encoded(film), "width": 4, "height": 3, "transcript": "", "durationMs": 1.5}},
            {"document": {"data": encoded(paper), "title": "Paper", "text": "what it says"}},
        )
        assert said["text"] == "look"
        shown = [{name: value for name, value in part.items() if name != "blob"} for part in said["content"]]
        assert shown == [
            {"__typename": "TextContent", "text": "look"},
            {"__typename": "ImageContent", "caption": "red", "width": 40, "height": 30, "mediaType": "image/png", "url": None},
            {"__typename": "AudioContent", "caption": None, "transcript": "hm", "durationMs": 50, "mediaType": "audio/wav"},
            {"__typename": "VideoContent", "caption": None, "transcript": "", "durationMs": 1.5, "width": 4, "height": 3, "mediaType": "video/mp4"},
            {"__typename": "DocumentContent", "caption": None, "title": "Paper", "text": "what it says", "mediaType": "application/pdf"},
        ]  # fmt: skip
        assert [part["blob"]["filename"] for part in said["content"][1:3]] == [
            "red.png",
            f"{sha256(wav()).hexdigest()[:12]}.wav",
        ]
        read = await talk.data(
            f"query ($id: ID!) {{ node(id: $id) {{ ... on Message {{ id text content {{ {SHOWN} }} }} }} }}",
            id=said["id"],
        )
        assert read["node"] == said

    async def test_a_stored_one_by_id_hash_and_data_url(self, talk: Graph) -> None:
        url = f"data:image/png;base64,{encoded(image())}"
        first = (await say(talk, {"image": {"data": url}}))["content"][0]["blob"]["id"]
        by_hash = {"externalId": sha256(image()).hexdigest()}
        made = await talk.do(
            "addMessages",
            {**S, "messages": [{"role": "user", "content": [{"image": {"blob": {"id": first}}}]}, {"role": "user", "content": [{"image": {"blob": by_hash}}, {"image": {"data": encoded(image())}}]}]},
            f"messages {{ content {{ {SHOWN} }} }}",
        )  # fmt: skip
        assert {part["blob"]["id"] for one in made["messages"] for part in one["content"]} == {first}
        asked = await talk.data(
            "query ($by: Ref!) { blob(by: $by) { attachments { totalCount nodes { target { ... on Message { text } } } } } }",
            by=by_hash,
        )
        assert asked["blob"]["attachments"]["totalCount"] == 3, "each message once"
        assert files(talk) == [image()]

    async def test_what_a_chat_shows_is_listed(self, talk: Graph) -> None:
        for data, kind in ((image(), "image"), (wav(), "audio"), (b"text", "document"), (image(), "image")):
            await say(talk, {kind: {"data": encoded(data)}})
        query = """query ($after: String) { session(by: {externalId: "s"}) { ... on ChatSession {
            media(first: 2, after: $after) { totalCount nodes { mediaType } pageInfo { endCursor hasNextPage } }
            documents(last: 5) { totalCount nodes { mediaType } } } } }"""
        found = (await talk.data(query))["session"]
        assert found["documents"] == {"totalCount": 1, "nodes": [{"mediaType": "text/plain"}]}
        assert [one["mediaType"] for one in found["media"]["nodes"]] == ["image/png", "audio/wav"]
        assert (found["media"]["totalCount"], found["media"]["pageInfo"]["hasNextPage"]) == (3, True)
        rest = (await talk.data(query, after=found["media"]["pageInfo"]["endCursor"]))["session"]["media"]
        assert [one["mediaType"] for one in rest["nodes"]] == ["image/png"]
        listed = """query ($types: [ContentType!]) { session(by: {externalId: "s"}) {
            messages(filter: {contentTypes: $types}) { totalCount nodes { content { __typename } } } } }"""
        for types, kinds in ((["AUDIO"], ["Audio"]), (["DOCUMENT", "AUDIO", "VIDEO"], ["Audio", "Document"]), ([], [])):
            there = (await talk.data(listed, types=types))["session"]["messages"]
            assert [one["content"][-1]["__typename"] for one in there["nodes"]] == [f"{one}Content" for one in kinds]
            assert there["totalCount"] == len(kinds)

    async def test_the_same_message_again(self, talk: Graph) -> None:
        part = {"image": {"data": encoded(image())}}
        first = await say(talk, part, idempotencyKey="k")
        assert await say(talk, part, idempotencyKey="k") == first
        assert files(talk) == [image()]

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("part", "code", "path"),
        [
            ({"image": {}}, "INVALID", ["content", "0", "image", "blob"]),
            ({"image": {"blob": {"externalId": "0" * 64}}}, "NOT_FOUND", ["content", "0", "image", "blob"]),
            ({"image": {"blob": {"id": "blb_0"}}}, "NOT_FOUND", ["content", "0", "image", "blob"]),
            ({"image": {"data": "????"}}, "INVALID", ["content", "0", "image", "data"]),
            ({"image": {"data": "data:image/png,plain"}}, "INVALID", ["content", "0", "image", "data"]),
            ({"image": {"data": ""}}, "INVALID", ["content", "0", "image", "data"]),
            ({"image": {"data": encoded(image()[:60])}}, "INVALID", ["content", "0", "image", "data"]),
            ({"image": {"data": encoded(image("JPEG")), "mediaType": "image/png"}}, "INVALID", ["content", "0", "image", "data"]),
            ({"audio": {"data": encoded(image())}}, "INVALID", ["content", "0", "audio", "blob"]),
            ({"audio": {"data": encoded(wav()), "width": 3}}, "INVALID", ["content", "0", "audio", "width"]),
            ({"image": {"data": encoded(image()), "width": 0}}, "INVALID", ["content", "0", "image", "width"]),
            ({"document": {"data": encoded(b"a"), "durationMs": 3}}, "INVALID", ["content", "0", "document", "durationMs"]),
        ],
    )  # fmt: skip
    async def test_what_cannot_be_shown(self, talk: Graph, part: Any, code: str, path: list[str]) -> None:
        assert await talk.fails("addMessage", {**S, "role": "user", "content": [part]}) == (code, path)
        below = await talk.fails("addMessages", {**S, "messages": [{"role": "user", "content": [{"image": {"data": encoded(image())}}, part]}]})  # fmt: skip
        assert below == (code, ["messages", "0", "content", "1", *path[2:]])
        assert files(talk) == []


def paper() -> bytes:
    """A PDF with a line of text."""
    stream = b"BT /F1 12 Tf 20 50 Td (Oolong from the paper) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 100] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start)


def letter() -> bytes:
    out = io.BytesIO()
    document = docx.Document()
    document.add_paragraph("Oolong from the letter")
    document.save(out)
    return out.getvalue()


@pytest.mark.one_family
@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        ("\ufeffGrüße".encode(), "a.txt", "Grüße"),
        (b"# Head\n", "a.md", "# Head\n"),
        (paper(), "a.pdf", "Oolong from the paper"),
        (letter(), "a.docx", "Oolong from the letter"),
        (SAMPLES["paper.pdf"][0], "broken.pdf", ""),
        (SAMPLES["letter.docx"][0], "broken.docx", ""),
        (b"x" * 150_000, "long.txt", "x" * 100_000),
    ],
    ids=["txt", "md", "pdf", "docx", "no pdf", "no docx", "long"],
)
async def test_what_a_document_says_is_read(talk: Graph, data: bytes, name: str, text: str) -> None:
    [part] = (await say(talk, {"document": {"data": encoded(data), "filename": name}}))["content"]
    assert part["text"] == text
    [told] = (await say(talk, {"document": {"data": encoded(data), "text": "told"}}))["content"]
    assert told["text"] == "told"


class TestSweep:
    async def test_what_no_message_shows_goes_after_a_while(self, talk: Graph) -> None:
        shown = await say(talk, {"image": {"data": encoded(image())}})
        await talk.do("createSession", {"externalId": "gone"})
        gone = {"session": {"externalId": "gone"}}
        await talk.do("addMessage", {**gone, "role": "user", "content": [{"audio": {"data": encoded(wav())}}]})
        await talk.do("deleteSession", gone)
        assert await blobs.sweep(talk.context, 1) == 0, "it may be used again"
        talk.clock.forward(days=LATER)
        assert await blobs.sweep(talk.context, 1) == 1
        assert files(talk) == [image()]
        left = await talk.data("{ blobs { nodes { id } } }")
        assert [one["id"] for one in left["blobs"]["nodes"]] == [shown["content"][0]["blob"]["id"]]

    async def test_what_is_used_again_stays(self, talk: Graph) -> None:
        [part] = (await say(talk, {"image": {"data": encoded(image())}}))["content"]
        await talk.do("deleteSession", S)
        talk.clock.forward(days=LATER)
        await talk.do("createSession", {"externalId": "s"})
        await say(talk, {"image": {"blob": {"id": part["blob"]["id"]}}})
        await talk.do("deleteSession", S)
        assert await blobs.sweep(talk.context, 1) == 0

    async def test_bytes_without_a_record_go(self, talk: Graph) -> None:
        lost = talk.intake.blobs.staging / "lost"
        lost.write_bytes(b"lost")
        await talk.intake.blobs.keep(talk.context.caller.workspace, f"{sha256(b'lost').hexdigest()}-0", lost)
        await say(talk, {"image": {"data": encoded(image())}})
        await blobs.sweep(talk.context, 1)
        assert sorted(files(talk)) == sorted([image(), b"lost"])
        talk.clock.forward(days=LATER)
        await say(talk, {"image": {"data": encoded(image())}})
        await blobs.sweep(talk.context, 1)
        assert files(talk) == [image()]


async def test_many_small_ones_at_once(talk: Graph) -> None:
    count = 120 if talk.family == "embedded" else 12
    texts = [f"note {number % (count // 2)}".encode() for number in range(count)]
    await asyncio.gather(*(say(talk, {"document": {"data": encoded(text)}}) for text in texts))
    assert sorted(files(talk)) == sorted(set(texts))
    assert not list(talk.intake.blobs.staging.iterdir())
