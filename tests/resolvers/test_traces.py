"""Traces: events, the spans read off them, and the trees they form."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph

SESSION = {"session": {"externalId": "s"}}
EVENT = """id externalId type component time durationMs data user { externalId } agent { externalId } message { externalId }
    span { spanId } parent { externalId } namedMemories { externalId } session { externalId }"""
SPAN = """id traceId spanId parentSpanId kind name statusCode statusMessage startedAt endedAt durationMs attributes
    usage { inputTokens outputTokens totalTokens costUsd } session { externalId } parent { spanId } message { externalId } agent { externalId }"""


@pytest.fixture(autouse=True)
async def session(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})


async def append(graph: Graph, *events: Any, session: str = "s") -> Any:
    to = {"session": {"externalId": session}, "events": list(events)}
    return await graph.do("appendTraceEvents", to, "accepted endCursor")


async def of_session(graph: Graph, what: str, **variables: Any) -> Any:
    query = 'query ($f: TraceFilter, $s: SpanFilter) { session(by: {externalId: "s"}) { %s } }' % what
    if "$f" not in what:
        query = query.replace("$f: TraceFilter, ", "")
    if "$s" not in what:
        query = query.replace("$s: SpanFilter", "").replace(" ()", "")
    return (await graph.data(query.replace("TraceFilter, )", "TraceFilter)"), **variables))["session"]


async def log(graph: Graph, what: str = EVENT) -> Any:
    return (await of_session(graph, "trace(first: 1000) { nodes { %s } }" % what))["trace"]["nodes"]


async def spans(graph: Graph, what: str = SPAN, arguments: str = "first: 1000") -> Any:
    return (await of_session(graph, "spans(%s) { nodes { %s } }" % (arguments, what)))["spans"]["nodes"]


class TestEvents:
    async def test_only_the_type_is_required(self, graph: Graph) -> None:
        assert (await append(graph, {"type": "thought"}))["accepted"] == 1
        [event] = await log(graph)
        assert event["time"]
        assert {name: value for name, value in event.items() if name not in ("id", "time")} == {
            "externalId": None, "type": "thought", "component": "agent", "durationMs": None, "data": None, "user": None, "agent": None,
            "message": None, "span": None, "parent": None, "namedMemories": [], "session": {"externalId": "s"},
        }  # fmt: skip

    async def test_everything_that_is_given_is_kept(self, graph: Graph) -> None:
        await graph.do("addMessage", {**SESSION, "role": "user", "text": "x", "externalId": "m"})
        await graph.do(
            "createMemories", {"memories": [{"text": name, "scope": "GLOBAL", "externalId": name} for name in "ab"]}
        )
        given = {
            "type": "t",
            "component": "c",
            "time": "2020-01-01T00:00:00.000001Z",
            "durationMs": 1.5,
            "data": [{"x": 1.0}],
            "externalId": "e",
        }
        refs = {name: {"externalId": name[0]} for name in ("user", "agent", "message")}
        await append(
            graph, {**given, **refs, "memories": [{"externalId": "b"}, {"externalId": "a"}, {"externalId": "b"}]}
        )
        [event] = await log(graph)
        assert {name: event[name] for name in given} == given
        assert {name: event[name] for name in refs} == refs
        assert event["namedMemories"] == [{"externalId": "b"}, {"externalId": "a"}, {"externalId": "b"}]

    async def test_the_order_is_that_of_the_commits(self, graph: Graph) -> None:
        await append(graph, *[{"type": str(i), "time": f"20{99 - i}-01-01T00:00:00Z"} for i in range(5)])
        await append(graph, {"type": "5", "time": "1999-01-01T00:00:00Z"})
        assert [event["type"] for event in await log(graph, "type")] == list("012345")

    async def test_parents_before_and_in_the_batch(self, graph: Graph) -> None:
        await append(graph, {"type": "x", "externalId": "a"})
        first = (await log(graph))[0]
        await append(
            graph,
            {"type": "x", "externalId": "b", "parent": {"externalId": "a"}},
            {"type": "x", "externalId": "c", "parent": {"externalId": "b"}},
            {"type": "x", "parent": {"id": first["id"]}},
        )
        assert [event["parent"] for event in await log(graph)] == [
            None,
            {"externalId": "a"},
            {"externalId": "b"},
            {"externalId": "a"},
        ]

    @pytest.mark.parametrize(
        "ref",
        [
            {"externalId": "later"},
            {"externalId": "me"},
            {"id": "garbage"},
            {"id": "evt_" + "0" * 32},
            {"externalId": "there"},
        ],
    )
    async def test_parents_that_are_not_there(self, graph: Graph, ref: Any) -> None:
        await graph.do("createSession", {"externalId": "other"})
        there = {"session": {"externalId": "other"}, "events": [{"type": "x", "externalId": "there"}]}
        await graph.do("appendTraceEvents", there)
        events = [{"type": "x", "externalId": "me", "parent": ref}, {"type": "x", "externalId": "later"}]
        assert await graph.fails("appendTraceEvents", {**SESSION, "events": events}) == (
            "NOT_FOUND",
            ["events", "0", "parent"],
        )

    async def test_external_ids_are_unique_in_a_session(self, graph: Graph) -> None:
        event = {"type": "x", "externalId": "e"}
        assert await graph.fails("appendTraceEvents", {**SESSION, "events": [event, event]}) == (
            "DUPLICATE",
            ["events", "1", "externalId"],
        )
        await append(graph, event)
        assert await graph.fails("appendTraceEvents", {**SESSION, "events": [event]}) == (
            "DUPLICATE",
            ["events", "0", "externalId"],
        )
        await graph.do("createSession", {"externalId": "other"})
        await graph.do("appendTraceEvents", {"session": {"externalId": "other"}, "events": [event]})

    @pytest.mark.both_families
    async def test_a_thousand_or_none(self, graph: Graph) -> None:
        events: list[Any] = [{"type": str(i)} for i in range(1000)]
        wrong = [*events[:999], {"type": "x", "message": {"externalId": "nowhere"}}]
        assert await graph.fails("appendTraceEvents", {**SESSION, "events": wrong}) == (
            "NOT_FOUND",
            ["events", "999", "message"],
        )
        assert (await append(graph, *events))["accepted"] == 1000
        assert [event["type"] for event in await log(graph, "type")] == [str(i) for i in range(1000)]
        assert await graph.fails("appendTraceEvents", {**SESSION, "events": [*events, *events]}) == (
            "INVALID",
            ["events"],
        )

    async def test_cursors_are_the_same_text_everywhere(self, graph: Graph) -> None:
        empty = (await of_session(graph, "traceCursor"))["traceCursor"]
        assert (await append(graph))["endCursor"] == empty
        done = await append(graph, {"type": "a"}, {"type": "b"})
        data = await of_session(
            graph,
            (
                'traceCursor all: trace { edges { cursor node { type } } } b: trace(filter: {types: ["b"]}) { edges '
                '{ cursor } pageInfo { endCursor } } rest: trace(after: "%s") { nodes { type } }'
            )
            % empty,
        )
        assert data["traceCursor"] == done["endCursor"] == data["all"]["edges"][1]["cursor"]
        assert data["b"]["edges"] == [{"cursor": done["endCursor"]}]
        assert data["b"]["pageInfo"]["endCursor"] == done["endCursor"]
        assert [node["type"] for node in data["rest"]["nodes"]] == ["a", "b"], "the cursor of an empty log is a start"

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"type": ""}, ["type"]),
            ({"type": "x" * 1001}, ["type"]),
            ({"component": "x" * 1001}, ["component"]),
            ({"durationMs": -0.001}, ["durationMs"]),
            ({"data": ["x" * 262_144]}, ["data"]),
            ({"externalId": ""}, ["externalId"]),
            ({"traceId": "x" * 1001}, ["traceId"]),
            ({"name": "x" * 1001}, ["name"]),
            ({"memories": [{"externalId": "a"}] * 1001}, ["memories"]),
        ],
    )
    async def test_wrong_values(self, graph: Graph, change: Any, path: list[str]) -> None:
        events = [{"type": "fine"}, {"type": "x", **change}]
        assert await graph.fails("appendTraceEvents", {**SESSION, "events": events}) == (
            "INVALID",
            ["events", "1", *path],
        )

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"user": {"id": "usr_" + "0" * 32}}, ["user"]),
            ({"agent": {"id": "garbage"}}, ["agent"]),
            ({"message": {"id": "garbage"}}, ["message"]),
            ({"memories": [{"externalId": "nowhere"}]}, ["memories", "0"]),
        ],
    )
    async def test_what_is_not_there(self, graph: Graph, change: Any, path: list[str]) -> None:
        events = [{"type": "fine"}, {"type": "x", **change}]
        assert await graph.fails("appendTraceEvents", {**SESSION, "events": events}) == (
            "NOT_FOUND",
            ["events", "1", *path],
        )
        assert await graph.fails("appendTraceEvents", {"session": {"externalId": "nowhere"}, "events": []}) == (
            "NOT_FOUND",
            ["session"],
        )

    @pytest.mark.parametrize(
        ("filter", "found"),
        [
            ({}, "0123"),
            ({"types": ["llm", "tool"]}, "012"),
            ({"types": []}, ""),
            ({"components": ["planner"]}, "03"),
            ({"components": ["agent"]}, "12"),
            ({"time": {"from": "2020-01-02T00:00:00Z", "until": "2020-01-04T00:00:00Z"}}, "12"),
            ({"agent": {"externalId": "bot"}}, "1"),
            ({"agent": {"externalId": "nobody"}}, ""),
            ({"message": "garbage"}, ""),
            ({"minDurationMs": 10}, "23"),
            ({"minDurationMs": 10.5}, "3"),
            ({"types": ["llm"], "components": ["planner"]}, "0"),
        ],
    )
    async def test_filters(self, graph: Graph, filter: Any, found: str) -> None:
        await append(
            graph,
            {"type": "llm", "component": "planner", "time": "2020-01-01T00:00:00Z", "durationMs": 1, "data": 0},
            {"type": "llm", "agent": {"externalId": "bot"}, "time": "2020-01-02T00:00:00Z", "data": 1},
            {"type": "tool", "time": "2020-01-03T00:00:00Z", "durationMs": 10, "data": 2},
            {"type": "note", "component": "planner", "time": "2020-01-04T00:00:00Z", "durationMs": 11, "data": 3},
        )
        data = (await of_session(graph, "trace(filter: $f) { totalCount nodes { data } }", f=filter))["trace"]
        assert [node["data"] for node in data["nodes"]] == [int(i) for i in found]
        assert data["totalCount"] == len(found)

    async def test_by_message(self, graph: Graph) -> None:
        made = (await graph.do("addMessage", {**SESSION, "role": "user", "text": "x"}, "message { id }"))["message"]
        await append(graph, {"type": "a", "message": {"id": made["id"]}}, {"type": "b"})
        assert (await of_session(graph, "trace(filter: $f) { nodes { type } }", f={"message": made["id"]}))["trace"][
            "nodes"
        ] == [{"type": "a"}]


class TestSpansOfEvents:
    async def test_start_and_end(self, graph: Graph) -> None:
        at = ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00.250Z", "2020-01-01T00:00:01.500Z"]
        ids = {"traceId": "ABCDEF", "spanId": "0A"}
        await append(
            graph,
            {
                "type": "span_start",
                **ids,
                "time": at[0],
                "name": "work",
                "kind": "LLM",
                "data": {"gen_ai.usage.input_tokens": 3, "a.b": 1},
            },
        )
        [running] = await spans(graph)
        assert (running["traceId"], running["spanId"], running["name"], running["kind"]) == (
            "abcdef",
            "0a",
            "work",
            "LLM",
        )
        assert (running["statusCode"], running["endedAt"], running["durationMs"]) == ("UNSET", None, None)
        assert (running["startedAt"], running["session"]) == (at[0], {"externalId": "s"})
        await append(graph, {"type": "token", **ids, "time": at[1]})
        end = {"gen_ai.usage.output_tokens": 4, "a.c": [2], "statusCode": "ERROR", "statusMessage": "boom"}
        await append(graph, {"type": "span_end", "traceId": "abcdef", "spanId": "0a", "time": at[2], "data": end})
        [done] = await spans(graph, SPAN + " events { totalCount nodes { type span { spanId } } }")
        assert (done["statusCode"], done["statusMessage"], done["endedAt"], done["durationMs"]) == (
            "ERROR",
            "boom",
            "2020-01-01T00:00:01.500000Z",
            1500.0,
        )
        assert done["attributes"] == {
            "gen_ai.usage.input_tokens": 3,
            "a.b": 1,
            "gen_ai.usage.output_tokens": 4,
            "a.c": [2],
        }
        assert done["usage"] == {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7, "costUsd": None}
        assert done["id"] == running["id"]
        assert done["events"] == {
            "totalCount": 3,
            "nodes": [{"type": type, "span": {"spanId": "0a"}} for type in ("span_start", "token", "span_end")],
        }

    async def test_an_end_without_a_start(self, graph: Graph) -> None:
        end = {
            "type": "span_end",
            "spanId": "a",
            "name": "late",
            "time": "2020-01-01T00:00:01Z",
            "durationMs": 250,
            "data": {"statusCode": "OK"},
        }
        await append(graph, end)
        [done] = await spans(graph)
        assert (done["startedAt"], done["durationMs"], done["statusCode"], done["name"]) == (
            "2020-01-01T00:00:00.750000Z",
            250.0,
            "OK",
            "late",
        )

    @pytest.mark.parametrize("duration", [1e17, 1e308])
    async def test_an_end_whose_start_cannot_be(self, graph: Graph, duration: float) -> None:
        wrong = {**SESSION, "events": [{"type": "span_end", "spanId": "a", "durationMs": duration}]}
        assert await graph.fails("appendTraceEvents", wrong) == ("INVALID", ["events", "0", "durationMs"])

    async def test_spans_that_name_no_trace_are_of_the_sessions_own(self, graph: Graph) -> None:
        await append(graph, *[{"type": "span_start", "spanId": name} for name in "ab"])
        found = await spans(graph, "traceId")
        assert found[0] == found[1]
        traces = await of_session(graph, "id traces { nodes { traceId session { externalId } } }")
        assert traces["traces"]["nodes"] == [{**found[0], "session": {"externalId": "s"}}]
        assert traces["id"].endswith(found[0]["traceId"])

    @pytest.mark.parametrize("data", [None, 5, "text", [1], True])
    async def test_data_that_is_no_object_is_no_attribute(self, graph: Graph, data: Any) -> None:
        await append(graph, *[{"type": type, "spanId": "a", "data": data} for type in ("span_start", "span_end")])
        [span] = await spans(graph)
        assert span["attributes"] == {}
        assert span["usage"] is None
        assert [event["data"] for event in await log(graph)] == [data, data]

    @pytest.mark.parametrize("code", ["ok", "FINE", 5, None, ["ERROR"], {"a": 1}])
    async def test_a_status_that_is_none(self, graph: Graph, code: Any) -> None:
        await append(graph, {"type": "span_end", "spanId": "a", "data": {"statusCode": code, "statusMessage": code}})
        [span] = await spans(graph)
        assert span["statusCode"] == "UNSET"

    async def test_many_in_one_batch(self, graph: Graph) -> None:
        events = [
            {"type": type, "spanId": f"s{i}", "parentSpanId": f"s{i - 1}" if i else None}
            for type in ("span_start", "span_end")
            for i in range(300)
        ]
        await append(graph, *events)
        found = await spans(graph, "spanId endedAt parent { spanId }")
        assert len(found) == 300
        assert all(span["endedAt"] for span in found)
        assert {span["spanId"]: (span["parent"] or {}).get("spanId") for span in found} == {
            f"s{i}": f"s{i - 1}" if i else None for i in range(300)
        }


class TestStartingAndEnding:
    async def test_a_span_of_a_session_stands_in_its_log(self, graph: Graph) -> None:
        given = {
            "traceId": "AA",
            "spanId": "BB",
            "parentSpanId": "CC",
            "name": "work",
            "kind": "TOOL",
            "startedAt": "2020-01-01T00:00:00Z",
            "attributes": {"a": 1},
        }
        started = (
            await graph.do(
                "startSpan",
                {**SESSION, **given, "component": "c", "agent": {"externalId": "bot"}},
                f"span {{ {SPAN} }}",
            )
        )["span"]
        assert (started["traceId"], started["spanId"], started["parentSpanId"]) == ("aa", "bb", "cc")
        assert (started["name"], started["kind"], started["attributes"], started["agent"]) == (
            "work",
            "TOOL",
            {"a": 1},
            {"externalId": "bot"},
        )
        end = {
            "span": started["id"],
            "statusCode": "ERROR",
            "statusMessage": "no",
            "endedAt": "2020-01-01T00:00:02Z",
            "attributes": {"b": 2},
        }
        ended = (await graph.do("endSpan", end, f"span {{ {SPAN} }}"))["span"]
        assert ended == {
            **started,
            "statusCode": "ERROR",
            "statusMessage": "no",
            "endedAt": "2020-01-01T00:00:02Z",
            "durationMs": 2000.0,
            "attributes": {"a": 1, "b": 2},
        }
        assert [(event["type"], event["span"]) for event in await log(graph)] == [
            ("span_start", {"spanId": "bb"}),
            ("span_end", {"spanId": "bb"}),
        ]
        assert (await log(graph))[0]["component"] == "c"

    async def test_ids_are_made(self, graph: Graph) -> None:
        made = [(await graph.do("startSpan", {"name": "x"}, f"span {{ {SPAN} }}"))["span"] for _ in range(2)]
        assert made[0]["traceId"] != made[1]["traceId"]
        assert made[0]["spanId"] != made[1]["spanId"]
        assert len(made[0]["traceId"]) == 32
        assert len(made[0]["spanId"]) == 16
        assert made[0]["session"] is None
        for span in made:
            data = await graph.data(
                "query ($t: String!) { trace(traceId: $t) { root { id } spans { totalCount } } }",
                t=span["traceId"].upper(),
            )
            assert data["trace"] == {"root": {"id": span["id"]}, "spans": {"totalCount": 1}}

    async def test_ending_by_trace_and_span_id(self, graph: Graph) -> None:
        await graph.do("startSpan", {"name": "x", "traceId": "AA", "spanId": "BB"})
        ended = (await graph.do("endSpan", {"traceId": "Aa", "spanId": "Bb"}, "span { statusCode endedAt }"))["span"]
        assert ended["statusCode"] == "OK"
        assert ended["endedAt"]

    async def test_a_span_starts_and_ends_once(self, graph: Graph) -> None:
        made = (await graph.do("startSpan", {"name": "x", "traceId": "aa", "spanId": "bb"}, "span { id }"))["span"]
        assert await graph.fails("startSpan", {"name": "y", "traceId": "AA", "spanId": "BB"}) == (
            "DUPLICATE",
            ["spanId"],
        )
        await graph.do("endSpan", {"span": made["id"]})
        assert await graph.fails("endSpan", {"span": made["id"]}) == ("CONFLICT", ["span"])

    @pytest.mark.parametrize(
        ("mutation", "input", "code", "path"),
        [
            ("startSpan", {"name": ""}, "INVALID", ["name"]),
            ("startSpan", {"name": "x", "traceId": ""}, "INVALID", ["traceId"]),
            ("startSpan", {"name": "x", "attributes": []}, "INVALID", ["attributes"]),
            ("startSpan", {"name": "x", "session": {"externalId": "nowhere"}}, "NOT_FOUND", ["session"]),
            ("startSpan", {"name": "x", "message": {"externalId": "nowhere"}}, "NOT_FOUND", ["message"]),
            ("startSpan", {"name": "x", "agent": {"id": "garbage"}}, "NOT_FOUND", ["agent"]),
            ("endSpan", {}, "INVALID", ["span"]),
            ("endSpan", {"spanId": "x"}, "INVALID", ["span"]),
            ("endSpan", {"span": "garbage"}, "NOT_FOUND", ["span"]),
            ("endSpan", {"traceId": "x", "spanId": "y"}, "NOT_FOUND", ["spanId"]),
            ("endSpan", {"span": "x", "statusMessage": "x" * 1001}, "INVALID", ["statusMessage"]),
        ],
    )
    async def test_refusals(self, graph: Graph, mutation: str, input: Any, code: str, path: list[str]) -> None:
        assert await graph.fails(mutation, input) == (code, path)

    async def test_attributes_that_become_too_many_are_told_by_the_input_that_brought_them(self, graph: Graph) -> None:
        half, grows = {"a": "x" * 200_000}, {"a": [1e15] * 20_000}  # a number is kept as 1000000000000000.0
        assert await graph.fails("startSpan", {"name": "x", "attributes": grows}) == ("INVALID", ["attributes"])
        made = (
            await graph.do("startSpan", {"name": "x", "traceId": "t", "spanId": "s", "attributes": half}, "span { id }")
        )["span"]
        other = {"b": "x" * 200_000}
        assert await graph.fails("endSpan", {"span": made["id"], "attributes": other}) == ("INVALID", ["attributes"])
        assert await graph.fails("endSpan", {"span": made["id"], "attributes": grows}) == ("INVALID", ["attributes"])
        for ending in ("span_end", "span_start"):
            events = [{"type": "note"}, {"type": ending, "traceId": "t", "spanId": "s", "data": other}]
            wrong = await graph.fails("appendTraceEvents", {**SESSION, "events": events})
            assert wrong == ("INVALID", ["events", "1", "data"])


class TestTrees:
    async def grow(self, graph: Graph) -> None:
        def span(name: str, parent: str | None, at: int, **more: Any) -> Any:
            return {
                "type": "span_start",
                "traceId": "t",
                "spanId": name,
                "parentSpanId": parent,
                "name": name,
                "time": f"2020-01-01T00:00:0{at}Z",
                **more,
            }

        await append(
            graph,
            span("root", None, 0, kind="AGENT"),
            span("b", "root", 2),
            span("a", "root", 1),
            span("a1", "a", 1),
            span("lost", "nowhere", 3),
        )

    async def test_children_and_parents(self, graph: Graph) -> None:
        await self.grow(graph)
        data = await graph.data(
            '{ trace(traceId: "T") { traceId session { externalId } root { name parent { name } children { '
            "totalCount nodes { name parent { name } children { nodes { name } } } } } spans { totalCount nodes "
            "{ name } } } }"
        )
        assert data["trace"]["root"] == {
            "name": "root",
            "parent": None,
            "children": {
                "totalCount": 2,
                "nodes": [
                    {"name": "a", "parent": {"name": "root"}, "children": {"nodes": [{"name": "a1"}]}},
                    {"name": "b", "parent": {"name": "root"}, "children": {"nodes": []}},
                ],
            },
        }
        assert data["trace"]["spans"]["totalCount"] == 5
        assert [node["name"] for node in data["trace"]["spans"]["nodes"]][-2:] == ["b", "lost"], (
            "in order of their start"
        )
        assert data["trace"]["session"] == {"externalId": "s"}
        lost = next(span for span in await spans(graph, "name parentSpanId parent { name }") if span["name"] == "lost")
        assert lost == {"name": "lost", "parentSpanId": "nowhere", "parent": None}

    @pytest.mark.both_families
    async def test_a_trace_sums_up_its_spans(self, graph: Graph) -> None:
        await self.grow(graph)
        what = "startedAt durationMs statusCode usage { inputTokens outputTokens totalTokens costUsd }"
        before = (await graph.data('{ trace(traceId: "t") { %s } }' % what))["trace"]
        assert before == {
            "startedAt": "2020-01-01T00:00:00Z",
            "durationMs": None,
            "statusCode": "UNSET",
            "usage": dict.fromkeys(["inputTokens", "outputTokens", "totalTokens", "costUsd"]),
        }
        for name, data in (
            ("root", {"inputTokens": 1}),
            ("a", {"inputTokens": 2, "outputTokens": 3, "costUsd": 0.5}),
            ("b", {"statusCode": "OK"}),
            ("a1", {"costUsd": 0.25}),
            ("lost", {"totalTokens": 10}),
        ):
            await graph.do(
                "endSpan",
                {
                    "traceId": "t",
                    "spanId": name,
                    "attributes": {k: v for k, v in data.items() if k != "statusCode"},
                    "endedAt": "2020-01-01T00:00:09.5Z",
                },
            )
        after = (await of_session(graph, "traces { nodes { %s } }" % what))["traces"]["nodes"]
        assert after == [
            {
                "startedAt": "2020-01-01T00:00:00Z",
                "durationMs": 9500.0,
                "statusCode": "OK",
                "usage": {"inputTokens": 2, "outputTokens": 3, "totalTokens": 15, "costUsd": 0.5},
            }
        ]

    async def test_the_worst_status_counts(self, graph: Graph) -> None:
        await self.grow(graph)
        await graph.do("endSpan", {"traceId": "t", "spanId": "a", "statusCode": "ERROR"})
        await graph.do("endSpan", {"traceId": "t", "spanId": "b", "statusCode": "OK"})
        assert (await graph.data('{ trace(traceId: "t") { statusCode durationMs } }'))["trace"] == {
            "statusCode": "ERROR",
            "durationMs": None,
        }

    async def test_no_trace(self, graph: Graph) -> None:
        for unknown in ("nowhere", "", "x" * 5000):
            assert (await graph.data("query ($t: String!) { trace(traceId: $t) { id } }", t=unknown))["trace"] is None

    @pytest.mark.parametrize(
        ("attributes", "usage"),
        [
            ({"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 2}, (1, 2, 3, None)),
            (
                {"llm.token_count.prompt": 1, "llm.token_count.completion": 2, "llm.token_count.total": 9},
                (1, 2, 9, None),
            ),
            ({"outputTokens": 2, "costUsd": 0.1}, (None, 2, 2, 0.1)),
            ({"inputTokens": "three", "outputTokens": True}, None),
            ({"other": 1}, None),
        ],
    )
    async def test_usage_is_read_off_attributes(self, graph: Graph, attributes: Any, usage: Any) -> None:
        made = (await graph.do("startSpan", {"name": "x", "attributes": attributes}, f"span {{ {SPAN} }}"))["span"]
        names = ("inputTokens", "outputTokens", "totalTokens", "costUsd")
        assert made["usage"] == (None if usage is None else dict(zip(names, usage, strict=True)))
        assert made["attributes"] == attributes

    @pytest.mark.parametrize(
        "count",
        [
            -5,
            2**31,
            1e300,
        ],
    )
    async def test_counts_that_cannot_be_are_no_bug_of_ours(self, graph: Graph, count: float) -> None:
        await graph.do("startSpan", {"name": "x", "traceId": "t", "attributes": {"inputTokens": count}})
        await graph.data(
            '{ trace(traceId: "t") { usage { inputTokens totalTokens } spans { nodes { usage { inputTokens '
            "totalTokens } } } } }"
        )


class TestAcrossSessions:
    @pytest.mark.parametrize(
        ("filter", "found"),
        [
            ({}, "3210"),
            ({"kinds": ["LLM"]}, "31"),
            ({"kinds": []}, ""),
            ({"statusCodes": ["ERROR"]}, "2"),
            ({"names": ["work 0", "work 1"]}, "10"),
            ({"traceId": "T1"}, "1"),
            ({"session": {"externalId": "s"}}, "10"),
            ({"session": {"externalId": "nowhere"}}, ""),
            ({"agent": {"externalId": "bot"}}, "3"),
            ({"startedAt": {"from": "2020-01-02T00:00:00Z", "until": "2020-01-04T00:00:00Z"}}, "21"),
            ({"minDurationMs": 1000}, "2"),
            ({"minDurationMs": 1000.1}, ""),
            ({"running": True}, "310"),
            ({"running": False}, "2"),
            ({"minDurationMs": 1e18}, ""),
        ],
    )
    async def test_filters(self, graph: Graph, filter: Any, found: str) -> None:
        for i in range(4):
            start = {
                "name": f"work {i}",
                "traceId": f"t{i}",
                "spanId": "a",
                "kind": "LLM" if i % 2 else "TOOL",
                "startedAt": f"2020-01-0{i + 1}T00:00:00Z",
            }
            await graph.do(
                "startSpan",
                {**start, **(SESSION if i < 2 else {}), **({"agent": {"externalId": "bot"}} if i == 3 else {})},
            )
        await graph.do(
            "endSpan", {"traceId": "t2", "spanId": "a", "statusCode": "ERROR", "endedAt": "2020-01-03T00:00:01Z"}
        )
        data = (
            await graph.data("query ($s: SpanFilter) { spans(filter: $s) { totalCount nodes { name } } }", s=filter)
        )["spans"]
        assert [node["name"] for node in data["nodes"]] == [f"work {i}" for i in found]
        assert data["totalCount"] == len(found)
        mine = (await of_session(graph, "spans(filter: $s) { nodes { name } }", s=filter))["spans"]["nodes"]
        assert [node["name"] for node in mine] == [f"work {i}" for i in found if i in "01"]

    async def test_orders(self, graph: Graph) -> None:
        for i, seconds in enumerate((3, 1, None, 2)):
            await graph.do(
                "startSpan",
                {"name": str(i), "traceId": "t", "spanId": str(i), "startedAt": f"2020-01-0{i + 1}T00:00:00Z"},
            )
            if seconds:
                await graph.do(
                    "endSpan", {"traceId": "t", "spanId": str(i), "endedAt": f"2020-01-0{i + 1}T00:00:0{seconds}Z"}
                )
        query = "query ($o: SpanOrder) { spans(orderBy: $o) { nodes { name } } }"
        for order, found in (
            ({}, "3210"),
            ({"direction": "ASC"}, "0123"),
            ({"field": "DURATION"}, "0312"),
            ({"field": "DURATION", "direction": "ASC"}, "2130"),
        ):
            assert "".join(node["name"] for node in (await graph.data(query, o=order))["spans"]["nodes"]) == found


async def test_an_event_has_one_cursor_in_every_list(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "one"})
    await graph.do("addMessage", {"session": {"externalId": "one"}, "role": "user", "text": "x", "externalId": "m"})
    span = (
        await graph.do(
            "startSpan", {"session": {"externalId": "one"}, "name": "x", "message": {"externalId": "m"}}, "span { id }"
        )
    )["span"]
    found = await graph.data(
        """query ($span: ID!) {
          session(by: {externalId: "one"}) { trace { edges { cursor } } messages { nodes { trace { edges { cursor } } } } }
          node(id: $span) { ... on Span { events { edges { cursor } } } }
        }""",
        span=span["id"],
    )
    session = found["session"]
    cursors = [edge["cursor"] for edge in session["trace"]["edges"]]
    assert len(cursors) == 1
    assert [edge["cursor"] for edge in session["messages"]["nodes"][0]["trace"]["edges"]] == cursors
    assert [edge["cursor"] for edge in found["node"]["events"]["edges"]] == cursors


async def test_a_span_does_not_end_before_its_start(graph: Graph) -> None:
    span = (await graph.do("startSpan", {"name": "x", "startedAt": "2026-01-02T00:00:00Z"}, "span { id }"))["span"]
    ending = {"span": span["id"], "endedAt": "2026-01-01T00:00:00Z"}
    assert await graph.fails("endSpan", ending) == ("INVALID", ["endedAt"])


LLM = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "fox-2",
    "gen_ai.provider.name": "acme",
    "gen_ai.usage.input_tokens": 30,
    "gen_ai.usage.output_tokens": 12,
    "gen_ai.usage.cost": 0.25,
    "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": 'Is "Oslo" sunny?'}]}],
    "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "It rains in Oslo."}]}],
    "app.tier": {"gold": [1, 2.0]},
    "app.long": "x" * 5_000,
}
RUN = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "weather",
    "gen_ai.tool.call.arguments": {"city": "Bergen"},
    "gen_ai.tool.call.result": ["rain", {"mm": 12.5}],
}


class TestTracesOfAllSessions:
    """Three traces: `a` has ended, `b` has failed and costs most, of `c` a part has come and its root has not."""

    async def grow(self, graph: Graph) -> None:
        def events(trace: str, hour: int, *spans: tuple[str, str | None, float, Any]) -> list[Any]:
            at = f"2020-01-01T{hour:02}:00:0"
            return [
                {"type": type, "traceId": trace, "spanId": id, "name": id, "time": f"{at}{second}Z", "data": data}
                | ({"parentSpanId": parent} if parent else {})
                | ({"kind": "TOOL" if data is RUN else "LLM"} if "gen_ai.operation.name" in data else {})
                for id, parent, end, data in spans
                for type, second in (("span_start", 0), ("span_end", end))
                if type == "span_start" or end
            ]

        await append(graph, *events("a", 1, ("plan", None, 5, {}), ("ask", "plan", 2, LLM), ("look", "plan", 3, RUN)))
        await graph.do("createSession", {"externalId": "s2"})
        failed = {**LLM, "gen_ai.usage.cost": 2, "gen_ai.request.model": "hare-1", "statusCode": "ERROR"}
        await append(
            graph, *events("b", 2, ("call", None, 1, {**failed, "statusMessage": "Out of Coffee"})), session="s2"
        )
        await append(
            graph, *events("c", 3, ("part", "far", 2, {"user.id": "ann"}), ("runs", "far", 0, {})), session="s2"
        )

    @pytest.mark.both_families
    async def test_spans_and_traces_are_found_by_what_they_are_like(self, graph: Graph) -> None:
        await self.grow(graph)
        ask = """query ($s: SpanFilter, $t: TraceListFilter) {
          spans(filter: $s) { totalCount nodes { name } } traces(filter: $t) { totalCount nodes { traceId } } }"""
        for filter, names, traces in (
            ({"text": "OSLO"}, {"ask", "call"}, "ab"),
            ({"text": '"oslo"'}, {"ask", "call"}, "ab"),
            ({"text": "role"}, set(), ""),
            ({"text": "bergen"}, {"look"}, "a"),
            ({"text": "12.5"}, {"look"}, "a"),
            ({"text": "PLAN"}, {"plan"}, "a"),
            ({"text": "coffee"}, {"call"}, "b"),
            ({"models": ["fox-2"], "providers": ["acme", "x"]}, {"ask"}, "a"),
            ({"providers": ["x"]}, set(), ""),
            ({"attributes": {"app.tier": {"gold": [1.0, 2]}}}, {"ask", "call"}, "ab"),
            ({"attributes": {"app.long": "x" * 5_000}}, {"ask", "call"}, "ab"),
            ({"attributes": {"app.long": "x" * 4_999}}, set(), ""),
            ({"totalTokens": {"min": 42, "max": 42}}, {"ask", "call"}, "ab"),
            ({"costUsd": {"min": 1}}, {"call"}, "b"),
            ({"durationMs": {"min": 2000, "max": 3000}}, {"ask", "look", "part"}, "ac"),
            ({"statusCodes": ["ERROR"]}, {"call"}, "b"),
            ({"running": True}, {"runs"}, "c"),
            ({"kinds": ["LLM"], "not": {"text": "coffee"}}, {"ask"}, "a"),
        ):
            found = await graph.data(ask, s=filter, t={"span": filter})
            assert {one["name"] for one in found["spans"]["nodes"]} == names, filter
            assert "".join(sorted(one["traceId"] for one in found["traces"]["nodes"])) == traces, filter
            assert (found["spans"]["totalCount"], found["traces"]["totalCount"]) == (len(names), len(traces))

    @pytest.mark.both_families
    async def test_traces_are_found_by_their_sums_and_sorted_by_them(self, graph: Graph) -> None:
        await self.grow(graph)
        ask = "query ($f: TraceListFilter, $o: TraceOrder) { traces(filter: $f, orderBy: $o) { nodes { traceId } } }"

        async def found(filter: Any = None, order: Any = None) -> str:
            return "".join(one["traceId"] for one in (await graph.data(ask, f=filter, o=order))["traces"]["nodes"])

        assert await found() == "cba"
        by_session = {"or": [{"session": {"externalId": "s"}}, {"costUsd": {"min": 2}}]}
        for filter, traces in (
            ({"session": {"externalId": "s2"}}, "cb"),
            (by_session, "ba"),
            ({"not": by_session}, "c"),
            ({"statusCodes": ["ERROR"]}, "b"),
            ({"durationMs": {"min": 1000, "max": 4999}}, "b"),
            ({"durationMs": {}}, "cba"),
            ({"totalTokens": {"min": 1}}, "ba"),
            ({"running": True}, "c"),
            ({"startedAt": {"from": "2020-01-01T02:00:00Z", "until": "2020-01-01T03:00:00Z"}}, "b"),
        ):
            assert await found(filter) == traces, filter
        for field, rising in (("STARTED_AT", "abc"), ("DURATION", "cba"), ("COST", "cab"), ("ERRORS", "acb")):
            assert await found(None, {"field": field, "direction": "ASC"}) == rising
            assert await found(None, {"field": field}) == rising[::-1]
        assert (await found(None, {"field": "TOKENS"}))[-1] == "c"

    @pytest.mark.both_families
    async def test_a_trace_has_no_root_and_does_not_end_before_that_has_come(self, graph: Graph) -> None:
        ask = '{ trace(traceId: "t") { root { spanId } durationMs runningSpans } }'
        start = {"type": "span_start", "traceId": "t", "time": "2020-01-01T00:00:01Z"}
        end = {"type": "span_end", "traceId": "t", "time": "2020-01-01T00:00:03Z"}
        for event, trace in (
            ({**start, "spanId": "b", "parentSpanId": "a"}, (None, None, 1)),
            ({**start, "spanId": "c", "parentSpanId": "b"}, (None, None, 2)),
            ({**end, "spanId": "c"}, (None, None, 1)),
            ({**end, "spanId": "b"}, (None, None, 0)),
            ({**start, "spanId": "a", "time": "2020-01-01T00:00:00Z"}, ({"spanId": "a"}, None, 1)),
            ({**end, "spanId": "a"}, ({"spanId": "a"}, 3000, 0)),
        ):
            await append(graph, event)
            found = (await graph.data(ask))["trace"]
            assert (found["root"], found["durationMs"], found["runningSpans"]) == trace, event
