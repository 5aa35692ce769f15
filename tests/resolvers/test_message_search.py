"""Search of what was said, over all sessions."""

from __future__ import annotations

from typing import Any

import pytest

from domain.finding import snippet
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

QUERY = """query ($t: String!, $f: MessageFilter, $n: Int, $a: String) { searchMessages(text: $t, filter: $f, first: $n, after: $a) {
    totalCount pageInfo { hasNextPage } nodes { externalId }
    edges { cursor place snippet node { externalId session { externalId } } } } }"""


@pytest.fixture
async def talks(graph: Graph) -> None:
    for session in ("s", "t"):
        await graph.do("createSession", {"externalId": session, "title": "Thursday"})
    for session, name, role, text in (
        ("s", "a", "user", "Where is the Gate?"),
        ("s", "b", "assistant", "The gate code is HARROW-7719,\nand nothing else."),
        ("t", "c", "user", "a code of no gate 100%"),
        ("t", "d", "user", "something else"),
    ):
        given = {"session": {"externalId": session}, "role": role, "text": text, "externalId": name}
        await graph.do("addMessage", given)


async def found(graph: Graph, text: str, **more: Any) -> str:
    page = (await graph.data(QUERY, t=text, **more))["searchMessages"]
    names = [edge["node"]["externalId"] for edge in page["edges"]]
    assert names == [one["externalId"] for one in page["nodes"]]
    assert len(names) == page["totalCount"]
    return "".join(names)


async def test_by_all_its_words_the_newest_first(graph: Graph, talks: None) -> None:
    for text, names in (
        ("gate", "cba"),
        ("code gate", "cb"),
        ("harrow", "b"),
        ("100%", "c"),
        ("no such", ""),
        ("%", "c"),
        ("Gate?", "a"),
    ):
        assert await found(graph, text) == names, text
    assert await found(graph, "gate", f={"senderTypes": ["AGENT"]}) == "b"
    assert await found(graph, "gate", f={"not": {"text": "code"}}) == "a"
    await graph.do("redactMessage", {"message": {"externalId": "b"}})
    assert await found(graph, "harrow") == ""


async def test_what_is_shown_of_a_hit_and_the_next_page(graph: Graph, talks: None) -> None:
    page = (await graph.data(QUERY, t="gate code", n=1))["searchMessages"]
    assert (page["totalCount"], page["pageInfo"]) == (2, {"hasNextPage": True})
    [hit] = (await graph.data(QUERY, t="gate code", n=1, a=page["edges"][0]["cursor"]))["searchMessages"]["edges"]
    assert (hit["place"], hit["node"]["session"]) == (2, {"externalId": "s"})
    assert hit["snippet"] == "The **gate** **code** is HARROW-7719, and nothing else."


@pytest.mark.parametrize("text", ["", "  ", " ".join(map(str, range(33))), "x" * 1_001])
async def test_what_is_no_question(graph: Graph, text: str) -> None:
    assert await graph.refusal(QUERY, t=text) == ("INVALID", ["text"])


async def test_sessions_in_which_it_was_said(graph: Graph, talks: None) -> None:
    query = "query ($f: SessionFilter) { sessions(filter: $f) { totalCount nodes { externalId } } }"
    for filter, names in (
        ({"said": "harrow"}, "s"),
        ({"said": "gate"}, "ts"),
        ({"not": {"said": "harrow"}}, "t"),
        ({"said": "Thursday"}, ""),
        ({"said": "no gate", "text": "thurs"}, "t"),
    ):
        page = (await graph.data(query, f=filter))["sessions"]
        assert "".join(one["externalId"] for one in page["nodes"]) == names, filter
        assert page["totalCount"] == len(names)


def test_a_snippet_is_around_what_was_found() -> None:
    text = f"{'before ' * 40}the Needle,\n{'behind ' * 40}"
    piece = snippet(text, ["needle"])
    assert piece.startswith("…") and piece.endswith("…")
    assert "the **Needle**, behind" in piece
    assert len(piece) < 150
    assert snippet("a.b", ["."]) == "a**.**b"
    assert snippet("nothing", ["else"]) == "nothing"
