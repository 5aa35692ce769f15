"""The trace of a scene: how its agents came to say what they said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from domain.span import SpanKind
from domain.trace import SPAN_END, SPAN_START, TraceEventInput
from domain.values import Ref, decode_json, encode_json
from server.demo.screenplay import Line
from server.demo.story import AGENTS

COMPONENTS = {
    SpanKind.AGENT: "agent",
    SpanKind.LLM: "llm",
    SpanKind.REASONING: "llm",
    SpanKind.RETRIEVER: "memory",
    SpanKind.EMBEDDING: "memory",
    SpanKind.TOOL: "tool",
}

_EUR_PER_TOKEN = 0.4e-6


def usage(random: Random, read: int, written: str) -> dict[str, Any]:
    """Token counts of a model call that read so many memories and messages, by OpenTelemetry's names."""
    asked = 180 + 45 * read + random.randrange(60)
    said = max(8, len(written) // 4)
    cost = round((asked + 4 * said) * _EUR_PER_TOKEN, 6)
    return {"gen_ai.usage.input_tokens": asked, "gen_ai.usage.output_tokens": said, "gen_ai.usage.cost": cost}


def trace(key: str, lines: Sequence[Line]) -> list[TraceEventInput]:
    """The events of a scene in the order of time."""
    random = Random(f"{key}/trace")
    events: list[TraceEventInput] = []
    for before, said in _turns(lines):
        events += _Turn(random, before, said).events()
    return sorted(events, key=lambda event: event.time or datetime.min)


def _turns(lines: Sequence[Line]) -> Iterator[tuple[Line, list[Line]]]:
    """What an agent says in one go, tools included, and the line before it."""
    said: list[Line] = []
    for place, line in enumerate(lines):
        if said and line.who not in (said[0].who, "tool"):
            yield lines[place - len(said) - 1], said
            said = []
        if place and (said or line.role == "agent"):
            said.append(line)
    if said:
        yield lines[len(lines) - len(said) - 1], said


class _Turn:
    """One answer of an agent as a tree of spans."""

    def __init__(self, random: Random, before: Line, said: Sequence[Line]) -> None:
        self._random, self._before, self._said = random, before, said
        self._agent = Ref(external_id=said[0].who)
        self._model = str(AGENTS[said[0].who][3]["model"])
        self._trace_id = f"{random.getrandbits(128):032x}"
        self._events: list[TraceEventInput] = []

    def events(self) -> list[TraceEventInput]:
        first, last = self._before, self._said[-1]
        answer = next(line for line in reversed(self._said) if line.role == "agent")
        name = f"{self._said[0].who}.answer"
        root = self._start(SpanKind.AGENT, name, first.at, None, {"question": first.text[:120]}, answer)
        at = first.at
        for line in self._said:
            self._line(line, at, root)
            at = line.at
        self._end(root, SpanKind.AGENT, last.at)
        return self._events

    def _line(self, line: Line, since: datetime, root: str) -> None:
        if line.role == "tool":
            self._tool(line, since, root)
            return
        if line.refs:
            since = self._retrieved(line, since, root)
        kind = SpanKind.REASONING if self._model.startswith("large") else SpanKind.LLM
        span = self._start(kind, f"chat {self._model}", since, root, {"gen_ai.request.model": self._model}, line)
        self._end(span, kind, line.at, usage(self._random, len(line.refs) + 3, line.text + str(line.tool)))
        self._note("message", line, root, {"text": line.text[:120]})

    def _retrieved(self, line: Line, since: datetime, root: str) -> datetime:
        begun = since + timedelta(milliseconds=self._random.uniform(5, 20))
        embedded = begun + timedelta(milliseconds=self._random.uniform(0.3, 1.2))
        ended = embedded + timedelta(milliseconds=self._random.uniform(2, 9))
        span = self._start(SpanKind.RETRIEVER, "memory.search", begun, root, {"query": self._before.text[:120]}, line)
        inner = self._start(SpanKind.EMBEDDING, "embed", begun, span, {}, line)
        self._end(inner, SpanKind.EMBEDDING, embedded)
        self._end(span, SpanKind.RETRIEVER, ended, {"hits": len(line.refs)})
        self._note("memories_used", line, span, {"scores": dict(line.refs)}, ended)
        return ended

    def _tool(self, line: Line, since: datetime, root: str) -> None:
        told = {"gen_ai.tool.name": line.tool, "gen_ai.tool.call.id": line.call_id}
        span = self._start(SpanKind.TOOL, line.tool, since, root, told, line)
        if line.is_error:
            result = decode_json(line.value)
            ending = {"statusCode": "ERROR", "statusMessage": result["message"], "error.type": result["error"]}
            self._end(span, SpanKind.TOOL, line.at, ending)
        else:
            self._end(span, SpanKind.TOOL, line.at, {"gen_ai.tool.call.result": decode_json(line.value)})
        self._note("tool_result", line, span, {"tool": line.tool, "isError": line.is_error})

    def _start(
        self, kind: SpanKind, name: str, at: datetime, parent: str | None, data: dict[str, Any], line: Line
    ) -> str:
        span_id = f"{self._random.getrandbits(64):016x}"
        self._events.append(
            TraceEventInput(
                type=SPAN_START,
                component=COMPONENTS[kind],
                time=at,
                data=encode_json(data),
                agent=self._agent,
                message=Ref(external_id=line.name),
                trace_id=self._trace_id,
                span_id=span_id,
                parent_span_id=parent,
                name=name,
                kind=kind,
            )
        )
        return span_id

    def _end(self, span_id: str, kind: SpanKind, at: datetime, data: dict[str, Any] | None = None) -> None:
        begun = next(e.time for e in self._events if e.span_id == span_id and e.type == SPAN_START)
        assert begun is not None
        self._events.append(
            TraceEventInput(
                type=SPAN_END,
                component=COMPONENTS[kind],
                time=at,
                duration_ms=(at - begun).total_seconds() * 1000,
                data=encode_json({"statusCode": "OK", **(data or {})}),
                agent=self._agent,
                trace_id=self._trace_id,
                span_id=span_id,
            )
        )

    def _note(self, type: str, line: Line, span_id: str, data: dict[str, Any], at: datetime | None = None) -> None:
        self._events.append(
            TraceEventInput(
                type=type,
                component="memory" if line.refs and at else "agent" if line.role == "agent" else "tool",
                time=at or line.at,
                data=encode_json(data),
                agent=self._agent,
                message=Ref(external_id=line.name),
                memories=[Ref(external_id=name) for name, _ in line.refs] if at else None,
                trace_id=self._trace_id,
                span_id=span_id,
            )
        )
