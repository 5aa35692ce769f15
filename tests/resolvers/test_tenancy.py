"""Workspaces see nothing of each other: every field, and every place of the schema that takes an id, is tried."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.caller import LOCAL, Caller, Role
from formats.conversation import FormatError
from formats.recollect import jsonl as recollect_jsonl
from formats.recollect.lines import KINDS
from schema.loading import Loading
from server.errors import OperationRefused
from server.graphql.documents import Request
from stores.contract.turns import in_turn
from tests.support.graphql_client import Graph
from tests.support.tenants import (
    NODE,
    OURS,
    PLACES,
    ROOTS,
    SCHEMA,
    THEIRS,
    Place,
    Tenant,
    World,
    blind,
    executor,
    given,
    operation,
    selection,
    with_id,
)

pytestmark = pytest.mark.both_families


@pytest.fixture
async def world(graph: Graph) -> AsyncIterator[World]:
    found = World(Tenant(graph, LOCAL, OURS), Tenant(graph, Caller("theirs", Role.ADMIN), THEIRS))
    for tenant in (found.theirs, found.ours):
        await tenant.fill()
        await tenant.remember()
    assert (
        set(found.ours.ids)
        == set(found.theirs.ids)
        == {
            *KINDS.keys() - {"memory_refs", "blob_bytes", "erasure"},
            "audit",
            "api_key",
            "attachment",
            "document_chunk",
            "trashed_session",
        }
    )
    yield found
    assert await found.theirs.look() == found.theirs.kept, "nothing of theirs is changed, whatever is tried"


async def test_every_query_shows_ours_alone(graph: Graph, world: World) -> None:
    seen, asked = set(), dict(in_turn(ROOTS["query"].fields.items(), graph.family == "services"))
    for name, field in asked.items():
        for mine, other in (world, world[::-1]):
            arguments = given(ROOTS["query"], name, mine)
            fields = "{ id }" if name in ("node", "nodes") else selection(field.type)  # the next test shows the rest
            answer = await mine.ask(operation("query", ROOTS["query"], name, arguments, fields), **arguments)
            assert "errors" not in answer, (name, answer["errors"])
            blind(answer, other)
            seen |= {name} if mine.mark in json.dumps(answer) else set()
    without = {"annotationCursor", "auditLog", "generationKey", "health", "memoryCursor", "node", "nodes", "traces"}
    without |= {"stateNamespaces", "stats", "viewer", "sessionCursor", "traceChangeCursor"}
    assert seen >= asked.keys() - without, "what shows nothing proves nothing"


ALIKE = {"PanelSession", "WorkflowSession", "PlaygroundSession"}
"""Sessions as ChatSession is, with other names."""


async def test_every_field_of_a_node_shows_ours_alone(graph: Graph, world: World, subtests: pytest.Subtests) -> None:
    types = sorted({one.name for one in SCHEMA.get_possible_types(NODE)} - ALIKE)
    for type in in_turn(types, graph.family == "services"):
        fields = f"... on {type} {selection(SCHEMA.type_map[type])}"
        for mine, other in (world, world[::-1]):
            with subtests.test(type=type, mine=mine.mark):
                ids = [id for ids in mine.ids.values() for id in ids]
                answer = await mine.ask(
                    f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ __typename {fields} }} }}", ids=ids
                )
                assert "errors" not in answer, answer["errors"]
                assert type in [node["__typename"] for node in answer["data"]["nodes"] if node]
                blind(answer, other)


@pytest.mark.parametrize("kind", ROOTS)
async def test_an_id_of_theirs_is_not_there(graph: Graph, world: World, kind: str, subtests: pytest.Subtests) -> None:
    for number, place in enumerate(in_turn(PLACES, graph.family == "services")):
        if place.kind == kind:
            with subtests.test(place=str(place)):
                tried = [name(world, place, id) for id in world.theirs.for_place(place, number)]
                if kind == "subscription":  # each waits a moment for what must not come
                    await asyncio.gather(*tried)
                else:
                    for one in tried:
                        await one


async def name(world: World, place: Place, id: str) -> None:
    """Names a node of theirs in a place, and looks at what is answered."""
    ours, theirs = world
    root = ROOTS[place.kind]
    arguments = with_id(place, ours, id)
    query = operation(place.kind, root, place.field, arguments, selection(root.fields[place.field].type))
    if place.kind == "subscription":
        answer = await first(ours, query, arguments)
    else:
        answer = await ours.ask(query, **arguments)
    blind(answer, theirs, id)
    codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
    assert set(codes) <= {"NOT_FOUND", "INVALID"}, (place, answer)
    if place.kind == "mutation" and "filter" not in place.path:
        [payload] = answer["data"].values()
        told = next(errors for name, errors in payload.items() if name.endswith("errors"))
        assert told, f"{place}: a mutation that names what is not there does nothing"
        named = next(path for name, path in told[0].items() if name.endswith("path"))
        assert next(step for step in named if not step.isdigit()) in place.path, place


async def first(ours: Tenant, query: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """How a subscription begins: a refusal, or what comes within a moment."""
    try:
        events = await executor().subscribe(Request(query, arguments), Loading(ours.context))
    except OperationRefused as refused:
        return {"errors": refused.errors}
    try:
        async with asyncio.timeout(0.1):
            return {"data": json.loads((await anext(events)).body)}
    except TimeoutError:
        return {"data": None}
    except OperationRefused as refused:
        return {"errors": refused.errors}
    finally:
        await events.aclose()


def test_there_are_such_places() -> None:
    named = set(map(str, PLACES))
    assert {
        "session.by",
        "linkMemories.input.links.target",
        "sessionTrace.session",
        "node.id",
        "memories.filter.owner",
    } <= named
    assert len(named) > 60


# -- cursors, searches, logs, imports and what else goes from one to the other -----------------------------------


async def test_cursors_of_theirs_lead_to_ours_alone(world: World) -> None:
    ours, theirs = world
    lists = [name for name, field in ROOTS["query"].fields.items() if "after" in field.args]
    for name in lists:
        for way, size in (("after", "first"), ("before", "last")):
            field = ROOTS["query"].fields[name]
            arguments = given(ROOTS["query"], name, theirs)
            query = operation("query", ROOTS["query"], name, arguments, "{ edges { cursor } }")
            for edge in (await theirs.ask(query, **arguments))["data"][name]["edges"]:
                here = {**arguments, way: edge["cursor"], size: 50}
                blind(
                    await ours.ask(operation("query", ROOTS["query"], name, here, selection(field.type)), **here),
                    theirs,
                )


async def test_cursors_of_their_sessions_are_refused(world: World) -> None:
    ours, theirs = world
    query = '{ session(by: {externalId: "s"}) { traceCursor messageCursor } }'
    cursors = (await theirs.ask(query))["data"]["session"]
    for field, cursor in (("trace", cursors["traceCursor"]), ("messages", cursors["messageCursor"])):
        answer = await ours.ask(
            f'{{ session(by: {{externalId: "s"}}) {{ {field}(after: "{cursor}") {{ nodes {{ id }} }} }} }}'
        )
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["INVALID"]


@pytest.mark.in_turn
@pytest.mark.parametrize("mode", ["TEXT", "SEMANTIC", "HYBRID"])
async def test_searches_find_ours_alone(world: World, mode: str) -> None:
    query = "query ($q: MemoryQuery!, $mode: SearchMode!) { searchMemories(query: $q, mode: $mode, threshold: 0, first: 50) { hits { memory { id text } folded { id text } } } }"
    for mine, other in (world, world[::-1]):
        for asked in ({"text": "black tea"}, {"text": other.mark}, {"like": mine.ids["memory"][0]}):
            answer = await mine.ask(query, q=asked, mode="SEMANTIC" if "like" in asked else mode)
            blind(answer, other)
            if "text" in asked and asked["text"] == "black tea":
                hits = answer["data"]["searchMemories"]["hits"]
                assert sum(1 + len(hit["folded"]) for hit in hits) == 4


async def test_logs_tell_of_ours_alone(world: World) -> None:
    ours, theirs = world
    now = await ours.ask('{ memoryCursor session(by: {externalId: "s"}) { messageCursor traceCursor } }')
    session = now["data"]["session"]
    for query, after in (
        ("memoryChanges(after: $after) { memoryId memory { text } }", now["data"]["memoryCursor"]),
        (
            'sessionMessages(session: {externalId: "s"}, after: $after) { node { id text } }',
            session["messageCursor"],
        ),
        ('sessionTrace(session: {externalId: "s"}, after: $after) { node { id type } }', session["traceCursor"]),
    ):
        request = Request(f"subscription ($after: String) {{ {query} }}", {"after": after})
        events = await executor().subscribe(request, Loading(ours.context))
        waiting = asyncio.ensure_future(anext(events))
        for tenant in (theirs, ours):
            s = {"session": {"externalId": "s"}}
            await tenant.do("createMemory", {"text": tenant.mark, "scope": "GLOBAL"})
            await tenant.do("addMessage", {**s, "role": "user", "text": tenant.mark})
            await tenant.do("appendTraceEvents", {**s, "events": [{"type": tenant.mark}]})
        event = await asyncio.wait_for(waiting, 10)
        assert OURS in event.body.decode()
        assert THEIRS not in event.body.decode()
        await events.aclose()
    await theirs.remember()


async def test_an_import_takes_nothing_of_theirs(graph: Graph, world: World) -> None:
    """A file keeps its ids, and an id is of one workspace for ever."""
    lines = [line async for line in recollect_jsonl.export(world.theirs.context)]
    for into in (world.ours, Tenant(graph, Caller("new", Role.ADMIN), OURS)):
        with pytest.raises(FormatError):
            await recollect_jsonl.load(lambda: iter(lines), into.context)
        assert await into.look() == into.kept


async def test_names_and_idempotency_keys_are_of_a_workspace(world: World) -> None:
    ours, theirs = world
    query = 'mutation { createMemory(input: {text: "t", scope: GLOBAL, externalId: "same", idempotencyKey: "same"}) { memory { id } errors { code } } }'
    first_ours = (await ours.ask(query))["data"]["createMemory"]
    again = (await ours.ask(query))["data"]["createMemory"]
    assert first_ours == again
    found = await theirs.ask('{ memory(by: {externalId: "same"}) { id } }')
    assert found["data"] == {"memory": None}
