"""Windows of sessions: what an agent reads before it answers, as model vendors take it.

A tool call and its result are a unit: both are in a window, or neither. Both vendors want results right behind their
calls, names and ids of letters, digits, _ and -, and an id once.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from domain.message import Media, Message, TextContent, ToolCall, ToolResponse
from domain.participant import SenderType
from domain.values import Command, Text, decode_json

OVERHEAD = 4
"""Tokens that a model message costs beside its texts."""


class ModelForm(enum.Enum):
    """Whose form model messages have: a list for OpenAI's chat completions, {system, messages} for Anthropic's."""

    OPENAI = "OPENAI"
    ANTHROPIC = "ANTHROPIC"


class WindowPart(enum.Enum):
    """Why something is in a window: one of the recent messages, one before them that had room, a memory of older
    messages or one that the query recalls, or the reasoning that led to a message."""

    RECENT = "RECENT"
    EARLIER = "EARLIER"
    COMPRESSED = "COMPRESSED"
    RECALLED = "RECALLED"
    REASONING = "REASONING"


class WindowInput(Command, frozen=True, kw_only=True):
    """How much of a session an agent reads, and a query for memories of those who take part in it."""

    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 8_000
    recent_messages: Annotated[int, Meta(ge=0, le=900)] = 20
    query: Text | None = None
    include_reasoning: bool = False


class Call(msgspec.Struct, frozen=True):
    id: str
    tool: str
    arguments: Any


class Result(msgspec.Struct, frozen=True):
    id: str
    text: str
    is_error: bool


class Turn(msgspec.Struct, frozen=True):
    """What one model message says, in no vendor's form. role: system, user, assistant or tool."""

    role: str
    text: str = ""
    calls: Sequence[Call] = ()
    results: Sequence[Result] = ()

    @property
    def texts(self) -> list[str]:
        """All that costs tokens."""
        calls = [text for call in self.calls for text in (call.tool, _json(call.arguments))]
        return [text for text in (self.text, *calls, *(one.text for one in self.results)) if text]


_ROLES = {SenderType.USER: "user", SenderType.AGENT: "assistant", SenderType.SYSTEM: "system", SenderType.TOOL: "tool"}
_STRANGE = re.compile(r"[^a-zA-Z0-9_-]")


class _Pair(NamedTuple):
    """A tool call and its result, and the indexes of their messages."""

    asked: int
    call: ToolCall
    answered: int
    response: ToolResponse


def _pairs(messages: Sequence[Message]) -> Iterator[_Pair]:
    """Each result with the earliest call before it that waits for one of its id, in its thread."""
    waiting: dict[tuple[Any, str], list[tuple[int, ToolCall]]] = {}
    for index, message in enumerate(messages):
        for part in message.content:
            if type(part) is ToolCall:
                waiting.setdefault((message.thread_id, part.call_id), []).append((index, part))
            elif type(part) is ToolResponse and (calls := waiting.get((message.thread_id, part.call_id))):
                yield _Pair(*calls.pop(0), index, part)


def units(messages: Sequence[Message]) -> list[list[Message]]:
    """Messages in groups that are never split: one alone, or from a tool call to its last result."""
    until: dict[int, int] = {}
    for pair in _pairs(messages):
        until[pair.asked] = max(pair.answered, until.get(pair.asked, 0))
    found: list[list[Message]] = []
    end = -1
    for index, message in enumerate(messages):
        if index > end:
            found.append([])
        found[-1].append(message)
        end = max(end, index, until.get(index, -1))
    return found


def turns(messages: Sequence[Message]) -> list[Turn]:
    """What messages say to a model: of blanks alone nothing, which models refuse. A call without a result among them,
    and a result without a call, are told in words."""
    pairs = list(_pairs(messages))
    answers, paired = {id(pair.call): pair.response for pair in pairs}, {id(pair.response) for pair in pairs}
    given: dict[str, int] = {}
    found: list[Turn] = []
    for message in messages:
        said, calls, results = [], [], []
        for part in message.content:
            if type(part) is ToolCall and (answer := answers.get(id(part))) is not None:
                call_id = _once(part.call_id, given)
                calls.append(Call(call_id, _plain(part.tool), decode_json(part.arguments)))
                results.append(Result(call_id, _text(answer), answer.is_error))
            elif id(part) not in paired and (text := _shown(part)).strip():
                said.append(text)
        role = "assistant" if calls else _ROLES[message.sender_type]
        if said or calls:
            found.append(Turn("user" if role == "tool" else role, "\n".join(said), calls))
        if results:
            found.append(Turn("tool", results=results))
    return found


def _shown(part: Any) -> str:
    if isinstance(part, ToolCall):
        return f"[called {part.tool} with {str(part.arguments, 'utf-8')}; there is no result]"
    if isinstance(part, ToolResponse):
        return f"[a tool's result: {_text(part)}]"
    if isinstance(part, Media):
        told = next(
            (text for name in ("caption", "title", "text", "transcript") if (text := getattr(part, name, None))), ""
        )
        return f"[{part.medium.value.lower()}{': ' if told else ''}{told}]"
    return part.text if isinstance(part, TextContent) else ""


def _text(response: ToolResponse) -> str:
    value = decode_json(response.result)
    return value if isinstance(value, str) else str(response.result, "utf-8")


def _plain(name: str) -> str:
    return _STRANGE.sub("_", name)[:64] or "_"


def _once(name: str, given: dict[str, int]) -> str:
    """A call id that no other call of the window has."""
    plain = _plain(name)
    count = given[plain] = given.get(plain, 0) + 1
    return plain if count == 1 else _once(f"{plain[:56]}_{count}", given)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def openai(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Messages as https://platform.openai.com/docs/api-reference/chat takes them."""
    return [message for turn in turns for message in _openai(turn)]


def _openai(turn: Turn) -> Iterator[dict[str, Any]]:
    for result in turn.results:
        yield {"role": "tool", "tool_call_id": result.id, "content": result.text}
    if turn.calls:
        calls = [
            {"id": one.id, "type": "function", "function": {"name": one.tool, "arguments": _json(one.arguments)}}
            for one in turn.calls
        ]
        yield {"role": "assistant", "content": turn.text or None, "tool_calls": calls}
    elif turn.text:
        yield {"role": turn.role, "content": turn.text}


def anthropic(turns: Sequence[Turn]) -> dict[str, Any]:
    """Messages as https://docs.anthropic.com/en/api/messages takes them: roles take turns, and a user begins."""
    system = "\n\n".join(turn.text for turn in turns if turn.role == "system")
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "system":
            continue
        role = "assistant" if turn.role == "assistant" else "user"
        if not messages and role == "assistant":
            messages.append({"role": "user", "content": [{"type": "text", "text": "..."}]})
        if not messages or messages[-1]["role"] != role:
            messages.append({"role": role, "content": []})
        messages[-1]["content"] += _blocks(turn)
    return {"system": system, "messages": messages}


def _blocks(turn: Turn) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [
        {
            "type": "tool_result",
            "tool_use_id": one.id,
            "content": one.text,
            **({"is_error": True} if one.is_error else {}),
        }
        for one in turn.results
    ]
    blocks += [{"type": "text", "text": turn.text}] if turn.text else []
    return blocks + [
        {
            "type": "tool_use",
            "id": one.id,
            "name": one.tool,
            "input": one.arguments if isinstance(one.arguments, dict) else {"value": one.arguments},
        }
        for one in turn.calls
    ]
