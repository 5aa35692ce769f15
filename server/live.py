"""Live groups: subscribers of the same operation share one execution.

The first subscriber of an operation, its variables and its audience starts a group, which follows the source from now
on. Each event is executed and encoded once and kept in a bounded ring. A subscriber that asks for what came before a
cursor replays it from a source of its own until it meets an event of the ring, and is one of the group from there. One
that falls behind the ring replays again. So each sees every event once and in order, none slows another, and what is
held in memory does not depend on how slow they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from typing import TYPE_CHECKING

import msgspec
from graphql import FieldNode, NullValueNode, VariableNode

from server.errors import CURSOR_EXPIRED, OperationRefused, plain
from server.events import Event, Events

if TYPE_CHECKING:
    from server.executor import Operation

Push = Callable[[Event], bool]
"""Takes an event at once, or says no: then it is pulled when its subscriber has room again."""

RING_EVENTS = 1_000
RING_BYTES = 8 << 20
"""What a group keeps for those who are a little behind."""


class _Ring:
    """The latest events, by number and by cursor."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._numbers: dict[str, int] = {}
        self._bytes = 0
        self.first = 0

    @property
    def end(self) -> int:
        """The number of the event that comes next."""
        return self.first + len(self._events)

    def add(self, event: Event) -> None:
        """One more event; the oldest go where there is no room."""
        if event.cursor is not None:
            self._numbers[event.cursor] = self.end
        self._events.append(event)
        self._bytes += len(event.body)
        while len(self._events) > RING_EVENTS or (self._bytes > RING_BYTES and len(self._events) > 1):
            gone = self._events.popleft()
            self.first += 1
            self._bytes -= len(gone.body)
            if gone.cursor is not None:
                self._numbers.pop(gone.cursor, None)

    def __getitem__(self, number: int) -> Event:
        return self._events[number - self.first]

    def after(self, cursor: str | None) -> int | None:
        """The number of the event that follows the one with this cursor; None where it is not in the ring."""
        number = None if cursor is None else self._numbers.get(cursor)
        return None if number is None else number + 1


class _Group:
    """The subscribers of one operation, and the source they share."""

    def __init__(self, source: Events) -> None:
        self.ring = _Ring()
        self.members = 0
        self.ended: Exception | None = None
        self._waiting: dict[asyncio.Future[tuple[int, str | None]], Push | None] = {}
        self._source = source
        self._task = asyncio.ensure_future(self._pump())

    async def next(self, push: Push | None) -> tuple[int, str | None]:
        """Waits at the ring's end. The number of the first event that `push` did not take (without one, of the next),
        and the cursor before it where that was pushed; the ring's end where the source has ended."""
        waiting: asyncio.Future[tuple[int, str | None]] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = push
        try:
            return await waiting
        finally:
            self._waiting.pop(waiting, None)

    async def _pump(self) -> None:
        before: str | None = None
        try:
            async for event in self._source:
                number = self.ring.end
                self.ring.add(event)
                self._offer(event, number, before)
                before = event.cursor
            self.ended = _Finished()
        except Exception as error:
            self.ended = error
        self._release(list(self._waiting), self.ring.end, before)

    def _offer(self, event: Event, number: int, before: str | None) -> None:
        """Gives an event to all who take it at once; some 5 us each over a socket."""
        refused = [waiting for waiting, push in self._waiting.items() if push is None or not push(event)]
        self._release(refused, number, before)

    def _release(self, waiting: list[asyncio.Future[tuple[int, str | None]]], number: int, before: str | None) -> None:
        for one in waiting:
            del self._waiting[one]
            if not one.done():
                one.set_result((number, before))

    async def close(self) -> None:
        """Ends the source."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._source.aclose()


class _Finished(Exception):
    """The source came to its end."""


class Groups:
    """All live groups of an executor.

    start: begins a subscription's source. resume: the same operation, to go on after a cursor. audience: what a
    context may see, None where that cannot be told; subscribers share a group only with their equals.
    """

    def __init__(
        self,
        start: Callable[[Operation, object], Awaitable[Events]],
        resume: Callable[[Operation, str], Operation],
        audience: Callable[[object], Hashable | None],
    ) -> None:
        self._start, self._resume, self._audience = start, resume, audience
        self._groups: dict[Hashable, asyncio.Future[_Group]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    async def follow(
        self, operation: Operation, context: object, push: Push | None = None
    ) -> AsyncGenerator[Event, None]:
        """A subscription's events, but for those that `push` takes. Raises OperationRefused, as the source does."""
        live, after = _split(operation)
        audience = self._audience(context)
        if live is None or audience is None:
            async with contextlib.aclosing(await self._start(operation, context)) as own:
                async for event in own:
                    yield event
            return
        replay = None if after is None else await self._start(operation, context)
        key = (id(operation.node), msgspec.msgpack.encode(live.variables or {}), audience)
        group = await self._join(key, live, context)
        try:
            async with contextlib.aclosing(self._through(group, operation, context, replay, push)) as events:
                async for event in events:
                    yield event
        finally:
            await self._leave(key, group)

    async def _join(self, key: Hashable, live: Operation, context: object) -> _Group:
        """The group of a key, started where there is none that is alive."""
        while (found := self._groups.get(key)) is not None:
            group = await asyncio.shield(found)
            if group.ended is None and self._groups.get(key) is found:
                group.members += 1
                return group
            if self._groups.get(key) is found:
                del self._groups[key]
        starting: asyncio.Future[_Group] = asyncio.get_running_loop().create_future()
        self._groups[key] = starting
        try:
            group = _Group(await self._start(live, context))
        except BaseException as error:
            self._groups.pop(key, None)
            starting.set_exception(error)
            starting.exception()  # seen: those who wait for it raise it too
            raise
        group.members += 1
        starting.set_result(group)
        return group

    async def _leave(self, key: Hashable, group: _Group) -> None:
        group.members -= 1
        if group.members == 0:
            found = self._groups.get(key)
            if found is not None and found.done() and not found.exception() and found.result() is group:
                del self._groups[key]
            await group.close()

    async def _through(
        self, group: _Group, operation: Operation, context: object, replay: Events | None, push: Push | None
    ) -> AsyncGenerator[Event, None]:
        """Replays until the ring is met, then goes with the group; replays again whenever the ring has gone on."""
        member = _Member(group, push)
        while True:
            if replay is not None:
                async with contextlib.aclosing(replay):
                    async for event in replay:
                        yield event
                        if member.meets(event.cursor):
                            break
                    else:
                        return
            async with contextlib.aclosing(member.events()) as events:
                async for event in events:
                    yield event
            if group.ended is not None:
                if isinstance(group.ended, _Finished):
                    return
                raise group.ended
            if member.last is None:
                raise OperationRefused([plain("This subscriber fell behind; subscribe again.", CURSOR_EXPIRED)])
            replay = await self._start(self._resume(operation, member.last), context)


class _Member:
    """One subscriber's place in its group: the number of its next event, and the cursor of the last."""

    def __init__(self, group: _Group, push: Push | None) -> None:
        self._group, self._push = group, push
        self._number = group.ring.end
        self.last: str | None = None

    def meets(self, cursor: str | None) -> bool:
        """Notes an event that was replayed; whether the group goes on from there."""
        self.last = cursor
        number = self._group.ring.after(cursor)
        if number is None:
            return False
        self._number = number
        return True

    async def events(self) -> AsyncGenerator[Event, None]:
        """What is in the ring, then what comes, until the source ends or the ring has left this place behind."""
        group = self._group
        while self._number >= group.ring.first:
            while group.ring.first <= self._number < group.ring.end:
                event = group.ring[self._number]
                self._number += 1
                self.last = event.cursor
                yield event
            if self._number == group.ring.end:
                if group.ended is not None:
                    return
                number, before = await group.next(self._push)
                if number > self._number:
                    self.last = before
                self._number = number


def _split(operation: Operation) -> tuple[Operation | None, str | None]:
    """The operation without its `after`, and that; None where it stands in the text or behind a fragment, so that
    nobody else can have the same operation."""
    roots = operation.node.selection_set.selections
    if len(roots) != 1 or not isinstance(roots[0], FieldNode):
        return None, None
    variables = dict(operation.variables or {})
    for argument in roots[0].arguments or ():
        if argument.name.value == "after" and not isinstance(argument.value, NullValueNode):
            if not isinstance(argument.value, VariableNode):
                return None, None
            name = argument.value.name.value
            if any(
                d.variable.name.value == name and d.default_value for d in operation.node.variable_definitions or ()
            ):
                return None, None
            after = variables.pop(name, None)
            return dataclasses.replace(operation, variables=variables), after
    return operation, None
