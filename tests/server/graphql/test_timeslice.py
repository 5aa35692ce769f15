"""What takes long gives way to others, but only where the turn of the loop has lasted long."""

from __future__ import annotations

import asyncio

import pytest

from server.graphql import timeslice
from server.graphql.timeslice import TURN_S, give_way


class Clock:
    """Seconds that pass when the test says so, whatever else the machine does."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timeslice, "monotonic", clock)
    return clock


async def steps(clock: Clock, notes: list[str], name: str, each: float) -> None:
    asyncio.get_running_loop().time = clock  # type: ignore[method-assign]
    for _ in range(3):
        clock.now += each
        notes.append(name)
        await give_way()


async def test_long_work_gives_way(clock: Clock) -> None:
    notes: list[str] = []
    await asyncio.gather(*(steps(clock, notes, name, 1.5 * TURN_S) for name in "ab"))
    assert "".join(notes) == "aababb"  # the clock starts when somebody asks for the first time


async def test_short_work_goes_on(clock: Clock) -> None:
    notes: list[str] = []
    await asyncio.gather(*(steps(clock, notes, name, 0) for name in "ab"))
    assert "".join(notes) == "aaabbb"


async def test_a_turn_that_another_has_used_up_is_over(clock: Clock) -> None:
    notes: list[str] = []
    await asyncio.gather(steps(clock, notes, "a", 1.5 * TURN_S), steps(clock, notes, "b", 0))
    assert "".join(notes) == "aababb"  # b meets a turn that is over; all begin a new one then


def test_another_loop_begins_its_own_turns(clock: Clock) -> None:
    async def leave() -> None:
        await give_way()
        asyncio.get_running_loop().stop()

    left = asyncio.new_event_loop()
    left.time = clock  # type: ignore[method-assign]
    task = left.create_task(leave())
    left.run_forever()
    left.run_until_complete(task)
    left.close()
    clock.now += 2 * TURN_S
    notes: list[str] = []
    asyncio.run(steps(clock, notes, "a", 0))
    assert notes == ["a", "a", "a"]
