"""The ordinary server: python -m bench.baselines.app FILE SIZE SEED

/graphql is Strawberry as it comes; /cached is the same with its caches of parsed and validated documents.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections import defaultdict
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from bench.baselines import types
from bench.baselines.file import made
from bench.baselines.serving import serve
from bench.data import Data


class View(GraphQL[types.Context, None]):
    """Strawberry's own view, with our context."""

    db: sqlite3.Connection
    listeners: dict[str, set[asyncio.Queue[types.Edge]]]

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> types.Context:
        """New for each operation, and with it the loaders."""
        return types.Context(self.db, self.listeners)


def create_app(db: sqlite3.Connection) -> Starlette:
    """The application over an opened file."""
    View.db, View.listeners = db, defaultdict(set)
    stock = View(types.schema([]))
    cached = View(types.schema([lambda: ParserCache(maxsize=100), lambda: ValidationCache(maxsize=100)]))
    return Starlette(
        routes=[
            Route("/graphql", stock, methods=["POST"]),
            Route("/cached", cached, methods=["POST"]),
            WebSocketRoute("/graphql", stock),
            Route("/readyz", lambda _: PlainTextResponse("ok")),
        ]
    )


def main(file: str, size: str, seed: str) -> None:
    """Serves until SIGTERM."""
    app = create_app(made(Path(file), Data(int(size), int(seed))))
    serve(app, ws="websockets-sansio", ws_per_message_deflate=False, timeout_graceful_shutdown=3)


if __name__ == "__main__":
    main(*sys.argv[1:])
