"""Read what a span tells, once, when it comes: who, which model, how many tokens, which messages and calls."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.conventions import content
from domain.conventions.fitting import fitted, may_be_long
from domain.conventions.lookup import (
    CHUNKS,
    FIRST_TOKENS,
    KINDS,
    NAMED,
    NO_PROVIDERS,
    PLACES,
    PREFIXES,
    RUNNING,
    STANDARD,
    first,
    place_below,
)
from domain.conventions.usage import amount, usage
from domain.message import Content, ReasoningContent, TextContent, ToolCall, ToolResponse
from domain.model_call import Heard, ModelCall, ModelMessage
from domain.span import Span, SpanKind, SpanStatusCode, TokenUsage
from domain.values import MAX_NAME, NULL, Json, decode_json, encode_json

Attributes = Mapping[str, Any]

_UNNAMED = "unknown_service"
"""What the SDKs call a service without a name, sometimes with the name of the program behind it."""

_COMPONENTS = {
    SpanKind.AGENT: "agent",
    SpanKind.CHAIN: "agent",
    SpanKind.LLM: "llm",
    SpanKind.REASONING: "llm",
    SpanKind.RETRIEVER: "memory",
    SpanKind.EMBEDDING: "memory",
    SpanKind.TOOL: "tool",
}

_TELLING = (
    ("tool", SpanKind.TOOL),
    ("model", SpanKind.LLM),
)
"""What spans without a kind have that tells it."""

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

_MARK = r"(scrubbed|redacted|filtered|masked|removed|hidden|anonymi[sz]ed)"
_REDACTED = re.compile(rf"\W+{_MARK}\b.*|{_MARK}|[*•]{{2,}}", re.I | re.S)
"""What stands in the place of an id that a library took out."""

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I)
_TRACEBACK = re.compile(r"\s*Traceback \(most recent call last\).*|\n\s+(?:File \"|at ).*", re.S)


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event of a span, or a log record. time: nanoseconds since 1970. body: of log records, what they say."""

    time: int
    name: str
    attributes: Attributes
    body: Any = None


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a span tells by any convention. session, user, agent: externalIds; user_name, agent_name: what they are
    called. warnings: what of it cannot be read, or not as it came."""

    kind: SpanKind = SpanKind.OTHER
    session: str | None = None
    user: str | None = None
    user_name: str | None = None
    agent: str | None = None
    agent_name: str | None = None
    provider: str | None = None
    model: str | None = None
    time_to_first_token_ms: float | None = None
    finish_reasons: list[str] = []
    usage: TokenUsage = TokenUsage()
    call: ModelCall | None = None
    warnings: list[str] = []


NOTHING = Reading()


def read(
    attributes: Attributes,
    name: str = "",
    *,
    kind: SpanKind | None = None,
    failed: bool = False,
    start: int = 0,
    events: Sequence[Event] = (),
) -> Reading:
    """What attributes and events of a span tell. name: the span's. kind: where it is known without them. start:
    nanoseconds since 1970, 0 where unknown."""
    given: dict[str, list[tuple[int, str, Any]]] = {}
    trees: dict[str, dict[str, Any]] = {}
    for key, value in attributes.items():
        if (places := PLACES.get(key)) is not None:
            for place in places:
                told = value if not place.member else _member(value, place.member)
                if told is not None:
                    given.setdefault(place.slot, []).append((place.rank, place.name, told))
        elif key.startswith(PREFIXES):
            place, rest = place_below(key)
            trees.setdefault(place.name, {})[rest] = value
    if not given and not trees and not events:
        return NOTHING if kind is None else replace(NOTHING, kind=kind)
    for names, pairs in trees.items():
        place, _ = place_below(names)
        given.setdefault(place.slot, []).append((place.rank, place.name, _tree(pairs)))
    failed = failed or "error.type" in attributes
    return _Reader(given, name, failed, start).read(kind, events)


def _member(value: Any, name: str) -> Any:
    value = content.structured(value)
    return value.get(name) if isinstance(value, dict) else None


def _tree(pairs: Mapping[str, Any]) -> Any:
    tree = content.nested(pairs)
    return tree[""] if set(tree) == {""} else [tree[key] for key in sorted(tree, key=_order) if key.isdecimal()]


def _order(key: str) -> int:
    return int(key) if key.isdecimal() and len(key) < 10 else -1


class _Reader:
    """One span on its way. given: by slot what is told for it: rank, name of the attribute, value."""

    def __init__(self, given: dict[str, list[tuple[int, str, Any]]], name: str, failed: bool, start: int) -> None:
        self._given, self._name, self._failed, self._start = given, name, failed, start
        self._warnings: list[str] = []
        self._own: str | None = None

    def read(self, kind: SpanKind | None, events: Sequence[Event]) -> Reading:
        kind = kind or self._kind()
        provider, is_running = self._provider(kind)
        agent, agent_name = self._agent(kind)
        call = self._call(kind)
        if call is not None and may_be_long(self._given):
            call = fitted(call, self._warnings)
        tokens = TokenUsage() if is_running else usage(self._given, self._warnings)
        found = Reading(
            kind,
            self._named("session"),
            self._named("user"),
            self._named("user_name"),
            agent,
            agent_name,
            provider,
            self._named("model"),
            self._first_token(),
            self._reasons(),
            tokens,
            call,
            self._warnings,
        )
        return _with_events(found, events, self._start) if events else found

    def _told(self, slot: str) -> list[tuple[int, str, Any]]:
        return first(self._given, slot)

    def _kind(self) -> SpanKind:
        """The kind of work a span represents."""
        told = self._told("kind")
        for _, name, value in told:
            value = content.structured(value)
            if isinstance(value, str) and (kind := KINDS[name].get(value.lower())) is not None:
                if kind in NAMED.get(name, ()):
                    self._own = self._name
                return kind
        if told:
            return SpanKind.OTHER
        for slot, kind in _TELLING:
            for _, name, _ in self._told(slot):
                return SpanKind.EMBEDDING if name.startswith("embedding.") else kind
        return SpanKind.OTHER

    def _named(self, slot: str) -> str | None:
        """The first that can be a name; one that is too long keeps its beginning, and a digest tells it from others."""
        taken = None
        for _, name, value in self._told(slot):
            value = content.structured(value) if isinstance(value, str) and value[:1] == '"' else value
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if not isinstance(value, str):
                self._warn(f"{name} is not a string")
            elif not value.strip():
                if name in STANDARD:  # libraries have blank defaults in names of their own
                    self._warn(f"{name} is blank")
            elif _REDACTED.fullmatch(value):
                self._warn(f"{name} is redacted")
            elif taken is None:
                if len(value) > MAX_NAME:
                    self._warn(f"{name} has more than {MAX_NAME:,} characters; its end was replaced by a digest")
                    value = digested(value)
                taken = value
        return taken

    def _warn(self, problem: str) -> None:
        if problem not in self._warnings:
            self._warnings.append(problem)

    def _agent(self, kind: SpanKind) -> tuple[str | None, str | None]:
        """An agent's externalId and name. A random id is new in each run, so the name decides."""
        name = self._named("agent") or (self._entity() if kind is SpanKind.AGENT else None)
        id = self._named("agent_id")
        if id is None or _UUID.fullmatch(id):
            id = name
        return id, name

    def _entity(self) -> str | None:
        return self._named("entity") or (self._own or None)

    def _provider(self, kind: SpanKind) -> tuple[str | None, bool]:
        """The provider of the model, and whether the span tells sums of what went before it."""
        running = False
        for _, name, value in self._told("provider"):
            if isinstance(value, str) and value:
                running |= kind is SpanKind.AGENT and value in RUNNING
                if value not in NO_PROVIDERS:
                    return (
                        value.partition(".")[0] if name.startswith("ai.") or value.startswith("openai.") else value
                    ), running
        return None, running

    def _first_token(self) -> float | None:
        """Milliseconds until the first part of the answer came. Fractions are seconds, whole numbers milliseconds."""
        for _, _, value in self._told("first_token"):
            if (found := amount(value)) is not None and found >= 0:
                return float(value) if isinstance(value, int) else found * 1000
        for _, _, value in self._told("first_token_ms"):
            if (found := amount(value)) is not None and found >= 0:
                return found
        for _, _, value in self._told("first_token_at"):
            try:
                at = datetime.fromisoformat(str(content.structured(value)))
            except ValueError:
                continue
            return self._since(int(at.timestamp() * 1e9))
        return None

    def _since(self, time: int) -> float | None:
        return (time - self._start) / 1e6 if 0 < self._start <= time else None

    def _reasons(self) -> list[str]:
        for _, _, value in self._told("finish_reasons"):
            value = content.structured(value)
            told = value if isinstance(value, list) else [value]
            if found := [reason_of(one) for one in told if isinstance(one, str) and one]:
                return found
        return []

    def _call(self, kind: SpanKind) -> ModelCall | None:
        if kind is SpanKind.TOOL:
            ran = self._ran()
            return None if ran is None else ModelCall(ran=ran)
        asks = kind in (SpanKind.LLM, SpanKind.AGENT)
        asked = self._messages("asked", "user") or (self._messages("given", "user", kind) if asks else [])
        said = self._messages("said", "assistant") or self._spoken()
        said = said or (self._messages("made", "assistant", kind) if asks else [])
        for _, _, value in self._told("instructions"):
            system = content.instructions(value)
            if system and (not asked or asked[0].role != "system" or asked[0].text.strip() != system[0].text.strip()):
                asked = system + asked
            break
        return ModelCall(asked, said) if asked or said else None

    def _messages(self, slot: str, role: str, kind: SpanKind = SpanKind.LLM) -> list[ModelMessage]:
        """The messages of the first attribute that tells any; what goes into an agent as a mere text is none."""
        for _, name, value in self._told(slot):
            read = content.structured(value)
            if isinstance(read, str) and read.lstrip()[:1] in ("{", "["):
                self._warn(f"{name} is not valid JSON")
                continue
            if isinstance(read, str) and slot in ("given", "made") and kind is not SpanKind.LLM:
                continue
            if found := content.messages(read, role):
                return found
            if not isinstance(read, list | dict | str | None):
                self._warn(f"{name} holds no messages")
        return []

    def _spoken(self) -> list[ModelMessage]:
        """One message whose parts are told by names of their own."""
        parts: list[Content] = []
        for _, _, value in self._told("thoughts")[:1]:
            parts += [ReasoningContent(value)] if isinstance(value, str) and value else []
        for _, _, value in self._told("text")[:1]:
            parts += [TextContent(value)] if isinstance(value, str) and value.strip() else []
        for _, _, value in self._told("calls")[:1]:
            for message in content.messages({"role": "assistant", "tool_calls": value}, "assistant"):
                parts += message.content
        return [ModelMessage("assistant", parts)] if parts else []

    def _ran(self) -> ToolCall | None:
        """The call that a tool's span is of."""
        tool = self._named("tool") or self._entity() or self._name
        if not tool:
            return None
        call_id = self._named("call_id") or ""
        arguments = self._arguments()
        response = None
        for _, _, value in [*self._told("result"), *self._told("made")]:
            response = outcome(value, call_id)
            call_id = call_id or response.call_id
            break
        if self._failed:
            response = ToolResponse(call_id, NULL if response is None else response.result, True)
        return ToolCall(call_id, tool, arguments, response=response)

    def _arguments(self) -> Json:
        """What a tool was called with; null where it is not told. A JSON schema is what it may be called with."""
        for _, _, value in [*self._told("arguments"), *self._told("given")]:
            found = content.structured(value)
            if isinstance(found, dict):
                if _is_schema(found):
                    continue
                found = _keywords(found)
            if found is not None:
                return encode_json(found)
        return NULL


def _is_schema(value: dict[str, Any]) -> bool:
    """Whether it says what a tool may be called with, as a JSON schema or by the types of its inputs."""
    if "properties" in value and value.get("type") == "object":
        return True
    inputs = list(value.values())
    return bool(inputs) and all(isinstance(one, dict) and {"type", "description"} <= one.keys() for one in inputs)


def _keywords(value: dict[str, Any]) -> Any:
    """Arguments without what Python's decorators wrap them in."""
    if value and set(value) <= {"args", "kwargs", "sanitize_inputs_outputs"}:
        given, named = value.get("args"), value.get("kwargs")
        return named if named or not given else given
    return value


def outcome(value: Any, call_id: str) -> ToolResponse:
    """What a tool answered, without what LangChain and LlamaIndex wrap it in."""
    found = content.structured(value)
    if isinstance(found, dict):
        inner = (
            found.get("output")
            if set(found) == {"output"}
            else found.get("data")
            if found.get("type") == "tool"
            else None
        )
        inner = inner if isinstance(inner, dict) else found
        if "tool_call_id" in inner or ("raw_output" in inner and "is_error" in inner):
            id = inner.get("tool_call_id")
            failed = inner.get("status") == "error" or inner.get("is_error") is True
            result = inner.get("raw_output", inner.get("content"))
            return ToolResponse(call_id or (id if isinstance(id, str) else ""), content.plain(result), failed)
        if set(found) == {"output"}:
            found = found["output"]
    return ToolResponse(call_id, encode_json(found), False)


def reason_of(told: str) -> str:
    """A reason to finish, without the name of Python's enum."""
    return told.rpartition(".")[2].lower() if told.startswith("FinishReason.") else told


def digested(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: MAX_NAME - len(digest) - 1]}…{digest}"


def component_of(kind: SpanKind, resource: Attributes) -> str:
    """The part of the system that did it: the service by its name, else what does that sort of work."""
    service = resource.get("service.name")
    if not isinstance(service, str) or not service.strip() or service.startswith(_UNNAMED):
        return _COMPONENTS.get(kind, "agent")
    return service if len(service) <= MAX_NAME else digested(service)


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


# -- events and log records ------------------------------------------------------------------------------------


def is_chunk(name: str) -> bool:
    """Whether an event is one of those of which there is one for each part of a streamed answer."""
    return name.startswith(CHUNKS)


def tells_content(name: str) -> bool:
    """Whether an event or log record of that name is a message, or has messages among its attributes."""
    return name in _EVENTS or name in _DETAILS


def _with_events(found: Reading, events: Sequence[Event], start: int) -> Reading:
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


def and_then(before: Reading, later: Reading) -> Reading:
    """What two reports of a span tell: the later one where it tells something."""
    call = (
        later.call if before.call is None else before.call if later.call is None else before.call.and_then(later.call)
    )
    return Reading(
        before.kind if later.kind is SpanKind.OTHER else later.kind,
        later.session or before.session,
        later.user or before.user,
        later.user_name or before.user_name,
        later.agent or before.agent,
        later.agent_name or before.agent_name,
        later.provider or before.provider,
        later.model or before.model,
        before.time_to_first_token_ms if later.time_to_first_token_ms is None else later.time_to_first_token_ms,
        later.finish_reasons or before.finish_reasons,
        before.usage.and_then(later.usage),
        call,
        list(dict.fromkeys([*before.warnings, *later.warnings])),
    )


def told_of(before: Span, later: Reading) -> dict[str, Any]:
    """The fields of a span that conventions tell, after what a later report tells."""
    known = Reading(
        kind=before.kind,
        provider=before.provider,
        model=before.model,
        time_to_first_token_ms=before.time_to_first_token_ms,
        finish_reasons=before.finish_reasons,
        usage=before.tokens,
        call=before.call,
        warnings=before.warnings,
    )
    return fields(and_then(known, later))


def fields(told: Reading) -> dict[str, Any]:
    """The fields of a span that conventions tell, but for whom it names."""
    return {
        "kind": told.kind,
        "provider": told.provider,
        "model": told.model,
        "time_to_first_token_ms": told.time_to_first_token_ms,
        "finish_reasons": told.finish_reasons,
        "tokens": told.usage,
        "call": told.call,
        "warnings": told.warnings,
    }


def told_again(span: Span) -> Span:
    """A span that an older version kept, with what conventions tell today."""
    kind = None if span.kind is SpanKind.OTHER else span.kind
    failed = span.status_code is SpanStatusCode.ERROR
    return replace(span, **fields(read(decode_json(span.attributes), span.name, kind=kind, failed=failed)))


def is_told(span: Span) -> bool:
    """Whether something was read from a span's attributes."""
    return span.call is not None or span.model is not None or span.provider is not None or span.usage is not None
