"""What spans and log records tell, whatever is wrong with them, in whichever order they come."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from server.otlp.endpoint import ALL_LOGS, LOGS, METRICS, OTLP, TRACES
from tests.server.otlp.test_traces import ANYONE
from tests.support.graphql_client import Graph

TRACE = "ab" * 16
SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND
MODEL = "gen_ai.request.model"

SPANS = """query ($t: String!) { trace(traceId: $t) { usage { inputTokens cachedTokens } spans(first: 50) { nodes {
  spanId parentSpanId name kind statusCode statusMessage endedAt provider model timeToFirstTokenMs finishReasons warnings
  session { externalId } agent { externalId name } user { externalId } usage { inputTokens outputTokens reasoningTokens }
  events(first: 50) { nodes { type data } }
  inputMessages { role text content { __typename ... on ToolCall { arguments } ... on ToolResponse { result } } } outputMessages { role text content { __typename } }
  toolCalls { callId tool arguments response { result isError } } } } } }"""
TALK = """query ($s: String!) { session(by: {externalId: $s}) { title messages(first: 50) { totalCount nodes {
  text senderType createdAt span { spanId } sender { actor { __typename } }
  content { __typename ... on ToolCall { tool } ... on ReasoningContent { text } } } } } }"""


class Door:
    """The server's endpoints for telemetry, over one graph."""

    def __init__(self, graph: Graph, http: httpx.AsyncClient) -> None:
        self.graph, self.http = graph, http

    async def spans(self, *spans: Any, resource: dict[str, Any] | None = None) -> Any:
        of = {"resource": {"attributes": pairs(resource or {})}, "scopeSpans": [{"spans": list(spans)}]}
        return await self._post("/v1/traces", {"resourceSpans": [of]})

    async def logs(self, *records: Any) -> Any:
        return await self._post("/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]})

    async def _post(self, path: str, body: Any) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json().get("partialSuccess", {})

    async def read(self) -> dict[int, Any]:
        """The spans of the trace by their numbers."""
        nodes = (await self.graph.data(SPANS, t=TRACE))["trace"]["spans"]["nodes"]
        return {int(node["spanId"], 16): node for node in nodes}

    async def talk(self, session: str = "s") -> list[tuple[str, str]]:
        nodes = (await self.graph.data(TALK, s=session))["session"]["messages"]["nodes"]
        return [(one["senderType"], one["text"] or one["content"][0]["__typename"]) for one in nodes]


@pytest.fixture
async def door(graph: Graph) -> AsyncIterator[Door]:
    doors = {"v1/traces": TRACES, "v1/logs": LOGS, "v1/metrics": METRICS, "all/logs": ALL_LOGS}
    routes = [Route(f"/{name}", OTLP(signal, lambda _: graph.context, access=ANYONE)) for name, signal in doors.items()]
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as http:
        yield Door(graph, http)


def value(of: Any) -> Any:
    match of:
        case bool():
            return {"boolValue": of}
        case int():
            return {"intValue": str(of)}
        case float():
            return {"doubleValue": of}
        case list():
            return {"arrayValue": {"values": [value(one) for one in of]}}
        case dict():
            return {"kvlistValue": {"values": pairs(of)}}
    return {"stringValue": of}


def pairs(of: dict[str, Any]) -> list[Any]:
    return [{"key": key, "value": value(one)} for key, one in of.items()]


def span(
    number: int, parent: int | None = None, *, at: float = 0, lasts: float | None = 1, name: str = "chat", **more: Any
) -> Any:
    """A span with attributes, whose dots are underscores doubled; `more` of other kinds is given by `body`."""
    body = more.pop("body", {})
    end = {} if lasts is None else {"endTimeUnixNano": str(START + int((at + lasts) * SECOND))}
    above = {} if parent is None else {"parentSpanId": f"{parent:016x}"}
    attributes = pairs({key.replace("__", "."): one for key, one in more.items()})
    start = {"startTimeUnixNano": str(START + int(at * SECOND))}
    ids = {"traceId": TRACE, "spanId": f"{number:016x}"}
    return {**ids, **above, "name": name, **start, **end, "attributes": attributes, **body}


def record(number: int | None, name: str = "", body: Any = None, *, at: float = 0, **attributes: Any) -> Any:
    ids = {} if number is None else {"traceId": TRACE, "spanId": f"{number:016x}"}
    told = {} if body is None else {"body": value(body)}
    named = pairs({key.replace("__", "."): one for key, one in attributes.items()})
    time = str(START + int(at * SECOND))
    return {**ids, "eventName": name, "timeUnixNano": time, "attributes": named, **told}


def chat(*words: str) -> str:
    """Messages as JSON text: "user hi", "assistant ho"."""
    told = (word.split(" ", 1) for word in words)
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in told])


LLM = {"gen_ai__operation__name": "chat", "session__id": "s"}
ASKED, SAID = "gen_ai__input__messages", "gen_ai__output__messages"


@pytest.mark.both_families
class TestLogs:
    HEARD = (
        record(1, "gen_ai.system.message", {"content": "Be brief."}, at=0.1),
        record(1, "gen_ai.user.message", {"content": "Tea?"}, at=0.2),
        record(1, "gen_ai.choice", {"finish_reason": "stop", "message": {"content": "Yes."}}, at=0.9),
    )

    async def check(self, door: Door) -> None:
        one = (await door.read())[1]
        assert [(said["role"], said["text"]) for said in one["inputMessages"]] == [
            ("system", "Be brief."),
            ("user", "Tea?"),
        ]
        assert [(said["role"], said["text"]) for said in one["outputMessages"]] == [("assistant", "Yes.")]
        assert (one["name"], one["kind"], one["finishReasons"]) == ("chat", "LLM", ["stop"])
        assert await door.talk() == [("USER", "Tea?"), ("AGENT", "Yes.")]

    async def test_before_their_span(self, door: Door) -> None:
        await door.logs(*self.HEARD)
        assert (await door.read())[1]["endedAt"] is None
        await door.spans(span(1, **LLM))
        await self.check(door)

    async def test_after_their_span_one_by_one(self, door: Door) -> None:
        await door.spans(span(1, **LLM))
        for one in self.HEARD:
            await door.logs(one)
        await self.check(door)

    async def test_in_any_order_and_twice(self, door: Door) -> None:
        await door.logs(self.HEARD[2], self.HEARD[1])
        await door.spans(span(1, **LLM))
        await door.logs(self.HEARD[0], self.HEARD[1])
        await door.logs(*self.HEARD)
        one = (await door.read())[1]
        assert [said["role"] for said in one["inputMessages"]] == ["system", "user"]
        assert len(one["outputMessages"]) == 1

    async def test_attributes_count_where_both_tell(self, door: Door) -> None:
        await door.logs(*self.HEARD)
        await door.spans(span(1, **LLM, **{ASKED: chat("user Coffee?"), SAID: chat("assistant No.")}))
        await door.logs(*self.HEARD)
        one = (await door.read())[1]
        assert [said["text"] for said in one["inputMessages"]] == ["Coffee?"]
        assert [said["text"] for said in one["outputMessages"]] == ["No."]

    async def test_details(self, door: Door) -> None:
        told = {"gen_ai__provider__name": "openai", ASKED: json.loads(chat("user Tea?")), "user__id": "mara"}
        await door.logs(record(1, "gen_ai.client.inference.operation.details", **told, gen_ai__usage__input_tokens=3))
        await door.spans(span(1, **LLM))
        one = (await door.read())[1]
        assert (one["provider"], one["usage"]["inputTokens"], one["user"]["externalId"]) == ("openai", 3, "mara")
        assert await door.talk() == [("USER", "Tea?")]

    async def test_other_records_are_lines_of_their_span(self, door: Door) -> None:
        await door.spans(span(1, **LLM))
        await door.logs(record(1, "", "GET /tea", at=0.5, code=200), record(1, "tea.made", {"cups": 2}))
        lines = (await door.read())[1]["events"]["nodes"]
        found = {one["type"]: one["data"] for one in lines}
        assert found["log"] == {"body": "GET /tea", "code": 200}
        assert found["tea.made"] == {"body": {"cups": 2}}

    async def test_those_that_are_sent_again_are_one_line(self, door: Door) -> None:
        await door.spans(span(1, **LLM))
        records = (record(1, "", "GET /tea", at=0.5), record(1, "", "GET /tea", at=0.6), *self.HEARD)
        for _ in range(2):
            await door.logs(*records, records[0])
        lines = [one["type"] for one in (await door.read())[1]["events"]["nodes"]]
        assert (lines.count("log"), lines.count("gen_ai.choice")) == (2, 1)

    OF_NO_SPAN = (
        record(None, "", "started", at=0.1),
        record(None, "tea.made", "Tea!", at=0.2, session__id="s", user__id="mara", severity="high"),
        record(1, "", "here"),
    )
    LOG = """query ($s: String!) { session(by: {externalId: $s}) { participants { nodes { name } }
      trace(first: 9) { nodes { type data component time span { spanId } user { name } } } } }"""

    async def test_those_of_no_span_are_lines_of_the_session_they_name(self, door: Door) -> None:
        for _ in range(2):
            partial = await door.logs(*self.OF_NO_SPAN)
            assert partial["rejectedLogRecords"] == "1"
            assert "log record 1: it belongs to no span and names no session" in partial["errorMessage"]
        found = (await door.graph.data(self.LOG, s="s"))["session"]
        [line] = found["trace"]["nodes"]
        assert (line["type"], line["data"]["body"], line["component"]) == ("tea.made", "Tea!", "agent")
        assert (line["time"], line["span"]) == ("2026-01-01T00:00:00.200000Z", None)
        assert ([one["name"] for one in found["participants"]["nodes"]], line["user"]["name"]) == (["mara"], "mara")

    @pytest.mark.parametrize(
        ("named", "session"), [({"service.name": "shop"}, "log:shop"), ({}, "log:unknown_service")]
    )
    async def test_others_are_kept_where_the_setting_says_so(self, door: Door, named: Any, session: str) -> None:
        of = {"resource": {"attributes": pairs(named)}, "scopeLogs": [{"logRecords": list(self.OF_NO_SPAN)}]}
        for _ in range(2):
            assert await door._post("/all/logs", {"resourceLogs": [of]}) == {}
        [line] = (await door.graph.data(self.LOG, s=session))["session"]["trace"]["nodes"]
        assert (line["type"], line["data"]) == ("log", {"body": "started"})
        assert len((await door.graph.data(self.LOG, s="s"))["session"]["trace"]["nodes"]) == 1

    async def test_a_program_names_the_session_of_its_records(self, door: Door) -> None:
        of = {
            "resource": {"attributes": pairs({"session.id": "s"})},
            "scopeLogs": [{"logRecords": [self.OF_NO_SPAN[0]]}],
        }
        assert await door._post("/v1/logs", {"resourceLogs": [of]}) == {}
        assert len((await door.graph.data(self.LOG, s="s"))["session"]["trace"]["nodes"]) == 1

    async def test_metrics_are_taken_and_not_kept(self, door: Door) -> None:
        assert await door._post("/v1/metrics", {"resourceMetrics": [{}]}) == {}


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("attributes", "warning"),
        [
            ({"gen_ai__usage__input_tokens": "many"}, "gen_ai.usage.input_tokens is not a number"),
            ({"gen_ai__usage__input_tokens": -1}, "gen_ai.usage.input_tokens is negative or too great"),
            ({"gen_ai__usage__input_tokens": 10**18}, "gen_ai.usage.input_tokens is negative or too great"),
            ({"gen_ai__usage__cost": -0.5}, "gen_ai.usage.cost is negative or too great"),
            ({"gen_ai__usage__input_tokens": [1]}, "gen_ai.usage.input_tokens is not a number"),
            ({"gen_ai__usage__input_tokens": {"n": 1}}, "gen_ai.usage.input_tokens is not a number"),
            ({ASKED: '[{"role": "user"'}, "gen_ai.input.messages is not valid JSON"),
            ({ASKED: 7}, "gen_ai.input.messages holds no messages"),
            ({"gen_ai__request__model": ["m"]}, "gen_ai.request.model is not a string"),
            ({"user__id": "[REDACTED]"}, "user.id is redacted"),
            ({"user__id": " "}, "user.id is blank"),
            ({"langfuse__observation__usage_details": "lots"}, "langfuse.observation.usage_details is no object"),
        ],
    )
    async def test_a_type_that_is_wrong(self, door: Door, attributes: Any, warning: str) -> None:
        partial = await door.spans(span(1, **LLM, **attributes), span(2, 1, **LLM, **{ASKED: chat("user hi")}))
        assert warning in partial["errorMessage"]
        assert partial["rejectedSpans"] == "0"
        found = await door.read()
        assert warning in found[1]["warnings"]
        assert found[2]["warnings"] == []
        assert found[2]["inputMessages"][0]["text"] == "hi"

    @pytest.mark.parametrize(
        ("changes", "read", "warning"),
        [
            ({"startTimeUnixNano": "soon"}, {}, "startTimeUnixNano"),
            ({"startTimeUnixNano": "-5"}, {}, "startTimeUnixNano"),
            ({"startTimeUnixNano": [START]}, {}, "startTimeUnixNano"),
            ({"endTimeUnixNano": str(2**64)}, {}, "endTimeUnixNano"),
            ({"endTimeUnixNano": str(2**64 - 1)}, {}, None),
            ({"endTimeUnixNano": float(START + SECOND)}, {"endedAt": "2026-01-01T00:00:01Z"}, None),
            ({"name": 5}, {"name": "5"}, None),
            ({"name": ["n"]}, {"name": "agent"}, "name"),
            ({"kind": "SPAN_KIND_CLIENT"}, {}, None),
            ({"kind": "ours"}, {}, "kind"),
            ({"status": {"code": "STATUS_CODE_ERROR"}}, {"statusCode": "ERROR"}, None),
            ({"status": [2]}, {"statusCode": "UNSET"}, "status"),
            ({"attributes": {}}, {"model": None}, "attributes"),
            ({"attributes": [7, {"key": MODEL, "value": {"stringValue": "m"}}]}, {"model": "m"}, "attributes"),
            ({"attributes": [{"key": MODEL, "value": {"stringValue": 5}}]}, {"model": "5"}, None),
            ({"attributes": [{"key": MODEL, "value": {"intValue": "many"}}]}, {"model": "many"}, None),
            ({"attributes": [{"key": MODEL, "value": {"intValue": str(10**30)}}]}, {"model": str(10**30)}, None),
            ({"attributes": [{"key": MODEL, "value": {"boolValue": "yes"}}]}, {"model": "yes"}, None),
            ({"attributes": [{"key": MODEL, "value": {"doubleValue": "much"}}]}, {"model": "much"}, None),
            ({"attributes": [{"key": MODEL, "value": {"arrayValue": "a"}}]}, {"model": "a"}, None),
            ({"attributes": [{"key": MODEL, "value": "m"}]}, {"model": "m"}, None),
            ({"events": {}}, {}, "events"),
            ({"events": [{"name": {}}]}, {}, "events.name"),
            ({"links": [{"traceId": []}]}, {}, "links.traceId"),
        ],
    )
    async def test_json_of_another_type_than_the_protocols(
        self, door: Door, changes: Any, read: Any, warning: str | None
    ) -> None:
        partial = await door.spans(span(1) | changes, span(2, 1, **LLM, gen_ai__request__model="other"))
        found = await door.read()
        assert {name: found[1][name] for name in read} == read
        told = [f"{warning} is of a wrong type and was left out"] if warning else []
        assert [one for one in found[1]["warnings"] if "wrong type" in one] == told
        assert (warning or "") in partial.get("errorMessage", "")
        assert found[2]["warnings"] == []
        assert found[2]["model"] == "other"

    async def test_json_without_an_id_loses_that_span_alone(self, door: Door) -> None:
        partial = await door.spans(span(1) | {"spanId": 7}, span(2), 5)
        assert partial["rejectedSpans"] == "2"
        assert "span 1: spanId is not 16 hex digits" in partial["errorMessage"]
        assert list(await door.read()) == [2]

    async def test_log_records_of_another_type_than_the_protocols(self, door: Door) -> None:
        of = {"traceId": TRACE, "spanId": f"{1:016x}"}
        await door.spans(span(1))
        partial = await door.logs(
            {**of, "eventName": 7, "body": {"stringValue": 7}, "timeUnixNano": str(2**64)},
            {**of, "eventName": "fine", "timeUnixNano": str(START)},
        )
        assert "timeUnixNano is of a wrong type and was left out" in partial["errorMessage"]
        events = (await door.read())[1]["events"]["nodes"]
        assert {one["type"] for one in events} >= {"7", "fine"}

    async def test_a_number_as_text_is_one(self, door: Door) -> None:
        await door.spans(span(1, **LLM, gen_ai__usage__input_tokens="12", gen_ai__usage__output_tokens=3.0))
        assert (await door.read())[1]["usage"] == {"inputTokens": 12, "outputTokens": 3, "reasoningTokens": None}

    async def test_indices_with_gaps(self, door: Door) -> None:
        flat = {f"llm__input_messages__{n}__message__{name}": told for n, told in ((1, "one"), (7, "two"), (30, "three"))
                for name, told in (("role", "user"), ("content", told))}  # fmt: skip
        await door.spans(span(1, **LLM, **flat))
        assert [said["text"] for said in (await door.read())[1]["inputMessages"]] == ["one", "two", "three"]

    @pytest.mark.slow
    async def test_thousands_of_messages(self, door: Door) -> None:
        words = [word for n in range(5_000) for word in (f"user q{n}", f"assistant a{n}")]
        await door.spans(span(1, **LLM, **{ASKED: chat(*words, "user last")}))
        one = (await door.read())[1]
        assert len(one["inputMessages"]) == 10_001
        await door.spans(span(2, **LLM, at=5, **{ASKED: chat(*words, "user last"), SAID: chat("assistant end")}))
        assert (await door.talk())[0] == ("USER", "q0")
        session = (await door.graph.data(TALK, s="s"))["session"]
        assert session["messages"]["totalCount"] == 10_002

    async def test_an_image_of_a_megabyte(self, door: Door) -> None:
        parts = [
            {"type": "text", "content": "Look"},
            {"type": "blob", "mime_type": "image/png", "content": "A" * 1_000_000},
        ]
        await door.spans(span(1, **LLM, **{ASKED: json.dumps([{"role": "user", "parts": parts}])}))
        [said] = (await door.read())[1]["inputMessages"]
        assert [part["__typename"] for part in said["content"]] == ["TextContent", "ImageContent"]
        assert said["text"] == "Look"
        warnings = (await door.read())[1]["warnings"]
        assert warnings == ["An image or file of 1,000,022 characters was left out"]

    async def test_texts_arguments_and_results_that_are_too_long(self, door: Door) -> None:
        parts = [
            {"type": "text", "content": "é" * 200_000},
            {"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": "x" * 300_000}},
            {"type": "tool_call_response", "id": "1", "response": "y" * 300_000},
        ]
        await door.spans(span(1, **LLM, **{ASKED: json.dumps([{"role": "assistant", "parts": parts}])}))
        one = (await door.read())[1]
        [text, call, response] = one["inputMessages"][0]["content"]
        assert text["__typename"] == "TextContent"
        assert len(one["inputMessages"][0]["text"]) == 100_000
        for kept, letter in ((call["arguments"]["a"], "x"), (response["result"], "y")):
            assert 250_000 < len(kept) < 262_144
            assert re.fullmatch(rf"{letter}+ … \[[\d,]+ characters left out\] … {letter}+", kept)
        assert set(one["warnings"]) == {
            "A text of more than 100,000 characters was shortened",
            "Arguments of more than 262,144 bytes were shortened",
            "A result of more than 262,144 bytes was shortened",
        }

    async def test_of_a_very_long_history_the_latest_is_kept(self, door: Door) -> None:
        words = [f"user {n} {'x' * 90_000}" for n in range(60)]
        await door.spans(span(1, **LLM, **{ASKED: chat("system Be brief.", *words)}))
        one = (await door.read())[1]
        texts = [said["text"].split()[0] for said in one["inputMessages"]]
        assert (texts[0], texts[-1], len(texts) < 50) == ("Be", "59", True)
        assert one["warnings"] == ["Messages of more than 4,194,304 characters: the earliest 14 were left out"]

    async def test_of_very_many_messages_of_events_the_latest_are_kept(self, door: Door) -> None:
        heard = [record(1, "gen_ai.user.message", {"content": f"q{n}"}, at=n) for n in range(1_003)]
        await door.logs(*heard[:700])
        await door.logs(*heard[700:1_002])
        await door.logs(*heard[1_000:])
        one = (await door.read())[1]
        assert [one["inputMessages"][at]["text"] for at in (0, -1)] == ["q3", "q1002"]
        assert one["warnings"] == ["Events or log records of more than 1,000 messages: the earliest 3 were left out"]

    async def test_a_history_that_cannot_be_compared_is_told(self, door: Door) -> None:
        words = [word for n in range(250) for word in (f"user q{n}", f"assistant a{n}")]
        await door.spans(span(1, **LLM, **{ASKED: chat(*words), SAID: chat("assistant end")}))
        await door.spans(span(2, **LLM, at=5, **{ASKED: chat(*words[:20], "user new"), SAID: chat("assistant yes")}))
        first, second = (await door.read()).values()
        [warning] = second["warnings"]
        assert first["warnings"] == []
        assert warning.startswith("A history of 22 messages repeats 0 of the last 400 parts of the session")

    async def test_content_that_is_no_text_and_roles_that_are_none(self, door: Door) -> None:
        odd = [{"role": 7, "parts": {}}, {"role": "user", "parts": [3, None, {"type": []}]}, "words", None, []]
        await door.spans(span(1, **LLM, **{ASKED: json.dumps(odd)}))
        assert (await door.read())[1]["name"] == "chat"

    async def test_spans_of_hours_and_clocks_that_differ(self, door: Door) -> None:
        await door.spans(span(1, at=0, lasts=40_000, **LLM), span(2, 1, at=-3_600, lasts=1, **LLM))
        assert set(await door.read()) == {1, 2}


class TestTools:
    async def test_what_is_not_told_is_null(self, door: Door) -> None:
        await door.spans(span(1, openinference__span__kind="TOOL", tool__name="kettle"))
        assert (await door.read())[1]["toolCalls"] == [
            {"callId": "", "tool": "kettle", "arguments": None, "response": None}
        ]

    async def test_a_schema_is_no_argument(self, door: Door) -> None:
        schema = json.dumps({"type": "object", "properties": {"cups": {"type": "integer"}}})
        told = {"tool__name": "kettle", "tool__parameters": schema, "input__value": '{"cups": 2}'}
        await door.spans(span(1, openinference__span__kind="TOOL", **told))
        assert (await door.read())[1]["toolCalls"][0]["arguments"] == {"cups": 2}

    @pytest.mark.parametrize(
        "given",
        [
            '{"args": [], "kwargs": {"cups": 2}}',
            '{"kwargs": {"cups": 2}}',
            '{"args": [], "sanitize_inputs_outputs": true, "kwargs": {"cups": 2}}',
            '{"cups": 2}',
        ],
    )
    async def test_arguments_without_what_wraps_them(self, door: Door, given: str) -> None:
        types = '{"cups": {"type": "integer", "description": "how many"}}'
        told = {"tool__name": "kettle", "tool__parameters": types, "input__value": given}
        await door.spans(span(1, openinference__span__kind="TOOL", **told))
        assert (await door.read())[1]["toolCalls"][0]["arguments"] == {"cups": 2}

    async def test_one_that_failed(self, door: Door) -> None:
        status = {"status": {"code": 2, "message": 'no water\nTraceback (most recent call last):\n  File "x", line 1'}}
        await door.spans(span(1, gen_ai__operation__name="execute_tool", gen_ai__tool__name="kettle", body=status))
        one = (await door.read())[1]
        assert one["toolCalls"][0]["response"] == {"result": None, "isError": True}
        assert one["statusMessage"] == "no water"

    @pytest.mark.parametrize(
        "told",
        [
            {"haystack__tool__error": True, "haystack__agent__step__tool__output": '"no water"'},
            {"langfuse__observation__level": "ERROR", "langfuse__observation__output": '"no water"'},
            {"gen_ai__tool__status": "error", "gen_ai__tool__call__result": '"no water"'},
        ],
    )
    async def test_one_that_failed_in_a_span_without_an_error(self, door: Door, told: Any) -> None:
        await door.spans(span(1, gen_ai__operation__name="execute_tool", gen_ai__tool__name="kettle", **told))
        assert (await door.read())[1]["toolCalls"][0]["response"] == {"result": "no water", "isError": True}

    async def test_one_that_worked_and_says_so(self, door: Door) -> None:
        told = {
            "gen_ai__tool__status": "success",
            "haystack__tool__error": False,
            "gen_ai__tool__call__result": '"hot"',
        }
        await door.spans(span(1, gen_ai__operation__name="execute_tool", gen_ai__tool__name="kettle", **told))
        assert (await door.read())[1]["toolCalls"][0]["response"] == {"result": "hot", "isError": False}


@pytest.mark.both_families
class TestWhoAndWhere:
    async def test_an_agent_and_a_user_come_from_the_nearest_ancestor(self, door: Door) -> None:
        await door.spans(span(3, 2, **LLM))
        await door.spans(span(2, 1, gen_ai__agent__name="inner"), span(1, gen_ai__agent__name="outer", user__id="mara"))
        found = await door.read()
        assert [found[n]["agent"]["name"] for n in (1, 2, 3)] == ["outer", "inner", "inner"]
        assert {found[n]["user"]["externalId"] for n in found} == {"mara"}

    async def test_a_random_id_makes_no_agent(self, door: Door) -> None:
        for n, id in ((1, "c36d8f28-f30a-45e5-8537-0a6adc1d59fb"), (2, "0bb93d0b-dd1d-4d0b-8d07-5d6e9e6a8b0a")):
            await door.spans(span(n, gen_ai__agent__id=id, gen_ai__agent__name="iris"))
        found = await door.read()
        assert {found[n]["agent"]["externalId"] for n in found} == {"iris"}
        await door.spans(span(3, gen_ai__agent__id="asst_7", gen_ai__agent__name="iris"))
        assert (await door.read())[3]["agent"]["externalId"] == "asst_7"

    async def test_the_nearest_session_counts(self, door: Door) -> None:
        await door.spans(span(1, session__id="a"), span(2, 1, session__id="b"), span(3, 2), span(4, 1))
        found = await door.read()
        assert [found[n]["session"]["externalId"] for n in (1, 2, 3, 4)] == ["a", "b", "b", "a"]
        await door.spans(span(5, 3))
        assert (await door.read())[5]["session"]["externalId"] == "b"


@pytest.mark.both_families
class TestAtTheStart:
    async def test_a_span_that_begins_is_shown_and_completed(self, door: Door) -> None:
        await door.spans(span(1, lasts=None, **LLM, **{ASKED: chat("user Tea?")}))
        assert (await door.read())[1]["endedAt"] is None
        assert await door.talk() == [("USER", "Tea?")]
        done = {ASKED: chat("user Tea?"), SAID: chat("assistant Yes."), "gen_ai__usage__input_tokens": 3}
        await door.spans(span(1, **LLM, **done))
        assert (await door.read())[1]["usage"]["inputTokens"] == 3
        assert await door.talk() == [("USER", "Tea?"), ("AGENT", "Yes.")]

    async def test_logfires_pending_spans(self, door: Door) -> None:
        pending = {"logfire__span_type": "pending_span", "logfire__pending_parent_id": f"{1:016x}"}
        await door.spans(span(9, 2, lasts=0, **LLM, **pending))
        [one] = (await door.read()).values()
        assert (one["spanId"], one["parentSpanId"], one["endedAt"]) == (f"{2:016x}", f"{1:016x}", None)
        await door.spans(span(2, 1, **LLM, logfire__span_type="span"), span(1))
        assert set(await door.read()) == {1, 2}

    async def test_one_event_for_each_chunk_is_one_line(self, door: Door) -> None:
        chunks = [
            {"timeUnixNano": str(START + n * 1_000_000), "name": "gen_ai.content.completion.chunk"}
            for n in (200, 210, 220)
        ]
        await door.spans(span(1, **LLM, body={"events": chunks}))
        one = (await door.read())[1]
        assert [line["data"] for line in one["events"]["nodes"] if "chunk" in line["type"]] == [
            {"otel.chunks_count": 3}
        ]
        assert one["timeToFirstTokenMs"] == 200


@pytest.mark.both_families
class TestTheConversation:
    async def test_what_a_tool_asks_a_model_is_no_part_of_it(self, door: Door) -> None:
        await door.spans(
            span(1, at=0, lasts=9, gen_ai__operation__name="invoke_agent", gen_ai__agent__name="a", session__id="s")
        )
        await door.spans(
            span(2, 1, at=1, **LLM, **{ASKED: chat("user Tea?"), SAID: chat("assistant Asking.")}),
            span(3, 1, at=3, lasts=3, gen_ai__operation__name="execute_tool", gen_ai__tool__name="ask"),
            span(4, 3, at=4, **LLM, **{ASKED: chat("user You are a kettle."), SAID: chat("assistant Boiling.")}),
        )
        assert await door.talk() == [("USER", "Tea?"), ("AGENT", "Asking.")]

    async def test_it_is_taken_back_where_that_is_known_later(self, door: Door) -> None:
        await door.spans(span(4, 3, at=4, **LLM, **{ASKED: chat("user Subtask"), SAID: chat("assistant Done.")}))
        assert len(await door.talk()) == 2
        await door.spans(span(3, 1, at=3, lasts=3, gen_ai__operation__name="execute_tool", gen_ai__tool__name="ask"))
        assert await door.talk() == []

    async def test_what_one_agent_asks_another(self, door: Door) -> None:
        outer = span(
            1, at=0, lasts=9, gen_ai__operation__name="invoke_agent", gen_ai__agent__name="outer", session__id="s"
        )
        asks = span(2, 1, at=1, **LLM, **{ASKED: chat("user Tea?"), SAID: chat("assistant Let me ask.")})
        inner = span(3, 1, at=3, lasts=3, gen_ai__operation__name="invoke_agent", gen_ai__agent__name="inner")
        call = span(4, 3, at=4, **LLM, **{ASKED: chat("user Write about tea"), SAID: chat("assistant Tea is.")})
        for one in (call, inner, asks, outer):
            await door.spans(one)
        assert await door.talk() == [("USER", "Tea?"), ("AGENT", "Let me ask.")]

    async def test_an_agent_that_takes_over_goes_on_with_it(self, door: Door) -> None:
        outer = span(
            1, at=0, lasts=9, gen_ai__operation__name="invoke_agent", gen_ai__agent__name="outer", session__id="s"
        )
        asks = span(2, 1, at=1, **LLM, **{ASKED: chat("user Tea?"), SAID: chat("assistant One moment.")})
        inner = span(3, 1, at=3, lasts=3, gen_ai__operation__name="invoke_agent", gen_ai__agent__name="inner")
        told = {ASKED: chat("user Tea?", "assistant One moment."), SAID: chat("assistant Here is tea.")}
        await door.spans(outer, asks, inner, span(4, 3, at=4, **LLM, **told))
        assert (await door.talk())[-1] == ("AGENT", "Here is tea.")

    async def test_a_session_that_somebody_writes_is_left_alone(self, door: Door) -> None:
        await door.graph.do("createSession", {"externalId": "s", "title": "mine"})
        await door.graph.do("addMessage", {"session": {"externalId": "s"}, "role": "user", "text": "Tea?"})
        await door.spans(span(1, **LLM, **{ASKED: chat("user Tea?"), SAID: chat("assistant Yes.")}))
        assert await door.talk() == [("USER", "Tea?")]

    async def test_it_ends_where_somebody_adds_a_message(self, door: Door) -> None:
        await door.spans(span(1, **LLM, **{ASKED: chat("user Tea?"), SAID: chat("assistant Yes.")}))
        await door.graph.do("addMessage", {"session": {"externalId": "s"}, "role": "user", "text": "Mine"})
        await door.spans(span(2, at=5, **LLM, **{ASKED: chat("user Coffee?")}))
        assert await door.talk() == [("USER", "Tea?"), ("AGENT", "Yes."), ("USER", "Mine")]

    async def test_a_session_that_is_made_and_has_no_message_yet(self, door: Door) -> None:
        await door.graph.do("createSession", {"externalId": "s", "title": "mine"})
        await door.spans(span(1, **LLM, **{ASKED: chat("user Tea?"), SAID: chat("assistant Yes.")}))
        assert await door.talk() == [("USER", "Tea?"), ("AGENT", "Yes.")]
        assert (await door.graph.data(TALK, s="s"))["session"]["title"] == "mine"

    @pytest.mark.parametrize(("setting", "count"), [("off", 0), ("always", 3), ("auto", 1)])
    async def test_the_setting(self, door: Door, setting: Any, count: int) -> None:
        door.graph.context.telemetry_messages = setting
        await door.graph.do("createSession", {"externalId": "s"})
        if setting != "off":
            await door.graph.do("addMessage", {"session": {"externalId": "s"}, "role": "user", "text": "Mine"})
        await door.spans(span(1, **LLM, **{ASKED: chat("user Tea?"), SAID: chat("assistant Yes.")}))
        assert len(await door.talk()) == count

    async def test_each_message_names_who_when_and_its_span(self, door: Door) -> None:
        who = {"user__id": "mara", "gen_ai__agent__name": "iris"}
        await door.spans(span(1, **LLM, **who, **{ASKED: chat("user Tea?"), SAID: chat("assistant Yes.")}))
        session = (await door.graph.data(TALK, s="s"))["session"]
        asked, said = session["messages"]["nodes"]
        assert session["title"] == "Tea?"
        assert (asked["sender"]["actor"]["__typename"], said["sender"]["actor"]["__typename"]) == ("User", "Agent")
        assert {one["span"]["spanId"] for one in (asked, said)} == {f"{1:016x}"}
        assert asked["createdAt"] < said["createdAt"]

    async def test_who_speaks_may_be_known_later(self, door: Door) -> None:
        await door.spans(span(2, 1, at=1, **LLM, **{ASKED: chat("user Tea?"), SAID: chat("assistant Yes.")}))
        await door.spans(span(1, lasts=5, gen_ai__agent__name="iris", user__id="mara", session__id="s"))
        asked, said = (await door.graph.data(TALK, s="s"))["session"]["messages"]["nodes"]
        assert (asked["sender"]["actor"]["__typename"], said["sender"]["actor"]["__typename"]) == ("User", "Agent")
        names = '{ session(by: {externalId: "s"}) { participants { nodes { name } } } }'
        nodes = (await door.graph.data(names))["session"]["participants"]["nodes"]
        assert sorted(node["name"] for node in nodes) == ["iris", "mara"]

    async def test_spans_that_come_before_their_session_is_known(self, door: Door) -> None:
        call = {"gen_ai__operation__name": "chat", ASKED: chat("user Tea?"), SAID: chat("assistant Yes.")}
        await door.spans(span(2, 1, at=1, **call))
        await door.spans(span(1, lasts=5, session__id="s"))
        assert await door.talk() == [("USER", "Tea?"), ("AGENT", "Yes.")]


class TestUsage:
    async def test_sums_of_all_turns_so_far_are_not_counted(self, door: Door) -> None:
        agent = {"gen_ai__system": "strands-agents", "gen_ai__operation__name": "invoke_agent"}
        await door.spans(
            span(1, **agent, lasts=5, gen_ai__usage__input_tokens=300),
            span(2, 1, **LLM, gen_ai__usage__input_tokens=100, gen_ai__usage__cache_read__input_tokens=40),
        )
        usage = (await door.graph.data(SPANS, t=TRACE))["trace"]["usage"]
        assert usage == {"inputTokens": 100, "cachedTokens": 40}
