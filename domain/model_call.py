"""Model calls read from span attributes: input and output messages, and tool calls.

OpenInference spreads messages over flat attributes (`llm.input_messages.0.message.content`), OpenTelemetry GenAI keeps
them as JSON (`gen_ai.input.messages`, https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/). Both are read
into the same parts that messages of sessions have. What does not have the form of its convention is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from domain.message import Content, TextContent, ToolCall, ToolResponse
from domain.tool_calls import CallPart, Spot, Step, answers
from domain.unicode import read_json
from domain.values import encode_json

_MODEL = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "llm.response.model_name",
    "llm.request.model_name",
    "embedding.model_name",
    "reranker.model_name",
)
_INPUT = ("gen_ai.input.messages", "llm.input_messages")
_OUTPUT = ("gen_ai.output.messages", "llm.output_messages")
_INSTRUCTIONS = "gen_ai.system_instructions"
_TOOL = ("gen_ai.tool.name", "tool.name")
_CALL = ("gen_ai.tool.call.id", "tool.id")
_ARGUMENTS = ("gen_ai.tool.call.arguments", "tool.parameters")
_RESULT = "gen_ai.tool.call.result"


class ModelMessage(msgspec.Struct, frozen=True, gc=False):
    """What was said to a model or by it. role: as the model knows it, such as system, user, assistant or tool."""

    role: str
    content: list[Content]

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.content if type(part) is TextContent)


def model_of(attributes: Mapping[str, Any]) -> str | None:
    """The model a span called: the one that answered, else the one that was asked."""
    return next((name for key in _MODEL if isinstance(name := attributes.get(key), str) and name), None)


def input_messages(attributes: Mapping[str, Any]) -> list[ModelMessage]:
    """What was said to the model, its instructions first."""
    instructions = list(_parts(_structured(attributes.get(_INSTRUCTIONS))))
    system = [ModelMessage("system", instructions)] if instructions else []
    return system + _answered(_messages(attributes, *_INPUT, "user"))


def output_messages(attributes: Mapping[str, Any]) -> list[ModelMessage]:
    """What the model said; of a tool that ran, what it answered."""
    said = _messages(attributes, *_OUTPUT, "assistant")
    if said or _RESULT not in attributes:
        return _answered(said)
    return [ModelMessage("tool", [_result(attributes)])]


def _result(attributes: Mapping[str, Any]) -> ToolResponse:
    result = encode_json(_structured(attributes[_RESULT]))
    return ToolResponse(_text(attributes, _CALL), result, "error.type" in attributes)


def _answered(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Messages whose calls have the responses that are among them."""
    if not any(type(part) is ToolResponse for message in messages for part in message.content):
        return messages
    steps = (
        Step(place, message.role == "assistant", None, None, False, list(_call_parts(message)))
        for place, message in enumerate(messages)
    )
    found = {asked: messages[place].content[at] for asked, (place, at) in answers(steps).items()}

    def part(spot: Spot, part: Content) -> Content:
        return msgspec.structs.replace(part, response=found[spot]) if spot in found else part

    return [
        ModelMessage(message.role, [part((place, at), one) for at, one in enumerate(message.content)])
        for place, message in enumerate(messages)
    ]


def _call_parts(message: ModelMessage) -> Iterator[CallPart]:
    for at, part in enumerate(message.content):
        if not isinstance(part, TextContent):
            yield CallPart(at, part.call_id, type(part) is ToolResponse)


def tool_calls(attributes: Mapping[str, Any]) -> list[ToolCall]:
    """The calls the model asked for; of a tool that ran, the call it answered."""
    asked = [part for said in output_messages(attributes) for part in said.content if type(part) is ToolCall]
    tool = _text(attributes, _TOOL)
    if asked or not tool:
        return asked
    arguments: Any = next((attributes[key] for key in _ARGUMENTS if key in attributes), {})
    response = _result(attributes) if _RESULT in attributes else None
    return [ToolCall(_text(attributes, _CALL), tool, encode_json(_structured(arguments)), response=response)]


def _messages(attributes: Mapping[str, Any], standard: str, flat: str, role: str) -> list[ModelMessage]:
    given = _structured(attributes.get(standard))
    if isinstance(given, list):
        found = ((_text(one, ("role",)) or role, _parts(one.get("parts"))) for one in given if isinstance(one, dict))
    else:
        items = (one.get("message") for one in _listed(_nested(attributes, flat)) if isinstance(one, dict))
        found = ((_text(one, ("role",)) or role, _flat_parts(one)) for one in items if isinstance(one, dict))
    return [ModelMessage(name, list(parts)) for name, parts in found]


def _parts(parts: Any) -> Iterator[Content]:
    """The parts of a message of OpenTelemetry; of those that are no words and no tools there is nothing to show."""
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            continue
        id, type = _text(part, ("id",)), part.get("type")
        if type in ("text", "reasoning") and isinstance(part.get("content"), str):
            yield TextContent(part["content"])
        elif type == "tool_call":
            yield ToolCall(id, _text(part, ("name",)), encode_json(_structured(part.get("arguments", {}))))
        elif type == "tool_call_response":
            yield ToolResponse(id, encode_json(part.get("response", part.get("result"))), False)


def _flat_parts(message: dict[str, Any]) -> Iterator[Content]:
    """The parts of a message of OpenInference."""
    answered, text = message.get("tool_call_id"), message.get("content")
    if isinstance(answered, str):
        yield ToolResponse(answered, encode_json(_structured(text)), False)
        return
    contents = (_below(one, "message_content") for one in _listed(message.get("contents")))
    for found in (text, *(one.get("text") for one in contents)):
        if isinstance(found, str):
            yield TextContent(found)
    for one in _listed(message.get("tool_calls")):
        call = _below(one, "tool_call")
        function = _below(call, "function")
        if isinstance(name := function.get("name"), str):
            yield ToolCall(_text(call, ("id",)), name, encode_json(_structured(function.get("arguments", {}))))


def _structured(value: Any) -> Any:
    """A value that may be told as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return read_json(msgspec.json.decode, value)
    except (msgspec.DecodeError, RecursionError):
        return value


def _nested(attributes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The attributes below a prefix as a tree, a branch for each dot."""
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if key.startswith(f"{prefix}."):
            *branches, leaf = key[len(prefix) + 1 :].split(".")
            at = tree
            for branch in branches:
                below = at.setdefault(branch, {})
                at = below if isinstance(below, dict) else {}
            at[leaf] = value
    return tree


def _listed(tree: Any) -> list[Any]:
    """The branches of a tree that are numbers, in their order."""
    if not isinstance(tree, dict):
        return []
    return [tree[key] for key in sorted((key for key in tree if key.isdecimal() and len(key) < 10), key=int)]


def _below(tree: Any, branch: str) -> dict[str, Any]:
    found = tree.get(branch) if isinstance(tree, dict) else None
    return found if isinstance(found, dict) else {}


def _text(members: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((value for name in names if isinstance(value := members.get(name), str)), "")
