"""What documents say is found, piece by piece."""

from __future__ import annotations

from base64 import b64encode

import pytest

from domain.document import chunks
from tests.support.graphql_client import Graph

SEARCH = """query ($text: String!, $f: BlobFilter, $n: Int! = 10) { searchDocuments(text: $text, filter: $f, first: $n) {
    place offset text snippet score blob { filename text } } }"""
LONG = "\n\n".join(
    f"Paragraph {n} tells of {'green' if n == 7 else 'black'} tea. {'So it goes. ' * 20}" for n in range(12)
)


@pytest.mark.both_families
async def test_pieces_of_documents_are_found(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    for name, text in (("a.txt", LONG), ("b.md", "# Kettles\n\nGreen tea wants 70 degrees."), ("c.txt", "Coffee.")):
        part = {"document": {"data": b64encode(text.encode()).decode(), "filename": name}}
        await graph.do("addMessage", {"session": {"externalId": "s"}, "role": "user", "content": [part]})
    found = (await graph.data(SEARCH, text="GREEN tea"))["searchDocuments"]
    assert [(one["blob"]["filename"], one["score"]) for one in found[:2]] == [("b.md", 1), ("a.txt", 1)]
    assert "**Green** **tea** wants" in found[0]["snippet"]
    assert "Paragraph 7 tells of green tea" in found[1]["text"]
    assert all(one["blob"]["text"][one["offset"] :].startswith(one["text"]) for one in found)
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    only = (await graph.data(SEARCH, text="tea", f={"mediaTypes": ["text/markdown"]}))["searchDocuments"]
    assert [one["blob"]["filename"] for one in only] == ["b.md"]
    assert len((await graph.data(SEARCH, text="tea", n=3))["searchDocuments"]) == 3
    assert (await graph.data(SEARCH, text="green coffee"))["searchDocuments"] == []
    assert await graph.refusal(SEARCH, text=" ") == ("INVALID", ["text"])
    assert await graph.refusal(SEARCH, text="tea", n=51) == ("INVALID", ["first"])


@pytest.mark.parametrize(
    "text", ["", " \n", "short", LONG, "x" * 5_000, "x " * 3_000, "\u3002".join("茶" * 900) * 3, "a\n\n" * 2_000]
)
def test_pieces_have_all_of_a_text(text: str) -> None:
    found = list(chunks(text))
    assert [one.place for one in found] == list(range(len(found)))
    covered = 0
    for one in found:
        assert 0 < len(one.text) <= 1_000
        assert text[one.offset : one.offset + len(one.text)] == one.text
        assert not text[covered : one.offset].strip()
        covered = one.offset + len(one.text)
    assert not text[covered:].strip()
