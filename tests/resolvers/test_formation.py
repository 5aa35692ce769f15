"""Memories that are formed from messages, spans and blobs: what they know of that, and what becomes stale."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.support.graphql_client import Graph

S = {"session": {"externalId": "s"}}
TEXTS = [
    "I want to go to Lisbon in May.",
    "How long do you want to stay in Lisbon? The trains to Lisbon are full.",
    "Ten days in Lisbon. And I am allergic to nuts.",
]
M = [{"externalId": f"m{i}"} for i in range(3)]


@pytest.fixture
async def talk(graph: Graph) -> Graph:
    """A session of a user and an agent with three messages, of which a span tells."""
    people = [{"type": "USER", "actor": {"externalId": "ada"}}, {"type": "AGENT", "actor": {"externalId": "iris"}}]
    await graph.do("createSession", {"externalId": "s", "participants": people})
    said = [
        {"sender": {"externalId": "iris" if i == 1 else "ada"}, "text": text, "externalId": f"m{i}"}
        for i, text in enumerate(TEXTS)
    ]
    await graph.do("addMessages", {**S, "messages": said})
    return graph


FORMED = """
memory {
  id text stale version owner { ... on User { externalId } }
  source { ... on Message { externalId } }
  sources { __typename ... on Message { externalId } }
  formation {
    strategy settings formedAt messages { externalId } spans { spanId } blobs { text }
    chunk { reason strategy session { externalId } messages { nodes { externalId } totalCount } memories { nodes { text } } }
  }
}
"""


async def form(graph: Graph, **input: Any) -> Any:
    return (await graph.do("formMemory", input, FORMED))["memory"]


@pytest.mark.both_families
async def test_what_it_was_formed_from(talk: Graph) -> None:
    """All messages, in the order in which they were said, its chunk, and how; from either end."""
    made = await form(talk, messages=[M[2], M[0], M[2]], text="Ada goes to Lisbon.", externalId="f")
    assert (made["text"], made["owner"]) == ("Ada goes to Lisbon.", {"externalId": "ada"})
    assert made["source"] == {"externalId": "m0"}
    assert [one["externalId"] for one in made["sources"]] == ["m0", "m2"]
    how = made["formation"]
    assert (how["strategy"], how["settings"], how["messages"]) == ("GIVEN", {}, [M[0], M[2]])
    assert how["chunk"] == {
        "reason": "BY_HAND",
        "strategy": "BY_HAND",
        "session": {"externalId": "s"},
        "messages": {"nodes": [M[0], M[2]], "totalCount": 2},
        "memories": {"nodes": [{"text": "Ada goes to Lisbon."}]},
    }
    await talk.do("createMemory", {"owner": {"externalId": "ada"}, "text": "plain", "sourceMessage": M[2]})
    seen = await talk.data(
        '{ session(by: {externalId: "s"}) { chunks { totalCount nodes { memories { nodes { text } } } } '
        "messages { nodes { formedMemories { text } } } } }"
    )
    assert seen["session"]["chunks"]["nodes"] == [{"memories": {"nodes": [{"text": "Ada goes to Lisbon."}]}}]
    formed = [[one["text"] for one in node["formedMemories"]] for node in seen["session"]["messages"]["nodes"]]
    assert formed == [["Ada goes to Lisbon."], [], ["Ada goes to Lisbon.", "plain"]]
    plain = await talk.data(
        '{ memories(filter: {text: "plain"}) { nodes { formation { strategy } sources { __typename } } } }'
    )
    assert plain["memories"]["nodes"] == [{"formation": None, "sources": [{"__typename": "Message"}]}]


async def test_a_text_is_made_of_the_sentences_that_carry_them(talk: Graph) -> None:
    made = await form(talk, messages=M, maxSentences=2)
    assert made["formation"]["strategy"] == "EXTRACTIVE"
    assert made["formation"]["settings"] == {"maxSentences": 2}
    whole = " ".join(TEXTS)
    assert made["text"] in whole or all(part.strip(".?") in whole for part in made["text"].split(". "))
    assert "Lisbon" in made["text"]
    assert len(made["text"]) < len(whole)


async def test_from_a_span_to_what_it_formed_and_used(talk: Graph) -> None:
    """Both ways in one query."""
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": "Booked the hotel in Lisbon."}]}]
    span = {**S, "name": "chat", "kind": "LLM", "traceId": "t", "spanId": "p"}
    await talk.do("startSpan", span)
    await talk.do("endSpan", {"traceId": "t", "spanId": "p", "attributes": {"gen_ai.output.messages": answer}})
    id = (await talk.data("{ spans { nodes { id } } }"))["spans"]["nodes"][0]["id"]
    await talk.do("createMemory", {"owner": {"externalId": "ada"}, "text": "used", "externalId": "u"})
    event = {"type": "lookup", "traceId": "t", "spanId": "p", "memories": [{"externalId": "u"}]}
    await talk.do("appendTraceEvents", {**S, "events": [event]})
    made = await form(talk, spans=[id], externalId="f")
    assert made["text"] == "Booked the hotel in Lisbon."
    assert made["formation"]["spans"] == [{"spanId": "p"}]
    assert made["formation"]["chunk"] is None
    seen = await talk.data(
        "{ spans { nodes { formedMemories { text sources { ... on Span { spanId } } } usedMemories { text } } } }"
    )
    assert seen["spans"]["nodes"] == [
        {
            "formedMemories": [{"text": "Booked the hotel in Lisbon.", "sources": [{"spanId": "p"}]}],
            "usedMemories": [{"text": "used"}],
        }
    ]


async def test_from_a_file(talk: Graph) -> None:
    data = b64encode(b"Lisbon has seven hills.").decode()
    document = {"data": data, "mediaType": "text/plain", "filename": "hills.txt", "text": "Lisbon has seven hills."}
    await talk.do("addMessage", {**S, "role": "user", "content": [{"document": document}], "externalId": "d"})
    blobs = (await talk.data("{ blobs { nodes { id } } }"))["blobs"]["nodes"]
    made = await form(talk, blobs=blobs, text="Seven hills.", scope="GLOBAL")
    assert len(made["formation"]["blobs"]) == 1
    assert (await form(talk, messages=[{"externalId": "d"}]))["text"] == "Lisbon has seven hills."


@pytest.mark.parametrize(
    ("input", "refused"),
    [
        ({}, ("INVALID", ["messages"])),
        ({"messages": [M[0], {"externalId": "x"}]}, ("NOT_FOUND", ["messages", "1"])),
        ({"spans": ["spn_0"]}, ("NOT_FOUND", ["spans", "0"])),
        ({"messages": [{"externalId": "silent"}]}, ("INVALID", ["text"])),
        ({"messages": [M[0]], "text": "  "}, ("INVALID", ["text"])),
        ({"messages": [M[0]], "scope": "GLOBAL", "owner": {"externalId": "ada"}}, ("INVALID", ["owner"])),
        ({"messages": [{"externalId": "lone"}]}, ("INVALID", ["owner"])),
        ({"messages": [M[0]], "maxSentences": 0}, ("INVALID", ["maxSentences"])),
        ({"messages": [M[0]], "vector": [1.0]}, ("INVALID", ["vector"])),
    ],
)
async def test_what_cannot_be_formed(talk: Graph, input: Any, refused: Any) -> None:
    call = {"toolCall": {"callId": "c", "tool": "clock", "arguments": {}}}
    await talk.do("addMessage", {**S, "role": "assistant", "content": [call], "externalId": "silent"})
    await talk.do("createSession", {"externalId": "nobody's"})
    lone = {"session": {"externalId": "nobody's"}, "role": "user", "text": "Hello there.", "externalId": "lone"}
    await talk.do("addMessage", lone)
    assert await talk.fails("formMemory", input) == refused


async def stale(graph: Graph) -> list[str]:
    found = await graph.data("{ memories(filter: {stale: true}) { nodes { externalId stale } } }")
    fresh = await graph.data("{ memories(filter: {stale: false}) { nodes { stale } } }")
    assert all(one["stale"] for one in found["memories"]["nodes"])
    assert not any(one["stale"] for one in fresh["memories"]["nodes"])
    return sorted(one["externalId"] for one in found["memories"]["nodes"])


EDITS: list[Any] = [
    ("editMessage", {"message": M[2], "text": "Ten days in Porto. And I am allergic to nuts."}),
    ("redactMessage", {"message": M[2]}),
    ("deleteMessages", {"messages": [M[2]]}),
]


@pytest.mark.parametrize(("mutation", "input"), EDITS)
async def test_what_was_formed_from_it_is_stale(talk: Graph, mutation: str, input: Any) -> None:
    """Of all its messages, not the first alone; and what was created with it as its source."""
    await form(talk, messages=M, externalId="all")
    await form(talk, messages=[M[0]], externalId="other")
    await talk.do(
        "createMemory", {"owner": {"externalId": "ada"}, "text": "x", "sourceMessage": M[2], "externalId": "one"}
    )
    assert await stale(talk) == []
    await talk.do(mutation, {**input, "dryRun": True} if mutation != "editMessage" else {**input, "text": TEXTS[2]})
    assert await stale(talk) == []
    await talk.do(mutation, input)
    assert await stale(talk) == ["all", "one"]


@pytest.mark.parametrize(("mutation", "input"), EDITS)
async def test_it_is_formed_anew(talk: Graph, mutation: str, input: Any) -> None:
    """By the same strategy, of what is left; what it was is a version."""
    before = await form(talk, messages=M, externalId="all", maxSentences=20)
    await talk.do(mutation, input)
    after = (await talk.do("reformMemory", {"memory": {"externalId": "all"}}, FORMED))["memory"]
    assert after["stale"] is False
    assert after["version"] == before["version"] + 1
    assert ("Porto" in after["text"], "Ten days" in after["text"]) == {
        "editMessage": (True, True),
        "redactMessage": (False, False),
        "deleteMessages": (False, False),
    }[mutation]
    assert after["formation"]["messages"] == (M[:2] if mutation == "deleteMessages" else M)
    assert after["formation"]["formedAt"] > before["formation"]["formedAt"]
    history = await talk.data('{ memory(by: {externalId: "all"}) { history { nodes { text } } } }')
    assert history["memory"]["history"]["nodes"] == [{"text": before["text"]}]
    assert await stale(talk) == []


async def test_what_cannot_be_formed_anew(talk: Graph) -> None:
    await form(talk, messages=[M[0]], externalId="all")
    await form(talk, messages=[M[0]], text="said", externalId="given")
    await talk.do("deleteMessages", {"messages": [M[0]]})
    for name, path in (("all", ["text"]), ("given", ["text"]), ("none", ["memory"])):
        code = "NOT_FOUND" if name == "none" else "INVALID"
        assert await talk.fails("reformMemory", {"memory": {"externalId": name}}) == (code, path)
    after = await talk.do("reformMemory", {"memory": {"externalId": "given"}, "text": "new"}, FORMED)
    assert (after["memory"]["text"], after["memory"]["stale"]) == ("new", False)


async def test_once_for_a_key(talk: Graph) -> None:
    input = {"messages": M, "idempotencyKey": "k"}
    assert (await form(talk, **input))["id"] == (await form(talk, **input))["id"]
    chunks = await talk.data('{ session(by: {externalId: "s"}) { chunks { totalCount } } }')
    assert chunks["session"]["chunks"]["totalCount"] == 1


async def test_pages_of_a_chunk(talk: Graph) -> None:
    await form(talk, messages=M)

    async def page(arguments: str) -> Any:
        select = "edges { cursor node { externalId } } pageInfo { hasNextPage hasPreviousPage }"
        listed = f"chunks {{ nodes {{ messages({arguments}) {{ {select} }} }} }}"
        found = await talk.data(f'{{ session(by: {{externalId: "s"}}) {{ {listed} }} }}')
        return found["session"]["chunks"]["nodes"][0]["messages"]

    first = await page("first: 2")
    assert [edge["node"] for edge in first["edges"]] == M[:2]
    assert first["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False}
    rest = await page(f'first: 2, after: "{first["edges"][1]["cursor"]}"')
    assert [edge["node"] for edge in rest["edges"]] == M[2:]
    assert rest["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": True}
    back = await page(f'last: 1, before: "{rest["edges"][0]["cursor"]}"')
    assert [edge["node"] for edge in back["edges"]] == M[1:2]
    turned = await page("first: 2, orderBy: {direction: DESC}")
    assert [edge["node"] for edge in turned["edges"]] == [M[2], M[1]]
    more = await page(f'after: "{turned["edges"][1]["cursor"]}", orderBy: {{direction: DESC}}')
    assert [edge["node"] for edge in more["edges"]] == [M[0]]
