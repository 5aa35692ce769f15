"""What events of spans, and log records, tell: messages, one by one, failures, and when an answer began."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.conventions import content
from domain.conventions.fitting import fitted
from domain.conventions.lookup import CHUNKS, FIRST_TOKENS, PLACES
from domain.conventions.reading import NOTHING, Attributes, Reading, and_then, read, reason_of
from domain.message import ToolCall, ToolResponse
from domain.model_call import Heard, ModelCall
from domain.span import SpanKind
from domain.values import NULL, encode_json

_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
"""The events and log records that are one message each, and who said it."""

_CHOICE = "gen_ai.choice"
_DETAILS = ("gen_ai.client.inference.operation.details", "gen_ai.content.prompt", "gen_ai.content.completion")
"""Those whose attributes are what those of the span would be."""

_TRACEBACK = re.compile(r"\s*Traceback \(most recent call last\).*|\n\s+(?:File \"|at ).*", re.S)


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event of a span, or a log record. time: nanoseconds since 1970. body: of log records, what they say."""

    time: int
    name: str
    attributes: Attributes
    body: Any = None


def is_chunk(name: str) -> bool:
    """Whether an event is one of those of which there is one for each part of a streamed answer."""
    return name.startswith(CHUNKS)


def tells_content(name: str) -> bool:
    """Whether an event or log record of that name is a message, or has messages among its attributes."""
    return name in _EVENTS or name in _DETAILS


def with_events(found: Reading, events: Sequence[Event], start: int) -> Reading:
    """What a span tells by its attributes, and then by its events. start: nanoseconds since 1970."""
    for event in events:
        name = event.name
        if name in FIRST_TOKENS or is_chunk(name):
            if found.time_to_first_token_ms is None and 0 < start <= event.time:
                found = replace(found, time_to_first_token_ms=(event.time - start) / 1e6)
        elif name in _EVENTS:
            found = and_then(found, _tool_event(event) if found.kind is SpanKind.TOOL else heard(event))
        elif name in _DETAILS:
            found = and_then(found, replace(read(event.attributes), kind=found.kind))
    return found


def heard(event: Event) -> Reading:
    """What one event or log record of a message tells."""
    if event.name in _DETAILS:
        return read(event.attributes)
    body = content.structured(event.body) if event.body is not None else event.attributes
    if isinstance(body, str):
        body = {"content": body}
    if not isinstance(body, Mapping):
        return NOTHING
    by_model = event.name == _CHOICE
    reason = body.get("finish_reason", event.attributes.get("finish_reason"))
    reasons = [reason_of(reason)] if by_model and isinstance(reason, str) and reason else []
    told = content.structured(body.get("message")) if by_model else dict(body)
    if not isinstance(told, dict):
        told = {"content": told}
    role = _EVENTS[event.name]
    said = content.messages({"role": role, **told}, role)
    if not said:
        return replace(NOTHING, finish_reasons=reasons)
    key = hashlib.blake2b(msgspec.json.encode([event.time, event.name, told]), digest_size=8).hexdigest()
    warnings: list[str] = []
    call = fitted(ModelCall(heard=[Heard(event.time, key, by_model, one) for one in said[:1]]), warnings)
    return replace(NOTHING, finish_reasons=reasons, call=call, warnings=warnings)


def _tool_event(event: Event) -> Reading:
    """What an event in a tool's span tells: what it was called with, or what it answered."""
    call_id = event.attributes.get("id")
    id = call_id if isinstance(call_id, str) else ""
    if event.name == _CHOICE:
        value = content.structured(event.attributes.get("message"))
        value = content.structured(content.unwrapped(value))
        ran = ToolCall(id, "", NULL, response=ToolResponse(id, encode_json(value), False))
    elif event.name == "gen_ai.tool.message":
        ran = ToolCall(id, "", content.plain(event.attributes.get("content")))
    else:
        return NOTHING
    return replace(NOTHING, call=ModelCall(ran=ran))


def error_message(told: str, events: Sequence[Event], attributes: Attributes) -> str:
    """What went wrong, in words: a traceback is left out."""
    texts = [told, *(event.attributes.get("exception.message") for event in events if event.name == "exception")]
    texts += [attributes.get(name) for name in _ERRORS]
    for text in texts:
        if isinstance(text, str) and text.strip():
            if found := _TRACEBACK.sub("", text, count=1).strip():
                return found
            return text.strip().rpartition("\n")[2]
    return ""


_ERRORS = [name for name, places in PLACES.items() if any(place.slot == "error" for place in places)]
