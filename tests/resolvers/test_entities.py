"""Entities: named things that memories and messages mention."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

S = {"session": {"externalId": "s"}}
OSLO = {"name": "Oslo", "type": "Place", "aliases": ["Christiania"], "metadata": {"n": 1}}
SHOWN = "id name type aliases metadata externalId found"


@pytest.fixture
async def told(graph: Graph) -> Graph:
    """A session with a message, and memories, that mention things."""
    await graph.do("createSession", {"externalId": "s"})
    said = {**S, "role": "user", "text": "Off to Oslo with Ada", "externalId": "x"}
    await graph.do("addMessage", {**said, "entities": [OSLO, {"name": "Ada", "type": "person"}]})
    memories = [
        {"text": "Oslo is cold", "externalId": "m", "entities": [{"name": "  OSLO "}]},
        {"text": "Ada likes snow", "externalId": "n", "entities": [{"name": "ada", "type": "PERSON"}]},
        {"text": "nothing", "externalId": "o"},
    ]
    await graph.do("createMemories", {"memories": [{**one, "owner": {"externalId": "u"}} for one in memories]})
    return graph


async def entities(graph: Graph, filter: Any = None, order: Any = None) -> list[str]:
    query = """query ($f: EntityFilter, $o: EntityOrder) { entities(filter: $f, orderBy: $o) {
        totalCount nodes { name } } }"""
    found = (await graph.data(query, f=filter, o=order or {"field": "NAME", "direction": "ASC"}))["entities"]
    assert found["totalCount"] == len(found["nodes"])
    return [one["name"] for one in found["nodes"]]


async def entity(graph: Graph, by: Any, fields: str = SHOWN) -> Any:
    return (await graph.data(f"query ($by: EntityRef!) {{ entity(by: $by) {{ {fields} }} }}", by=by))["entity"]


MENTIONS = "memories { totalCount nodes { text } } messages { nodes { text } }"


async def mentions(graph: Graph, by: Any) -> tuple[list[str], list[str]]:
    found = await entity(graph, by, MENTIONS)
    texts = [one["text"] for one in found["memories"]["nodes"]]
    assert found["memories"]["totalCount"] == len(texts)
    return sorted(texts), [one["text"] for one in found["messages"]["nodes"]]


async def test_what_is_mentioned_is_a_signal_of_recall(told: Graph) -> None:
    """A memory that mentions what the query names, by whatever name, or what the best mentions, comes first."""
    some = [
        {"text": f"The harbour at {hour} was quiet", "externalId": f"h{hour}", "owner": {"externalId": "u"}}
        for hour in ("dawn", "noon", "dusk")
    ]
    some[1]["entities"] = [{"name": "Oslo", "type": "place"}]
    await told.do("createMemories", {"memories": some})
    query = """query ($q: String!) { searchMemories(query: {text: $q}, first: 3) {
        hits { memory { externalId } parts { entities } } } }"""

    async def hits(text: str) -> dict[str, float | None]:
        found = (await told.data(query, q=text))["searchMemories"]["hits"]
        return {hit["memory"]["externalId"]: hit["parts"]["entities"] for hit in found}

    named = await hits("quiet harbour of CHRISTIANIA?")
    assert next(iter(named)) == "hnoon"
    assert named["hnoon"] is not None
    assert 0.5 <= named["hnoon"] < 1
    assert named["hdawn"] is None
    plain = await hits("quiet harbour")
    assert (plain["hnoon"] or 0.0) < named["hnoon"]


async def test_what_is_mentioned(told: Graph) -> None:
    assert await entities(told) == ["Ada", "Oslo"]
    by_name = await entity(told, {"name": "christiania"})
    wanted = {"name": "Oslo", "type": "place", "aliases": ["Christiania"], "metadata": {"n": 1}, "externalId": None}
    assert by_name == {**wanted, "found": False, "id": by_name["id"]}
    assert await entity(told, {"id": by_name["id"]}) == by_name
    assert await entity(told, {"name": "Oslo", "type": "person"}) is None
    assert await mentions(told, {"name": "Oslo"}) == (["Oslo is cold"], ["Off to Oslo with Ada"])
    assert await mentions(told, {"name": "Ada"}) == (["Ada likes snow"], ["Off to Oslo with Ada"])
    query = """{ memories(orderBy: {direction: ASC}) { nodes { entities { name } } }
        messages: session(by: {externalId: "s"}) { messages { nodes { entities { name } } } } }"""
    found = await told.data(query)
    assert [[one["name"] for one in of["entities"]] for of in found["memories"]["nodes"]] == [["Oslo"], ["Ada"], []]
    said = found["messages"]["messages"]["nodes"][0]["entities"]
    assert said == [{"name": "Oslo"}, {"name": "Ada"}]
    assert (await told.data("{ stats { entities } }"))["stats"]["entities"] == 2


async def test_lists_of_what_mentions_it(told: Graph) -> None:
    oslo = (await entity(told, {"name": "Oslo"}))["id"]
    listed = "query ($f: MemoryFilter) { memories(filter: $f) { nodes { text } } }"
    for filter, wanted in (
        ({"entity": {"id": oslo}}, {"Oslo is cold"}),
        ({"not": {"entity": {"id": oslo}}}, {"Ada likes snow", "nothing"}),
        ({"entity": {"externalId": "nobody"}}, set()),
    ):
        found = (await told.data(listed, f=filter))["memories"]["nodes"]
        assert {one["text"] for one in found} == wanted
    found = await told.data(
        'query ($f: MemoryFilter) { searchMemories(query: {text: "cold snow"}, mode: TEXT, filter: $f) { hits { memory { text } } } }',
        f={"entity": {"id": oslo}},
    )
    assert [hit["memory"]["text"] for hit in found["searchMemories"]["hits"]] == ["Oslo is cold"]
    query = 'query ($f: MessageFilter) { session(by: {externalId: "s"}) { messages(filter: $f) { totalCount } } }'
    for ref, count in (({"id": oslo}, 1), ({"externalId": "none"}, 0)):
        found = await told.data(query, f={"entity": ref})
        assert found["session"]["messages"]["totalCount"] == count
    assert await entities(told, {"types": ["place"]}) == ["Oslo"]
    assert await entities(told, {"text": "OSL"}) == ["Oslo"]
    assert await entities(told, {"aliases": ["Christiania"], "metadata": {"n": 1}}) == ["Oslo"]
    assert await entities(told, {"found": True}) == []


async def test_ways_over_what_is_mentioned(told: Graph) -> None:
    u = {"owner": {"externalId": "u"}}
    for name, entities in (("a", [OSLO, {"name": "Fjord"}]), ("b", [{"name": "Fjord"}])):
        await told.do("createMemory", {**u, "text": name, "externalId": name, "entities": entities})
    linked = {"target": {"externalId": "b"}, "kind": "CAUSES", "weight": 0.5}
    end = await told.do("createMemory", {**u, "text": "end", "links": [linked]}, "memory { id }")
    query = """query ($a: ID!, $b: ID!, $e: Boolean) { memoryPaths(from: $a, to: $b, entities: $e) { length weight
        memories { text } links { weight } nodes { ... on Memory { text } ... on Entity { name } }
        edges { kind source target } } }"""
    start = (await told.data('{ memory(by: {externalId: "m"}) { id } }'))["memory"]["id"]
    given = {"a": start, "b": end["memory"]["id"]}
    assert (await told.data(query, **given))["memoryPaths"] == []
    [path] = (await told.data(query, **given, e=True))["memoryPaths"]
    names = ["Oslo is cold", "Oslo", "a", "Fjord", "b", "end"]
    assert [one.get("text", one.get("name")) for one in path["nodes"]] == names
    assert [one["text"] for one in path["memories"]] == [names[0], *names[2::2], names[5]]
    assert (path["length"], path["weight"], path["links"]) == (5, 0.5, [{"weight": 0.5}])
    assert [one["kind"] for one in path["edges"]] == ["MENTIONS"] * 4 + ["CAUSES"]
    assert all(one["source"][:3] == "mem" for one in path["edges"])
    assert [one["target"][:3] for one in path["edges"]] == ["ent"] * 4 + ["mem"]


async def test_an_update_says_anew_what_is_mentioned(told: Graph) -> None:
    memory = {"memory": {"externalId": "m"}}
    await told.do("updateMemory", {**memory, "entities": [{"name": "Ada"}, {"name": "Snow"}]})
    assert (await mentions(told, {"name": "Ada"}))[0] == ["Ada likes snow", "Oslo is cold"]
    assert (await mentions(told, {"name": "Oslo"}))[0] == []
    await told.do("updateMemory", {**memory, "text": "Oslo is warm"})
    assert (await mentions(told, {"name": "Snow"}))[0] == ["Oslo is warm"]
    await told.do("updateMemory", {**memory, "entities": [{"name": "snow", "aliases": ["white"]}]})
    assert (await entity(told, {"name": "White"}))["name"] == "Snow"
    await told.do("updateMemory", {**memory, "entities": None})
    assert (await mentions(told, {"name": "Snow"}))[0] == []
    assert (await entity(told, {"name": "Snow"}))["type"] == "thing"


async def test_changing_one(told: Graph) -> None:
    made = await told.do(
        "upsertEntity", {"entity": {"externalId": "b"}, "name": "Bergen", "type": "place"}, f"entity {{ {SHOWN} }}"
    )
    assert (made["entity"]["name"], made["entity"]["externalId"]) == ("Bergen", "b")
    changed = {"entity": {"externalId": "b"}, "name": "Bjørgvin", "aliases": ["Bergen"], "type": "town"}
    assert (await told.do("upsertEntity", changed, f"entity {{ {SHOWN} }}"))["entity"]["id"] == made["entity"]["id"]
    for by in ({"name": "bergen"}, {"name": "BJØRGVIN", "type": "Town"}, {"externalId": "b"}):
        assert (await entity(told, by))["name"] == "Bjørgvin"
    assert await entity(told, {"name": "Bergen", "type": "place"}) is None
    taken = {"entity": {"externalId": "b"}, "type": "place", "aliases": ["Oslo"]}
    assert await told.fails("upsertEntity", taken) == ("DUPLICATE", ["aliases"])
    alias = {"text": "x", "owner": {"externalId": "u"}, "entities": [{**OSLO, "type": "person", "aliases": ["Ada"]}]}
    assert await told.fails("createMemory", alias) == ("DUPLICATE", ["entities", "0", "aliases"])
    assert await told.fails("upsertEntity", {"entity": {"externalId": "c"}}) == ("INVALID", ["name"])
    assert await told.refusal('{ entity(by: {type: "place"}) { id } }') == ("INVALID", ["by"])


async def test_merging_keeps_what_was_there(told: Graph) -> None:
    memory = {"text": "The capital", "owner": {"externalId": "u"}, "externalId": "p"}
    capital = {"name": "the capital", "externalId": "c", "metadata": {"k": 2}}
    await told.do("createMemory", {**memory, "entities": [capital, {"name": "Oslo"}]})
    oslo = (await entity(told, {"name": "Oslo"}))["id"]
    input = {"into": {"id": oslo}, "entities": [{"externalId": "c"}]}
    fields = "entity { id aliases merged { id name type externalId metadata } } merged { name }"
    for dry in (True, False):
        done = await told.do("mergeEntities", {**input, "dryRun": dry}, fields)
        assert done["entity"]["aliases"] == ["Christiania", "the capital"]
        assert done["merged"] == [{"name": "the capital"}]
        [was] = done["entity"]["merged"]
        assert (was["name"], was["type"], was["externalId"]) == ("the capital", "thing", "c")
        assert await entities(told) == (["Ada", "Oslo", "the capital"] if dry else ["Ada", "Oslo"])
    for type in ({}, {"type": "thing"}, {"type": "place"}):
        assert (await entity(told, {"name": "The Capital", **type}))["id"] == oslo
    assert (await entity(told, {"id": was["id"]})) is None
    assert (await mentions(told, {"id": oslo}))[0] == ["Oslo is cold", "The capital"]
    again = {"into": {"id": oslo}, "entities": [{"id": oslo}]}
    assert await told.fails("mergeEntities", again) == ("INVALID", ["entities", "0"])
    assert await told.fails("mergeEntities", input) == ("NOT_FOUND", ["entities", "0"])


async def test_what_is_deleted(told: Graph) -> None:
    await told.do("deleteMemories", {"memories": [{"externalId": "m"}]})
    assert await mentions(told, {"name": "Oslo"}) == ([], ["Off to Oslo with Ada"])
    ada = (await entity(told, {"name": "Ada"}))["id"]
    for dry, left in ((True, ["Ada", "Oslo"]), (False, ["Oslo"])):
        done = await told.do("deleteEntities", {"entities": [{"id": ada}], "dryRun": dry}, "entities { name }")
        assert done["entities"] == [{"name": "Ada"}]
        assert await entities(told) == left
    said = 'query { session(by: {externalId: "s"}) { messages { nodes { entities { name } } } } }'
    assert (await told.data(said))["session"]["messages"]["nodes"][0]["entities"] == [{"name": "Oslo"}]
    await told.do("createMemory", {"text": "back", "owner": {"externalId": "u"}, "entities": [{"name": "Ada"}]})
    assert (await entity(told, {"name": "Ada"}))["id"] != ada


async def test_what_was_said_goes_with_its_names(told: Graph) -> None:
    secret = {"name": "Project Nightingale", "type": "project"}
    said = {**S, "role": "user", "text": "psst", "externalId": "y", "entities": [secret, {"name": "Oslo"}]}
    await told.do("addMessage", said)
    fork = await told.do("forkSession", {"session": {"externalId": "s"}, "externalId": "f"}, "session { id }")
    copied = f'{{ node(id: "{fork["session"]["id"]}") {{ ... on ChatSession {{ messages {{ nodes {{ entities {{ name }} }} }} }} }} }}'
    nodes = (await told.data(copied))["node"]["messages"]["nodes"]
    assert [[one["name"] for one in of["entities"]] for of in nodes] == [
        ["Oslo", "Ada"],
        ["Project Nightingale", "Oslo"],
    ]
    await told.do("redactMessage", {"message": {"externalId": "y"}})
    assert (await mentions(told, {"name": "Project Nightingale"}))[1] == ["psst"]
    await told.do("eraseSession", {"session": {"externalId": "f"}})
    assert await entities(told) == ["Ada", "Oslo"]


async def test_erasing_somebody_takes_what_only_they_mention(told: Graph) -> None:
    mine = {"text": "mine", "owner": {"externalId": "v"}, "entities": [{"name": "A secret of mine"}, {"name": "Oslo"}]}
    await told.do("createMemory", mine)
    report = "report { found searchedFor stores { removed } }"
    for dry in (True, False):
        erased = await told.do("eraseUser", {"user": {"externalId": "v"}, "dryRun": dry}, report)
        [removed, *_] = [store["removed"] for store in erased["report"]["stores"]]
        assert (removed["entity"], removed["mention"], erased["report"]["searchedFor"]) == (1, 2, 1)
        assert erased["report"]["found"] == 0
        assert await entities(told) == (["A secret of mine", "Ada", "Oslo"] if dry else ["Ada", "Oslo"])


async def test_memories_made_of_others_mention_what_they_do(told: Graph) -> None:
    u = {"owner": {"externalId": "u"}}
    await told.do(
        "mergeMemories", {"into": {"externalId": "o"}, "memories": [{"externalId": "m"}, {"externalId": "n"}]}
    )
    await told.do("supersedeMemory", {"memory": {"externalId": "o"}, "text": "all of it", "externalId": "z"})
    again = {"text": "Oslo is cold", **u, "onDuplicate": "MERGE", "entities": [{"name": "Frost"}]}
    await told.do("createMemory", {"text": "Oslo is cold", **u, "type": "SEMANTIC"})
    await told.do("createMemory", {**again, "type": "SEMANTIC"})
    query = "{ memories(filter: {statuses: [ACTIVE]}) { nodes { text entities { name } } } }"
    found = {
        one["text"]: {of["name"] for of in one["entities"]} for one in (await told.data(query))["memories"]["nodes"]
    }
    assert found == {"all of it": {"Oslo", "Ada"}, "Oslo is cold": {"Frost"}}
