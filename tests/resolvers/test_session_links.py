"""Links between sessions: seen from both sides, of several kinds, without circles; forks are told as links."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.graphql_client import Graph, ids

pytestmark = pytest.mark.both_families

LINK = "links { id kind metadata source { externalId } target { externalId } }"
READ = """query ($name: String!, $direction: LinkDirection, $kinds: [SessionLinkKind!]) {
    session(by: {externalId: $name}) { links(direction: $direction, kinds: $kinds, first: 9) {
        totalCount nodes { kind source { externalId } target { externalId } } } } }"""


def tie(source: str, target: str, kind: str = "RELATED", **more: Any) -> dict[str, Any]:
    return {"source": {"externalId": source}, "target": {"externalId": target}, "kind": kind, **more}


async def seen(graph: Graph, name: str, **asked: Any) -> list[str]:
    """A session's links, newest first, each as source, kind, target."""
    found = (await graph.data(READ, name=name, **{"direction": "BOTH", **asked}))["session"]["links"]
    assert found["totalCount"] == len(found["nodes"])
    return [f"{one['source']['externalId']} {one['kind']} {one['target']['externalId']}" for one in found["nodes"]]


@pytest.fixture
async def graph(graph: Graph) -> Graph:
    for name in "abcd":
        await graph.do("createSession", {"externalId": name})
    return graph


async def test_both_sides_see_a_link_until_it_or_one_of_them_is_gone(graph: Graph) -> None:
    first = [
        tie("a", "b", metadata={"why": "tea"}),
        tie("b", "a"),
        tie("a", "b", "CONTINUES"),
        tie("c", "a", "PART_OF"),
    ]
    made = (await graph.do("linkSessions", {"links": first}, LINK))["links"]
    assert [one["metadata"] for one in made] == [{"why": "tea"}, {}, {}, {}]
    assert len({*ids(made)}) == 4
    all_of_a = {"a RELATED b", "b RELATED a", "a CONTINUES b", "c PART_OF a"}
    assert {*await seen(graph, "a")} == all_of_a
    assert {*await seen(graph, "b")} == all_of_a - {"c PART_OF a"}
    assert await seen(graph, "a", direction="IN", kinds=["PART_OF", "CONTINUES"]) == ["c PART_OF a"]
    assert {*await seen(graph, "a", direction="OUT")} == {"a RELATED b", "a CONTINUES b"}

    again = (await graph.do("linkSessions", {"links": [tie("a", "b", metadata={"why": "mint"})]}, LINK))["links"]
    assert (again[0]["id"], again[0]["metadata"]) == (made[0]["id"], {"why": "mint"})
    with graph.untouched():
        await graph.do("linkSessions", {"links": [tie("a", "b"), tie("a", "b", metadata={"why": "mint"})]})
    shown = "query ($id: ID!) { node(id: $id) { ... on SessionLink { kind metadata target { title } } } }"
    assert (await graph.data(shown, id=made[0]["id"]))["node"]["metadata"] == {"why": "mint"}

    await graph.do("unlinkSessions", {"links": [made[1]["id"]]})
    assert "b RELATED a" not in await seen(graph, "b")
    assert await graph.fails("unlinkSessions", {"links": ids(made[:2])}) == ("NOT_FOUND", ["links", "1"])
    await graph.do("deleteSession", {"session": {"externalId": "b"}})
    assert await seen(graph, "a") == ["c PART_OF a"]
    assert (await graph.data(shown, id=made[0]["id"]))["node"] is None


@pytest.mark.parametrize(
    ("wrong", "code", "path"),
    [
        ([tie("a", "b"), tie("a", "a")], "INVALID", ["links", "1", "target"]),
        ([tie("a", "x")], "NOT_FOUND", ["links", "0", "target"]),
        ([tie("x", "a")], "NOT_FOUND", ["links", "0", "source"]),
        ([tie("a", "b", "FORKED_FROM")], "INVALID", ["links", "0", "kind"]),
        ([tie("b", "a", "CONTINUES")], "INVALID", ["links", "0", "target"]),
        ([tie("c", "d", "CONTINUES"), tie("d", "a", "CONTINUES")], "INVALID", ["links", "1", "target"]),
        ([tie("c", "d", "PART_OF"), tie("d", "c", "PART_OF")], "INVALID", ["links", "1", "target"]),
    ],
)
async def test_what_cannot_be_linked(graph: Graph, wrong: Any, code: str, path: list[str]) -> None:
    """All or none; a and b, and b and c, are linked one way."""
    await graph.do("linkSessions", {"links": [tie("a", "b", "CONTINUES"), tie("b", "c", "CONTINUES")]})
    assert await graph.fails("linkSessions", {"links": wrong}) == (code, path)
    await graph.do("linkSessions", {"links": [tie("b", "a"), tie("c", "a", "REFERS_TO"), tie("a", "c", "CONTINUES")]})


@pytest.mark.parametrize("ends", [["ab", "ba"], ["ab", "bc", "ca"]])
async def test_of_links_that_together_lead_back_one_is_refused_though_all_are_made_at_once(
    graph: Graph, ends: list[str]
) -> None:
    """Each alone may be made, and none is there when any of them begins."""
    asked = [{"links": [tie(source, target, "PART_OF")]} for source, target in ends]
    answers = await asyncio.gather(*(graph.answered("linkSessions", one, LINK) for one in asked))
    refused = [error["code"] for one in answers for error in one["errors"]]
    assert (refused, sum(one["links"] is not None for one in answers)) == (["INVALID"], len(ends) - 1)
    there = {*await seen(graph, "a"), *await seen(graph, "b"), *await seen(graph, "c")}
    assert len(there) == len(ends) - 1


async def test_a_fork_is_told_as_a_link_that_stays(graph: Graph) -> None:
    await graph.do("addMessage", {"session": {"externalId": "a"}, "role": "user", "text": "hello"})
    await graph.do("forkSession", {"session": {"externalId": "a"}, "externalId": "fork"})
    assert await seen(graph, "a") == await seen(graph, "fork") == ["fork FORKED_FROM a"]
    found = await graph.data('{ session(by: {externalId: "fork"}) { links { nodes { id } } } }')
    stays = {"links": ids(found["session"]["links"]["nodes"])}
    assert await graph.fails("unlinkSessions", stays) == ("CONFLICT", ["links", "0"])
    await graph.do("deleteSession", {"session": {"externalId": "a"}})
    assert await seen(graph, "fork") == []


async def test_within_a_transaction(graph: Graph) -> None:
    new = {"createSession": {"externalId": "new"}}
    link = {
        "linkSessions": {"links": [{"source": {"id": "result:0"}, "target": {"externalId": "a"}, "kind": "PART_OF"}]}
    }
    await graph.do("transaction", {"operations": [new, link]})
    assert await seen(graph, "a") == ["new PART_OF a"]
    twice = [{"linkSessions": {"links": [tie(*ends, "CONTINUES")]}} for ends in (("b", "c"), ("c", "b"))]
    code, path = await graph.fails("transaction", {"operations": twice})
    assert (code, path) == ("INVALID", ["operations", "1", "linkSessions", "links", "0", "target"])
    back = [tie("c", "later", "CONTINUES"), tie("later", "c", "CONTINUES")]
    late = [{"createSession": {"externalId": "later"}}, {"linkSessions": {"links": back}}]
    code, path = await graph.fails("transaction", {"operations": late})
    assert (code, path) == ("INVALID", ["operations", "1", "linkSessions", "links", "1", "target"])
