"""Reports of tracers: what becomes of them in the graph, whatever order they come in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from domain.conventions.reading import read
from domain.session import Session
from domain.span import Span, SpanKind, SpanStatusCode, Trace
from domain.telemetry import EVENTS_COUNT, Received, ReportedEvent, SpanReport
from domain.values import encode_json
from resolvers.span_sessions import Claim, settle
from resolvers.telemetry import receive
from stores.ports import Transaction
from tests.support.graphql_client import Graph

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"

LOG = """query ($of: String!) { session(by: {externalId: $of}) { title traceCursor
  trace(first: 1000) { edges { cursor node { id type component time durationMs data span { spanId } user { name } agent { name } } } } } }"""
TREE = """query ($t: String!) { trace(traceId: $t) { session { externalId } root { spanId } startedAt durationMs statusCode usage { totalTokens }
  spans(first: 20) { nodes { spanId parentSpanId name kind statusCode statusMessage startedAt endedAt attributes usage { inputTokens outputTokens totalTokens }
  session { externalId } agent { externalId name } events(first: 20) { nodes { id type data } } } } } }"""
FOLLOW = """subscription ($of: String!, $after: String) { sessionTrace(session: {externalId: $of}, after: $after) { cursor node { id type span { spanId } } } }"""


def told(span: int, parent: int | None = None, *, trace: str = TRACE, at: float = 0, **more: Any) -> SpanReport:
    """A report of a span: it begins at so many seconds, and takes one unless it is said to run."""
    given: dict[str, Any] = {
        "name": f"span {span}",
        "component": "shop",
        "started_at": AT + timedelta(seconds=at),
        "ended_at": AT + timedelta(seconds=at + 1),
        "status_code": SpanStatusCode.OK,
        "status_message": None,
        "events": [],
        **more,
    }
    attributes = {**given.pop("attributes", {}), **({EVENTS_COUNT: len(given["events"])} if given["events"] else {})}
    who = {
        name: given.pop(name)
        for name in ("session", "user", "user_name", "agent", "agent_name", "kind")
        if name in given
    }
    ids = (trace, f"{span:016x}", None if parent is None else f"{parent:016x}")
    reading = replace(read(attributes), **who)
    return SpanReport(*ids, attributes=encode_json(attributes), told=reading, **given)


async def log(graph: Graph, of: str = "s") -> list[tuple[str, int]]:
    """The types of the lines of a session's log, with the numbers of their spans."""
    edges = (await graph.data(LOG, of=of))["session"]["trace"]["edges"]
    return [(edge["node"]["type"], int(edge["node"]["span"]["spanId"], 16)) for edge in edges]


async def spans(graph: Graph) -> dict[int, Any]:
    """The spans of the trace by their numbers."""
    nodes = (await graph.data(TREE, t=TRACE))["trace"]["spans"]["nodes"]
    return {int(node["spanId"], 16): node for node in nodes}


class TestWhatBecomesOfASpan:
    async def test_everything_has_its_place(self, graph: Graph) -> None:
        boom = ReportedEvent(AT + timedelta(seconds=0.5), "exception", encode_json({"exception.message": "no"}))
        attributes = {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4, "a.b": [1, 2.0, True]}
        report = told(1, session="s", user="u", user_name="Mara", agent="bot", agent_name="Iris", kind=SpanKind.LLM,
                      events=[boom], attributes=attributes, status_code=SpanStatusCode.ERROR, status_message="no")  # fmt: skip
        assert await receive(graph.context, [report]) == Received(1, 0)
        trace = (await graph.data(TREE, t=TRACE.upper()))["trace"]
        [span] = trace["spans"]["nodes"]
        assert (trace["session"], trace["root"], trace["statusCode"]) == (
            {"externalId": "s"},
            {"spanId": "0000000000000001"},
            "ERROR",
        )
        assert (trace["usage"], trace["durationMs"]) == ({"totalTokens": 7}, 1000.0)
        assert span["attributes"] == {**attributes, EVENTS_COUNT: 1}
        assert (span["kind"], span["statusCode"], span["statusMessage"], span["name"]) == (
            "LLM",
            "ERROR",
            "no",
            "span 1",
        )
        assert span["usage"] == {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}
        assert span["agent"] == {"externalId": "bot", "name": "Iris"}
        session = (await graph.data(LOG, of="s"))["session"]
        assert session["title"] == ""
        start, event, end = (edge["node"] for edge in session["trace"]["edges"])
        assert (start["type"], start["data"], start["durationMs"]) == ("span_start", {}, None)
        assert (event["type"], event["data"]) == ("exception", {"exception.message": "no"})
        assert (end["type"], end["durationMs"]) == ("span_end", 1000.0)
        assert end["data"] == {**span["attributes"], "statusCode": "ERROR", "statusMessage": "no"}
        for line in (start, event, end):
            assert (line["component"], line["user"], line["agent"]) == ("shop", {"name": "Mara"}, {"name": "Iris"})

    async def test_what_was_said_to_a_model_and_by_it(self, graph: Graph) -> None:
        said = [{"role": "assistant", "parts": [{"type": "text", "content": "A moment."}, {"type": "tool_call", "id": "c1",
                 "name": "kettle", "arguments": {"cups": 2}}]}]  # fmt: skip
        attributes = {"gen_ai.request.model": "small", "gen_ai.output.messages": said,
                      "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Tea?"}  # fmt: skip
        await receive(graph.context, [told(1, attributes=attributes), told(2)])
        query = """query ($t: String!) { trace(traceId: $t) { spans { nodes { model inputMessages { role text }
          outputMessages { role text content { __typename ... on ToolCall { callId } } } toolCalls { callId tool arguments response { result } } } } } }"""
        found = {node["model"]: node for node in (await graph.data(query, t=TRACE))["trace"]["spans"]["nodes"]}
        assert found[None] == {"model": None, "inputMessages": [], "outputMessages": [], "toolCalls": []}
        assert found["small"] == {
            "model": "small",
            "inputMessages": [{"role": "user", "text": "Tea?"}],
            "outputMessages": [
                {
                    "role": "assistant",
                    "text": "A moment.",
                    "content": [{"__typename": "TextContent"}, {"__typename": "ToolCall", "callId": "c1"}],
                }
            ],
            "toolCalls": [{"callId": "c1", "tool": "kettle", "arguments": {"cups": 2}, "response": None}],
        }

    async def test_who_is_named_takes_part_in_the_session(self, graph: Graph) -> None:
        await receive(graph.context, [told(1, session="s", user="u"), told(2, 1, agent="bot")])
        await receive(graph.context, [told(3, 1, user="u", agent="bot")])
        data = await graph.data(
            '{ session(by: {externalId: "s"}) { participants { nodes { type name } } } '
            'user(by: {externalId: "u"}) { sessions { nodes { externalId } } } }'
        )
        assert data["session"]["participants"]["nodes"] == [
            {"type": "USER", "name": "u"},
            {"type": "AGENT", "name": "bot"},
        ]
        assert data["user"]["sessions"]["nodes"] == [{"externalId": "s"}]

    async def test_a_session_that_is_there_is_used(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s", "title": "mine", "kind": "WORKFLOW"})
        await receive(graph.context, [told(1, session="s")])
        assert (await graph.data(LOG, of="s"))["session"]["title"] == "mine"
        assert await log(graph) == [("span_start", 1), ("span_end", 1)]

    async def test_a_span_without_a_session_belongs_to_none(self, graph: Graph) -> None:
        await receive(graph.context, [told(1)])
        assert (await spans(graph))[1]["session"] is None
        assert (await graph.data("{ sessions { totalCount } }"))["sessions"]["totalCount"] == 0

    async def test_each_belongs_to_the_session_it_names(self, graph: Graph) -> None:
        await receive(graph.context, [told(1, session="s"), told(2, 1, session="other"), told(3, 2)])
        found = await spans(graph)
        assert [found[n]["session"]["externalId"] for n in (1, 2, 3)] == ["s", "other", "other"]

    async def test_a_batch_is_one_log_in_the_order_of_time(self, graph: Graph) -> None:
        batch = [told(3, 2, at=0.0, ended_at=AT + timedelta(seconds=0.2)), told(2, 1, at=0.0), told(1, at=0.0, session="s",
                 ended_at=AT + timedelta(seconds=1)), told(4, 1, at=0.5, ended_at=AT + timedelta(seconds=0.6))]  # fmt: skip
        await receive(graph.context, batch)
        assert sorted((await log(graph))[:2]) == [("span_start", 1), ("span_start", 2)], "they lasted equally long"
        assert (await log(graph))[2:6] == [("span_start", 3), ("span_end", 3), ("span_start", 4), ("span_end", 4)]

    async def test_a_span_whose_times_are_not_told(self, graph: Graph) -> None:
        unknown = told(1, started_at=None, ended_at=None)
        assert await receive(graph.context, [unknown]) == Received(1, 0)
        assert await receive(graph.context, [unknown]) == Received(0, 1)
        assert (await spans(graph))[1]["endedAt"] is None

    async def test_an_end_before_the_start_is_the_start(self, graph: Graph) -> None:
        await receive(graph.context, [told(1, at=5, ended_at=AT)])
        span = (await spans(graph))[1]
        assert span["startedAt"] == span["endedAt"]

    async def test_thousands_at_once(self, graph: Graph) -> None:
        children = [told(n, 1, at=n / 1000) for n in range(2, 2500)]
        assert await receive(graph.context, [*children, told(1, session="s")]) == Received(2499, 0)
        assert len(await log(graph)) == 1000
        counted = await graph.data('{ session(by: {externalId: "s"}) { spans { totalCount } trace { totalCount } } }')
        assert counted["session"] == {"spans": {"totalCount": 2499}, "trace": {"totalCount": 2 * 2499}}


class TestToldAgain:
    async def test_the_same_again_writes_nothing(self, graph: Graph) -> None:
        event = ReportedEvent(AT, "e", encode_json({}))
        batch = [told(1, session="s", user="u", agent="a", events=[event]), told(2, 1), told(7, trace="a" * 32)]
        assert await receive(graph.context, [*batch, batch[1]]) == Received(3, 1)
        with graph.untouched():
            assert await receive(graph.context, batch) == Received(0, 3)

    async def test_a_span_that_ran_and_ends(self, graph: Graph) -> None:
        await receive(
            graph.context, [told(1, session="s", ended_at=None, attributes={"a": 1}, status_code=SpanStatusCode.UNSET)]
        )
        assert await log(graph) == [("span_start", 1)]
        assert await receive(graph.context, [told(1, attributes={"b": 2})]) == Received(1, 0)
        assert await log(graph) == [("span_start", 1), ("span_end", 1)]
        span = (await spans(graph))[1]
        assert (span["attributes"], span["statusCode"]) == ({"a": 1, "b": 2}, "OK")
        assert span["endedAt"] is not None

    async def test_a_span_with_more_attributes_and_events(self, graph: Graph) -> None:
        first, second = (ReportedEvent(AT, name, encode_json({})) for name in ("first", "second"))
        await receive(graph.context, [told(1, session="s", events=[first])])
        await receive(graph.context, [told(1, session="s", events=[first, second], attributes={"more": True})])
        assert [type for type, _ in await log(graph)] == ["span_start", "first", "span_end", "second", "span_update"]
        assert (await spans(graph))[1]["attributes"] == {EVENTS_COUNT: 2, "more": True}

    async def test_what_is_not_told_again_stays(self, graph: Graph) -> None:
        await receive(graph.context, [told(1, 9, session="s", agent="a", kind=SpanKind.LLM, attributes={"a": 1})])
        poor = told(1, name="", status_code=SpanStatusCode.UNSET, started_at=None, ended_at=None)
        assert await receive(graph.context, [poor]) == Received(0, 1)

    async def test_attributes_that_are_too_many_together(self, graph: Graph) -> None:
        await receive(graph.context, [told(1, attributes={"a": "x" * 200_000})])
        await receive(graph.context, [told(1, attributes={"b": "x" * 200_000})])
        kept = (await spans(graph))[1]["attributes"]
        assert list(kept) == ["a", "b", "otel.shortened"]
        assert all("characters left out" in kept[name] for name in "ab")

    async def test_spans_that_were_opened_by_hand(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s"})
        by_hand = {"session": {"externalId": "s"}, "traceId": TRACE, "spanId": f"{1:016x}", "name": "by hand"}
        await graph.do("startSpan", by_hand)
        await receive(graph.context, [told(2, 1), told(1)])
        assert (await spans(graph))[1]["session"] == {"externalId": "s"}
        assert [type for type, _ in await log(graph)] == ["span_start", "span_start", "span_end", "span_end"]


class TestLateSessions:
    async def test_earlier_spans_are_taken_into_the_log_at_its_end(self, graph: Graph) -> None:
        await receive(graph.context, [told(2, 1, events=[ReportedEvent(AT, "e", encode_json({}))]), told(3, 2)])
        before = [event["id"] for n in (2, 3) for event in (await spans(graph))[n]["events"]["nodes"]]
        await receive(graph.context, [told(9, trace="b" * 32, session="s")])
        end = (await graph.data(LOG, of="s"))["session"]["traceCursor"]
        async with graph.follow(FOLLOW, of="s", after=end) as follower:
            await receive(graph.context, [told(1, session="s")])
            events = [one["sessionTrace"] for one in await follower.next(7)]
        assert [event["node"]["type"] for event in events[:2]] == ["span_start", "span_end"]
        assert sorted(event["node"]["id"] for event in events[2:]) == sorted(before), "events keep their ids"
        assert [edge["cursor"] for edge in (await graph.data(LOG, of="s"))["session"]["trace"]["edges"]][2:] == [
            event["cursor"] for event in events
        ]
        assert {span["session"]["externalId"] for span in (await spans(graph)).values()} == {"s"}
        assert (await graph.data(TREE, t=TRACE))["trace"]["session"] == {"externalId": "s"}

    async def test_later_spans_find_the_session_by_their_trace(self, graph: Graph) -> None:
        await receive(graph.context, [told(2, 1)])
        await receive(graph.context, [told(1, session="s")])
        await receive(graph.context, [told(3, 1)])
        assert [n for type, n in await log(graph) if type == "span_end"] == [1, 2, 3]

    async def test_who_was_named_before_takes_part_too(self, graph: Graph) -> None:
        await receive(graph.context, [told(2, 1, user="u", agent="bot"), told(3, 1, agent="bot")])
        await receive(graph.context, [told(1, session="s", user="u")])
        data = await graph.data('{ session(by: {externalId: "s"}) { participants { nodes { type name } } } }')
        assert data["session"]["participants"]["nodes"] == [
            {"type": "USER", "name": "u"},
            {"type": "AGENT", "name": "bot"},
        ]

    async def test_a_span_that_names_its_session_only_when_it_is_told_again(self, graph: Graph) -> None:
        await receive(graph.context, [told(1, ended_at=None)])
        await receive(graph.context, [told(1, session="s")])
        assert await log(graph) == [("span_start", 1), ("span_end", 1)]

    async def test_many_of_them(self, graph: Graph) -> None:
        await receive(graph.context, [told(n, 1, at=n) for n in range(2, 1300)])
        await receive(graph.context, [told(1, session="s")])
        counted = await graph.data('{ session(by: {externalId: "s"}) { spans { totalCount } trace { totalCount } } }')
        assert counted["session"] == {"spans": {"totalCount": 1299}, "trace": {"totalCount": 2 * 1299}}

    async def test_from_many_exporters_at_once_nothing_is_left_behind_and_nothing_told_twice(
        self, graph: Graph
    ) -> None:
        await graph.do("createSession", {"externalId": "s"})
        start = (await graph.data(LOG, of="s"))["session"]["traceCursor"]
        async with graph.follow(FOLLOW, of="s", after=start) as follower:
            exports = [receive(graph.context, [told(n, 1, session="s" if n % 10 == 0 else None)]) for n in range(1, 41)]
            received = await asyncio.gather(*exports)
            lines = [(await follower.next())[0]["sessionTrace"]["node"] for _ in range(80)]
        assert sum(received, Received()) == Received(40, 0)
        assert len({line["id"] for line in lines}) == 80
        counted = await graph.data('{ session(by: {externalId: "s"}) { spans { totalCount } trace { totalCount } } }')
        assert counted["session"] == {"spans": {"totalCount": 40}, "trace": {"totalCount": 80}}

    async def test_a_claim_that_was_broken_off_is_made_good(self, graph: Graph) -> None:
        """As after a crash between the two writes: the exporter sends again what was not acknowledged."""
        await receive(graph.context, [told(2, 1)])
        await receive(graph.context, [told(1, session="s")])

        async def undo(tx: Transaction) -> None:
            for kind, key in ((Trace, (TRACE,)), (Span, (TRACE, f"{2:016x}"))):
                [found] = await tx.find(kind, [key])  # type: ignore[type-var]
                await tx.put([msgspec.structs.replace(found, session_id=None)])

        await graph.context.store.write(undo)
        assert await receive(graph.context, [told(1, session="s")]) == Received(0, 1)
        assert {span["session"]["externalId"] for span in (await spans(graph)).values()} == {"s"}

    @pytest.mark.parametrize("gone", ["the session", "nothing"])
    async def test_sessions_that_are_deleted_meanwhile(self, graph: Graph, gone: str) -> None:
        await receive(graph.context, [told(1)])
        await graph.do("createSession", {"externalId": "s"})
        [session] = await graph.context.store.find(Session, [("s",)])
        assert session is not None
        if gone == "the session":
            await graph.do("deleteSession", {"session": {"externalId": "s"}})
        await settle(graph.context, [], {TRACE: Claim(session.id, AT, f"{1:016x}")})
        assert (await spans(graph))[1]["session"] == (None if gone == "the session" else {"externalId": "s"})


async def test_tokens_are_counted_once_whichever_way_spans_come(graph: Graph) -> None:
    used = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
    await receive(graph.context, [told(3, 2, attributes=used)])
    await graph.do("createSession", {"externalId": "s"})
    event = {"type": "span_end", "traceId": TRACE, "spanId": f"{2:016x}", "parentSpanId": f"{1:016x}"}
    await graph.do(
        "appendTraceEvents",
        {"session": {"externalId": "s"}, "events": [{**event, "data": {"inputTokens": 100, "costUsd": 0.5}}]},
    )
    await graph.do("startSpan", {"traceId": TRACE, "spanId": f"{1:016x}", "name": "agent"})
    await receive(graph.context, [told(4, 1, attributes=used), told(3, 2, attributes=used)])
    await graph.do("endSpan", {"traceId": TRACE, "spanId": f"{1:016x}", "attributes": {"inputTokens": 150}})
    ask = "query ($t: String!) { trace(traceId: $t) { root { spanId } usage { inputTokens outputTokens totalTokens costUsd } } }"
    found = await graph.data(ask, t=TRACE)
    usage = {"inputTokens": 200, "outputTokens": 20, "totalTokens": 220, "costUsd": 0.5}
    assert found["trace"] == {"root": {"spanId": f"{1:016x}"}, "usage": usage}
