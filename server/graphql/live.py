"""Live groups: subscribers of the same operation share one execution.

The first subscriber of an operation, its variables and its audience starts a group, which follows the source from now
on. Each event is executed and encoded once and kept in a bounded ring. A subscriber that asks for what came before a
cursor replays it from a source of its own until it meets an event of the ring, and is one of the group from there. One
that falls behind the ring, or whose ring was given up, replays again. So each sees every event once and in order, none
slows another, and what is held in memory does not depend on how slow they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextvars import Context

from graphql import FieldNode, NullValueNode, VariableNode

from server.graphql.events import Batch, Event, Events
from server.graphql.operation import Operation
from server.graphql.ring import Ring, Rings
from server.graphql.timeslice import give_way, lasts_long

Push = Callable[[Batch], bool]
"""Takes events at once, or says no: then they are pulled when their subscriber has room again."""

PUSH_BYTES = 64 << 10
"""How much is pushed at a time; in between, a slow subscriber can say no."""


class _Place:
    """Where one who waits at the ring's end has got to: the number of the next event, and the cursor before it."""

    __slots__ = ("last", "number", "push")

    def __init__(self, number: int, push: Push | None) -> None:
        self.number, self.push = number, push
        self.last: str | None = None


class _Group:
    """The subscribers of one operation, and the source they share."""

    def __init__(self, source: Events, ring: Ring) -> None:
        self.ring = ring
        self.members = 0
        self.ended: Exception | None = None
        self._waiting: dict[asyncio.Future[None], _Place] = {}
        self._source = source
        self._grown = asyncio.Event()
        self._batch: tuple[int, int, Batch] | None = None
        # In a context of its own: it outlives the request that began it.
        self._tasks = Context().run(lambda: asyncio.gather(self._pump(), self._push()))

    async def next(self, number: int, push: Push | None) -> tuple[int, str | None]:
        """Waits at the ring's end. The number of the first event that `push` did not take (without one, of the next),
        and the cursor before it where that was pushed; the ring's end where the source has ended."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = self._waiting[waiting] = _Place(number, push)
        try:
            await waiting
        finally:
            self._waiting.pop(waiting, None)
        return place.number, place.last

    async def _pump(self) -> None:
        """Takes what the source yields into the ring."""
        try:
            async for event in self._source:
                self.ring.add(event)
                self._grown.set()
                await give_way()
            self.ended = _Finished()
        except Exception as error:
            self.ended = error
        self._grown.set()

    async def _push(self) -> None:
        """Gives what has come into the ring to all who wait there, several events in one go where they came so."""
        try:
            while self.ended is None:
                await self._grown.wait()
                self._grown.clear()
                for waiting, place in list(self._waiting.items()):
                    if waiting in self._waiting:
                        self._offer(waiting, place)
                    if lasts_long():
                        await asyncio.sleep(0)
                self._batch = None
        except Exception as error:
            self.ended = error
        for waiting in list(self._waiting):
            self._release(waiting)

    def _offer(self, waiting: asyncio.Future[None], place: _Place) -> None:
        ring = self.ring
        while place.number < ring.end:
            if place.push is None or place.number < ring.first or not place.push(batch := self._from(place.number)):
                self._release(waiting)
                return
            place.number += len(batch.events)
            place.last = batch.events[-1].cursor

    def _from(self, number: int) -> Batch:
        """The next events from a number on: those who wait at one place share them."""
        if self._batch is None or self._batch[:2] != (number, self.ring.end):
            self._batch = number, self.ring.end, Batch(self.ring.some(number, PUSH_BYTES))
        return self._batch[2]

    def _release(self, waiting: asyncio.Future[None]) -> None:
        del self._waiting[waiting]
        if not waiting.done():
            waiting.set_result(None)

    async def close(self) -> None:
        self._tasks.cancel()
        await asyncio.gather(self._tasks, return_exceptions=True)
        await self._source.aclose()
        self.ring.give_up()


class _Finished(Exception):
    """The source came to its end."""


class Groups:
    """All live groups of an executor.

    start: begins a subscription's source. resume: the same operation, to go on after a cursor. audience: what a
    context may see, None where that cannot be told; subscribers share a group only with their equals. max_bytes: of
    all rings together.
    """

    def __init__(
        self,
        start: Callable[[Operation, object], Awaitable[Events]],
        resume: Callable[[Operation, str], Operation],
        audience: Callable[[object], Hashable | None],
        max_bytes: int,
    ) -> None:
        self.rings = Rings(max_bytes)
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
        key = (id(operation.node), json.dumps(live.variables or {}, default=id), audience)
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
            group = _Group(await self._start(live, context), Ring(self.rings))
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
            replay = await self._start(self._resume(operation, member.cursor), context)


class _Member:
    """One subscriber's place in its group: the number of its next event, and the cursor of the one before it."""

    def __init__(self, group: _Group, push: Push | None) -> None:
        self._group, self._push = group, push
        self._number, self._last = group.ring.end, group.ring.last

    @property
    def cursor(self) -> str:
        """To go on after; of one that joined before the group's first event, the one before that."""
        cursor = self._last or self._group.ring.start
        assert cursor is not None, "a ring has left behind what never came"
        return cursor

    def meets(self, cursor: str | None) -> bool:
        """Notes an event that was replayed; whether the group goes on from there."""
        self._last = cursor
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
                self._last = event.cursor
                yield event
            if self._number == group.ring.end:
                if group.ended is not None:
                    return
                number, last = await group.next(self._number, self._push)
                if number > self._number:
                    self._last = last
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
