"""Memories: written, changed, faded, put out of the way."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from resolvers.expiry import sweep
from tests.support.graphql_client import Clock, Graph, ids, vector_of

ALL = """id externalId type scope status text tags metadata importance decayFactor accessCount lastAccessedAt createdAt
    updatedAt expiresAt version validFrom validUntil owner { __typename ... on User { externalId } ... on Agent { externalId } }
    source { __typename ... on ExternalSource { uri } ... on Message { text } }"""
ANN = {"owner": {"externalId": "ann"}}


async def create(graph: Graph, returning: str = ALL, **input: Any) -> Any:
    return (await graph.do("createMemory", {"text": "x", "scope": "GLOBAL", **input}, f"memory {{ {returning} }}"))[
        "memory"
    ]


async def texts(graph: Graph, **arguments: Any) -> list[str]:
    query = (
        "query ($f: MemoryFilter, $o: MemoryOrder) { memories(first: 200, filter: $f, orderBy: $o) { nodes { text } } }"
    )
    return [node["text"] for node in (await graph.data(query, **arguments))["memories"]["nodes"]]


class TestCreating:
    async def test_everything_that_is_given_is_kept(self, graph: Graph) -> None:
        given = {
            "type": "SEMANTIC",
            "scope": "AGENT",
            "text": "Tea \u0000 & \U0001f343",
            "importance": 1.0,
            "tags": ["b", "a", "b"],
            "metadata": {"n": [1, 1.5, None]},
            "validFrom": "2020-01-01T00:00:00Z",
            "validUntil": "2021-01-01T00:00:00.000001Z",
            "createdAt": "2020-06-01T00:00:00Z",
            "externalId": "m",
        }
        made = await create(
            graph, **given, owner={"externalId": "bot"}, ttlSeconds=60, externalSource="https://example.org"
        )
        assert {name: made[name] for name in given} == given
        assert made["owner"] == {"__typename": "Agent", "externalId": "bot"}
        assert made["source"] == {"__typename": "ExternalSource", "uri": "https://example.org"}
        assert made["expiresAt"] > made["updatedAt"]
        found = (await graph.data('{ memory(by: {externalId: "m"}) { %s } }' % ALL))["memory"]
        assert found == made

    async def test_everything_has_a_default(self, graph: Graph) -> None:
        made = await graph.do("createMemory", {"text": "x", **ANN}, f"memory {{ {ALL} }} archived {{ id }}")
        memory = made["memory"]
        assert made["archived"] == []
        assert memory["owner"] == {"__typename": "User", "externalId": "ann"}
        shown = [
            memory[name] for name in ("type", "scope", "status", "importance", "decayFactor", "accessCount", "version")
        ]
        assert shown == ["EPISODIC", "USER", "ACTIVE", 0.5, 1.0, 0, 1]
        assert memory["tags"] == []
        assert memory["metadata"] == {}
        assert [
            memory[name] for name in ("externalId", "source", "expiresAt", "validFrom", "validUntil", "lastAccessedAt")
        ] == [None] * 6

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"text": ""}, ["text"]),
            ({"text": " \n\t "}, ["text"]),
            ({"text": "x" * 100_001}, ["text"]),
            ({"importance": 1.2}, ["importance"]),
            ({"importance": -0.001}, ["importance"]),
            ({"importance": 5}, ["importance"]),
            ({"scope": "GLOBAL", **ANN}, ["owner"]),
            ({"tags": ["x" * 1001]}, ["tags", "0"]),
            ({"externalId": "x" * 1001}, ["externalId"]),
            ({"externalSource": "x" * 1001}, ["externalSource"]),
            ({"metadata": {"a": "x" * 262_144}}, ["metadata"]),
            ({"metadata": [1]}, ["metadata"]),
            ({"ttlSeconds": 0}, ["ttlSeconds"]),
            ({"ttlSeconds": -5}, ["ttlSeconds"]),
            ({"validFrom": "2020-01-02T00:00:00Z", "validUntil": "2020-01-01T00:00:00Z"}, ["validUntil"]),
            ({"validFrom": "2020-01-01T00:00:00Z", "validUntil": "2020-01-01T00:00:00Z"}, ["validUntil"]),
            ({"sourceMessage": {"externalId": "m"}, "externalSource": "x"}, ["externalSource"]),
            ({"vector": [1.0]}, ["vector"]),
            ({"vector": []}, ["vector"]),
            ({"vector": [0.0] * 16}, ["vector"]),
            ({"vector": [1e308] * 17}, ["vector"]),
            ({"links": [{"target": {"externalId": "a"}, "weight": 1.1}]}, ["links", "0", "weight"]),
        ],
    )
    async def test_wrong_values(self, graph: Graph, change: Any, path: list[str]) -> None:
        memory = {"text": "x", "scope": "GLOBAL", **change}
        assert await graph.fails("createMemory", memory) == ("INVALID", path)
        both = {"memories": [{"text": "fine", "scope": "GLOBAL"}, memory]}
        assert await graph.fails("createMemories", both) == ("INVALID", ["memories", "1", *path])

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"scope": "USER", "owner": {"id": "usr_" + "0" * 32}}, ["owner"]),
            ({"scope": "USER", "owner": {"id": "agt_" + "0" * 32}}, ["owner"]),
            ({"sourceMessage": {"externalId": "nowhere"}}, ["sourceMessage"]),
            ({"sourceMessage": {"id": "garbage"}}, ["sourceMessage"]),
            ({"links": [{"target": {"externalId": "nowhere"}}]}, ["links", "0", "target"]),
        ],
    )
    async def test_what_is_not_there(self, graph: Graph, change: Any, path: list[str]) -> None:
        memory = {"text": "x", "scope": "GLOBAL", **change}
        assert await graph.fails("createMemory", memory) == ("NOT_FOUND", path)
        both = {"memories": [{"text": "fine", "scope": "GLOBAL"}, memory]}
        assert await graph.fails("createMemories", both) == ("NOT_FOUND", ["memories", "1", *path])

    async def test_an_agent_does_not_own_memories_of_users(self, graph: Graph) -> None:
        agent = (await graph.do("upsertAgent", {"externalId": "bot"}, "agent { id }"))["agent"]
        assert await graph.fails("createMemory", {"text": "x", "owner": {"id": agent["id"]}}) == (
            "NOT_FOUND",
            ["owner"],
        )

    async def test_a_taken_external_id(self, graph: Graph) -> None:
        await create(graph, externalId="m")
        again = {"text": "y", "scope": "GLOBAL", "externalId": "m"}
        assert await graph.fails("createMemory", again) == ("DUPLICATE", ["externalId"])
        fresh = {"text": "y", "scope": "GLOBAL", "externalId": "n"}
        assert await graph.fails("createMemories", {"memories": [fresh, fresh]}) == (
            "DUPLICATE",
            ["memories", "1", "externalId"],
        )

    async def test_many_keep_their_order_and_are_atomic(self, graph: Graph) -> None:
        batch = [{"text": f"t{i}", "scope": "GLOBAL", "externalId": f"m{i}"} for i in range(1000)]
        wrong = [*batch[:999], {**batch[999], "text": ""}]
        assert await graph.fails("createMemories", {"memories": wrong}) == ("INVALID", ["memories", "999", "text"])
        done = await graph.do("createMemories", {"memories": batch}, "memories { text } archived { id }")
        assert [node["text"] for node in done["memories"]] == [f"t{i}" for i in range(1000)]
        assert done["archived"] == []
        assert await graph.fails("createMemories", {"memories": batch[:1] * 1001}) == ("INVALID", ["memories"])

    async def test_links_to_others_of_the_list(self, graph: Graph) -> None:
        await create(graph, externalId="old", text="old")
        links = [{"target": {"externalId": "b"}, "kind": "CAUSES", "weight": 0.5}, {"target": {"externalId": "old"}}]
        batch = [{"text": "a", "scope": "GLOBAL", "links": links}, {"text": "b", "scope": "GLOBAL", "externalId": "b"}]
        done = await graph.do(
            "createMemories",
            {"memories": batch},
            "memories { links(direction: OUT) { nodes { kind weight target { text } } } }",
        )
        found = sorted(done["memories"][0]["links"]["nodes"], key=lambda link: link["target"]["text"])
        assert found == [
            {"kind": "CAUSES", "weight": 0.5, "target": {"text": "b"}},
            {"kind": "RELATED", "weight": 1.0, "target": {"text": "old"}},
        ]
        itself = {"text": "x", "scope": "GLOBAL", "externalId": "me", "links": [{"target": {"externalId": "me"}}]}
        assert await graph.fails("createMemory", itself) == ("INVALID", ["links", "0", "target"])

    async def test_a_vector_of_the_callers_own(self, graph: Graph) -> None:
        await create(graph, text="alpha", vector=[7 * number for number in vector_of("zebra")])
        found = await graph.data(
            '{ searchMemories(query: {text: "zebra"}, mode: SEMANTIC) { '
            "hits { memory { text } parts { "
            "similarity } } } }"
        )
        [hit] = found["searchMemories"]["hits"]
        assert hit["memory"] == {"text": "alpha"}
        assert hit["parts"]["similarity"] == pytest.approx(1, abs=1e-3)


class TestUpdating:
    async def test_what_is_left_out_stays_and_history_keeps_the_rest(self, graph: Graph) -> None:
        made = await create(
            graph,
            externalId="m",
            text="v1",
            importance=0.3,
            tags=["a"],
            metadata={"n": 1},
            validFrom="2020-01-01T00:00:00Z",
        )
        changes: list[dict[str, Any]] = [
            {"text": "v2"},
            {"importance": 0.9},
            {"tags": []},
            {"metadata": {"n": 2}},
            {"validUntil": "2030-01-01T00:00:00Z"},
            {"status": "SUPERSEDED"},
        ]
        for version, change in enumerate(changes, 2):
            graph.clock.forward(seconds=1)
            after = (await graph.do("updateMemory", {"memory": {"externalId": "m"}, **change}, f"memory {{ {ALL} }}"))[
                "memory"
            ]
            made = {**made, **change, "version": version, "updatedAt": after["updatedAt"]}
            assert after == made
        kept = "version text importance tags metadata status validFrom validUntil replacedAt"
        data = await graph.data(
            '{ memory(by: {externalId: "m"}) { updatedAt history { totalCount nodes { id %s } } } }' % kept
        )
        history = data["memory"]["history"]
        assert history["totalCount"] == 6
        assert [node["version"] for node in history["nodes"]] == [6, 5, 4, 3, 2, 1]
        assert [node["text"] for node in history["nodes"]] == ["v2"] * 5 + ["v1"]
        assert [node["importance"] for node in history["nodes"]] == [0.9] * 4 + [0.3] * 2
        assert [node["tags"] for node in history["nodes"]] == [[]] * 3 + [["a"]] * 3
        assert [node["metadata"] for node in history["nodes"]] == [{"n": 2}] * 2 + [{"n": 1}] * 4
        assert history["nodes"][0]["validUntil"] == "2030-01-01T00:00:00Z"
        assert history["nodes"][0]["status"] == "ACTIVE"
        assert history["nodes"][0]["replacedAt"] == data["memory"]["updatedAt"]
        found = await graph.data(
            "query ($id: ID!) { node(id: $id) { ... on MemoryVersion { text } } }", id=history["nodes"][5]["id"]
        )
        assert found["node"] == {"text": "v1"}

    async def test_a_new_text_is_found_and_the_old_one_not(self, graph: Graph) -> None:
        await create(graph, externalId="m", text="zebra")
        await graph.do("updateMemory", {"memory": {"externalId": "m"}, "text": "walrus"})
        for word, mode, found in (("zebra", "TEXT", 0), ("walrus", "TEXT", 1), ("walrus", "SEMANTIC", 1)):
            query = (
                "query ($w: String!, $m: SearchMode!) { searchMemories(query: "
                "{text: $w}, mode: $m, threshold: 0.95) "
                "{ hits { score } } }"
            )
            assert len((await graph.data(query, w=word, m=mode))["searchMemories"]["hits"]) == found
        await graph.do("updateMemory", {"memory": {"externalId": "m"}, "vector": vector_of("zebra")})
        hits = await graph.data(
            '{ searchMemories(query: {text: "zebra"}, mode: SEMANTIC, threshold: 0.95) { hits { memory { text } } } }'
        )
        assert hits["searchMemories"]["hits"] == [{"memory": {"text": "walrus"}}]

    async def test_if_version(self, graph: Graph) -> None:
        await create(graph, externalId="m")
        change = {"memory": {"externalId": "m"}, "text": "mine", "ifVersion": 1}
        await graph.do("updateMemory", change)
        assert await graph.fails("updateMemory", {**change, "text": "theirs"}) == ("CONFLICT", ["ifVersion"])

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"text": " "}, ["text"]),
            ({"text": "x" * 100_001}, ["text"]),
            ({"importance": 1.2}, ["importance"]),
            ({"vector": [1.0]}, ["vector"]),
            ({"ttlSeconds": 0}, ["ttlSeconds"]),
            ({"validUntil": "2019-01-01T00:00:00Z"}, ["validUntil"]),
            ({"tags": [""]}, ["tags", "0"]),
        ],
    )
    async def test_wrong_values(self, graph: Graph, change: Any, path: list[str]) -> None:
        await create(graph, externalId="m", validFrom="2020-01-01T00:00:00Z")
        assert await graph.fails("updateMemory", {"memory": {"externalId": "m"}, **change}) == ("INVALID", path)

    async def test_one_that_is_not_there(self, graph: Graph) -> None:
        for ref in ({"externalId": "nowhere"}, {"id": "garbage"}, {"id": "mem_" + "z" * 32}):
            assert await graph.fails("updateMemory", {"memory": ref, "text": "y"}) == ("NOT_FOUND", ["memory"])


@pytest.mark.both_families
class TestOutOfTheWay:
    async def test_archive_and_restore(self, graph: Graph) -> None:
        for name in "ab":
            await create(graph, externalId=name, text=f"zebra {name}")
        refs = {"memories": [{"externalId": "a"}, {"externalId": "a"}]}
        dry = await graph.do("archiveMemories", {**refs, "dryRun": True}, "memories { status } archived { id }")
        assert (dry["memories"], dry["archived"]) == ([{"status": "ACTIVE"}], [])
        done = await graph.do("archiveMemories", refs, "memories { externalId status } archived { id }")
        assert done["memories"] == [{"externalId": "a", "status": "ARCHIVED"}]
        search = '{ searchMemories(query: {text: "zebra"}) { hits { memory { externalId } } } }'
        assert (await graph.data(search))["searchMemories"]["hits"] == [{"memory": {"externalId": "b"}}]
        assert await texts(graph, f={"statuses": ["ARCHIVED"]}) == ["zebra a"]
        assert await texts(graph) == ["zebra b", "zebra a"], "archived ones are listed"
        done = await graph.do("restoreMemories", refs, "memories { externalId status } archived { id }")
        assert (done["memories"], done["archived"]) == ([{"externalId": "a", "status": "ACTIVE"}], [])
        assert len((await graph.data(search))["searchMemories"]["hits"]) == 2

    async def test_a_dry_run_writes_nothing(self, graph: Graph) -> None:
        await create(graph, externalId="a")
        for mutation in ("archiveMemories", "deleteMemories"):
            with graph.untouched():
                await graph.do(mutation, {"memories": [{"externalId": "a"}], "dryRun": True}, "memories { id }")
        with graph.untouched():
            await graph.do(
                "decayMemories",
                {"rate": 0.5, "dryRun": True, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}},
                "count memories { decayFactor }",
            )

    async def test_delete_takes_links_and_history(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s"})
        made = [await create(graph, "id", externalId=name, text=name) for name in "ab"]
        await graph.do("updateMemory", {"memory": {"externalId": "a"}, "text": "a2"})
        version = (await graph.data('{ memory(by: {externalId: "a"}) { history { nodes { id } } } }'))["memory"][
            "history"
        ]["nodes"][0]
        link = (
            await graph.do(
                "linkMemories",
                {"links": [{"source": {"externalId": "b"}, "target": {"externalId": "a"}}]},
                "links { id }",
            )
        )["links"][0]
        refs = [{"memory": {"externalId": "a"}}, {"memory": {"externalId": "b"}}]
        await graph.do("addMessage", {"session": {"externalId": "s"}, "role": "user", "text": "x", "memoryRefs": refs})
        await graph.do(
            "appendTraceEvents",
            {
                "session": {"externalId": "s"},
                "events": [{"type": "x", "memories": [{"externalId": "b"}, {"externalId": "a"}]}],
            },
        )
        gone = await graph.do(
            "deleteMemories", {"memories": [{"externalId": "a"}]}, "memories { externalId text status }"
        )
        assert gone["memories"] == [{"externalId": "a", "text": "a2", "status": "ACTIVE"}], "returned as they were"
        found = await graph.data(
            'query ($ids: [ID!]!) { nodes(ids: $ids) { id } memory(by: {externalId: "b"}) { links { nodes { id } } } '
            'session(by: {externalId: "s"}) { messages { nodes { memoryRefs { memory { text } } } } '
            "trace { nodes { namedMemories { text } } } } }",
            ids=[made[0]["id"], version["id"], link["id"]],
        )
        assert found["nodes"] == [None] * 3
        assert found["memory"]["links"]["nodes"] == []
        assert found["session"]["messages"]["nodes"] == [{"memoryRefs": [{"memory": {"text": "b"}}]}]
        assert found["session"]["trace"]["nodes"] == [{"namedMemories": [{"text": "b"}]}]
        await create(graph, externalId="a", text="new")

    async def test_all_or_none(self, graph: Graph) -> None:
        await create(graph, externalId="a")
        refs = {"memories": [{"externalId": "a"}, {"externalId": "nowhere"}]}
        for mutation in ("archiveMemories", "restoreMemories", "deleteMemories", "touchMemories"):
            assert await graph.fails(mutation, refs) == ("NOT_FOUND", ["memories", "1"])
            assert await graph.fails(mutation, {"memories": [{"externalId": "a"}] * 1001}) == ("INVALID", ["memories"])
        assert await graph.fails("deleteMemories", {**refs, "dryRun": True}) == ("NOT_FOUND", ["memories", "1"])


class TestTime:
    @pytest.mark.both_families
    async def test_what_has_expired_is_gone_before_it_is_swept(self, graph: Graph) -> None:
        await create(graph, externalId="m", text="zebra", ttlSeconds=60)
        await create(graph, externalId="keep", text="zebra too")
        await graph.do("linkMemories", {"links": [{"source": {"externalId": "keep"}, "target": {"externalId": "m"}}]})
        everywhere = (
            '{ memory(by: {externalId: "m"}) { id } memories { totalCount '
            "} searchMemories(query: {text: "
            '"zebra"}) { hits { memory { externalId } } } keep: '
            'memory(by: {externalId: "keep"}) { '
            "similar(threshold: 0) { memory { externalId } } neighborhood { nodes { id } } } }"
        )
        before = await graph.data(everywhere)
        assert before["memories"]["totalCount"] == 2
        graph.clock.forward(seconds=61)
        for _ in range(2):
            data = await graph.data(everywhere)
            assert data["memory"] is None
            assert data["memories"]["totalCount"] == 1
            assert data["searchMemories"]["hits"] == [{"memory": {"externalId": "keep"}}]
            assert data["keep"]["similar"] == []
            assert len(data["keep"]["neighborhood"]["nodes"]) == 1
            await sweep(graph.context)
        assert await graph.fails("updateMemory", {"memory": {"externalId": "m"}, "text": "y"}) == (
            "NOT_FOUND",
            ["memory"],
        )
        await create(graph, externalId="m")

    async def test_a_new_time_to_live(self, graph: Graph) -> None:
        await create(graph, externalId="m", ttlSeconds=60)
        await graph.do("updateMemory", {"memory": {"externalId": "m"}, "ttlSeconds": 3600})
        graph.clock.forward(seconds=61)
        assert await texts(graph) == ["x"]

    async def test_the_name_of_an_expired_one_is_free(self, graph: Graph) -> None:
        await create(graph, externalId="m", ttlSeconds=1)
        graph.clock.forward(seconds=2)
        await create(graph, externalId="m", text="new")
        assert await texts(graph) == ["new"]

    async def test_valid_at(self, graph: Graph) -> None:
        await create(graph, text="was", validUntil="2020-01-01T00:00:00Z")
        await create(graph, text="is", validFrom="2020-01-01T00:00:00Z", validUntil="2030-01-01T00:00:00Z")
        await create(graph, text="always")
        assert await texts(graph, f={"validAt": "2019-12-31T23:59:59.999999Z"}) == ["always", "was"]
        assert await texts(graph, f={"validAt": "2020-01-01T00:00:00Z"}) == ["always", "is"]
        assert await texts(graph, f={"validAt": "2030-01-01T00:00:00Z"}) == ["always"]
        assert await texts(graph) == ["always", "is"]
        everything = ["ACTIVE", "ARCHIVED", "SUPERSEDED"]
        assert await texts(graph, f={"statuses": everything}) == ["always", "is", "was"]


class TestFading:
    async def test_an_access_boosts_and_decay_fades(self, graph: Graph) -> None:
        for name in "ab":
            await create(graph, externalId=name, text=name, tags=[name])
        done = await graph.do(
            "decayMemories", {"rate": 0.35, "filter": {"tags": ["a"]}}, "count memories { externalId decayFactor }"
        )
        assert done["count"] == 1
        assert done["memories"] == [{"externalId": "a", "decayFactor": pytest.approx(0.65)}]
        touched = await graph.do(
            "touchMemories",
            {"memories": [{"externalId": "a"}, {"externalId": "b"}]},
            "memories { externalId decayFactor accessCount lastAccessedAt } archived { id }",
        )
        assert touched["archived"] == []
        assert [(m["decayFactor"], m["accessCount"]) for m in touched["memories"]] == [
            (pytest.approx(0.75), 1),
            (1.0, 1),
        ]
        assert all(memory["lastAccessedAt"] for memory in touched["memories"])
        assert [
            node["decayFactor"]
            for node in (await graph.data("{ memories { nodes { decayFactor } } }"))["memories"]["nodes"]
        ] == [1.0, pytest.approx(0.75)]

    @pytest.mark.parametrize(
        ("given", "fading"),
        [
            ({"filter": {"tags": ["x"]}}, "ES"),
            ({"filter": {"tags": ["x"]}, "types": ["WORKING", "EPISODIC"]}, "EW"),
            ({"types": ["PROCEDURAL"]}, "P"),
            ({"filter": {"types": ["PROCEDURAL", "WORKING"]}}, "PW"),
            ({"filter": {"tags": ["x"], "or": [{"types": ["WORKING"]}, {"importance": {"min": 2}}]}}, "W"),
            ({"filter": {"not": {"types": ["SEMANTIC"]}}}, "EPW"),
            ({"filter": {"types": ["SEMANTIC", "WORKING"]}, "types": ["WORKING"]}, "W"),
            ({"filter": {"tags": ["x"]}, "types": []}, ""),
        ],
    )
    async def test_what_fades_where_no_types_are_named(self, graph: Graph, given: Any, fading: str) -> None:
        for kind in ("EPISODIC", "SEMANTIC", "PROCEDURAL", "WORKING"):
            await create(graph, externalId=kind, text=kind, type=kind, tags=["x"])
        done = await graph.do("decayMemories", {"rate": 0.1, **given}, "count memories { type }")
        assert "".join(one["type"][0] for one in done["memories"]) == fading

    async def test_a_dry_run_shows_what_would_become_of_them(self, graph: Graph) -> None:
        await create(graph, externalId="a")
        dry = await graph.do(
            "decayMemories",
            {"rate": 1.0, "dryRun": True, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}},
            "count memories { decayFactor }",
        )
        assert dry["memories"] == [{"decayFactor": pytest.approx(0.1)}]
        assert (await graph.data("{ memories { nodes { decayFactor } } }"))["memories"]["nodes"] == [
            {"decayFactor": 1.0}
        ]

    @pytest.mark.both_families
    async def test_what_has_faded_can_be_left_out(self, graph: Graph) -> None:
        for name in "ab":
            await create(graph, text=f"tea {name}", externalId=name)
        await graph.do("decayMemories", {"filter": {"text": "tea a"}, "rate": 0.6})
        asked = """query ($f: MemoryFilter) { memories(filter: $f) { nodes { externalId } }
            searchMemories(query: {text: "tea"}, filter: $f) { hits { memory { externalId } } } }"""
        for bounds, left in (({"min": 0.5}, ["b"]), ({"max": 0.5}, ["a"])):
            found = await graph.data(asked, f={"decay": bounds})
            assert [one["externalId"] for one in found["memories"]["nodes"]] == left
            assert [one["memory"]["externalId"] for one in found["searchMemories"]["hits"]] == left

    async def test_not_below_a_tenth(self, graph: Graph) -> None:
        await create(graph)
        for _ in range(2):
            done = await graph.do(
                "decayMemories",
                {"rate": 0.7, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}},
                "memories { decayFactor }",
            )
        assert done["memories"] == [{"decayFactor": pytest.approx(0.1)}]

    async def test_those_at_the_floor_are_neither_counted_nor_written(self, graph: Graph) -> None:
        for name in "abc":
            await create(graph, externalId=name)
        await graph.do("decayMemories", {"rate": 1.0, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}})
        await create(graph, externalId="d")
        done = await graph.do(
            "decayMemories",
            {"rate": 0.2, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}},
            "count memories { externalId }",
        )
        assert (done["count"], done["memories"]) == (1, [{"externalId": "d"}])

    async def test_in_writes_of_their_own_that_can_be_broken_off(
        self, graph: Graph, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("resolvers.memories._PAGE", 2)
        for name in "abcde":
            await create(graph, externalId=name)
        done = await graph.do(
            "decayMemories",
            {"rate": 0.5, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}},
            "count memories { externalId }",
        )
        assert (done["count"], [memory["externalId"] for memory in done["memories"]]) == (5, list("abcde"))
        log = (await graph.data('{ auditLog(filter: {actions: ["decayMemories"]}) { nodes { targets } } }'))["auditLog"]
        assert [len(line["targets"]) for line in log["nodes"]] == [1, 2, 2]
        write, left = graph.context.store.write, 2

        async def interrupted(script: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise TimeoutError
            return await write(script)

        monkeypatch.setattr(graph.context.store, "write", interrupted)
        await graph.ask(
            "mutation { decayMemories(input: {rate: 0.1, filter: {scopes: [GLOBAL, USER, AGENT]}}) { count } }"
        )
        monkeypatch.undo()
        found = (await graph.data("{ memories { nodes { decayFactor } } }"))["memories"]["nodes"]
        assert sorted(memory["decayFactor"] for memory in found) == [0.4, 0.4, 0.4, 0.4, 0.5]

    async def test_only_active_ones(self, graph: Graph) -> None:
        await create(graph, externalId="a")
        await graph.do("archiveMemories", {"memories": [{"externalId": "a"}]})
        assert (await graph.do("decayMemories", {"filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}}, "count"))[
            "count"
        ] == 0

    @pytest.mark.parametrize(
        "filter",
        [
            {"not": {"owner": {"externalId": "nobody"}}},
            {"not": {"owner": {"id": "usr_" + "0" * 32}}},
            {"not": {"session": {"externalId": "nowhere"}, "tags": ["x"]}},
            {"and": [{"not": {"or": [{"owner": {"externalId": "nobody"}}]}}]},
            {"or": [{"owner": {"externalId": "ann"}}, {"not": {"owner": {"externalId": "nobody"}}}]},
            {"not": {"not": {"not": {"owner": {"externalId": "nobody"}}}}},
        ],
    )
    async def test_all_but_what_is_not_there_are_all(self, graph: Graph, filter: Any) -> None:
        await create(graph, scope="USER", **ANN)
        assert await graph.fails("decayMemories", {"filter": filter}) == ("INVALID", ["filter"])
        assert (await graph.do("decayMemories", {"filter": {"not": {"owner": {"externalId": "ann"}}}}, "count"))[
            "count"
        ] == 0
        assert (await graph.do("decayMemories", {"filter": {"owner": {"externalId": "nobody"}}}, "count"))["count"] == 0

    @pytest.mark.parametrize("rate", [0, -0.1, 1.1])
    async def test_rates_that_cannot_be(self, graph: Graph, rate: float) -> None:
        assert await graph.fails("decayMemories", {"rate": rate}) == ("INVALID", ["rate"])

    async def test_all_of_many_fade_and_some_are_shown(self, graph: Graph) -> None:
        await graph.do("createMemories", {"memories": [{"text": str(i), "scope": "GLOBAL"} for i in range(1000)]})
        await graph.do("createMemories", {"memories": [{"text": str(i), "scope": "GLOBAL"} for i in range(500)]})
        done = await graph.do(
            "decayMemories",
            {"rate": 0.5, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}},
            "count memories { decayFactor }",
        )
        assert done["count"] == 1500
        assert len(done["memories"]) == 200
        assert (
            await graph.do(
                "decayMemories",
                {"rate": 0.1, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}},
                "memories { decayFactor }",
            )
        )["memories"] == [{"decayFactor": pytest.approx(0.4)}] * 200


class TestFilters:
    FILL = (
        {
            "text": "Black tea",
            "type": "EPISODIC",
            **ANN,
            "tags": ["drink", "hot"],
            "importance": 0.2,
            "metadata": {"n": 1},
        },
        {"text": "Green tea", "type": "SEMANTIC", **ANN, "tags": ["drink"], "importance": 0.5, "metadata": {"n": 2}},
        {
            "text": "Bot rules",
            "type": "PROCEDURAL",
            "scope": "AGENT",
            "owner": {"externalId": "ann"},
            "importance": 0.8,
        },
        {
            "text": "The sky",
            "type": "WORKING",
            "scope": "GLOBAL",
            "importance": 1.0,
            "createdAt": "2020-01-01T00:00:00Z",
        },
    )

    @pytest.mark.parametrize(
        ("filter", "found"),
        [
            ({}, "2103"),
            ({"types": ["EPISODIC", "WORKING"]}, "03"),
            ({"types": []}, ""),
            ({"scopes": ["GLOBAL"]}, "3"),
            ({"owner": {"externalId": "ann"}, "scopes": ["USER"]}, "10"),
            ({"owner": {"externalId": "nobody"}}, ""),
            ({"owner": {"id": "garbage"}}, ""),
            ({"statuses": ["ARCHIVED"]}, ""),
            ({"tags": ["drink"]}, "10"),
            ({"tags": ["drink", "hot"]}, "0"),
            ({"tags": []}, "2103"),
            ({"tags": ["dri"]}, ""),
            ({"importance": {"min": 0.5}}, "213"),
            ({"importance": {"max": 0.5}}, "10"),
            ({"importance": {"min": 0.5, "max": 0.5}}, "1"),
            ({"importance": {"min": 0.6, "max": 0.5}}, ""),
            ({"decay": {"max": 0.99}}, ""),
            ({"not": {"decay": {"min": 0.5, "max": 0.99}}, "decay": {"min": 1}}, "2103"),
            ({"createdAt": {"until": "2021-01-01T00:00:00Z"}}, "3"),
            ({"createdAt": {"from": "2021-01-01T00:00:00Z"}}, "210"),
            ({"text": "TEA"}, "10"),
            ({"text": "t_a"}, ""),
            ({"text": ""}, "2103"),
            ({"metadata": {"n": 2}}, "1"),
            ({"metadata": {}}, "2103"),
            ({"session": {"externalId": "nowhere"}}, ""),
            ({"and": [{"text": "tea"}, {"not": {"tags": ["hot"]}}]}, "1"),
            ({"or": [{"text": "sky"}, {"and": [{"importance": {"max": 0.3}}]}]}, "03"),
            ({"not": {"or": [{"text": "sky"}, {"text": "tea"}]}}, "2"),
            ({"not": {"metadata": {"n": 2}}}, "203"),
        ],
    )
    async def test_each(self, graph: Graph, filter: Any, found: str) -> None:
        for memory in self.FILL:
            await graph.do("createMemory", memory)
        assert await texts(graph, f=filter) == [self.FILL[int(i)]["text"] for i in found]
        query = "query ($f: MemoryFilter) { memories(filter: $f) { totalCount } }"
        assert (await graph.data(query, f=filter))["memories"]["totalCount"] == len(found)

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ({"direction": "ASC"}, "3012"),
            ({"field": "IMPORTANCE"}, "3210"),
            ({"field": "IMPORTANCE", "direction": "ASC"}, "0123"),
            ({"field": "UPDATED_AT"}, "0321"),
            ({"field": "ACCESS_COUNT"}, "1320"),
            ({"field": "LAST_ACCESSED_AT"}, "1320"),
        ],
    )
    async def test_orders(self, graph: Graph, order: Any, found: str) -> None:
        for i, memory in enumerate(self.FILL):
            await graph.do("createMemory", {**memory, "externalId": str(i)})
        await graph.do("touchMemories", {"memories": [{"externalId": "1"}]})
        await graph.do("updateMemory", {"memory": {"externalId": "0"}, "tags": []})
        assert await texts(graph, o=order) == [self.FILL[int(i)]["text"] for i in found]

    async def test_of_a_session(self, graph: Graph) -> None:
        for session in ("s", "other"):
            await graph.do("createSession", {"externalId": session})
            await graph.do(
                "addMessage",
                {"session": {"externalId": session}, "role": "user", "text": "x", "externalId": f"{session} 1"},
            )
            await create(
                graph, text=f"formed in {session}", externalId=session, sourceMessage={"externalId": f"{session} 1"}
            )
        await create(graph, text="recalled zebra", tags=["t"])
        await graph.do("recall", {"query": {"text": "zebra"}, "session": {"externalId": "s"}, "threshold": 0.99})
        assert await texts(graph, f={"session": {"externalId": "s"}}) == ["formed in s"]
        query = (
            'query ($f: MemoryFilter) { session(by: {externalId: "s"}) { '
            "memories(filter: $f) { totalCount nodes "
            "{ text } } } }"
        )
        for filter, found in ((None, ["recalled zebra", "formed in s"]), ({"tags": ["t"]}, ["recalled zebra"])):
            data = (await graph.data(query, f=filter))["session"]["memories"]
            assert [node["text"] for node in data["nodes"]] == found
            assert data["totalCount"] == len(found)

    async def test_of_an_owner(self, graph: Graph) -> None:
        for memory in self.FILL:
            await graph.do("createMemory", memory)
        data = await graph.data(
            '{ user(by: {externalId: "ann"}) { memories(first: 1, orderBy: '
            "{field: IMPORTANCE}) { totalCount "
            "nodes { text } } } "
            'agent(by: {externalId: "ann"}) { memories { nodes { text } } } }'
        )
        assert data["user"]["memories"] == {"totalCount": 2, "nodes": [{"text": "Green tea"}]}
        assert data["agent"]["memories"]["nodes"] == [{"text": "Bot rules"}]


class TestCapacity:
    @pytest.fixture
    async def small(self, folder: Path, clock: Clock, family: str) -> AsyncIterator[Graph]:
        """An owner may have 20 active memories here."""
        graph = Graph(folder, clock, capacity=20, family=family)
        await graph.begin()
        yield graph
        await graph.close()

    @staticmethod
    async def fill(graph: Graph, count: int, **more: Any) -> Any:
        batch = [{"text": f"m{i}", **ANN, "importance": i / 100, "externalId": f"m{i}", **more} for i in range(count)]
        return await graph.do(
            "createMemories", {"memories": batch}, "memories { externalId status } archived { externalId status }"
        )

    @staticmethod
    async def active(graph: Graph) -> int:
        data = await graph.data('{ user(by: {externalId: "ann"}) { memoryUsage { active archived capacity } } }')
        assert data["user"]["memoryUsage"]["capacity"] == 20
        return int(data["user"]["memoryUsage"]["active"])

    async def test_up_to_it_nothing_happens(self, small: Graph) -> None:
        assert (await self.fill(small, 20))["archived"] == []
        assert await self.active(small) == 20

    async def test_past_it_the_least_are_archived(self, small: Graph) -> None:
        await self.fill(small, 20)
        one = {"text": "one too many", **ANN, "importance": 0.0}
        done = await small.do("createMemory", one, "memory { text status } archived { externalId status }")
        assert done["memory"] == {"text": "one too many", "status": "ACTIVE"}, "never what was just written"
        assert done["archived"] == [{"externalId": f"m{i}", "status": "ARCHIVED"} for i in range(3)], "down to 90 %"
        assert await self.active(small) == 18
        assert await texts(small, f={"statuses": ["ARCHIVED"]}) == ["m2", "m1", "m0"]

    async def test_a_large_write_keeps_all_of_its_own(self, small: Graph) -> None:
        await self.fill(small, 10)
        batch = [{"text": f"new {i}", **ANN, "importance": 0.0} for i in range(25)]
        done = await small.do("createMemories", {"memories": batch}, "memories { status } archived { externalId }")
        assert {memory["status"] for memory in done["memories"]} == {"ACTIVE"}
        assert ids_of(done["archived"]) == [f"m{i}" for i in range(10)]
        assert await self.active(small) == 25

    async def test_decay_counts(self, small: Graph) -> None:
        await self.fill(small, 20, importance=0.5, tags=["t"])
        await small.do("updateMemory", {"memory": {"externalId": "m7"}, "tags": ["faded"]})
        await small.do("decayMemories", {"rate": 0.3, "filter": {"tags": ["faded"]}})
        done = await small.do("createMemory", {"text": "x", **ANN}, "archived { externalId }")
        assert ids_of(done["archived"]) == ["m7", "m0", "m1"], "ties: the oldest first"

    async def test_owners_do_not_share_it(self, small: Graph) -> None:
        await self.fill(small, 20)
        for other in (
            {"owner": {"externalId": "bob"}},
            {"scope": "AGENT", "owner": {"externalId": "ann"}},
            {"scope": "GLOBAL"},
        ):
            assert (await small.do("createMemory", {"text": "x", **other}, "archived { id }"))["archived"] == []
        assert await self.active(small) == 20

    async def test_those_of_nobody_have_one_too(self, small: Graph) -> None:
        batch = [{"text": f"m{i}", "scope": "GLOBAL", "externalId": f"m{i}"} for i in range(20)]
        await small.do("createMemories", {"memories": batch})
        done = await small.do("createMemory", {"text": "x", "scope": "GLOBAL"}, "archived { externalId }")
        assert ids_of(done["archived"]) == ["m0", "m1", "m2"]

    async def test_restoring_makes_room_too(self, small: Graph) -> None:
        await self.fill(small, 20)
        await small.do("createMemory", {"text": "x", **ANN, "importance": 0.9})
        await small.do("createMemories", {"memories": [{"text": "y", **ANN, "importance": 0.9}] * 2})
        assert await self.active(small) == 20
        done = await small.do(
            "restoreMemories",
            {"memories": [{"externalId": "m0"}]},
            "memories { externalId status } archived { externalId }",
        )
        assert done["memories"] == [{"externalId": "m0", "status": "ACTIVE"}]
        assert ids_of(done["archived"]) == ["m3", "m4", "m5"]
        again = await small.do(
            "updateMemory", {"memory": {"externalId": "m3"}, "status": "ACTIVE"}, "memory { status } archived { id }"
        )
        assert again["memory"]["status"] == "ACTIVE"
        assert await self.active(small) <= 20

    async def test_fullness(self, small: Graph) -> None:
        await self.fill(small, 5)
        data = await small.data('{ user(by: {externalId: "ann"}) { memoryUsage { fullness } } }')
        assert data["user"]["memoryUsage"]["fullness"] == 0.25


def ids_of(memories: Any) -> list[str]:
    return [memory["externalId"] for memory in memories]


async def test_ids_grow(graph: Graph) -> None:
    made = [await create(graph, "id") for _ in range(5)]
    assert ids(made) == sorted(ids(made))
