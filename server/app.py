"""The web application: routes, and what begins and ends with them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

from resolvers.health import health
from resolvers.sweeping import sweep
from server.graphql_http import GraphQLHTTP
from server.graphql_ws import GraphQLWebSocket
from server.service import Service

SWEEP_EVERY_S = 60.0

_log = logging.getLogger("recollect")


def create_app(service: Service) -> Starlette:
    """The application over an opened service, which it closes when the server stops.

    A server calls `app.state.stop_streams()` when it begins to stop, for streams do not end by themselves.
    """

    async def home(_: Request) -> Response:
        """The page is at /graphql."""
        return RedirectResponse("/graphql")

    async def healthz(_: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        """The store answers too; 503 where it does not."""
        state = await health(service.context())
        status = 503 if state.status == "unhealthy" else 200
        return Response(msgspec.json.encode(state), status, media_type="application/json")

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep_for_ever(service))
        gc.collect()
        gc.freeze()  # what is loaded stays: the collector need not look at it again
        try:
            yield
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            await service.close()

    http = GraphQLHTTP(service.executor, service.operation)
    app = Starlette(
        routes=[
            Route("/", home),
            Route("/graphql", http),
            WebSocketRoute("/graphql", GraphQLWebSocket(service.executor, service.operation)),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        lifespan=lifespan,
    )
    app.state.stop_streams = http.stop
    return app


async def _sweep_for_ever(service: Service) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        try:
            await sweep(service.context())
        except Exception as error:  # it will be tried again
            _log.warning("the sweep of what has expired failed: %s", error)
