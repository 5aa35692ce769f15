"""Engines: their health, and opening and closing them."""

from __future__ import annotations

import asyncio

import pytest

from domain.actor import User
from stores.errors import Unavailable
from stores.ports import Engine, Store
from tests.contract.making import World, keep, user


async def test_all_parts_are_healthy(engine: Engine, things: World) -> None:
    parts = await engine.health()
    assert parts
    for part in parts:
        assert (part.status, part.reason) == ("healthy", None)
        assert part.latency_ms >= 0


async def test_stats_count_records(engine: Engine, things: World) -> None:
    stats = await engine.stats()
    assert stats["records"]["memory"] == 2
    assert stats["records"]["session"] == 1


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
