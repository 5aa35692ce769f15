"""The lists of a parent that follow from a reference: the records that name it in a column."""

from __future__ import annotations

from typing import Any

from domain.memory import Memory, MemoryVersion
from domain.message import Message, Thread
from domain.node import Node
from domain.participant import Participant
from domain.search import Recall
from domain.span import Span, Trace
from domain.trace import TraceEvent
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import kind
from stores.orders import order_of
from stores.ports import Collection, Records

_BY_REFERENCE: dict[Collection, tuple[type[Node], str]] = {
    Collection.SESSION_PARTICIPANTS: (Participant, "session"),
    Collection.SESSION_MESSAGES: (Message, "session"),
    Collection.SESSION_THREADS: (Thread, "session"),
    Collection.SESSION_TRACE: (TraceEvent, "session"),
    Collection.SESSION_SPANS: (Span, "session"),
    Collection.SESSION_TRACES: (Trace, "session"),
    Collection.ACTOR_MEMORIES: (Memory, "owner"),
    Collection.PARTICIPANT_MESSAGES: (Message, "sender"),
    Collection.THREAD_MESSAGES: (Message, "thread"),
    Collection.MESSAGE_REPLIES: (Message, "parent"),
    Collection.MESSAGE_TRACE: (TraceEvent, "message"),
    Collection.MEMORY_HISTORY: (MemoryVersion, "memory"),
    Collection.MEMORY_RECALLS: (Recall, "memory"),
    Collection.SPAN_EVENTS: (TraceEvent, "span"),
}

BY_REFERENCE: dict[Collection, tuple[Kind[Any], str]] = {
    of: (kind(record), column) for of, (record, column) in _BY_REFERENCE.items()
}
"""The kind of each list, and its column that holds the parent's id."""


def index_of(of: Collection | Records) -> tuple[str, ...]:
    """The columns of the index that a list is read off which follows from a reference, or has a workspace's records of
    a kind: in its own order, where there is such a one."""
    records, column = (kind(of.kind), of.column or "workspace") if isinstance(of, Records) else BY_REFERENCE[of]
    found = [one.columns for one in records.indexes() if one.columns[0] == column]
    sorted_by = order_of(of, None).column.name
    return next((columns for columns in found if columns[1:2] == (sorted_by,)), found[0])
