"""The readiness probe. It is open to anybody: it reveals only the status and asks the store once a second at most."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from resolvers.health import worst
from stores.ports import Engine, StoreHealth

FRESH_S = 1.0
"""How long an answer of the store's parts is good for."""

_UNAVAILABLE = 503


class Readiness:
    """The endpoint `/readyz`: the status of each part, and of all; 503 where the store cannot be read.

    The parts are asked once at a time and at most once a second, however many probes come. Why a part is not well, an
    admin learns from the query `health`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asking: asyncio.Future[list[StoreHealth]] | None = None
        self._answered = 0.0

    async def answer(self, _: Request) -> Response:
        parts = await self._health()
        status = worst(parts)
        stores = [{"name": part.name, "status": part.status} for part in parts]
        body = msgspec.json.encode({"status": status, "stores": stores})
        return Response(body, _UNAVAILABLE if status == "unhealthy" else 200, media_type="application/json")

    async def _health(self) -> list[StoreHealth]:
        asking, loop = self._asking, asyncio.get_running_loop()
        if asking is None or (asking.done() and loop.time() - self._answered > FRESH_S):
            asking = self._asking = asyncio.ensure_future(self._engine.health())
            asking.add_done_callback(self._note)
        return await asyncio.shield(asking)  # a probe that leaves takes the answer from no other

    def _note(self, asked: asyncio.Future[list[StoreHealth]]) -> None:
        self._answered = asked.get_loop().time()
