"""The engines that must keep the contract. A new one is a line in FAMILIES."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from stores.open import open_engine
from stores.ports import Engine, Store
from tests.contract.making import DIMENSION, Clock, World, world
from tests.support.services import open_services, require_services

Family = Callable[[Path, Clock], Engine]


def open_embedded_family(folder: Path, clock: Clock) -> Engine:
    return open_engine(str(folder), "test", DIMENSION, clock)


def open_services_family(folder: Path, clock: Clock) -> Engine:
    return open_services(folder, "test", DIMENSION, clock)


FAMILIES: dict[str, Family] = {"embedded": open_embedded_family, "services": open_services_family}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    """What opens an engine of the family, empty the first time."""
    if request.param == "services":
        require_services()
    return FAMILIES[request.param]


@pytest.fixture
def clock() -> Clock:
    """The engine's time."""
    return Clock()


@pytest.fixture
async def engine(family: Family, tmp_path: Path, clock: Clock) -> AsyncIterator[Engine]:
    """An empty engine."""
    opened = family(tmp_path / "data", clock)
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
