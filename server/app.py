"""The web application: routes, start-up and shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
from collections.abc import AsyncIterator, Iterator, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.caller import operator
from domain.retention import ApplyRetentionInput
from resolvers import blobs, erasure, retention
from resolvers.expiry import Kept, sweep, trim
from server.access.admission import Access
from server.access.configuration import origins_of
from server.graphql.fallbacks import FALLBACKS
from server.http.blobs import BlobHTTP
from server.http.console import Console
from server.http.graphql import GraphQLHTTP
from server.http.readiness import Readiness
from server.http.reembedding import ReembedHTTP
from server.otlp.endpoint import ALL_LOGS, LOGS, METRICS, OTLP, TRACES
from server.service import Service
from server.telemetry.logs import OperationLog
from server.telemetry.metrics import Metrics, Reading
from server.telemetry.metrics_http import MetricsHTTP
from server.telemetry.middleware import Instrumented
from server.telemetry.tracing import open_tracing
from server.websocket.graphql import GraphQLWebSocket
from stores.errors import Unavailable

SWEEP_EVERY_S = 5.0
TRIM_EVERY_S = 3600.0

CLIENT_HEADERS = (
    "apollo-require-preflight",
    "graphql-require-preflight",
    "x-apollo-operation-name",
    "x-requested-with",
)
"""Headers that GraphQL clients send by themselves, which pages of the allowed origins may send too."""

_log = logging.getLogger("recollect")


class Application(Starlette):
    """Starlette, but for the requests of one path, which its layers would take 40 us to bring there."""

    straight: tuple[str, ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.straight is not None and scope["type"] == "http" and scope["path"] == self.straight[0]:
            await self.straight[1](scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


_NEW_OBJECTS = 10_000
"""How many containers there are before the collector looks at them: a page or a request makes thousands at once, which
700, Python's own threshold, looks at again and again while they are in use."""


def create_app(service: Service, access: Access) -> Starlette:
    """The application over an opened service, which it closes when the server stops. access: who may use it.

    A server calls `app.state.stop_streams()` when it begins to stop, for streams do not end by themselves.
    """

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_sweep_for_ever(service)),
            asyncio.create_task(_trim_for_ever(service)),
            asyncio.create_task(metrics.watch_lateness()),
            asyncio.create_task(service.embedders.watch()),
        ]
        gc.collect()
        gc.set_threshold(_NEW_OBJECTS)
        gc.freeze()  # what is loaded stays: the collector need not look at it again
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await service.close()
            if tracing is not None:
                await asyncio.to_thread(tracing.close)

    settings = service.settings
    http = GraphQLHTTP(service.executor, service.operation, access=access, limits=settings, intake=service.intake)
    sockets = GraphQLWebSocket(service.executor, service.operation, access=access, limits=settings)
    doors = _otlp(service, access)
    metrics, tracing = Metrics(service.engine, lambda: _reading(service)), open_tracing(settings)
    observed = Middleware(Instrumented, metrics=metrics, log=OperationLog(settings.log_slow_ms), tracing=tracing)
    middleware = [observed, *_cors(origins_of(settings))]
    app = Application(
        routes=[
            *Console(access).routes(),
            Route("/graphql", http),
            WebSocketRoute("/graphql", sockets),
            *(Route(f"{base}/{name}", door) for base in _OTLP_AT for name, door in doors.items()),
            Route("/blobs/{id}", BlobHTTP(service.reading, service.intake, access)),
            Route("/healthz", healthz),
            Route("/reembed", ReembedHTTP(service.embedders, access)),
            Route("/readyz", Readiness(service.engine).answer),
            *_metrics(metrics, access, settings.metrics),
        ],
        middleware=middleware,
        lifespan=lifespan,
    )
    app.state.stop_streams, app.state.otlp = http.stop, doors
    app.straight = "/graphql", _within(middleware, http)
    return app


def _within(middleware: Sequence[Middleware], app: ASGIApp) -> ASGIApp:
    for layer in reversed(middleware):
        app = layer.cls(app, *layer.args, **layer.kwargs)
    return app


_OTLP_AT = ("/v1", "/api/public/otel/v1", "/otel/v1")
"""Where the doors of OTLP are: also where the SDKs of Langfuse and LangSmith look for them."""


def _otlp(service: Service, access: Access) -> dict[str, OTLP]:
    """The doors of OTLP, by what they take."""
    settings = service.settings
    logs = ALL_LOGS if settings.telemetry_logs == "all" else LOGS
    return {
        name: OTLP(
            signal,
            service.context,
            access=access,
            max_body_bytes=settings.max_spans_bytes,
            max_attributes_bytes=settings.max_attributes_bytes,
        )
        for name, signal in (("traces", TRACES), ("logs", logs), ("metrics", METRICS))
    }


def _metrics(metrics: Metrics, access: Access, who: str) -> list[Route]:
    """Where they can be read, if they can."""
    if who == "off":
        return []
    return [Route("/metrics", MetricsHTTP(metrics, access if who == "admin" else None))]


def _reading(service: Service) -> Reading:
    live = service.executor.following
    documents = service.executor.documents
    return Reading(
        *live,
        documents.hits,
        documents.misses,
        service.timed.calls,
        FALLBACKS.counts,
        service.treatments.masked,
        service.retired,
    )


def _cors(origins: list[str]) -> list[Middleware]:
    """What tells browsers which pages of other sites may ask."""
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Content-Encoding", "Last-Event-ID", *CLIENT_HEADERS],
            expose_headers=["Retry-After", "WWW-Authenticate", "X-Request-Id"],
        )
    ]


async def _sweep_for_ever(service: Service) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        with _tried_again("could not look for expired records"):
            await sweep_due(service)


async def sweep_due(service: Service) -> None:
    """Delete what has expired. A workspace where that fails does not keep the others from it."""
    for workspace in await service.engine.due():
        with _tried_again(f"could not delete expired records of {workspace}"):
            await sweep(service.context(operator(workspace)))
        with _tried_again(f"could not go on with an erasure in {workspace}"):
            await erasure.go_on(service.context(operator(workspace)))


async def _trim_for_ever(service: Service) -> None:
    """Not all processes at the same time."""
    await asyncio.sleep(SWEEP_EVERY_S)
    while True:
        with _tried_again("could not look for old entries of logs"):
            await trim_all(service)
        await asyncio.sleep(TRIM_EVERY_S * random.uniform(0.8, 1.2))


async def trim_all(service: Service) -> None:
    """Forget what the audit logs and logs of changes of all workspaces keep no longer."""
    settings = service.settings
    audit = Kept(settings.audit_days, settings.audit_entries)
    changes = Kept(settings.changes_days, settings.changes_entries)
    for workspace in await service.engine.workspaces():
        with _tried_again(f"could not forget old entries of the logs of {workspace}"):
            await trim(service.context(operator(workspace)), audit, changes)
        if settings.retention:
            with _tried_again(f"could not delete what is not kept of {workspace}"):
                done = await retention.apply(service.context(operator(workspace)), ApplyRetentionInput())
                service.retired.update({one.kind.name.lower(): one.count for one in done.removed})
        if service.intake is not None:
            with _tried_again(f"could not look for unused blobs of {workspace}"):
                await blobs.sweep(service.context(operator(workspace)), settings.unused_blob_days)


@contextlib.contextmanager
def _tried_again(failed: str) -> Iterator[None]:
    """Logs a failure: a server that is down in a line, a fault of ours with its traceback."""
    try:
        yield
    except Unavailable as error:
        _log.warning("%s: %s", failed, error)
    except Exception:
        _log.exception("%s", failed)
