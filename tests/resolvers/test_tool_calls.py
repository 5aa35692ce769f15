"""Tool calls and what answers them, where ids are used again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph

SHOWN = """query ($first: Int, $after: String) { session(by: {externalId: "s"}) {
  messages(first: $first, after: $after) { pageInfo { endCursor }
    nodes { toolCalls { arguments response { result isError } } content { ... on ToolCall { response { result } } } } } } }"""


class Talk:
    """A session in which messages call tools and answer."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    async def say(
        self, role: str, *parts: Any, parent: str | None = None, name: str | None = None, **more: Any
    ) -> None:
        """parts: texts, calls and results."""
        content = [{"text": part} if isinstance(part, str) else part for part in parts]
        if parent is not None:
            more["parent"] = {"externalId": parent}
        given = {"session": {"externalId": "s"}, "role": role, "content": content, "externalId": name, **more}
        await self.graph.do("addMessage", given)

    async def answers(self, **page: Any) -> dict[str, Any]:
        """What each call was answered, by what it was for."""
        found = (await self.graph.data(SHOWN, **page))["session"]["messages"]
        self.end = found["pageInfo"]["endCursor"]
        by_call = [call for node in found["nodes"] for call in node["toolCalls"]]
        by_part = [part["response"] for node in found["nodes"] for part in node["content"] if part]
        assert [one and one["result"] for one in by_part] == [
            call["response"] and call["response"]["result"] for call in by_call
        ]
        return {call["arguments"]: call["response"] and call["response"]["result"] for call in by_call}


@pytest.fixture
async def talk(graph: Graph) -> Talk:
    await graph.do("createSession", {"externalId": "s"})
    return Talk(graph)


def call(what: str, id: str = "call_0", tool: str = "get") -> Any:
    return {"toolCall": {"callId": id, "tool": tool, "arguments": what}}


def result(what: Any, id: str = "call_0") -> Any:
    return {"toolResponse": {"callId": id, "result": what}}


async def test_an_id_in_every_turn(talk: Talk) -> None:
    for turn in range(80):
        await talk.say("user", f"question {turn}")
        await talk.say("assistant", call(f"c{turn}"))
        if turn % 3:
            await talk.say("tool", result(f"r{turn}"))
    expected = {f"c{turn}": f"r{turn}" if turn % 3 else None for turn in range(80)}
    assert await talk.answers(first=1000) == expected
    found: dict[str, Any] = {}
    page = await talk.answers(first=7)
    while talk.end:
        found |= page
        page = await talk.answers(first=7, after=talk.end)
    assert found == expected


async def test_parallel_calls_of_one_id_over_two_messages_page_by_page(talk: Talk) -> None:
    await talk.say("user", "go")
    for what in "ab":
        await talk.say("assistant", call(what))
    for what in "ab":
        await talk.say("tool", result(what))
    assert await talk.answers() == {"a": "a", "b": "b"}
    await talk.answers(first=2)
    assert await talk.answers(first=1, after=talk.end) == {"b": "b"}


async def test_branches(talk: Talk) -> None:
    await talk.say("user", "q", name="q")
    for branch in "AB":
        await talk.say("assistant", call(branch), parent="q", name=branch)
    for branch in "BA":
        await talk.say("tool", result(branch), parent=branch, name=f"r{branch}")
        await talk.say("assistant", call(f"again {branch}"), parent=f"r{branch}", name=f"again {branch}")
    await talk.say("tool", result("late"), parent="again A")
    assert await talk.answers() == {"A": "A", "B": "B", "again A": "late", "again B": None}


async def test_a_response_of_another_branch_answers_nothing(talk: Talk) -> None:
    await talk.say("user", "q", name="q")
    await talk.say("assistant", call("a"), parent="q")
    await talk.say("assistant", "no tool", parent="q", name="other")
    await talk.say("tool", result("stray"), parent="other")
    assert await talk.answers() == {"a": None}


async def test_threads(talk: Talk) -> None:
    for thread in "AB":
        await talk.say("assistant", call(thread), thread=thread)
    for thread in "BA":
        await talk.say("tool", result(thread), thread=thread)
    await talk.say("tool", result("of no thread"))
    assert await talk.answers() == {"A": "A", "B": "B"}


async def test_responses_without_a_parent_after_calls_with_one(talk: Talk) -> None:
    await talk.say("user", "q", name="q")
    await talk.say("assistant", call("a"), call("b", "call_1"), parent="q", name="c")
    await talk.say("tool", result("b", "call_1"))
    await talk.say("tool", result("a"))
    assert await talk.answers() == {"a": "a", "b": "b"}


async def test_ids_that_are_the_name_of_the_tool(talk: Talk) -> None:
    for turn in "12":
        await talk.say("user", turn)
        await talk.say("assistant", call(f"get {turn}", "get"), call(f"put {turn}", "put", "put"))
        await talk.say("tool", result(f"put {turn}", "put"), result(f"get {turn}", "get"))
    assert await talk.answers() == {f"{tool} {turn}": f"{tool} {turn}" for turn in "12" for tool in ("get", "put")}


async def test_before_its_call_and_twice(talk: Talk) -> None:
    await talk.say("tool", result("early"))
    await talk.say("assistant", call("a"))
    await talk.say("tool", result(None))
    await talk.say("tool", result("again"))
    await talk.say("assistant", call("b"))
    assert await talk.answers() == {"a": None, "b": None}
    [response] = [
        call["response"]
        for node in (await talk.graph.data(SHOWN))["session"]["messages"]["nodes"]
        for call in node["toolCalls"]
        if call["arguments"] == "a"
    ]
    assert response == {"result": None, "isError": False}


async def test_call_and_result_in_one_message(talk: Talk) -> None:
    await talk.say("assistant", call("a"), result("a"), "so", call("b"), result("b"), call("c"))
    assert await talk.answers() == {"a": "a", "b": "b", "c": None}


async def test_a_response_without_a_call_is_kept_with_a_warning(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "w"})
    call = {"toolCall": {"callId": "c", "tool": "t", "arguments": {}}}

    def answer(id: str) -> dict[str, Any]:
        return {"toolResponse": {"callId": id, "result": 1}}

    said = [
        {"role": "tool", "content": [answer("early"), answer("c")]},
        {"role": "assistant", "content": [call]},
        *({"role": "user", "text": "x"} for _ in range(450)),
        {"role": "tool", "content": [answer("c"), answer("none")]},
        {"role": "assistant", "content": [{**call, "toolCall": {**call["toolCall"], "callId": "own"}}, answer("own")]},
    ]
    await graph.do("addMessages", {"session": {"externalId": "w"}, "messages": said})
    query = '{ session(by: {externalId: "w"}) { messages(first: 1000) { nodes { warnings content { __typename } } } } }'
    nodes = (await graph.data(query))["session"]["messages"]["nodes"]
    told = [node["warnings"] for node in nodes]
    assert len(told) == len(said)
    assert [told[0], told[1], told[-2], told[-1]] == [
        ["The tool response early answers no earlier call.", "The tool response c answers no earlier call."],
        [],
        ["The tool response none answers no earlier call."],
        [],
    ]
    assert nodes[0]["content"] == [{"__typename": "ToolResponse"}] * 2


@pytest.mark.both_families
async def test_a_response_in_another_thread_than_its_call_is_told(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "w"})
    call = [{"toolCall": {"callId": "c", "tool": "t", "arguments": {}}}]
    answer = [{"toolResponse": {"callId": "c", "result": 1}}]
    said = [("assistant", call, "a"), ("tool", answer, None), ("tool", answer, "b"), ("tool", answer, "a")]
    messages = [{"role": role, "content": parts, "thread": thread} for role, parts, thread in said]
    await graph.do("addMessages", {"session": {"externalId": "w"}, "messages": messages})
    told = '{ session(by: {externalId: "w"}) { messages(%s) { nodes { warnings } } } }'
    expected = [[], *[["The tool response c answers no earlier call."]] * 2, []]
    for page, shown in (("first: 9", expected), ("last: 3", expected[1:]), ("last: 1", [[]])):
        nodes = (await graph.data(told % page))["session"]["messages"]["nodes"]
        assert [node["warnings"] for node in nodes] == shown


WARNED = """query ($first: Int, $last: Int, $filter: MessageFilter) { session(by: {externalId: "s"}) {
  messages(first: $first, last: $last, filter: $filter) { nodes { text warnings } } } }"""


async def warned(talk: Talk, **page: Any) -> list[str]:
    """The messages that have warnings, each with how many."""
    nodes = (await talk.graph.data(WARNED, **page))["session"]["messages"]["nodes"]
    assert all("was answered before" in told for node in nodes for told in node["warnings"])
    return [f"{node['text']}{len(node['warnings'])}" for node in nodes if node["warnings"]]


@pytest.mark.both_families
async def test_a_call_that_is_answered_again_is_told(talk: Talk) -> None:
    await talk.say("assistant", call("one"), call("two", "other"))
    await talk.say("tool", "a", result(1))
    await talk.say("tool", "b", result(2, "other"))
    await talk.say("tool", "c", result(3), result(4))
    assert await warned(talk) == ["c2"]
    assert await warned(talk, last=1) == ["c2"]
    assert await warned(talk, first=3) == []
    assert await warned(talk, filter={"text": "c"}) == ["c2"]
    await talk.say("assistant", call("again"))
    await talk.say("tool", "d", result(5))
    assert await warned(talk) == ["c2"]
    assert await warned(talk, last=2) == []
    assert await warned(talk, filter={"senderTypes": ["TOOL"]}) == ["c2"]


async def test_an_answer_on_another_branch_or_thread_is_none_before(talk: Talk) -> None:
    await talk.say("assistant", call("one"), name="call")
    await talk.say("tool", "a", result(1), parent="call", name="a")
    await talk.say("tool", "b", result(2), parent="call", name="b")
    assert await warned(talk) == []
    await talk.say("tool", "c", result(3), parent="b", name="c")
    assert await warned(talk) == await warned(talk, last=1) == ["c1"]
    await talk.say("tool", "d", result(4), parent="a", name="d")  # after one on another branch
    assert await warned(talk) == ["c1", "d1"]
    await talk.say("assistant", call("two"), parent="b", name="again")
    await talk.say("tool", "e", result(5), parent="again")
    assert await warned(talk) == ["c1", "d1"]


async def test_two_answers_in_one_message(talk: Talk) -> None:
    await talk.say("assistant", call("one"), result(1), result(2))
    assert await warned(talk) == ["1"]
