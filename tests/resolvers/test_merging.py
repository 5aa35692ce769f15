"""Memories that say the same: found, created once, made one; and what holds now in place of another."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph

ADA = {"owner": {"externalId": "ada"}}
TEA = "Ada likes black tea in the morning with a little honey"


async def create(graph: Graph, text: str, **more: Any) -> Any:
    made = await graph.do(
        "createMemory", {**ADA, "text": text, **more}, "memory { id accessCount importance tags version }"
    )
    return made["memory"]


async def groups(graph: Graph, **arguments: Any) -> list[list[str]]:
    query = "query ($o: Ref!, $t: Float! = 0.95) { duplicates(owner: $o, threshold: $t) { similarity memories { externalId } } }"
    found = (await graph.data(query, o={"externalId": "ada"}, **arguments))["duplicates"]
    assert all(0.5 <= one["similarity"] <= 1 for one in found)
    return [[memory["externalId"] for memory in one["memories"]] for one in found]


async def total(graph: Graph, **filter: Any) -> int:
    found = await graph.data("query ($f: MemoryFilter) { memories(filter: $f) { totalCount } }", f=filter)
    count: int = found["memories"]["totalCount"]
    return count


async def test_duplicates_are_found(graph: Graph) -> None:
    """The weightiest first; other numbers, other owners and what is archived or replaced are none."""
    await create(graph, TEA, externalId="a", importance=0.4)
    await create(graph, f"{TEA}.", externalId="b", importance=0.6)
    await create(graph, "The server has 12 cores and runs in Porto", externalId="c")
    await create(graph, "The server has 16 cores and runs in Porto", externalId="d")
    await create(graph, TEA, externalId="e")
    await graph.do("archiveMemories", {"memories": [{"externalId": "e"}]})
    await graph.do("createMemory", {"owner": {"externalId": "bert"}, "text": TEA, "externalId": "f"})
    assert await groups(graph) == [["b", "a"]]
    await graph.do("mergeMemories", {"into": {"externalId": "b"}, "memories": [{"externalId": "a"}]})
    assert await groups(graph) == []
    assert await groups(graph, t=1.0) == []
    assert await graph.refusal('{ duplicates(owner: {externalId: "x"}) { similarity } }') == ("NOT_FOUND", ["owner"])
    assert await graph.refusal('{ duplicates(owner: {externalId: "ada"}, threshold: 0.1) { similarity } }') == (
        "INVALID",
        ["threshold"],
    )


@pytest.mark.both_families
@pytest.mark.parametrize(
    ("how", "after"),
    [
        ("KEEP", None),
        ("RETURN", {"accessCount": 0, "importance": 0.3, "tags": ["x"], "version": 1}),
        ("TOUCH", {"accessCount": 1, "importance": 0.3, "tags": ["x"], "version": 1}),
        ("MERGE", {"accessCount": 1, "importance": 0.8, "tags": ["x", "y"], "version": 2}),
    ],
)
async def test_a_memory_that_is_there_already(graph: Graph, how: str, after: Any) -> None:
    first = await create(graph, TEA, importance=0.3, tags=["x"])
    again = await create(graph, f"{TEA}!", importance=0.8, tags=["y"], onDuplicate=how)
    if after is None:
        assert again["id"] != first["id"]
        assert await total(graph) == 2
    else:
        assert again == {"id": first["id"], **after}
        assert await total(graph) == 1
    for other in ({"type": "SEMANTIC"}, {"owner": {"externalId": "bert"}}, {"text": f"{TEA} at 7"}):
        more = {**ADA, "text": TEA, "onDuplicate": how, **other}
        made = await graph.do("createMemory", more, "memory { id }")
        assert made["memory"]["id"] != first["id"]


async def test_nobodys_is_no_duplicate(graph: Graph) -> None:
    await create(graph, TEA)
    assert await graph.fails("createMemory", {"text": TEA, "onDuplicate": "RETURN"}) == ("INVALID", ["owner"])
    first = await graph.do("createMemory", {"text": TEA, "scope": "GLOBAL"}, "memory { id }")
    again = await graph.do("createMemory", {"text": TEA, "scope": "GLOBAL", "onDuplicate": "RETURN"}, "memory { id }")
    assert first == again


async def test_several_become_one(graph: Graph) -> None:
    """With what all of them had; the others, their history and provenance stay, superseded."""
    await graph.do("createSession", {"externalId": "s", "participants": [{"actor": {"externalId": "ada"}}]})
    said = [{"role": "user", "text": f"Tea {i}.", "externalId": f"m{i}"} for i in range(3)]
    await graph.do("addMessages", {"session": {"externalId": "s"}, "messages": said})
    await graph.do(
        "formMemory", {**ADA, "messages": [{"externalId": "m0"}], "text": "Tea.", "externalId": "a", "tags": ["x"]}
    )
    await create(graph, "Black tea.", externalId="b", importance=0.9, tags=["y"], sourceMessage={"externalId": "m1"})
    await graph.do("touchMemories", {"memories": [{"externalId": "b"}]})
    await graph.do("updateMemory", {"memory": {"externalId": "b"}, "text": "Strong black tea."})
    input = {"into": {"externalId": "a"}, "memories": [{"externalId": "b"}], "text": "Strong black tea each morning."}
    shown = "memory { text tags importance accessCount version sources { ... on Message { externalId } } } merged { externalId status }"
    with graph.untouched():
        dry = await graph.do("mergeMemories", {**input, "dryRun": True}, shown)
    assert dry["memory"]["text"] == input["text"]
    made = await graph.do("mergeMemories", input, shown)
    assert made["merged"] == [{"externalId": "b", "status": "SUPERSEDED"}]
    assert made["memory"] == {
        "text": "Strong black tea each morning.",
        "tags": ["x", "y"],
        "importance": 0.9,
        "accessCount": 1,
        "version": 2,
        "sources": [{"externalId": "m0"}, {"externalId": "m1"}],
    }
    other = await graph.data(
        '{ memory(by: {externalId: "b"}) { history { nodes { text } } links { nodes { kind source { ... on Memory { externalId } } } } } }'
    )
    assert other["memory"] == {
        "history": {"nodes": [{"text": "Strong black tea."}, {"text": "Black tea."}]},
        "links": {"nodes": [{"kind": "SUPERSEDES", "source": {"externalId": "a"}}]},
    }


@pytest.mark.parametrize(
    ("input", "refused"),
    [
        ({"memories": [{"externalId": "none"}]}, ("NOT_FOUND", ["memories", "0"])),
        ({"into": {"externalId": "none"}}, ("NOT_FOUND", ["into"])),
        ({"memories": [{"externalId": "a"}]}, ("INVALID", ["memories", "0"])),
        ({"memories": [{"externalId": "bert's"}]}, ("INVALID", ["memories", "0"])),
        ({"memories": []}, ("INVALID", ["memories"])),
        ({"text": " "}, ("INVALID", ["text"])),
    ],
)
async def test_what_cannot_be_merged(graph: Graph, input: Any, refused: Any) -> None:
    await create(graph, "Tea.", externalId="a")
    await create(graph, "Black tea.", externalId="b")
    await graph.do("createMemory", {"owner": {"externalId": "bert"}, "text": "Tea.", "externalId": "bert's"})
    whole = {"into": {"externalId": "a"}, "memories": [{"externalId": "b"}], **input}
    assert await graph.fails("mergeMemories", whole) == refused


async def test_what_holds_now_in_one_step(graph: Graph) -> None:
    await create(graph, "Ada lives in Kiel.", externalId="a", tags=["address"], importance=0.7)
    since = "2026-02-01T00:00:00Z"
    made = await graph.do(
        "supersedeMemory",
        {"memory": {"externalId": "a"}, "text": "Ada lives in Bremen.", "validFrom": since, "externalId": "b"},
        "memory { text tags importance owner { ... on User { externalId } } }",
    )
    assert made["memory"] == {"text": "Ada lives in Bremen.", "tags": ["address"], "importance": 0.7, **ADA}
    old = await graph.data('{ memory(by: {externalId: "a"}) { status validUntil } }')
    assert old["memory"] == {"status": "SUPERSEDED", "validUntil": "2026-02-01T00:00:00Z"}
    assert await graph.fails("supersedeMemory", {"memory": {"externalId": "none"}, "text": "x"}) == (
        "NOT_FOUND",
        ["memory"],
    )
    assert await graph.fails("supersedeMemory", {"memory": {"externalId": "a"}, "text": " "}) == ("INVALID", ["text"])
