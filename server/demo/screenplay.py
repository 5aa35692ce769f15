"""Scripts of sessions, read into lines with times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from domain.message import ContentInput, MemoryRefInput, MessageInput, ToolCallInput, ToolResponseInput
from domain.values import Json, Ref
from server.demo.story import AGENTS, USERS, Scene

_HEAD = re.compile(r"(\w+)((?: [#^@][\w-]+| \[[\w-]+ [.\d]+\])*): (.*)")
_NOTE = re.compile(r"([#^@])([\w-]+)|\[([\w-]+) ([.\d]+)\]")
_CALL = re.compile(r" +-> ([\w.]+) (.*)")

_WAITS = {"user": (20.0, 70.0), "agent": (1.5, 6.0), "system": (0.5, 1.5), "tool": (0.15, 1.2)}
"""Seconds that pass before somebody of each role says something."""

_TIMEOUT = 5.0


@dataclass
class Line:
    """One message of a script. tool: the one it calls, with arguments, or the one that answers, with a result."""

    who: str
    text: str = ""
    label: str = ""
    reply: str = ""
    thread: str = ""
    refs: list[tuple[str, float]] = field(default_factory=list)
    tool: str = ""
    value: Json = field(default_factory=Json)
    is_error: bool = False
    at: datetime = datetime.min
    name: str = ""
    call_id: str = ""

    @property
    def role(self) -> str:
        if self.who in USERS:
            return "user"
        return "agent" if self.who in AGENTS else self.who


def perform(scene: Scene, now: datetime) -> list[Line]:
    """The lines of a scene that began its days before now."""
    lines = list(_lines(scene.script))
    random = Random(scene.key)
    at = now - timedelta(days=scene.days)
    for place, line in enumerate(lines):
        low, high = _WAITS[line.role]
        at += timedelta(seconds=_TIMEOUT if line.is_error else random.uniform(low, high))
        line.at = at
        line.name = message_name(f"{scene.key}/{line.label or place + 1}")
        if line.tool:
            line.call_id = f"call-{scene.key}-{place if line.role == 'tool' else place + 1}"
    return lines


def message_name(place: str) -> str:
    return f"demo-{place}"


def _lines(script: str) -> Iterator[Line]:
    line: Line | None = None
    for row in script.strip().splitlines():
        if line is not None and row.startswith(" "):
            _go_on(line, row)
            continue
        if line is not None:
            yield line
        if row.startswith("<"):
            tool = line.tool if line is not None else ""
            line = Line("tool", tool=tool, value=Json(row[3:].encode()), is_error=row[1] == "!")
        else:
            line = _headed(row)
    if line is not None:
        yield line


def _headed(row: str) -> Line:
    matched = _HEAD.fullmatch(row)
    assert matched is not None, row
    line = Line(matched[1], matched[3])
    for sign, word, memory, score in _NOTE.findall(matched[2]):
        if memory:
            line.refs.append((memory, float(score)))
        else:
            setattr(line, {"#": "label", "^": "reply", "@": "thread"}[sign], word)
    return line


def _go_on(line: Line, row: str) -> None:
    called = _CALL.fullmatch(row)
    if called is None:
        line.text += f" {row.strip()}"
    else:
        line.tool, line.value = called[1], Json(called[2].encode())


def message(scene: Scene, line: Line) -> MessageInput:
    speaks = line.role in ("user", "agent")
    return MessageInput(
        role=None if speaks else line.role,
        sender_name=None if speaks else (line.tool or "workflow"),
        sender=Ref(external_id=line.who) if speaks else None,
        text=line.text or None,
        content=[_part(line)] if line.tool else None,
        thread=line.thread or None,
        parent=Ref(external_id=message_name(f"{scene.key}/{line.reply}")) if line.reply else None,
        memory_refs=[MemoryRefInput(memory=Ref(external_id=name), score=score) for name, score in line.refs],
        created_at=line.at,
        external_id=line.name,
    )


def _part(line: Line) -> ContentInput:
    if line.role == "tool":
        answer = ToolResponseInput(call_id=line.call_id, result=line.value, is_error=line.is_error)
        return ContentInput(tool_response=answer)
    return ContentInput(tool_call=ToolCallInput(call_id=line.call_id, tool=line.tool, arguments=line.value))
