"""/readyz: probes learn whether the store answers and nothing else, and cost it one look a second."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from domain.caller import DEFAULT_WORKSPACE, Caller, Role
from resolvers.context import Context
from resolvers.health import health
from server.http import readiness
from server.http.readiness import Readiness
from stores.embedded.engine import EmbeddedEngine, open_embedded
from stores.ports import StoreHealth
from tests.support.graphql_client import Words

SECRET = "ServiceUnavailable: couldn't connect to 10.1.2.3:7687 as neo4j"


class Ailing:
    """An engine of which a part is down. asked: how often it was looked at."""

    def __init__(self, engine: EmbeddedEngine, status: str = "unhealthy", takes: float = 0.0) -> None:
        self._engine, self._status, self._takes, self.asked = engine, status, takes, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def health(self) -> list[StoreHealth]:
        self.asked += 1
        await asyncio.sleep(self._takes)
        return [*await self._engine.health(), StoreHealth("neo4j", self._status, 3.0, SECRET, "open", 12)]


def client(engine: Any) -> httpx.AsyncClient:
    app = Starlette(routes=[Route("/readyz", Readiness(engine).answer)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize(("status", "code"), [("healthy", 200), ("degraded", 200), ("unhealthy", 503)])
async def test_a_probe_learns_no_detail(tmp_path: Path, status: str, code: int) -> None:
    engine = open_embedded(tmp_path, "test", 16)
    answer = await client(Ailing(engine, status)).get("/readyz")
    assert answer.status_code == code
    parts = [{"name": "sqlite", "status": "healthy"}, {"name": "neo4j", "status": status}]
    assert answer.json() == {"status": status, "stores": parts}
    await engine.close()


async def test_many_probes_are_one_look_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_S", 0.2)
    engine = open_embedded(tmp_path, "test", 16)
    ailing = Ailing(engine, takes=0.05)
    async with client(ailing) as probes:
        answers = await asyncio.gather(*(probes.get("/readyz") for _ in range(50)))
        assert {answer.status_code for answer in answers} == {503}
        await probes.get("/readyz")
        assert ailing.asked == 1
        await asyncio.sleep(0.25)
        await probes.get("/readyz")
        assert ailing.asked == 2
    await engine.close()


async def test_a_probe_that_leaves_takes_the_answer_from_no_other(tmp_path: Path) -> None:
    engine = open_embedded(tmp_path, "test", 16)
    ailing = Ailing(engine, "healthy", takes=0.05)
    async with client(ailing) as probes:
        first, second = (asyncio.create_task(probes.get("/readyz")) for _ in range(2))
        await asyncio.sleep(0.02)
        first.cancel()
        assert (await second).status_code == 200
        assert ailing.asked == 1
    await engine.close()


@pytest.mark.parametrize("role", Role)
async def test_only_an_admin_learns_why(tmp_path: Path, role: Role) -> None:
    engine = open_embedded(tmp_path, "test", 16)
    context = Context(Ailing(engine), Words(), Caller(DEFAULT_WORKSPACE, role))  # type: ignore[arg-type]
    told = await health(context)
    assert (told.status, told.stores[1].status) == ("unhealthy", "unhealthy")
    assert told.stores[1].reason == (SECRET if role is Role.ADMIN else None)
    assert (SECRET in json.dumps([part.reason for part in told.stores])) is (role is Role.ADMIN)
    await engine.close()
