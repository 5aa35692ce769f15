"""Which agents should answer what, and why."""

from __future__ import annotations

from typing import Any

import pytest

from formats.recollect import jsonl
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

ASK = """query ($input: RouteAgentInput!) { routeAgent(input: $input) {
    score priority reasons { kind detail score route } agent { externalId } } }"""

AGENTS: dict[str, dict[str, Any]] = {
    "cash": {
        "capabilities": ["refunds"],
        "routes": [{"name": "money", "keywords": ["refund", "money back"], "pattern": r"(?i)order \d{4}\b"}],
    },
    "brew": {"routes": [{"examples": ["steep black tea", "boil water"], "capabilities": ["tea"]}]},
    "boss": {"capabilities": ["refunds", "tea"], "routes": [{"keywords": ["complaint"], "priority": 5}]},
    "rest": {"routes": [{"isFallback": True}]},
    "kanji": {"routes": [{"keywords": ["返品", "Rückgabe"]}]},
    "idle": {},
}


@pytest.fixture
async def agents(graph: Graph) -> None:
    for name, given in AGENTS.items():
        await graph.do("upsertAgent", {"externalId": name, **given})


async def route(graph: Graph, **input: Any) -> dict[str, Any]:
    found = (await graph.data(ASK, input=input))["routeAgent"]
    return {one["agent"]["externalId"]: one for one in found}


@pytest.mark.usefixtures("agents")
class TestRouting:
    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("input", "names", "kinds"),
        [
            ({"text": "I want a REFUND!"}, ["cash", "rest"], ["KEYWORD"]),
            ({"text": "Can I have my money  back?"}, ["cash", "rest"], ["KEYWORD"]),
            ({"text": "money, not tea, back"}, ["rest"], ["FALLBACK"]),
            ({"text": "refundable"}, ["rest"], ["FALLBACK"]),
            ({"text": "refund of Order 4711"}, ["cash", "rest"], ["PATTERN", "KEYWORD"]),
            ({"text": "order 47115"}, ["rest"], ["FALLBACK"]),
            ({"text": "a complaint and a refund"}, ["boss", "cash", "rest"], ["KEYWORD"]),
            ({"text": "返品したいです"}, ["kanji", "rest"], ["KEYWORD"]),
            ({"text": "die RÜCKGABE"}, ["kanji", "rest"], ["KEYWORD"]),
            ({"capabilities": ["refunds"]}, ["boss", "cash"], ["CAPABILITY"]),
            ({"capabilities": ["refunds", "tea"]}, ["boss"], ["CAPABILITY", "CAPABILITY"]),
            ({"capabilities": ["refunds"], "text": "my refund"}, ["cash", "boss"], ["CAPABILITY", "KEYWORD"]),
            ({"capabilities": ["juggling"], "text": "my refund"}, [], []),
        ],
    )
    async def test_the_best_come_first(
        self, graph: Graph, input: Any, names: list[str], kinds: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(type(graph.context.embedder), "kindred", 0.8)
        found = await route(graph, **input)
        assert list(found) == names
        if names:
            assert [one["kind"] for one in found[names[0]]["reasons"]] == kinds
            scores = [one["score"] for one in found.values() if one["priority"] == 0]
            assert scores == sorted(scores, reverse=True)

    async def test_an_example_that_means_the_same(self, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(graph.context.embedder), "kindred", 0.8)
        found = await route(graph, text="black tea: steep!", first=1)
        [reason] = found["brew"]["reasons"]
        assert (reason["kind"], reason["detail"]) == ("EXAMPLE", "steep black tea")
        assert reason["score"] == pytest.approx(1) == found["brew"]["score"]
        await graph.do("upsertAgent", {"externalId": "brew", "routes": [{"examples": ["boil water"]}]})
        assert "brew" not in await route(graph, text="black tea: steep!")

    async def test_only_those_in_the_session(self, graph: Graph) -> None:
        actors = [{"type": "AGENT", "actor": {"externalId": name}} for name in ("boss", "idle")]
        await graph.do("createSession", {"externalId": "s", "participants": actors})
        here = {"session": {"externalId": "s"}}
        assert list(await route(graph, **here, capabilities=["refunds"])) == ["boss"]
        await graph.do("removeParticipant", {**here, "participant": {"externalId": "boss"}})
        assert list(await route(graph, **here, capabilities=["refunds"])) == []
        missing = {"session": {"externalId": "none"}, "text": "x"}
        assert await graph.refusal(ASK, input=missing) == ("NOT_FOUND", ["input", "session"])

    async def test_routes_are_kept_changed_and_carried(self, graph: Graph) -> None:
        query = '{ agent(by: {externalId: "cash"}) { routes { name keywords pattern examples priority isFallback } } }'
        kept = (await graph.data(query))["agent"]["routes"]
        assert kept == [
            {"name": "money", "keywords": ["refund", "money back"], "pattern": r"(?i)order \d{4}\b", "examples": [],
             "priority": 0, "isFallback": False}
        ]  # fmt: skip
        await graph.do("upsertAgent", {"externalId": "cash", "name": "Cash"})
        assert (await graph.data(query))["agent"]["routes"] == kept
        lines = [line async for line in jsonl.export(graph.context)]
        assert any(b"money back" in line for line in lines)
        await graph.do("upsertAgent", {"externalId": "cash", "routes": None})
        assert (await graph.data(query))["agent"]["routes"] == []


@pytest.mark.one_family
@pytest.mark.parametrize(
    ("routes", "path"),
    [
        ([{"name": "nowhere"}], ["routes", "0"]),
        ([{"isFallback": True}, {"keywords": []}], ["routes", "1"]),
        ([{"pattern": "("}], ["routes", "0", "pattern"]),
        ([{"pattern": "(?=x)"}], ["routes", "0", "pattern"]),
        ([{"pattern": "(a{500}){500}"}], ["routes", "0", "pattern"]),
        ([{"pattern": "x" * 1001}], ["routes", "0", "pattern"]),
        ([{"keywords": [" "]}], ["routes", "0", "keywords", "0"]),
        ([{"keywords": ["x"], "priority": 10_000}], ["routes", "0", "priority"]),
    ],
)
async def test_what_is_no_route(graph: Graph, routes: Any, path: list[str]) -> None:
    await graph.begin()
    assert await graph.fails("upsertAgent", {"externalId": "a", "routes": routes}) == ("INVALID", path)


@pytest.mark.one_family
async def test_something_must_be_asked(graph: Graph) -> None:
    for nothing in ({}, {"capabilities": []}, {"text": " "}):
        assert await graph.refusal(ASK, input=nothing) == ("INVALID", ["input", "text"])


@pytest.mark.one_family
async def test_no_pattern_takes_longer_than_its_text(graph: Graph) -> None:
    """With Python's own expressions this one would not end."""
    await graph.do("upsertAgent", {"externalId": "a", "routes": [{"pattern": "^(a+)+$"}, {"pattern": "(x+x+)+y"}]})
    assert await route(graph, text=f"{'a' * 50_000}{'x' * 40_000}!") == {}
