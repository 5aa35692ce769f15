"""Messages and their parts, in whatever form a library tells them.

Known by their shape: OpenTelemetry GenAI (`parts`), OpenAI (chat and responses), Anthropic, Bedrock, Gemini, LangChain,
Vercel AI and OpenInference, as values or as JSON text. What has none of these shapes is no message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from domain.message import Content, ReasoningContent, TextContent, ToolCall, ToolResponse, media
from domain.model_call import ModelMessage
from domain.unicode import read_json
from domain.values import NULL, Json, encode_json

MAX_DEPTH = 8
"""How deep messages lie inside of other values at the most."""

ROLES = {
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "model": "assistant",
    "chatbot": "assistant",
    "developer": "system",
    "function": "tool",
    "tool-call": "assistant",
    "tool-response": "tool",
}
"""What libraries call a role beside user, assistant, system and tool."""

_LISTS = ("messages", "input", "contents", "generations", "choices", "output", "candidates", "response", "outputs",
          "replies")  # fmt: skip
"""The members of a request to a model or of its response below which messages are."""

_TEXTS = {"text", "input_text", "output_text", "summary_text", "refusal"}
_THOUGHTS = {"reasoning", "thinking", "redacted_thinking"}
_CALLS = {"tool_call", "tool-call", "tool_use", "function_call", "server_tool_use"}
_RESPONSES = {"tool_call_response", "tool-result", "tool-error", "tool_result", "function_call_output", "tool_response"}
_MEDIA = {"image", "image_url", "input_image", "file", "input_file", "audio", "input_audio", "video", "document", "uri",
          "blob", "media"}  # fmt: skip


_THINKING = ("reasoningContent", "reasoning")
_CALLING = ("toolUse", "functionCall", "function_call", "tool_call")
_ANSWERING = ("toolResult", "functionResponse", "function_response", "tool_call_result")
"""The members of parts that tell no type."""


def structured(value: Any) -> Any:
    """A value that may be told as JSON text."""
    if not isinstance(value, str) or value[:1] not in _JSON:
        return value
    try:
        return read_json(msgspec.json.decode, value)
    except (msgspec.DecodeError, RecursionError):
        return value


_JSON = {*'{["tfn-0123456789 \t\r\n'}
"""What JSON text begins with."""


def plain(value: Any) -> Json:
    """A value as JSON, read where it is JSON text."""
    return encode_json(structured(value))


def messages(value: Any, role: str, depth: int = MAX_DEPTH) -> list[ModelMessage]:
    """The messages that a value tells. role: that of one that names none. Empty where it is none."""
    value = structured(value)
    if isinstance(value, str):
        return [ModelMessage(role, [TextContent(value)])] if value.strip() else []
    return [one for one in _messages(value, role, depth) if one.content]


def instructions(value: Any) -> list[ModelMessage]:
    """What a model was told to be: a text, or parts of it."""
    return [ModelMessage("system", content)] if (content := list(_parts(structured(value)))) else []


def _messages(value: Any, role: str, depth: int) -> Iterator[ModelMessage]:
    if depth == 0:
        return
    if isinstance(value, list):
        yield from _listed(value, role, depth)
    elif isinstance(value, dict):
        if _is_message(value):
            yield _message(value, role)
        elif (inner := _wrapped(value)) is not None:
            yield from _messages(inner, role, depth - 1)
        else:
            yield from _requested(value, role, depth)


def _listed(values: list[Any], role: str, depth: int) -> Iterator[ModelMessage]:
    """Messages in a list. One of two texts is a role and what it says; parts beside each other are one message."""
    if len(values) == 2 and all(isinstance(one, str) for one in values) and values[0] in _SPEAKERS:
        yield ModelMessage(_role(values[0], role), [TextContent(values[1])])
        return
    loose: list[Any] = []
    for one in values:
        if isinstance(one, dict) and not _is_message(one) and _is_part(one):
            loose.append(one)
            continue
        if loose:
            yield from _loose(loose, role)
            loose = []
        yield from _messages(structured(one), role, depth - 1)
    yield from _loose(loose, role)


def _loose(parts: list[Any], role: str) -> Iterator[ModelMessage]:
    """Parts that stand where messages do, as in OpenAI's Responses: who says one follows from what it is."""
    for part in _parts(parts):
        yield ModelMessage("tool" if type(part) is ToolResponse else role, [part])


def _requested(value: dict[str, Any], role: str, depth: int) -> Iterator[ModelMessage]:
    """The messages inside of a request or a response."""
    for name in ("instructions", "system", "systemInstruction", "system_instruction"):
        if role == "user" and value.get(name):
            yield from instructions(value[name])
    for name in _LISTS:
        found = structured(value.get(name))
        if isinstance(found, str) and name in ("input", "output", "response") and found.strip():
            yield ModelMessage(role, [TextContent(found)])
            return
        if isinstance(found, list | dict) and (inner := list(_messages(found, role, depth - 1))):
            yield from inner
            return
    if isinstance(text := value.get("text", value.get("prompt")), str) and text.strip():
        yield ModelMessage(role, [TextContent(text)])


def _wrapped(value: dict[str, Any]) -> Any:
    """The message inside of what carries one: LangChain's constructors, choices of OpenAI, events, OpenInference."""
    for name in ("kwargs", "data", "message", "update", "delta"):
        inner = structured(value.get(name))
        if isinstance(inner, dict) and any(name in inner for name in ("content", "messages", "role", "kwargs")):
            if isinstance(value.get("function"), list):  # beside the message
                return {**inner, "function": value["function"]}
            if name == "data" and isinstance(value.get("type"), str):
                return {"type": value["type"], **inner}
            return inner
    return None


def _is_message(value: dict[str, Any]) -> bool:
    if "role" in value:
        return isinstance(value["role"], str)
    if "content" in value:
        return _type(value) in _SPEAKERS
    return "tool_calls" in value or ("function_call" in value and not _type(value))


def _is_part(value: dict[str, Any]) -> bool:
    return _type(value) in _PARTS or any(name in value for name in ("toolUse", "toolResult", "reasoningContent"))


_SPEAKERS = {"user", "assistant", "system", "tool", *ROLES}
_PARTS = {*_TEXTS, *_THOUGHTS, *_CALLS, *_RESPONSES, *_MEDIA}


def _type(value: dict[str, Any]) -> str:
    told = value.get("type")
    return told if isinstance(told, str) else ""


def _role(told: Any, role: str) -> str:
    name: str = told if isinstance(told, str) and told else role
    return ROLES.get(name, name.lower())


def _message(value: dict[str, Any], role: str) -> ModelMessage:
    told = value.get("role")
    who = _role(told if isinstance(told, str) else value.get("type"), role)
    if (plain := _plain_texts(value)) is not None and who != "tool":
        return ModelMessage(who, plain)
    return ModelMessage(who, list(_content(value, who == "tool")))


def _plain_texts(value: dict[str, Any]) -> list[Content] | None:
    """The texts of a message that has nothing else, which are most: looking for more takes ten times as long."""
    parts = value.get("parts")
    if parts is None and len(value) == 2 and type(text := value.get("content")) is str and text[:1] not in ("[", "{"):
        return [TextContent(text)] if text.strip() else []
    if type(parts) is not list or not value.keys() <= _PLAIN:
        return None
    found: list[Content] = []
    for part in parts:
        if type(part) is not dict or part.get("type") != "text" or type(text := part.get("content")) is not str:
            return None
        if text.strip():
            found.append(TextContent(text))
    return found


_PLAIN = {"role", "parts", "finish_reason", "name"}


def _content(value: dict[str, Any], is_tool: bool) -> Iterator[Content]:
    """The parts of a message, each once: some libraries tell the text in `content` and again in `contents`."""
    if is_tool and isinstance(answers := value.get("function"), list):  # AutoGen, by OpenInference
        yield from (_response(one) for one in map(structured, answers) if isinstance(one, dict))
        return
    answered = _text(value, "tool_call_id", "id" if is_tool else "")
    told = [
        one for name in ("parts", "contents", "content", "blocks") for one in [structured_parts(value.get(name))] if one
    ]
    parts: list[Content] = []
    for one in told:
        parts += [part for part in _parts(one) if part not in parts]
    for name in ("reasoning_content", "reasoning"):
        if isinstance(thought := value.get(name), str) and thought.strip():
            parts.insert(0, ReasoningContent(thought))
            break
    if is_tool and answered and not any(type(part) is ToolResponse for part in parts):
        result = parts[0].text if len(parts) == 1 and isinstance(parts[0], TextContent) else told[0] if told else None
        yield ToolResponse(answered, plain(result), value.get("status") == "error" or value.get("is_error") is True)
        return
    yield from parts
    yield from _calls_beside(value, {part.call_id for part in parts if isinstance(part, ToolCall)})


def structured_parts(value: Any) -> Any:
    """Parts as JSON text, where it is an array of parts; any other text is one."""
    if (isinstance(value, str) and value[:2] in ("[{", '["')) or (isinstance(value, str) and value[:1] == "{"):
        found = structured(value)
        one = found[0] if isinstance(found, list) and found else found
        if isinstance(one, dict) and (_is_part(one) or ("text" in one and len(one) <= 2)):
            return found
    return value


def _calls_beside(value: dict[str, Any], known: set[str]) -> Iterator[Content]:
    """The tool calls that stand beside the parts."""
    calls = structured(value.get("tool_calls")) or structured(value.get("toolCalls"))
    more = value.get("additional_kwargs")
    if not calls and isinstance(more, dict):
        calls = more.get("tool_calls")
    for one in calls if isinstance(calls, list) else ():
        if (
            isinstance(one, dict)
            and (call := _call(one)) is not None
            and (not call.call_id or call.call_id not in known)
        ):
            yield call
    function = structured(value.get("function_call"))
    if isinstance(function, dict) and (call := _call(function)) is not None:
        yield call


def _call(value: dict[str, Any]) -> ToolCall | None:
    """A tool call: its name, id and arguments have one of a few names each."""
    for wrap in ("tool_call", "toolUse", "functionCall", "function_call"):
        if isinstance(inner := value.get(wrap), dict):
            return _call({**value, wrap: None, **inner})
    function = value.get("function")
    inner = function if isinstance(function, dict) else {}
    name = _text(inner, "name") or _text(value, "name", "toolName", "tool_name", "function_name")
    if not name:
        return None
    call_id = _text(value, "call_id", "toolCallId", "tool_call_id", "toolUseId", "id")
    for members in (inner, value):
        for at in ("arguments", "args", "input", "tool_kwargs"):
            if members.get(at) is not None:
                return ToolCall(call_id, name, plain(members[at]))
    return ToolCall(call_id, name, NULL)


def _parts(value: Any, depth: int = MAX_DEPTH) -> Iterator[Content]:
    """The parts of a message. Those that say nothing are left out."""
    if depth == 0 or value is None:
        return
    if isinstance(value, str):
        if value.strip():
            yield TextContent(value)
    elif isinstance(value, list):
        for one in value:
            yield from _parts(one, depth - 1)
    elif isinstance(value, dict):
        yield from _part(value, depth)


def _part(value: dict[str, Any], depth: int) -> Iterator[Content]:
    kind = _type(value)
    if isinstance(inner := value.get("message_content"), dict):
        yield from _part(inner, depth - 1)
    elif kind in _THOUGHTS or _has(value, _THINKING) or value.get("thought") is True:
        if thought := _thought(value):
            yield ReasoningContent(thought)
    elif kind in _CALLS or _has(value, _CALLING):
        if (call := _call(value)) is not None:
            yield call
    elif kind in _RESPONSES or _has(value, _ANSWERING):
        yield _response(value)
    elif kind in _MEDIA or "inline_data" in value or "file_data" in value or isinstance(value.get("image"), dict):
        yield _media(value)
    elif not kind or kind in _TEXTS:
        for name in ("text", "content", "refusal"):
            if isinstance(text := value.get(name), str):
                if text.strip():
                    yield TextContent(text)
                return


def _has(value: dict[str, Any], names: tuple[str, ...]) -> bool:
    return _type(value) not in _TEXTS and any(value.get(name) for name in names)


def _thought(value: Any) -> str:
    """The text of what a model thought, which may be told in parts, also as JSON text."""
    value = structured(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_thought, value)))
    if isinstance(value, dict):
        names = ("content", "text", "thinking", "reasoning", "summary", "reasoningText", "reasoningContent",
                 "reasoning_text")  # fmt: skip
        return next((text for name in names if value.get(name) and (text := _thought(value[name]))), "")
    return ""


def _response(value: dict[str, Any]) -> ToolResponse:
    for wrap in _ANSWERING:
        if isinstance(inner := value.get(wrap), dict):
            value = inner
    call_id = _text(value, "call_id", "toolCallId", "tool_call_id", "toolUseId", "tool_use_id", "id")
    if not call_id and isinstance(origin := value.get("origin"), dict):
        call_id = _text(origin, "id")
    names = ("response", "result", "output", "content", "error")
    found = next((value[name] for name in names if value.get(name) is not None), None)
    found = structured(found)
    failed = value.get("type") == "tool-error" or value.get("status") == "error"
    return ToolResponse(call_id, encode_json(unwrapped(found)), failed or _is_error(value) or tells_error(found))


def _is_error(value: dict[str, Any]) -> bool:
    return any(value.get(name) is True for name in ("is_error", "isError", "error"))


def tells_error(result: Any) -> bool:
    """Whether a result says of itself that it is an error, as those of Vercel and of MCP do."""
    if not isinstance(result, dict):
        return False
    if set(result) == {"type", "value"}:
        return result["type"] in ("error-text", "error-json")
    return "content" in result and any(result.get(name) is True for name in ("isError", "is_error"))


def unwrapped(value: Any) -> Any:
    """A result without what Vercel and Bedrock wrap one in."""
    if isinstance(value, dict) and set(value) == {"type", "value"}:
        return value["value"]
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        [one] = value
        if set(one) <= {"type", "text"} and isinstance(one.get("text"), str):
            return one["text"]
        if set(one) == {"json"}:
            return one["json"]
    return value


def _media(value: dict[str, Any]) -> Any:
    """An image or file; what has neither an address nor data is told by its type alone."""
    held: list[Mapping[str, Any]] = [value]
    for name in (
        "image_url",
        "image",
        "image",  # OpenInference: message_content.image.image.url
        "file",
        "input_audio",
        "source",
        "inline_data",
        "file_data",
        "audio",
        "inlineData",
    ):
        if isinstance(inner := held[-1].get(name), dict):
            held.append(inner)
    media_type, url = "", ""
    for one in reversed(held):
        media_type = media_type or _text(one, "mime_type", "media_type", "mediaType", "mimeType")
        url = url or _text(one, "url", "image_url", "uri", "file_uri", "fileUri")
        data = _text(one, "data", "file_data", "content", "base64_image", "base64_data")
        image = one.get("image")
        data = data or (image if isinstance(image, str) else "")
        if not url and data:
            url = (
                data
                if data.startswith(("data:", "http"))
                else f"data:{media_type or 'application/octet-stream'};base64,{data}"
            )
    if url.startswith("data:") and not media_type:
        media_type = url[5:].partition(",")[0].partition(";")[0]
    kind = _type(value).removeprefix("input_").removesuffix("_url")
    return media(media_type or kind or None, url or None)


def _text(members: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := members.get(name), str) and value), "")


def nested(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as a tree, a branch for each dot of their names; branches that are numbers become lists, in order."""
    tree: dict[str, Any] = {}
    for key, value in pairs.items():
        *branches, leaf = key.split(".")
        at = tree
        for branch in branches:
            below = at.get(branch)
            if not isinstance(below, dict):
                below = at[branch] = {}
            at = below
        if not isinstance(at.get(leaf), dict):
            at[leaf] = value
    found = _lists(tree)
    return found if isinstance(found, dict) else {"": found}


def _lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isdecimal() and len(key) < 10 for key in tree):
        return [_lists(tree[key]) for key in sorted(tree, key=int)]
    return {key: _lists(value) for key, value in tree.items()}
