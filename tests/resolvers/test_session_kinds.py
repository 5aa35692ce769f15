"""What sessions of each kind have of their own: decisions, insights, states, executions, experiments and results."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.part import PartLimits
from formats.recollect import jsonl
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

S = {"session": {"externalId": "s"}}
TEA = {
    "states": [{"name": "draft"}, {"name": "review", "description": "Somebody reads it."}, {"name": "done"}],
    "transitions": [
        {"from": "draft", "to": "review", "name": "submit"},
        {"from": "review", "to": "draft", "name": "return"},
        {"from": "review", "to": "done", "name": "approve"},
    ],
}
PANEL = {"format": "DEBATE"}
MEMBERS = [{"name": name, "externalId": name.lower()} for name in ("Ada", "Bo", "Cy")]
EXPERIMENTS = [
    {"name": "warm", "externalId": "warm", "parameters": {"t": 0.7}},
    {"name": "cold", "externalId": "cold"},
    {"name": "idle"},
]
OWN: dict[str, dict[str, Any]] = {
    "PANEL": {"panel": PANEL, "participants": MEMBERS},
    "WORKFLOW": {"workflow": TEA},
    "PLAYGROUND": {"playground": {"experiments": EXPERIMENTS}},
}
ADDED: list[tuple[str, str, dict[str, Any]]] = [
    ("PANEL", "addDecision", {**S, "text": "Green."}),
    ("PANEL", "addInsight", {**S, "text": "It is late."}),
    ("WORKFLOW", "recordExecution", {**S, "name": "brew"}),
    ("PLAYGROUND", "addExperiment", {**S, "name": "boiling"}),
    ("PLAYGROUND", "addResult", {"experiment": {"externalId": "warm"}, "metrics": {"taste": 1}}),
]


async def create(graph: Graph, kind: str, **more: Any) -> None:
    await graph.do("createSession", {"externalId": "s", "kind": kind, **OWN[kind], **more})


async def of(graph: Graph, kind: str, fields: str) -> Any:
    query = f'{{ session(by: {{externalId: "s"}}) {{ version ... on {kind}Session {{ {fields} }} }} }}'
    return (await graph.data(query))["session"]


async def events(graph: Graph, component: str) -> list[tuple[str, Any]]:
    query = """query ($c: [String!]) { session(by: {externalId: "s"}) { trace(filter: {components: $c}) { nodes { type data } } } }"""
    found = (await graph.data(query, c=[component]))["session"]["trace"]["nodes"]
    return [(one["type"], one["data"]) for one in found]


class TestSettingUp:
    async def test_each_kind_has_what_it_was_set_up_with(self, graph: Graph) -> None:
        await create(graph, "PANEL")
        assert (await of(graph, "Panel", "format decisions { id } insights { id }"))["format"] == "DEBATE"
        await graph.do("deleteSession", S)
        await create(graph, "WORKFLOW")
        fields = "state states { name description isFinal transitions { to name } }"
        assert await of(graph, "Workflow", fields) == {
            "version": 1,
            "state": "draft",
            "states": [
                {
                    "name": "draft",
                    "description": None,
                    "isFinal": False,
                    "transitions": [{"to": "review", "name": "submit"}],
                },
                {
                    "name": "review",
                    "description": "Somebody reads it.",
                    "isFinal": False,
                    "transitions": [{"to": "draft", "name": "return"}, {"to": "done", "name": "approve"}],
                },
                {"name": "done", "description": None, "isFinal": True, "transitions": []},
            ],
        }
        told = {"state": "draft", "states": ["draft", "review", "done"]}
        assert await events(graph, "workflow") == [("workflow_defined", told)]
        await graph.do("deleteSession", S)
        await create(graph, "PLAYGROUND")
        tried = (await of(graph, "Playground", "experiments { name parameters results { id } }"))["experiments"]
        assert tried[0] == {"name": "warm", "parameters": {"t": 0.7}, "results": []}
        assert [type for type, _ in await events(graph, "playground")] == ["experiment"] * 3

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("given", "path"),
        [
            ({"kind": "CHAT", "panel": PANEL}, ["panel"]),
            ({"kind": "PANEL", "workflow": TEA}, ["workflow"]),
            ({"kind": "WORKFLOW", "playground": {}}, ["playground"]),
            ({"kind": "PLAYGROUND", "workflow": TEA}, ["workflow"]),
            ({"kind": "PANEL", "panel": PANEL}, ["participants"]),
            ({"kind": "PANEL", "panel": PANEL, "participants": []}, ["participants"]),
            ({"kind": "WORKFLOW", "workflow": {"states": []}}, ["workflow", "states"]),
            ({"kind": "WORKFLOW", "workflow": {**TEA, "initial": "brewed"}}, ["workflow", "initial"]),
            (
                {"kind": "WORKFLOW", "workflow": {"states": [{"name": "a"}, {"name": "a"}]}},
                ["workflow", "states", "1", "name"],
            ),
            (
                {
                    "kind": "WORKFLOW",
                    "workflow": {"states": [{"name": "a"}], "transitions": [{"from": "a", "to": "b"}]},
                },
                ["workflow", "transitions", "0", "to"],
            ),
            (
                {
                    "kind": "WORKFLOW",
                    "workflow": {"states": [{"name": "a"}], "transitions": [{"from": "b", "to": "a"}]},
                },
                ["workflow", "transitions", "0", "from"],
            ),
            (
                {
                    "kind": "WORKFLOW",
                    "workflow": {"states": [{"name": "a"}], "transitions": [{"from": "a", "to": "a"}] * 2},
                },
                ["workflow", "transitions", "1"],
            ),
        ],
    )
    async def test_what_a_session_cannot_be_set_up_with(self, graph: Graph, given: Any, path: list[str]) -> None:
        await graph.begin()
        assert await graph.fails("createSession", {"externalId": "s", **given}) == ("INVALID", path)

    async def test_later(self, graph: Graph) -> None:
        """Without a part of its own a session is as it always was, and gets one by updateSession."""
        await graph.do("createSession", {"externalId": "s", "kind": "WORKFLOW"})
        assert await of(graph, "Workflow", "state states { name }") == {"version": 1, "state": None, "states": []}
        assert await graph.fails("advanceWorkflow", {**S, "to": "done"}) == ("CONFLICT", ["to"])
        await graph.do("updateSession", {**S, "workflow": {**TEA, "initial": "review"}})
        assert (await of(graph, "Workflow", "state"))["state"] == "review"
        await graph.do("updateSession", {**S, "workflow": {"states": [{"name": "x"}, {"name": "review"}]}})
        assert (await of(graph, "Workflow", "state"))["state"] == "review", "it stays where it is"
        gone = {**S, "workflow": {"states": [{"name": "x"}]}}
        assert await graph.fails("updateSession", gone) == ("CONFLICT", ["workflow", "states"])
        assert await graph.fails("updateSession", {**S, "panel": PANEL}) == ("INVALID", ["panel"])
        assert [type for type, _ in await events(graph, "workflow")] == ["workflow_defined"] * 2

    @pytest.mark.one_family
    @pytest.mark.parametrize(("kind", "mutation", "input"), ADDED[:4])
    @pytest.mark.parametrize("other", ["CHAT", "PANEL", "WORKFLOW", "PLAYGROUND"])
    async def test_another_kind_of_session_has_no_such_part(
        self, graph: Graph, kind: str, mutation: str, input: Any, other: str
    ) -> None:
        if other != kind:
            await graph.do("createSession", {"externalId": "s", "kind": other})
            assert await graph.fails(mutation, input) == ("INVALID", ["session"])
        else:
            await graph.begin()
            assert await graph.fails(mutation, input) == ("NOT_FOUND", ["session"])

    @pytest.mark.parametrize(("kind", "mutation", "input"), ADDED)
    async def test_a_part_is_added_once_and_called_once(
        self, graph: Graph, kind: str, mutation: str, input: Any
    ) -> None:
        await create(graph, kind)
        named = {**input, "externalId": "e", "idempotencyKey": "k"}
        await graph.do(mutation, named)
        with graph.untouched():
            await graph.do(mutation, named)
        assert await graph.fails(mutation, {**named, "idempotencyKey": "l"}) == ("DUPLICATE", ["externalId"])

    @pytest.mark.one_family
    @pytest.mark.parametrize(("kind", "mutation", "input"), ADDED)
    async def test_a_session_has_room_for_so_many(self, graph: Graph, kind: str, mutation: str, input: Any) -> None:
        await create(graph, kind)
        graph.context.parts = PartLimits(in_session=3)
        while (payload := await graph.answered(mutation, input))["errors"] == []:
            pass
        [error] = payload["errors"]
        assert error["code"] == "LIMIT"
        assert "RECOLLECT_PARTS_IN_SESSION" in error["message"]
        assert (await graph.fails(mutation, input))[0] == "LIMIT"
        count = sum(type in ("decision", "insight", "execution", "experiment", "result")
                    for type, _ in await events(graph, kind.lower()))  # fmt: skip
        assert count == (6 if mutation == "addResult" else 3)

    async def test_all_of_it_goes_with_the_session_and_comes_with_a_file(self, graph: Graph) -> None:
        for kind, mutation, input in ADDED:
            here = {"externalId": kind}
            if mutation in ("addDecision", "addExperiment"):
                await graph.do("createSession", {**here, "kind": kind, **OWN[kind]})
            elif mutation == "recordExecution":
                await graph.do("createSession", {**here, "kind": kind, **OWN[kind]})
                await graph.do("advanceWorkflow", {"session": here, "to": "review"})
            await graph.do(mutation, {**input, "session": here} if "session" in input else input)
        query = """{ sessions { nodes { externalId
            ... on PanelSession { format decisions { text votes { choice } } insights { category text } }
            ... on WorkflowSession { state states { name transitions { to } } executions { state name status output } }
            ... on PlaygroundSession { experiments { name parameters results { metrics } } } } } }"""
        before = await graph.data(query)
        lines = [line async for line in jsonl.export(graph.context)]
        types = {line.split(b'"', 4)[3] for line in lines}
        parts = {b"decision", b"insight", b"workflowExecution", b"experiment", b"experimentResult"}
        assert parts <= types
        for session in ("PANEL", "WORKFLOW", "PLAYGROUND"):
            await graph.do("deleteSession", {"session": {"externalId": session}})
        left = [line async for line in jsonl.export(graph.context)]
        assert not parts & {line.split(b'"', 4)[3] for line in left}
        await jsonl.load(lambda: lines, graph.context)
        assert await graph.data(query) == before


class TestPanels:
    async def test_a_decision_has_votes_and_the_consensus(self, graph: Graph) -> None:
        await create(graph, "PANEL")
        votes = [{"participant": {"externalId": name}, "choice": choice, "comment": f"{name}!"}
                 for name, choice in (("ada", "green"), ("bo", "green"), ("cy", "black"))]  # fmt: skip
        await graph.do("addDecision", {**S, "topic": "Which tea?", "text": "Green tea.", "votes": votes})
        await graph.do("addDecision", {**S, "text": "Now.", "consensus": 0.25, "votes": votes[:1]})
        await graph.do("addDecision", {**S, "text": "Here."})
        fields = "decisions { topic text consensus votes { participant { name } choice comment } }"
        first, second, third = (await of(graph, "Panel", fields))["decisions"]
        assert (first["topic"], first["text"], first["consensus"]) == (
            "Which tea?",
            "Green tea.",
            pytest.approx(2 / 3),
        )
        assert first["votes"][2] == {"participant": {"name": "Cy"}, "choice": "black", "comment": "cy!"}
        assert (second["consensus"], third["consensus"], third["votes"]) == (0.25, None, [])
        told = await events(graph, "panel")
        assert [(type, data["votes"]) for type, data in told] == [("decision", 3), ("decision", 1), ("decision", 0)]
        node = "query ($id: ID!) { node(id: $id) { ... on Decision { text session { externalId } } } }"
        assert (await graph.data(node, id=told[0][1]["decision"]))["node"] == {
            "text": "Green tea.",
            "session": {"externalId": "s"},
        }

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("given", "refusal"),
        [
            ({"text": " "}, ("INVALID", ["text"])),
            ({"text": "x", "consensus": 1.5}, ("INVALID", ["consensus"])),
            (
                {"text": "x", "votes": [{"participant": {"externalId": "dee"}, "choice": "yes"}]},
                ("NOT_FOUND", ["votes", "0", "participant"]),
            ),
            (
                {"text": "x", "votes": [{"participant": {"externalId": "ada"}, "choice": "yes"}] * 2},
                ("DUPLICATE", ["votes", "1", "participant"]),
            ),
        ],
    )
    async def test_what_is_no_decision(self, graph: Graph, given: Any, refusal: Any) -> None:
        await create(graph, "PANEL")
        assert await graph.fails("addDecision", {**S, **given}) == refusal

    async def test_an_insight_knows_the_messages_that_support_it(self, graph: Graph) -> None:
        await create(graph, "PANEL")
        said = [{"sender": {"externalId": "ada"}, "text": text, "externalId": text} for text in ("one", "two", "three")]
        await graph.do("addMessages", {**S, "messages": said})
        support = [{"externalId": "two"}, {"externalId": "one"}, {"externalId": "two"}]
        given = {
            **S,
            "text": "Counting.",
            "category": "ANALYSIS",
            "supportingMessages": support,
            "by": {"externalId": "bo"},
        }
        await graph.do("addInsight", {**given, "consensus": 0.5})
        fields = "insights { category text consensus participant { name } supportingMessages { text } }"
        assert (await of(graph, "Panel", fields))["insights"] == [
            {
                "category": "ANALYSIS",
                "text": "Counting.",
                "consensus": 0.5,
                "participant": {"name": "Bo"},
                "supportingMessages": [{"text": "two"}, {"text": "one"}],
            }
        ]
        await graph.do("deleteMessages", {"messages": [{"externalId": "two"}]})
        [left] = (await of(graph, "Panel", fields))["insights"]
        assert left["supportingMessages"] == [{"text": "one"}]
        await graph.do("createSession", {"externalId": "other"})
        elsewhere = {"session": {"externalId": "other"}, "role": "user", "text": "four", "externalId": "four"}
        await graph.do("addMessage", elsewhere)
        for name in ("four", "five"):
            wrong = {**S, "text": "x", "supportingMessages": [{"externalId": "one"}, {"externalId": name}]}
            assert await graph.fails("addInsight", wrong) == ("NOT_FOUND", ["supportingMessages", "1"])


class TestWorkflows:
    async def test_it_goes_from_state_to_state(self, graph: Graph) -> None:
        await create(graph, "WORKFLOW")
        steps: list[dict[str, Any]] = [
            {"to": "review"}, {"transition": "return"}, {"from": "draft", "to": "review", "transition": "submit"},
            {"transition": "approve", "agent": {"externalId": "bot"}, "data": {"why": "good"}},
        ]  # fmt: skip
        for step, state in zip(steps, ["review", "draft", "review", "done"], strict=True):
            done = await graph.do("advanceWorkflow", {**S, **step}, "session { state version }")
            assert done["session"]["state"] == state
        assert done["session"]["version"] == 5
        told = [data for type, data in await events(graph, "workflow") if type == "workflow_advanced"]
        assert [(one["from"], one["to"]) for one in told][-1] == ("review", "done")
        assert told[-1]["data"] == {"why": "good"}

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("step", "refusal"),
        [
            ({"to": "done"}, ("CONFLICT", ["to"])),
            ({"to": "brewed"}, ("CONFLICT", ["to"])),
            ({"to": "draft"}, ("CONFLICT", ["to"])),
            ({"transition": "approve"}, ("CONFLICT", ["transition"])),
            ({"to": "review", "transition": "approve"}, ("CONFLICT", ["transition"])),
            ({"to": "review", "from": "review"}, ("CONFLICT", ["from"])),
        ],
    )
    async def test_what_is_impossible_changes_nothing(self, graph: Graph, step: Any, refusal: Any) -> None:
        await create(graph, "WORKFLOW")
        assert await graph.fails("advanceWorkflow", {**S, **step}) == refusal

    async def test_where_several_ways_lead_on_it_must_be_said_which(self, graph: Graph) -> None:
        await create(graph, "WORKFLOW", workflow={**TEA, "initial": "review"})
        assert await graph.fails("advanceWorkflow", S) == ("INVALID", ["to"])

    async def test_of_two_who_take_the_same_way_one_wins(self, graph: Graph) -> None:
        await create(graph, "WORKFLOW")
        for to in ("review", "done"):
            callers = [graph.answered("advanceWorkflow", {**S, "to": to}, "session { state }") for _ in range(8)]
            answers = await asyncio.gather(*callers)
            lost = [one["errors"][0]["code"] for one in answers if one["errors"]]
            assert lost == ["CONFLICT"] * 7
        assert await of(graph, "Workflow", "state") == {"version": 3, "state": "done"}

    async def test_executions(self, graph: Graph) -> None:
        await create(graph, "WORKFLOW")
        run = "execution { id name state input output error status durationMs startedAt endedAt agent { externalId } }"
        told = {**S, "name": "lint", "input": {"file": "a"}, "output": [1], "durationMs": 250.5,
                "endedAt": "2026-02-01T00:00:01Z", "agent": {"externalId": "bot"}}  # fmt: skip
        done = (await graph.do("recordExecution", told, run))["execution"]
        assert {**done, "id": ""} == {
            "id": "", "name": "lint", "state": "draft", "input": {"file": "a"}, "output": [1], "error": None,
            "status": "OK", "durationMs": 250.5, "startedAt": "2026-02-01T00:00:00.749500Z",
            "endedAt": "2026-02-01T00:00:01Z", "agent": {"externalId": "bot"},
        }  # fmt: skip
        await graph.do("advanceWorkflow", {**S, "to": "review"})
        begun = (await graph.do("recordExecution", {**S, "status": "PENDING", "input": 1}, run))["execution"]
        assert (begun["name"], begun["status"], begun["endedAt"]) == ("review", "PENDING", None)
        graph.clock.forward(seconds=2)
        ended = {**S, "execution": begun["id"], "error": "it broke"}
        failed = (await graph.do("recordExecution", ended, run))["execution"]
        assert (failed["id"], failed["status"], failed["input"]) == (begun["id"], "ERROR", 1)
        assert failed["durationMs"] == pytest.approx(2000, abs=20)
        assert await graph.fails("recordExecution", ended) == ("CONFLICT", ["execution"])
        listed = (await of(graph, "Workflow", "executions { name status }"))["executions"]
        assert listed == [{"name": "lint", "status": "OK"}, {"name": "review", "status": "ERROR"}]
        runs = [data["status"] for type, data in await events(graph, "workflow") if type == "execution"]
        assert runs == ["OK", "PENDING", "ERROR"]

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("given", "path"),
        [
            ({"state": "brewed"}, ["state"]),
            ({"status": "PENDING", "endedAt": "2026-02-01T00:00:01Z"}, ["status"]),
            ({"startedAt": "2026-02-01T00:00:01Z", "endedAt": "2026-02-01T00:00:00Z"}, ["endedAt"]),
            ({"durationMs": -1}, ["durationMs"]),
            ({"durationMs": 1e300}, ["durationMs"]),
        ],
    )
    async def test_what_is_no_execution(self, graph: Graph, given: Any, path: list[str]) -> None:
        await create(graph, "WORKFLOW")
        assert await graph.fails("recordExecution", {**S, **given}) == ("INVALID", path)

    async def test_a_fork_goes_on_where_the_workflow_was(self, graph: Graph) -> None:
        await create(graph, "WORKFLOW")
        await graph.do("advanceWorkflow", {**S, "to": "review"})
        fork = await graph.do("forkSession", {**S, "externalId": "f"}, "session { ... on WorkflowSession { state } }")
        assert fork["session"]["state"] == "review"
        await graph.do("advanceWorkflow", {"session": {"externalId": "f"}, "to": "done"})
        assert (await of(graph, "Workflow", "state"))["state"] == "review"


class TestPlaygrounds:
    async def test_results_are_compared(self, graph: Graph) -> None:
        await create(graph, "PLAYGROUND")
        for name, taste in (("warm", 3), ("cold", 4.5), ("warm", 5)):
            given = {"experiment": {"externalId": name}, "metrics": {"taste": taste, "ms": 10 - taste}}
            await graph.do("addResult", {**given, "output": {"cup": name}, "comment": "sip"}, "result { metrics }")
        await graph.do("addResult", {"experiment": {"externalId": "cold"}, "metrics": {"ms": 1}})
        query = "comparison(metric: $m, figure: $f, direction: $d) { rank count best worst average latest experiment { name } }"
        ask = f"""query ($m: String!, $f: Figure!, $d: OrderDirection!) {{
            session(by: {{externalId: "s"}}) {{ ... on PlaygroundSession {{ {query} }} }} }}"""

        async def ranks(metric: str, figure: str, direction: str) -> list[Any]:
            found = (await graph.data(ask, m=metric, f=figure, d=direction))["session"]["comparison"]
            return [(one["experiment"]["name"], one["rank"], one[figure.lower()]) for one in found]

        idle = ("idle", None, None)
        assert await ranks("taste", "BEST", "DESC") == [("warm", 1, 5), ("cold", 2, 4.5), idle]
        assert await ranks("taste", "AVERAGE", "DESC") == [("cold", 1, 4.5), ("warm", 2, 4), idle]
        assert await ranks("taste", "WORST", "ASC") == [("cold", 1, 4.5), ("warm", 2, 5), idle]
        assert await ranks("ms", "LATEST", "ASC") == [("cold", 1, 1), ("warm", 2, 5), idle]
        assert [rank for _, rank, _ in await ranks("price", "BEST", "ASC")] == [None] * 3
        tried = await of(graph, "Playground", "experiments { results { metrics output comment experiment { name } } }")
        assert tried["experiments"][0]["results"][1] == {
            "metrics": {"taste": 5, "ms": 5}, "output": {"cup": "warm"}, "comment": "sip", "experiment": {"name": "warm"},
        }  # fmt: skip
        told = [data["metrics"] for type, data in await events(graph, "playground") if type == "result"]
        assert told[0] == {"taste": 3, "ms": 7}

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        "metrics", [{}, {"a": "1"}, {"a": None}, {"a": True}, {"a": 1, "b": [1]}, {"a": 10**400}, [1], 1]
    )
    async def test_metrics_are_numbers(self, graph: Graph, metrics: Any) -> None:
        await create(graph, "PLAYGROUND")
        assert await graph.fails("addResult", {"experiment": {"externalId": "warm"}, "metrics": metrics}) == (
            "INVALID",
            ["metrics"],
        )

    async def test_a_result_is_of_an_experiment(self, graph: Graph) -> None:
        await create(graph, "PLAYGROUND")
        missing = {"experiment": {"externalId": "none"}, "metrics": {"a": 1}}
        assert await graph.fails("addResult", missing) == ("NOT_FOUND", ["experiment"])


async def test_what_was_redacted_stands_in_no_part(graph: Graph) -> None:
    """Nor in the reasoning of the session."""
    secret = "the recipe of the house"
    for kind, part in (("PANEL", ("addDecision", "addInsight")), ("WORKFLOW", ("recordExecution",)),
                       ("PLAYGROUND", ("addResult",))):  # fmt: skip
        of = {"session": {"externalId": kind}}
        await graph.do("createSession", {"externalId": kind, "kind": kind, **OWN[kind]})
        await graph.do("addMessage", {**of, "role": "user", "text": secret, "externalId": f"m-{kind}"})
        steps = [{"text": f"It says {secret}.", "data": [secret]}]
        await graph.do("recordReasoning", {**of, "agent": {"externalId": "bot"}, "steps": steps, "conclusion": secret})
        for mutation in part:
            [given] = [one for _, name, one in ADDED if name == mutation]
            told: dict[str, Any] = {"text": f"So, {secret}."} if kind == "PANEL" else {"output": {"x": secret}}
            if mutation == "addDecision":
                told |= {"topic": secret, "votes": [{"participant": {"externalId": "ada"}, "choice": secret}]}
            await graph.do(mutation, {**given, **told, **({} if "experiment" in given else of)})
        await graph.do("redactMessage", {"message": {"externalId": f"m-{kind}"}})
    lines = b"".join([line async for line in jsonl.export(graph.context)])
    assert lines.count(b"[redacted]") >= 15
    assert secret.encode() not in lines
