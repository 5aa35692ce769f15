"""The engine over the servers of the environment, but for a Weaviate of its own that may be killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from stores.contract.making import DIMENSION, Clock
from stores.open import open_engine
from stores.ports import Opening
from stores.services.engine import ServicesEngine
from tests.support.servers import Weaviate
from tests.support.services import empty, urls

Open = Callable[[], ServicesEngine]


@pytest.fixture(scope="session")
def own(real_servers: None) -> Iterator[Weaviate]:
    """A Weaviate that nobody else uses."""
    with Weaviate("correct-horse") as server:
        yield server


@pytest.fixture
def weaviate(own: Weaviate) -> Iterator[Weaviate]:
    """It runs before the test and after it."""
    yield own
    if own.pid is None:
        own.restart()


@pytest.fixture
async def opened(weaviate: Weaviate, tmp_path: Path, clock: Clock) -> AsyncIterator[Open]:
    """Opens an engine over an empty Neo4j, again and again; closes them all."""
    empty(weaviate.url)
    engines: list[ServicesEngine] = []

    def opening() -> ServicesEngine:
        engine = open_engine(
            Opening(
                data=str(tmp_path),
                embedder="test",
                dimension=DIMENSION,
                clock=clock,
                **{**urls(), "vectors_url": weaviate.url},
            )
        )
        assert isinstance(engine, ServicesEngine)
        engines.append(engine)
        return engine

    yield opening
    for engine in engines:
        await engine.close()


@pytest.fixture
def engine(opened: Open) -> ServicesEngine:
    """One engine."""
    return opened()


@pytest.fixture
def clock() -> Clock:
    """Its time."""
    return Clock()


async def within(seconds: float, holds: Callable[[], Awaitable[bool]]) -> bool:
    """Whether something comes to hold in time."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def drained(engine: ServicesEngine, workspace: str = "main") -> bool:
    """Whether Weaviate comes to know everything."""

    async def holds() -> bool:
        return await engine.relay.backlog() == 0 and workspace not in engine.vectors.behind

    return await within(30, holds)
