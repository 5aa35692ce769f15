"""The orders that lists have, and how their cursors are called: the same for every engine."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from domain.actor import ActorOrder, ActorOrderField
from domain.audit import AuditOrder, AuditOrderField
from domain.history import MemoryVersionOrder, MemoryVersionOrderField, ReplacedField
from domain.key import ApiKeyOrder, ApiKeyOrderField
from domain.link import MemoryLinkOrder, MemoryLinkOrderField
from domain.memory import MemoryOrder, MemoryOrderField
from domain.message import MessageOrder, MessageOrderField, ThreadOrder, ThreadOrderField
from domain.node import Node
from domain.page import Listing, Mark, OrderDirection
from domain.participant import ParticipantOrder, ParticipantOrderField
from domain.search import RecallOrder, RecallOrderField
from domain.session import SessionOrder, SessionOrderField
from domain.session_link import SessionLinkOrder
from domain.span import SpanOrder, SpanOrderField, TraceOrder, TraceOrderField
from domain.state import StateOrder, StateOrderField
from domain.tool_execution import ToolExecutionOrderField
from domain.trace import TraceEventOrder, TraceEventOrderField
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS, kind
from stores.ports import Collection, Log, Records


class Column(NamedTuple):
    """What rows are sorted by. since: then how far it is above that column. missing: stands for null, below all."""

    name: str
    since: str = ""
    missing: float | str | None = None


_PLACE = Column("place")

COLUMNS: dict[Enum, Column] = {
    SessionOrderField.CREATED_AT: Column("created_at"),
    SessionOrderField.LAST_ACTIVE_AT: Column("last_active_at"),
    SessionOrderField.TITLE: Column("title"),
    SessionOrderField.MESSAGE_COUNT: Column("message_count", since="deleted_count"),
    SessionOrderField.TOKENS: Column("total_tokens", missing=-1),
    SessionOrderField.COST: Column("cost_usd", missing=-1.0),
    ActorOrderField.CREATED_AT: Column("created_at"),
    ActorOrderField.NAME: Column("name"),
    ParticipantOrderField.JOINED_AT: Column("joined_at"),
    ParticipantOrderField.NAME: Column("name"),
    MessageOrderField.PLACE: _PLACE,
    MessageOrderField.CREATED_AT: Column("created_at"),
    ThreadOrderField.CREATED_AT: Column("created_at"),
    ThreadOrderField.NAME: Column("name"),
    MemoryOrderField.CREATED_AT: Column("created_at"),
    MemoryOrderField.UPDATED_AT: Column("updated_at"),
    MemoryOrderField.IMPORTANCE: Column("importance"),
    MemoryOrderField.LAST_ACCESSED_AT: Column("last_accessed_at", missing=0),
    MemoryOrderField.ACCESS_COUNT: Column("access_count"),
    MemoryVersionOrderField.VERSION: Column("version"),
    ReplacedField.REPLACED_AT: Column("replaced_at"),
    MemoryLinkOrderField.CREATED_AT: Column("created_at"),
    MemoryLinkOrderField.WEIGHT: Column("weight"),
    RecallOrderField.RECALLED_AT: Column("recalled_at"),
    RecallOrderField.SCORE: Column("score"),
    TraceEventOrderField.PLACE: _PLACE,
    TraceEventOrderField.TIME: Column("time"),
    TraceEventOrderField.DURATION: Column("duration_ms", missing=-1),
    SpanOrderField.STARTED_AT: Column("started_at"),
    SpanOrderField.DURATION: Column("ended_at", since="started_at", missing=-1),
    SpanOrderField.TOKENS: Column("total_tokens", missing=-1),
    SpanOrderField.COST: Column("cost_usd", missing=-1.0),
    TraceOrderField.STARTED_AT: Column("started_at"),
    TraceOrderField.DURATION: Column("ended_at", since="started_at", missing=-1),
    TraceOrderField.TOKENS: Column("total_tokens", missing=-1),
    TraceOrderField.COST: Column("cost_usd", missing=-1.0),
    TraceOrderField.ERRORS: Column("error_spans"),
    ToolExecutionOrderField.DURATION: Column("duration_ms", missing=-1),
    StateOrderField.KEY: Column("name"),
    StateOrderField.UPDATED_AT: Column("updated_at"),
    ApiKeyOrderField.CREATED_AT: Column("created_at"),
    AuditOrderField.TIME: Column("id"),  # ids grow with the time
}

_FIRST_STARTED = SpanOrder(direction=OrderDirection.ASC)

ORDERS: dict[Collection, Any] = {
    Collection.SESSIONS: SessionOrder(),
    Collection.USERS: ActorOrder(),
    Collection.AGENTS: ActorOrder(),
    Collection.MEMORIES: MemoryOrder(),
    Collection.SPANS: SpanOrder(),
    Collection.MESSAGES: MessageOrder(field=MessageOrderField.CREATED_AT, direction=OrderDirection.DESC),
    Collection.STATES: StateOrder(),
    Collection.AUDIT: AuditOrder(),
    Collection.TENANT_KEYS: ApiKeyOrder(),
    Collection.SESSION_PARTICIPANTS: ParticipantOrder(),
    Collection.SESSION_MESSAGES: MessageOrder(),
    Collection.SESSION_THREADS: ThreadOrder(),
    Collection.SESSION_MEMORIES: MemoryOrder(),
    Collection.SESSION_TRACE: TraceEventOrder(),
    Collection.SESSION_SPANS: SpanOrder(),
    Collection.SESSION_TRACES: TraceOrder(),
    Collection.ACTOR_SESSIONS: SessionOrder(),
    Collection.ACTOR_MEMORIES: MemoryOrder(),
    Collection.PARTICIPANT_MESSAGES: MessageOrder(),
    Collection.THREAD_MESSAGES: MessageOrder(),
    Collection.MESSAGE_REPLIES: MessageOrder(),
    Collection.MESSAGE_TRACE: TraceEventOrder(),
    Collection.MESSAGE_BRANCH: MessageOrder(),
    Collection.MEMORY_REFERENCED_BY: MessageOrder(field=MessageOrderField.CREATED_AT, direction=OrderDirection.DESC),
    Collection.MEMORY_LINKS: MemoryLinkOrder(),
    Collection.SESSION_LINKS: SessionLinkOrder(),
    Collection.MEMORY_HISTORY: MemoryVersionOrder(),
    Collection.MEMORY_RECALLS: RecallOrder(),
    Collection.ENTITY_MEMORIES: MemoryOrder(),
    Collection.ENTITY_MESSAGES: MessageOrder(field=MessageOrderField.CREATED_AT, direction=OrderDirection.DESC),
    Collection.SPAN_CHILDREN: _FIRST_STARTED,
    Collection.SPAN_EVENTS: TraceEventOrder(),
    Collection.TRACE_SPANS: _FIRST_STARTED,
}
"""The order that a list has where none is asked for; any other order of its kind may be."""


class Order(NamedTuple):
    """An order of rows; ties are broken by id, but for places in a log, which are unique."""

    name: str
    column: Column
    descending: bool
    log: bool

    def mark(self, record: Node) -> Mark:
        """Where a record stands in a list of this order."""
        row, (name, since, missing) = kind(type(record)).row(record), self.column
        found = missing if row[name] is None else row[name] - row[since] if since else row[name]
        return (found,) if self.log else (found, record.id)


_ORDERED: dict[type[Enum], Kind[Any]] = {get_type_hints(of.order)["field"]: of for of in KINDS if of.order is not None}
_LOWEST: dict[Any, float | str] = {"time": 0, str: "", float: -1.7976931348623157e308}


@cache
def column_of(field: Enum) -> Column:
    """What a field of an order sorts by: of a kind that says its order, the column that is called so."""
    if field in COLUMNS:
        return COLUMNS[field]
    column = _ORDERED[type(field)].columns[field.value.lower()]
    lowest = _LOWEST["time" if column.form == "time" else column.type] if column.nullable else None
    return Column(column.name, missing=lowest)


def default_order(of: Collection | Records) -> Any:
    """The order that a list has where none is asked for."""
    if isinstance(of, Records):
        order = kind(of.kind).order
        assert order is not None, "its kind says what it is listed by"
        return order()
    return ORDERS[of]


def order_of(of: Collection | Records, order: Any) -> Order:
    """The order asked for, or the list's own."""
    own = default_order(of)
    chosen = order or own
    column = column_of(chosen.field)
    log = column is _PLACE and column_of(own.field) is _PLACE
    return Order(chosen.field.value, column, chosen.direction is OrderDirection.DESC, log)


class CountKey(NamedTuple):
    """What a whole list is: enough to count it."""

    of: Collection | Records
    parent: str
    filter: Any


def log_name(of: Collection | Records, parent: str) -> str:
    """The name under which a list's cursors are known; the logs that can be followed have theirs."""
    if of is Collection.SESSION_TRACE:
        return Log("trace", parent).name
    if of is Collection.SESSION_MESSAGES:
        return Log("messages", parent).name
    return f"{of.name if isinstance(of, Records) else of.value}:{parent}"


OF_A_TRACE: dict[Collection | Records, str] = {Collection.MESSAGE_TRACE: "message", Collection.SPAN_EVENTS: "span"}
"""Lists of lines of a session's trace, and what they hang on: a line has one cursor, in whatever list it stands."""


def listing_of(of: Collection | Records, parent: str, order: Order, epoch: str) -> Listing:
    """What a list's cursors belong to. parent: of the lists OF_A_TRACE, the session."""
    direction = "desc" if order.descending else "asc"
    if order.log:
        name = log_name(Collection.SESSION_TRACE if of in OF_A_TRACE else of, parent)
        return Listing(f"{name}/{direction}" if order.descending else name, epoch)
    return Listing(f"{log_name(of, parent)}/{order.name}/{direction}")
