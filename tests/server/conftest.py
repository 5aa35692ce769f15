"""One server for all tests that need nothing special of it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.support.toy import serving


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """`host:port` of a running server."""
    with serving(init_timeout=5) as address:
        yield address


@pytest.fixture
async def http(server: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that server."""
    async with httpx.AsyncClient(base_url=f"http://{server}", timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def key() -> str:
    """A name for what this test does on the board."""
    return uuid.uuid4().hex
