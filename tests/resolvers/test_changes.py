"""Sessions and traces of the whole workspace, followed live and again from a cursor."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph

SESSIONS = """subscription ($f: SessionFilter, $a: String) { sessionChanges(filter: $f, after: $a) {
  cursor kind left sessionId session { externalId title status messageCount } } }"""
TRACES = """subscription ($f: TraceListFilter, $a: String) { traceChanges(filter: $f, after: $a) {
  cursor kind left traceId trace { runningSpans root { name } session { externalId } usage { totalTokens } } } }"""
S = {"session": {"externalId": "s"}}

pytestmark = pytest.mark.both_families


async def cursor(graph: Graph, name: str) -> str:
    return str((await graph.data(f"{{ {name} }}"))[name])


async def told(graph: Graph, query: str, count: int, after: str, filter: Any = None) -> list[Any]:
    async with graph.follow(query, a=after, f=filter) as events:
        return [next(iter(event.values())) for event in await events.next(count)]


def kinds(changes: list[Any]) -> list[tuple[str, bool]]:
    return [(one["kind"], one["left"]) for one in changes]


class TestSessions:
    async def test_what_happens_to_them_live_and_again(self, graph: Graph) -> None:
        start = await cursor(graph, "sessionCursor")
        async with graph.follow(SESSIONS, a=start) as live:
            await graph.do("createSession", {"externalId": "s", "title": "Tea"})
            await graph.do("addMessage", {**S, "role": "user", "text": "secret"})
            await graph.do("endSession", S)
            await graph.do("deleteSession", S)
            seen = [event["sessionChanges"] for event in await live.next(4)]
        assert kinds(seen)[0] == ("CREATED", False)
        assert {kind for kind, left in kinds(seen)[1:-1] if not left} == {"UPDATED"}
        assert (kinds(seen)[-1], seen[-1]["session"]) == (("DELETED", True), None)
        assert len({one["sessionId"] for one in seen}) == 1
        again = await told(graph, SESSIONS, 4, start)
        assert [one["cursor"] for one in again] == [one["cursor"] for one in seen]
        assert await told(graph, SESSIONS, 2, again[1]["cursor"]) == again[2:]
        log = "change" if graph.family == "embedded" else "Change"
        assert "Tea" not in repr(graph.rows()[log])

    async def test_a_filter_tells_what_comes_into_it_and_what_leaves_it(self, graph: Graph) -> None:
        for name in ("s", "other"):
            await graph.do("createSession", {"externalId": name, "title": name.upper()})
        start = await cursor(graph, "sessionCursor")
        await graph.do("addParticipant", {**S, "actor": {"externalId": "ann"}})
        await graph.do("addMessage", {**S, "sender": {"externalId": "ann"}, "text": "hi"})
        await graph.do("endSession", {"session": {"externalId": "other"}})
        await graph.do("updateSession", {**S, "metadata": {"k": 1}})
        await graph.do("endSession", S)
        for filter, names in (
            ({"statuses": ["ENDED"]}, {("other", False), ("s", False)}),
            ({"statuses": ["ACTIVE"]}, {("other", True), ("s", False), ("s", True)}),
            ({"participant": {"externalId": "ann"}, "statuses": ["ENDED"]}, {("s", False)}),
            ({"said": "HI", "statuses": ["ENDED"]}, {("s", False)}),
            ({"or": [{"text": "oth"}, {"metadata": {"k": 2}}], "statuses": ["ENDED"]}, {("other", False)}),
            ({"not": {"text": "oth"}, "statuses": ["ENDED"]}, {("s", False)}),
        ):
            found: set[tuple[str, bool]] = set()
            async with graph.follow(SESSIONS, a=start, f=filter) as events:
                while not names <= found:
                    [event] = await events.next(1)
                    change = event["sessionChanges"]
                    found.add((change["session"]["externalId"], change["left"]))
            assert found == names, filter


class TestTraces:
    async def test_with_and_without_a_session(self, graph: Graph) -> None:
        start = await cursor(graph, "traceChangeCursor")
        async with graph.follow(TRACES, a=start) as live:
            await graph.do("startSpan", {"traceId": "t", "spanId": "b", "parentSpanId": "a", "name": "ask"})
            await graph.do("startSpan", {"traceId": "t", "spanId": "a", "name": "root"})
            await graph.do("endSpan", {"traceId": "t", "spanId": "b", "attributes": {"inputTokens": 5}})
            seen = [event["traceChanges"] for event in await live.next(3)]
        assert kinds(seen) == [("CREATED", False), ("UPDATED", False), ("UPDATED", False)]
        assert {one["traceId"] for one in seen} == {"t"}
        last = seen[-1]["trace"]
        assert (last["runningSpans"], last["root"], last["session"]) == (1, {"name": "root"}, None)
        assert [one["cursor"] for one in await told(graph, TRACES, 3, start)] == [one["cursor"] for one in seen]
        await graph.do("createSession", {"externalId": "s"})
        await graph.do("startSpan", {**S, "traceId": "u", "spanId": "a", "name": "root"})
        await graph.do("deleteSession", S)
        [_, gone] = await told(graph, TRACES, 2, seen[-1]["cursor"])
        assert (gone["kind"], gone["left"], gone["traceId"], gone["trace"]) == ("DELETED", True, "u", None)

    async def test_a_filter_tells_what_comes_into_it_and_what_leaves_it(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s"})
        start = await cursor(graph, "traceChangeCursor")
        for trace, name in (("t", "plan"), ("u", "other")):
            await graph.do("startSpan", {**S, "traceId": trace, "spanId": "a", "name": name})
        used = {"attributes": {"totalTokens": 7}, "statusCode": "ERROR"}
        await graph.do("endSpan", {"traceId": "u", "spanId": "a", **used})
        for filter, changes in (
            ({"running": True}, [("t", False), ("u", False), ("u", True)]),
            ({"statusCodes": ["ERROR"]}, [("u", False)]),
            ({"totalTokens": {"min": 7}}, [("u", False)]),
            ({"span": {"text": "PLAN"}}, [("t", False)]),
            ({"session": {"externalId": "s"}, "not": {"span": {"names": ["plan"]}}}, [("u", False), ("u", False)]),
        ):
            seen = await told(graph, TRACES, len(changes), start, filter)
            assert [(one["traceId"], one["left"]) for one in seen] == changes, filter


@pytest.mark.parametrize("query", [SESSIONS, TRACES])
async def test_a_cursor_of_another_log_is_refused(graph: Graph, query: str) -> None:
    other = "traceChangeCursor" if query is SESSIONS else "sessionCursor"
    with pytest.raises(Exception, match="cursor"):
        await told(graph, query, 1, await cursor(graph, other))
