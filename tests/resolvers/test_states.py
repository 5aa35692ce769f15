"""State: values by namespace and key."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

from typing import Any

import pytest

from resolvers.expiry import sweep
from tests.support.graphql_client import Graph

ALL = "id namespace key value tags version updatedAt expiresAt"


async def put(graph: Graph, key: str = "k", value: Any = 1, **more: Any) -> Any:
    given = {"namespace": "n", "key": key, "value": value, **more}
    return (await graph.do("setState", given, f"state {{ {ALL} }}"))["state"]


async def get(graph: Graph, key: str = "k", namespace: str = "n") -> Any:
    query = "query ($n: String!, $k: String!) { state(namespace: $n, key: $k) { %s } }" % ALL
    return (await graph.data(query, n=namespace, k=key))["state"]


async def keys(graph: Graph, namespace: str = "n", **arguments: Any) -> list[str]:
    query = "query ($n: String!, $f: StateFilter) { states(namespace: $n, filter: $f) { totalCount nodes { key } } }"
    found = (await graph.data(query, n=namespace, **arguments))["states"]
    assert found["totalCount"] == len(found["nodes"])
    return [node["key"] for node in found["nodes"]]


class TestSetting:
    @pytest.mark.parametrize(
        "value", [0, -1.5, "text", "", True, [], {}, {"a": [None, {"b": 2.50}]}, [1, 1.0], "\u0000\U0001f343", 2**100]
    )
    async def test_any_value_is_kept(self, graph: Graph, value: Any) -> None:
        made = await put(graph, value=value)
        assert made["value"] == value
        assert type(made["value"]) is type(value)
        assert await get(graph) == made

    async def test_versions_count_the_writes(self, graph: Graph) -> None:
        first, second = await put(graph), await put(graph, tags=["a"])
        assert (first["version"], second["version"], first["id"]) == (1, 2, second["id"])
        assert (first["tags"], second["tags"]) == ([], ["a"])
        assert second["updatedAt"] > first["updatedAt"]

    async def test_if_version(self, graph: Graph) -> None:
        wrong = {"namespace": "n", "key": "k", "value": 2}
        assert await graph.fails("setState", {**wrong, "ifVersion": 1}) == ("CONFLICT", ["ifVersion"])
        await put(graph, ifVersion=0)
        assert await graph.fails("setState", {**wrong, "ifVersion": 0}) == ("CONFLICT", ["ifVersion"])
        await put(graph, ifVersion=1)
        assert await graph.fails("deleteState", {"namespace": "n", "key": "k", "ifVersion": 1}) == (
            "CONFLICT",
            ["ifVersion"],
        )

    async def test_many_or_none(self, graph: Graph) -> None:
        entries = [{"namespace": f"n{i % 2}", "key": f"k{i}", "value": i} for i in range(1000)]
        done = await graph.do("setStates", {"entries": entries}, "states { key value }")
        assert done["states"] == [{"key": f"k{i}", "value": i} for i in range(1000)]
        wrong = [{**entries[0], "value": "changed"}, {**entries[1], "ifVersion": 7}]
        assert await graph.fails("setStates", {"entries": wrong}) == ("CONFLICT", ["entries", "1", "ifVersion"])
        assert await graph.fails("setStates", {"entries": [*entries, entries[0]]}) == ("INVALID", ["entries"])

    async def test_the_same_key_twice_in_one_list(self, graph: Graph) -> None:
        entries = [{"namespace": "n", "key": "k", "value": value} for value in (1, 2)]
        done = await graph.do("setStates", {"entries": entries}, "states { version value }")
        assert done["states"][1] == {"version": 2, "value": 2}

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"namespace": ""}, ["namespace"]),
            ({"key": ""}, ["key"]),
            ({"key": "x" * 1001}, ["key"]),
            ({"namespace": "x" * 1001}, ["namespace"]),
            ({"value": "x" * 8_388_607}, ["value"]),
            ({"tags": ["x" * 1001]}, ["tags", "0"]),
            ({"tags": [""]}, ["tags", "0"]),
            ({"ttlSeconds": 0}, ["ttlSeconds"]),
        ],
    )
    async def test_wrong_values(self, graph: Graph, change: Any, path: list[str]) -> None:
        entry = {"namespace": "n", "key": "k", "value": 1, **change}
        assert await graph.fails("setState", entry) == ("INVALID", path)
        assert await graph.fails("setStates", {"entries": [entry]}) == ("INVALID", ["entries", "0", *path])

    async def test_the_largest_value(self, graph: Graph) -> None:
        assert len((await put(graph, value="x" * 8_388_606))["value"]) == 8_388_606


class TestTimeToLive:
    async def test_what_has_expired_is_gone(self, graph: Graph) -> None:
        first = await put(graph, ttlSeconds=60)
        assert first["expiresAt"] > first["updatedAt"]
        await put(graph, "stays")
        graph.clock.forward(seconds=61)
        for _ in range(2):
            assert await get(graph) is None
            assert await keys(graph) == ["stays"]
            await sweep(graph.context)
        assert await graph.fails("deleteState", {"namespace": "n", "key": "k"}) == ("NOT_FOUND", ["key"])

    async def test_one_that_has_expired_begins_anew(self, graph: Graph) -> None:
        await put(graph, ttlSeconds=1)
        await put(graph, ttlSeconds=1)
        graph.clock.forward(seconds=2)
        assert (await put(graph, ifVersion=0))["version"] == 1

    async def test_a_write_without_one_lasts(self, graph: Graph) -> None:
        await put(graph, ttlSeconds=60)
        assert (await put(graph))["expiresAt"] is None
        graph.clock.forward(days=1)
        assert await get(graph) is not None


class TestReading:
    async def test_namespaces_are_apart(self, graph: Graph) -> None:
        await put(graph, value="n")
        await put(graph, namespace="m", value="m")
        assert (await get(graph))["value"] == "n"
        assert await keys(graph, "nowhere") == []
        assert await get(graph, "nowhere") is None

    async def test_by_key(self, graph: Graph) -> None:
        names = ["b", "a/2", "a/1", "A", "a_1", "é", "%"]
        for name in names:
            await put(graph, name)
        assert await keys(graph) == sorted(names)

    @pytest.mark.parametrize(
        ("filter", "found"),
        [
            ({}, ["a/1", "a/2", "a_", "b"]),
            ({"prefix": "a/"}, ["a/1", "a/2"]),
            ({"prefix": "a_"}, ["a_"]),
            ({"prefix": ""}, ["a/1", "a/2", "a_", "b"]),
            ({"prefix": "A"}, []),
            ({"tags": ["x"]}, ["a/1", "b"]),
            ({"tags": ["x", "y"]}, ["b"]),
            ({"updatedAt": {"until": "2000-01-01T00:00:00Z"}}, []),
            ({"prefix": "a", "tags": ["x"]}, ["a/1"]),
        ],
    )
    async def test_filters(self, graph: Graph, filter: Any, found: list[str]) -> None:
        for name, tags in (("a/1", ["x"]), ("a/2", []), ("b", ["y", "x"]), ("a_", ["z"])):
            await put(graph, name, tags=tags)
        assert await keys(graph, f=filter) == found

    @pytest.mark.both_families
    async def test_by_members(self, graph: Graph) -> None:
        people = {
            "a": {"age": 36, "home": {"city": "Oslo"}},
            "b": {"age": 1e20, "home": {"city": "Odense", "zip": 1}},
            "c": {"age": -1.5, "home": None, "a/b": True},
            "d": "text",
        }
        entries = [{"namespace": "n", "key": key, "value": value} for key, value in people.items()]
        await graph.do("setStates", {"entries": entries})
        for test, found in (
            ({"at": "/age", "range": {"min": 18}}, "ab"),
            ({"at": "/age", "range": {"min": 18, "max": 36}}, "a"),
            ({"at": "/age", "range": {"max": -0.5}}, "c"),
            ({"at": "/age", "range": {}}, "abc"),
            ({"at": "/home/city", "equals": "Oslo"}, "a"),
            ({"at": "/age", "equals": 36.0}, "a"),
            ({"at": "/home", "equals": {"city": "Oslo"}}, "a"),
            ({"at": "/home/city", "prefix": "O"}, "ab"),
            ({"at": "/home", "exists": True}, "abc"),
            ({"at": "/home", "exists": False}, "d"),
            ({"at": "/home", "equals": None}, "c"),
            ({"at": "/age", "equals": None}, ""),
            ({"at": "/a~1b", "equals": True}, "c"),
            ({"at": "/a~1b", "equals": 1}, ""),
        ):
            assert await keys(graph, f={"members": [test]}) == [*found], test
            assert await keys(graph, f={"not": {"members": [test]}}) == [key for key in people if key not in found], (
                test
            )

    @pytest.mark.parametrize("at", ["", "age", "/a~2", "/a~"])
    async def test_a_member_is_named_by_a_json_pointer(self, graph: Graph, at: str) -> None:
        test = {"members": [{"at": at, "exists": True}]}
        query = 'query ($f: StateFilter) { states(namespace: "n", filter: $f) { totalCount } }'
        assert await graph.refusal(query, f={"or": [test]}) == ("INVALID", ["filter", "or", "0", "members", "0", "at"])

    @pytest.mark.both_families
    async def test_a_value_of_8_mb_is_kept_as_it_came(self, graph: Graph) -> None:
        value = {"bytes": "QUJD" * 2_000_000, "n": 1}
        await put(graph, value=value)
        kept = await get(graph)
        assert kept["value"] == value
        found = 'query ($f: StateFilter!) { states(namespace: "n", filter: $f) { totalCount nodes { key } } }'
        for n, count in ((1, 1), (2, 0)):
            states = await graph.data(found, f={"members": [{"at": "/n", "equals": n}]})
            assert states["states"]["totalCount"] == count
        assert (await put(graph, value={**value, "n": 2}))["version"] == 2
        assert await graph.fails("setState", {"namespace": "n", "key": "k", "value": "x" * 8_388_608}) == (
            "INVALID",
            ["value"],
        )
        assert (await get(graph))["value"]["n"] == 2

    @pytest.mark.both_families
    async def test_delete_returns_it_as_it_was(self, graph: Graph) -> None:
        made = await put(graph, value={"a": 1})
        gone = (await graph.do("deleteState", {"namespace": "n", "key": "k", "ifVersion": 1}, f"state {{ {ALL} }}"))[
            "state"
        ]
        assert gone == made
        assert await get(graph) is None
        assert await graph.fails("deleteState", {"namespace": "n", "key": "k"}) == ("NOT_FOUND", ["key"])
        assert (await put(graph))["version"] == 1


class TestMany:
    async def test_keys_in_the_order_asked(self, graph: Graph) -> None:
        for key in "ab":
            await graph.do("setState", {"namespace": "n", "key": key, "value": key})
        query = 'query ($k: [String!]!) { statesOfKeys(namespace: "n", keys: $k) { value } }'
        found = (await graph.data(query, k=["b", "none", "a", "b"]))["statesOfKeys"]
        assert found == [{"value": "b"}, None, {"value": "a"}, {"value": "b"}]
        assert (await graph.data(query, k=[]))["statesOfKeys"] == []

    async def test_only_where_there_is_none(self, graph: Graph) -> None:
        given = {"namespace": "n", "key": "k", "value": 1, "ifAbsent": True}
        await graph.do("setState", given)
        assert await graph.fails("setState", given) == ("CONFLICT", ["ifAbsent"])
        entries = [{"namespace": "n", "key": "new", "value": 1}, given]
        assert await graph.fails("setStates", {"entries": entries}) == ("CONFLICT", ["entries", "1", "ifAbsent"])

    async def test_a_time_to_live_begins_anew_when_that_is_asked_for(self, graph: Graph) -> None:
        given = {"namespace": "n", "key": "k", "value": 1, "ttlSeconds": 60}
        made = (await graph.do("setState", given, "state { version ttlSeconds }"))["state"]
        assert made == {"version": 1, "ttlSeconds": 60}
        query = 'query ($r: Boolean) { state(namespace: "n", key: "k", refreshTtl: $r) { version } }'
        for refresh in (True, True, False):
            graph.clock.forward(seconds=40)
            assert (await graph.data(query, r=refresh))["state"] == {"version": 1}
        graph.clock.forward(seconds=40)
        assert (await graph.data(query, r=True))["state"] is None

    async def test_namespaces_are_paths(self, graph: Graph) -> None:
        for name in ("a", "a/b", "a/b/c", "a/b/d", "ab", "x/y"):
            await graph.do("setState", {"namespace": name, "key": "k", "value": 1})
        await graph.do("setState", {"namespace": "a/b", "key": "k2", "value": 1, "ttlSeconds": 1})

        async def names(**given: Any) -> dict[str, int]:
            query = "query ($p: String, $d: Int) { stateNamespaces(prefix: $p, depth: $d) { name count } }"
            found = (await graph.data(query, **given))["stateNamespaces"]
            return {one["name"]: one["count"] for one in found}

        assert await names(d=1) == {"a": 5, "ab": 1, "x": 1}
        assert await names(p="a/", d=2) == {"a/b": 4}
        graph.clock.forward(seconds=2)
        assert await names(p="a/") == {"a/b": 1, "a/b/c": 1, "a/b/d": 1}
        assert await names(p="%") == {}
        code = await graph.refusal("query ($d: Int) { stateNamespaces(depth: $d) { name } }", d=0)
        assert code == ("INVALID", ["depth"])

    @pytest.mark.parametrize(
        ("given", "gone"),
        [
            ({"prefix": "a"}, {"n a1", "n a2"}),
            ({"keys": ["a1", "b", "none"]}, {"n a1", "n b"}),
            ({"prefix": "a", "below": True}, {"n a1", "n a2", "n/m a1"}),
            ({"below": True}, {"n a1", "n a2", "n b", "n/m a1"}),
            ({}, {"n a1", "n a2", "n b"}),
            ({"keys": []}, set()),
        ],
    )
    async def test_many_are_deleted(self, graph: Graph, given: Any, gone: set[str]) -> None:
        every = ["n a1", "n a2", "n b", "n/m a1", "nn a1"]
        for name, key in map(str.split, every):
            await graph.do("setState", {"namespace": name, "key": key, "value": 1})
        with graph.untouched():
            planned = await graph.do("deleteStates", {"namespace": "n", **given, "dryRun": True}, "count")
        done = await graph.do("deleteStates", {"namespace": "n", **given}, "count")
        assert planned["count"] == done["count"] == len(gone)
        query = "query ($n: String!, $k: String!) { state(namespace: $n, key: $k) { id } }"
        pairs = [(one, *one.split()) for one in every]
        left = {one for one, name, key in pairs if (await graph.data(query, n=name, k=key))["state"] is not None}
        assert left == {*every} - gone
        assert await graph.fails("deleteStates", {"namespace": "n", "keys": ["a"], "prefix": "a"}) == (
            "INVALID", ["keys"]
        )  # fmt: skip
