"""Run the server until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import click
import uvicorn
import uvloop
from starlette.applications import Starlette

from domain.caller import LOCAL
from server.access.configuration import open_access
from server.access.origins import is_loopback
from server.app import create_app
from server.demo import Client, Refused, fill, is_demo, live_agent
from server.http.protocol import bounded
from server.service import Service, open_service
from server.settings import BadSetting, Settings
from server.telemetry import logs
from server.websocket.frames import FrameProtocol


def serve(host: str, port: int, data: Path, settings: Settings, demo: bool) -> None:
    """Serves a folder on an address until SIGINT or SIGTERM. Raises CannotOpen or BadSetting, with one sentence."""
    logs.set_up(settings.log_level)
    try:
        listening = _bind(host, port)
    except BadSetting:
        if data.exists() and not settings.on_servers:  # a second server on the folder is told so, and not of the port
            asyncio.run(open_service(data, settings).close())
        raise
    with contextlib.closing(listening):
        _serve(listening, host, data, settings, demo)


def _serve(listening: socket.socket, host: str, data: Path, settings: Settings, demo: bool) -> None:
    service = open_service(data, settings)
    # uvicorn raises the signal that stopped it again; that is no failure.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(KeyboardInterrupt):
        runner.run(_run(service, listening, host, data, demo))


async def _run(service: Service, listening: socket.socket, host: str, data: Path, demo: bool) -> None:
    """Serves until a signal comes. Closes the service."""
    settings, address = service.settings, listening.getsockname()
    try:
        access = await open_access(service.context(LOCAL), settings, is_loopback(address[0]))
        shows_demo = demo and await _filled(service)
    except BaseException:
        await service.close()
        raise
    app = create_app(service, access)
    if shows_demo:
        _with_agent(app, service)
    config = uvicorn.Config(
        app,
        http=bounded(settings),
        ws=FrameProtocol,
        ws_max_size=settings.max_body_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.ping_seconds,
        ws_ping_timeout=settings.ping_timeout,
        timeout_graceful_shutdown=3,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    where = _banner(
        f"http://{_shown(host)}:{address[1]}",
        _place(settings, data),
        shows_demo,
        access.is_open,
        settings.first_key_file,
    )
    async with _grpc(app, service, host):
        await _Server(config, app, where).serve(sockets=[listening])


@contextlib.asynccontextmanager
async def _grpc(app: Starlette, service: Service, host: str) -> AsyncIterator[None]:
    """Takes OTLP over gRPC meanwhile, where that is set. Raises BadSetting, with the service closed."""
    settings = service.settings
    if settings.grpc_port == "off":
        yield
        return
    from server.otlp.grpc import serve_grpc

    try:
        server = await serve_grpc(host, settings.grpc_port, app.state.otlp, settings.max_spans_bytes)
    except BadSetting:
        await service.close()
        raise
    try:
        yield
    finally:
        await server.stop(2)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: Starlette, where: str) -> None:
        super().__init__(config)
        self._app, self._where = app, where

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """A second Ctrl+C has it wait for no request any more; the store is closed all the same, so that what was
        taken out of it is in no file."""
        self._app.state.stop_streams()
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            click.echo(self._where)


def _place(settings: Settings, data: Path) -> str:
    """What the store is."""
    if not settings.on_servers:
        return str(data.resolve())
    scheme = settings.graph_url.partition("://")[0]
    return "in Neo4j, Weaviate and Redis" if scheme.startswith(("neo4j", "bolt")) else f"in the engine {scheme}"


def _banner(url: str, place: str, shows_demo: bool, is_open: bool, first_key_file: str) -> str:
    shown = ": an agent is at work there" if shows_demo else ""
    lines = [
        f"Recollect is up. Open {click.style(url, bold=True)} in a browser{shown}.",
        f"  graphql  {url}/graphql",
        f"  data     {place}",
        f"  ready    {url}/readyz",
        f"  try      {_program()} search tea --url {url}"
        if shows_demo
        else f"  bring    {_program()} import FILE --url {url}",
        "  stop     Ctrl+C",
    ]
    if not is_open:
        lines.insert(1, "  keys     required" + (f"; see {first_key_file}" if first_key_file else ""))
    return "\n".join(lines)


def _program() -> str:
    """How a person calls this program here: it is often not on the path but in an environment of its own."""
    called = Path(sys.argv[0])
    if shutil.which("recollect") or called.name != "recollect":
        return "recollect"
    return os.path.relpath(called)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise BadSetting(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --host and --port."
        ) from None
    return listening


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _filled(service: Service) -> bool:
    """Writes the demo into an empty folder, and says whether the folder shows it. Raises BadSetting."""
    client = Client(service)
    try:
        await fill(client)
        if await is_demo(client):
            return True
    except Refused as refused:
        raise BadSetting(f"The demo cannot be written with these settings: {refused}") from None
    click.echo("This folder already contains other data, so --demo does not change it.")
    return False


def _with_agent(app: Starlette, service: Service) -> None:
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        agent = asyncio.create_task(live_agent(service.context(LOCAL)))
        async with inner(app):
            try:
                yield
            finally:
                agent.cancel()
                await asyncio.gather(agent, return_exceptions=True)

    app.router.lifespan_context = lifespan
