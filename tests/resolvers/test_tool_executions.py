"""Tool executions: runs of tools, told by calls, by spans and by both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from domain.tool_execution import ToolLimits
from formats.otlp import json as otlp_json
from resolvers.expiry import sweep
from resolvers.telemetry import receive
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

S = {"session": {"externalId": "s"}}
RUN = """id callId tool arguments result error status startedAt endedAt durationMs timesOutAt
    session { externalId } message { externalId } span { spanId } agent { externalId }"""


@pytest.fixture
async def session(graph: Graph) -> str:
    return (await graph.do("createSession", {"externalId": "s"}, "session { id }"))["session"]["id"]


async def start(graph: Graph, tool: str = "search", **more: Any) -> Any:
    given = {**S, "tool": tool, **more}
    return (await graph.do("startToolExecution", given, f"toolExecution {{ {RUN} }}"))["toolExecution"]


async def finish(graph: Graph, execution: Any, **more: Any) -> Any:
    given = {"toolExecution": execution["id"], **more}
    return (await graph.do("finishToolExecution", given, f"toolExecution {{ {RUN} }}"))["toolExecution"]


async def call(graph: Graph, *call_ids: str, name: str = "m", tool: str = "search") -> None:
    content = [{"toolCall": {"callId": id, "tool": tool, "arguments": {"q": id}}} for id in call_ids]
    await graph.do("addMessage", {**S, "role": "assistant", "content": content, "externalId": name})


async def span(graph: Graph, span_id: str = "0a", call_id: str | None = "c1", end: Any = None, **more: Any) -> None:
    told = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.arguments": '{"q": 1}',
    }
    if call_id:
        told["gen_ai.tool.call.id"] = call_id
    given = {**S, "traceId": "0f", "spanId": span_id, "name": "execute_tool search", "kind": "TOOL", "attributes": told}
    await graph.do("startSpan", {**given, **more})
    if end is not None:
        await graph.do("endSpan", {"traceId": "0f", "spanId": span_id, **end})


async def listed(graph: Graph, filter: Any = None, order: Any = None, of: str = RUN) -> list[Any]:
    query = f"""query ($f: ToolExecutionFilter, $o: ToolExecutionOrder) {{
        toolExecutions(filter: $f, orderBy: $o) {{ totalCount nodes {{ {of} }} }}
        session(by: {{externalId: "s"}}) {{ toolExecutions(filter: $f, orderBy: $o) {{ totalCount nodes {{ {of} }} }} }} }}"""
    found = await graph.data(query, f=filter, o=order)
    assert found["session"]["toolExecutions"] == found["toolExecutions"]
    assert found["toolExecutions"]["totalCount"] == len(found["toolExecutions"]["nodes"])
    return found["toolExecutions"]["nodes"]


async def events(graph: Graph) -> list[tuple[str, Any]]:
    query = """{ session(by: {externalId: "s"}) { trace(filter: {components: ["tool"]}) { nodes { type data } } } }"""
    found = (await graph.data(query))["session"]["trace"]["nodes"]
    return [(one["type"], one["data"]["status"]) for one in found]


class TestTelling:
    async def test_from_its_start_to_its_end(self, graph: Graph, session: str) -> None:
        await graph.do("upsertAgent", {"externalId": "bot"})
        made = await start(graph, callId="c1", arguments={"q": "tea"}, agent={"externalId": "bot"})
        assert (made["status"], made["tool"], made["callId"]) == ("PENDING", "search", "c1")
        assert (made["arguments"], made["agent"], made["durationMs"]) == ({"q": "tea"}, {"externalId": "bot"}, None)
        graph.clock.forward(seconds=2)
        done = await finish(graph, made, result={"hits": 3})
        assert (done["status"], done["result"], done["timesOutAt"]) == ("OK", {"hits": 3}, None)
        assert done["durationMs"] == pytest.approx(2000, abs=20)
        assert await listed(graph) == [done]
        assert (await graph.data("query ($id: ID!) { node(id: $id) { id } }", id=made["id"]))["node"] == {
            "id": made["id"]
        }
        assert await events(graph) == [("tool_start", "PENDING"), ("tool_end", "OK")]

    @pytest.mark.parametrize(
        ("said", "status"),
        [
            ({"error": "no net"}, "ERROR"),
            ({"status": "ERROR"}, "ERROR"),
            ({"status": "TIMEOUT"}, "TIMEOUT"),
            ({}, "OK"),
        ],
    )
    async def test_how_it_ends(self, graph: Graph, session: str, said: Any, status: str) -> None:
        await start(graph, callId="c1")
        done = await graph.do("finishToolExecution", {**S, "callId": "c1", **said}, f"toolExecution {{ {RUN} }}")
        assert (done["toolExecution"]["status"], done["toolExecution"]["error"]) == (status, said.get("error"))
        again = await graph.fails("finishToolExecution", {**S, "callId": "c1"})
        assert again == ("CONFLICT", ["toolExecution"])

    async def test_an_idempotency_key_counts_once(self, graph: Graph, session: str) -> None:
        made = [await start(graph, callId="c1", idempotencyKey="k") for _ in range(2)]
        done = [await finish(graph, made[0], result=1, idempotencyKey="e") for _ in range(2)]
        assert (made[0], done[0]) == (made[1], done[1])
        assert len(await listed(graph)) == 1

    async def test_of_the_past(self, graph: Graph, session: str) -> None:
        then = graph.clock.now - timedelta(days=2)
        made = await start(graph, startedAt=then.isoformat())
        done = await finish(graph, made, endedAt=(then + timedelta(minutes=5)).isoformat())
        assert (done["status"], done["durationMs"]) == ("OK", 300_000)

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("given", "code", "path"),
        [
            ({"session": {"externalId": "none"}}, "NOT_FOUND", ["session"]),
            ({"message": {"externalId": "none"}}, "NOT_FOUND", ["message"]),
            ({"message": {"externalId": "elsewhere"}}, "NOT_FOUND", ["message"]),
            ({"span": "spn_" + "0" * 32}, "NOT_FOUND", ["span"]),
            ({"span": None}, "INVALID", ["span"]),
            ({"tool": ""}, "INVALID", ["tool"]),
            ({"callId": ""}, "INVALID", ["callId"]),
            ({"callId": "runs"}, "DUPLICATE", ["callId"]),
        ],
    )
    async def test_what_cannot_start(self, graph: Graph, session: str, given: Any, code: str, path: Any) -> None:
        await start(graph, callId="runs")
        await graph.do("createSession", {"externalId": "t"})
        await graph.do(
            "addMessage", {"session": {"externalId": "t"}, "role": "user", "text": "x", "externalId": "elsewhere"}
        )
        assert await graph.fails("startToolExecution", {**S, "tool": "search", **given}) == (code, path)
        assert len(await listed(graph)) == 1

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("given", "code", "path"),
        [
            ({}, "INVALID", ["toolExecution"]),
            ({"callId": "c1"}, "INVALID", ["toolExecution"]),
            ({"toolExecution": "tex_" + "0" * 32}, "NOT_FOUND", ["toolExecution"]),
            ({**S, "callId": "none"}, "NOT_FOUND", ["callId"]),
            ({"session": {"externalId": "none"}, "callId": "c1"}, "NOT_FOUND", ["session"]),
            ({**S, "callId": "c1", "status": "PENDING"}, "INVALID", ["status"]),
            ({**S, "callId": "c1", "endedAt": "2001-01-01T00:00:00Z"}, "INVALID", ["endedAt"]),
            ({**S, "callId": "c1", "error": "x" * 100_001}, "INVALID", ["error"]),
        ],
    )
    async def test_what_cannot_end(self, graph: Graph, session: str, given: Any, code: str, path: Any) -> None:
        made = await start(graph, callId="c1")
        assert await graph.fails("finishToolExecution", given) == (code, path)
        assert await listed(graph) == [made]


class TestTime:
    async def test_what_does_not_end_in_time(self, graph: Graph, session: str) -> None:
        made = await start(graph, callId="c1")
        await start(graph, tool="other")
        graph.clock.forward(seconds=30)
        await start(graph, tool="fresh")

        async def seen(filter: Any) -> list[str]:
            return [one["tool"] for one in await listed(graph, filter)]

        for swept in (False, True):
            if swept:
                await sweep(graph.context)
            assert [one["status"] for one in await listed(graph)] == ["PENDING", "TIMEOUT", "TIMEOUT"]
            assert await seen({"statuses": ["PENDING"]}) == ["fresh"]
            assert await seen({"statuses": ["TIMEOUT"]}) == ["other", "search"]
            assert await seen({"not": {"statuses": ["TIMEOUT"]}}) == ["fresh"]
            assert await seen({"or": [{"statuses": ["PENDING"]}, {"tools": ["other"]}]}) == ["fresh", "other"]
            assert await seen({"statuses": ["TIMEOUT", "PENDING", "OK"]}) == ["fresh", "other", "search"]
            assert await seen({"statuses": []}) == []
            with graph.untouched():
                refused = await graph.fails("finishToolExecution", {"toolExecution": made["id"], "result": 1})
            assert refused == ("CONFLICT", ["toolExecution"])
        assert [one for one in await events(graph) if one[0] == "tool_timeout"] == [("tool_timeout", "TIMEOUT")] * 2
        await sweep(graph.context)
        assert len(await events(graph)) == 5
        assert (await start(graph, callId="c1"))["id"] != made["id"]

    async def test_the_sweeper_is_told_where(self, graph: Graph, session: str) -> None:
        await start(graph)
        assert await graph.context.engine.due() == []
        graph.clock.forward(seconds=30)
        assert await graph.context.engine.due() == ["default"]
        await sweep(graph.context)
        assert await graph.context.engine.due() == []

    async def test_no_more_than_may_run_at_once(self, graph: Graph, session: str) -> None:
        graph.context.tools = ToolLimits(seconds=10, in_session=3, in_workspace=5)
        await graph.do("createSession", {"externalId": "t"})
        running = [await start(graph) for _ in range(3)]
        with graph.untouched():
            assert await graph.fails("startToolExecution", {**S, "tool": "x"}) == ("LIMIT", ["session"])
        other = {"session": {"externalId": "t"}, "tool": "x"}
        for _ in range(2):
            await graph.do("startToolExecution", other)
        assert await graph.fails("startToolExecution", other) == ("LIMIT", ["session"])
        await finish(graph, running[0])
        await start(graph)
        graph.clock.forward(seconds=10)
        for _ in range(3):
            await start(graph)


class TestJoining:
    SEEN = """{ session(by: {externalId: "s"}) {
        messages { nodes { externalId toolCalls { callId execution { id status } } } }
        spans(orderBy: {field: STARTED_AT, direction: ASC}) { nodes { spanId toolExecution { id status } } } } }"""

    async def seen(self, graph: Graph) -> dict[str, Any]:
        found = (await graph.data(self.SEEN))["session"]
        calls = {m["externalId"]: one["execution"] for m in found["messages"]["nodes"] for one in m["toolCalls"]}
        return {**calls, **{one["spanId"]: one["toolExecution"] for one in found["spans"]["nodes"]}}

    @pytest.mark.parametrize("order", ["mrs", "msr", "rms", "rsm", "smr", "srm"])
    async def test_of_one_call_whichever_comes_first(self, graph: Graph, session: str, order: str) -> None:
        for one in order:
            if one == "m":
                await call(graph, "c1")
            elif one == "s":
                await span(graph)
            else:
                await start(graph, callId="c1", arguments={"q": "mine"})
            graph.clock.forward(seconds=1)
        [run] = await listed(graph)
        assert (run["message"], run["span"]) == ({"externalId": "m"}, {"spanId": "0a"})
        assert run["arguments"] == {"q": "mine"}
        joined = {"id": run["id"], "status": "PENDING"}
        assert await self.seen(graph) == {"m": joined, "0a": joined}
        await graph.do("endSpan", {"traceId": "0f", "spanId": "0a", "attributes": {"gen_ai.tool.call.result": "7"}})
        [run] = await listed(graph)
        assert (run["status"], run["result"]) == ("OK", 7)
        done = await finish(graph, run, error="too few")
        assert (done["status"], done["result"], done["error"]) == ("ERROR", 7, "too few")

    async def test_calls_of_one_id(self, graph: Graph, session: str) -> None:
        runs = []
        for turn in "ab":
            await call(graph, "c1", name=turn)
            runs.append(await start(graph, callId="c1"))
            await span(graph, span_id="0" + turn)
            await finish(graph, runs[-1], result=turn)
            await graph.do("endSpan", {"traceId": "0f", "spanId": "0" + turn})
        seen = {name: one["id"] for name, one in (await self.seen(graph)).items()}
        assert seen == {"a": runs[0]["id"], "0a": runs[0]["id"], "b": runs[1]["id"], "0b": runs[1]["id"]}
        assert [one["result"] for one in await listed(graph)] == ["b", "a"]

    async def test_a_span_that_ends_late_tells_what_happened(self, graph: Graph, session: str) -> None:
        await span(graph, call_id=None)
        graph.clock.forward(seconds=60)
        await sweep(graph.context)
        assert [one["status"] for one in await listed(graph)] == ["TIMEOUT"]
        await graph.do("endSpan", {"traceId": "0f", "spanId": "0a", "statusCode": "ERROR", "statusMessage": "slow"})
        [run] = await listed(graph)
        assert (run["status"], run["error"]) == ("ERROR", "slow")
        assert run["durationMs"] == pytest.approx(60_000, abs=50)

    async def test_named_by_the_caller(self, graph: Graph, session: str) -> None:
        await call(graph, "c1")
        await graph.do("startSpan", {**S, "traceId": "0f", "spanId": "0a", "name": "work"})
        [there] = (await graph.data("{ spans { nodes { id } } }"))["spans"]["nodes"]
        run = await start(graph, message={"externalId": "m"}, span=there["id"])
        assert (run["message"], run["span"]) == ({"externalId": "m"}, {"spanId": "0a"})

    async def test_what_goes_with_what(self, graph: Graph, session: str) -> None:
        await call(graph, "c1")
        await start(graph, callId="c1")
        await graph.do("deleteSession", S)
        assert (await graph.data("{ toolExecutions { totalCount } }"))["toolExecutions"] == {"totalCount": 0}


class TestLists:
    async def fill(self, graph: Graph) -> None:
        for tool, seconds, said in (("a", 3, {}), ("b", 1, {"error": "x"}), ("a", 5, {}), ("c", 0, None)):
            made = await start(graph, tool=tool, callId=f"{tool}{seconds}")
            graph.clock.forward(seconds=seconds)
            if said is not None:
                await finish(graph, made, **said)

    async def test_filters_and_orders(self, graph: Graph, session: str) -> None:
        await self.fill(graph)
        for filter, found in (
            ({"tools": ["a", "c"]}, ["c0", "a5", "a3"]),
            ({"statuses": ["ERROR", "PENDING"]}, ["c0", "b1"]),
            ({"minDurationMs": 3000}, ["a5", "a3"]),
            ({"callIds": ["b1"]}, ["b1"]),
            ({"startedAt": {"from": (graph.clock.now - timedelta(seconds=5.5)).isoformat()}}, ["c0", "a5"]),
            ({"not": {"tools": ["a"]}}, ["c0", "b1"]),
            ({"session": {"externalId": "s"}, "agent": {"externalId": "bot"}}, []),
        ):
            assert [one["callId"] for one in await listed(graph, filter)] == found, filter
        for field, found in (
            ("STARTED_AT", ["a3", "b1", "a5", "c0"]),
            ("DURATION", ["c0", "b1", "a3", "a5"]),
            ("TOOL", ["a3", "a5", "b1", "c0"]),
        ):
            order = {"field": field, "direction": "ASC"}
            assert [one["callId"] for one in await listed(graph, None, order)] == found, field

    async def test_figures_of_each_tool(self, graph: Graph, session: str) -> None:
        await self.fill(graph)
        await start(graph, tool="c")
        graph.clock.forward(seconds=30)
        fields = "tool count pending ok error timeout averageMs p50Ms p95Ms maxMs"
        query = f"query ($f: ToolExecutionFilter) {{ toolStats(filter: $f) {{ {fields} }} }}"
        found = [list(one.values()) for one in (await graph.data(query))["toolStats"]]
        found = [[round(one, -2) if isinstance(one, float) else one for one in row] for row in found]
        assert found == [
            ["a", 2, 0, 2, 0, 0, 4000, 3000, 5000, 5000],
            ["c", 2, 0, 0, 0, 2, None, None, None, None],
            ["b", 1, 0, 0, 1, 0, 1000, 1000, 1000, 1000],
        ]
        assert [one["tool"] for one in (await graph.data(query, f={"statuses": ["TIMEOUT"]}))["toolStats"]] == ["c"]


async def test_spans_that_come_by_telemetry(graph: Graph, session: str) -> None:
    run = await start(graph, callId="c1")
    times = {"startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000002000000000"}

    async def export(span_id: str, **attributes: Any) -> None:
        told = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", **attributes}
        pairs = [{"key": key, "value": {"stringValue": value}} for key, value in told.items()]
        span = {"traceId": "0f" * 16, "spanId": span_id, "name": "execute_tool", **times, "attributes": pairs}
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        await receive(graph.context, otlp_json.reports(msgspec.convert(body, otlp_json.Request)).reports)

    for _ in range(2):  # exporters send again what they had no answer to
        await export("0a" * 8, **{"gen_ai.tool.call.id": "c1", "gen_ai.tool.call.result": "7"})
    found = (await graph.data(f"{{ toolExecutions {{ nodes {{ {RUN} }} }} }}"))["toolExecutions"]["nodes"]
    seen = [(one["session"], one["status"], one["result"], one["durationMs"]) for one in found]
    assert seen == [({"externalId": "s"}, "PENDING", None, None), (None, "OK", 7, 2000)]
    await export("0b" * 8, **{"session.id": "s"})  # so that the trace belongs to the session
    runs = {one["span"]["spanId"]: one for one in await listed(graph)}
    assert (runs["0a" * 8]["id"], runs["0a" * 8]["result"]) == (run["id"], 7)
    assert runs["0b" * 8]["callId"] is None
