"""Where rows are measured: a temporary folder, the data, and servers that start when the first row needs them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from bench import queries
from bench.data import LONG, OWNER, Data, events, small_talk
from bench.http import Connection
from bench.process import RECOLLECT, Process, start
from server.service import Service, open_service
from server.settings import Settings

T = TypeVar("T")

_FULL = 10_000  # items; with fewer the rounds are shorter too
_TOGETHER = 500  # rows a mutation while data is loaded


class Lab:
    """Lends servers to rows, and stops them all in the end. Leave it by `close`."""

    def __init__(
        self,
        folder: Path,
        size: int,
        seed: int,
        servers: Mapping[str, str] = MappingProxyType({}),
        program: Path | None = None,
    ) -> None:
        """servers: the settings that lead to those of the services engine, which must be empty. program: an older build
        of ours, which is measured."""
        self._program = program
        self.folder, self.size, self.seed, self.servers = folder, size, seed, servers
        self.seconds = min(1.0, max(0.1, size / _FULL))
        self.data = Data(size, seed)
        self._servers: dict[str, Process] = {}
        self._measured: dict[Any, Any] = {}
        self._fresh = 0
        self._filled = False

    async def server(self) -> Process:
        """Recollect, with the data in it."""
        if "recollect" not in self._servers:
            self._servers["recollect"] = server = await self._serve(RECOLLECT, self.home)
            if not self._filled:
                self._filled = True
                await self._fill(server)
        return self._servers["recollect"]

    @property
    def home(self) -> Path:
        """The data folder of that server."""
        return self.folder / "filled"

    async def plain(self) -> Process:
        """The server that is written with Strawberry alone, with the same session in it."""
        if "plain" not in self._servers:
            arguments = ["-m", "bench.baselines.app", str(self.folder / "plain.db"), str(self.size), str(self.seed)]
            self._servers["plain"] = await start(arguments, self.folder / "plain.log")
        return self._servers["plain"]

    async def floor(self) -> Process:
        """The server that does the least."""
        if "floor" not in self._servers:
            arguments = ["-m", "bench.baselines.floor", str(self.folder / "floor.db"), str(self.size), str(self.seed)]
            self._servers["floor"] = await start(arguments, self.folder / "floor.log")
        return self._servers["floor"]

    @contextlib.asynccontextmanager
    async def fresh(self, arguments: Iterable[str] = RECOLLECT) -> AsyncIterator[Process]:
        """Recollect on an empty folder."""
        self._fresh += 1
        server = await self._serve(arguments, self.folder / f"fresh-{self._fresh}")
        try:
            yield server
        finally:
            await server.stop()

    @contextlib.asynccontextmanager
    async def instead(self, arguments: Iterable[str]) -> AsyncIterator[Process]:
        """Another program that serves the data, while Recollect itself makes way."""
        await self.server()
        await self._servers.pop("recollect").stop()
        server = await self._serve(arguments, self.home)
        try:
            yield server
        finally:
            await server.stop()

    @contextlib.asynccontextmanager
    async def inside(self) -> AsyncIterator[Service]:
        """The data, opened in this process while Recollect itself makes way."""
        await self.server()
        await self._servers.pop("recollect").stop()
        service = open_service(self.home, Settings())
        try:
            yield service
        finally:
            await service.close()

    async def once(self, key: Any, measure: Callable[[], Awaitable[T]]) -> T:
        """What was measured under that key, by whichever row was first; for rows that show sides of one thing."""
        if key not in self._measured:
            self._measured[key] = await measure()
        found: T = self._measured[key]
        return found

    async def close(self) -> None:
        """Stops what runs."""
        for server in self._servers.values():
            await server.stop()

    async def _serve(self, arguments: Iterable[str], folder: Path) -> Process:
        serve = [*(arguments if self._program is None else ()), "serve", "--port", "0", "--data", str(folder)]
        return await start(serve, self.folder / "server.log", self.servers, program=self._program)

    async def _fill(self, server: Process) -> None:
        connection = await server.connect()
        try:
            await fill(connection, self.data)
        finally:
            connection.close()


async def fill(connection: Connection, data: Data) -> None:
    """Loads the data."""
    await connection.data(queries.UPSERT_USER, {"input": {"externalId": OWNER, "name": "Owner"}})
    for part in parts(data.memory_inputs()):
        await connection.data(queries.CREATE_MEMORIES, {"input": {"memories": part}})
    for part in parts(data.links()):
        await connection.data(queries.LINK_MEMORIES, {"input": {"links": part}})
    for key in (LONG, *data.others):
        session = {"externalId": key, "title": f"The session {key}"}
        await connection.data(queries.CREATE_SESSION, {"input": session})
        by = {"session": {"externalId": key}}
        said = data.message_inputs(data.long) if key == LONG else iter(small_talk(20, len(key)))
        for part in parts(said):
            await connection.data(queries.ADD_MESSAGES, {"input": {**by, "messages": part}})
        await connection.data(queries.APPEND, {"input": {**by, "events": events(50)}})


def parts(items: Iterator[T]) -> Iterator[list[T]]:
    """The items in lists of some hundred."""
    while part := list(islice(items, _TOGETHER)):
        yield part
