"""JSON Schemas of namespaces: what is checked when a value is written, and what becomes of older ones."""

from __future__ import annotations

from typing import Any

import pytest

from resolvers import json_schema
from tests.support.graphql_client import Graph

PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z]"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "uniqueItems": True},
    },
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "maxLength": 3}},
}
ENTRY = 'query ($k: String!) { state(namespace: "people", key: $k) { value version schemaVersion } }'


async def put(graph: Graph, schema: Any = PERSON, **more: Any) -> Any:
    fields = "stateSchema { id namespace schema version migrations }"
    return (await graph.do("setStateSchema", {"namespace": "people", "schema": schema, **more}, fields))["stateSchema"]


async def keep(graph: Graph, value: Any, key: str = "k") -> Any:
    given = {"namespace": "people", "key": key, "value": value}
    return (await graph.do("setState", given, "state { value schemaVersion }"))["state"]


async def entry(graph: Graph, key: str = "k") -> Any:
    return (await graph.data(ENTRY, k=key))["state"]


@pytest.mark.both_families
async def test_values_are_checked_when_they_are_written(graph: Graph) -> None:
    await keep(graph, "anything", "before")
    await put(graph)
    good = {"name": "Ada", "age": 36, "tags": ["a", "b"]}
    assert await keep(graph, good) == {"value": good, "schemaVersion": 1}
    assert await entry(graph, "before") == {"value": "anything", "version": 1, "schemaVersion": None}
    wrong = {
        ("name",): {"name": "ada"},
        ("age",): {"name": "Ada", "age": -1},
        ("tags", "1"): {"name": "Ada", "tags": ["a", "long"]},
        ("tags",): {"name": "Ada", "tags": ["a", "a"]},
        (): {"age": 1},
    }
    for path, value in wrong.items():
        given = {"namespace": "people", "key": "k", "value": value}
        assert await graph.fails("setState", given) == ("INVALID", ["value", *path])
    both = [{"namespace": "people", "key": "new", "value": good}, {"namespace": "people", "key": "k", "value": []}]
    assert await graph.fails("setStates", {"entries": both}) == ("INVALID", ["entries", "1", "value"])
    many = await graph.answered("setState", {"namespace": "people", "key": "k", "value": {"name": "a", "age": "b"}})
    assert sorted(error["path"] for error in many["errors"]) == [["value", "age"], ["value", "name"]]
    elsewhere = {"namespace": "people/below", "key": "k", "value": 1}
    await graph.do("setState", elsewhere)


@pytest.mark.both_families
async def test_older_values_are_read_as_the_newest_version_has_them(graph: Graph) -> None:
    first = await put(graph, {"type": "object"}, ifVersion=0)
    await keep(graph, {"nick": "ada", "address": {"town": "Oslo", "zip": 1}, "x": 1})
    await keep(graph, {"nick": "bo", "name": "Bo"}, "other")
    steps = [
        {"rename": {"at": "/nick", "to": "name"}},
        {"rename": {"at": "/address/town", "to": "city"}},
        {"default": {"at": "/age", "value": {"years": 0}}},
        {"remove": "/x"},
        {"remove": "/nowhere/x"},
    ]
    second = await put(graph, {"type": "object", "required": ["name"]}, steps=steps, ifVersion=1)
    assert (first["id"], first["version"], second["version"]) == (second["id"], 1, 2)
    assert second["migrations"] == [steps]
    await put(graph, {"type": "object", "title": "again"}, steps=[{"remove": "/address/zip"}])
    new = {"name": "ada", "address": {"city": "Oslo"}, "age": {"years": 0}}
    assert await entry(graph) == {"value": new, "version": 1, "schemaVersion": 1}
    assert (await entry(graph, "other"))["value"] == {"nick": "bo", "name": "Bo", "age": {"years": 0}}
    listed = '{ states(namespace: "people") { nodes { key value } } }'
    assert (await graph.data(listed))["states"]["nodes"][0] == {"key": "k", "value": new}
    assert await keep(graph, new) == {"value": new, "schemaVersion": 3}
    again = await put(graph, {"type": "object", "title": "again"})
    assert again["version"] == 3, "what changes nothing is no version"


@pytest.mark.both_families
async def test_schemas_are_listed_and_deleted(graph: Graph) -> None:
    made = await put(graph)
    await graph.do("setStateSchema", {"namespace": "orders", "schema": {}})
    query = '{ stateSchemas { totalCount nodes { namespace } } stateSchema(namespace: "people") { id schema } }'
    found = await graph.data(query)
    assert found["stateSchemas"] == {"totalCount": 2, "nodes": [{"namespace": "orders"}, {"namespace": "people"}]}
    assert found["stateSchema"] == {"id": made["id"], "schema": PERSON}
    await keep(graph, {"name": "Ada"})
    assert await graph.fails("deleteStateSchema", {"namespace": "people", "ifVersion": 2}) == (
        "CONFLICT", ["ifVersion"],
    )  # fmt: skip
    await graph.do("deleteStateSchema", {"namespace": "people"})
    assert await graph.fails("deleteStateSchema", {"namespace": "people"}) == ("NOT_FOUND", ["namespace"])
    assert await entry(graph) == {"value": {"name": "Ada"}, "version": 1, "schemaVersion": 1}
    assert await keep(graph, 1) == {"value": 1, "schemaVersion": None}


@pytest.mark.parametrize(
    ("schema", "code", "path"),
    [
        ({"type": "nothing"}, "INVALID", ["type"]),
        ({"properties": {"a": {"$ref": "https://example.com/s"}}}, "INVALID", ["properties", "a", "$ref"]),
        ({"$ref": "#/$defs/none"}, "INVALID", ["$ref"]),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "INVALID", ["properties", "a", "pattern"]),
        ({"patternProperties": {"^(a+)+$": {}}}, "INVALID", ["patternProperties"]),
        ({"items": {"$id": "x"}}, "INVALID", ["items", "$id"]),
        ({"$schema": "https://example.com/none"}, "INVALID", ["$schema"]),
        ({"description": "x" * 65_536}, "LIMIT", []),
    ],
)
async def test_what_is_no_schema(graph: Graph, schema: Any, code: str, path: list[str]) -> None:
    assert await graph.fails("setStateSchema", {"namespace": "n", "schema": schema}) == (code, ["schema", *path])


async def test_patterns_are_those_of_re2(graph: Graph) -> None:
    await put(graph, {"pattern": r"^\pL+[[:digit:]]\z"})
    await keep(graph, "ä1")
    assert await graph.fails("setState", {"namespace": "people", "key": "k", "value": "ä"}) == ("INVALID", ["value"])


async def test_steps_of_all_versions_have_a_length_together(graph: Graph) -> None:
    def steps(member: str) -> list[Any]:
        return [{"default": {"at": member, "value": "x" * 100_000}}]

    await put(graph, {})
    await put(graph, {"title": "2"}, steps=steps("/a"))
    await put(graph, {"title": "3"}, steps=steps("/b"))
    given = {"namespace": "people", "schema": {"title": "4"}, "steps": steps("/c")}
    assert await graph.fails("setStateSchema", given) == ("LIMIT", ["steps"])


async def test_steps_name_a_member_by_a_pointer(graph: Graph) -> None:
    for wrong in ("a", "/", "/a/", "/a~2", "//a"):
        steps = [{"remove": "/a"}, {"default": {"at": wrong, "value": 1}}]
        given = {"namespace": "n", "schema": {}, "steps": steps}
        assert await graph.fails("setStateSchema", given) == ("INVALID", ["steps", "1"]), wrong
    await put(graph, {})
    await keep(graph, {"a/b": {"~": 1}})
    await put(graph, {"title": "x"}, steps=[{"remove": "/a~1b/~0"}])
    assert (await entry(graph))["value"] == {"a/b": {}}


async def test_no_check_goes_on_for_ever(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """References that lead to themselves, twice to the next, and many looked at for many."""
    monkeypatch.setattr(json_schema, "MAX_CHECKS", 5_000)
    doubling = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": {}}
    for schema, value in (
        ({"$ref": "#"}, 1),
        ({"$ref": "#/$defs/a0", "$defs": doubling}, 1),
        ({"items": {"allOf": [{"type": "integer"}] * 100}}, [1] * 1_000),
    ):
        await put(graph, schema)
        given = {"namespace": "people", "key": "k", "value": value}
        assert await graph.fails("setState", given) == ("LIMIT", ["value"])
