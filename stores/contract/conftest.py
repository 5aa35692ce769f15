"""The engine under test. Who runs the suite gives the fixture `opening`, which opens one that is empty the first time:
`opening(folder, embedder, dimension, clock) -> Engine`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from stores.contract.making import DIMENSION, Clock, World, world
from stores.ports import Engine, Store

Reopen = Callable[[], Engine]


@pytest.fixture
def clock() -> Clock:
    """The engine's time."""
    return Clock()


@pytest.fixture
def reopen(opening: Callable[..., Engine], tmp_path: Path, clock: Clock) -> Reopen:
    """Opens the engine, the first time and again."""
    return lambda: opening(tmp_path / "data", "test", DIMENSION, clock)


@pytest.fixture
async def engine(reopen: Reopen) -> AsyncIterator[Engine]:
    """An empty engine."""
    opened = reopen()
    yield opened
    await opened.close()


@pytest.fixture
def store(engine: Engine) -> Store:
    """A workspace of it."""
    return engine.workspace("main")


@pytest.fixture
def elsewhere(engine: Engine) -> Store:
    """Another workspace of it."""
    return engine.workspace("elsewhere")


@pytest.fixture
async def things(store: Store) -> World:
    """One record of each kind in the workspace."""
    return await world(store)
