"""The network between a browser and a server: under a path, and cut off at will."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future


class Proxy:
    """Passes connections on to a server. What comes under `prefix` is asked of it without that."""

    def __init__(self, port: int, prefix: str = "") -> None:
        self.to, self._prefix = port, prefix.encode()
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False

    def __enter__(self) -> Proxy:
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        self.port = ready.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Breaks what is connected, and lets nothing through."""
        self._is_cut = True
        self._loop.call_soon_threadsafe(self._break)

    def mend(self) -> None:
        self._is_cut = False

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, ready: Future[int]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._one, "127.0.0.1", 0)
        ready.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        self._break()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            return writer.transport.abort()
        there, to = await asyncio.open_connection("127.0.0.1", self.to)
        self._writers |= {writer, to}

        async def passed(source: asyncio.StreamReader, sink: asyncio.StreamWriter, prefix: bytes) -> None:
            while data := await source.read(65536):
                sink.write(data.replace(b" " + prefix + b"/", b" /", 1) if prefix else data)
                await sink.drain()
            sink.close()

        try:
            await asyncio.gather(passed(reader, to, self._prefix), passed(there, writer, b""))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            to.close()
            writer.close()
            self._writers -= {writer, to}
