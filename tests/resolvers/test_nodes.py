"""Anything by its id."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

import pytest

from domain.caller import Caller, Role
from domain.formation import Origin
from domain.node import Node
from domain.session import Session
from resolvers.context import Context
from schema.build import build
from schema.fields import shown_by
from tests.support.graphql_client import Graph, Words

KINDS = """{
  session(by: {externalId: "s"}) { id participants { nodes { id } } messages { nodes { id thread { id } } } trace { nodes { id } } spans { nodes { id } } traces { nodes { id } } }
  user(by: {externalId: "ann"}) { id } agent(by: {externalId: "bot"}) { id }
  memory(by: {externalId: "a"}) { id history { nodes { id } } links { nodes { id } } recalls { nodes { id } } }
  state(namespace: "n", key: "k") { id } }"""


@pytest.fixture
async def everything(graph: Graph) -> dict[str, str]:
    """One of each kind, by type name."""
    session = {"session": {"externalId": "s"}}
    await graph.do("createSession", {"externalId": "s", "participants": [{"actor": {"externalId": "ann"}}]})
    await graph.do("upsertAgent", {"externalId": "bot"})
    await graph.do("addMessage", {**session, "role": "user", "text": "x", "thread": "t", "externalId": "m"})
    await graph.do(
        "createMemories", {"memories": [{"text": name, "scope": "GLOBAL", "externalId": name} for name in "ab"]}
    )
    await graph.do("updateMemory", {"memory": {"externalId": "a"}, "text": "a2"})
    await graph.do("linkMemories", {"links": [{"source": {"externalId": "a"}, "target": {"externalId": "b"}}]})
    await graph.do("recall", {"query": {"text": "a2"}, "threshold": 0, **session})
    await graph.do("startSpan", {**session, "name": "x"})
    await graph.do("setState", {"namespace": "n", "key": "k", "value": 1})
    data = await graph.data(KINDS)
    one, memory = data["session"], data["memory"]
    return {
        "ChatSession": one["id"],
        "Participant": one["participants"]["nodes"][0]["id"],
        "Message": one["messages"]["nodes"][0]["id"],
        "Thread": one["messages"]["nodes"][0]["thread"]["id"],
        "TraceEvent": one["trace"]["nodes"][0]["id"],
        "Span": one["spans"]["nodes"][0]["id"],
        "Trace": one["traces"]["nodes"][0]["id"],
        "User": data["user"]["id"],
        "Agent": data["agent"]["id"],
        "Memory": memory["id"],
        "MemoryVersion": memory["history"]["nodes"][0]["id"],
        "MemoryLink": memory["links"]["nodes"][0]["id"],
        "Recall": memory["recalls"]["nodes"][0]["id"],
        "StateEntry": data["state"]["id"],
    }


async def test_every_kind_by_its_id(graph: Graph, everything: dict[str, str]) -> None:
    for type, id in everything.items():
        assert (await graph.data("query ($id: ID!) { node(id: $id) { __typename id } }", id=id))["node"] == {
            "__typename": type,
            "id": id,
        }
    assert len({id.partition("_")[0] for id in everything.values()}) == len(everything)


async def test_many_in_order(graph: Graph, everything: dict[str, str]) -> None:
    ids = [*reversed(everything.values()), "mem_" + "0" * 32, *everything.values()]
    data = await graph.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert [node and node["id"] for node in data["nodes"]] == [None if id.endswith("0" * 32) else id for id in ids]


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "x",
        "mem",
        "mem_",
        "mem_" + "z" * 32,
        "mem_" + "0" * 31,
        "xxx_" + "0" * 32,
        "mem-" + "0" * 32,
        "\u0000" * 36,
        "é" * 36,
        "x" * 100_000,
        "'; --",
    ],
)
async def test_what_is_no_id(graph: Graph, everything: dict[str, str], garbage: str) -> None:
    data = await graph.data(
        "query ($id: ID!, $ids: [ID!]!) { node(id: $id) { id } nodes(ids: $ids) { id } }",
        id=garbage,
        ids=[garbage, everything["User"]],
    )
    assert data == {"node": None, "nodes": [None, {"id": everything["User"]}]}


async def test_no_id_and_too_many(graph: Graph) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert (await graph.data(query, ids=[]))["nodes"] == []
    assert (await graph.data(query, ids=["x"] * 1000))["nodes"] == [None] * 1000
    assert await graph.refusal(query, ids=["x"] * 1001) == ("INVALID", ["ids"])


@pytest.mark.parametrize(
    "query",
    [
        "session(by: $by) { id }",
        "user(by: $by) { id }",
        "agent(by: $by) { id }",
        "memory(by: $by) { id }",
    ],
)
@pytest.mark.parametrize(
    "by", [{"id": "garbage"}, {"id": ""}, {"externalId": "nowhere"}, {"externalId": ""}, {"externalId": "\u0000"}]
)
async def test_one_that_is_not_there_is_null(
    graph: Graph, everything: dict[str, str], query: str, by: dict[str, str]
) -> None:
    [found] = (await graph.data("query ($by: Ref!) { %s }" % query, by=by)).values()
    assert found is None


async def test_an_id_of_another_kind_is_not_there(graph: Graph, everything: dict[str, str]) -> None:
    query = (
        "query ($by: Ref!) { session(by: $by) { id } user(by: $by) { id } agent(by: $by) { id } memory(by: "
        "$by) { id } }"
    )
    for type, id in everything.items():
        found = await graph.data(query, by={"id": id})
        assert [name for name, one in found.items() if one] == [
            name
            for name, kind in (("session", "ChatSession"), ("user", "User"), ("agent", "Agent"), ("memory", "Memory"))
            if kind == type
        ]


async def test_workspaces_do_not_see_each_other(graph: Graph, everything: dict[str, str]) -> None:
    graph.context = Context(graph.engine, Words(), Caller("elsewhere", Role.ADMIN))
    await graph.begin()
    data = await graph.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=list(everything.values()))
    assert data["nodes"] == [None] * len(everything)
    data = await graph.data(KINDS)
    assert data == dict.fromkeys(data)
    assert await graph.fails(
        "addMessage", {"session": {"id": everything["ChatSession"]}, "role": "user", "text": "x"}
    ) == ("NOT_FOUND", ["session"])
    assert await graph.fails("deleteMemories", {"memories": [{"id": everything["Memory"]}]}) == (
        "NOT_FOUND",
        ["memories", "0"],
    )
    await graph.do("createSession", {"externalId": "s"})


@pytest.mark.both_families
async def test_viewer_and_health(graph: Graph, family: str) -> None:
    data = await graph.data(
        "{ viewer { name workspace rights } health { status stores { name status latencyMs reason circuit backlog } } }"
    )
    assert data["viewer"]["workspace"] == "default"
    assert data["viewer"]["rights"]
    assert data["health"]["status"] == "healthy"
    assert [store["status"] for store in data["health"]["stores"]] == ["healthy"] * (1 if family == "embedded" else 3)


async def test_one_selection_over_different_nodes(graph: Graph) -> None:
    session = (await graph.do("createSession", {"externalId": "s"}, "session { id }"))["session"]["id"]
    made = [{"externalId": name, "scope": "GLOBAL", "text": name} for name in "ab"]
    memories = (await graph.do("createMemories", {"memories": made}, "memories { id }"))["memories"]
    links = [{"source": {"externalId": "a"}, "target": {"externalId": "b"}, "kind": "SUPERSEDES"}]
    link = (await graph.do("linkMemories", {"links": links}, "links { id }"))["links"][0]["id"]
    span = await graph.do("startSpan", {"session": {"externalId": "s"}, "name": "x", "kind": "LLM"}, "span { id }")
    asked = """query ($ids: [ID!]!) { nodes(ids: $ids) {
      ... on ChatSession { status kind memories { totalCount } } ... on Memory { status type source { __typename } }
      ... on MemoryLink { kind source { text } } ... on Span { kind session { id } usage { totalTokens } }
      ... on TraceEvent { type session { id } namedMemories { id } } ... on Message { session { id } }
      ... on Participant { type role session { id } } ... on Trace { usage { totalTokens } } ... on StateEntry { value } } }"""
    ids = [session, *(one["id"] for one in memories), link, span["span"]["id"]]
    assert (await graph.data(asked, ids=ids))["nodes"] == [
        {"status": "ACTIVE", "kind": "CHAT", "memories": {"totalCount": 0}},
        {"status": "ACTIVE", "type": "EPISODIC", "source": None},
        {"status": "SUPERSEDED", "type": "EPISODIC", "source": None},
        {"kind": "SUPERSEDES", "source": {"text": "a"}},
        {"kind": "LLM", "session": {"id": session}, "usage": None},
    ]


def test_each_kind_of_record_is_shown_or_hidden() -> None:
    schema = build()
    nodes = {one.name for one in schema.get_possible_types(schema.type_map["Node"])}  # type: ignore[arg-type]
    shown = {record for record, type in shown_by().items() if type in nodes} | {Session}
    assert {record for record in Node.kinds.values() if not record.hidden} <= shown
    assert not {record for record in Node.kinds.values() if record.hidden} & shown, "by their ids"


async def test_what_is_hidden_is_not_there(graph: Graph) -> None:
    """Ids of records that are in exported files, but in no query."""
    await graph.do("createSession", {"externalId": "s"})
    await graph.do(
        "addMessage", {"session": {"externalId": "s"}, "role": "user", "text": "I am here.", "externalId": "m"}
    )
    await graph.do("formMemory", {"messages": [{"externalId": "m"}], "scope": "GLOBAL"})
    [origin] = await graph.context.store.scan(Origin, None, 10)
    asked = "query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } }"
    assert await graph.data(asked, id=origin.id) == {"node": None, "nodes": [None]}
