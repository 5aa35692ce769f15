"""Search of what was said, over all sessions."""

from __future__ import annotations

from typing import Any

import pytest

from domain.finding import snippet
from stores.words import asked, spots
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

QUERY = """query ($t: String!, $f: MessageFilter, $m: SearchMode, $n: Int, $a: String, $l: Int, $b: String, $o: MessageOrder) {
  searchMessages(text: $t, filter: $f, mode: $m, first: $n, after: $a, last: $l, before: $b, orderBy: $o) {
    totalCount mode degraded pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { externalId }
    edges { cursor place score snippet node { externalId session { externalId } } } } }"""

SAID = (
    ("s", "a", "user", "Where is the Gate?"),
    ("s", "b", "assistant", "The gate code is HARROW-7719,\nand nothing else."),
    ("t", "c", "user", "a code of no gate 100%"),
    ("t", "d", "user", "something else"),
    ("t", "e", "user", "My dog Rex is ill."),
    ("t", "f", "user", "\u4f1a\u8b70\u306f\u6c34\u66dc\u65e5\u306b\u5909\u66f4\u3055\u308c\u307e\u3057\u305f\u3002"),
)


@pytest.fixture
async def talks(graph: Graph) -> None:
    for session in ("s", "t"):
        await graph.do("createSession", {"externalId": session, "title": "Thursday"})
    for session, name, role, text in SAID:
        given = {"session": {"externalId": session}, "role": role, "text": text, "externalId": name}
        await graph.do("addMessage", given)


async def found(graph: Graph, text: str, **more: Any) -> str:
    page = (await graph.data(QUERY, t=text, **more))["searchMessages"]
    names = [edge["node"]["externalId"] for edge in page["edges"]]
    assert names == [one["externalId"] for one in page["nodes"]]
    assert len(names) == page["totalCount"]
    assert [edge["score"] for edge in page["edges"]] == sorted((edge["score"] for edge in page["edges"]), reverse=True)
    assert not page["degraded"]
    return "".join(names)


async def test_best_first_by_words_in_every_mode(graph: Graph, talks: None) -> None:
    for text, names in (
        ("harrow", "b"),
        ("HARROW-7719", "b"),
        ("7719", "b"),
        ("nothing such", "b"),
        ("zzyzx", ""),
        ("\u6c34\u66dc\u65e5", "f"),
        ("codes", "bc"),
    ):
        for mode in ("TEXT", "HYBRID"):
            assert sorted(await found(graph, text, m=mode)) == list(names), (text, mode)
    assert (await found(graph, "gate code", m="TEXT")).startswith(("bc", "cb"))
    assert sorted(await found(graph, "gate code")) == ["a", "b", "c"]
    assert await found(graph, "gate", f={"senderTypes": ["AGENT"]}) == "b"
    assert await found(graph, "gate", f={"not": {"text": "code"}}) == "a"


async def test_what_differs_by_a_mark_alone_is_told_apart(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    for name, text in enumerate(
        ("pay $15 by 12/11", "pay \u20ac15 by 12/11", "pay $15 by 12-11", "we pay with .env", "we pay with env")
    ):
        given = {"session": {"externalId": "s"}, "role": "user", "text": text, "externalId": str(name)}
        await graph.do("addMessage", given)
    for text, first in (
        ("$15 on 12/11", "0"),
        ("\u20ac15 on 12/11", "1"),
        ("$15 on 12-11", "2"),
        (".env", "3"),
        ("env", "4"),
    ):
        for mode in ("TEXT", "HYBRID"):
            assert (await found(graph, text, m=mode))[0] == first, (text, mode)


async def test_by_meaning(graph: Graph, talks: None) -> None:
    """Of what has some of the words, and of what memories were formed from."""
    assert await found(graph, "Rex the animal", m="SEMANTIC") == "e"
    assert await found(graph, "the pet of the user", m="HYBRID") == ""
    await graph.do(
        "createMemory",
        {
            "text": "The pet of the user is a dog.",
            "type": "SEMANTIC",
            "scope": "GLOBAL",
            "sourceMessage": {"externalId": "e"},
            "importance": 0.1,
        },
    )
    assert await found(graph, "the pet of the user", m="HYBRID") == "e"
    assert await found(graph, "the pet of the user", m="SEMANTIC") == "e"
    assert await found(graph, "the pet of the user", m="TEXT") == ""
    assert await found(graph, "the pet of the user", f={"senderTypes": ["AGENT"]}) == ""


async def test_what_is_shown_of_a_hit(graph: Graph, talks: None) -> None:
    hits = {}
    for text in ("gate code", "\u6c34\u66dc\u65e5", "dogs"):
        [hit, *_] = (await graph.data(QUERY, t=text, f={"not": {"text": "100"}}))["searchMessages"]["edges"]
        hits[text] = hit["snippet"]
    assert hits == {
        "gate code": "The **gate** **code** is HARROW-7719, and nothing else.",
        "\u6c34\u66dc\u65e5": "\u4f1a\u8b70\u306f**\u6c34\u66dc\u65e5**\u306b\u5909\u66f4\u3055\u308c\u307e\u3057\u305f\u3002",
        "dogs": "My **dog** Rex is ill.",
    }
    [hit] = (await graph.data(QUERY, t="harrow"))["searchMessages"]["edges"]
    assert (hit["place"], hit["node"]["session"]) == (2, {"externalId": "s"})
    assert 0 < hit["score"] <= 1


async def test_pages_go_on_both_ways(graph: Graph, talks: None) -> None:
    whole = (await graph.data(QUERY, t="gate"))["searchMessages"]["edges"]
    assert len(whole) == 3
    seen, after = [], None
    for number in range(3):
        page = (await graph.data(QUERY, t="gate", n=1, a=after))["searchMessages"]
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] is (number < 2)
        assert page["pageInfo"]["hasPreviousPage"] is (number > 0)
        seen += page["edges"]
    assert seen == whole
    back = (await graph.data(QUERY, t="gate", l=2))["searchMessages"]
    assert back["edges"] == whole[1:]
    assert (await graph.data(QUERY, t="gate", l=2, b=back["pageInfo"]["startCursor"]))["searchMessages"][
        "edges"
    ] == whole[:1]
    assert await graph.refusal(QUERY, t="code", n=1, a=after) == ("INVALID", ["after"])
    newest = {"field": "CREATED_AT", "direction": "DESC"}
    seen, after = "", None
    for _ in range(3):
        page = (await graph.data(QUERY, t="gate", n=1, o=newest, a=after))["searchMessages"]
        seen, after = seen + page["nodes"][0]["externalId"], page["pageInfo"]["endCursor"]
    assert seen == "cba"


@pytest.mark.one_family
@pytest.mark.parametrize("text", ["", "  ", "x" * 100_001])
async def test_what_is_no_question(graph: Graph, text: str) -> None:
    assert await graph.refusal(QUERY, t=text) == ("INVALID", ["text"])


async def test_a_pasted_page_is_a_question(graph: Graph, talks: None) -> None:
    page = "word " * 5_000 + "harrow" + " other" * 5_000
    assert (await found(graph, page, m="TEXT")) == "b"


async def test_what_is_corrected_is_found_as_it_is_now(graph: Graph, talks: None) -> None:
    await graph.do("editMessage", {"message": {"externalId": "b"}, "text": "The gate code is TILLER."})
    assert await found(graph, "harrow") == ""
    assert await found(graph, "tiller") == "b"
    await graph.do("redactMessage", {"message": {"externalId": "b"}})
    assert await found(graph, "tiller") == ""
    assert await found(graph, "gate") in ("ac", "ca")
    await graph.do("deleteMessages", {"messages": [{"externalId": "a"}]})
    assert await found(graph, "gate") == "c"
    await graph.do("deleteSession", {"session": {"externalId": "t"}})
    assert await found(graph, "gate") == ""


async def test_what_documents_and_films_say_is_found(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    document = {
        "data": "aGVsbG8=",
        "filename": "a.txt",
        "mediaType": "text/plain",
        "title": "Minutes",
        "text": "The budget was halved.",
    }
    given = {"session": {"externalId": "s"}, "role": "user", "externalId": "m", "content": [{"document": document}]}
    await graph.do("addMessage", given)
    for text in ("budget", "minutes"):
        assert await found(graph, text) == "m"


async def test_sessions_in_which_it_was_said(graph: Graph, talks: None) -> None:
    query = "query ($f: SessionFilter) { sessions(filter: $f) { totalCount nodes { externalId } } }"
    for filter, names in (
        ({"said": "harrow"}, "s"),
        ({"said": "gate"}, "ts"),
        ({"said": "the gates"}, "ts"),
        ({"said": "gate nothing"}, "s"),
        ({"not": {"said": "harrow"}}, "t"),
        ({"said": "Thursday"}, ""),
        ({"said": "%"}, ""),
        ({"said": "dog", "text": "thurs"}, "t"),
        ({"or": [{"said": "dog"}, {"said": "harrow"}]}, "ts"),
    ):
        page = (await graph.data(query, f=filter))["sessions"]
        assert "".join(one["externalId"] for one in page["nodes"]) == names, filter
        assert page["totalCount"] == len(names)


def test_a_snippet_is_around_what_was_found() -> None:
    text = f"{'before ' * 40}the Needle,\n{'behind ' * 40}"
    piece = snippet(text, spots(asked("needle"), text))
    assert piece.startswith("\u2026") and piece.endswith("\u2026")
    assert "the **Needle**, behind" in piece
    assert len(piece) < 150
    text = f"gate {'x ' * 200}the gate code"
    assert snippet(text, spots(asked("gate code"), text)).endswith("the **gate** **code**")
    assert snippet("nothing", []) == "nothing"


@pytest.mark.parametrize(
    "query, text, marked",
    [
        ("names", "the userName", "the [userName]"),
        ("C#", "C# and C++ and c", "[C#] and C++ and c"),
        ("adr0005", "see ADR-0005.", "see [ADR]-[0005]."),
        ("caf\u00e9", "Cafe or CAF\u00c9", "[Cafe] or [CAF\u00c9]"),
        ("Haus", "die H\u00e4user, das Haus", "die H\u00e4user, das [Haus]"),
        ("international", "an internationally known", "an [internationally] known"),
        ("da nang", "\u0110\u00e0 N\u1eb5ng r\u1ea5t", "[\u0110\u00e0] [N\u1eb5ng] r\u1ea5t"),
        ("\u00e9cole", "E\u0301cole ferm\u00e9e", "[E\u0301cole] ferm\u00e9e"),
        ("cooperate", "to co\u00adoperate", "to [co\u00adoperate]"),
        ("office", "\ufb01nal o\ufb03ce", "\ufb01nal [o\ufb03ce]"),
        ("full", "\uff26\uff35\uff2c\uff2c width", "[\uff26\uff35\uff2c\uff2c] width"),
        (
            "\u0634\u0631\u0643\u0629",
            "\u0634\u064e\u0631\u0650\u0643\u064e\u0629\u064f \u0646",
            "[\u0634\u064e\u0631\u0650\u0643\u064e\u0629\u064f] \u0646",
        ),
        (
            "\u0915\u093f\u0924\u093e\u092c",
            "\u0915\u093f\u0924\u093e\u092c\u0947\u0902 \u0914\u0930",
            "[\u0915\u093f\u0924\u093e\u092c\u0947\u0902] \u0914\u0930",
        ),
        ("\u30ac\u30b9\u30c8", "\uff76\uff9e\uff7d\uff84\u3092", "[\uff76\uff9e\uff7d\uff84]\u3092"),
        ("\ud559\uad50", "\u1112\u1161\u11a8\u1100\u116d\u00b2", "[\u1112\u1161\u11a8\u1100\u116d]\u00b2"),
        (
            "\u0e02\u0e49\u0e32\u0e27",
            "\u0e01\u0e34\u0e19\u0e02\u0e49\u0e32\u0e27",
            "\u0e01\u0e34\u0e19[\u0e02\u0e49\u0e32\u0e27]",
        ),
    ],
)
def test_what_is_marked(query: str, text: str, marked: str) -> None:
    found, at = [], 0
    for start, end in spots(asked(query), text):
        found += [text[at:start], "[", text[start:end], "]"]
        at = end
    assert "".join([*found, text[at:]]) == marked
