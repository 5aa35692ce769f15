"""News and rates over a Redis Cluster, and over Sentinels while they make another Redis the master."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping

import pytest

from stores.errors import Unavailable
from stores.services.redis_streams import SHARDS, Signals
from tests.support.servers.redis import Redis
from tests.support.servers.redis_together import cluster, sentinels

pytestmark = pytest.mark.services

PASSWORD = "a/b?c@d%e:f+g"
"""One that has to be percent-encoded."""

WORKSPACES = [f"w{number}" for number in range(4 * SHARDS)]
"""So many that each stream has some."""


class Ear:
    """What a process has heard."""

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self.seen: dict[str, list[str]] = {}

    async def hear(self, ends: Mapping[str, int] | None, process: str, bookmarks: list[str]) -> None:
        if ends is not None:
            self.ends.update(ends)
            self.seen[process] = bookmarks


@contextlib.asynccontextmanager
async def hearing(url: str) -> AsyncIterator[tuple[Signals, Ear]]:
    """A process that listens."""
    ear = Ear()
    signals = Signals(url, ear.hear)
    signals.start()
    try:
        async with asyncio.timeout(20):
            while not signals.listening:  # noqa: ASYNC110 - its readers are tasks of their own
                await asyncio.sleep(0.02)
        yield signals, ear
    finally:
        await signals.close()


async def told(here: Signals, ear: Ear, end: int) -> float:
    """Tells a log of each workspace until all are heard; the seconds it took."""
    begun = time.monotonic()
    async with asyncio.timeout(30):
        while {ear.ends.get(f"{name}/changes") for name in WORKSPACES} != {end}:
            for name in WORKSPACES:
                await here.send(name, {f"{name}/changes": end}, [f"bookmark {end}"])
            await asyncio.sleep(0.1)
    return time.monotonic() - begun


async def exercise(url: str) -> None:
    async with hearing(url) as (here, _), hearing(url) as (_, ear):
        await told(here, ear, 1)
        assert list(ear.seen.values()) == [["bookmark 1"]]
        assert [await here.spend("one", 2) for _ in range(2)] == [0.0, 0.0]
        assert await here.spend("one", 2) > 0
        assert await here.latency_ms() > 0
        assert here.breaker.errors == 0


async def test_a_cluster_of_three() -> None:
    with cluster(PASSWORD) as url:
        await exercise(url)


async def test_sentinels_make_another_the_master() -> None:
    with sentinels(PASSWORD, "their: own/one") as watched:
        await exercise(watched.url)
        async with hearing(watched.url) as (here, _), hearing(watched.url) as (_, ear):
            await told(here, ear, 2)
            watched.master.kill()
            with pytest.raises(Unavailable):
                await here.spend("other", 1)
            seconds = await told(here, ear, 3)
            print(f"\nheard again {seconds:.1f} s after the master was killed")
            assert await here.spend("other", 1) == 0.0
            async with asyncio.timeout(10):  # the one that tells may be back before it listens again
                while not here.listening:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.05)


async def test_a_wrong_password_of_a_sentinel_is_no_hang() -> None:
    with sentinels(PASSWORD, "their own") as watched:
        url = watched.url.partition("?")[0]
        signals = Signals(url, Ear().hear)
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await signals.spend("one", 2)
        assert time.monotonic() - begun < 3
        await signals.close()


async def test_two_deployments_on_one_redis_do_not_hear_each_other() -> None:
    with Redis(PASSWORD) as server:
        one, other = f"{server.url}?prefix=one:", f"{server.url}?prefix=other:"
        async with hearing(one) as (here, ear), hearing(one) as (_, mine), hearing(other) as (_, theirs):
            await told(here, mine, 1)
            assert (ear.ends, theirs.ends) == ({}, {})
            assert await here.spend("name", 1) == 0.0
            async with hearing(other) as (there, _):
                assert await there.spend("name", 1) == 0.0, "each has its own count"
