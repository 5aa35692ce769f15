"""Reasoning chains: what agents thought, did and saw, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from domain import reasoning
from formats.recollect import jsonl
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

S = {"session": {"externalId": "s"}}
BOT = {"agent": {"externalId": "bot"}}
FIELDS = """externalId conclusion agent { externalId } session { externalId } message { externalId }
    steps { kind text data toolExecution { tool callId } }"""


@pytest.fixture
async def session(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    await graph.do("createSession", {"externalId": "other"})
    for of in ("s", "other"):
        said = {"session": {"externalId": of}, "role": "assistant", "text": "Green, at 70 °C.", "externalId": f"m-{of}"}
        await graph.do("addMessage", said)
        ran = {"session": {"externalId": of}, "tool": "kettle", "callId": f"c-{of}"}
        await graph.do("startToolExecution", ran)


async def record(graph: Graph, **given: Any) -> Any:
    return (await graph.do("recordReasoning", given, f"chain {{ id {FIELDS} }}"))["chain"]


async def events(graph: Graph) -> list[Any]:
    query = '{ session(by: {externalId: "s"}) { trace(filter: {components: ["reasoning"]}) { nodes { type data } } } }'
    return [
        (one["type"], one["data"]["steps"], one["data"]["concluded"])
        for one in (await graph.data(query))["session"]["trace"]["nodes"]
    ]


@pytest.mark.usefixtures("session")
class TestChains:
    async def test_steps_are_added_live_and_stay_in_order(self, graph: Graph) -> None:
        begun = await record(graph, **S, **BOT, externalId="r", steps=[{"text": "Which tea?"}])
        steps = [{"kind": "TOOL_CALL", "callId": "c-s"}, {"kind": "OBSERVATION", "text": "Hot.", "data": {"c": 70}}]
        await record(graph, chain={"externalId": "r"}, steps=steps)
        done = await record(graph, chain={"id": begun["id"]}, conclusion="Green.", message={"externalId": "m-s"})
        assert done == {
            "id": begun["id"], "externalId": "r", "conclusion": "Green.", "agent": {"externalId": "bot"},
            "session": {"externalId": "s"}, "message": {"externalId": "m-s"}, "steps": [
                {"kind": "THOUGHT", "text": "Which tea?", "data": None, "toolExecution": None},
                {"kind": "TOOL_CALL", "text": "", "data": None, "toolExecution": {"tool": "kettle", "callId": "c-s"}},
                {"kind": "OBSERVATION", "text": "Hot.", "data": {"c": 70}, "toolExecution": None},
                {"kind": "CONCLUSION", "text": "Green.", "data": None, "toolExecution": None},
            ]}  # fmt: skip
        assert await events(graph) == [
            ("reasoning", ["THOUGHT"], False),
            ("reasoning", ["TOOL_CALL", "OBSERVATION"], False),
            ("reasoning", ["CONCLUSION"], True),
        ]
        await record(graph, **BOT, steps=[{"text": "Alone."}])
        query = f"""{{ reasoningChains {{ totalCount nodes {{ conclusion }} }}
            running: reasoningChains(filter: {{running: true}}) {{ nodes {{ conclusion session {{ id }} }} }}
            session(by: {{externalId: "s"}}) {{ reasoningChains {{ nodes {{ id {FIELDS} }} }}
                messages {{ nodes {{ reasoningChains {{ totalCount }} }} }} }}
            agent(by: {{externalId: "bot"}}) {{ reasoningChains {{ nodes {{ conclusion }} }} }} }}"""
        found = await graph.data(query)
        assert found["reasoningChains"]["nodes"] == found["agent"]["reasoningChains"]["nodes"]
        assert [one["conclusion"] for one in found["reasoningChains"]["nodes"]] == [None, "Green."]
        assert found["running"]["nodes"] == [{"conclusion": None, "session": None}]
        assert found["session"]["reasoningChains"]["nodes"] == [done]
        assert found["session"]["messages"]["nodes"][0]["reasoningChains"]["totalCount"] == 1

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("given", "refusal"),
        [
            ({**S, "steps": [{"text": "x"}]}, ("INVALID", ["agent"])),
            ({**BOT, "session": {"externalId": "none"}}, ("NOT_FOUND", ["session"])),
            ({**BOT, **S, "message": {"externalId": "m-other"}}, ("NOT_FOUND", ["message"])),
            ({**BOT, **S, "steps": [{"text": " "}]}, ("INVALID", ["steps", "0", "text"])),
            ({**BOT, **S, "steps": [{"kind": "TOOL_CALL"}]}, ("INVALID", ["steps", "0", "text"])),
            ({**BOT, **S, "steps": [{"callId": "c-other"}]}, ("NOT_FOUND", ["steps", "0", "callId"])),
            ({**BOT, "steps": [{"callId": "c-s"}]}, ("NOT_FOUND", ["steps", "0", "callId"])),
            ({**BOT, **S, "steps": [{"toolExecution": "tex_none"}]}, ("NOT_FOUND", ["steps", "0", "toolExecution"])),
            (
                {**BOT, **S, "steps": [{"text": "So.", "kind": "CONCLUSION"}, {"text": "But?"}]},
                ("INVALID", ["steps", "1"]),
            ),
            (
                {**BOT, **S, "steps": [{"text": "So.", "kind": "CONCLUSION"}], "conclusion": "So."},
                ("INVALID", ["steps", "1"]),
            ),
            ({"chain": {"externalId": "r"}, "agent": {"externalId": "iris"}}, ("INVALID", ["agent"])),
            ({"chain": {"externalId": "r"}, "session": {"externalId": "other"}}, ("INVALID", ["session"])),
            ({"chain": {"externalId": "r"}, "message": {"externalId": "m-other"}}, ("NOT_FOUND", ["message"])),
            ({"chain": {"externalId": "none"}}, ("NOT_FOUND", ["chain"])),
            ({**BOT, "externalId": "r"}, ("DUPLICATE", ["externalId"])),
            ({"chain": {"externalId": "done"}, "steps": [{"text": "x"}]}, ("CONFLICT", ["chain"])),
            ({"chain": {"externalId": "done"}, "conclusion": "x"}, ("CONFLICT", ["chain"])),
        ],
    )
    async def test_what_is_no_reasoning(self, graph: Graph, given: Any, refusal: Any) -> None:
        await graph.do("upsertAgent", {"externalId": "iris"})
        await record(graph, **S, **BOT, externalId="r")
        await record(graph, **S, **BOT, externalId="done", conclusion="So.")
        assert await graph.fails("recordReasoning", given) == refusal

    async def test_a_chain_has_room_for_so_much(self, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reasoning, "MAX_STEPS", 3)
        monkeypatch.setattr(reasoning, "MAX_CHAIN", 40)
        await record(graph, **S, **BOT, externalId="r", steps=[{"text": "x"}] * 2)
        more = {"chain": {"externalId": "r"}}
        for steps in ([{"text": "x"}] * 2, [{"text": "x" * 40}], [{"data": "x" * 40}]):
            assert await graph.fails("recordReasoning", {**more, "steps": steps}) == ("LIMIT", ["steps"])

    async def test_again_is_once(self, graph: Graph) -> None:
        for _ in range(2):
            made = await record(graph, **S, **BOT, externalId="r", steps=[{"text": "x"}], idempotencyKey="k")
        for _ in range(2):
            made = await record(graph, chain={"id": made["id"]}, steps=[{"text": "y"}], idempotencyKey="l")
        assert [step["text"] for step in made["steps"]] == ["x", "y"]

    async def test_chains_go_with_their_session_and_come_with_a_file(self, graph: Graph) -> None:
        made = await record(graph, **S, **BOT, externalId="r", message={"externalId": "m-s"}, conclusion="So.")
        lines = [line async for line in jsonl.export(graph.context)]
        await graph.do("deleteMessages", {"messages": [{"externalId": "m-s"}]})
        query = f"query ($id: ID!) {{ node(id: $id) {{ ... on ReasoningChain {{ id {FIELDS} }} }} }}"
        assert (await graph.data(query, id=made["id"]))["node"] == {**made, "message": None}
        await graph.do("deleteSession", S)
        assert (await graph.data(query, id=made["id"]))["node"] is None
        await jsonl.load(lambda: lines, graph.context)
        assert (await graph.data(query, id=made["id"]))["node"] == made
