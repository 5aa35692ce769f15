"""Memories and links as they were known at a time."""

from __future__ import annotations

import asyncio
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.graphql_client import Clock, Graph

NAMES = ["a", "b", "c", "d"]
STATE = "externalId text status tags importance metadata validFrom validUntil version updatedAt"
LISTS = """query ($at: DateTime, $id: ID!, $from: ID!) {
    all: memories(first: 200, asOf: $at) { totalCount nodes { %(state)s } }
    tagged: memories(first: 200, asOf: $at, filter: {tags: ["x"]}) { nodes { externalId } }
    active: memories(first: 200, asOf: $at, filter: {statuses: [ACTIVE]}) { nodes { externalId } }
    plain: memories(first: 200, asOf: $at, filter: {not: {tags: ["x"]}}) { nodes { externalId } }
    said: memories(first: 200, asOf: $at, filter: {or: [{text: "mint"}, {importance: {min: 0.8}}]}) { nodes { externalId } }
    heaviest: memories(first: 3, asOf: $at, orderBy: {field: IMPORTANCE}) { totalCount nodes { externalId } pageInfo { hasNextPage } }
    last: memories(last: 2, asOf: $at, orderBy: {field: UPDATED_AT, direction: ASC}) { nodes { externalId } pageInfo { hasPreviousPage } }
    one: memory(by: {externalId: "a"}, asOf: $at) { %(state)s }
    meaning: searchMemories(query: {text: "tea"}, mode: SEMANTIC, threshold: 0, first: 50, asOf: $at) { hits { memory { externalId text } folded { externalId text } } }
    words: searchMemories(query: {text: "mint"}, mode: TEXT, threshold: 0, first: 50, asOf: $at) { hits { memory { externalId text } folded { externalId text } } }
    both: searchMemories(query: {text: "mint"}, filter: {tags: ["x"]}, first: 50, asOf: $at) { hits { memory { externalId text } folded { externalId text } } }
    ways: memoryPaths(from: $from, to: $id, asOf: $at, first: 20) { weight memories { externalId text } links { kind weight } }
    near: node(id: $id) { ... on Memory { neighborhood(depth: 2, asOf: $at) {
        nodes { ... on Memory { externalId text status } } edges { kind weight source target } } } }
}""" % {"state": STATE}  # noqa: UP031 - the braces in these strings are GraphQL's


class Act(NamedTuple):
    """One change: what is done, to which memories, with what."""

    what: str
    one: str
    other: str
    number: int


acts = st.lists(
    st.builds(
        Act,
        st.sampled_from(
            [
                "create",
                "text",
                "tags",
                "importance",
                "validity",
                "archive",
                "restore",
                "link",
                "unlink",
                "supersede",
                "decay",
                "touch",
                "delete",
            ]
        ),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.integers(0, 4),
    ),
    min_size=4,
    max_size=14,
)

TEXTS = ["tea", "mint tea", "mint", "green tea", "coffee"]


async def act(graph: Graph, one: Act) -> None:
    """Does it, or nothing where it cannot be."""
    memory, ref = one.one, {"externalId": one.one}
    match one.what:
        case "create":
            given = {
                "externalId": memory,
                "text": TEXTS[one.number],
                "scope": "GLOBAL",
                "tags": ["x"][: one.number % 2],
            }
            await graph.answered("createMemory", given)
        case "text":
            await graph.answered("updateMemory", {"memory": ref, "text": TEXTS[one.number]})
        case "tags":
            await graph.answered("updateMemory", {"memory": ref, "tags": ["x", "y"][: one.number % 3]})
        case "importance":
            await graph.answered("updateMemory", {"memory": ref, "importance": one.number / 4})
        case "validity":
            until = [None, "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"][one.number % 3]
            await graph.answered("updateMemory", {"memory": ref, "validUntil": until})
        case "archive" | "restore":
            await graph.answered(f"{one.what}Memories", {"memories": [ref]})
        case "link" | "supersede":
            kind = "SUPERSEDES" if one.what == "supersede" else "RELATED"
            tie = {"source": ref, "target": {"externalId": one.other}, "kind": kind, "weight": one.number / 4}
            await graph.answered("linkMemories", {"links": [tie]})
        case "unlink":
            found = (
                await graph.data(
                    "query ($n: String!) { memory(by: {externalId: $n}) { links { nodes { id } } } }", n=memory
                )
            )["memory"]
            ids = [tie["id"] for tie in found["links"]["nodes"]] if found else []
            await graph.answered("unlinkMemories", {"links": ids[: one.number]})
        case "decay":
            await graph.answered("decayMemories", {"filter": {"scopes": ["GLOBAL"]}, "rate": 0.1})
        case "touch":
            await graph.answered("touchMemories", {"memories": [ref]})
        case "delete":
            await graph.answered("deleteMemories", {"memories": [ref]})


def told(data: Any, there: set[str]) -> dict[str, Any]:
    """What is known, without what was deleted since, and without what another order of equals would change."""
    shown: dict[str, Any] = {}
    for name in ("all", "tagged", "active", "plain", "said"):
        shown[name] = sorted((one for one in data[name]["nodes"] if one["externalId"] in there), key=str)
    for name in ("meaning", "words", "both"):
        found = [one for hit in data[name]["hits"] for one in (hit["memory"], *hit["folded"])]
        shown[name] = sorted((one for one in found if one["externalId"] in there), key=str)
    if len(there) == len(NAMES) + 2:
        shown |= {name: data[name] for name in ("heaviest", "last")}
        near = data["near"]["neighborhood"]
        shown["near"] = sorted(near["nodes"], key=str), sorted(near["edges"], key=str)
        shown["ways"] = sorted(data["ways"], key=str)
        shown["count"] = data["all"]["totalCount"]
    if "a" in there:
        shown["one"] = data["one"]
    return shown


@pytest.mark.hypothesis
@given(acts)
def test_as_of_a_time_is_what_was_told_then(folder: Path, changes: list[Act]) -> None:
    """What is asked as of a time is what the same questions were told at that time, whatever happened since."""

    async def run() -> None:
        clock = Clock()
        graph = Graph(folder / "data", clock)
        try:
            hub = (
                await graph.do("createMemory", {"externalId": "hub", "text": "tea", "scope": "GLOBAL"}, "memory { id }")
            )["memory"]["id"]
            end = (
                await graph.do(
                    "createMemory", {"externalId": "end", "text": "mint", "scope": "GLOBAL"}, "memory { id }"
                )
            )["memory"]["id"]
            for name in NAMES:
                await act(graph, Act("create", name, name, len(name)))
                await act(graph, Act("link", name, "end", 3))
                await act(graph, Act("link", name, "hub", 2))
            seen: list[tuple[datetime, Any]] = []
            for change in changes:
                await act(graph, change)
                told_now = await graph.data(LISTS, id=hub, **{"from": end})
                seen.append((clock.now, told_now))
                clock.forward(seconds=1)
            there = {
                node["externalId"]
                for node in (
                    await graph.data(
                        "{ memories(first: 200, filter: {statuses: [ACTIVE, ARCHIVED, SUPERSEDED]}) { nodes { externalId createdAt } } }"
                    )
                )["memories"]["nodes"]
            }
            deleted = {change.one for change in changes if change.what == "delete"}  # it may have been made anew
            for at, before in seen:
                again = await graph.data(LISTS, id=hub, at=at.isoformat(), **{"from": end})
                assert told(again, there - deleted) == told(before, there - deleted), at
        finally:
            await graph.close()
            shutil.rmtree(folder / "data", ignore_errors=True)

    asyncio.run(run())


async def texts(graph: Graph, at: datetime | None, **arguments: Any) -> list[str]:
    query = """query ($at: DateTime, $filter: MemoryFilter, $order: MemoryOrder) {
        memories(first: 50, asOf: $at, filter: $filter, orderBy: $order) { nodes { text } } }"""
    found = await graph.data(query, at=None if at is None else at.isoformat(), **arguments)
    return [node["text"] for node in found["memories"]["nodes"]]


@pytest.mark.both_families
async def test_what_was_known_and_what_held_are_two_things(graph: Graph) -> None:
    """An address that turned out to be another one: what we knew in May of March, and what we know of it today."""
    ada = {"owner": {"externalId": "ada"}}
    since = {"validFrom": "2020-01-01T00:00:00Z"}
    await graph.do("createMemory", {**ada, **since, "externalId": "old", "text": "lives in Rome"})
    await graph.do("createMemory", {**ada, "externalId": "tea", "text": "likes tea", "tags": ["x"]})
    tie = {"source": {"externalId": "tea"}, "target": {"externalId": "old"}, "weight": 0.5}
    await graph.do("linkMemories", {"links": [tie]})
    graph.clock.forward(days=1)
    early = graph.clock.now
    graph.clock.forward(days=1)
    await graph.do("linkMemories", {"links": [{**tie, "weight": 0.9}]})
    new = {
        "memory": {"externalId": "old"},
        "text": "lives in Oslo",
        "validFrom": "2020-06-01T00:00:00Z",
        "externalId": "new",
    }
    await graph.do("supersedeMemory", new)
    ids = await graph.data(
        '{ tea: memory(by: {externalId: "tea"}) { id } old: memory(by: {externalId: "old"}) { id } }'
    )
    ways = """query ($a: ID!, $b: ID!, $e: Boolean, $at: DateTime) { memoryPaths(from: $a, to: $b, entities: $e, asOf: $at) {
        weight nodes { ... on Memory { text } ... on Entity { name } } } }"""
    ends = {"a": ids["tea"]["id"], "b": ids["old"]["id"], "e": True}
    [way] = (await graph.data(ways, **ends, at=early.isoformat()))["memoryPaths"]
    assert way == {"weight": 0.5, "nodes": [{"text": "likes tea"}, {"text": "lives in Rome"}]}
    assert await graph.refusal(ways, **ends, at="2000-01-01T00:00:00Z") == ("NOT_FOUND", ["from"])
    await graph.do(
        "updateMemory", {"memory": {"externalId": "tea"}, "text": "likes mint", "tags": [], "importance": 0.9}
    )
    await graph.do("archiveMemories", {"memories": [{"externalId": "tea"}]})
    order = {"field": "UPDATED_AT", "direction": "ASC"}
    of_july = {"validAt": "2020-07-01T00:00:00Z", "owner": {"externalId": "ada"}}
    assert await texts(graph, early, order=order) == ["lives in Rome", "likes tea"]
    assert await texts(graph, early, filter=of_july, order=order) == ["lives in Rome", "likes tea"]
    assert await texts(graph, None, filter=of_july, order=order) == ["lives in Oslo", "likes mint"]
    assert await texts(graph, early, filter={**of_july, "tags": ["x"]}) == ["likes tea"]
    assert await texts(graph, early, filter={"not": {"statuses": ["ARCHIVED"]}, "text": "TEA"}) == ["likes tea"]
    found = await graph.data(
        """query ($at: DateTime) {
            tea: memory(by: {externalId: "tea"}, asOf: $at) { text status tags version
                neighborhood(asOf: $at) { nodes { ... on Memory { text } } edges { weight } }
                history { nodes { text status version cause } } }
            new: memory(by: {externalId: "new"}, asOf: $at) { text }
            before: memory(by: {externalId: "tea"}, asOf: "2000-01-01T00:00:00Z") { text }
            words: searchMemories(query: {text: "tea"}, mode: TEXT, asOf: $at) { hits { memory { text } score } }
            meaning: searchMemories(query: {text: "lives in Rome"}, first: 1, asOf: $at) { hits { memory { text status } } }
            now: searchMemories(query: {text: "tea"}, mode: TEXT) { hits { memory { text } } } }""",
        at=early.isoformat(),
    )
    assert found["tea"] == {
        "text": "likes tea",
        "status": "ACTIVE",
        "tags": ["x"],
        "version": 1,
        "neighborhood": {"nodes": [{"text": "likes tea"}, {"text": "lives in Rome"}], "edges": [{"weight": 0.5}]},
        "history": {
            "nodes": [
                {"text": "likes mint", "status": "ACTIVE", "version": 2, "cause": "ARCHIVED"},
                {"text": "likes tea", "status": "ACTIVE", "version": 1, "cause": "UPDATED"},
            ]
        },
    }
    assert (found["new"], found["before"], found["now"]) == (None, None, {"hits": []})
    assert [hit["memory"]["text"] for hit in found["words"]["hits"]] == ["likes tea"]
    assert found["meaning"]["hits"] == [{"memory": {"text": "lives in Rome", "status": "ACTIVE"}}]


async def test_pages_of_the_past_meet_and_are_bounded(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has changed since and what has not are one list, forward and backward."""
    memories = [
        {"externalId": f"m{i}", "text": f"text {i}", "scope": "GLOBAL", "importance": i % 3 / 2} for i in range(9)
    ]
    await graph.do("createMemories", {"memories": memories})
    at = graph.clock.now
    for i in (0, 2, 3, 7):
        await graph.do("updateMemory", {"memory": {"externalId": f"m{i}"}, "text": "later", "importance": 0.25})
    query = """query ($at: DateTime, $first: Int, $after: String, $last: Int, $before: String) {
        memories(asOf: $at, first: $first, after: $after, last: $last, before: $before, orderBy: {field: IMPORTANCE}) {
            totalCount nodes { text importance } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }"""
    whole = (await graph.data(query, at=at.isoformat()))["memories"]
    assert [node["importance"] for node in whole["nodes"]] == [1, 1, 1, 0.5, 0.5, 0.5, 0, 0, 0]
    assert whole["totalCount"] == 9
    for amount, cursor, more, end in (
        ("first", "after", "hasNextPage", "endCursor"),
        ("last", "before", "hasPreviousPage", "startCursor"),
    ):
        pages, place = [], None
        while not pages or pages[-1]["pageInfo"][more]:
            given = {amount: 2, cursor: place}
            pages.append((await graph.data(query, at=at.isoformat(), **given))["memories"])
            place = pages[-1]["pageInfo"][end]
        ordered = pages if amount == "first" else pages[::-1]
        assert [node for page in ordered for node in page["nodes"]] == whole["nodes"]
        assert [page["pageInfo"]["hasPreviousPage"] for page in ordered] == [False, True, True, True, True]
    monkeypatch.setattr("stores.past.MOST_REPLACED", 3)
    assert await graph.refusal(query, at=at.isoformat()) == ("LIMIT", ["asOf"])
