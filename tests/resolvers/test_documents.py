"""What documents say is found, chunk by chunk."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from domain.blob import UploadBlobInput
from domain.document import DocumentChunk, pieces
from resolvers import blobs, expiry
from stores import renewal
from stores.blobs.staging import staged
from tests.support.graphql_client import Graph

SEARCH = """query ($text: String!, $f: BlobFilter, $mode: SearchMode! = HYBRID, $n: Int! = 10) {
    searchDocuments(text: $text, filter: $f, mode: $mode, first: $n) {
        mode degraded waiting
        hits { score snippet chunk { id place offset text embedder blob { filename text } } } } }"""
LONG = "\n\n".join(
    f"Paragraph {n} tells of {'green' if n == 7 else 'black'} tea. {'So it goes. ' * 20}" for n in range(12)
)
TEXTS = {
    "a.txt": LONG,
    "b.md": "# Kettles\n\nGreen tea wants 70 degrees.",
    "c.txt": "Coffee is ground finely for the espresso machine.",
    "d.txt": "The physician told her to stop eating sugar.",
}


async def say(graph: Graph, session: str, name: str, text: str, **more: Any) -> Any:
    part = {"document": {"data": b64encode(text.encode()).decode(), "filename": name}}
    said = await graph.do(
        "addMessage",
        {"session": {"externalId": session}, "content": [part], **(more or {"role": "assistant"})},
        "message { id content { ... on DocumentContent { blob { id } } } }",
    )
    return said["message"]


def files(graph: Graph) -> list[bytes]:
    folder = graph.intake.blobs.staging.parent
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
async def shelf(graph: Graph) -> Graph:
    mara = {"externalId": "mara"}
    await graph.do("upsertUser", mara)
    for session in ("s", "t"):
        voice = {"actor": mara, "name": "Mara", **mara}
        await graph.do("createSession", {"externalId": session, "participants": [voice]})
    for name, text in TEXTS.items():
        await say(graph, "t" if name == "d.txt" else "s", name, text)
    return graph


async def found(graph: Graph, text: str, **more: Any) -> list[Any]:
    found: list[Any] = (await graph.data(SEARCH, text=text, **more))["searchDocuments"]["hits"]
    return found


def names(hits: list[Any]) -> list[str]:
    return [hit["chunk"]["blob"]["filename"] for hit in hits]


@pytest.mark.both_families
async def test_chunks_are_found(shelf: Graph) -> None:
    hits = await found(shelf, "GREEN tea")
    assert names(hits)[0] == "b.md"
    assert "**Green** **tea** wants" in hits[0]["snippet"]
    assert "Paragraph 7 tells of green tea" in next(hit for hit in hits[1:])["chunk"]["text"]
    assert all(hit["chunk"]["blob"]["text"][hit["chunk"]["offset"] :].startswith(hit["chunk"]["text"]) for hit in hits)
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert names(await found(shelf, "espresso", mode="TEXT")) == ["c.txt"]
    for mode in ("SEMANTIC", "HYBRID"):
        assert names(await found(shelf, "eating sugar", mode=mode))[0] == "d.txt", mode
    assert await found(shelf, "zzyzx", mode="TEXT") == []
    assert len(await found(shelf, "tea", n=3)) == 3
    whole = (await shelf.data(SEARCH, text="tea"))["searchDocuments"]
    assert (whole["mode"], whole["degraded"], whole["waiting"]) == ("HYBRID", False, 0)
    one = hits[0]["chunk"]
    node = "query ($id: ID!) { node(id: $id) { ... on DocumentChunk { text blob { chunks { totalCount nodes { id } } } } } }"
    read = (await shelf.data(node, id=one["id"]))["node"]
    assert (read["text"], read["blob"]["chunks"]["nodes"]) == (one["text"], [{"id": one["id"]}])
    assert await shelf.refusal(SEARCH, text=" ") == ("INVALID", ["text"])
    assert await shelf.refusal(SEARCH, text="tea", n=51) == ("INVALID", ["first"])


@pytest.mark.both_families
async def test_of_some_documents(shelf: Graph) -> None:
    await say(shelf, "s", "mine.txt", "Green tea of mine.", sender={"externalId": "mara"})
    for text, filter, there in (
        ("tea", {"mediaTypes": ["text/markdown"]}, {"b.md"}),
        ("sugar espresso", {"session": {"externalId": "t"}}, {"d.txt"}),
        ("sugar", {"session": {"externalId": "s"}}, set()),
        ("tea", {"sender": {"externalId": "mara"}}, {"mine.txt"}),
        ("tea", {"sender": {"externalId": "nobody"}}, set()),
        ("tea", {"not": {"or": [{"text": "a.txt"}, {"sender": {"externalId": "mara"}}]}}, {"b.md"}),
    ):
        assert set(names(await found(shelf, text, f=filter, mode="TEXT"))) == there, filter
        listed = await shelf.data("query ($f: BlobFilter) { blobs(filter: $f) { nodes { filename } } }", f=filter)
        among = {one["filename"] for one in listed["blobs"]["nodes"]}
        assert there <= set(names(await found(shelf, text, f=filter, mode="SEMANTIC"))) <= among, filter


@pytest.mark.both_families
async def test_what_is_gone_is_not_found(shelf: Graph) -> None:
    """With the chunk the record goes, and its text from every part of the store."""

    async def redact(said: Any) -> None:
        await shelf.do("redactMessage", {"message": {"id": said["id"]}})

    async def erase(_: Any) -> None:
        await shelf.do("eraseUser", {"user": {"externalId": "mara"}}, "report { finishedAt }")

    async def sweep(said: Any) -> None:
        await shelf.do("deleteMessages", {"messages": [{"id": said["id"]}]})
        shelf.clock.forward(days=20_000)
        await blobs.sweep(shelf.context, 1)

    for take in (redact, sweep, erase):
        said = await say(
            shelf, "t", "e.txt", f"The harrow is in the {take.__name__} shed.", sender={"externalId": "mara"}
        )
        [hit] = await found(shelf, "harrow", mode="TEXT")
        await take(said)
        assert await found(shelf, "harrow", mode="TEXT") == [], take
        assert (await shelf.data("query ($id: ID!) { node(id: $id) { id } }", id=hit["chunk"]["id"]))["node"] is None
        assert not [data for data in files(shelf) if b"harrow" in data]
        assert take is erase or names(await found(shelf, "espresso", mode="TEXT")) == ["c.txt"]


@pytest.mark.both_families
async def test_what_is_told_anew(shelf: Graph) -> None:
    """Chunks are of what the document says now; the same again leaves them as they are."""
    [before] = await found(shelf, "espresso", mode="TEXT")
    for text, words, there in (
        ("Coffee is drunk slowly.", "espresso", []),
        ("Coffee is drunk slowly.", "drunk", ["c.txt"]),
        ("", "drunk", []),
        (None, "coffee", []),
        (TEXTS["c.txt"], "espresso", ["c.txt"]),
    ):
        file = staged(shelf.intake.blobs.staging, shelf.intake.rules, TEXTS["c.txt"].encode(), "c.txt", "")
        await blobs.upload(shelf.context, UploadBlobInput(file=file, text=text))
        assert names(await found(shelf, words, mode="TEXT")) == there, text
        assert names(await found(shelf, words, mode="SEMANTIC", f={"text": "c.txt"})) == there, text
    [after] = await found(shelf, "espresso", mode="TEXT")
    await say(shelf, "t", "c.txt", TEXTS["c.txt"])
    [again] = await found(shelf, "espresso", mode="TEXT")
    assert again == after != before


@pytest.mark.both_families
async def test_chunks_wait_for_the_embedder(shelf: Graph) -> None:
    """What is not embedded at once is told of, found by words, and embedded by the sweeper."""
    shelf.context.embedder.is_at_hand = False
    await say(shelf, "s", "e.txt", "The harrow is in the shed.")
    for mode, there in (("SEMANTIC", []), ("HYBRID", ["e.txt"])):
        answer = (await shelf.data(SEARCH, text="harrow", mode=mode, f={"text": "e.txt"}))["searchDocuments"]
        assert (answer["waiting"], names(answer["hits"])) == (1, there)
    assert await expiry.sweep(shelf.context) == 0
    answer = (await shelf.data(SEARCH, text="harrow", mode="SEMANTIC", f={"text": "e.txt"}))["searchDocuments"]
    assert (answer["waiting"], names(answer["hits"])) == (0, ["e.txt"])
    await renewal.outdate(shelf.context.store, DocumentChunk, "another 16")
    answer = (await shelf.data(SEARCH, text="tea", mode="SEMANTIC"))["searchDocuments"]
    assert (answer["waiting"] > 4, answer["hits"]) == (True, [])


@pytest.mark.parametrize(
    "text", ["", " \n", "short", LONG, "x" * 5_000, "x " * 3_000, "\u3002".join("茶" * 900) * 3, "a\n\n" * 2_000]
)
def test_pieces_have_all_of_a_text(text: str) -> None:
    covered = 0
    for one in pieces(text):
        assert 0 < len(one.text) <= 1_000
        assert text[one.offset : one.offset + len(one.text)] == one.text
        assert not text[covered : one.offset].strip()
        covered = one.offset + len(one.text)
    assert not text[covered:].strip()
