"""Which tool response answers which tool call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Spot = tuple[int, int]
"""Where a part stands: the place of its message, and its index among the parts."""


class CallPart(NamedTuple):
    """A part of a message that is a tool call or a response to one: its place among the parts, and the call's id."""

    at: int
    call_id: str
    is_response: bool


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
    latest: dict[object, _Point] = {}
    found: dict[Spot, Spot] = {}
    for step in steps:
        before = _before(step, points, latest)
        goes_on = before is not None and step.by_agent and before.step.by_agent
        turn = before.turn if before is not None and goes_on else step.place
        calls = before.calls if before is not None else {}
        if step.parts:
            calls = dict(calls)
            for part in step.parts:
                _take(step, part, turn, calls, found)
        points[step.place] = latest[step.thread] = _Point(step, turn, calls)
    return found


def _before(step: Step, points: dict[int, _Point], latest: dict[object, _Point]) -> _Point | None:
    """Where a message goes on: at its parent, or at the message before it in its thread. One that names no parent and
    is one itself stands at the top of a tree."""
    if step.parent is not None:
        return points.get(step.parent)
    return None if step.replied else latest.get(step.thread)


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
