"""Links between memories, and walks along them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph, ids

KINDS = ["RELATED", "DERIVED_FROM", "SUPPORTS", "CONTRADICTS", "SUPERSEDES", "CAUSES", "PRECEDES"]
LINK = "links { id kind weight metadata createdAt source { externalId } target { externalId } }"


def ref(name: str) -> dict[str, str]:
    return {"externalId": name}


async def memories(graph: Graph, names: str, **more: Any) -> None:
    batch = [{"text": f"memory {name}", "scope": "GLOBAL", "externalId": name, **more} for name in names]
    await graph.do("createMemories", {"memories": batch})


async def link(graph: Graph, *links: str, **more: Any) -> Any:
    """Links given as "ab": from a to b."""
    given = [{"source": ref(pair[0]), "target": ref(pair[1]), **more} for pair in links]
    return (await graph.do("linkMemories", {"links": given}, LINK))["links"]


async def links_of(graph: Graph, name: str, **arguments: Any) -> list[str]:
    query = """query ($name: String!, $d: LinkDirection! = BOTH, $k: [MemoryLinkKind!]) { memory(by: {externalId: $name}) {
        links(direction: $d, kinds: $k) { totalCount nodes { source { externalId } target { externalId } } } } }"""
    found = (await graph.data(query, name=name, **arguments))["memory"]["links"]
    assert found["totalCount"] == len(found["nodes"])
    return [node["source"]["externalId"] + node["target"]["externalId"] for node in found["nodes"]]


class TestLinking:
    @pytest.mark.parametrize("kind", KINDS)
    async def test_each_kind(self, graph: Graph, kind: str) -> None:
        await memories(graph, "ab")
        [made] = await link(graph, "ab", kind=kind, weight=0.25, metadata={"why": 1})
        assert (made["kind"], made["weight"], made["metadata"]) == (kind, 0.25, {"why": 1})
        assert (made["source"], made["target"]) == (ref("a"), ref("b"))
        status = (await graph.data('{ memory(by: {externalId: "b"}) { status } }'))["memory"]["status"]
        assert status == ("SUPERSEDED" if kind == "SUPERSEDES" else "ACTIVE")

    async def test_defaults(self, graph: Graph) -> None:
        await memories(graph, "ab")
        [made] = await link(graph, "ab")
        assert (made["kind"], made["weight"], made["metadata"]) == ("RELATED", 1.0, {})

    async def test_one_that_is_there_gets_the_new_weight_and_metadata(self, graph: Graph) -> None:
        await memories(graph, "ab")
        [made] = await link(graph, "ab", weight=0.1, metadata={"n": 1})
        [heavier] = await link(graph, "ab", weight=0.9)
        assert heavier == {**made, "weight": 0.9}
        [other] = await link(graph, "ab", metadata={"n": 2})
        assert other == {**made, "weight": 1.0, "metadata": {"n": 2}}
        await link(graph, "ab", kind="CAUSES")
        await link(graph, "ba")
        assert await links_of(graph, "a") == ["ba", "ab", "ab"], "another kind and another direction are other links"

    async def test_twice_in_one_list(self, graph: Graph) -> None:
        await memories(graph, "ab")
        given = [{"source": ref("a"), "target": ref("b"), "weight": weight} for weight in (0.1, 0.2)]
        made = (await graph.do("linkMemories", {"links": given}, "links { id weight }"))["links"]
        assert made[0]["id"] == made[1]["id"]
        data = await graph.data('{ memory(by: {externalId: "a"}) { links { nodes { weight } } } }')
        assert data["memory"]["links"]["nodes"] == [{"weight": 0.2}]

    async def test_not_to_itself(self, graph: Graph) -> None:
        await memories(graph, "ab")
        wrong = [{"source": ref("a"), "target": ref("b")}, {"source": ref("a"), "target": ref("a")}]
        assert await graph.fails("linkMemories", {"links": wrong}) == ("INVALID", ["links", "1", "target"])

    @pytest.mark.parametrize(("source", "target", "path"), [("a", "z", "target"), ("z", "a", "source")])
    async def test_what_is_not_there(self, graph: Graph, source: str, target: str, path: str) -> None:
        await memories(graph, "ab")
        wrong = [{"source": ref("a"), "target": ref("b")}, {"source": ref(source), "target": ref(target)}]
        assert await graph.fails("linkMemories", {"links": wrong}) == ("NOT_FOUND", ["links", "1", path])

    @pytest.mark.parametrize(
        ("change", "path"), [({"weight": 1.5}, "weight"), ({"weight": -1}, "weight"), ({"metadata": []}, "metadata")]
    )
    async def test_wrong_values(self, graph: Graph, change: Any, path: str) -> None:
        await memories(graph, "ab")
        wrong = {"links": [{"source": ref("a"), "target": ref("b"), **change}]}
        assert await graph.fails("linkMemories", wrong) == ("INVALID", ["links", "0", path])

    async def test_at_most_a_thousand(self, graph: Graph) -> None:
        await memories(graph, "ab")
        many = {"links": [{"source": ref("a"), "target": ref("b")}] * 1001}
        assert await graph.fails("linkMemories", many) == ("INVALID", ["links"])
        assert await graph.fails("unlinkMemories", {"links": ["x"] * 1001}) == ("INVALID", ["links"])


class TestUnlinking:
    async def test_links_are_returned_as_they_were(self, graph: Graph) -> None:
        await memories(graph, "abc")
        made = await link(graph, "ab", "bc", weight=0.5)
        gone = await graph.do("unlinkMemories", {"links": ids(made)}, LINK)
        assert gone["links"] == made
        assert await links_of(graph, "b") == []

    async def test_all_or_none(self, graph: Graph) -> None:
        await memories(graph, "ab")
        made = await link(graph, "ab")
        for unknown in ("lnk_" + "0" * 32, "garbage", "", made[0]["source"]["externalId"]):
            wrong = {"links": [made[0]["id"], unknown]}
            assert await graph.fails("unlinkMemories", wrong) == ("NOT_FOUND", ["links", "1"])


class TestReading:
    async def test_directions_and_kinds(self, graph: Graph) -> None:
        await memories(graph, "abc")
        await link(graph, "ab", kind="CAUSES")
        await link(graph, "ca", kind="SUPPORTS")
        assert await links_of(graph, "a") == ["ca", "ab"]
        assert await links_of(graph, "a", d="OUT") == ["ab"]
        assert await links_of(graph, "a", d="IN") == ["ca"]
        assert await links_of(graph, "a", k=["CAUSES"]) == ["ab"]
        assert await links_of(graph, "a", d="IN", k=["CAUSES"]) == []
        assert await links_of(graph, "a", k=[]) == []


GRAPH = """query ($name: String!, $depth: Int! = 2, $limit: Int! = 100, $kinds: [MemoryLinkKind!], $min: Float, $with: [GraphInclude!]) {
  memory(by: {externalId: $name}) { neighborhood(depth: $depth, limit: $limit, kinds: $kinds, minWeight: $min, include: $with) {
    center { externalId } truncated nodes { __typename id ... on Memory { externalId } } edges { source target kind weight link { id } } } } }"""


async def around(graph: Graph, name: str = "a", **arguments: Any) -> Any:
    found = (await graph.data(GRAPH, name=name, **arguments))["memory"]["neighborhood"]
    known = set(ids(found["nodes"]))
    assert all(edge["source"] in known and edge["target"] in known for edge in found["edges"])
    return found


def names(found: Any) -> str:
    return "".join(node.get("externalId", node["__typename"][0]) for node in found["nodes"])


class TestNeighborhood:
    @pytest.mark.both_families
    async def test_nearest_first_then_strongest(self, graph: Graph) -> None:
        await memories(graph, "abcdef")
        await link(graph, "ab", weight=0.2)
        await link(graph, "ca", weight=0.9)
        await link(graph, "bd", weight=1.0)
        await link(graph, "ce", weight=0.5)
        await link(graph, "ef")
        found = await around(graph)
        assert found["center"] == ref("a")
        assert names(found) == "acbed"
        assert not found["truncated"]
        assert len(found["edges"]) == 4
        assert all(edge["link"] for edge in found["edges"])

    async def test_how_far_and_how_many(self, graph: Graph) -> None:
        await memories(graph, "abcde")
        await link(graph, "ab", "bc", "cd", "de")
        assert names(await around(graph, depth=0)) == "a"
        assert names(await around(graph, depth=1)) == "ab"
        assert names(await around(graph, depth=6)) == "abcde"
        cut = await around(graph, depth=6, limit=3)
        assert (names(cut), cut["truncated"], len(cut["edges"])) == ("abc", True, 2)
        whole = await around(graph, depth=6, limit=5)
        assert (names(whole), whole["truncated"]) == ("abcde", False)

    async def test_along_some_links_only(self, graph: Graph) -> None:
        await memories(graph, "abc")
        await link(graph, "ab", kind="CAUSES", weight=0.3)
        await link(graph, "ac", kind="SUPPORTS", weight=0.8)
        assert names(await around(graph, kinds=["CAUSES"])) == "ab"
        assert names(await around(graph, min=0.5)) == "ac"
        assert names(await around(graph, kinds=[])) == "a"

    async def test_with_messages_sessions_owners_and_entities(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s"})
        await graph.do("addMessage", {"session": ref("s"), "role": "user", "text": "x", "externalId": "m"})
        memory = {"text": "a", "externalId": "a", "owner": ref("ann"), "sourceMessage": ref("m")}
        await graph.do("createMemory", {**memory, "entities": [{"name": "Oslo"}]})
        await graph.do(
            "addMessage", {"session": ref("s"), "role": "user", "text": "y", "memoryRefs": [{"memory": ref("a")}]}
        )
        assert names(await around(graph)) == "a"
        found = await around(graph, **{"with": ["MESSAGES", "SESSIONS", "ACTORS", "ENTITIES"]})
        assert sorted(node["__typename"] for node in found["nodes"]) == [
            "ChatSession",
            "Entity",
            "Memory",
            "Message",
            "Message",
            "User",
        ]
        kinds = sorted(edge["kind"] for edge in found["edges"])
        assert set(kinds) == {"FORMED_FROM", "REFERENCED_BY", "IN_SESSION", "OWNED_BY", "MENTIONS"}
        assert all(edge["link"] is None for edge in found["edges"])

    @pytest.mark.parametrize(("argument", "value"), [("depth", -1), ("depth", 7), ("limit", 0), ("limit", 1001)])
    async def test_arguments_that_cannot_be(self, graph: Graph, argument: str, value: int) -> None:
        await memories(graph, "a")
        assert await graph.refusal(GRAPH, name="a", **{argument: value}) == ("INVALID", [argument])


PATHS = """query ($a: ID!, $b: ID!, $kinds: [MemoryLinkKind!], $depth: Int! = 6, $first: Int! = 3) {
  memoryPaths(from: $a, to: $b, kinds: $kinds, maxDepth: $depth, first: $first) { length weight memories { externalId } links { weight } } }"""


class TestPaths:
    async def ways(self, graph: Graph, pair: str, **arguments: Any) -> Any:
        data = await graph.data("{ memories(first: 200) { nodes { id externalId } } }")
        known = {node["externalId"]: node["id"] for node in data["memories"]["nodes"]}
        found = (await graph.data(PATHS, a=known[pair[0]], b=known[pair[1]], **arguments))["memoryPaths"]
        for path in found:
            assert path["length"] == len(path["links"]) == len(path["memories"]) - 1
        return [
            ("".join(memory["externalId"] for memory in path["memories"]), pytest.approx(path["weight"]))
            for path in found
        ]

    @pytest.mark.both_families
    async def test_the_shortest_then_the_strongest(self, graph: Graph) -> None:
        await memories(graph, "abcde")
        await link(graph, "ab", "bd", weight=0.5)
        await link(graph, "ca", "cd", weight=0.9)
        await link(graph, "ae", "eb", weight=1.0)
        found = await self.ways(graph, "ad", first=20)
        assert found == [("acd", 0.81), ("abd", 0.25), ("aebd", 0.5)]
        assert await self.ways(graph, "ad", first=1) == [("acd", 0.81)]
        assert await self.ways(graph, "ad", first=0) == []
        assert await self.ways(graph, "ad", depth=1) == []

    async def test_to_itself_and_to_what_is_not_linked(self, graph: Graph) -> None:
        await memories(graph, "ab")
        assert await self.ways(graph, "aa") == [("a", 1)]
        assert await self.ways(graph, "ab") == []

    async def test_along_some_kinds_only(self, graph: Graph) -> None:
        await memories(graph, "ab")
        await link(graph, "ab", kind="CAUSES", weight=0.5)
        await link(graph, "ab", kind="SUPPORTS", weight=0.7)
        assert await self.ways(graph, "ab") == [("ab", 0.7)]
        assert await self.ways(graph, "ab", kinds=["CAUSES"]) == [("ab", 0.5)]
        assert await self.ways(graph, "ab", kinds=["PRECEDES"]) == []

    async def test_arguments_that_cannot_be(self, graph: Graph) -> None:
        await memories(graph, "a")
        known = (await graph.data("{ memories { nodes { id } } }"))["memories"]["nodes"][0]["id"]
        for argument, value, path in (
            ("depth", -1, "maxDepth"),
            ("depth", 7, "maxDepth"),
            ("first", -1, "first"),
            ("first", 21, "first"),
        ):
            assert await graph.refusal(PATHS, a=known, b=known, **{argument: value}) == ("INVALID", [path])
        for unknown in ("mem_" + "0" * 32, "garbage", ""):
            assert await graph.refusal(PATHS, a=unknown, b=known) == ("NOT_FOUND", ["from"])
            assert await graph.refusal(PATHS, a=known, b=unknown) == ("NOT_FOUND", ["to"])


class TestSharedReferences:
    QUERY = (
        'query ($first: Int! = 10) { memory(by: {externalId: "a"}) { sharedReferences(first: $first) { score '
        "memory { externalId } messages { text } sessions { externalId } neighbors { externalId } } } }"
    )

    @pytest.mark.both_families
    async def test_what_two_share_though_no_link_says_so(self, graph: Graph) -> None:
        await memories(graph, "abcdn")
        await graph.do("createSession", {"externalId": "s"})
        refs = [{"memory": ref(name)} for name in "ab"]
        await graph.do("addMessage", {"session": ref("s"), "role": "user", "text": "both", "memoryRefs": refs})
        await link(graph, "an", "cn", "ad")
        found = (await graph.data(self.QUERY))["memory"]["sharedReferences"]
        by_name = {one["memory"]["externalId"]: one for one in found}
        assert set(by_name) == {"b", "c"}, "d and n are linked to it"
        assert by_name["b"]["messages"] == [{"text": "both"}]
        assert by_name["c"]["neighbors"] == [ref("n")]
        assert by_name["c"]["score"] == 0.5
        assert found[0]["memory"] == ref("b"), "best first"
        assert len((await graph.data(self.QUERY, first=1))["memory"]["sharedReferences"]) == 1

    async def test_how_many(self, graph: Graph) -> None:
        await memories(graph, "a")
        assert (await graph.data(self.QUERY, first=0))["memory"]["sharedReferences"] == []
        for first in (-1, 201):
            assert await graph.refusal(self.QUERY, first=first) == ("INVALID", ["first"])


@pytest.mark.both_families
async def test_a_link_that_changes_nothing_is_no_write(graph: Graph) -> None:
    await graph.do("createMemories", {"memories": [{"externalId": n, "scope": "GLOBAL", "text": n} for n in "ab"]})
    a_to_b = {"source": {"externalId": "a"}, "target": {"externalId": "b"}, "kind": "SUPERSEDES", "metadata": {"m": 1}}
    first = await graph.do("linkMemories", {"links": [a_to_b]}, "links { id }")
    asked = "{ memoryCursor auditLog { totalCount } }"
    before = await graph.data(asked)
    again = await graph.do("linkMemories", {"links": [{**a_to_b, "metadata": {"m": 1.0}}, a_to_b]}, "links { id }")
    assert {one["id"] for one in again["links"]} == {one["id"] for one in first["links"]}
    assert (await graph.do("linkMemories", {"links": []}, "links { id }"))["links"] == []
    assert await graph.data(asked) == before
    await graph.do("linkMemories", {"links": [a_to_b, {**a_to_b, "weight": 0.5}]})
    assert await graph.data(asked) != before
