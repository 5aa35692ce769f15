"""Read what a span tells, once, when it comes: who, which model, how many tokens, which messages and calls."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.conventions import content
from domain.conventions.convention import WHATEVER
from domain.conventions.fitting import fitted, latest_heard, may_be_long
from domain.conventions.lookup import (
    KINDS,
    NAMED,
    NO_PROVIDERS,
    PLACES,
    PREFIXES,
    RUNNING,
    STANDARD,
    Given,
    Told,
    place_below,
)
from domain.conventions.usage import amount, usage
from domain.message import Content, ReasoningContent, TextContent, ToolCall, ToolResponse
from domain.model_call import ModelCall, ModelMessage
from domain.span import SpanKind, TokenUsage
from domain.values import MAX_NAME, NULL, Json, encode_json

Attributes = Mapping[str, Any]

_TELLING = (
    ("tool", SpanKind.TOOL),
    ("model", SpanKind.LLM),
)
"""What spans without a kind have that tells it."""

_FAILED = ("true", "error", "failed")

_FIRST_TOKEN = {"first_token", "first_token_ms", "first_token_at"}
_SPOKEN = {"thoughts", "text", "calls"}

_MARK = r"(scrubbed|redacted|filtered|masked|removed|hidden|anonymi[sz]ed)"
_REDACTED = re.compile(rf"\W+{_MARK}\b.*|{_MARK}|[*•]{{2,}}", re.I | re.S)
"""What stands in the place of an id that a library took out."""

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I)


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
) -> Reading:
    """What the attributes of a span tell. name: the span's. kind: where it is known without them. start:
    nanoseconds since 1970, 0 where unknown."""
    given: dict[str, list[Told]] = {}
    trees: dict[str, dict[str, Any]] = {}
    for key, value in attributes.items():
        if (places := PLACES.get(key)) is not None:
            for slot, rank, member, told_by in places:
                found = _member(value, member) if member else value
                if found is not None:
                    given.setdefault(slot, []).append((rank, told_by, found))
        elif key.startswith(PREFIXES):
            place, rest = place_below(key)
            trees.setdefault(place.name, {})[rest] = value
    if not given and not trees:
        return NOTHING if kind is None else replace(NOTHING, kind=kind)
    for names, pairs in trees.items():
        place, _ = place_below(names)
        given.setdefault(place.slot, []).append((place.rank, place.name, _tree(pairs)))
    for told in given.values():
        if len(told) > 1:
            told.sort(key=_rank)
    failed = failed or "error.type" in attributes
    return _Reader(given, name, failed, start).read(kind)


_rank = itemgetter(0)


def _member(value: Any, name: str) -> Any:
    """A member, or one of a member's, each told after a `#`; of a list by its place."""
    for part in name.split("#"):
        value = content.structured(value)
        if isinstance(value, list) and part.isdecimal():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _tree(pairs: Mapping[str, Any]) -> Any:
    tree = content.nested(pairs)
    return tree[""] if set(tree) == {""} else [tree[key] for key in sorted(tree, key=_order) if key.isdecimal()]


def _order(key: str) -> int:
    return int(key) if key.isdecimal() and len(key) < 10 else -1


class _Reader:
    """One span on its way."""

    def __init__(self, given: Given, name: str, failed: bool, start: int) -> None:
        self._given, self._name, self._failed, self._start = given, name, failed, start
        self._warnings: list[str] = []
        self._own: str | None = None

    def read(self, kind: SpanKind | None) -> Reading:
        kind = kind or self._kind()
        provider, is_running = self._provider(kind)
        agent, agent_name = self._agent(kind)
        call = self._call(kind)
        if call is not None and may_be_long(self._given):
            call = fitted(call, self._warnings)
        tokens = TokenUsage() if is_running or self._is_counted() else usage(self._given, self._warnings)
        return Reading(
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

    def _told(self, slot: str) -> Sequence[Told]:
        return self._given.get(slot, ())

    def _kind(self) -> SpanKind:
        """The kind of work a span represents."""
        told = self._told("kind")
        for _, name, value in told:
            kind = KINDS[name].get(WHATEVER)
            if kind is None and isinstance(value := content.structured(value), str):
                kind = KINDS[name].get(value.lower())
            if kind is not None:
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
        if slot not in self._given:
            return None
        for _, name, value in self._given[slot]:
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

    def _is_counted(self) -> bool:
        """Whether what the span used is told by that of a model's call beside it."""
        return any(value == "model_call" for _, _, value in self._told("counted_by"))

    def _first_token(self) -> float | None:
        """Milliseconds until the first part of the answer came. Fractions are seconds, whole numbers milliseconds."""
        if _FIRST_TOKEN.isdisjoint(self._given):
            return None
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
        said = said or (_answers(self._messages("made", "assistant", kind)) if asks else [])
        for _, _, value in self._told("instructions"):
            system = content.instructions(value)
            if system and (not asked or asked[0].role != "system" or asked[0].text.strip() != system[0].text.strip()):
                asked = system + asked
            break
        return ModelCall(asked, said) if asked or said else None

    def _messages(self, slot: str, role: str, kind: SpanKind = SpanKind.LLM) -> list[ModelMessage]:
        """The messages of the first attribute that tells any; what goes into an agent as a mere text is none."""
        if slot not in self._given:
            return []
        for _, name, value in self._given[slot]:
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
        if _SPOKEN.isdisjoint(self._given):
            return []
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
        if self._failed or any(str(value).lower() in _FAILED for _, _, value in self._told("failed")):
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


def _answers(messages: list[ModelMessage]) -> list[ModelMessage]:
    """What follows the last words of the user: some agents return all they heard."""
    asked = max((place for place, one in enumerate(messages) if one.role in ("user", "system")), default=-1)
    return messages[asked + 1 :]


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
    return ToolResponse(call_id, encode_json(found), content.tells_error(found))


def reason_of(told: str) -> str:
    """A reason to finish, without the name of Python's enum."""
    return told.rpartition(".")[2].lower() if told.startswith("FinishReason.") else told


def digested(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: MAX_NAME - len(digest) - 1]}…{digest}"


def and_then(before: Reading, later: Reading) -> Reading:
    """What two reports of a span tell: the later one where it tells something."""
    call = (
        later.call if before.call is None else before.call if later.call is None else before.call.and_then(later.call)
    )
    warnings = list(dict.fromkeys([*before.warnings, *later.warnings]))
    call = None if call is None else latest_heard(call, warnings)
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
        warnings,
    )
