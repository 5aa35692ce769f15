"""Annotations: what people and programs say of messages, spans, sessions and memories."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from resolvers.expiry import sweep
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

SAID = "id name value label comment metadata externalId createdAt updatedAt author { ... on Node { id } } target { __typename ... on Node { id } }"
FOLLOWED = """subscription ($f: AnnotationFilter, $a: String) { annotationChanges(filter: $f, after: $a) {
    cursor kind left annotationId annotation { name value label comment } } }"""
KINDS = ["session", "message", "span", "memory"]


@pytest.fixture
async def world(graph: Graph) -> dict[str, str]:
    """The ids of a session, a message and a span in it, a memory, a user and an agent."""
    await graph.do("upsertUser", {"externalId": "ann"})
    await graph.do("upsertAgent", {"externalId": "bot"})
    s = {"session": {"externalId": "s"}}
    made = await graph.do("createSession", {"externalId": "s", "title": "talk"}, "session { id }")
    said = await graph.do("addMessage", {**s, "role": "user", "text": "hello", "externalId": "m"}, "message { id }")
    span = await graph.do("startSpan", {**s, "traceId": "0f", "spanId": "0a", "name": "work"}, "span { id }")
    kept = await graph.do(
        "createMemory",
        {"text": "tea", "owner": {"externalId": "ann"}, "externalId": "k", "ttlSeconds": 3600},
        "memory { id owner { ... on Node { id } } }",
    )
    agent = (await graph.data('{ agent(by: {externalId: "bot"}) { id } }'))["agent"]["id"]
    return {
        "session": made["session"]["id"],
        "message": said["message"]["id"],
        "span": span["span"]["id"],
        "memory": kept["memory"]["id"],
        "user": kept["memory"]["owner"]["id"],
        "agent": agent,
    }


async def say(graph: Graph, target: str, name: str = "quality", **more: Any) -> Any:
    return (await graph.do("annotate", {"target": target, "name": name, **more}, f"annotation {{ {SAID} }}"))[
        "annotation"
    ]


async def names(graph: Graph, filter: Any = None, order: Any = None, **more: Any) -> list[str]:
    query = """query ($f: AnnotationFilter, $o: AnnotationOrder) { annotations(filter: $f, orderBy: $o) {
        totalCount nodes { name } } }"""
    found = (await graph.data(query, f=filter, o=order))["annotations"]
    assert found["totalCount"] == len(found["nodes"])
    return [node["name"] for node in found["nodes"]]


class TestSaying:
    @pytest.mark.parametrize("kind", KINDS)
    async def test_of_each_kind_of_target(self, graph: Graph, world: dict[str, str], kind: str) -> None:
        by = {"externalId": "bot"}
        more = {"value": 0.5, "label": "good", "comment": "so so", "metadata": {"n": 1}, "externalId": "x"}
        made = await say(graph, world[kind], by=by, **more)
        assert {name: made[name] for name in more} == more
        assert (made["author"], made["target"]["id"]) == ({"id": world["agent"]}, world[kind])
        query = f"query ($id: ID!) {{ node(id: $id) {{ ... on {made['target']['__typename']} {{ annotations {{ totalCount nodes {{ {SAID} }} }} }} }} }}"
        assert (await graph.data(query, id=world[kind]))["node"]["annotations"] == {"totalCount": 1, "nodes": [made]}
        other = next(one for one in KINDS if one != kind)
        query = "query ($id: ID!) { nodes(ids: [$id]) { ... on Session { annotations { totalCount } } ... on Message { annotations { totalCount } } } }"
        assert (await graph.data(query, id=world[other]))["nodes"][0] in ({}, {"annotations": {"totalCount": 0}})
        node = await graph.data(
            f"query ($id: ID!) {{ node(id: $id) {{ ... on Annotation {{ {SAID} }} }} }}", id=made["id"]
        )
        assert node["node"] == made

    @pytest.mark.parametrize("said", [{"value": 0.0}, {"label": "x"}, {"comment": "x"}, {"value": -1e300}])
    async def test_one_of_value_label_and_comment_is_enough(
        self, graph: Graph, world: dict[str, str], said: Any
    ) -> None:
        made = await say(graph, world["message"], **said)
        assert {name: made[name] for name in ("value", "label", "comment") if made[name] is not None} == said
        assert (made["author"], made["metadata"], made["externalId"]) == (None, {}, None)

    async def test_the_same_again_replaces_it(self, graph: Graph, world: dict[str, str]) -> None:
        first = await say(graph, world["message"], value=1, label="good", comment="well", metadata={"n": 1})
        graph.clock.forward(seconds=1)
        again = await say(graph, world["message"], label="bad")
        assert (again["id"], again["createdAt"]) == (first["id"], first["createdAt"])
        assert [again[name] for name in ("value", "label", "comment", "metadata")] == [None, "bad", None, {}]
        assert again["updatedAt"] > first["updatedAt"]
        assert await names(graph) == ["quality"]

    async def test_another_target_name_or_author_is_another_one(self, graph: Graph, world: dict[str, str]) -> None:
        made = [
            await say(graph, world["message"], value=1),
            await say(graph, world["session"], value=1),
            await say(graph, world["message"], "Quality", value=1),
            await say(graph, world["message"], value=1, by={"id": world["user"]}),
            await say(graph, world["message"], value=1, by={"externalId": "bot"}),
        ]
        assert len({one["id"] for one in made}) == 5

    async def test_what_changes_nothing_writes_nothing(self, graph: Graph, world: dict[str, str]) -> None:
        first = await say(graph, world["message"], value=1, metadata={"a": 1, "b": 2})
        graph.clock.forward(seconds=1)
        with graph.untouched():
            assert await say(graph, world["message"], value=1.0, metadata={"b": 2.0, "a": 1}) == first

    async def test_an_idempotency_key_counts_once(self, graph: Graph, world: dict[str, str]) -> None:
        first = await say(graph, world["message"], value=1, idempotencyKey="k")
        await say(graph, world["message"], value=2)
        assert (await say(graph, world["message"], value=1, idempotencyKey="k"))["id"] == first["id"]
        [now] = (await graph.data("{ annotations { nodes { value } } }"))["annotations"]["nodes"]
        assert now["value"] == 2
        failed = await graph.fails(
            "annotate", {"target": world["message"], "name": "quality", "value": 3, "idempotencyKey": "k"}
        )
        assert failed == ("CONFLICT", ["idempotencyKey"])

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("given", "code", "path"),
        [
            ({}, "INVALID", ["value"]),
            ({"value": None, "label": None, "comment": None}, "INVALID", ["value"]),
            ({"label": ""}, "INVALID", ["label"]),
            ({"comment": ""}, "INVALID", ["comment"]),
            ({"comment": "x" * 100_001}, "INVALID", ["comment"]),
            ({"label": "x" * 1_001}, "INVALID", ["label"]),
            ({"value": 1, "name": ""}, "INVALID", ["name"]),
            ({"value": 1, "name": "x" * 1_001}, "INVALID", ["name"]),
            ({"value": 1, "metadata": [1]}, "INVALID", ["metadata"]),
            ({"value": 1, "target": "nothing"}, "NOT_FOUND", ["target"]),
            ({"value": 1, "target": "msg_" + "0" * 32}, "NOT_FOUND", ["target"]),
            ({"value": 1, "target": "ses_" + "0" * 32}, "NOT_FOUND", ["target"]),
            ({"value": 1, "target": "usr_" + "0" * 32}, "INVALID", ["target"]),
            ({"value": 1, "by": {"externalId": "nobody"}}, "NOT_FOUND", ["by"]),
            ({"value": 1, "by": {"id": "usr_" + "0" * 32}}, "NOT_FOUND", ["by"]),
        ],
    )
    async def test_what_cannot_be_said(
        self, graph: Graph, world: dict[str, str], given: Any, code: str, path: Any
    ) -> None:
        assert await graph.fails("annotate", {"target": world["message"], "name": "n", **given}) == (code, path)

    async def test_of_what_is_no_target(self, graph: Graph, world: dict[str, str]) -> None:
        made = await say(graph, world["message"], value=1)
        for id in (world["user"], world["agent"], made["id"]):
            assert await graph.fails("annotate", {"target": id, "name": "n", "value": 1}) == ("INVALID", ["target"])

    async def test_an_author_who_may_be_two_is_refused(self, graph: Graph, world: dict[str, str]) -> None:
        await graph.do("upsertAgent", {"externalId": "ann"})
        by = {"externalId": "ann"}
        given = {"target": world["message"], "name": "n", "value": 1}
        assert await graph.fails("annotate", {**given, "by": by}) == ("AMBIGUOUS", ["by"])
        for filter in ({"annotation": {"author": by}}, {"not": {"annotation": {"author": by}}}):
            query = "query ($f: SessionFilter) { sessions(filter: $f) { nodes { id } } }"
            assert (await graph.refusal(query, f=filter))[0] == "AMBIGUOUS"
        assert (await say(graph, world["message"], value=1, by={"id": world["user"]}))["author"] == {
            "id": world["user"]
        }


class TestLists:
    async def fill(self, graph: Graph, world: dict[str, str]) -> None:
        for number, (kind, name, value, label, by) in enumerate(
            [
                ("session", "a", 0.5, "good", {"externalId": "ann"}),
                ("message", "b", 1.0, None, {"externalId": "bot"}),
                ("span", "c", None, "bad", None),
                ("memory", "d", -2.0, "good", {"externalId": "ann"}),
            ]
        ):
            graph.clock.forward(seconds=number)
            await say(graph, world[kind], name, value=value, label=label, by=by)

    async def test_filters(self, graph: Graph, world: dict[str, str]) -> None:
        await self.fill(graph, world)
        for filter, found in (
            (None, "dcba"),
            ({"targetKinds": ["MEMORY", "SPAN"]}, "dc"),
            ({"targetKinds": []}, ""),
            ({"target": world["message"]}, "b"),
            ({"names": ["a", "c"]}, "ca"),
            ({"value": {"min": 0.5, "max": 0.5}}, "a"),
            ({"value": {"max": 0}}, "d"),
            ({"labels": ["good"]}, "da"),
            ({"author": {"externalId": "ann"}}, "da"),
            ({"author": {"id": world["agent"]}}, "b"),
            ({"not": {"author": {"externalId": "ann"}}}, "cb"),
            ({"or": [{"names": ["a"]}, {"labels": ["bad"]}]}, "ca"),
            ({"and": [{"labels": ["good"]}, {"not": {"names": ["a"]}}]}, "d"),
            ({"createdAt": {"from": (graph.clock.now - timedelta(seconds=1)).isoformat()}}, "d"),
            ({"externalIds": ["none"]}, ""),
        ):
            assert "".join(await names(graph, filter)) == found, filter

    async def test_orders(self, graph: Graph, world: dict[str, str]) -> None:
        await self.fill(graph, world)
        for field, found in (
            ("CREATED_AT", "abcd"),
            ("UPDATED_AT", "abcd"),
            ("NAME", "abcd"),
            ("VALUE", "cdab"),
            ("LABEL", "bcad"),
        ):
            assert "".join(await names(graph, None, {"field": field, "direction": "ASC"})) == found, field
            query = """query ($o: AnnotationOrder, $a: String) { annotations(first: 1, orderBy: $o, after: $a) {
                edges { cursor node { name } } } }"""
            seen, after = "", None
            while edges := (await graph.data(query, o={"field": field}, a=after))["annotations"]["edges"]:
                after, seen = edges[0]["cursor"], seen + edges[0]["node"]["name"]
            assert seen == found[::-1], field

    async def test_filters_of_targets(self, graph: Graph, world: dict[str, str]) -> None:
        await self.fill(graph, world)
        await graph.do("createSession", {"externalId": "other"})
        lists = {
            "session": ("sessions(filter: $f)", "SessionFilter"),
            "span": ("spans(filter: $f)", "SpanFilter"),
            "memory": ("memories(filter: $f)", "MemoryFilter"),
        }
        for kind, (field, type) in lists.items():
            query = f"query ($f: {type}) {{ {field} {{ totalCount nodes {{ id }} }} }}"
            for filter, found in (
                ({"annotation": {}}, True),
                ({"annotation": {"names": list("abcd")}}, True),
                ({"annotation": {"labels": ["good"]}}, kind != "span"),
                ({"annotation": {"author": {"externalId": "ann"}}}, kind != "span"),
                ({"and": [{"annotation": {"not": {"author": {"externalId": "ann"}}}}]}, kind == "span"),
                ({"or": [{"annotation": {"targetKinds": [kind.upper()]}}]}, True),
                ({"annotation": {"names": ["none"]}}, False),
            ):
                page = next(iter((await graph.data(query, f=filter)).values()))
                assert [node["id"] for node in page["nodes"]] == [world[kind]] * found, (kind, filter)
                assert page["totalCount"] == found
        query = "query ($f: SessionFilter) { sessions(filter: $f) { nodes { externalId } } }"
        found = await graph.data(query, f={"not": {"annotation": {"labels": ["good"]}}})
        assert found["sessions"]["nodes"] == [{"externalId": "other"}]
        query = (
            """query ($f: MessageFilter) { session(by: {externalId: "s"}) { messages(filter: $f) { nodes { id } } } }"""
        )
        for value, count in ((1.0, 1), (2.0, 0)):
            found = await graph.data(query, f={"annotation": {"value": {"min": value}}})
            assert len(found["session"]["messages"]["nodes"]) == count
        query = """query ($f: MemoryFilter) { searchMemories(query: {text: "tea"}, filter: $f) { hits { memory { id } } } }"""
        for label, count in (("good", 1), ("bad", 0)):
            found = await graph.data(query, f={"annotation": {"labels": [label]}})
            assert len(found["searchMemories"]["hits"]) == count


class TestDeleting:
    async def test_by_ids_all_or_none(self, graph: Graph, world: dict[str, str]) -> None:
        made = [(await say(graph, world["message"], name, value=1))["id"] for name in "abc"]
        wrong = {"annotations": [made[0], "ann_" + "0" * 32]}
        assert await graph.fails("deleteAnnotations", wrong) == ("NOT_FOUND", ["annotations", "1"])
        assert await graph.fails("deleteAnnotations", {"annotations": [world["message"]]}) == (
            "NOT_FOUND",
            ["annotations", "0"],
        )
        for dry, left in ((True, "cba"), (False, "b")):
            given = {"annotations": [made[0], made[2], made[0]], "dryRun": dry}
            gone = await graph.do("deleteAnnotations", given, "annotations { id target { ... on Node { id } } }")
            assert [one["id"] for one in gone["annotations"]] == [made[0], made[2]]
            assert "".join(await names(graph)) == left

    async def test_they_go_with_their_targets(self, graph: Graph, world: dict[str, str]) -> None:
        for kind in KINDS:
            await say(graph, world[kind], kind, value=1)
        await graph.do("createSession", {"externalId": "other"}, "session { id }")
        await graph.do("deleteMemories", {"memories": [{"externalId": "k"}]})
        assert await names(graph) == ["span", "message", "session"]
        await graph.do("deleteSession", {"session": {"externalId": "s"}})
        assert await names(graph) == []

    async def test_they_expire_with_their_targets(self, graph: Graph, world: dict[str, str]) -> None:
        made = await say(graph, world["memory"], value=1)
        await say(graph, world["session"], "other", value=1)
        graph.clock.forward(hours=2)
        assert await names(graph) == ["other"]
        assert (await graph.data("query ($id: ID!) { node(id: $id) { id } }", id=made["id"]))["node"] is None
        assert await graph.fails("annotate", {"target": world["memory"], "name": "n", "value": 1}) == (
            "NOT_FOUND",
            ["target"],
        )
        await sweep(graph.context)
        assert await names(graph) == ["other"]


class TestFollowing:
    async def changes(self, graph: Graph, count: int, start: str, filter: Any = None) -> list[Any]:
        async with graph.follow(FOLLOWED, a=start, f=filter) as events:
            return [event["annotationChanges"] for event in await events.next(count)]

    async def test_as_it_comes_and_again(self, graph: Graph, world: dict[str, str]) -> None:
        await say(graph, world["message"], "before", value=1)
        start = (await graph.data("{ annotationCursor }"))["annotationCursor"]
        filter = {"value": {"min": 0.5}, "author": {"externalId": "bot"}}
        by = {"by": {"externalId": "bot"}}
        async with graph.follow(FOLLOWED, a=start, f=filter) as live, graph.follow(FOLLOWED, a=start) as whole:
            waiting = asyncio.ensure_future(live.next(5))
            await asyncio.sleep(0.05)
            made = await say(graph, world["message"], "a", value=1, comment="kept from the log", **by)
            await say(graph, world["message"], "b", value=0.1, **by)
            await say(graph, world["message"], "a", value=0.9, **by)
            await say(graph, world["message"], "a", value=0.2, **by)
            await say(graph, world["message"], "a", value=0.3, **by)
            await say(graph, world["message"], "b", value=0.8, **by)
            await say(graph, world["session"], "c", value=0.8)
            await graph.do("deleteSession", {"session": {"externalId": "s"}})
            seen = [event["annotationChanges"] for event in await waiting]
            every = [event["annotationChanges"] for event in await whole.next(11)]
        told = [(one["kind"], one["left"]) for one in seen]
        assert told == [
            ("CREATED", False),
            ("UPDATED", False),
            ("UPDATED", True),
            ("UPDATED", False),
            ("DELETED", True),
        ]
        assert seen[0]["annotationId"] == made["id"]
        again = await self.changes(graph, 5, start, filter)
        assert [(one["cursor"], one["kind"], one["left"]) for one in again] == [
            (one["cursor"], one["kind"], one["left"]) for one in seen
        ]
        assert {one["annotation"] for one in again if not isinstance(one["annotation"], dict)} == {None}
        assert [one["kind"] for one in every[-4:]] == ["DELETED"] * 4
        assert await self.changes(graph, 4, again[0]["cursor"], filter) == again[1:]
        log = "change" if graph.family == "embedded" else "Change"
        assert "kept from the log" not in repr(graph.rows()[log])

    async def test_a_filter_that_asks_too_much(self, graph: Graph) -> None:
        query = "subscription ($f: AnnotationFilter) { annotationChanges(filter: $f) { cursor } }"
        with pytest.raises(Exception, match="conditions"):
            async with graph.follow(query, f={"or": [{"names": ["x"]}] * 300}) as events:
                await events.next()


class TestElsewhere:
    """The member `annotation` of a filter works wherever the filter does."""

    async def test_in_changes_of_memories(self, graph: Graph, world: dict[str, str]) -> None:
        start = (await graph.data("{ memoryCursor }"))["memoryCursor"]
        await say(graph, world["memory"], label="good")
        await graph.do("createMemory", {"text": "other", "scope": "GLOBAL", "externalId": "other"})
        await graph.do("updateMemory", {"memory": {"externalId": "k"}, "importance": 0.7})
        query = """subscription ($f: MemoryFilter, $a: String) { memoryChanges(filter: $f, after: $a) {
            memory { externalId } } }"""
        for filter, name in (
            ({"annotation": {"labels": ["good"]}}, "k"),
            ({"not": {"annotation": {"targetKinds": ["MEMORY"]}}}, "other"),
        ):
            async with graph.follow(query, f=filter, a=start) as events:
                [event] = await events.next()
            assert event["memoryChanges"]["memory"]["externalId"] == name

    async def test_in_what_fades(self, graph: Graph, world: dict[str, str]) -> None:
        await say(graph, world["memory"], label="good")
        await graph.do("createMemory", {"text": "other", "scope": "GLOBAL"})
        for label, count in (("good", 1), ("bad", 0)):
            given = {"filter": {"annotation": {"labels": [label]}}, "dryRun": True}
            assert (await graph.do("decayMemories", given, "count"))["count"] == count
