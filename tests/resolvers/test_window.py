"""What an agent reads of a session before it answers."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from stores.tokens import counts
from tests.support.graphql_client import Graph

S = {"session": {"externalId": "s"}}
WINDOW = """query ($input: WindowInput) { session(by: {externalId: "s"}) { window(input: $input) {
  tokens omitted memories { externalId text } messages { externalId } reasons { id part tokens }
  openai: modelMessages anthropic: modelMessages(form: ANTHROPIC)
} } }"""


@pytest.fixture
async def talk(graph: Graph) -> Graph:
    """Forty messages; every eighth calls a tool, whose result comes after what a user says meanwhile."""
    people = [{"type": "USER", "actor": {"externalId": "ada"}}, {"type": "AGENT", "actor": {"externalId": "iris"}}]
    await graph.do("createSession", {"externalId": "s", "participants": people})
    said: list[Any] = []
    for i in range(40):
        role = "iris" if i % 2 else "ada"
        one: dict[str, Any] = {"sender": {"externalId": role}, "externalId": f"m{i}", "text": f"Quinces, part {i}."}
        if i % 8 == 1:
            call = {"callId": "call.1", "tool": "stock.search", "arguments": {"part": i}}
            one |= {"content": [{"toolCall": call}]}
        if i % 8 == 3:
            response = {"callId": "call.1", "result": {"found": i}}
            one = {"role": "tool", "externalId": f"m{i}", "content": [{"toolResponse": response}]}
        said.append(one)
    await graph.do("addMessages", {**S, "messages": said})
    return graph


async def window(graph: Graph, **input: Any) -> Any:
    return (await graph.data(WINDOW, input=input))["session"]["window"]


def places(found: Any) -> list[int]:
    return [int(one["externalId"][1:]) for one in found["messages"]]


def pairs(found: Any) -> tuple[list[str], list[str]]:
    """The ids of calls and of results, in OpenAI's form, each result right behind its call."""
    calls, results, open_ = [], [], set()
    for message in found["openai"]:
        if message["role"] == "tool":
            assert message["tool_call_id"] in open_
            open_.discard(message["tool_call_id"])
            results.append(message["tool_call_id"])
        else:
            assert not open_, "a result stands right behind its call"
        for call in message.get("tool_calls", ()):
            open_.add(call["id"])
            calls.append(call["id"])
            assert json.loads(call["function"]["arguments"])
            assert call["function"]["name"] == "stock_search"
    assert not open_
    return calls, results


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [
            text
            for name, one in value.items()
            if name not in ("role", "id", "type", "tool_call_id")
            for text in texts(one)
        ]
    return (
        [text for one in value for text in texts(one)]
        if isinstance(value, list)
        else [value]
        if isinstance(value, str)
        else []
    )


def check(found: Any, most: int) -> None:
    recounted = 4 * len(found["openai"]) + sum(counts(texts(found["openai"])))
    assert found["tokens"] == recounted <= most
    calls, results = pairs(found)
    assert sorted(calls) == sorted(results)
    assert len(set(calls)) == len(calls)
    roles = [message["role"] for message in found["anthropic"]["messages"]]
    assert all(one != other for one, other in pairwise(roles))
    assert roles[:1] in ([], ["user"])
    used: list[str] = []
    for message in found["anthropic"]["messages"]:
        blocks = message["content"]
        assert [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"] == used
        used = [b["id"] for b in blocks if b["type"] == "tool_use"]
    assert used == []


@pytest.mark.both_families
async def test_memories_for_the_older_part_and_messages_for_the_recent(talk: Graph) -> None:
    await talk.do("compressSession", {**S, "maxMessages": 10})
    found = await window(talk, maxTokens=2000, recentMessages=10)
    check(found, 2000)
    assert places(found) == list(range(30, 40))
    assert len(found["memories"]) == 3
    assert found["omitted"] == 0
    parts = [reason["part"] for reason in found["reasons"]]
    assert (parts.count("RECENT"), parts.count("COMPRESSED"), parts.count("EARLIER")) == (10, 3, 0)
    system = found["openai"][0]
    assert system["role"] == "system"
    assert all(one["text"] in system["content"] for one in found["memories"])
    assert found["anthropic"]["system"] == system["content"]


async def test_without_memories_earlier_messages_have_the_room(talk: Graph) -> None:
    found = await window(talk, maxTokens=100_000, recentMessages=10)
    check(found, 100_000)
    assert places(found) == list(range(40))
    assert {reason["part"] for reason in found["reasons"]} == {"RECENT", "EARLIER"}
    assert found["omitted"] == 0


@pytest.mark.parametrize("most", [1, 100, 130, 160, 200, 300, 500, 900])
@pytest.mark.parametrize("compressed", [False, True])
async def test_it_is_never_above_its_tokens_and_splits_no_call(talk: Graph, most: int, compressed: bool) -> None:
    if compressed:
        await talk.do("compressSession", {**S, "maxMessages": 7})
    found = await window(talk, maxTokens=most, recentMessages=30)
    check(found, most)
    assert places(found) == list(range(40 - len(found["messages"]), 40))
    assert (len(found["messages"]) > 0) == (most > 20)
    if not compressed:
        assert found["omitted"] == 40 - len(found["messages"])
    assert sum(reason["tokens"] for reason in found["reasons"]) >= found["tokens"]


async def test_the_latest_calls_with_their_results_are_recent_however_many_they_are(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    calls = [{"toolCall": {"callId": f"call.{i}", "tool": "stock.search", "arguments": {"part": i}}} for i in range(3)]
    results = [{"toolResponse": {"callId": f"call.{i}", "result": i}} for i in range(3)]
    said = [{"role": "user", "text": "Quinces?"}, {"role": "assistant", "content": calls}]
    said += [{"role": "tool", "content": [one]} for one in results]
    await graph.do("addMessages", {**S, "messages": [{**one, "externalId": f"m{i}"} for i, one in enumerate(said)]})
    found = await window(graph, maxTokens=200, recentMessages=2)
    check(found, 200)
    assert places(found)[-4:] == [1, 2, 3, 4]
    assert {one["part"] for one in found["reasons"][:4]} == {"RECENT"}
    assert places(await window(graph, maxTokens=10, recentMessages=2)) == []


async def test_what_a_query_recalls_of_those_who_take_part(talk: Graph) -> None:
    for owner in ("ada", "bert"):
        text = f"Medlars are what {owner} likes."
        await talk.do("createMemory", {"owner": {"externalId": owner}, "text": text, "externalId": owner})
    found = await window(talk, maxTokens=2000, query="Who likes medlars?")
    check(found, 2000)
    assert [one["externalId"] for one in found["memories"]] == ["ada"]
    assert [reason["part"] for reason in found["reasons"] if reason["part"] == "RECALLED"] == ["RECALLED"]


async def test_reasoning_if_asked(talk: Graph) -> None:
    steps = [{"kind": "THOUGHT", "text": "They look like small apples."}, {"kind": "CONCLUSION", "text": "A quince."}]
    await talk.do("recordReasoning", {**S, "agent": {"externalId": "iris"}, "steps": steps})
    assert "small apples" not in json.dumps((await window(talk))["openai"])
    found = await window(talk, includeReasoning=True)
    check(found, 8000)
    assert "They look like small apples." in found["openai"][0]["content"]
    assert "REASONING" in {reason["part"] for reason in found["reasons"]}


async def test_a_call_without_a_result_is_told_in_words(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    call = {"callId": "c", "tool": "clock", "arguments": {"zone": "UTC"}}
    said = [
        {"role": "tool", "content": [{"toolResponse": {"callId": "c", "result": "late"}}], "externalId": "m0"},
        {"role": "assistant", "content": [{"toolCall": call}], "externalId": "m1"},
    ]
    await graph.do("addMessages", {**S, "messages": said})
    found = await window(graph)
    assert found["openai"] == [
        {"role": "user", "content": "[a tool's result: late]"},
        {"role": "assistant", "content": '[called clock with {"zone":"UTC"}; there is no result]'},
    ]


async def test_who_says_nothing_but_blanks_says_nothing(graph: Graph) -> None:
    call = {"toolCall": {"callId": "1", "tool": "stock.search", "arguments": {"part": 1}}}
    response = {"toolResponse": {"callId": "1", "result": ""}}
    said = [
        {"role": "user", "text": " "},
        {"role": "assistant", "text": "\n"},
        {"role": "user", "text": "Now?"},
        {"role": "assistant", "content": [{"text": " "}, call]},
        {"role": "tool", "content": [response, {"text": "\t"}]},
    ]
    await graph.do("createSession", {"externalId": "s"})
    await graph.do("addMessages", {**S, "messages": said})
    found = await window(graph)
    check(found, 8000)
    assert [message["content"] for message in found["openai"]] == ["Now?", None, ""]
    assert [[block["type"] for block in one["content"]] for one in found["anthropic"]["messages"]] == [
        ["text"],
        ["tool_use"],
        ["tool_result"],
    ]


async def test_a_session_of_nobody(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    assert await window(graph) == {
        "tokens": 0, "omitted": 0, "memories": [], "messages": [], "reasons": [], "openai": [],
        "anthropic": {"system": "", "messages": []},
    }  # fmt: skip


@pytest.mark.parametrize(("member", "value"), [("maxTokens", 0), ("maxTokens", 10**7), ("recentMessages", -1)])
async def test_what_cannot_be_asked(talk: Graph, member: str, value: int) -> None:
    assert await talk.refusal(WINDOW, input={member: value}) == ("INVALID", ["input", member])
