"""Messages in the form of chat completions: one list of them, a list of such lists, or a list of objects that hold one
as `messages` or `traj`, as logs and agent trajectories do.

A run with an id of its own (`id`, `run_id`, `session_id` or `conversation_id`, if it is a text) is known by it, another
by a digest of its messages; what else it holds says which task it was, not which run. A message is known by its place
and a digest of the run up to it: lines of one log that repeat what was said before them become one session, and runs
that differ under one id lose nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import msgspec

from domain.message import ContentInput, MessageInput, ToolCallInput, ToolResponseInput
from domain.session import CreateSessionInput
from domain.unicode import mended, read_json
from domain.values import EMPTY_OBJECT, MAX_NAME, Json, Ref, encode_json
from formats.conversation import (
    MAX_KEPT,
    Conversation,
    Conversations,
    FormatError,
    expect,
    first_time,
    kept,
    member,
    metadata,
    moment,
    own_id,
    title,
)
from formats.file import File

NAME = "openai-messages"
SUMMARY = "lists of chat messages, such as completion logs and agent runs"

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_LISTS = ("messages", "traj")
_IDS = ("id", "run_id", "session_id", "conversation_id")
_TIMES = ("created_at", "created", "timestamp")
_TEXTS = ("text", "input_text", "output_text")
_SAID = ("role", "name", "content", "tool_calls", "tool_call_id", "function_call")
"""The members of a message that are the message; others (token counts, finish reasons) are about it."""

_TITLE = 80


def recognizes(value: Any) -> bool:
    """Whether a JSON value is a list of messages or of runs, by the look of its first item."""
    if isinstance(value, list) and value:
        first = value[0]
        return isinstance(first, list) or (isinstance(first, dict) and any(name in first for name in (*_LISTS, "role")))
    return isinstance(value, dict) and any(name in value for name in _LISTS)


def read(file: File) -> Conversations:
    """The conversations of a file. Raises FormatError before it returns any."""
    return conversations(file.items, file.name)


def conversations(items: Sequence[Any], source: str) -> Conversations:
    """The runs of a file, each once, in order. Raises FormatError before it returns any.

    source: the name of the file, which is kept in the metadata.
    """
    if items and isinstance(items[0], dict) and ("role" in items[0] or "content" in items[0]):
        return Conversations([items], lambda items: _conversation({"messages": list(items)}, "", source))

    def one(place: int) -> Conversation:
        where = f"run {place + 1}"
        return _conversation(_run(items[place], where), where, source)

    places: dict[str, list[int]] = {}
    for place in range(len(items)):
        places.setdefault(one(place).key, []).append(place)
    return Conversations(list(places.values()), lambda places: reduce(_joined, map(one, places)))


def _run(run: Any, where: str) -> dict[str, Any]:
    """A run as an object with `messages`."""
    if isinstance(run, list):
        return {"messages": run}
    expect(run, "it", dict, where)
    name = next((name for name in _LISTS if name in run), _LISTS[0])
    others = {key: item for key, item in run.items() if key != name}
    return {**others, "messages": member(run, name, list, where)}


def _joined(before: Conversation, more: Conversation) -> Conversation:
    """One conversation of two under the same id."""
    known = {message.external_id for message in before.messages}
    fresh = [message for message in more.messages if message.external_id not in known]
    return msgspec.structs.replace(before, messages=before.messages + fresh)


def _conversation(run: dict[str, Any], where: str, source: str) -> Conversation:
    given = run["messages"]
    own = next((name for name in _IDS if isinstance(run.get(name), str) and run[name]), None)
    external = f"openai:sha256:{_digest(given)}" if own is None else f"openai:{own_id(run[own], own, where)}"
    named = member(run, "title", str, where, optional=True)
    others = {key: item for key, item in run.items() if key not in ("messages", "title", own)}
    messages = list(_messages(given, external, where))
    return Conversation(
        CreateSessionInput(
            external_id=external,
            title=title(named) if named else _title(given),
            created_at=_created(run) or first_time(messages),
            metadata=metadata({"imported_from": {"format": NAME, "file": source}, **kept(others)}),
        ),
        messages,
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def _title(messages: list[Any]) -> str:
    """The first words of a user."""
    for message in messages:
        if isinstance(message, dict) and message.get("role") == "user":
            words = " ".join(" ".join(_texts(message.get("content"), "")).split())
            if words:
                return words if len(words) <= _TITLE else words[: _TITLE - 1].rstrip() + "…"
    return ""


def _created(value: dict[str, Any]) -> Any:
    """When it was, where it says so in a form we know; other forms stay in the metadata."""
    for name in _TIMES:
        try:
            if (found := moment(value.get(name), name, "")) is not None:
                return found
        except FormatError:
            continue
    return None


def _messages(given: list[Any], external: str, where: str) -> Iterator[MessageInput]:
    """The messages of a run, each the child of the one before."""
    tools: dict[str, str] = {}
    digest = hashlib.sha256()
    before: Ref | None = None
    for place, message in enumerate(given, 1):
        at = f"{where}, message {place}" if where else f"message {place}"
        expect(message, "it", dict, at)
        said = {name: message[name] for name in _SAID if message.get(name) is not None}
        digest.update(msgspec.json.encode(said, order="sorted"))
        key = f"{external}:{place}:{digest.hexdigest()[:16]}"
        yield _message(message, key, before, tools, at)
        before = Ref(external_id=key)


def _message(message: dict[str, Any], key: str, before: Ref | None, tools: dict[str, str], where: str) -> MessageInput:
    """tools: the tool of each call id so far; a result is said by the tool it comes from."""
    role = member(message, "role", str, where)
    if role not in _ROLES:
        raise FormatError(f"role is {role[:40]!r}; expected one of {', '.join(_ROLES)}", where)
    name = member(message, "name", str, where, optional=True)
    texts = _texts(message.get("content"), where)
    content = [ContentInput(text=text) for text in texts or [""]]
    for call in _calls(message, where):
        tools[call.call_id] = call.tool
        content.append(ContentInput(tool_call=call))
    if _ROLES[role] == "tool":
        call_id = _answered(message, name, where)
        name = name or tools.get(call_id)
        response = ToolResponseInput(call_id=call_id, result=encode_json("\n".join(texts)))
        content.append(ContentInput(tool_response=response))
    return MessageInput(
        external_id=key,
        role=_ROLES[role],
        sender_name=(name if name and name.strip() else _ROLES[role])[:MAX_NAME],
        parent=before,
        content=content,
        created_at=_created(message),
        metadata=metadata(_rest(message, role)),
    )


def _texts(content: Any, where: str) -> list[str]:
    """The words of a content: a text to the letter, or its parts that are text."""
    if content is None or isinstance(content, str):
        return [content or ""]
    texts = []
    for part in expect(content, "content", list, where):
        if isinstance(part, str):
            texts.append(part)
        elif expect(part, "a part of content", dict, where).get("type") in _TEXTS:
            texts.append(member(part, "text", str, where))
    return texts


def _calls(message: dict[str, Any], where: str) -> Iterator[ToolCallInput]:
    for index, call in enumerate(member(message, "tool_calls", list, where, optional=True) or ()):
        path = f"tool_calls[{index}]"
        expect(call, path, dict, where)
        call_id = own_id(member(call, f"{path}.id", str, where), f"{path}.id", where)
        kind = "custom" if call.get("type") == "custom" else "function"
        yield _call(call_id, member(call, f"{path}.{kind}", dict, where), f"{path}.{kind}", where)
    called = member(message, "function_call", dict, where, optional=True)
    if called is not None:
        name = member(called, "function_call.name", str, where)
        yield _call(_unnumbered(name), called, "function_call", where)


def _call(call_id: str, called: dict[str, Any], path: str, where: str) -> ToolCallInput:
    tool = own_id(member(called, f"{path}.name", str, where), f"{path}.name", where)
    return ToolCallInput(call_id=call_id, tool=tool, arguments=_arguments(called.get("arguments", called.get("input"))))


def _arguments(given: Any) -> Json:
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


def _answered(message: dict[str, Any], name: str | None, where: str) -> str:
    """The id of the call a result answers; the older form names the function only."""
    given = member(message, "tool_call_id", str, where, optional=True)
    if given is not None:
        return own_id(given, "tool_call_id", where)
    if name:
        return _unnumbered(name)
    raise FormatError("tool_call_id is missing", where)


def _unnumbered(function: str) -> str:
    return f"function_call:{function}"


def _rest(message: dict[str, Any], role: str) -> dict[str, Any]:
    """What a message holds beside its words and calls, to be kept as metadata."""
    content = message.get("content")
    others = {name: value for name, value in message.items() if name not in _SAID}
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") not in _TEXTS]
        others["content"] = [_light(part) for part in parts]
    if role not in _ROLES.values():
        others["role"] = role
    return kept(others, 4 * MAX_KEPT)


def _light(part: dict[str, Any]) -> dict[str, Any]:
    """A part without the bytes it may carry in itself."""
    return part if len(msgspec.json.encode(part)) <= MAX_KEPT else {"type": part.get("type"), "left_out": sorted(part)}
