"""Transactions: all of their operations or none, in order, each seeing those before it."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import ErrorCode, reject
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

RESULTS = "results { operation nodes { id __typename } }"


def ref(name: str) -> dict[str, str]:
    return {"externalId": name}


def made(place: str) -> dict[str, str]:
    return {"id": f"result:{place}"}


STORY: list[dict[str, Any]] = [
    {"upsertUser": {"externalId": "ann"}},
    {"createSession": {"title": "talk", "participants": [{"actor": ref("ann")}]}},
    {"addMessages": {"session": made("1"), "messages": [{"role": "user", "text": "one"}, {"role": "user", "text": "two"}]}},
    {"createMemory": {"text": "ann likes tea", "owner": made("0"), "sourceMessage": made("2.1")}},
    {"createMemories": {"memories": [{"text": "b", "scope": "GLOBAL"}, {"text": "c", "scope": "GLOBAL"}]}},
    {"linkMemories": {"links": [{"source": made("3"), "target": made("4.1")}]}},
    {"updateMemory": {"memory": made("3"), "importance": 0.9}},
    {"annotate": {"target": "result:3", "name": "good", "value": 1, "by": made("0")}},
    {"setState": {"namespace": "n", "key": "k", "value": {"at": 1}}},
    {"emit": {"session": made("1"), "type": "told", "data": {"n": 1}}},
    {"startSpan": {"session": made("1"), "name": "work", "traceId": "0f", "spanId": "0a"}},
    {"endSpan": {"span": "result:10"}},
    {"deleteMemories": {"memories": [made("4")]}},
    {"unlinkMemories": {"links": ["result:5"]}},
    {"addMessage": {"session": made("1"), "sender": made("0"), "text": "three"}},
]  # fmt: skip


async def run(graph: Graph, operations: list[Any], **more: Any) -> Any:
    return (await graph.do("transaction", {"operations": operations, **more}, RESULTS))["results"]


async def test_later_operations_name_what_earlier_ones_made(graph: Graph) -> None:
    results = await run(graph, STORY)
    assert [one["operation"] for one in results] == [name for operation in STORY for name in operation]
    kinds = [[node["__typename"] for node in one["nodes"]] for one in results]
    assert kinds[:6] == [["User"], ["ChatSession"], ["Message"] * 2, ["Memory"], ["Memory"] * 2, ["MemoryLink"]]
    seen = await graph.data(
        "{ memories { nodes { text importance owner { ... on User { externalId } } links { totalCount } "
        "annotations { nodes { name } } source { ... on Message { text } } } } "
        'sessions { nodes { messages { nodes { text sender { name } } } trace(filter: {types: ["told"]}) { totalCount } } } '
        'state(namespace: "n", key: "k") { value } trace(traceId: "0f") { spans { nodes { durationMs } } } }'
    )
    tea = {
        "text": "ann likes tea",
        "importance": 0.9,
        "owner": {"externalId": "ann"},
        "links": {"totalCount": 0},
        "annotations": {"nodes": [{"name": "good"}]},
        "source": {"text": "two"},
    }
    assert sorted(seen["memories"]["nodes"], key=lambda one: one["text"])[0] == tea
    assert len(seen["memories"]["nodes"]) == 2
    [session] = seen["sessions"]["nodes"]
    assert [(one["text"], one["sender"]["name"]) for one in session["messages"]["nodes"]] == [
        ("one", "ann"), ("two", "ann"), ("three", "ann")
    ]  # fmt: skip
    assert (session["trace"]["totalCount"], seen["state"]["value"]) == (1, {"at": 1})
    assert seen["trace"]["spans"]["nodes"][0]["durationMs"] is not None


@pytest.mark.parametrize(
    ("operation", "code", "path"),
    [
        ({"createMemory": {"text": "x"}}, "INVALID", ["createMemory", "owner"]),
        ({"addMessage": {"session": ref("none"), "role": "user", "text": "x"}}, "NOT_FOUND", ["addMessage", "session"]),
        ({"updateMemory": {"memory": made("15"), "text": "x"}}, "INVALID", ["updateMemory", "memory", "id"]),
        ({"updateMemory": {"memory": made("-1"), "text": "x"}}, "INVALID", ["updateMemory", "memory", "id"]),
        ({"updateMemory": {"memory": made("4.2"), "text": "x"}}, "NOT_FOUND", ["updateMemory", "memory"]),
        ({"updateMemory": {"memory": made("0"), "text": "x"}}, "NOT_FOUND", ["updateMemory", "memory"]),
        ({"setState": {"namespace": "n", "key": "k", "value": 1, "ifVersion": 7}}, "CONFLICT", ["setState", "ifVersion"]),
        ({"createSession": {"participants": [{"externalId": "p"}, {"externalId": "p"}]}}, "DUPLICATE", ["createSession", "participants", "1"]),
        ({"annotate": {"target": "result:1.5", "name": "n", "value": 1}}, "NOT_FOUND", ["annotate", "target"]),
        ({"emit": {"session": made("1"), "type": "x", "parent": ref("none")}}, "NOT_FOUND", ["emit", "parent"]),
    ],
)  # fmt: skip
async def test_what_one_cannot_do_none_does(graph: Graph, operation: Any, code: str, path: list[str]) -> None:
    await graph.begin()
    refused = await graph.fails("transaction", {"operations": [*STORY, operation]})
    assert refused == (code, ["operations", str(len(STORY)), *path])


async def test_a_fault_at_any_step_leaves_nothing(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an operation has written goes with one that fails behind it, by a refusal or by a fault of ours."""
    from resolvers.transaction import _Step

    await graph.begin()
    original = _Step.run
    for fault in (reject(ErrorCode.CONFLICT, "Not now.", []), RuntimeError("a fault")):
        for place in range(len(STORY)):

            async def breaks(step: Any, tx: Any, place: int = place, fault: Exception = fault) -> Any:
                result = await original(step, tx)
                if step._asked.place == place:
                    raise fault
                return result

            monkeypatch.setattr(_Step, "run", breaks)
            with graph.untouched():
                query = "mutation ($i: TransactionInput!) { transaction(input: $i) { errors { code } } }"
                answer = await graph.ask(query, i={"operations": STORY})
            assert "errors" in answer or answer["data"]["transaction"]["errors"] == [{"code": "CONFLICT"}]
    monkeypatch.setattr(_Step, "run", original)
    assert len(await run(graph, STORY)) == len(STORY)


async def test_an_idempotency_key_counts_once(graph: Graph) -> None:
    first = await run(graph, STORY[:4], idempotencyKey="k")
    with graph.untouched():
        assert await run(graph, STORY[:4], idempotencyKey="k") == first
    assert await graph.fails("transaction", {"operations": STORY[:3], "idempotencyKey": "k"}) == (
        "CONFLICT", ["idempotencyKey"]
    )  # fmt: skip


async def test_followers_hear_after_the_commit_and_in_order(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    events = [{"emit": {"session": ref("s"), "type": f"e{i}"}} for i in range(5)]
    follow = 'subscription { sessionTrace(session: {externalId: "s"}) { node { type } } }'
    start = 'query { session(by: {externalId: "s"}) { traceCursor } }'
    cursor = (await graph.data(start))["session"]["traceCursor"]
    follow = 'subscription ($a: String) { sessionTrace(session: {externalId: "s"}, after: $a) { node { type } } }'
    async with graph.follow(follow, a=cursor) as heard:
        assert await graph.fails("transaction", {"operations": [*events, {"endSession": {"session": ref("no")}}]}) == (
            "NOT_FOUND", ["operations", "5", "endSession", "session"]
        )  # fmt: skip
        await run(graph, events)
        assert [one["sessionTrace"]["node"]["type"] for one in await heard.next(5)] == [f"e{i}" for i in range(5)]


async def test_what_changes_nothing_writes_nothing(graph: Graph) -> None:
    same = [{"setState": {"namespace": "n", "key": "k", "value": 1}}, {"upsertUser": {"externalId": "u", "name": "U"}}]
    await run(graph, same)
    with graph.untouched():
        again = await run(graph, same)
    assert [len(one["nodes"]) for one in again] == [1, 1]


async def test_limits(graph: Graph) -> None:
    one = {"setState": {"namespace": "n", "key": "k", "value": 1}}
    assert await graph.fails("transaction", {"operations": []}) == ("INVALID", ["operations"])
    assert await graph.fails("transaction", {"operations": [one] * 1001}) == ("INVALID", ["operations"])
    supersedes = {"linkMemories": {"links": [{"source": ref("a"), "target": ref("b"), "kind": "SUPERSEDES"}]}}
    code, path = await graph.fails("transaction", {"operations": [supersedes, supersedes]})
    assert (code, path) == ("INVALID", ["operations", "1", "linkMemories"])
