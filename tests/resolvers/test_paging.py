"""Pages of every list: forward, backward, and what cannot be asked."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stores.ports import Collection
from tests.support.graphql_client import Clock, Graph, ids, new_epoch
from tests.support.services import held

N = 7
S = {"session": {"externalId": "s"}}


class List(NamedTuple):
    """A list with N things in it: the query, with %s where the arguments of the page stand, and its cap."""

    query: str
    cap: int = 200
    several: str | None = None
    """The same list of several parents."""


def session(field: str, cap: int = 200, several: bool = True) -> List:
    of = f"{field}%s"
    return List(
        '{ session(by: {externalId: "s"}) { %s } }' % of, cap, "{ sessions { nodes { %s } } }" % of if several else None
    )


LISTS: dict[str, List] = {
    "sessions": List("{ sessions%s }"),
    "users": List("{ users%s }"),
    "agents": List("{ agents%s }"),
    "memories": List("{ memories%s }"),
    "spans": List("{ spans%s }", 1000),
    "audit": List('{ auditLog(filter: {actions: ["upsertAgent"]}, %s }'),
    "states": List('{ states(namespace: "n", %s }'),
    "entity.memories": List('{ entity(by: {externalId: "e0"}) { memories%s } }', several="{ entities { nodes { memories%s } } }"),
    "entity.messages": List('{ entity(by: {externalId: "e0"}) { messages%s } }', 1000, "{ entities { nodes { messages%s } } }"),
    "session.participants": session("participants"),
    "session.messages": session("messages", 1000),
    "session.threads": session("threads"),
    "session.links": session("links"),
    "session.memories": session("memories"),
    "session.trace": session("trace", 1000),
    "session.spans": session("spans", 1000),
    "session.traces": session("traces"),
    "user.sessions": List('{ user(by: {externalId: "u0"}) { sessions%s } }', several="{ users { nodes { sessions%s } } }"),
    "user.memories": List('{ user(by: {externalId: "u0"}) { memories%s } }', several="{ users { nodes { memories%s } } }"),
    "participant.messages": List(('{ session(by: {externalId: "s"}) { participants(first: ' '1) { nodes { messages%s } } } }'), 1000, ('{ session(by: {externalId: "s"}) { participants { ' 'nodes { messages%s } } } }')),
    "thread.messages": List(('{ session(by: {externalId: "s"}) { threads(first: 1) ' '{ nodes { messages%s } } } }'), 1000, ('{ session(by: {externalId: "s"}) { threads { ' 'nodes { messages%s } } } }')),
    "message.replies": List(('{ session(by: {externalId: "s"}) { messages(first: 1) ' '{ nodes { replies%s } } } }'), 1000, ('{ session(by: {externalId: "s"}) { messages { ' 'nodes { replies%s } } } }')),
    "message.trace": List(('{ session(by: {externalId: "s"}) { messages(first: ' '1) { nodes { trace%s } } } }'), 1000, ('{ session(by: {externalId: "s"}) { messages { ' 'nodes { trace%s } } } }')),
    "memory.referencedBy": List('{ memory(by: {externalId: "m0"}) { referencedBy%s } }', 1000, "{ memories { nodes { referencedBy%s } } }"),
    "memory.links": List('{ memory(by: {externalId: "m0"}) { links%s } }', 200, "{ memories { nodes { links%s } } }"),
    "memory.history": List('{ memory(by: {externalId: "m0"}) { history%s } }', 200, "{ memories { nodes { history%s } } }"),
    "memory.recalls": List('{ memory(by: {externalId: "m0"}) { recalls%s } }', 200, "{ memories { nodes { recalls%s } } }"),
    "span.children": List('{ trace(traceId: "t0") { root { children%s } } }', 1000, "{ spans { nodes { children%s } } }"),
    "span.events": List('{ trace(traceId: "t0") { root { events%s } } }', 1000, "{ spans { nodes { events%s } } }"),
    "reasoningChains": List("{ reasoningChains%s }"),
    "stateSchemas": List("{ stateSchemas%s }"),
    "session.reasoningChains": List('{ session(by: {externalId: "s2"}) { reasoningChains%s } }', several="{ sessions { nodes { reasoningChains%s } } }"),
    "agent.reasoningChains": List('{ agent(by: {externalId: "a0"}) { reasoningChains%s } }', several="{ agents { nodes { reasoningChains%s } } }"),
    "trace.spans": List('{ trace(traceId: "long") { spans%s } }', 1000, '{ session(by: {externalId: "s"}) { traces { nodes { spans%s } } } }'),
}  # fmt: skip

PAGE = "{ edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a graph that is filled once, by the first test that needs it."""
    return tmp_path_factory.mktemp("full")


@pytest.fixture
async def full(template: Path, folder: Path, family: str) -> AsyncIterator[Graph]:
    """A graph where each of the lists has N things, or more. A copy of its own, but for the servers."""
    if not (held(template) if family == "services" else (template / "recollect.db").exists()):
        filled = Graph(template, Clock(), family=family)
        await fill(filled)
        await filled.close()
    clock = Clock()
    clock.forward(hours=1)
    if family == "embedded":
        template = shutil.copytree(template, folder / "full")
    graph = Graph(template, clock, family=family)
    yield graph
    await graph.close()


async def fill(graph: Graph) -> None:
    """Fills the template."""
    for i in range(N):
        await graph.do(
            "createSession",
            {"externalId": "s" if i == 0 else f"s{i}", "participants": [{"actor": {"externalId": "u0"}}]},
        )
        await graph.do("upsertAgent", {"externalId": f"a{i}"})
        await graph.do("setState", {"namespace": "n", "key": f"k{i}", "value": i})
        await graph.do("setStateSchema", {"namespace": f"checked{i}", "schema": {}})
    ties = [{"source": {"externalId": "s"}, "target": {"externalId": f"s{i}"}} for i in range(1, N)]
    back = {"source": {"externalId": "s1"}, "target": {"externalId": "s"}}
    await graph.do("linkSessions", {"links": [*ties, back]})
    for i in range(1, N):
        await graph.do("addParticipant", {**S, "actor": {"externalId": f"u{i}"}})
    messages: list[Any] = [
        {
            "sender": {"externalId": "u0"},
            "text": str(i),
            "thread": "side",
            "externalId": f"x{i}",
            "entities": [{"name": "e0", "externalId": "e0"}],
        }
        for i in range(N)
    ]
    first = [*messages, *({"sender": {"externalId": "u1"}, "text": "", "thread": f"t{i}"} for i in range(1, N))]
    await graph.do("addMessages", {**S, "messages": first})
    replies = [{"sender": {"externalId": "u2"}, "text": "", "parent": {"externalId": "x0"}} for _ in range(N)]
    await graph.do("addMessages", {**S, "messages": replies})
    memories = [
        {
            "text": f"word {i}",
            "owner": {"externalId": "u0"},
            "externalId": f"m{i}",
            "sourceMessage": {"externalId": "x0"},
            "entities": [{"name": f"e{n}", "externalId": f"e{n}"} for n in range(N)],
        }
        for i in range(N)
    ]
    await graph.do("createMemories", {"memories": memories})
    for i in range(N):
        refs = {"sender": {"externalId": "u3"}, "text": "", "memoryRefs": [{"memory": {"externalId": "m0"}}]}
        await graph.do("addMessage", {**S, **refs})
        await graph.do("recall", {"query": {"text": "word"}, "threshold": 0, "first": 50})
        await graph.do("updateMemory", {"memory": {"externalId": "m0"}, "importance": i / 10})
        await graph.do(
            "startSpan", {"session": {"externalId": "s" if i else "s1"}, "name": "x", "traceId": f"t{i}", "spanId": "a"}
        )
        if i:
            await graph.do(
                "linkMemories", {"links": [{"source": {"externalId": "m0"}, "target": {"externalId": f"m{i}"}}]}
            )
    await graph.do("linkMemories", {"links": [{"source": {"externalId": "m1"}, "target": {"externalId": "m0"}}]})
    await graph.do("startSpan", {**S, "name": "x", "traceId": "one more"})
    for i in range(N):
        for there, of, of_parent in (("s1", "t0", "a"), ("s2", "long", None)):
            span = {"name": "x", "traceId": of, "spanId": f"c{i}", "parentSpanId": of_parent}
            await graph.do("startSpan", {"session": {"externalId": there}, **span})
        await graph.do(
            "recordReasoning",
            {"session": {"externalId": "s2"}, "agent": {"externalId": "a0"}, "steps": [{"text": "x"}]},
        )
    of_both = {"type": "x", "message": {"externalId": "x0"}, "traceId": "t0", "spanId": "a"}
    events = [*[of_both] * (N - 1), {"type": "x", "message": {"externalId": "x0"}}]
    await graph.do("appendTraceEvents", {"session": {"externalId": "s1"}, "events": events})


ARGUMENTS = "first: $first, after: $after, last: $last, before: $before"
VARIABLES = "query ($first: Int, $after: String, $last: Int, $before: String) "


def document(query: str, select: str = PAGE) -> str:
    """The query of a list, whose page is chosen by variables."""
    return VARIABLES + query % (
        f"{ARGUMENTS}) {select}" if "(namespace" in query or "(filter" in query else f"({ARGUMENTS}) {select}"
    )


def inner(data: Any) -> Any:
    """The page of the one list in an answer."""
    while isinstance(data, list) or not ("edges" in data or "totalCount" in data):
        data = data[0] if isinstance(data, list) else next(iter(data.values()))
    return data


async def page(graph: Graph, name: str, **arguments: Any) -> Any:
    found = inner(await graph.data(document(LISTS[name].query), **arguments))
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    info = found["pageInfo"]
    assert info["startCursor"] == (found["edges"][0]["cursor"] if found["edges"] else None)
    assert info["endCursor"] == (found["edges"][-1]["cursor"] if found["edges"] else None)
    return found


async def everything(graph: Graph, name: str) -> Any:
    found = await page(graph, name, first=100)
    if name in ("session.messages",):
        assert len(found["nodes"]) > N
    elif name not in ("spans",):
        assert len(found["nodes"]) == N, name
    assert not found["pageInfo"]["hasNextPage"]
    assert not found["pageInfo"]["hasPreviousPage"]
    return found


@pytest.mark.parametrize("name", LISTS)
async def test_pages_meet_without_gap_or_overlap(full: Graph, name: str) -> None:
    """Forward from the start, backward from the end, each cursor once, and the ends known."""
    whole = await everything(full, name)
    all_ids, cursors = ids(whole["nodes"]), [edge["cursor"] for edge in whole["edges"]]
    assert len(set(all_ids)) == len(set(cursors)) == len(all_ids)
    seen: list[str] = []
    after = None
    while True:
        found = await page(full, name, first=3, after=after)
        assert found["pageInfo"]["hasPreviousPage"] == bool(seen)
        seen += ids(found["nodes"])
        assert found["pageInfo"]["hasNextPage"] == (len(seen) < len(all_ids))
        if not found["pageInfo"]["hasNextPage"]:
            break
        after = found["pageInfo"]["endCursor"]
    assert seen == all_ids
    seen, before = [], None
    while True:
        found = await page(full, name, last=3, before=before)
        assert found["pageInfo"]["hasNextPage"] == bool(seen)
        seen = ids(found["nodes"]) + seen
        assert found["pageInfo"]["hasPreviousPage"] == (len(seen) < len(all_ids))
        if not found["pageInfo"]["hasPreviousPage"]:
            break
        before = found["pageInfo"]["startCursor"]
    assert seen == all_ids
    between = await page(full, name, first=100, after=cursors[1], before=cursors[4])
    assert ids(between["nodes"]) == all_ids[2:4]
    last = await page(full, name, last=1, after=cursors[1], before=cursors[4])
    assert ids(last["nodes"]) == all_ids[3:4]
    nothing = await page(full, name, first=5, after=cursors[-1])
    assert nothing["nodes"] == []
    none = await page(full, name, first=0)
    assert none["nodes"] == []


@pytest.mark.parametrize("name", LISTS)
async def test_what_cannot_be_asked(full: Graph, name: str) -> None:
    listed = LISTS[name]
    cap = listed.cap
    query = document(listed.query)
    for arguments, path in (
        ({"first": -1}, "first"),
        ({"first": cap + 1}, "first"),
        ({"last": -1}, "last"),
        ({"last": cap + 1}, "last"),
        ({"first": 1, "last": 1}, "last"),
        ({"after": "garbage"}, "after"),
        ({"before": ""}, "before"),
        ({"after": "\u00e9\u0000"}, "after"),
    ):
        assert await full.refusal(query, **arguments) == ("INVALID", [path]), arguments
    await page(full, name, first=cap)
    await page(full, name, last=cap)


@pytest.mark.parametrize("name", LISTS)
async def test_a_cursor_from_elsewhere(full: Graph, name: str) -> None:
    elsewhere = "session.messages" if name != "session.messages" else "session.trace"
    cursor = (await page(full, elsewhere, first=1))["pageInfo"]["endCursor"]
    for argument in ("after", "before"):
        assert await full.refusal(document(LISTS[name].query), **{argument: cursor}) == ("INVALID", [argument])


@pytest.mark.parametrize("name", [name for name, listed in LISTS.items() if listed.several])
async def test_a_cursor_with_several_parents(full: Graph, name: str) -> None:
    cursor = (await page(full, name, first=1))["pageInfo"]["endCursor"]
    several = LISTS[name].several
    assert several is not None
    for argument in ("after", "before"):
        answer = await full.ask(document(several), **{argument: cursor})
        assert {(e["extensions"]["code"], *e["extensions"]["path"]) for e in answer["errors"]} == {
            ("INVALID", argument)
        }
    await full.data(document(several), first=2)


@pytest.mark.parametrize("name", LISTS)
async def test_the_total_is_counted_only_when_it_is_asked_for(full: Graph, name: str) -> None:
    whole = await everything(full, name)
    counted: list[Any] = []
    store = full.context.store
    counts = store.counts

    async def watched(keys: Any) -> list[int]:
        counted.extend(keys)
        return await counts(keys)

    store.counts = watched  # type: ignore[method-assign]
    try:
        await page(full, name, first=2)
        assert counted == []
        found = inner(await full.data(document(LISTS[name].query, "{ totalCount nodes { id } }"), first=2))
        assert found["totalCount"] == len(whole["nodes"])
        assert len(found["nodes"]) == 2
        assert len(counted) == 1
    finally:
        del store.counts  # type: ignore[attr-defined]


def test_every_list_is_tried() -> None:
    tried = {name.replace("user.", "actor.") for name in LISTS}
    # Of no workspace; of a message's id, in test_branches; of which only figures are shown.
    apart = {Collection.TENANT_KEYS, Collection.MESSAGE_BRANCH, Collection.MESSAGES}
    # Lists with a filter are all of one make, and those without: reasoning chains and schemas of state stand for them.
    alike = {name for name in tried if "reasoningChains" in name} | {"stateSchemas"}
    assert tried - alike == {collection.value for collection in Collection if collection not in apart}


async def test_fifty_where_nothing_is_said(graph: Graph) -> None:
    await graph.do("setStates", {"entries": [{"namespace": "n", "key": f"{i:03}", "value": i} for i in range(60)]})
    found = (await graph.data('{ states(namespace: "n") { nodes { key } pageInfo { hasNextPage } } }'))["states"]
    assert len(found["nodes"]) == 50
    assert found["pageInfo"]["hasNextPage"]
    found = (
        await graph.data(
            'query ($f: Int, $a: String) { states(namespace: "n", first: $f, after: $a) { nodes { key } } }',
            f=None,
            a=None,
        )
    )["states"]
    assert len(found["nodes"]) == 50


@pytest.mark.both_families
async def test_a_cursor_keeps_its_place_while_the_list_grows_and_shrinks(graph: Graph) -> None:
    for i in range(6):
        await graph.do(
            "createMemory",
            {"text": str(i), "scope": "GLOBAL", "externalId": str(i), "createdAt": f"2020-01-0{i + 1}T00:00:00Z"},
        )
    query = "query ($a: String) { memories(first: 2, after: $a) { nodes { text } pageInfo { endCursor } } }"
    first = (await graph.data(query))["memories"]
    assert [node["text"] for node in first["nodes"]] == ["5", "4"]
    await graph.do("deleteMemories", {"memories": [{"externalId": "4"}]})
    await graph.do("createMemory", {"text": "new", "scope": "GLOBAL"})
    second = (await graph.data(query, a=first["pageInfo"]["endCursor"]))["memories"]
    assert [node["text"] for node in second["nodes"]] == ["3", "2"]


@pytest.mark.both_families
async def test_a_cursor_belongs_to_its_order(graph: Graph) -> None:
    await graph.do("createMemories", {"memories": [{"text": str(i), "scope": "GLOBAL"} for i in range(3)]})
    query = (
        "query ($a: String, $o: MemoryOrder) { memories(first: 1, after: $a, orderBy: $o) { nodes { text } "
        "pageInfo { endCursor } } }"
    )
    cursor = (await graph.data(query, o={"field": "IMPORTANCE"}))["memories"]["pageInfo"]["endCursor"]
    assert [
        node["text"] for node in (await graph.data(query, a=cursor, o={"field": "IMPORTANCE"}))["memories"]["nodes"]
    ] == ["1"]
    assert await graph.refusal(query, a=cursor) == ("INVALID", ["after"])
    assert await graph.refusal(query, a=cursor, o={"field": "IMPORTANCE", "direction": "ASC"}) == ("INVALID", ["after"])


@pytest.mark.parametrize("name", LISTS)
async def test_every_list_can_be_turned_round(full: Graph, name: str) -> None:
    query, turned = LISTS[name].query, []
    for direction in ("ASC", "DESC"):
        arguments = f"first: 100, orderBy: {{direction: {direction}}}) {PAGE}"
        given = arguments if "(namespace" in query or "(filter" in query else f"({arguments}"
        turned.append(ids(inner(await full.data(query % given))["nodes"]))
    own = ids((await everything(full, name))["nodes"])
    assert turned[0] == turned[1][::-1]
    assert own in turned


@pytest.mark.both_families
async def test_ties_are_broken_by_id(graph: Graph) -> None:
    at = "2020-01-01T00:00:00Z"
    await graph.do(
        "createMemories", {"memories": [{"text": str(i), "scope": "GLOBAL", "createdAt": at} for i in range(10)]}
    )
    seen: list[str] = []
    after = None
    query = "query ($a: String) { memories(first: 3, after: $a) { nodes { id } pageInfo { hasNextPage endCursor } } }"
    while True:
        found = (await graph.data(query, a=after))["memories"]
        seen += ids(found["nodes"])
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 10


@pytest.mark.both_families
@pytest.mark.parametrize("field", ["trace", "messages"])
async def test_a_cursor_of_an_earlier_epoch(tmp_path: Path, field: str, family: str) -> None:
    folder = tmp_path / "restored"
    query = (
        'query ($a: String) { session(by: {externalId: "s"}) { traceCursor messageCursor %s(after: $a) { '
        "nodes { id } } } }"
    ) % field
    cursors: list[Any] = []
    for _ in range(2):
        graph = Graph(folder, Clock(), family=family)
        if not cursors:
            await graph.do("createSession", {"externalId": "s"})
            data = (await graph.data(query))["session"]
            cursors = [data[name] for name in (f"{field.removesuffix('s')}Cursor", "traceCursor", "messageCursor")]
            assert (await graph.data(query, a=cursors[0]))["session"][field] == {"nodes": []}
        else:
            assert await graph.refusal(query, a=cursors[0]) == ("CURSOR_EXPIRED", None)
            other = cursors[2] if field == "trace" else cursors[1]
            assert await graph.refusal(query, a=other) == ("INVALID", ["after"]), (
                "of another kind before of another epoch"
            )
        await graph.close()
        new_epoch(folder, family)
