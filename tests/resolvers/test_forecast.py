"""What will have become of memories by a time: checked against what then becomes of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.graphql_client import Clock, Graph

QUERY = """query ($at: DateTime!, $filter: MemoryFilter, $rate: Float! = 0.1, $first: Int! = 50, $zone: String! = "UTC") {
    memoryForecast(at: $at, filter: $filter, decayPerDay: $rate, first: $first, zone: $zone) {
        active faded ended expired evicted fates { memory { externalId } cause time }
        buckets { label startsAt faded ended expired evicted } } }"""


async def forecast(graph: Graph, days: float, **given: Any) -> Any:
    at = (graph.clock.now + timedelta(days=days)).isoformat()
    return (await graph.data(QUERY, at=at, **given))["memoryForecast"]


@pytest.mark.both_families
async def test_what_is_foreseen_comes_true(graph: Graph) -> None:
    ada = {"owner": {"externalId": "ada"}}
    until = (graph.clock.now + timedelta(days=2, hours=1)).isoformat()
    for name, more in {"ttl": {"ttlSeconds": 86_400}, "fact": {"validUntil": until}, "old": {}}.items():
        await graph.do(
            "createMemory", {**ada, "externalId": name, "text": name, "createdAt": "2020-01-01T00:00:00Z", **more}
        )
    told = await forecast(graph, 10)
    assert [(fate["memory"]["externalId"], fate["cause"]) for fate in told["fates"]] == [
        ("ttl", "EXPIRED"),
        ("fact", "ENDED"),
        *[(name, "FADED") for name in ("fact", "old")],
    ]
    assert (told["active"], told["faded"], told["ended"], told["expired"], told["evicted"]) == (3, 2, 1, 1, 0)
    assert [(one["label"][-2:], one["faded"], one["ended"], one["expired"]) for one in told["buckets"]] == [
        ("02", 0, 0, 1),
        ("03", 0, 1, 0),
        ("10", 2, 0, 0),
    ]
    in_berlin = await forecast(graph, 10, zone="Europe/Berlin")
    assert [one["startsAt"][11:16] for one in in_berlin["buckets"]] != [
        one["startsAt"][11:16] for one in told["buckets"]
    ]
    assert (await forecast(graph, 8.9))["faded"] == 0
    assert (await forecast(graph, 10, rate=0.0))["faded"] == 0
    assert [fate["cause"] for fate in (await forecast(graph, 10, filter={"text": "TTL"}))["fates"]] == ["EXPIRED"]
    for _ in range(9):
        graph.clock.forward(days=1)
        await graph.do("decayMemories", {"filter": {"owner": ada["owner"]}, "rate": 0.1})
    left = await graph.data(
        '{ memories(filter: {validAt: "2020-01-01T00:00:00Z"}) { nodes { externalId decayFactor } } }'
    )
    assert [one["decayFactor"] for one in left["memories"]["nodes"]] == [pytest.approx(0.1)] * 2
    assert (await forecast(graph, 10))["faded"] == 0


async def test_what_does_not_fade_is_not_foreseen_to(graph: Graph) -> None:
    """Working and procedural memories, unless the filter names types, as decayMemories has it."""
    for kind in ("EPISODIC", "SEMANTIC", "PROCEDURAL", "WORKING"):
        await graph.do("createMemory", {"externalId": kind, "text": kind, "type": kind, "owner": {"externalId": "ada"}})
    every: dict[str, Any] = {"filter": {"types": ["EPISODIC", "SEMANTIC", "PROCEDURAL", "WORKING"]}}
    for given, count in (({}, 2), (every, 4), ({"filter": {"types": ["WORKING"]}}, 1)):
        told = await forecast(graph, 10, **given)
        done = await graph.do(
            "decayMemories",
            {"rate": 0.9, "dryRun": True, **(given or {"filter": {"scopes": ["USER", "GLOBAL"]}})},
            "count",
        )
        assert (told["faded"], done["count"]) == (count, count)


async def test_those_pushed_out_are_those_that_are(folder: Path) -> None:
    """As many come as in the time before, and the same are archived for them."""
    graph = Graph(folder / "data", Clock(), capacity=20)
    try:
        ada = {"owner": {"externalId": "ada"}}
        old = [
            {
                **ada,
                "externalId": f"o{i}",
                "text": f"old {i}",
                "importance": i / 20,
                "createdAt": "2020-01-01T00:00:00Z",
            }
            for i in range(12)
        ]
        await graph.do("createMemories", {"memories": old})
        new = [{**ada, "externalId": f"n{i}", "text": f"new {i}", "importance": 1.0} for i in range(6)]
        await graph.do("createMemories", {"memories": new})
        graph.clock.forward(days=3)
        told = await forecast(graph, 4, rate=0.0)
        assert told["evicted"] == 6
        archived = set()
        for i in range(6):
            graph.clock.forward(hours=1)
            made = await graph.do(
                "createMemory", {**ada, "text": f"later {i}", "importance": 1.0}, "archived { externalId }"
            )
            archived |= {one["externalId"] for one in made["archived"]}
        assert archived == {fate["memory"]["externalId"] for fate in told["fates"]}
    finally:
        await graph.close()


@pytest.mark.parametrize(
    ("given", "days", "path"),
    [({}, -1, "at"), ({"rate": 1.5}, 1, "decayPerDay"), ({"rate": -0.1}, 1, "decayPerDay"), ({"first": 201}, 1, "first"), ({"zone": "Nowhere"}, 1, "zone")],
)  # fmt: skip
async def test_what_cannot_be_foreseen(graph: Graph, given: Any, days: int, path: str) -> None:
    at = (graph.clock.now + timedelta(days=days)).isoformat()
    assert await graph.refusal(QUERY, at=at, **given) == ("INVALID", [path])
