"""Changes: null clears what may be empty and is refused elsewhere, what is left out stays, nothing new is no change."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
import pytest
from graphql import GraphQLInputObjectType, GraphQLNonNull, get_named_type

from domain.entity import EntityInput
from domain.panel import PanelInput
from domain.routing import AgentRouteInput
from domain.state_schema import StateStep
from domain.values import Command, Ref
from domain.workflow import WorkflowInput, WorkflowStateInput, WorkflowTransitionInput
from schema.build import build
from schema.inputs import published, unwrapped
from tests.support.graphql_client import Graph, vector_of

SCHEMA = build()
assert SCHEMA.mutation_type is not None
MUTATIONS = SCHEMA.mutation_type.fields
AT = "2026-01-01T00:00:00Z"
LATER = "2027-01-01T00:00:00Z"


class Change(NamedTuple):
    """A mutation that changes what is there: what makes it be, the least input that names it, all members of an input,
    and where the payload shows them. shown: the field that shows a member of another name; None for none."""

    make: list[tuple[str, dict[str, Any]]]
    least: dict[str, Any]
    full: dict[str, Any]
    returning: str
    shown: dict[str, str | None] = {}


SESSION = {"session": {"externalId": "s"}}
ENTRY = {"namespace": "n", "key": "k", "value": {"a": 1}}
SPAN = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "work"}
CHANGES = {
    "updateSession": Change(
        [("createSession", {"externalId": "s", "title": "T", "context": {"a": 1, "b": 2}, "capabilities": ["c"], "metadata": {"m": 1}, "ttlSeconds": 60})],
        SESSION,
        {"title": "T", "status": "ACTIVE", "contextPatch": {"set": {"a": 1.0}, "remove": ["x"]}, "capabilities": ["c"], "metadata": {"m": 1}, "ifVersion": 1},
        "session { version updatedAt title status context capabilities metadata currentBranch { id } expiresAt }",
        {"ttlSeconds": "expiresAt"},
    ),
    "updateMemory": Change(
        [("createMemory", {"externalId": "m", "owner": {"externalId": "o"}, "text": "t", "tags": ["a"], "metadata": {"m": 1}, "ttlSeconds": 60, "validFrom": AT, "validUntil": LATER, "vector": vector_of("t"), "entities": [{"name": "E"}]})],
        {"memory": {"externalId": "m"}},
        {"text": "t", "importance": 0.5, "tags": ["a"], "metadata": {"m": 1}, "status": "ACTIVE", "vector": vector_of("t"), "validFrom": AT, "validUntil": LATER, "ifVersion": 1, "entities": [{"name": "E"}]},
        "memory { entities { name } version updatedAt text importance tags metadata status expiresAt validFrom validUntil }",
        {"ttlSeconds": "expiresAt"},
    ),
    "upsertUser": Change(
        [("upsertUser", {"externalId": "u", "name": "N", "profile": {"p": [1, {"q": None}]}})],
        {"externalId": "u"},
        {"name": "N", "profile": {"p": [1, {"q": None}]}},
        "user { name profile }",
        {"idempotencyKey": None},
    ),
    "upsertAgent": Change(
        [("upsertAgent", {"externalId": "a", "name": "N", "description": "D", "config": {"c": 1}, "capabilities": ["c"], "routes": [{"keywords": ["k"]}]})],
        {"externalId": "a"},
        {"name": "N", "description": "D", "config": {"c": 1}, "capabilities": ["c"], "routes": [{"keywords": ["k"]}]},
        "agent { name description config capabilities routes { keywords } }",
        {"idempotencyKey": None},
    ),
    "upsertEntity": Change(
        [("upsertEntity", {"entity": {"externalId": "e"}, "name": "N", "type": "t", "aliases": ["A"], "metadata": {"m": 1}})],
        {"entity": {"externalId": "e"}},
        {"name": "N", "type": "t", "aliases": ["A"], "metadata": {"m": 1}},
        "entity { name type aliases metadata }",
        {"idempotencyKey": None},
    ),
    "setState": Change(
        [("setState", {**ENTRY, "tags": ["a"]})],
        ENTRY,
        {"tags": ["a"]},
        "state { version tags expiresAt }",
        {"idempotencyKey": None, "ttlSeconds": "expiresAt"},
    ),
    "setStates": Change(
        [("setState", {**ENTRY, "tags": ["a"]})],
        {"entries": [ENTRY]},
        {"entries": [{**ENTRY, "tags": ["a"]}]},
        "states { version }",
        {"idempotencyKey": None},
    ),
    "setStateSchema": Change(
        [("setStateSchema", {"namespace": "n", "schema": {"title": "T"}, "index": ["$"]})],
        {"namespace": "n"},
        {"schema": {"title": "T"}, "index": ["$"], "steps": []},
        "stateSchema { version schema index migrations }",
        {"steps": "migrations", "idempotencyKey": None},
    ),
    "endSpan": Change(
        [("startSpan", SPAN)],
        {"traceId": SPAN["traceId"], "spanId": SPAN["spanId"]},
        {},
        "span { statusMessage }",
    ),
    "endSession": Change([("createSession", {"externalId": "s"}), ("endSession", SESSION)], SESSION, {}, "session { version status }"),
    "archiveSession": Change([("createSession", {"externalId": "s"}), ("archiveSession", SESSION)], SESSION, {}, "session { version }"),
    "linkSessions": Change(
        [
            ("createSession", {"externalId": "a"}),
            ("createSession", {"externalId": "b"}),
            ("linkSessions", {"links": [{"source": {"externalId": "a"}, "target": {"externalId": "b"}, "metadata": {"m": 1}}]}),
        ],
        {"links": [{"source": {"externalId": "a"}, "target": {"externalId": "b"}}]},
        {},
        "links { metadata }",
        {"idempotencyKey": None},
    ),
    "linkMemories": Change(
        [
            ("createMemories", {"memories": [{"externalId": name, "scope": "GLOBAL", "text": name} for name in "ab"]}),
            ("linkMemories", {"links": [{"source": {"externalId": "a"}, "target": {"externalId": "b"}, "metadata": {"m": 1}}]}),
        ],
        {"links": [{"source": {"externalId": "a"}, "target": {"externalId": "b"}}]},
        {},
        "links { metadata }",
        {"idempotencyKey": None},
    ),
}  # fmt: skip


REPLACED = {AgentRouteInput, WorkflowInput, WorkflowStateInput, WorkflowTransitionInput, PanelInput, StateStep}
"""Parts of a change that are given whole or not at all: what they leave out is not kept."""


def changing(name: str) -> bool:
    """Whether a mutation changes what may be there already, going by what it is called."""
    return name.startswith(("update", "upsert", "set", "end", "link")) or name == "archiveSession"


def test_every_mutation_that_changes_something_is_tried() -> None:
    assert set(CHANGES) == {name for name in MUTATIONS if changing(name)}


async def made(graph: Graph, change: Change) -> None:
    for mutation, input in change.make:
        await graph.do(mutation, input)


def members(mutation: str) -> list[str]:
    """The members of its input that may be left out."""
    input = get_named_type(MUTATIONS[mutation].args["input"].type)
    assert isinstance(input, GraphQLInputObjectType)
    return [name for name, field in input.fields.items() if not isinstance(field.type, GraphQLNonNull)]


NULLED = [(mutation, member) for mutation in CHANGES for member in members(mutation)]


@pytest.mark.parametrize(("mutation", "member"), NULLED)
async def test_null_clears_what_may_be_empty_and_is_refused_elsewhere(graph: Graph, mutation: str, member: str) -> None:
    change = CHANGES[mutation]
    await made(graph, change)
    input = {**change.least, member: None}
    answer = await graph.answered(mutation, input, change.returning)
    if answer["errors"]:
        assert await graph.fails(mutation, input) == ("INVALID", [member])
        return
    if (shown := change.shown.get(member, member)) is not None:
        [slot] = [value for name, value in answer.items() if name != "errors"]
        assert slot[shown] in (None, "", [], {})
    if mutation != "endSpan":
        with graph.untouched():
            again = await graph.do(mutation, input, change.returning)
        assert again == answer


@pytest.mark.parametrize(
    ("mutation", "input", "path"),
    [
        ("updateSession", {**SESSION, "contextPatch": {"set": None}}, ["contextPatch", "set"]),
        ("updateSession", {**SESSION, "contextPatch": {"remove": None}}, ["contextPatch", "remove"]),
        ("updateSession", {**SESSION, "status": None, "title": "x"}, ["status"]),
        ("setStates", {"entries": [{**ENTRY, "ifVersion": None}]}, ["entries", "0", "ifVersion"]),
        ("deleteState", {"namespace": "n", "key": "k", "ifVersion": None}, ["ifVersion"]),
    ],
)
async def test_null_further_in(graph: Graph, mutation: str, input: Any, path: list[str]) -> None:
    await made(graph, CHANGES["updateSession"])
    assert await graph.fails(mutation, input) == ("INVALID", path)


async def test_what_null_may_clear_further_in(graph: Graph) -> None:
    for name in ("updateSession", "setStates", "linkMemories"):
        await made(graph, CHANGES[name])
    patch = {**SESSION, "contextPatch": {"set": {"a": None}, "remove": ["b"]}}
    assert (await graph.do("updateSession", patch, "session { context }"))["session"]["context"] == {"a": None}
    done = await graph.do("setStates", {"entries": [{**ENTRY, "tags": None}]}, "states { tags }")
    assert done["states"] == [{"tags": []}]
    link = CHANGES["linkMemories"].least["links"][0]
    assert (await graph.do("linkMemories", {"links": [link]}, "links { metadata }"))["links"] == [
        {"metadata": {"m": 1}}
    ]
    cleared = await graph.do("linkMemories", {"links": [{**link, "metadata": None}]}, "links { metadata }")
    assert cleared["links"] == [{"metadata": {}}]


@pytest.mark.parametrize("part", ["least", "full"])
@pytest.mark.parametrize("mutation", [name for name in CHANGES if name != "endSpan"])
async def test_a_change_that_changes_nothing_writes_nothing(graph: Graph, mutation: str, part: str) -> None:
    change = CHANGES[mutation]
    await made(graph, change)
    input = change.least if part == "least" else {**change.least, **change.full}
    with graph.untouched():
        await graph.do(mutation, input)


async def test_the_key_of_a_change_that_changed_nothing_is_noted(graph: Graph) -> None:
    await made(graph, CHANGES["upsertUser"])
    same = {"externalId": "u", "name": "N", "idempotencyKey": "once"}
    await graph.do("upsertUser", same)
    await graph.do("upsertUser", {"externalId": "u", "name": "Changed"})
    assert (await graph.do("upsertUser", same, "user { name }"))["user"] == {"name": "Changed"}
    assert await graph.fails("upsertUser", {**same, "name": "Other"}) == ("CONFLICT", ["idempotencyKey"])


async def test_a_change_that_changes_nothing_is_no_event_and_no_line_of_the_audit(graph: Graph) -> None:
    await made(graph, CHANGES["updateMemory"])
    memories, log = "{ memoryCursor }", "{ auditLog { nodes { action } } }"
    before = await graph.data(memories), await graph.data(log)
    await graph.do("updateMemory", {**CHANGES["updateMemory"].least, "text": "t"})
    await graph.do("restoreMemories", {"memories": [{"externalId": "m"}]})
    assert (await graph.data(memories), await graph.data(log)) == before


async def test_a_state_of_a_version_is_set_once_though_its_value_is_the_same(graph: Graph) -> None:
    await made(graph, CHANGES["setState"])
    claim = {**ENTRY, "ifVersion": 1}
    assert (await graph.do("setState", claim, "state { version }"))["state"] == {"version": 2}
    assert await graph.fails("setState", claim) == ("CONFLICT", ["ifVersion"])


async def test_another_vector_is_a_change(graph: Graph) -> None:
    await made(graph, CHANGES["updateMemory"])
    turned = {"memory": {"externalId": "m"}, "vector": vector_of("other")}
    for version in (2, 2):
        assert (await graph.do("updateMemory", turned, "memory { version }"))["memory"] == {"version": version}


async def test_what_has_left_leaves_once(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s", "participants": [{"externalId": "p"}]})
    left = {**SESSION, "participant": {"externalId": "p"}}
    await graph.do("removeParticipant", left)
    with graph.untouched():
        await graph.do("removeParticipant", left)


def nested(command: type[Command]) -> set[type[Command]]:
    """A command and those within it."""
    found = {command}
    for hint in get_type_hints(command, include_extras=True).values():
        inner, _ = unwrapped(hint)
        inner = get_args(inner)[0] if get_origin(inner) is list else inner
        if isinstance(inner, type) and issubclass(inner, Command) and inner is not Ref:
            found |= nested(inner)
    return found


@pytest.mark.parametrize("mutation", CHANGES)
def test_no_member_of_a_change_takes_null_for_left_out(mutation: str) -> None:
    of_the_request = {"idempotency_key", "ttl_seconds" if mutation.startswith("setState") else ""}
    command = published(get_named_type(MUTATIONS[mutation].args["input"].type).name)
    assert command is not None
    for part in nested(command):
        if part in (EntityInput, *REPLACED):
            continue
        taken = {field.name for field in msgspec.structs.fields(part) if field.default is None}
        assert taken <= of_the_request, part
