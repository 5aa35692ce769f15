"""The cache of generations: found until its time is over, counted, evicted, and kept apart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.generation import CachedGeneration, EvictGenerationsInput
from domain.values import encode_json
from stores.contract.making import Clock
from stores.ports import Engine


def generation(key: str, clock: Clock, seconds: float | None = None, **values: Any) -> CachedGeneration:
    now = clock()
    ends = None if seconds is None else now + timedelta(seconds=seconds)
    given = {"value": encode_json({"of": key}), "model": "m", "tags": ["a"], "hits": 0, **values}
    return CachedGeneration(key=key, created_at=now, expires_at=ends, **given)


async def test_it_is_found_and_counted_in_its_workspace(engine: Engine, clock: Clock) -> None:
    cache, key = engine.generations, 'any "key": \n * [ü]'
    made = generation(key, clock, 1000)
    assert await cache.find("main", key) is None
    await cache.keep("main", made)
    for hits in (1, 2):
        found = await cache.find("main", key)
        assert found is not None
        assert (found.hits, bytes(found.value)) == (hits, b'{"of":' + bytes(encode_json(key)) + b"}")
    assert (found.model, found.tags, found.expires_at) == (made.model, made.tags, made.expires_at)
    assert await cache.find("elsewhere", key) is None
    await cache.keep("main", generation(key, clock, model=None, tags=[]))
    again = await cache.find("main", key)
    assert again is not None
    assert (again.hits, again.model, again.tags, again.expires_at) == (1, None, [], None)


async def test_it_ends_with_its_time(engine: Engine, clock: Clock) -> None:
    await engine.generations.keep("main", generation("short", clock, 0.05))
    clock.advance(seconds=1)
    if type(engine).__name__ == "ServicesEngine":  # whose Redis has a clock of its own
        await asyncio.sleep(0.1)
    assert await engine.generations.find("main", "short") is None


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ({"keys": ["one", "none"]}, {"two", "three"}),
        ({"model": "n"}, {"one", "two"}),
        ({"tags": ["a"]}, {"three"}),
        ({"tags": ["a", "b"]}, {"one", "three"}),
        ({"keys": ["one", "two"], "tags": ["b"]}, {"one", "three"}),
        ({"keys": []}, {"one", "two", "three"}),
    ],
)
async def test_some_are_evicted(engine: Engine, clock: Clock, which: Any, left: set[str]) -> None:
    cache = engine.generations
    await cache.keep("main", generation("one", clock))
    await cache.keep("main", generation("two", clock, tags=["b", "a"]))
    await cache.keep("main", generation("three", clock, model="n", tags=["c"]))
    await cache.keep("elsewhere", generation("one", clock))
    planned = await cache.evict("main", EvictGenerationsInput(**which, dry_run=True))
    assert await cache.evict("main", EvictGenerationsInput(**which)) == planned == 3 - len(left)
    assert {key for key in ("one", "two", "three") if await cache.find("main", key) is not None} == left
    assert await cache.find("elsewhere", "one") is not None
