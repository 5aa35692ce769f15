"""A small schema, and a real server for it: everything the serving side can meet, and no store."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NewType

import msgspec
import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from strawberry.schema.config import StrawberryConfig

from domain.errors import CursorExpired, ErrorCode, Rejected, UserError
from schema.build import executable
from server.graphql.executor import Executor
from server.http.graphql import GraphQLHTTP
from server.http.protocol import bounded
from server.limits import DEFAULTS, Limits
from server.websocket.graphql import GraphQLWebSocket
from stores.errors import Unavailable
from tests.support.graphql_client import ANYONE, anybody

NOON = datetime(2026, 1, 2, 12, 0, 0, 250, tzinfo=UTC)
SECRET = "the password is swordfish"

Anything = NewType("Anything", object)
Moment = NewType("Moment", datetime)


class Board:
    """What the resolvers did, by the key their caller gave; shared between the server's thread and the test."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.produced: Counter[str] = Counter()


BOARD = Board()


def make_context(_caller: object) -> Board:
    return BOARD


@strawberry.input(one_of=True)
class Ref:
    id: strawberry.ID | None = strawberry.UNSET
    external_id: str | None = strawberry.UNSET


@strawberry.type
class Tick:
    cursor: str
    number: int
    padding: str = ""

    @strawberry.field
    def odd(self) -> bool | None:
        if self.number == 13:
            raise RuntimeError(SECRET)
        return self.number % 2 == 1


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    async def later(self) -> str:
        await asyncio.sleep(0)
        return "later"

    @strawberry.field
    def moment(self) -> Moment:
        return Moment(NOON)

    @strawberry.field
    def echo(self, value: Anything) -> Anything:
        return value

    @strawberry.field
    def raw(self) -> Anything:
        return Anything(msgspec.Raw(b'{"kept":\r\n [1, 2]}'))

    @strawberry.field
    def no_json(self) -> Anything:
        return Anything({object()})

    @strawberry.field
    def find(self, by: Ref) -> str:
        return by.id or by.external_id or ""

    @strawberry.field
    def too_big(self) -> int | None:
        return 3_000_000_000

    @strawberry.field
    def fails(self) -> str | None:
        raise RuntimeError(SECRET)

    @strawberry.field
    def rejects(self) -> str | None:
        raise Rejected(
            [
                UserError(ErrorCode.INVALID, "first is at most 1000.", ["first"]),
                UserError(ErrorCode.NOT_FOUND, "No such session.", ["filter", "0", "session"]),
            ]
        )

    @strawberry.field
    def expired(self) -> str | None:
        raise CursorExpired(SECRET)

    @strawberry.field
    async def unavailable(self) -> str:
        raise Unavailable(SECRET, retry_after_ms=250)

    @strawberry.field
    async def waits(self, info: strawberry.Info[Board, None], key: str) -> str:
        return await held(info.context, key)


@strawberry.type
class Mutation:
    @strawberry.mutation
    def write(self, info: strawberry.Info[Board, None], key: str) -> int:
        info.context.produced[key] += 1
        return info.context.produced[key]


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(
        self, info: strawberry.Info[Board, None], key: str, to: int = 1_000_000, after: str | None = None, size: int = 0
    ) -> AsyncGenerator[Tick, None]:
        """Numbers after the cursor; endless in effect, each as soon as the one before was taken."""
        board = info.context
        board.opened[key] += 1
        try:
            for number in range(int(after or 0) + 1, to + 1):
                board.produced[key] += 1
                yield Tick(cursor=str(number), number=number, padding="x" * size)
                await asyncio.sleep(0)
        finally:
            board.closed[key] += 1

    @strawberry.subscription
    async def silent(self, info: strawberry.Info[Board, None], key: str) -> AsyncGenerator[int, None]:
        await held(info.context, key)
        yield 0

    @strawberry.subscription
    async def absent(self) -> AsyncGenerator[int, None]:
        raise Rejected([UserError(ErrorCode.NOT_FOUND, "No such session.", ["session"])])
        yield 0  # type: ignore[unreachable]  # it makes this a generator

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int, None]:
        yield 1
        raise CursorExpired


async def held(board: Board, key: str) -> str:
    """Wait until cancelled, and note both ends."""
    board.opened[key] += 1
    try:
        await asyncio.Event().wait()
    finally:
        board.closed[key] += 1
    return ""


def _as_it_is(value: Any) -> Any:
    return value


SCHEMA = executable(
    strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(
            scalar_map={
                Anything: strawberry.scalar(name="JSON", serialize=_as_it_is, parse_value=_as_it_is),
                Moment: strawberry.scalar(name="DateTime", serialize=_as_it_is, parse_value=_as_it_is),
            }
        ),
    )
)


def make_app(limits: Limits = DEFAULTS, **times: Any) -> Starlette:
    """The application; times are those of both endpoints, given to whichever knows them."""
    executor = Executor(SCHEMA, role=anybody, limits=limits)
    http = {name: value for name, value in times.items() if name in ("keep_alive", "send_timeout")}
    return Starlette(
        routes=[
            Route("/graphql", GraphQLHTTP(executor, make_context, access=ANYONE, limits=limits, **http)),
            WebSocketRoute("/graphql", GraphQLWebSocket(executor, make_context, access=ANYONE, limits=limits, **times)),
        ]
    )


@contextlib.contextmanager
def serving(limits: Limits = DEFAULTS, app: ASGIApp | None = None, **options: Any) -> Iterator[str]:
    """A real server on a port of its own: its `host:port`. It is stopped whatever happens. app: instead of ours."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app or make_app(limits, **options),
            http=bounded(limits),
            ws="websockets-sansio",
            ws_max_size=1024 * 1024,
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            _until(lambda: server.started or not thread.is_alive())
            yield "{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


def _until(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "the server did not start"
        time.sleep(0.002)


async def eventually(happened: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something in the server's thread."""
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.002)
