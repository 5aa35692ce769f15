"""What takes long gives way to others, but only where the turn of the loop has lasted long."""

from __future__ import annotations

import asyncio
import time

from server.graphql.timeslice import TURN_S, give_way


async def steps(notes: list[str], name: str, each: float) -> None:
    for _ in range(3):
        end = time.perf_counter() + each
        while time.perf_counter() < end:
            pass
        notes.append(name)
        await give_way()


async def test_long_work_gives_way() -> None:
    notes: list[str] = []
    await asyncio.gather(*(steps(notes, name, 1.5 * TURN_S) for name in "ab"))
    assert "".join(notes) == "aababb"  # the clock starts when somebody asks for the first time


async def test_short_work_goes_on() -> None:
    notes: list[str] = []
    await asyncio.gather(*(steps(notes, name, 0) for name in "ab"))
    assert "".join(notes) == "aaabbb"


async def test_a_turn_that_another_has_used_up_is_over() -> None:
    notes: list[str] = []
    await asyncio.gather(steps(notes, "a", 1.5 * TURN_S), steps(notes, "b", 0))
    assert "".join(notes).startswith("aab")


def test_another_loop_begins_its_own_turns() -> None:
    async def leave() -> None:
        await give_way()
        asyncio.get_running_loop().stop()

    left = asyncio.new_event_loop()
    task = left.create_task(leave())
    left.run_forever()
    left.run_until_complete(task)
    left.close()
    time.sleep(2 * TURN_S)
    notes: list[str] = []
    asyncio.run(steps(notes, "a", 0))
    assert notes == ["a", "a", "a"]
