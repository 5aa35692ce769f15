"""Engines: their health, and opening and closing them."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from domain.actor import User
from stores.contract.making import World, keep, user
from stores.errors import Unavailable
from stores.ports import FIGURES, Engine, Store


async def test_all_parts_are_healthy(engine: Engine, things: World) -> None:
    parts = await engine.health()
    assert parts
    for part in parts:
        assert (part.status, part.reason) == ("healthy", None)
        assert part.latency_ms >= 0


async def test_stats_count_records(engine: Engine, things: World) -> None:
    stats = await engine.stats()
    assert stats.records["memory"] == 2
    assert stats.records["session"] == 1


async def test_figures_count_what_is_written(engine: Engine, store: Store) -> None:
    def written() -> tuple[float, float]:
        figures = engine.figures()
        assert {figure.name for figure in figures} <= set(FIGURES)
        assert len({(figure.name, figure.of) for figure in figures}) == len(figures)
        sums = [sum(figure.value for figure in figures if figure.name == name) for name in ("writes", "commits")]
        return sums[0], sums[1]

    writes, commits = written()
    await asyncio.gather(*(keep(store, user()) for _ in range(30)))
    assert written()[0] == writes + 30
    assert commits < written()[1] <= commits + 30


async def test_closing_finishes_the_writes_that_were_begun(engine: Engine, store: Store) -> None:
    writing = [asyncio.ensure_future(keep(store, user())) for _ in range(30)]
    await asyncio.sleep(0)
    await engine.close()
    assert all(len(made) == 1 for made in await asyncio.gather(*writing))


async def test_a_closed_engine_takes_no_writes_and_may_be_closed_again(engine: Engine, store: Store) -> None:
    await keep(store, user())
    await engine.close()
    await engine.close()
    with pytest.raises(Unavailable):
        await store.write(lambda tx: tx.get(User, []))


async def test_a_minutes_worth_may_be_spent_at_once_by_each_name(engine: Engine) -> None:
    name, other = secrets.token_hex(4), secrets.token_hex(4)
    assert [await engine.spend(name, 3) for _ in range(3)] == [0, 0, 0]
    for _ in range(2):
        assert 19 < await engine.spend(name, 3) <= 20, "what is refused is not spent"
    assert await engine.spend(other, 3) == 0
    many = [await engine.spend(secrets.token_hex(4), 60_000) for _ in range(3)]
    assert many == [0, 0, 0]


async def test_what_is_spent_comes_back_with_time(engine: Engine) -> None:
    name = secrets.token_hex(4)
    while await engine.spend(name, 600) == 0:
        pass
    wait = await engine.spend(name, 600)
    assert 0 < wait <= 0.1
    await asyncio.sleep(wait + 0.01)
    assert await engine.spend(name, 600) == 0
