"""Detect servers that hang: they neither answer nor close the connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

_log = logging.getLogger("recollect")

_PATIENCE_SECONDS = 0.5
"""So long without any answer, and the server is asked whether it is there."""

_ANSWER_SECONDS = 1.1
"""How long it may take to say so: a call of a server that hangs ends in well under two seconds."""


NO_ANSWER = "no answer in time"


class Place:
    """A port, and whether it speaks TLS."""

    def __init__(self, host: str, port: int, secure: bool) -> None:
        self._host, self._port = host, port
        self._tls = _any_certificate() if secure else None

    async def ask(self, words: bytes, answer: int) -> None:
        """Says something over a connection of its own, and waits for so many bytes. Raises OSError or EOFError.

        That takes a server a millisecond or two, however busy it is.
        """
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        try:
            writer.write(words)
            await reader.readexactly(answer)
        finally:
            writer.close()


async def first_answer(asked: Sequence[Awaitable[None]]) -> None:
    """Until one of them is answered; the others are given up. Raises what the last one raised where none is."""
    asking = [asyncio.ensure_future(one) for one in asked]
    try:
        failure: Exception | None = None
        for done in asyncio.as_completed(asking):
            try:
                return await done
            except (OSError, EOFError) as error:
                failure = error
        if failure is not None:
            raise failure
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


def _any_certificate() -> ssl.SSLContext:
    """Whether somebody is there is no secret; the clients look at certificates."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Liveness:
    """The calls that wait for a server. Where none is answered for half a second, the server is asked a trivial thing;
    where it does not answer that either, all of them end with TimeoutError. So a call that is hard may take its time.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]], lost: Callable[[], None]) -> None:
        """ask: asks the trivial thing, and raises where there is no answer. lost: told that there was none."""
        self._ask, self._lost = ask, lost
        self._waiting: dict[asyncio.Timeout, float] = {}
        self._last = 0.0
        self._watching: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def waiting(self, seconds: float) -> AsyncIterator[None]:
        """One call, which may take so long. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds) as deadline:
            self._waiting[deadline] = loop.time()
            if self._watching is None:
                self._watching = loop.create_task(self._watch())
            try:
                yield
                self._last = loop.time()
            finally:
                del self._waiting[deadline]

    async def _watch(self) -> None:
        """Until nothing waits; then the next call starts another watch."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                oldest = next(iter(self._waiting.values()))
                due = max(oldest, self._last) + _PATIENCE_SECONDS
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                elif await self._there():
                    self._last = loop.time()
                else:
                    self._lost()
                    for deadline in self._waiting:
                        if not deadline.expired():
                            deadline.reschedule(loop.time())
                    await asyncio.sleep(_PATIENCE_SECONDS)
        finally:
            self._watching = None

    async def _there(self) -> bool:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._ask()
        except (OSError, EOFError):  # TimeoutError is an OSError
            return False
        except Exception:
            _log.exception("could not check whether a server is reachable")
        return True

    async def close(self) -> None:
        if (watching := self._watching) is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
