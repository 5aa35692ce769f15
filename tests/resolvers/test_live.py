"""Subscriptions: a list continued."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from domain.errors import ErrorCode, Rejected
from resolvers.live import _follow
from server.errors import OperationRefused
from stores.ports import SESSION_LOGS, Log
from tests.support.graphql_client import Graph

S = {"session": {"externalId": "s"}}
TRACE = (
    'subscription ($a: String, $f: TraceFilter) { sessionTrace(session: {externalId: "s"}, after: $a, '
    "filter: $f) { cursor node { id type data session { externalId } } } }"
)
MESSAGES = (
    'subscription ($a: String) { sessionMessages(session: {externalId: "s"}, after: $a) { cursor node { '
    "text sender { name } } } }"
)
CHANGES = (
    "subscription ($a: String, $f: MemoryFilter) { memoryChanges(after: $a, filter: $f) { cursor time "
    "kind memoryId left memory { text status } link { id kind source { text } } } }"
)


@pytest.fixture(autouse=True)
async def session(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})


async def append(graph: Graph, *types: str) -> None:
    await graph.do("appendTraceEvents", {**S, "events": [{"type": type} for type in types]})


@pytest.mark.both_families
@pytest.mark.parametrize("kind", SESSION_LOGS)
async def test_a_session_that_goes_between_two_reads_is_not_found(graph: Graph, kind: str) -> None:
    """Whoever comes back has found it, and then asks where its log stands."""
    await append(graph, "a", "b")
    await graph.do("addMessage", {**S, "role": "user", "text": "a"})
    asked = '{ session(by: {externalId: "s"}) { id traceCursor messageCursor } }'
    at = (await graph.data(asked))["session"]
    await graph.do("deleteSession", S)
    cursor = at["traceCursor" if kind == "trace" else "messageCursor"]
    with pytest.raises(Rejected) as refused:
        await anext(_follow(graph.context, Log(kind, at["id"]), cursor))
    assert (refused.value.errors[0].code, refused.value.errors[0].path) == (ErrorCode.NOT_FOUND, ["session"])
    with pytest.raises(StopAsyncIteration):
        await anext(_follow(graph.context, Log(kind, at["id"]), None))


@pytest.mark.both_families
class TestTrace:
    async def test_a_page_then_what_follows_it(self, graph: Graph) -> None:
        await append(graph, *"abc")
        page = (
            await graph.data(
                '{ session(by: {externalId: "s"}) { traceCursor trace(first: 2) { edges { cursor } pageInfo { '
                "endCursor } } } }"
            )
        )["session"]
        async with graph.follow(TRACE, a=page["trace"]["pageInfo"]["endCursor"]) as events:
            [first] = await events.next()
            assert first["sessionTrace"]["node"]["type"] == "c"
            assert first["sessionTrace"]["cursor"] == page["traceCursor"]
            await append(graph, *"de")
            more = await events.next(2)
            assert [event["sessionTrace"]["node"]["type"] for event in more] == ["d", "e"]
            page = (
                await graph.data(
                    '{ session(by: {externalId: "s"}) { trace(last: 2) { edges { '
                    "cursor node { id type data session { "
                    "externalId } } } } } }"
                )
            )["session"]
            assert [event["sessionTrace"] for event in more] == page["trace"]["edges"], "as the connection shows it"

    async def test_without_a_cursor_it_starts_now(self, graph: Graph) -> None:
        await append(graph, "before")
        async with graph.follow(TRACE) as events:
            waiting = asyncio.ensure_future(events.next())
            await asyncio.sleep(0.05)
            await append(graph, "after")
            [event] = await waiting
            assert event["sessionTrace"]["node"]["type"] == "after"

    async def test_from_an_empty_log(self, graph: Graph) -> None:
        start = (await graph.data('{ session(by: {externalId: "s"}) { traceCursor } }'))["session"]["traceCursor"]
        await append(graph, *"ab")
        async with graph.follow(TRACE, a=start) as events:
            assert [event["sessionTrace"]["node"]["type"] for event in await events.next(2)] == ["a", "b"]

    async def test_a_filter_keeps_the_cursors(self, graph: Graph) -> None:
        start = (await graph.data('{ session(by: {externalId: "s"}) { traceCursor } }'))["session"]["traceCursor"]
        await append(graph, *"abab")
        async with graph.follow(TRACE, a=start, f={"types": ["b"]}) as events:
            found = [event["sessionTrace"] for event in await events.next(2)]
        assert [event["node"]["type"] for event in found] == ["b", "b"]
        async with graph.follow(TRACE, a=found[0]["cursor"]) as events:
            assert [event["sessionTrace"]["node"]["type"] for event in await events.next(2)] == ["a", "b"]

    async def test_recalls_and_spans_are_seen(self, graph: Graph) -> None:
        async with graph.follow(
            TRACE, a=(await graph.data('{ session(by: {externalId: "s"}) { traceCursor } }'))["session"]["traceCursor"]
        ) as events:
            span = (await graph.do("startSpan", {**S, "name": "x"}, "span { id }"))["span"]
            await graph.do("recall", {"query": {"text": "x"}, **S})
            await graph.do("endSpan", {"span": span["id"]})
            types = [event["sessionTrace"]["node"]["type"] for event in await events.next(3)]
        assert types == ["span_start", "recall", "span_end"]

    async def test_other_sessions_are_not(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "other"})
        start = (await graph.data('{ session(by: {externalId: "s"}) { traceCursor } }'))["session"]["traceCursor"]
        await graph.do("appendTraceEvents", {"session": {"externalId": "other"}, "events": [{"type": "theirs"}]})
        await append(graph, "ours")
        async with graph.follow(TRACE, a=start) as events:
            assert (await events.next())[0]["sessionTrace"]["node"]["type"] == "ours"


@pytest.mark.both_families
class TestMessages:
    async def test_in_order(self, graph: Graph) -> None:
        start = (await graph.data('{ session(by: {externalId: "s"}) { messageCursor } }'))["session"]["messageCursor"]
        batch = [{"role": "user", "text": str(i), "createdAt": f"20{99 - i}-01-01T00:00:00Z"} for i in range(5)]
        await graph.do("addMessages", {**S, "messages": batch})
        page = (
            await graph.data(
                '{ session(by: {externalId: "s"}) { messageCursor messages { edges { cursor node { text sender { '
                "name } } } } } }"
            )
        )["session"]
        async with graph.follow(MESSAGES, a=start) as events:
            assert [event["sessionMessages"] for event in await events.next(5)] == page["messages"]["edges"]
        assert page["messageCursor"] == page["messages"]["edges"][-1]["cursor"]
        async with graph.follow(MESSAGES, a=page["messages"]["edges"][3]["cursor"]) as events:
            assert (await events.next())[0]["sessionMessages"]["node"]["text"] == "4"


@pytest.mark.both_families
class TestChanges:
    async def kinds(self, graph: Graph, count: int, after: str, filter: Any = None) -> list[Any]:
        async with graph.follow(CHANGES, a=after, f=filter) as events:
            return [event["memoryChanges"] for event in await events.next(count)]

    async def cursor(self, graph: Graph) -> str:
        return str((await graph.data("{ memoryCursor }"))["memoryCursor"])

    async def test_each_kind(self, graph: Graph) -> None:
        start = await self.cursor(graph)
        both = {"memories": [{"text": name, "scope": "GLOBAL", "externalId": name} for name in "ab"]}
        made = (await graph.do("createMemories", both, "memories { id }"))["memories"]
        a = {"externalId": "a"}
        await graph.do("updateMemory", {"memory": a, "text": "a2"})
        link = (
            await graph.do("linkMemories", {"links": [{"source": a, "target": {"externalId": "b"}}]}, "links { id }")
        )["links"][0]
        await graph.do("unlinkMemories", {"links": [link["id"]]})
        await graph.do("archiveMemories", {"memories": [a]})
        await graph.do("restoreMemories", {"memories": [a]})
        found = await self.kinds(graph, 7, start)
        assert [change["kind"] for change in found] == [
            "CREATED",
            "CREATED",
            "UPDATED",
            "LINKED",
            "UNLINKED",
            "ARCHIVED",
            "RESTORED",
        ]
        assert [change["memoryId"] for change in found] == [made[0]["id"], made[1]["id"], *[made[0]["id"]] * 5]
        assert {change["memory"]["text"] for change in found} == {"a2", "b"}, "the memory as it is now"
        assert [change["link"] and change["link"]["id"] for change in found] == [
            None,
            None,
            None,
            link["id"],
            link["id"],
            None,
            None,
        ]
        assert found[-1]["cursor"] == await self.cursor(graph)
        await graph.do("deleteMemories", {"memories": [a]})
        [gone] = await self.kinds(graph, 1, found[-1]["cursor"])
        assert (gone["kind"], gone["memoryId"], gone["memory"]) == ("DELETED", made[0]["id"], None)
        again = await self.kinds(graph, 8, start)
        assert [change["memory"] and change["memory"]["text"] for change in again] == [None, "b", *[None] * 6]

    async def test_a_filter(self, graph: Graph) -> None:
        start = await self.cursor(graph)
        for owner in ("ann", "bob"):
            await graph.do("createMemory", {"text": owner, "owner": {"externalId": owner}, "externalId": owner})
        await graph.do("deleteMemories", {"memories": [{"externalId": "ann"}, {"externalId": "bob"}]})
        found = await self.kinds(graph, 2, start, {"owner": {"externalId": "bob"}})
        assert [change["kind"] for change in found] == ["CREATED", "DELETED"]
        assert found[0]["memoryId"] == found[1]["memoryId"]

    async def test_what_leaves_a_filter_is_told_as_it_comes_and_again(self, graph: Graph) -> None:
        start = await self.cursor(graph)
        for name in ("old", "new", "deleted"):
            await graph.do("createMemory", {"text": name, "scope": "GLOBAL", "externalId": name, "tags": ["x"]})
        filter = {"statuses": ["ACTIVE"], "tags": ["x"]}
        async with graph.follow(CHANGES, a=start, f=filter) as events:
            seen = await events.next(3)
            link = {"source": {"externalId": "new"}, "target": {"externalId": "old"}, "kind": "SUPERSEDES"}
            await graph.do("linkMemories", {"links": [link]})
            await graph.do("archiveMemories", {"memories": [{"externalId": "new"}]})
            await graph.do("restoreMemories", {"memories": [{"externalId": "new"}]})
            await graph.do("updateMemory", {"memory": {"externalId": "new"}, "tags": []})
            await graph.do("updateMemory", {"memory": {"externalId": "new"}, "text": "nobody is told"})
            await graph.do("deleteMemories", {"memories": [{"externalId": "deleted"}, {"externalId": "old"}]})
            seen += await events.next(6)
        live = [(change["memoryChanges"]["kind"], change["memoryChanges"]["left"]) for change in seen]
        assert live == [
            *[("CREATED", False)] * 3,
            ("LINKED", False),
            ("UPDATED", True),
            ("ARCHIVED", True),
            ("RESTORED", False),
            ("UPDATED", True),
            ("DELETED", True),
        ]
        assert [(one["kind"], one["left"]) for one in await self.kinds(graph, len(live), start, filter)] == live

    async def test_the_list_that_a_follower_keeps_is_the_list_of_the_filter(self, graph: Graph) -> None:
        filter, start = {"scopes": ["GLOBAL"]}, await self.cursor(graph)
        async with graph.follow(CHANGES, a=start, f=filter) as events:
            for name in "abcd":
                await graph.do("createMemory", {"text": name, "scope": "GLOBAL", "externalId": name})
            await graph.do("updateMemory", {"memory": {"externalId": "a"}, "validUntil": "2020-01-01T00:00:00Z"})
            for source, target in (("b", "c"), ("c", "d")):
                link = {"source": {"externalId": source}, "target": {"externalId": target}, "kind": "SUPERSEDES"}
                await graph.do("linkMemories", {"links": [link]})
            await graph.do("deleteMemories", {"memories": [{"externalId": "b"}]})
            seen = [one["memoryChanges"] for one in await events.next(10)]
        kept: set[str] = set()
        for one in seen:
            (kept.discard if one["left"] else kept.add)(one["memoryId"])
        found = await graph.data("query ($f: MemoryFilter) { memories(filter: $f) { nodes { id text } } }", f=filter)
        assert {one["text"] for one in found["memories"]["nodes"]} == {"c"}
        assert kept == {one["id"] for one in found["memories"]["nodes"]}

    @pytest.mark.parametrize("by", ["externalId", "id"])
    async def test_memories_whose_session_is_deleted_leave_it(self, graph: Graph, by: str) -> None:
        start = await self.cursor(graph)
        found = await graph.data('{ session(by: {externalId: "s"}) { id } }')
        named = {"externalId": "s"} if by == "externalId" else {"id": found["session"]["id"]}
        await graph.do("createSession", {"externalId": "other"})
        for name, session in (("a", "s"), ("b", "s"), ("c", "other")):
            said = {"session": {"externalId": session}, "role": "user", "text": name, "externalId": name}
            await graph.do("addMessage", said)
            given = {"text": name, "scope": "GLOBAL", "externalId": f"m{name}", "sourceMessage": {"externalId": name}}
            await graph.do("createMemory", given)
        await graph.do("archiveMemories", {"memories": [{"externalId": "mb"}]})
        filters = [{"session": named}, {"not": {"session": named}}, {"or": [{"session": named}, {"tags": ["x"]}]}, None]
        told: list[Any] = []
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(graph.follow(CHANGES, a=start, f=one)) for one in filters]
            begun = [await events.next(count) for events, count in zip(streams, (3, 1, 3, 4), strict=True)]
            await graph.do("deleteSession", {"session": {"externalId": "s"}, "dryRun": True})
            await graph.do("deleteSession", {"session": {"externalId": "s"}})
            await graph.do("createSession", {"externalId": "s"})  # another one of that name
            for events, first in zip(streams, begun, strict=True):
                seen = [one["memoryChanges"] for one in [*first, *await events.next(2)]]
                told.append([(one["kind"], one["left"], one["memory"]["text"]) for one in seen])
        gone = [("UPDATED", True, "a"), ("UPDATED", True, "b")]
        stay = [("UPDATED", False, "a"), ("UPDATED", False, "b")]
        of_session = [("CREATED", False, "a"), ("CREATED", False, "b"), ("ARCHIVED", False, "b"), *gone]
        assert told[0] == of_session
        assert told[1] == [("CREATED", False, "c"), *stay]
        assert told[2] == of_session
        assert told[3][-2:] == stay
        for filter, live in zip(filters, told, strict=True):
            again = await self.kinds(graph, len(live), start, filter)
            assert [(one["kind"], one["left"], one["memory"]["text"]) for one in again] == live
        if by == "externalId":
            nothing = {"session": named, "statuses": ["ACTIVE", "ARCHIVED"]}
            assert (
                await graph.data("query ($f: MemoryFilter) { memories(filter: $f) { totalCount } }", f=nothing)
            ) == {"memories": {"totalCount": 0}}

    async def test_the_text_of_a_deleted_memory_is_in_no_line_of_the_log(self, graph: Graph) -> None:
        m = {"externalId": "m"}
        await graph.do("createMemory", {"text": "words-first", "scope": "GLOBAL", "externalId": "m"})
        await graph.do("updateMemory", {"memory": m, "text": "words-second"})
        await graph.do("archiveMemories", {"memories": [m]})
        await graph.do("updateMemory", {"memory": m, "text": "words-third", "status": "ACTIVE"})
        assert "words-first" in repr(graph.rows())
        await graph.do("deleteMemories", {"memories": [m]})
        kept = {name: rows for name, rows in graph.rows().items() if not name.startswith("memory_text")}
        assert "words-" not in repr(kept)

    async def test_what_supersedes_changes_the_other(self, graph: Graph) -> None:
        await graph.do(
            "createMemories", {"memories": [{"text": name, "scope": "GLOBAL", "externalId": name} for name in "ab"]}
        )
        start = await self.cursor(graph)
        await graph.do(
            "linkMemories",
            {"links": [{"source": {"externalId": "a"}, "target": {"externalId": "b"}, "kind": "SUPERSEDES"}]},
        )
        found = await self.kinds(graph, 2, start)
        assert [(change["kind"], change["memory"]["text"], change["memory"]["status"]) for change in found] == [
            ("LINKED", "a", "ACTIVE"),
            ("UPDATED", "b", "SUPERSEDED"),
        ]


class TestRefusals:
    async def code(self, graph: Graph, query: str, **variables: Any) -> tuple[str, Any]:
        with pytest.raises(OperationRefused) as caught:
            async with graph.follow(query, **variables) as events:
                await events.next()
        [error] = caught.value.errors
        return error["extensions"]["code"], error["extensions"].get("path")

    @pytest.mark.parametrize("query", [TRACE, MESSAGES])
    async def test_an_unknown_session(self, graph: Graph, query: str) -> None:
        await graph.do("deleteSession", S)
        assert await self.code(graph, query) == ("NOT_FOUND", ["session"])

    @pytest.mark.parametrize("query", [TRACE, MESSAGES, CHANGES])
    async def test_a_cursor_that_is_none(self, graph: Graph, query: str) -> None:
        for cursor in ("", "garbage", "\u0000", "é" * 20):
            assert await self.code(graph, query, a=cursor) == ("INVALID", ["after"])

    async def test_a_cursor_from_elsewhere(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "other"})
        data = await graph.data(
            '{ memoryCursor session(by: {externalId: "s"}) { traceCursor messageCursor } other: session(by: '
            '{externalId: "other"}) { traceCursor messageCursor } sessions(first: 1) { edges { cursor } } }'
        )
        trace, messages = data["session"]["traceCursor"], data["session"]["messageCursor"]
        row = data["sessions"]["edges"][0]["cursor"]
        for query, wrong in (
            (TRACE, (messages, data["memoryCursor"], data["other"]["traceCursor"], row)),
            (MESSAGES, (trace, data["memoryCursor"], data["other"]["messageCursor"], row)),
            (CHANGES, (trace, messages, row)),
        ):
            for cursor in wrong:
                assert await self.code(graph, query, a=cursor) == ("INVALID", ["after"])

    async def test_a_filter_that_cannot_be(self, graph: Graph) -> None:
        assert await self.code(graph, CHANGES, f={"metadata": 5}) == ("INVALID", ["filter", "metadata"])


@pytest.mark.parametrize("query", [TRACE, MESSAGES, CHANGES])
async def test_a_cursor_beyond_the_end_is_of_a_store_that_has_gone_back(graph: Graph, query: str) -> None:
    """As after an older copy of the folder was put in its place: nothing is waited for that may never come."""
    here = await graph.data('{ memoryCursor session(by: {externalId: "s"}) { traceCursor messageCursor } }')
    now = {
        TRACE: here["session"]["traceCursor"],
        MESSAGES: here["session"]["messageCursor"],
        CHANGES: here["memoryCursor"],
    }
    beyond = now[query][:-2] + "63"  # the place is the last byte
    with pytest.raises(OperationRefused) as refused:
        async with graph.follow(query, a=beyond) as events:
            await events.next()
    [error] = refused.value.errors
    assert error["extensions"]["code"] == "CURSOR_EXPIRED"
