"""Rings: the latest events of live groups, bounded by bytes for each and for all together."""

from __future__ import annotations

from collections import OrderedDict, deque

from domain.page import before
from server.graphql.events import Event

RING_EVENTS = 1_000
RING_BYTES = 8 << 20
"""What one ring keeps for those who are a little behind."""

EVENT_BYTES = 500
"""What an event takes beside its body: its cursor, both objects, and their places in the ring."""


class Rings:
    """All rings of a process. bytes: what they hold.

    Beyond `limit` whole rings are given up, first the one that has not grown for longest.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rings: OrderedDict[Ring, None] = OrderedDict()
        self.bytes = 0

    def grown(self, ring: Ring) -> None:
        self._rings[ring] = None
        self._rings.move_to_end(ring)
        while self.bytes > self._limit:
            oldest = next(iter(self._rings))
            if oldest is ring:
                ring.drop()
            else:
                oldest.give_up()

    def emptied(self, ring: Ring) -> None:
        self._rings.pop(ring, None)


class Ring:
    """The latest events of a group, by number and by cursor.

    first, end: the numbers of the oldest event, and of the one to come. start, last: the cursors before the first event
    that ever came, and of the latest one; both outlive the events.
    """

    def __init__(self, rings: Rings) -> None:
        self._rings = rings
        self._events: deque[Event] = deque()
        self._numbers: dict[str, int] = {}
        self._bytes = self.first = self.end = 0
        self.start: str | None = None
        self.last: str | None = None

    def add(self, event: Event) -> None:
        if event.cursor is not None:
            self._numbers[event.cursor] = self.end
            self.start = self.start or before(event.cursor)
        self.last = event.cursor
        self._events.append(event)
        self.end += 1
        self._count(_bytes(event))
        while len(self._events) > RING_EVENTS or (self._bytes > RING_BYTES and len(self._events) > 1):
            self.drop()
        self._rings.grown(self)

    def drop(self) -> None:
        """The oldest event goes."""
        gone = self._events.popleft()
        self.first += 1
        if gone.cursor is not None:
            self._numbers.pop(gone.cursor, None)
        self._count(-_bytes(gone))

    def give_up(self) -> None:
        """All events go; who needs them replays them from the store."""
        self.first = self.end
        self._events.clear()
        self._numbers.clear()
        self._count(-self._bytes)
        self._rings.emptied(self)

    def _count(self, size: int) -> None:
        self._bytes += size
        self._rings.bytes += size

    def __getitem__(self, number: int) -> Event:
        return self._events[number - self.first]

    def some(self, number: int, most: int) -> list[Event]:
        """The events from a number on, until they have `most` bytes."""
        events, size = [], 0
        while number < self.end and size < most:
            events.append(self[number])
            size += len(events[-1].body)
            number += 1
        return events

    def after(self, cursor: str | None) -> int | None:
        """The number of the event that follows the one with this cursor; None where that is not in the ring."""
        if cursor is None:
            return None
        if cursor == self.last:
            return self.end
        number = self._numbers.get(cursor)
        return None if number is None else number + 1


def _bytes(event: Event) -> int:
    return EVENT_BYTES + len(event.body)
