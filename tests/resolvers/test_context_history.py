"""The history of a session's context: a version for each change, and what it was at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

S = {"session": {"externalId": "s"}}
READ = """query ($filter: ContextVersionFilter, $times: Boolean = true) { session(by: {externalId: "s"}) { context
    contextHistory(filter: $filter) { totalCount nodes {
        version context comment replacedBy recordedAt @include(if: $times) replacedAt @include(if: $times) } } } }"""
AT = """query ($time: DateTime!) { session(by: {externalId: "s"}) { contextAt(time: $time) } }"""


async def patch(graph: Graph, **given: Any) -> None:
    graph.clock.forward(minutes=1)
    await graph.do("updateSession", {**S, "contextPatch": given})


async def test_each_change_is_a_version_with_time_and_reason(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s", "context": {"place": "home"}})
    begun = graph.clock.now + timedelta(seconds=1)
    await patch(graph, set={"place": "train"}, comment="she has left")
    first = graph.clock.now + timedelta(seconds=1)
    await patch(graph, set={"place": "train"})  # as it is
    await graph.do("updateSession", {**S, "title": "On the way"})
    await patch(graph, set={"place": "office", "mood": "calm"})
    second = graph.clock.now + timedelta(seconds=1)
    await patch(graph, remove=["mood"], comment="meeting")

    read = (await graph.data(READ, times=False))["session"]
    assert read["context"] == {"place": "office"}
    assert read["contextHistory"] == {
        "totalCount": 3,
        "nodes": [
            {"version": 4, "context": {"place": "office", "mood": "calm"}, "comment": "meeting", "replacedBy": "local"},
            {"version": 3, "context": {"place": "train"}, "comment": None, "replacedBy": "local"},
            {"version": 1, "context": {"place": "home"}, "comment": "she has left", "replacedBy": "local"},
        ],
    }
    nodes = (await graph.data(READ))["session"]["contextHistory"]["nodes"]
    assert [node["recordedAt"] for node in nodes[:2]] == [node["replacedAt"] for node in nodes[1:]]

    async def then(time: Any) -> Any:
        return (await graph.data(AT, time=time.isoformat()))["session"]["contextAt"]

    assert await then(begun.replace(year=2000)) is None
    assert await then(begun) == {"place": "home"}
    assert await then(first) == {"place": "train"}
    assert await then(second) == {"place": "office", "mood": "calm"}
    assert (
        await then(graph.clock.now + timedelta(seconds=1))
        == await then(second.replace(year=2100))
        == {"place": "office"}
    )

    async def among(**filter: Any) -> list[int]:
        found = await graph.data(READ, filter=filter)
        return [node["version"] for node in found["session"]["contextHistory"]["nodes"]]

    assert await among(inForce=first.isoformat()) == [3]
    assert await among(context={"mood": "calm"}) == [4]
    assert await among(replacedAt={"until": second.isoformat()}) == [3, 1]


async def test_a_refused_change_leaves_no_version_and_a_fork_begins_anew(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s", "context": {"a": 1}})
    await patch(graph, set={"a": 2})
    stale = {**S, "contextPatch": {"set": {"a": 3}}, "ifVersion": 1}
    assert await graph.fails("updateSession", stale) == ("CONFLICT", ["ifVersion"])
    blank = {**S, "contextPatch": {"set": {"a": 3}, "comment": " "}}
    assert await graph.fails("updateSession", blank) == ("INVALID", ["contextPatch", "comment"])
    made = await graph.do(
        "forkSession", {**S, "externalId": "fork"}, "session { context contextHistory { totalCount } }"
    )
    assert made["session"] == {"context": {"a": 2}, "contextHistory": {"totalCount": 0}}
    await graph.do("deleteSession", S)
    assert (await graph.data("{ sessions { nodes { externalId } } }"))["sessions"]["nodes"] == [{"externalId": "fork"}]


async def test_what_is_redacted_is_in_no_earlier_context(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s", "context": {"said": "my code is 4711"}})
    message = {"externalId": "m"}
    await graph.do("addMessage", {**S, "role": "user", "text": "my code is 4711", **message})
    await patch(graph, remove=["said"], comment="my code is 4711")
    await graph.do("redactMessage", {"message": message})
    [node] = (await graph.data(READ))["session"]["contextHistory"]["nodes"]
    assert (node["context"], node["comment"]) == ({"said": "[redacted]"}, "[redacted]")
    erased = await graph.do("eraseSession", S, "report { found stores { removed } }")
    assert erased["report"]["found"] == 0
    assert erased["report"]["stores"][0]["removed"]["context_version"] == 1
