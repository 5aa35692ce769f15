"""What a part of a message says: a text, a call of a tool, or what one gave, in the forms in which providers and
frameworks write them (blocks of the Anthropic Messages API; parts of the AI SDK, as its user interface keeps them and
as it sends them to models)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from domain.message import ContentInput, ToolCallInput, ToolResponseInput
from domain.unicode import mended, read_json
from domain.values import EMPTY_OBJECT, Json, encode_json
from formats.conversation import MAX_ID, MAX_KEPT, member

_TEXTS = ("text", "input_text", "output_text")
_CALLS = {
    "tool_use": ("id", "name", "input"),
    "server_tool_use": ("id", "name", "input"),
    "mcp_tool_use": ("id", "name", "input"),
    "tool-call": ("toolCallId", "toolName", "input"),
}
"""Where a part of that type has the id, the tool and the arguments of a call."""
_RESULTS = {
    "tool_result": ("tool_use_id", "content"),
    "mcp_tool_result": ("tool_use_id", "content"),
    "tool-result": ("toolCallId", "output"),
}
"""Where a part of that type has the id of a call and what it gave."""


def content(part: Mapping[str, Any], where: str) -> list[ContentInput]:
    """What a part says; nothing where it is of another kind. Raises FormatError for a part of text without one."""
    kind = part.get("type")
    if kind in _TEXTS or (kind is None and type(part.get("text")) is str):
        return [ContentInput(text=member(part, "text", str, where))]
    if type(kind) is not str:
        return []
    if kind in _CALLS:
        call_id, tool, given = (part.get(name) for name in _CALLS[kind])
        return _call(call_id, tool, given)
    if kind in _RESULTS:
        call_id, given = (part.get(name) for name in _RESULTS[kind])
        return _result(call_id, given, part.get("is_error") is True)
    return _shown(part, kind)


def _shown(part: Mapping[str, Any], kind: str) -> list[ContentInput]:
    """A call and what it gave, in one part, as a user interface shows them."""
    if kind == "tool-invocation" and type(part.get("toolInvocation")) is dict:
        part = part["toolInvocation"]
        call_id, tool, given, gave = (part.get(name) for name in ("toolCallId", "toolName", "args", "result"))
    elif kind.startswith("tool-") or kind == "dynamic-tool":
        tool = part.get("toolName", kind.removeprefix("tool-"))
        call_id, given, gave = part.get("toolCallId"), part.get("input", part.get("rawInput")), part.get("output")
    else:
        return []
    call = _call(call_id, tool, given)
    failed = part.get("errorText")
    if call and (gave is not None or failed is not None):
        call += _result(call_id, gave if failed is None else failed, failed is not None)
    return call


def _call(call_id: Any, tool: Any, given: Any) -> list[ContentInput]:
    if not (_names(call_id) and _names(tool)):
        return []
    return [ContentInput(tool_call=ToolCallInput(call_id=call_id, tool=tool, arguments=arguments(given)))]


def _result(call_id: Any, given: Any, is_error: bool) -> list[ContentInput]:
    if not _names(call_id):
        return []
    if type(given) is dict and "value" in given and type(given.get("type")) is str:
        given, is_error = given["value"], is_error or given["type"].startswith("error")
    if type(given) is list:
        texts = [one.get("text") if type(one) is dict and one.get("type") in _TEXTS else None for one in given]
        said = [text for text in texts if type(text) is str]
        given = "\n".join(said) if len(said) == len(given) else [light(one) for one in given]
    result = encode_json("" if given is None else given)
    return [ContentInput(tool_response=ToolResponseInput(call_id=call_id, result=result, is_error=is_error))]


def _names(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= MAX_ID and not value.isspace()


def arguments(given: Any) -> Json:
    """Arguments as the JSON they are; a text that holds none stays a text."""
    if given is None:
        return EMPTY_OBJECT
    if not isinstance(given, str):
        return encode_json(given)
    try:
        found = read_json(msgspec.json.decode, given)
    except (msgspec.DecodeError, RecursionError):
        return encode_json(given)
    return encode_json(given) if found is None else Json(mended(given.encode()))


def light(part: Any) -> Any:
    """A part without the bytes it may carry in itself."""
    if type(part) is not dict or len(msgspec.json.encode(part)) <= MAX_KEPT:
        return part
    return {"type": part.get("type"), "left_out": sorted(part)}
