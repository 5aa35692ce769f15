"""The level loader: what one level asks for is one call of the store, however many parents there are."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from domain.actor import User
from domain.memory import Memory
from domain.message import Thread
from domain.participant import Participant
from stores.errors import Unavailable
from stores.ports import Collection
from tests.support.graphql_client import Graph


class Watched:
    """A store that counts its calls, and fails where it is told to."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: Counter[tuple[str, Any]] = Counter()
        self.broken: dict[tuple[str, Any], Exception] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        if not inspect.iscoroutinefunction(method):
            return method  # type: ignore[no-any-return]

        async def watched(*args: Any, **named: Any) -> Any:
            what = (name, args[0] if isinstance(args[0], type | Collection) else None)
            self.calls[what] += 1
            if what in self.broken:
                raise self.broken[what]
            return await method(*args, **named)

        return watched


@pytest.fixture
def watched(graph: Graph) -> Watched:
    store = graph.context.store = Watched(graph.context.store)  # type: ignore[assignment]
    return store  # type: ignore[return-value]


async def fill(graph: Graph, sessions: int, messages: int) -> None:
    """Sessions whose messages have senders, threads, parents, tool calls, and memories they draw on."""
    await graph.do(
        "createMemories",
        {
            "memories": [
                {"text": f"memory {i}", "owner": {"externalId": f"user {i % 5}"}, "externalId": f"m{i}"}
                for i in range(20)
            ]
        },
    )
    for s in range(sessions):
        people = [{"name": f"voice {i}", "actor": {"externalId": f"user {i}"}} for i in range(5)]
        await graph.do("createSession", {"externalId": f"s{s}", "title": f"session {s}", "participants": people})
        await graph.do(
            "addMessages",
            {
                "session": {"externalId": f"s{s}"},
                "messages": [
                    {
                        "sender": {"externalId": f"user {i % 5}"},
                        "content": [
                            {"text": f"text {i}"},
                            {"toolCall": {"callId": f"c{i}", "tool": "t", "arguments": i}},
                        ],
                        "thread": f"thread {i % 3}",
                        "externalId": f"s{s}-{i}",
                        "parent": {"externalId": f"s{s}-{i - 1}"} if i else None,
                        "memoryRefs": [{"memory": {"externalId": f"m{i % 20}"}}, {"memory": {"externalId": "m0"}}],
                    }
                    for i in range(messages)
                ],
            },
        )


DEEP = """
query Deep($n: Int!) {
  session(by: {externalId: "s0"}) {
    said: messages(first: $n) {
      totalCount
      nodes { ...Said thread { name session { title } } }
    }
    again: messages(last: $n) { edges { node { ...Said parent { ...Said } } } }
  }
}
fragment Said on Message {
  id
  ...Heard
  sender { name actor { ... on User { id name } } }
  toolCalls { response { result } }
}
fragment Heard on Message { memoryRefs { memory { text owner { ... on Node { id } } } } }
"""


class TestOneCallForALevel:
    async def test_messages_senders_references_and_memories(self, graph: Graph, watched: Watched) -> None:
        await fill(graph, 1, 200)
        counts = []
        for n in (2, 200):
            watched.calls.clear()
            data = await graph.data(DEEP, n=n)
            said = data["session"]["said"]["nodes"]
            assert len(said) == len(data["session"]["again"]["edges"]) == n
            assert [message["sender"]["name"] for message in said[:6]] == [f"voice {i % 5}" for i in range(min(n, 6))]
            assert said[1]["memoryRefs"][0]["memory"]["text"] == "memory 1"
            assert said[1]["thread"] == {"name": "thread 1", "session": {"title": "session 0"}}
            counts.append(dict(watched.calls))
        assert counts[0] == counts[1], "the number of calls does not depend on the number of rows"
        calls = counts[1]
        assert calls["pages", Collection.SESSION_MESSAGES] == 2
        assert calls["counts", None] == 1
        places = 3  # where the query speaks of messages: said, again, and their parents
        for once in (("get", Participant), ("memory_refs", None), ("responses", None)):
            assert 1 <= calls[once] <= places
        assert calls.get(("get", Memory), 0) <= places, "they may have come with the references"
        assert calls["get", User] <= 2 * places, "actors of senders and owners of memories"
        assert calls["get", Thread] == 1

    async def test_relations_of_many_lists_are_gathered_too(self, graph: Graph, watched: Watched) -> None:
        await fill(graph, 20, 3)
        query = """query ($n: Int!) { sessions(first: $n) { nodes {
            traceCursor messages(first: 3) { totalCount nodes { sender { session { id } messages { nodes { id } } } } } } } }"""
        counts = []
        for n in (1, 20):
            watched.calls.clear()
            data = await graph.data(query, n=n)
            assert [len(session["messages"]["nodes"]) for session in data["sessions"]["nodes"]] == [3] * n
            counts.append(dict(watched.calls))
        assert counts[0] == counts[1]
        assert set(counts[1].values()) == {1}

    async def test_lists_below_interfaces_and_unions(self, graph: Graph, watched: Watched) -> None:
        await fill(graph, 2, 20)
        data = await graph.data(
            "{ memories(first: 20) { nodes { id } } sessions { nodes { id messages { nodes { id } } } } }"
        )
        ids = [node["id"] for node in data["memories"]["nodes"] + data["sessions"]["nodes"]]
        ids += [message["id"] for session in data["sessions"]["nodes"] for message in session["messages"]["nodes"]]
        watched.calls.clear()
        query = """query ($ids: [ID!]!) { nodes(ids: $ids) { id
            ... on Memory { owner { ... on User { memories(first: 1) { nodes { id } } } } }
            ... on Message { thread { name } } ... on Session { participants { nodes { name } } } } }"""
        found = await graph.data(query, ids=ids)
        assert [node["id"] for node in found["nodes"]] == ids
        assert set(watched.calls.values()) == {1}

    async def test_the_same_place_with_other_arguments_is_another_call(self, graph: Graph, watched: Watched) -> None:
        await fill(graph, 2, 4)
        watched.calls.clear()
        query = (
            "{ sessions { nodes { a: messages(first: 1) { nodes { text } } b: messages(last: 1) { nodes { text } "
            "} } } }"
        )
        data = await graph.data(query)
        for session in data["sessions"]["nodes"]:
            assert session["a"]["nodes"] == [{"text": "text 0"}]
            assert session["b"]["nodes"] == [{"text": "text 3"}]
        assert watched.calls["pages", Collection.SESSION_MESSAGES] == 2


class TestFailure:
    @pytest.mark.parametrize(
        ("failure", "code"), [(RuntimeError("secret"), "INTERNAL"), (Unavailable("secret"), "UNAVAILABLE")]
    )
    async def test_a_batch_that_fails_is_an_error_of_each_parent(
        self,
        graph: Graph,
        watched: Watched,
        caplog: pytest.LogCaptureFixture,
        failure: Exception,
        code: str,
    ) -> None:
        await fill(graph, 1, 200)
        watched.broken["get", Thread] = failure
        watched.calls.clear()
        answer = await graph.ask(
            '{ session(by: {externalId: "s0"}) { messages(first: 200) { nodes { text thread { name } } } } }'
        )
        nodes = answer["data"]["session"]["messages"]["nodes"]
        assert nodes == [{"text": f"text {i}", "thread": None} for i in range(200)]
        assert [error["path"] for error in answer["errors"]] == [
            ["session", "messages", "nodes", i, "thread"] for i in range(200)
        ]
        assert {error["extensions"]["code"] for error in answer["errors"]} == {code}
        assert "secret" not in str(answer), "no detail outside"
        if code == "INTERNAL":
            [id] = {error["extensions"]["requestId"] for error in answer["errors"]}
            assert id in caplog.text
            assert "secret" in caplog.text, "the log has it, under the id that was told"
        assert watched.calls["get", Thread] <= 2, "it is not tried again for each parent"

    async def test_one_that_must_not_be_null_takes_its_parents_with_it(self, graph: Graph, watched: Watched) -> None:
        await fill(graph, 1, 50)
        watched.broken["get", Participant] = Unavailable("full")
        watched.calls.clear()
        answer = await graph.ask(
            '{ session(by: {externalId: "s0"}) { title messages(first: 50) { nodes { sender { name } } } } }'
        )
        assert answer["data"] == {"session": None}
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"UNAVAILABLE"}
        assert watched.calls["get", Participant] <= 2

    async def test_wrong_arguments_of_a_relation_reach_the_store_not_at_all(
        self, graph: Graph, watched: Watched
    ) -> None:
        await fill(graph, 3, 1)
        watched.calls.clear()
        answer = await graph.ask("{ sessions { nodes { messages(first: 1001) { nodes { id } } } } }")
        assert {(e["extensions"]["code"], *e["extensions"]["path"]) for e in answer["errors"]} == {("INVALID", "first")}
        assert watched.calls["pages", Collection.SESSION_MESSAGES] == 0
