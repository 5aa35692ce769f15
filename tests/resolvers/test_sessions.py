"""Sessions: their kinds, their context, their end."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.graphql_client import Graph, ids

ALL = """session { __typename id externalId kind title status context capabilities metadata createdAt updatedAt
    lastActiveAt messageCount version participants { nodes { name } } }"""
BY_NAME = "query ($name: String!) { session(by: {externalId: $name}) { %s } }"


async def read(graph: Graph, name: str, what: str) -> Any:
    return (await graph.data(BY_NAME % what, name=name))["session"]


class TestCreating:
    @pytest.mark.parametrize(
        ("kind", "type"),
        [
            ("CHAT", "ChatSession"),
            ("PANEL", "PanelSession"),
            ("WORKFLOW", "WorkflowSession"),
            ("PLAYGROUND", "PlaygroundSession"),
        ],
    )
    async def test_each_kind_has_its_type(self, graph: Graph, kind: str, type: str) -> None:
        made = (await graph.do("createSession", {"kind": kind, "externalId": "s"}, ALL))["session"]
        assert (made["__typename"], made["kind"]) == (type, kind)
        query = (
            "query ($id: ID!) { node(id: $id) { __typename id ... on Session { kind } ... on %s { title } } }" % type
        )
        found = await graph.data(query, id=made["id"])
        assert found["node"] == {"__typename": type, "id": made["id"], "kind": kind, "title": ""}

    async def test_everything_that_is_given_is_kept(self, graph: Graph) -> None:
        given = {
            "title": "On tea",
            "externalId": "s",
            "context": {"mood": "calm", "list": [1, 2.50, None]},
            "capabilities": ["draw", "count"],
            "metadata": {"from": "test"},
            "createdAt": "2020-01-01T00:00:00Z",
        }
        people = [{"name": "Ann"}, {"type": "AGENT", "name": "Bot", "role": "host"}]
        made = (await graph.do("createSession", {**given, "participants": people}, ALL))["session"]
        assert {name: made[name] for name in given} == given
        assert made["participants"]["nodes"] == [{"name": "Ann"}, {"name": "Bot"}]
        assert made["updatedAt"] == made["lastActiveAt"] == "2020-01-01T00:00:00Z"
        assert (made["status"], made["messageCount"], made["version"]) == ("ACTIVE", 0, 1)
        assert await read(graph, "s", ALL[10:-2]) == dict(made.items())

    async def test_everything_has_a_default(self, graph: Graph) -> None:
        made = (await graph.do("createSession", {}, ALL))["session"]
        assert made["title"] == ""
        assert made["context"] == made["metadata"] == {}
        assert made["capabilities"] == made["participants"]["nodes"] == []
        assert made["externalId"] is None
        assert made["kind"] == "CHAT"

    async def test_a_taken_external_id(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s"})
        assert await graph.fails("createSession", {"externalId": "s"}) == ("DUPLICATE", ["externalId"])

    async def test_a_participant_named_twice_leaves_no_session(self, graph: Graph) -> None:
        twice = {"externalId": "s", "participants": [{"name": "Ann"}, {"name": "Bob"}, {"name": "Ann"}]}
        assert await graph.fails("createSession", twice) == ("DUPLICATE", ["participants", "2"])
        assert await read(graph, "s", "id") is None

    @pytest.mark.parametrize(
        ("input", "path"),
        [
            ({"title": "x" * 1001}, ["title"]),
            ({"externalId": "x" * 1001}, ["externalId"]),
            ({"externalId": ""}, ["externalId"]),
            ({"context": []}, ["context"]),
            ({"metadata": "text"}, ["metadata"]),
            ({"context": {"a": "x" * 262_144}}, ["context"]),
            ({"capabilities": ["x" * 1001]}, ["capabilities", "0"]),
            ({"participants": [{}, {"name": "x" * 1001}]}, ["participants", "1", "name"]),
            ({"participants": [{"type": "TOOL", "actor": {"externalId": "a"}}]}, ["participants", "0", "actor"]),
        ],
    )
    async def test_wrong_values(self, graph: Graph, input: Any, path: list[str]) -> None:
        assert await graph.fails("createSession", input) == ("INVALID", path)

    async def test_an_unknown_kind_is_refused_before_it_runs(self, graph: Graph) -> None:
        answer = await graph.ask("mutation { createSession(input: {kind: PARTY}) { session { id } } }")
        assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


class TestUpdating:
    async def test_the_context_is_patched(self, graph: Graph) -> None:
        await graph.do(
            "createSession", {"externalId": "s", "context": {"keep": 1, "change": 1, "drop": 1, "deep": {"a": 1}}}
        )
        patch = {"set": {"change": 2, "new": None, "deep": {"b": 1}}, "remove": ["drop", "was never there"]}
        done = await graph.do("updateSession", {"session": {"externalId": "s"}, "contextPatch": patch}, ALL)
        assert done["session"]["context"] == {"keep": 1, "change": 2, "deep": {"b": 1}, "new": None}

    async def test_what_is_left_out_stays(self, graph: Graph) -> None:
        given = {"title": "t", "context": {"c": 1}, "capabilities": ["x"], "metadata": {"m": 1}}
        made = (await graph.do("createSession", {"externalId": "s", **given}, ALL))["session"]
        for change in ({"title": "other"}, {"capabilities": []}, {"metadata": {}}, {"status": "ENDED"}):
            after = (await graph.do("updateSession", {"session": {"externalId": "s"}, **change}, ALL))["session"]
            made = {**made, **change, "version": made["version"] + 1, "updatedAt": after["updatedAt"]}
            assert after == made

    async def test_if_version(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s"})
        change = {"session": {"externalId": "s"}, "title": "mine", "ifVersion": 1}
        assert (await graph.do("updateSession", change, "session { version }"))["session"]["version"] == 2
        assert await graph.fails("updateSession", {**change, "title": "theirs"}) == ("CONFLICT", ["ifVersion"])
        assert (await read(graph, "s", "title"))["title"] == "mine"

    async def test_a_merged_context_that_is_too_large(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s", "context": {"a": "x" * 200_000}})
        patch = {"session": {"externalId": "s"}, "contextPatch": {"set": {"b": "x" * 200_000}}}
        code, path = await graph.fails("updateSession", patch)
        assert (code, path[0]) == ("INVALID", "contextPatch")

    async def test_one_that_is_not_there(self, graph: Graph) -> None:
        missing: dict[str, Any] = {"session": {"externalId": "nobody"}}
        for mutation in ("updateSession", "endSession", "archiveSession", "deleteSession"):
            assert await graph.fails(mutation, missing) == ("NOT_FOUND", ["session"])
        assert await graph.fails("archiveSession", {**missing, "dryRun": True}) == ("NOT_FOUND", ["session"])


@pytest.mark.both_families
class TestEnding:
    async def test_end_and_archive(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s"})
        one = {"session": {"externalId": "s"}}
        assert (await graph.do("endSession", one, "session { status }"))["session"]["status"] == "ENDED"
        dry = await graph.do("archiveSession", {**one, "dryRun": True}, "session { status }")
        assert dry["session"]["status"] == "ENDED"
        assert (await graph.do("archiveSession", one, "session { status }"))["session"]["status"] == "ARCHIVED"

    @pytest.mark.parametrize("mutation", ["archiveSession", "deleteSession"])
    async def test_a_dry_run_writes_nothing(self, graph: Graph, mutation: str) -> None:
        await graph.do("createSession", {"externalId": "s"})
        with graph.untouched():
            await graph.do(mutation, {"session": {"externalId": "s"}, "dryRun": True}, "session { id }")

    async def test_delete_takes_messages_and_trace_and_leaves_memories(self, graph: Graph) -> None:
        made = await graph.do(
            "createSession", {"externalId": "s", "title": "t", "participants": [{"name": "Ann"}]}, "session { id }"
        )
        one = {"session": {"externalId": "s"}}
        said = await graph.do(
            "addMessages",
            {**one, "messages": [{"role": "user", "text": "a", "externalId": "a", "thread": "side"},
                                 {"role": "user", "text": "b", "parent": {"externalId": "a"}}]},
            "messages { id sender { id } thread { id } }",
        )  # fmt: skip
        await graph.do("appendTraceEvents", {**one, "events": [{"type": "x", "message": {"externalId": "a"}}]})
        span = await graph.do("startSpan", {**one, "name": "work"}, "span { id }")
        memory = {"text": "kept", "scope": "GLOBAL", "externalId": "m", "sourceMessage": {"externalId": "a"}}
        await graph.do("createMemory", memory)
        await graph.do("recall", {"query": {"text": "kept"}, **one, "message": {"externalId": "a"}, "threshold": 0})
        gone = await graph.do("deleteSession", one, ALL)
        assert gone["session"]["title"] == "t", "it is returned as it was"
        assert gone["session"]["messageCount"] == 2
        messages = said["messages"]
        everything = [made["session"]["id"], *ids(messages), messages[0]["sender"]["id"], messages[0]["thread"]["id"]]
        found = await graph.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=everything)
        assert found["nodes"] == [None] * len(everything)
        kept = await graph.data(
            '{ memory(by: {externalId: "m"}) { text source { __typename } referencedBy { nodes { id } } '
            "recalls { nodes { session { id } message { id } event { id } } } } memories { nodes { text } } "
            "sessions { totalCount } }"
        )
        assert kept["memory"]["text"] == "kept"
        assert kept["memory"]["source"] is None
        assert kept["memory"]["referencedBy"]["nodes"] == []
        for recall in kept["memory"]["recalls"]["nodes"]:
            assert recall == {"session": None, "message": None, "event": None}
        assert kept["sessions"]["totalCount"] == 0
        left = await graph.data(
            "query ($id: ID!) { node(id: $id) { id ... on Span { session { id } events { nodes { id } } } } }",
            id=span["span"]["id"],
        )
        assert left["node"] is None or left["node"]["session"] is None
        await graph.do("createSession", {"externalId": "s"}, ALL)
        assert (await read(graph, "s", "messageCount trace { nodes { id } }")) == {
            "messageCount": 0,
            "trace": {"nodes": []},
        }


class TestActivity:
    async def test_messages_are_counted_and_move_it_on(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s"})
        before = await read(graph, "s", "messageCount lastActiveAt version")
        graph.clock.forward(hours=1)
        said = await graph.do(
            "addMessage", {"session": {"externalId": "s"}, "role": "user", "text": "hi"}, "message { createdAt }"
        )
        after = await read(graph, "s", "messageCount lastActiveAt version")
        assert after["messageCount"] == before["messageCount"] + 1
        assert after["lastActiveAt"] == said["message"]["createdAt"] > before["lastActiveAt"]

    async def test_imported_messages_count_by_when_they_were_said(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s", "createdAt": "2019-12-31T00:00:00Z"})
        times = ["2020-01-03T00:00:00Z", "2020-01-05T00:00:00Z", "2020-01-04T00:00:00Z"]
        said = [{"role": "user", "text": time, "createdAt": time} for time in times]
        await graph.do("addMessages", {"session": {"externalId": "s"}, "messages": said})
        assert (await read(graph, "s", "lastActiveAt"))["lastActiveAt"] == "2020-01-05T00:00:00Z"
        await graph.do(
            "addMessage",
            {"session": {"externalId": "s"}, "role": "user", "text": "x", "createdAt": "2019-12-31T00:00:00Z"},
        )
        found = await read(graph, "s", "lastActiveAt messageCount messages { nodes { text } }")
        assert found["lastActiveAt"] == "2020-01-05T00:00:00Z", "an older message does not turn it back"
        assert [node["text"] for node in found["messages"]["nodes"]] == [*times, "x"], "place is the order they came in"
        assert found["messageCount"] == 4


class TestListing:
    async def fill(self, graph: Graph) -> None:
        await graph.do("upsertUser", {"externalId": "ann"})
        for i, kind in enumerate(("CHAT", "PANEL", "WORKFLOW", "PLAYGROUND")):
            await graph.do(
                "createSession",
                {
                    "externalId": f"s{i}",
                    "kind": kind,
                    "title": f"About {'tea' if i % 2 else 'Coffee'} {i}",
                    "createdAt": f"2020-01-0{i + 1}T00:00:00Z",
                    "capabilities": ["draw"] if i == 3 else [],
                    "metadata": {"number": i, "nested": {"a": i % 2}},
                    "participants": [{"actor": {"externalId": "ann"}}] if i < 2 else [{"name": "Bob"}],
                },
            )
        await graph.do("endSession", {"session": {"externalId": "s1"}})

    @pytest.mark.parametrize(
        ("filter", "found"),
        [
            ({}, [3, 2, 1, 0]),
            ({"kinds": ["CHAT", "PANEL"]}, [1, 0]),
            ({"kinds": []}, []),
            ({"statuses": ["ENDED"]}, [1]),
            ({"participant": {"externalId": "ann"}}, [1, 0]),
            ({"participant": {"externalId": "nobody"}}, []),
            ({"participant": {"id": "usr_" + "0" * 32}}, []),
            ({"text": "coffee"}, [2, 0]),
            ({"text": "%"}, []),
            ({"text": "_"}, []),
            ({"createdAt": {"from": "2020-01-02T00:00:00Z", "until": "2020-01-04T00:00:00Z"}}, [2, 1]),
            ({"createdAt": {"from": "2020-01-04T00:00:00Z"}}, [3]),
            ({"createdAt": {"until": "2020-01-01T00:00:00Z"}}, []),
            ({"activeSince": "2020-01-03T00:00:00Z"}, [3, 2]),
            ({"capability": "draw"}, [3]),
            ({"capability": "dra"}, []),
            ({"metadata": {"number": 2}}, [2]),
            ({"metadata": {"nested": {"a": 1}}}, [3, 1]),
            ({"metadata": {"number": "2"}}, []),
            ({"metadata": {"absent": None}}, []),
            ({"and": [{"text": "tea"}, {"statuses": ["ACTIVE"]}]}, [3]),
            ({"or": [{"kinds": ["CHAT"]}, {"capability": "draw"}]}, [3, 0]),
            ({"or": []}, []),
            ({"and": []}, [3, 2, 1, 0]),
            ({"not": {"text": "tea"}}, [2, 0]),
            ({"not": {"not": {"text": "tea"}}, "kinds": ["PANEL"]}, [1]),
        ],
    )
    async def test_filters(self, graph: Graph, filter: Any, found: list[int]) -> None:
        await self.fill(graph)
        query = "query ($f: SessionFilter) { sessions(filter: $f) { totalCount nodes { externalId } } }"
        data = (await graph.data(query, f=filter))["sessions"]
        assert [node["externalId"] for node in data["nodes"]] == [f"s{i}" for i in found]
        assert data["totalCount"] == len(found)

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ({}, [3, 2, 1, 0]),
            ({"direction": "ASC"}, [0, 1, 2, 3]),
            ({"field": "TITLE", "direction": "ASC"}, [0, 2, 1, 3]),
            ({"field": "LAST_ACTIVE_AT"}, [0, 3, 2, 1]),
            ({"field": "MESSAGE_COUNT"}, [0, 3, 2, 1]),
        ],
    )
    async def test_orders(self, graph: Graph, order: Any, found: list[int]) -> None:
        await self.fill(graph)
        await graph.do("addMessage", {"session": {"externalId": "s0"}, "role": "user", "text": "hi"})
        query = "query ($o: SessionOrder) { sessions(orderBy: $o) { nodes { externalId } } }"
        data = (await graph.data(query, o=order))["sessions"]
        assert [node["externalId"] for node in data["nodes"]] == [f"s{i}" for i in found]

    async def test_by_each_name_of_a_participant(self, graph: Graph) -> None:
        await self.fill(graph)
        who = {"session": {"externalId": "s2"}, "actor": {"externalId": "cas"}, "externalId": "p"}
        made = (await graph.do("addParticipant", who, "participant { id actor { ... on User { id } } }"))["participant"]
        query = "query ($f: SessionFilter) { sessions(filter: $f) { nodes { externalId } } }"
        for ref in ({"id": made["id"]}, {"id": made["actor"]["id"]}, {"externalId": "cas"}, {"externalId": "p"}):
            data = await graph.data(query, f={"participant": ref})
            assert data["sessions"]["nodes"] == [{"externalId": "s2"}], ref

    async def test_sessions_of_an_actor(self, graph: Graph) -> None:
        await self.fill(graph)
        data = await graph.data(
            '{ user(by: {externalId: "ann"}) { sessions(filter: {not: {statuses: [ENDED]}}) { totalCount nodes { '
            "externalId } } } }"
        )
        assert data["user"]["sessions"] == {"totalCount": 1, "nodes": [{"externalId": "s0"}]}


async def test_when_a_session_was_last_active(graph: Graph) -> None:
    """Not when it was filled from older records, nor in a future that a message is dated to."""

    async def active(name: str, *times: str) -> datetime:
        for time in times:
            message = {"session": {"externalId": name}, "role": "user", "text": "x", "createdAt": time}
            await graph.do("addMessage", message)
        found = await graph.data("query ($s: Ref!) { session(by: $s) { lastActiveAt } }", s={"externalId": name})
        return datetime.fromisoformat(found["session"]["lastActiveAt"])

    for name in ("old", "future", "now"):
        await graph.do("createSession", {"externalId": name})
    assert (await active("old", "2020-01-01T00:00:00Z", "2020-03-01T00:00:00Z", "2020-02-01T00:00:00Z")).month == 3
    assert (await active("future", "2099-01-01T00:00:00Z")) <= datetime.now(UTC) + timedelta(seconds=5)
    await graph.do("addMessage", {"session": {"externalId": "now"}, "role": "user", "text": "x"})
    page = await graph.data("{ sessions(orderBy: {field: LAST_ACTIVE_AT}, first: 1) { nodes { externalId } } }")
    assert page["sessions"]["nodes"] == [{"externalId": "now"}]
    await graph.do("createSession", {"externalId": "later", "createdAt": "2099-01-01T00:00:00Z"})
    assert (await active("later")) <= datetime.now(UTC) + timedelta(seconds=5)
