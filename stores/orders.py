"""The orders that lists have, and how their cursors are called: the same for every engine."""

from __future__ import annotations

from typing import Any, NamedTuple

from domain.memory import MemoryOrder, MemoryOrderField
from domain.page import Listing, OrderDirection
from domain.session import SessionOrder, SessionOrderField
from domain.span import SpanOrder, SpanOrderField
from stores.ports import Collection, Log


class Order(NamedTuple):
    """An order of rows; ties are broken by id, but for logs, whose places are unique.

    expression: what rows are sorted by, in SQL and Cypher alike; {0} stands for the row.
    """

    name: str
    expression: str
    descending: bool = False
    log: bool = False

    def of(self, row: str) -> str:
        """What a row of that name is sorted by."""
        return self.expression.format(row)


_NEWEST = Order("createdAt", "{0}.created_at", True)
_OLDEST = Order("createdAt", "{0}.created_at")
_PLACE = Order("place", "{0}.place", log=True)
_LAST_STARTED = Order("startedAt", "{0}.started_at", True)
_FIRST_STARTED = Order("startedAt", "{0}.started_at")

_DEFAULTS: dict[Collection, Order] = {
    Collection.SPANS: _LAST_STARTED,
    Collection.STATES: Order("key", "{0}.name"),
    Collection.AUDIT: Order("time", "{0}.id", True),  # ids grow with the time
    Collection.SESSION_PARTICIPANTS: Order("joinedAt", "{0}.joined_at"),
    Collection.SESSION_MESSAGES: _PLACE,
    Collection.SESSION_THREADS: _OLDEST,
    Collection.SESSION_TRACE: _PLACE,
    Collection.SESSION_SPANS: _LAST_STARTED,
    Collection.SESSION_TRACES: _LAST_STARTED,
    Collection.PARTICIPANT_MESSAGES: _PLACE,
    Collection.THREAD_MESSAGES: _PLACE,
    Collection.MESSAGE_REPLIES: _PLACE,
    Collection.MESSAGE_TRACE: _PLACE,
    Collection.MEMORY_HISTORY: Order("version", "{0}.version", True),
    Collection.MEMORY_RECALLS: Order("recalledAt", "{0}.recalled_at", True),
    Collection.SPAN_CHILDREN: _FIRST_STARTED,
    Collection.SPAN_EVENTS: _PLACE,
    Collection.TRACE_SPANS: _FIRST_STARTED,
}

_EXPRESSIONS: dict[Any, str] = {
    SessionOrderField.CREATED_AT: "{0}.created_at",
    SessionOrderField.LAST_ACTIVE_AT: "{0}.last_active_at",
    SessionOrderField.TITLE: "{0}.title",
    SessionOrderField.MESSAGE_COUNT: "{0}.message_count",
    MemoryOrderField.CREATED_AT: "{0}.created_at",
    MemoryOrderField.UPDATED_AT: "{0}.updated_at",
    MemoryOrderField.IMPORTANCE: "{0}.importance",
    MemoryOrderField.LAST_ACCESSED_AT: "coalesce({0}.last_accessed_at, 0)",
    MemoryOrderField.ACCESS_COUNT: "{0}.access_count",
    SpanOrderField.STARTED_AT: "{0}.started_at",
    SpanOrderField.DURATION: "coalesce({0}.ended_at - {0}.started_at, -1)",
}


def order_of(of: Collection, order: SessionOrder | MemoryOrder | SpanOrder | None) -> Order:
    """The order asked for, or the list's own."""
    if order is None:
        return _DEFAULTS.get(of, _NEWEST)
    return Order(order.field.value, _EXPRESSIONS[order.field], order.direction is OrderDirection.DESC)


class CountKey(NamedTuple):
    """What a whole list is: enough to count it."""

    of: Collection
    parent: str
    filter: Any


def log_name(of: Collection, parent: str) -> str:
    """The name under which a list's cursors are known; the logs that can be followed have theirs."""
    if of is Collection.SESSION_TRACE:
        return Log("trace", parent).name
    if of is Collection.SESSION_MESSAGES:
        return Log("messages", parent).name
    return f"{of.value[0]}:{parent}"


OF_A_TRACE = {Collection.MESSAGE_TRACE: "message", Collection.SPAN_EVENTS: "span"}
"""Lists of lines of a session's trace, and what they hang on: a line has one cursor, in whatever list it stands."""


def listing_of(of: Collection, parent: str, order: Order, epoch: str) -> Listing:
    """What a list's cursors belong to. parent: of the lists OF_A_TRACE, the session."""
    if order.log:
        return Listing(log_name(Collection.SESSION_TRACE if of in OF_A_TRACE else of, parent), epoch)
    return Listing(f"{log_name(of, parent)}/{order.name}/{'desc' if order.descending else 'asc'}")
