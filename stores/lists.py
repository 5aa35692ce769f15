"""The lists that follow from declarations: a workspace's records of a kind, or those that have a parent in a column."""

from __future__ import annotations

from typing import Any

from domain.actor import Agent, User
from domain.audit import AuditEntry
from domain.history import MemoryVersion
from domain.key import ApiKey
from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import Message, Thread
from domain.node import Node
from domain.participant import Participant
from domain.search import Recall
from domain.session import Session
from domain.session_link import SessionLink
from domain.span import Span, Trace
from domain.state import StateEntry
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


OWN: dict[Collection, type[Node]] = {
    Collection.SESSIONS: Session,
    Collection.USERS: User,
    Collection.AGENTS: Agent,
    Collection.MEMORIES: Memory,
    Collection.SPANS: Span,
    Collection.MESSAGES: Message,
    Collection.AUDIT: AuditEntry,
}
"""The records of the lists that are a workspace's own."""

NAMED: dict[Collection, tuple[type[Node], str]] = {
    Collection.STATES: (StateEntry, "namespace"),
    Collection.TENANT_KEYS: (ApiKey, "tenant"),
}
"""The records of the lists that hang on a name, and the column that has it."""


_OTHERS: dict[Collection | Records, type[Node]] = {
    Collection.SESSION_MEMORIES: Memory,
    Collection.ACTOR_SESSIONS: Session,
    Collection.ENTITY_MEMORIES: Memory,
    Collection.ENTITY_MESSAGES: Message,
    Collection.MESSAGE_BRANCH: Message,
    Collection.MEMORY_REFERENCED_BY: Message,
    Collection.MEMORY_LINKS: MemoryLink,
    Collection.SESSION_LINKS: SessionLink,
    Collection.SPAN_CHILDREN: Span,
    Collection.TRACE_SPANS: Span,
}
"""The records of the lists that follow from no declaration."""


def declared(of: Collection | Records) -> tuple[Kind[Any], str] | None:
    """The kind of a list's records, and the column that has what they hang on; "" of a workspace's own. None where the
    list follows from no declaration."""
    if isinstance(of, Records):
        return kind(of.kind), of.column
    if of in OWN:
        return kind(OWN[of]), ""
    if of in NAMED:
        record, column = NAMED[of]
        return kind(record), column
    return BY_REFERENCE.get(of)


def record_of(of: Collection | Records) -> type[Node]:
    """The class of a list's records."""
    found = declared(of)
    return _OTHERS[of] if found is None else found[0].record


def index_of(of: Collection | Records) -> tuple[str, ...]:
    """The columns of the index that a list is read off which follows from a reference, or has a workspace's records of
    a kind: in its own order, where there is such a one."""
    records, column = (kind(of.kind), of.column or "workspace") if isinstance(of, Records) else BY_REFERENCE[of]
    found = [one.columns for one in records.indexes() if one.columns[0] == column]
    sorted_by = order_of(of, None).column.name
    return next((columns for columns in found if columns[1:2] == (sorted_by,)), found[0])
