"""Which tool response answers which tool call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from domain.branch import before
from domain.message import Content, ToolCall, ToolResponse

Spot = tuple[int, int]
"""Where a part stands: the place of its message, and its index among the parts."""


class CallPart(NamedTuple):
    """A part of a message that is a tool call or a response to one: its place among the parts, and the call's id."""

    at: int
    call_id: str
    is_response: bool


def call_parts(content: Sequence[Content]) -> Iterator[CallPart]:
    """Those of a message's parts."""
    for at, part in enumerate(content):
        if isinstance(part, ToolCall | ToolResponse):
            yield CallPart(at, part.call_id, isinstance(part, ToolResponse))


class Step(NamedTuple):
    """A message as far as it matters here. parent: the place of the message it names; replied: whether one names it."""

    place: int
    by_agent: bool
    thread: object
    parent: int | None
    replied: bool
    parts: list[CallPart]


class _Calls(NamedTuple):
    """The calls of one id that still wait, at one point of a branch; turn: the one they were made in, None once a
    response has come."""

    turn: int | None
    waiting: tuple[Spot, ...]


class _Point(NamedTuple):
    step: Step
    turn: int
    calls: dict[tuple[str, object], _Calls]


def answers(steps: Iterable[Step]) -> dict[Spot, Spot]:
    """The response of each answered call, of messages in the order of their places.

    A response answers a call that stands before it on its branch and in its thread: of calls of one id the first that
    waits. A call waits no longer once its id is called again in a later turn, a turn being what an agent says until
    somebody else speaks. Of several responses the first counts.
    """
    points: dict[int, _Point] = {}
    latest: dict[object, int] = {}
    found: dict[Spot, Spot] = {}
    for step in steps:
        at = before(step.parent, step.replied, latest.get(step.thread))
        point = None if at is None else points.get(at)
        goes_on = point is not None and step.by_agent and point.step.by_agent
        turn = point.turn if point is not None and goes_on else step.place
        calls = point.calls if point is not None else {}
        if step.parts:
            calls = dict(calls)
            for part in step.parts:
                _take(step, part, turn, calls, found)
        points[step.place] = _Point(step, turn, calls)
        latest[step.thread] = step.place
    return found


def _take(
    step: Step, part: CallPart, turn: int, calls: dict[tuple[str, object], _Calls], found: dict[Spot, Spot]
) -> None:
    key, spot = (part.call_id, step.thread), (step.place, part.at)
    there = calls.get(key, _Calls(None, ()))
    if not part.is_response:
        waiting = there.waiting if there.turn == turn else ()
        calls[key] = _Calls(turn, (*waiting, spot))
    elif there.waiting:
        found.setdefault(there.waiting[0], spot)
        calls[key] = _Calls(None, there.waiting[1:])
