"""Agents that are instrumented with OpenTelemetry, by either convention, and those who watch them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openinference.semconv.trace import OpenInferenceSpanKindValues, SpanAttributes
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv._incubating.attributes import user_attributes as user
from opentelemetry.trace import Tracer

from tests.support.running import WAYS, Running

FOLLOW = """subscription ($of: String!, $after: String) { sessionTrace(session: {externalId: $of}, after: $after) {
  cursor node { type component data span { name kind attributes usage { totalTokens } } user { name } agent { name } } } }"""
TALK = """subscription ($of: String!, $after: String) { sessionMessages(session: {externalId: $of}, after: $after) {
  cursor node { text span { spanId } } } }"""
TRACES = """query ($of: String!) { session(by: {externalId: $of}) { traces { nodes { traceId } } } }"""
TRACE = """query ($t: String!) { trace(traceId: $t) { usage { totalTokens } spans { nodes {
  spanId parentSpanId name kind statusCode attributes usage { inputTokens outputTokens totalTokens } } } } }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("otlp")
    running = Running(folder / "data")
    running.start()
    yield running
    running.end()


@contextlib.contextmanager
def tracer(
    server: Running, batched: bool = True, compression: Compression = Compression.NoCompression
) -> Iterator[Tracer]:
    """A program's tracer, whose spans go to the server: at its end, or each as it ends."""
    provider = TracerProvider(resource=Resource.create({"service.name": "kitchen"}))
    exporter = OTLPSpanExporter(f"http://{server.address}/v1/traces", compression=compression)
    provider.add_span_processor(BatchSpanProcessor(exporter) if batched else SimpleSpanProcessor(exporter))
    try:
        yield provider.get_tracer("tests.agents", "1.0")
    finally:
        provider.shutdown()


def agent_by_gen_ai(server: Running, conversation: str) -> None:
    """An agent that calls a model and a tool, by OpenTelemetry's conventions for GenAI."""
    common = {gen_ai.GEN_AI_CONVERSATION_ID: conversation, user.USER_ID: "mara"}
    agent = {
        gen_ai.GEN_AI_AGENT_ID: "a-1",
        gen_ai.GEN_AI_AGENT_NAME: "Iris",
        gen_ai.GEN_AI_OPERATION_NAME: "invoke_agent",
    }
    chat = {
        gen_ai.GEN_AI_OPERATION_NAME: "chat",
        gen_ai.GEN_AI_REQUEST_MODEL: "small-1",
        gen_ai.GEN_AI_USAGE_INPUT_TOKENS: 12,
        gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: 30,
    }
    with (
        tracer(server, compression=Compression.Gzip) as t,
        t.start_as_current_span("invoke_agent Iris", attributes={**common, **agent}),
    ):
        with t.start_as_current_span("chat small-1", attributes={**common, **chat}):
            pass
        tool = {gen_ai.GEN_AI_OPERATION_NAME: "execute_tool", gen_ai.GEN_AI_TOOL_NAME: "oven"}
        with contextlib.suppress(ValueError), t.start_as_current_span("execute_tool oven", attributes=tool):
            raise ValueError("too hot")


def agent_by_openinference(server: Running, session: str) -> None:
    """The same by OpenInference; each span is sent when it ends, so that parts come before the whole."""
    kind = SpanAttributes.OPENINFERENCE_SPAN_KIND
    agent = {kind: OpenInferenceSpanKindValues.AGENT.value, SpanAttributes.AGENT_NAME: "Iris"}
    llm = {
        kind: OpenInferenceSpanKindValues.LLM.value,
        SpanAttributes.LLM_MODEL_NAME: "small-1",
        SpanAttributes.LLM_TOKEN_COUNT_PROMPT: 12,
        SpanAttributes.LLM_TOKEN_COUNT_COMPLETION: 30,
        f"{SpanAttributes.LLM_INPUT_MESSAGES}.0.message.role": "user",
        f"{SpanAttributes.LLM_INPUT_MESSAGES}.0.message.content": "Tea?",
    }
    with tracer(server, batched=False) as t, t.start_as_current_span("agent", attributes=agent) as root:
        with t.start_as_current_span("llm", attributes=llm):
            pass
        retriever = {kind: OpenInferenceSpanKindValues.RETRIEVER.value}
        with t.start_as_current_span("retriever", attributes=retriever):
            pass
        # Told at the end only: by then its parts are there.
        root.set_attributes({SpanAttributes.SESSION_ID: session, SpanAttributes.USER_ID: "mara"})


async def first(events: AsyncIterator[Any], count: int) -> list[Any]:
    """The first events of a subscription."""
    async with contextlib.aclosing(events), asyncio.timeout(30):  # type: ignore[type-var]
        return [(await anext(events))["node"] for _ in range(count)]


async def followed(server: Running, way: str, session: str, run: Any, count: int) -> list[Any]:
    """What a subscriber sees of an agent that runs in a session."""
    create = "mutation ($of: String!) { createSession(input: {externalId: $of}) { session { traceCursor } } }"
    start = (await server.ask(create, {"of": session}))["createSession"]["session"]["traceCursor"]
    watching = asyncio.create_task(first(WAYS[way](server.address, FOLLOW, {"of": session, "after": start}), count))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(run, server, session)
    return await watching


async def the_trace(server: Running, session: str) -> Any:
    """The one trace of a session, by the query of the contract."""
    [trace] = (await server.ask(TRACES, {"of": session}))["session"]["traces"]["nodes"]
    return (await server.ask(TRACE, {"t": trace["traceId"]}))["trace"]


@pytest.mark.parametrize("way", ["graphql-transport-ws", "SSE"])
async def test_an_agent_by_the_conventions_of_gen_ai(server: Running, way: str) -> None:
    session = f"gen-ai {way}"
    lines = await followed(server, way, session, agent_by_gen_ai, 7)
    assert [(line["type"], line["span"]["kind"]) for line in lines] == [
        ("span_start", "AGENT"),
        ("span_start", "LLM"),
        ("span_end", "LLM"),
        ("span_start", "TOOL"),
        ("exception", "TOOL"),
        ("span_end", "TOOL"),
        ("span_end", "AGENT"),
    ]
    assert {line["component"] for line in lines} == {"kitchen"}
    assert (lines[0]["agent"], lines[0]["user"]) == ({"name": "Iris"}, {"name": "mara"})
    assert lines[4]["data"]["exception.message"] == "too hot"
    assert lines[2]["span"]["usage"] == {"totalTokens": 42}
    spans = {span["name"]: span for span in (await the_trace(server, session))["spans"]["nodes"]}
    root, chat, tool = (spans[name] for name in ("invoke_agent Iris", "chat small-1", "execute_tool oven"))
    assert root["parentSpanId"] is None
    assert chat["parentSpanId"] == tool["parentSpanId"] == root["spanId"] == root["spanId"].lower()
    assert chat["usage"] == {"inputTokens": 12, "outputTokens": 30, "totalTokens": 42}
    assert chat["attributes"]["gen_ai.request.model"] == "small-1"
    assert chat["attributes"]["otel.resource"]["service.name"] == "kitchen"
    assert (root["statusCode"], tool["statusCode"]) == ("UNSET", "ERROR")


@pytest.mark.parametrize("way", ["graphql-transport-ws", "SSE"])
async def test_an_agent_by_the_conventions_of_openinference(server: Running, way: str) -> None:
    session = f"openinference {way}"
    lines = await followed(server, way, session, agent_by_openinference, 6)
    # The parts came before the session was known: they follow the whole.
    assert [(line["type"], line["span"]["kind"]) for line in lines] == [
        ("span_start", "AGENT"),
        ("span_end", "AGENT"),
        ("span_start", "LLM"),
        ("span_end", "LLM"),
        ("span_start", "RETRIEVER"),
        ("span_end", "RETRIEVER"),
    ]
    trace = await the_trace(server, session)
    assert trace["usage"] == {"totalTokens": 42}
    [llm] = [span for span in trace["spans"]["nodes"] if span["kind"] == "LLM"]
    assert llm["attributes"]["llm.input_messages.0.message.content"] == "Tea?"
    assert llm["usage"] == {"inputTokens": 12, "outputTokens": 30, "totalTokens": 42}


@pytest.mark.timed
async def test_spans_are_seen_within_a_second(server: Running) -> None:
    create = 'mutation { createSession(input: {externalId: "quick"}) { session { traceCursor } } }'
    start = (await server.ask(create))["createSession"]["session"]["traceCursor"]
    watching = WAYS["graphql-transport-ws"](server.address, FOLLOW, {"of": "quick", "after": start})
    with tracer(server, batched=False) as t:
        await asyncio.to_thread(t.start_span("warm", attributes={"session.id": "another"}).end)
        span = t.start_span("work", attributes={"session.id": "quick"})
        asyncio.get_running_loop().call_later(0.3, lambda: asyncio.get_running_loop().run_in_executor(None, span.end))
        async with asyncio.timeout(0.3 + 1):
            assert (await anext(watching))["node"]["span"]["name"] == "work"
    await watching.aclose()  # type: ignore[attr-defined]


@pytest.mark.timed
async def test_a_span_that_begins_its_messages_and_its_end_are_seen_within_a_second_each(server: Running) -> None:
    create = 'mutation { createSession(input: {externalId: "talk"}) { session { traceCursor messageCursor } } }'
    session = (await server.ask(create))["createSession"]["session"]
    follow = WAYS["graphql-transport-ws"]
    lines = follow(server.address, FOLLOW, {"of": "talk", "after": session["traceCursor"]})
    said = follow(server.address, TALK, {"of": "talk", "after": session["messageCursor"]})
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Tea?"}]}])
    answer = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "Yes."}]}])
    now = time.time_ns()
    begun = {"session.id": "talk", "gen_ai.operation.name": "chat", "gen_ai.input.messages": asked}
    span = {"traceId": uuid.uuid4().hex, "spanId": uuid.uuid4().hex[:16], "name": "chat", "startTimeUnixNano": str(now)}
    ended = {**span, "endTimeUnixNano": str(now + 10**9)}
    for sent, attributes, type, text in (
        (span, begun, "span_start", "Tea?"),
        (ended, {**begun, "gen_ai.output.messages": answer}, "span_end", "Yes."),
    ):
        next_line, next_message = asyncio.ensure_future(anext(lines)), asyncio.ensure_future(anext(said))  # type: ignore[arg-type]
        await asyncio.sleep(0.5)  # they follow
        pairs = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [{**sent, "attributes": pairs}]}]}]}
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.post(f"http://{server.address}/v1/traces", json=body)
        async with asyncio.timeout(1):
            assert ((await next_line)["node"]["type"], (await next_message)["node"]["text"]) == (type, text)
    for events in (lines, said):
        await events.aclose()  # type: ignore[attr-defined]
