"""The names we look for are those of the conventions, and what they say is read from either."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from openinference.semconv import trace as openinference
from opentelemetry.semconv._incubating.attributes import (
    enduser_attributes,
    gen_ai_attributes,
    session_attributes,
    user_attributes,
)

from domain.conventions.columns import component_of
from domain.conventions.convention import SLOTS
from domain.conventions.gen_ai import GEN_AI
from domain.conventions.openinference import OPENINFERENCE as BY_SPEC
from domain.conventions.reading import read
from domain.message import ImageContent, ReasoningContent, TextContent, ToolCall, ToolResponse
from domain.model_call import ModelCall, ModelMessage
from domain.span import SpanKind, TokenUsage
from domain.telemetry import LEFT_OUT, MAX_ATTRIBUTES, SHORTENED, bounded
from domain.values import decode_json, encode_json

OTEL = {
    value
    for module in (enduser_attributes, gen_ai_attributes, session_attributes, user_attributes)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}
OPENINFERENCE = {
    value
    for of in (openinference.SpanAttributes, openinference.RerankerAttributes)
    for name, value in vars(of).items()
    if name.isupper()
}


OWN = {  # what is no part of the standard, and is sent all the same
    "gen_ai.tool.arguments", "gen_ai.tool.result", "gen_ai.tool.output", "gen_ai.response.finish_reason",
    "gen_ai.usage.total_tokens", "gen_ai.response.time_to_first_chunk", "gen_ai.completion", "gen_ai.prompt",
    "gen_ai.usage.cached_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.details.cache_read_tokens",
    "gen_ai.usage.reasoning_tokens", "gen_ai.usage.details.reasoning_tokens", "gen_ai.usage.cost", "gen_ai.usage.raw",
    "gen_ai.client.operation.time_to_first_chunk", "gen_ai.server.time_to_first_token",
    "gen_ai.usage.reasoning.output_tokens", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result",
    "error.message", "exception.message", "llm.finish_reason", "llm.response.model_name", "llm.request.model_name",
}  # fmt: skip


def call_of(attributes: Any) -> ModelCall:
    return read(attributes).call or ModelCall()


def kind_of(attributes: Any) -> SpanKind:
    return read(attributes).kind


def model_of(attributes: Any) -> str | None:
    return read(attributes).model


def input_messages(attributes: Any) -> list[ModelMessage]:
    return call_of(attributes).input


def output_messages(attributes: Any) -> list[ModelMessage]:
    return call_of(attributes).output


def tool_calls(attributes: Any) -> list[ToolCall]:
    return call_of(attributes).calls


@pytest.mark.parametrize("of", [GEN_AI, BY_SPEC])
def test_every_name_is_of_a_convention(of: Any) -> None:
    names = {name.removesuffix(".*") for slot in SLOTS for name in getattr(of, slot) if "#" not in name}
    assert names
    assert names - OWN <= OTEL | OPENINFERENCE


@pytest.mark.parametrize("kind", openinference.OpenInferenceSpanKindValues)
def test_each_kind_of_openinference(kind: Any) -> None:
    other = {
        "UNKNOWN": "OTHER",
        "GUARDRAIL": "OTHER",
        "EVALUATOR": "OTHER",
        "PROMPT": "OTHER",
        "DECISION": "OTHER",
        "RERANKER": "RETRIEVER",
    }
    assert kind_of({"openinference.span.kind": kind.value}).name == other.get(kind.value, kind.value)


@pytest.mark.parametrize("operation", gen_ai_attributes.GenAiOperationNameValues)
def test_each_operation_of_gen_ai(operation: Any) -> None:
    assert kind_of({"gen_ai.operation.name": operation.value}) is not SpanKind.OTHER


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({}, SpanKind.OTHER),
        ({"http.request.method": "GET"}, SpanKind.OTHER),
        ({"gen_ai.request.model": "m"}, SpanKind.LLM),
        ({"gen_ai.tool.name": "t", "gen_ai.request.model": "m"}, SpanKind.TOOL),
        ({"gen_ai.operation.name": "mine", "gen_ai.request.model": "m"}, SpanKind.OTHER),
        ({"openinference.span.kind": "llm"}, SpanKind.LLM),
        ({"openinference.span.kind": 3}, SpanKind.OTHER),
        ({"openinference.span.kind": "CHAIN", "gen_ai.operation.name": "chat"}, SpanKind.CHAIN),
    ],
)
def test_kinds(attributes: Any, kind: SpanKind) -> None:
    assert kind_of(attributes) is kind


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"session.id": "a", "gen_ai.conversation.id": "b"}, "a"),
        ({"session.id": 7}, "7"),
        ({"session.id": True, "gen_ai.conversation.id": ["x"]}, None),
        ({"session.id": ""}, None),
        ({"session.id": " ", "gen_ai.conversation.id": "b"}, "b"),
        ({"session.id": "x" * 1000}, "x" * 1000),
        ({"session.id": "x" * 1001}, f"{'x' * 935}…{sha256(b'x' * 1001).hexdigest()}"),
        ({"session.id": "[Scrubbed due to 'session']", "gen_ai.conversation.id": "b"}, "b"),
        ({"session.id": "[REDACTED]"}, None),
        ({"session.id": "<redacted>"}, None),
        ({"session.id": "****"}, None),
        ({"session.id": "removed-42"}, "removed-42"),
        ({"metadata": '{"session_id": "s"}'}, "s"),
        ({"metadata": "{"}, None),
    ],
)
def test_names(attributes: Any, name: str | None) -> None:
    assert read(attributes).session == name


def test_components() -> None:
    assert component_of(SpanKind.LLM, {"service.name": "shop"}) == "shop"
    assert component_of(SpanKind.LLM, {"service.name": "unknown_service:python"}) == "llm"
    assert component_of(SpanKind.OTHER, {}) == "agent"


BY_OPENINFERENCE = {
    "llm.model_name": "small-1",
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Tea?",
    "llm.input_messages.2.message.role": "tool",
    "llm.input_messages.2.message.tool_call_id": "c0",
    "llm.input_messages.2.message.content": '{"stock": 2}',
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "A moment.",
    "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "kettle",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"cups": 2}',
}
BY_GEN_AI = {
    "gen_ai.request.model": "small",
    "gen_ai.response.model": "small-1",
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
    "gen_ai.input.messages": json.dumps([
        {"role": "user", "parts": [{"type": "text", "content": "Tea?"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c0", "response": {"stock": 2}}]},
    ]),
    "gen_ai.output.messages": [{"role": "assistant", "finish_reason": "tool_call", "parts": [
        {"type": "text", "content": "A moment."},
        {"type": "tool_call", "id": "c1", "name": "kettle", "arguments": {"cups": 2}},
    ]}],
}  # fmt: skip


@pytest.mark.parametrize("attributes", [BY_OPENINFERENCE, BY_GEN_AI], ids=["openinference", "gen_ai"])
def test_a_call_of_a_model_is_the_same_by_either(attributes: Any) -> None:
    kettle = ToolCall("c1", "kettle", encode_json({"cups": 2}))
    assert model_of(attributes) == "small-1"
    assert input_messages(attributes) == [
        ModelMessage("system", [TextContent("Be brief.")]),
        ModelMessage("user", [TextContent("Tea?")]),
        ModelMessage("tool", [ToolResponse("c0", encode_json({"stock": 2}), False)]),
    ]
    assert output_messages(attributes) == [ModelMessage("assistant", [TextContent("A moment."), kettle])]
    assert output_messages(attributes)[0].text == "A moment."
    assert tool_calls(attributes) == [kettle]


@pytest.mark.parametrize(
    ("attributes", "call"),
    [
        (
            {"gen_ai.tool.name": "kettle", "gen_ai.tool.call.id": "c1", "gen_ai.tool.call.arguments": '{"cups": 2}'},
            ToolCall("c1", "kettle", encode_json({"cups": 2})),
        ),
        ({"tool.name": "kettle", "tool.parameters": "two cups"}, ToolCall("", "kettle", encode_json("two cups"))),
    ],
)
def test_a_tool_that_ran(attributes: Any, call: ToolCall) -> None:
    assert tool_calls(attributes) == [call]
    assert output_messages(attributes) == []
    answered = output_messages({**attributes, "gen_ai.tool.call.result": '"hot"'})
    assert answered == [ModelMessage("tool", [ToolResponse(call.call_id, encode_json("hot"), False)])]


NAMES = st.sampled_from([*BY_OPENINFERENCE, *BY_GEN_AI, "llm.input_messages", "llm.input_messages.x", "llm.output_messages.0",
                         "llm.output_messages.0.message", "llm.output_messages.0.message.tool_calls", "tool.name"])  # fmt: skip
WORDS = st.sampled_from(["role", "parts", "type", "text", "tool_call", "tool_call_response", "content", "id", "name"])
SHAPES: Any = st.recursive(
    st.none() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(NAMES, SHAPES | SHAPES.map(json.dumps)))
def test_whatever_the_attributes_are_they_can_be_read(attributes: dict[str, Any]) -> None:
    for ask in (model_of, input_messages, output_messages, tool_calls, kind_of):
        ask(attributes)


@given(st.dictionaries(st.text(max_size=5), st.integers(0, 120_000).map(lambda size: "é" * size), max_size=8))
def test_attributes_are_kept_as_far_as_there_is_room(attributes: dict[str, str]) -> None:
    kept = bounded(attributes).value
    assert len(bytes(kept)) <= MAX_ATTRIBUTES
    found = decode_json(kept)
    cut = found.pop(SHORTENED, [])
    assert LEFT_OUT not in found
    assert sorted(found) == sorted(attributes)
    for name, value in found.items():
        if name not in cut:
            assert attributes[name] == value
        else:
            start, mark, end = value.split("…")
            kept = len(start.rstrip()) + len(end.strip())
            assert mark == f" [{len(attributes[name]) - kept:,} characters left out] "
    assert not cut or len(bytes(encode_json(attributes))) > MAX_ATTRIBUTES


def told(id: str, name: str) -> dict[str, Any]:
    return {"type": "tool_call", "id": id, "name": name, "arguments": {"for": name}}


def back(id: str, result: str) -> dict[str, Any]:
    return {"type": "tool_call_response", "id": id, "response": result}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([("assistant", told("0", "a")), ("tool", back("0", "A"))], {"a": "A"}),
        ([("assistant", told("0", "a")), ("user", {"type": "text", "content": "?"}), ("assistant", told("0", "b")), ("tool", back("0", "B"))], {"a": None, "b": "B"}),
        ([("assistant", told("0", "a"), told("0", "b")), ("tool", back("0", "A")), ("tool", back("0", "B"))], {"a": "A", "b": "B"}),
        ([("assistant", told("0", "a"), told("1", "b")), ("tool", back("1", "B"), back("0", "A"))], {"a": "A", "b": "B"}),
        ([("tool", back("0", "A")), ("assistant", told("0", "a"))], {"a": None}),
        ([("assistant", told("0", "a")), ("tool", back("0", "A")), ("tool", back("0", "B"))], {"a": "A"}),
        ([("assistant", told("0", "a"), back("0", "A"), told("0", "b"), back("0", "B"))], {"a": "A", "b": "B"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("read", [input_messages, output_messages])
def test_the_calls_of_a_span_show_the_responses_beside_them(read: Any, messages: Any, expected: Any) -> None:
    given = json.dumps([{"role": role, "parts": parts} for role, *parts in messages])
    found = read({"gen_ai.input.messages": given, "gen_ai.output.messages": given})
    calls = [part for message in found for part in message.content if type(part) is ToolCall]
    assert {one.tool: one.response and decode_json(one.response.result) for one in calls} == expected


def test_answers_of_tools_as_openinference_tells_them_of_autogen() -> None:
    at = "llm.input_messages.0"
    told = '{"name": "f", "content": "no water", "call_id": "1", "is_error": true}'
    [message] = input_messages({f"{at}.message.role": "function", f"{at}.function.0": told})
    assert message == ModelMessage("tool", [ToolResponse("1", encode_json("no water"), True)])


def test_the_calls_of_openinference_too() -> None:
    attributes: dict[str, Any] = {}
    for n, (id, result) in enumerate([("a", None), ("b", None), ("x", "B"), ("c", None), ("x", "C")]):
        at = f"llm.input_messages.{n}.message"
        if result is None:
            attributes |= {f"{at}.role": "assistant", f"{at}.tool_calls.0.tool_call.id": "x"}
            attributes |= {f"{at}.tool_calls.0.tool_call.function.name": id}
        else:
            attributes |= {f"{at}.role": "tool", f"{at}.content": result, f"{at}.tool_call_id": "x"}
    calls = [part for message in input_messages(attributes) for part in message.content if type(part) is ToolCall]
    shown = {one.tool: one.response and decode_json(one.response.result) for one in calls}
    assert shown in ({"a": "B", "b": None, "c": "C"}, {"a": None, "b": "B", "c": "C"})


def test_a_tool_that_ran_shows_what_it_answered() -> None:
    ran = {"gen_ai.tool.name": "f", "gen_ai.tool.call.id": "0"}
    [call] = tool_calls({**ran, "gen_ai.tool.call.result": '{"n": 1}', "error.type": "x"})
    assert call.response is not None
    assert (decode_json(call.response.result), call.response.is_error) == ({"n": 1}, True)
    [call] = tool_calls(ran)
    assert call.response is None


def test_usage_that_is_told_again_beside_a_call_is_not_counted() -> None:
    told = {"gen_ai.response.model": "m-1", "gen_ai.usage.input_tokens": 100, "ag2.span.type": "usage"}
    assert read({**told, "ag2.usage.kind": "model_call"}).usage == TokenUsage()
    assert read({**told, "ag2.usage.kind": "subtask"}).usage.input_tokens == 100
    assert read({**told, "ag2.usage.kind": "model_call"}).kind is SpanKind.OTHER


def test_what_crewai_tells_by_openinference() -> None:
    said = [{"role": role, "content": role} for role in ("system", "user", "assistant")]
    told = read(
        {
            "openinference.span.kind": "AGENT",
            "input.value": '{"agent": {"role": "Cook"}}',
            "output.value": bytes(encode_json({"raw": "assistant", "messages": said})).decode(),
        }
    )
    assert told.agent_name == "Cook"
    assert told.call is not None
    assert told.call.output == [ModelMessage("assistant", [TextContent("assistant")])]


def test_what_braintrust_tells() -> None:
    told = read(
        {
            "braintrust.span_attributes": '{"type": "llm", "name": "Chat Completion"}',
            "braintrust.metadata": '{"model": "m-1", "provider": "openai", "session_id": "s", "user_id": "u"}',
            "braintrust.input_json": '[{"role": "user", "content": "Tea?"}]',
            "braintrust.output_json": '[{"index": 0, "message": {"role": "assistant", "content": "Yes."}}]',
            "braintrust.metrics": '{"prompt_tokens": 10, "completion_tokens": 5, "tokens": 15, "prompt_cached_tokens": 4,'
            ' "completion_reasoning_tokens": 2, "time_to_first_token": 0.25}',
        }
    )
    assert (told.kind, told.session, told.user) == (SpanKind.LLM, "s", "u")
    assert (told.provider, told.model, told.time_to_first_token_ms) == ("openai", "m-1", 250)
    assert told.usage == TokenUsage(10, 5, 15, None, 4, 2)
    assert told.call == ModelCall(
        [ModelMessage("user", [TextContent("Tea?")])], [ModelMessage("assistant", [TextContent("Yes.")])]
    )


@pytest.mark.parametrize(
    ("told", "part"),
    [
        (
            {"tool_call": {"tool_name": "f", "arguments": {"a": 1}, "id": "1"}},
            ToolCall("1", "f", encode_json({"a": 1})),
        ),
        (
            {"tool_call_result": {"result": "no", "origin": {"tool_name": "f", "id": "1"}, "error": True}},
            ToolResponse("1", encode_json("no"), True),
        ),
        (
            {"type": "tool-result", "toolCallId": "1", "output": {"type": "error-text", "value": "no"}},
            ToolResponse("1", encode_json("no"), True),
        ),
        (
            {"type": "tool-result", "toolCallId": "1", "output": {"type": "text", "value": "no"}},
            ToolResponse("1", encode_json("no"), False),
        ),
        ({"reasoning": {"reasoning_text": "Hm", "extra": {}}}, ReasoningContent("Hm")),
        ({"image": {"base64_image": "AAAA", "mime_type": "image/png"}}, ImageContent(url="data:image/png;base64,AAAA")),
        ({"text": "Tea", "function_call": None, "reasoning": None, "tool_call_result": None}, TextContent("Tea")),
        ({"type": "text", "text": "Tea", "reasoning": "Hm"}, TextContent("Tea")),
    ],
)
def test_parts_that_tell_no_type(told: Any, part: Any) -> None:
    """As Haystack has them, and others that tell null for what they are not."""
    given = {"haystack.agent.step.llm.input": encode_json({"messages": [{"role": "assistant", "content": [told]}]})}
    [message] = input_messages({name: bytes(value).decode() for name, value in given.items()})
    [found] = message.content
    assert encode_json(found) == encode_json(
        part if not isinstance(part, ImageContent) else replace(found, url=part.url)
    )


def test_a_span_is_of_the_kind_that_an_attribute_tells_by_being_there() -> None:
    for name, value, kind in (
        ("haystack.agent.step.llm.input", "{}", SpanKind.LLM),
        ("haystack.agent.max_steps", 100, SpanKind.AGENT),
        ("haystack.agent.step", 0, SpanKind.CHAIN),
        ("haystack.tool.name", "f", SpanKind.TOOL),
        ("haystack.component.type", "OpenAIChatGenerator", SpanKind.LLM),
        ("haystack.component.type", "PromptBuilder", SpanKind.OTHER),
    ):
        assert kind_of({name: value}) is kind, name
