"""Idempotency keys: a retry gives the first result and writes nothing."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest

from tests.support.graphql_client import Graph, ids

S = {"session": {"externalId": "s"}}
GLOBAL = {"scope": "GLOBAL"}

CREATES: dict[str, tuple[dict[str, Any], str]] = {
    "createSession": ({"title": "t", "participants": [{"name": "Ann"}]}, "session { id participants { nodes { id } } }"),
    "addParticipant": ({**S, "name": "Bob"}, "participant { id }"),
    "upsertUser": ({"externalId": "ann", "name": "Ann"}, "user { id name }"),
    "upsertAgent": ({"externalId": "bot", "name": "Bot"}, "agent { id name }"),
    "addMessage": ({**S, "role": "user", "text": "x", "externalId": "m"}, "message { id text }"),
    "addMessages": ({**S, "messages": [{"role": "user", "text": text} for text in "abc"]}, "messages { id text }"),
    "createMemory": ({"text": "x", **GLOBAL, "externalId": "new"}, "memory { id } archived { id }"),
    "createMemories": ({"memories": [{"text": text, **GLOBAL} for text in "abc"]}, "memories { id text } archived { id }"),
    "linkMemories": ({"links": [{"source": {"externalId": "a"}, "target": {"externalId": "b"}}]}, "links { id weight }"),
    "appendTraceEvents": ({**S, "events": [{"type": "x", "externalId": "e"}, {"type": "y"}]}, "accepted endCursor"),
    "startSpan": ({**S, "name": "x"}, "span { id traceId spanId }"),
    "setState": ({"namespace": "n", "key": "k", "value": {"a": 1}}, "state { id version value }"),
    "setStates": ({"entries": [{"namespace": "n", "key": key, "value": 1} for key in "ab"]}, "states { id version key }"),
}  # fmt: skip

OTHER: dict[str, dict[str, Any]] = {
    "createSession": {"title": "other"},
    "addParticipant": {"name": "Cas"},
    "upsertUser": {"name": "Anna"},
    "upsertAgent": {"name": "Bott"},
    "addMessage": {"text": "y"},
    "addMessages": {"messages": [{"role": "user", "text": "a"}]},
    "createMemory": {"importance": 0.6},
    "createMemories": {"memories": []},
    "linkMemories": {"links": []},
    "appendTraceEvents": {"events": []},
    "startSpan": {"name": "y"},
    "setState": {"value": {"a": 2}},
    "setStates": {"entries": []},
}


@pytest.fixture(autouse=True)
async def there(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    await graph.do("createMemories", {"memories": [{"text": name, **GLOBAL, "externalId": name} for name in "ab"]})


@pytest.mark.parametrize("mutation", CREATES)
class TestEveryCreate:
    @pytest.mark.both_families
    async def test_the_same_again_gives_the_same_and_writes_nothing(self, graph: Graph, mutation: str) -> None:
        input, returning = CREATES[mutation]
        first = await graph.do(mutation, {**input, "idempotencyKey": "k"}, returning)
        for hours in (0, 24, 6 * 24 - 1):
            graph.clock.forward(hours=hours)
            with graph.untouched():
                assert await graph.do(mutation, {**deepcopy(input), "idempotencyKey": "k"}, returning) == first

    async def test_another_input_is_a_conflict(self, graph: Graph, mutation: str) -> None:
        input, returning = CREATES[mutation]
        await graph.do(mutation, {**input, "idempotencyKey": "k"}, returning)
        other = {**input, **OTHER[mutation], "idempotencyKey": "k"}
        assert await graph.fails(mutation, other) == ("CONFLICT", ["idempotencyKey"])

    async def test_a_key_of_another_mutation_is_a_conflict(self, graph: Graph, mutation: str) -> None:
        input, _ = CREATES[mutation]
        await graph.do("setState", {"namespace": "other", "key": "k", "value": 1, "idempotencyKey": "k"})
        assert await graph.fails(mutation, {**input, "idempotencyKey": "k"}) == ("CONFLICT", ["idempotencyKey"])

    async def test_a_write_that_failed_leaves_the_key_free(self, graph: Graph, mutation: str) -> None:
        input, returning = CREATES[mutation]
        await graph.do("setState", {"namespace": "n", "key": "k", "value": 0})
        wrong = {"namespace": "n", "key": "k", "value": 0, "ifVersion": 7, "idempotencyKey": "k"}
        assert await graph.fails("setState", wrong) == ("CONFLICT", ["ifVersion"])
        await graph.do(mutation, {**input, "idempotencyKey": "k"}, returning)

    @pytest.mark.parametrize("key", ["", "x" * 1001])
    async def test_keys_that_cannot_be(self, graph: Graph, mutation: str, key: str) -> None:
        input, _ = CREATES[mutation]
        assert await graph.fails(mutation, {**input, "idempotencyKey": key}) == ("INVALID", ["idempotencyKey"])


@pytest.mark.both_families
@pytest.mark.parametrize("mutation", ["createSession", "addMessages", "createMemories", "linkMemories", "setState"])
async def test_a_key_is_kept_for_a_week(graph: Graph, mutation: str) -> None:
    input, returning = CREATES[mutation]
    await graph.do(mutation, {**input, "idempotencyKey": "k"}, returning)
    graph.clock.forward(days=6, hours=23)
    assert await graph.fails(mutation, {**input, **OTHER[mutation], "idempotencyKey": "k"}) == (
        "CONFLICT",
        ["idempotencyKey"],
    )
    graph.clock.forward(hours=2)
    await graph.do(mutation, {**input, **OTHER[mutation], "idempotencyKey": "k"}, returning)


@pytest.mark.both_families
async def test_the_order_of_a_list_is_kept(graph: Graph) -> None:
    batch = {"memories": [{"text": str(i), **GLOBAL} for i in range(50)], "idempotencyKey": "k"}
    first = await graph.do("createMemories", batch, "memories { id text }")
    assert (await graph.do("createMemories", batch, "memories { id text }"))["memories"] == first["memories"]


@pytest.mark.both_families
async def test_members_in_another_order_say_the_same(graph: Graph) -> None:
    """What lies deep in JSON too, and a number however it is written; the order of a list tells."""
    first = {"namespace": "n", "key": "k", "value": {"a": [{"x": 1, "y": 2.5}, 2], "b": {}}, "idempotencyKey": "k"}
    same = {"idempotencyKey": "k", "value": {"b": {}, "a": [{"y": 2.5, "x": 1.0}, 2]}, "key": "k", "namespace": "n"}
    made = await graph.do("setState", first, "state { id version value }")
    with graph.untouched():
        assert await graph.do("setState", same, "state { id version value }") == made
    for value in ({"a": [2, {"x": 1, "y": 2.5}], "b": {}}, {"a": [{"x": True, "y": 2.5}, 2], "b": {}}):
        assert await graph.fails("setState", {**first, "value": value}) == ("CONFLICT", ["idempotencyKey"])


async def test_a_retry_shows_what_became_of_it(graph: Graph) -> None:
    input = {"text": "x", **GLOBAL, "externalId": "new", "idempotencyKey": "k"}
    made = (await graph.do("createMemory", input, "memory { id text }"))["memory"]
    await graph.do("updateMemory", {"memory": {"externalId": "new"}, "text": "y"})
    assert (await graph.do("createMemory", input, "memory { id text }"))["memory"] == {"id": made["id"], "text": "y"}
    await graph.do("deleteMemories", {"memories": [{"externalId": "new"}]})
    with graph.untouched():
        assert (await graph.do("createMemory", input, "memory { id }"))["memory"] is None, "it was written, and is gone"


async def test_defaults_that_are_written_out_are_the_same_input(graph: Graph) -> None:
    input = {"text": "x", **GLOBAL, "idempotencyKey": "k"}
    first = await graph.do("createMemory", input, "memory { id }")
    same = {**input, "importance": 0.5, "type": "EPISODIC", "tags": None}
    assert await graph.do("createMemory", same, "memory { id }") == first


@pytest.mark.both_families
async def test_many_at_once_write_once(graph: Graph) -> None:
    input = {"memories": [{"text": "x", **GLOBAL}], "idempotencyKey": "k"}
    done = await asyncio.gather(*[graph.do("createMemories", input, "memories { id }") for _ in range(20)])
    assert len({ids(one["memories"])[0] for one in done}) == 1
    assert (await graph.data("{ memories { totalCount } }"))["memories"]["totalCount"] == 3


@pytest.mark.both_families
async def test_many_different_ones_at_once_all_count(graph: Graph) -> None:
    async def one(i: int) -> Any:
        if i % 10 == 9:
            return await graph.answered("addMessage", {**S, "role": "wrong", "text": "x"})
        return await graph.do(
            "addMessage", {**S, "role": "user", "senderName": f"n{i % 3}", "text": str(i)}, "message { text }"
        )

    await asyncio.gather(*[one(i) for i in range(100)])
    data = await graph.data(
        '{ session(by: {externalId: "s"}) { messageCount participants { totalCount } messages(first: 200) { '
        "nodes { text } } } }"
    )
    assert data["session"]["messageCount"] == 90
    assert data["session"]["participants"]["totalCount"] == 3
    assert sorted(int(node["text"]) for node in data["session"]["messages"]["nodes"]) == [
        i for i in range(100) if i % 10 != 9
    ]
