"""Serves a baseline as Recollect is served, and tells where."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn


def serve(app: Any, **settings: Any) -> None:
    """Prints the URL, and serves until SIGTERM. settings: what uvicorn is told besides."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="warning", access_log=False, server_header=False, **settings
    )
    uvicorn.Server(config).run(sockets=[listening])
