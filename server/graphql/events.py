"""Events of a subscription: encoded results, each with its cursor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from server.errors import OperationRefused, formatted, log


class Event(msgspec.Struct, frozen=True):
    """One encoded execution result, and the cursor to go on after it if its root value has one."""

    body: bytes
    cursor: str | None = None


class Batch:
    """Events that are given to many subscribers. Who sends them the same way shares what is sent: it is made once for
    those that follow each other, as nearly all do."""

    __slots__ = ("_made", "_way", "events")

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self._way: object = None
        self._made = b""

    def sent(self, way: bytes, make: Callable[[bytes, Sequence[Event]], bytes]) -> bytes:
        """What `make` makes of a way and the events."""
        if self._way != way:
            self._way, self._made = way, make(way, self.events)
        return self._made


class Events:
    """A running subscription: an async iterator of Event. Whoever stops early calls aclose().

    Iteration raises OperationRefused when the source fails; the stream has ended then.
    """

    def __init__(self, source: AsyncIterator[Any], answer: Callable[[Any], Any]) -> None:
        self._source, self._answer = source, answer

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        try:
            value = await anext(self._source)
        except StopAsyncIteration:
            raise
        except Exception as error:
            raise OperationRefused(formatted([error])) from error
        cursor = getattr(value, "cursor", None)
        return Event(await self._answer(value), cursor if isinstance(cursor, str) else None)

    async def aclose(self) -> None:
        """End the source now. Its failure to do so is logged, there is nobody left to tell."""
        close = getattr(self._source, "aclose", None)
        if close is None:
            return
        try:
            await close()
        except Exception:
            log.exception("The source of a subscription failed to close")
