"""Messages in the form of chat completions: one list of them, a list of such lists, or a list of objects that hold one
as `messages` or `traj`, as logs and agent trajectories do.

A run with an id of its own (one of _IDS, if it is a text) is known by it, another by a digest of its messages; what
else it holds says which task it was, not which run. A message is known by its place and a digest of the run up to it:
lines of one log that repeat what was said before them become one session, and runs that differ under one id lose
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import msgspec

from domain.message import ContentInput, MessageInput, ToolCallInput, ToolResponseInput
from domain.session import CreateSessionInput
from domain.values import MAX_NAME, Ref, encode_json
from formats import parts
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
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
}
"""What else a role may be is a system's, and stays in the metadata."""
_LISTS = ("messages", "traj")
_IDS = ("id", "run_id", "session_id", "conversation_id", "sessionId")
_TIMES = ("created_at", "created", "timestamp", "createdAt", "ts")
_MILLISECONDS = 1e11
"""A time from this number on is none of seconds: it would be in the year 5138."""
_SAID = ("role", "name", "content", "parts", "tool_calls", "tool_call_id", "function_call")
"""The members of a message that are the message; others (token counts, finish reasons) are about it."""

_TITLE = 80


def recognizes(value: Any) -> bool:
    """Whether a JSON value is a list of messages or of runs, by the look of its first item."""
    if isinstance(value, list) and value:
        first = value[0]
        return isinstance(first, list) or _is_run(first) or (isinstance(first, dict) and "role" in first)
    return _is_run(value)


def _is_run(value: Any) -> bool:
    """Whether it is an object that holds messages; other formats have lists of that name, of what has no role."""
    if not isinstance(value, dict):
        return False
    given = next((value[name] for name in _LISTS if name in value), None)
    return given is not None and not (
        isinstance(given, list) and given and isinstance(given[0], dict) and "role" not in given[0]
    )


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
            words = " ".join(" ".join(part.text for part in _content(message, "") if part.text is not None).split())
            if words:
                return words if len(words) <= _TITLE else words[: _TITLE - 1].rstrip() + "…"
    return ""


def _created(value: dict[str, Any]) -> Any:
    """When it was, where it says so in a form we know; other forms stay in the metadata."""
    for name in _TIMES:
        given = value.get(name)
        if isinstance(given, int | float) and given >= _MILLISECONDS:
            given /= 1000
        try:
            if (found := moment(given, name, "")) is not None:
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
    given = member(message, "role", str, where)
    role = _ROLES.get(given, "system")
    name = member(message, "name", str, where, optional=True)
    content = _content(message, where)
    content += [ContentInput(tool_call=call) for call in _calls(message, where)]
    answered = [part.tool_response.call_id for part in content if part.tool_response is not None]
    tools.update((part.tool_call.call_id, part.tool_call.tool) for part in content if part.tool_call is not None)
    if role == "tool" and not answered:
        answered = [_answered(message, name, where)]
        said = encode_json("\n".join(part.text for part in content if part.text is not None))
        content.append(ContentInput(tool_response=ToolResponseInput(call_id=answered[0], result=said)))
    if role == "user" and answered and len(answered) == len(content):
        role = "tool"
    if role == "tool":
        name = name or tools.get(answered[0])
    return MessageInput(
        external_id=key,
        role=role,
        sender_name=(name if name and name.strip() else role)[:MAX_NAME],
        parent=before,
        content=content,
        created_at=_created(message),
        metadata=metadata(_rest(message, given)),
    )


def _content(message: dict[str, Any], where: str) -> list[ContentInput]:
    """What a message says: a text to the letter, or those of its parts that are texts, calls or results."""
    given = _parts(message, where)
    if not isinstance(given, list):
        return [ContentInput(text=given or "")]
    found: list[ContentInput] = []
    for part in given:
        if isinstance(part, str):
            found.append(ContentInput(text=part))
        else:
            found += parts.content(expect(part, "a part of content", dict, where), where)
    return found or [ContentInput(text="")]


def _parts(message: dict[str, Any], where: str) -> list[Any] | str | None:
    """The content of a message, which the AI SDK keeps as `parts`, and its older versions as both."""
    content, others = message.get("content"), message.get("parts")
    if not isinstance(others, list):
        return content if content is None or isinstance(content, str) else list(expect(content, "content", list, where))
    tells = any(isinstance(part, dict) and part.get("type") == "text" for part in others)
    if not content or tells:
        return others
    return [*(content if isinstance(content, list) else [content]), *others]


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
    return ToolCallInput(
        call_id=call_id, tool=tool, arguments=parts.arguments(called.get("arguments", called.get("input")))
    )


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
    said = [name for name in _SAID if name != "parts" or isinstance(message.get(name), list)]
    others = {name: value for name, value in message.items() if name not in said}
    given = _parts(message, "")
    if isinstance(given, list):
        silent = [part for part in given if isinstance(part, dict) and not parts.content(part, "")]
        others["content"] = [parts.light(part) for part in silent]
    if role not in _ROLES.values():
        others["role"] = role
    return kept(others, 4 * MAX_KEPT)
