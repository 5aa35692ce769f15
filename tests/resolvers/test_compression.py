"""Sessions as chunks with a memory of each, and as other chunks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.graphql_client import START, Graph

S = {"session": {"externalId": "s"}}
TOPICS = ["Lisbon hotel booking in May", "invoice number of the accounting department", "garden tomatoes need water"]


@pytest.fixture
async def talk(graph: Graph) -> Graph:
    """Twelve messages, four of each topic, with a gap of two hours after the eighth; a discarded answer among them."""
    people = [{"type": "USER", "actor": {"externalId": "ada"}}, {"type": "AGENT", "actor": {"externalId": "iris"}}]
    await graph.do("createSession", {"externalId": "s", "participants": people})
    said = [
        {
            "sender": {"externalId": "iris" if i % 2 else "ada"},
            "text": f"{TOPICS[i // 4]} {i}.",
            "externalId": f"m{i}",
            "createdAt": (START - timedelta(days=1) + timedelta(minutes=i + (120 if i >= 8 else 0))).isoformat(),
        }
        for i in range(12)
    ]
    await graph.do("addMessages", {**S, "messages": said})
    return graph


SHOWN = "chunks { change reason text messages { externalId } memory { id status text } } archived { id }"


async def compress(graph: Graph, **input: Any) -> list[Any]:
    chunks: list[Any] = (await graph.do("compressSession", {**S, **input}, SHOWN))["chunks"]
    return chunks


def names(chunk: Any) -> list[int]:
    return [int(one["externalId"][1:]) for one in chunk["messages"]]


async def stored(graph: Graph) -> Any:
    return await graph.data(
        '{ session(by: {externalId: "s"}) { chunks(orderBy: {direction: ASC}) { nodes { reason strategy settings '
        "messages { nodes { externalId text } } memories { nodes { text owner { ... on User { externalId } } "
        "formation { strategy settings messages { externalId } } createdAt } } } } } }"
    )


async def test_by_size_and_gap(talk: Graph) -> None:
    chunks = await compress(talk, maxMessages=5)
    assert [(one["change"], one["reason"], names(one)) for one in chunks] == [
        ("ADDED", "SIZE", [0, 1, 2, 3, 4]),
        ("ADDED", "TIME_GAP", [5, 6, 7]),
        ("ADDED", "END", [8, 9, 10, 11]),
    ]
    found = (await stored(talk))["session"]["chunks"]["nodes"]
    assert [one["strategy"] for one in found] == ["SIZE"] * 3
    assert found[0]["settings"] == {"maxMessages": 5, "maxCharacters": 8000, "gapSeconds": 3600}
    for one, shown in zip(found, chunks, strict=True):
        [memory] = one["memories"]["nodes"]
        assert memory["owner"] == {"externalId": "ada"}
        assert memory["formation"]["strategy"] == "EXTRACTIVE"
        assert [m["externalId"] for m in memory["formation"]["messages"]] == [
            m["externalId"] for m in shown["messages"]
        ]
        assert memory["text"] == shown["text"] == shown["memory"]["text"]


async def test_by_topic(talk: Graph) -> None:
    chunks = await compress(talk, strategy="TOPIC", minMessages=2, similarity=0.85, gapSeconds=100_000)
    assert [(one["reason"], names(one)) for one in chunks] == [
        ("TOPIC", [0, 1, 2, 3]),
        ("TOPIC", [4, 5, 6, 7]),
        ("END", [8, 9, 10, 11]),
    ]


async def test_a_dry_run_shows_the_difference_and_writes_nothing(talk: Graph) -> None:
    await compress(talk, maxMessages=5)
    with talk.untouched():
        chunks = await compress(talk, maxMessages=4, dryRun=True)
    assert [(one["change"], names(one)) for one in chunks if one["change"] != "REMOVED"] == [
        ("ADDED", [0, 1, 2, 3]),
        ("ADDED", [4, 5, 6, 7]),
        ("ADDED", [8, 9, 10, 11]),
    ]
    gone = [one for one in chunks if one["change"] == "REMOVED"]
    assert sorted(map(names, gone)) == [[0, 1, 2, 3, 4], [5, 6, 7], [8, 9, 10, 11]]
    assert all(one["memory"]["status"] == "ACTIVE" for one in gone)


@pytest.mark.both_families
async def test_again_with_other_settings(talk: Graph) -> None:
    """What was there is archived, and the messages are as they were."""
    before = await compress(talk, maxMessages=5)
    after = await compress(talk, maxMessages=4)
    assert {one["memory"]["status"] for one in after if one["change"] == "REMOVED"} == {"ARCHIVED"}
    found = (await stored(talk))["session"]["chunks"]["nodes"]
    covered = [int(m["externalId"][1:]) for one in found for m in one["messages"]["nodes"]]
    assert sorted(covered) == list(range(12))
    assert [m["text"] for one in found for m in one["messages"]["nodes"]] == [f"{TOPICS[i // 4]} {i}." for i in covered]
    active = await talk.data("{ memories(filter: {statuses: [ACTIVE]}) { totalCount } }")
    assert active["memories"]["totalCount"] == 3
    old = await talk.data(
        "query ($id: ID!) { memory(by: {id: $id}) { sources { ... on Message { externalId } } } }",
        id=before[0]["memory"]["id"],
    )
    assert len(old["memory"]["sources"]) == 5


async def test_again_with_the_same_settings_after_more_messages(talk: Graph) -> None:
    """Chunks that are the same stay, with their memories; one whose message was edited is made anew."""
    first = await compress(talk, maxMessages=4)
    with talk.untouched():
        again = await compress(talk, maxMessages=4)
    assert [one["change"] for one in again] == ["KEPT"] * 3
    await talk.do("addMessage", {**S, "role": "user", "text": "And a last word about tomatoes.", "externalId": "m12"})
    await talk.do("editMessage", {"message": {"externalId": "m5"}, "text": "The invoice has the number seven."})
    more = await compress(talk, maxMessages=4)
    assert [(one["change"], names(one)) for one in more] == [
        ("KEPT", [0, 1, 2, 3]),
        ("ADDED", [4, 5, 6, 7]),
        ("KEPT", [8, 9, 10, 11]),
        ("ADDED", [12]),
        ("REMOVED", [4, 5, 6, 7]),
    ]
    assert more[0]["memory"]["id"] == first[0]["memory"]["id"]
    assert "number seven" in more[1]["text"]


async def test_what_was_discarded_and_what_is_recent_stays_out(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    said: list[Any] = [{"role": "user", "text": "What is a quince?", "externalId": "m0"}]
    for i, parent in enumerate([0, 0, 2], 1):
        text = f"A quince is a fruit, says answer {i}."
        said.append({"role": "assistant", "text": text, "externalId": f"m{i}", "parent": {"externalId": f"m{parent}"}})
    await graph.do("addMessages", {**S, "messages": said})
    assert [names(one) for one in await compress(graph, scope="GLOBAL", dryRun=True)] == [[0, 2, 3]]
    assert [names(one) for one in await compress(graph, scope="GLOBAL", keepRecent=2)] == [[0]]
    assert await compress(graph, scope="GLOBAL", keepRecent=9, dryRun=True) != []


@pytest.mark.parametrize(
    ("input", "refused"),
    [
        ({"session": {"externalId": "none"}}, ("NOT_FOUND", ["session"])),
        ({"session": {"externalId": "nobody's"}}, ("INVALID", ["owner"])),
        ({**S, "maxMessages": 0}, ("INVALID", ["maxMessages"])),
        ({**S, "similarity": 2}, ("INVALID", ["similarity"])),
    ],
)
async def test_what_cannot_be_compressed(talk: Graph, input: Any, refused: Any) -> None:
    await talk.do("createSession", {"externalId": "nobody's"})
    await talk.do("addMessage", {"session": {"externalId": "nobody's"}, "role": "user", "text": "Hello you."})
    assert await talk.fails("compressSession", input) == refused


async def test_messages_without_a_text_are_covered_too(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    assert await compress(graph) == []
    call = {"toolCall": {"callId": "c", "tool": "clock", "arguments": {}}}
    await graph.do("addMessage", {**S, "role": "assistant", "content": [call], "externalId": "m0"})
    chunks = await compress(graph, scope="GLOBAL")
    assert [(one["change"], names(one), one["text"], one["memory"]) for one in chunks] == [("ADDED", [0], "", None)]


async def test_once_for_a_key(talk: Graph) -> None:
    first = await compress(talk, idempotencyKey="k")
    again = await compress(talk, idempotencyKey="k")
    assert [one["memory"]["id"] for one in first] == [one["memory"]["id"] for one in again]
