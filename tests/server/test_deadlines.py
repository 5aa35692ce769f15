"""Deadlines by a real loop: each thing that lasts too long is told once, in order, and by one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from server.deadlines import Deadlines, TimeLimit

pytestmark = pytest.mark.timed


async def test_only_what_lasts_too_long_is_told_and_once() -> None:
    late: list[str] = []
    deadlines = Deadlines[str](0.05, late.append)
    loop = asyncio.get_running_loop()
    for name in ("a", "b", "c"):
        deadlines.begin(name, loop)
    deadlines.end("b")
    deadlines.end("never begun")
    await asyncio.sleep(0.03)
    assert late == []
    deadlines.begin("a", loop)
    await asyncio.sleep(0.04)
    assert late == ["c"]
    await asyncio.sleep(0.06)
    assert late == ["c", "a"]
    deadlines.begin("d", loop)
    await asyncio.sleep(0.1)
    assert late == ["c", "a", "d"]


def test_a_loop_that_is_gone_takes_nothing_with_it() -> None:
    late: list[str] = []
    deadlines = Deadlines[str](0.02, late.append)

    async def begins(name: str, seconds: float) -> None:
        deadlines.begin(name, asyncio.get_running_loop())
        await asyncio.sleep(seconds)
        deadlines.end(name)

    asyncio.run(begins("a", 0))
    asyncio.run(begins("b", 0.1))
    assert late == ["b"]


class TestTimeLimit:
    async def test_it_is_that_of_asyncio(self) -> None:
        limit = TimeLimit(0.05)
        assert await limit.within(asyncio.sleep(0, "done")) == "done"
        with pytest.raises(TimeoutError):
            await limit.within(asyncio.sleep(5))
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)

    async def test_many_at_once_each_by_its_own_time(self) -> None:
        limit, loop = TimeLimit(0.1), asyncio.get_running_loop()
        begun = loop.time()

        async def waits(first: float, then: float) -> float:
            await asyncio.sleep(first)
            with pytest.raises(TimeoutError):
                await limit.within(asyncio.sleep(then))
            return loop.time() - begun - first

        lasted = await asyncio.gather(*(waits(0.01 * number, 5) for number in range(10)))
        assert all(0.09 < seconds < 2 for seconds in lasted)

    async def test_a_failure_of_the_work_is_the_works(self) -> None:
        async def fails() -> None:
            raise TimeoutError("mine")

        with pytest.raises(TimeoutError, match="mine"):
            await TimeLimit(5).within(fails())

    @pytest.mark.parametrize("when", [lambda limit: limit / 2, lambda limit: limit])
    async def test_who_cancels_from_outside_is_heard(self, when: Callable[[float], float]) -> None:
        """Even in the moment in which the time is up."""
        limit = TimeLimit(0.05)
        task = asyncio.create_task(limit.within(asyncio.sleep(5)))
        await asyncio.sleep(when(0.05))
        task.cancel()
        with pytest.raises((asyncio.CancelledError, TimeoutError)) as ended:
            await task
        assert when(0.05) == 0.05 or ended.type is asyncio.CancelledError

    async def test_one_within_another(self) -> None:
        outer, inner = TimeLimit(0.05), TimeLimit(5)
        with pytest.raises(TimeoutError):
            await outer.within(inner.within(asyncio.sleep(5)))
        with pytest.raises(TimeoutError):
            await inner.within(outer.within(asyncio.sleep(5)))

    async def test_what_a_task_waits_for_is_cancelled_with_it(self) -> None:
        ended = asyncio.Event()

        async def works() -> None:
            try:
                await asyncio.sleep(5)
            finally:
                ended.set()

        with pytest.raises(TimeoutError):
            await TimeLimit(0.02).within(asyncio.gather(works()))
        await asyncio.wait_for(ended.wait(), 5)
