"""The demo data, for whoever reads along."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.demo import Client, fill
from server.service import Service, open_service
from server.settings import Settings

SETTINGS = Settings(trash_days=7.0)
"""With what examples say is on."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo data."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    asyncio.run(_fill(folder))
    return folder


async def _fill(folder: Path) -> None:
    service = open_service(folder, SETTINGS)
    await fill(Client(service))
    await service.close()


@pytest.fixture
async def demo(filled: Path, tmp_path: Path) -> AsyncIterator[Service]:
    """A service on demo data of its own."""
    shutil.copytree(filled, tmp_path / "data")
    service = open_service(tmp_path / "data", SETTINGS)
    yield service
    await service.close()
