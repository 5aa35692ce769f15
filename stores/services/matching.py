"""How the rows of each list are matched: those of a parent p, under a filter.

An index gives rows in the order of its columns: the planner uses that where an order names all of them from the first
one on, and where the later ones are said to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from domain.link import LinkDirection
from stores.orders import Order
from stores.ports import Collection, LinkFilter
from stores.services import labels
from stores.services.filters import Where, apply
from stores.services.labels import LINK, MEMORY, Label


class Rows(NamedTuple):
    """The rows of a list: the name of one in `match`, which is the clauses that find them; its columns; and what its
    order begins with, the columns of an index that are the same for all rows."""

    row: str
    match: str
    columns: Sequence[str]
    decode: Callable[[Any], Any]
    first: Sequence[str] = ()


class _List(NamedTuple):
    """The label of a list's nodes n, the clauses that match those of the parent p, and the index they come from."""

    label: Label[Any]
    match: str
    index: tuple[str, ...] = ()


def _under(label: Label[Any], *index: str) -> _List:
    """The nodes whose column, the first of an index, holds the parent's id."""
    there = "".join(f" AND n.{column} IS NOT NULL" for column in index[1:])
    return _List(label, f"MATCH (n:{label.name}) WHERE n.{index[0]} = p{there}", index)


def _of_workspace(label: Label[Any], time: str) -> _List:
    match = f"MATCH (n:{label.name}) WHERE n.{time} IS NOT NULL AND n.id IS NOT NULL"
    return _List(label, match, ("workspace", time, "id"))


_LISTS: dict[Collection, _List] = {
    Collection.SESSIONS: _of_workspace(labels.SESSION, "created_at"),
    Collection.USERS: _of_workspace(labels.USER, "created_at"),
    Collection.AGENTS: _of_workspace(labels.AGENT, "created_at"),
    Collection.MEMORIES: _of_workspace(MEMORY, "created_at"),
    Collection.SPANS: _of_workspace(labels.SPAN, "started_at"),
    Collection.STATES: _List(
        labels.STATE,
        "MATCH (n:State) WHERE n.namespace = p AND n.name IS NOT NULL",
        ("workspace", "namespace", "name"),
    ),
    Collection.AUDIT: _List(labels.AUDIT, "MATCH (n:AuditEntry) WHERE n.id IS NOT NULL", ("workspace", "id")),
    Collection.SESSION_PARTICIPANTS: _under(labels.PARTICIPANT, "session", "identity"),
    Collection.SESSION_MESSAGES: _under(labels.MESSAGE, "session", "place"),
    Collection.SESSION_THREADS: _under(labels.THREAD, "session", "name"),
    Collection.SESSION_MEMORIES: _List(
        MEMORY,
        "CALL (p) { MATCH (n:Memory) WHERE n.session = p AND n.created_at IS NOT NULL AND n.id IS NOT NULL RETURN n "
        "UNION MATCH (m:Message)-[:DRAWS_ON]->(n:Memory) WHERE m.session = p AND m.place IS NOT NULL RETURN n "
        "UNION MATCH (r:Recall) WHERE r.session = p MATCH (n:Memory {id: r.memory}) RETURN n } "
        "WITH n WHERE true",
    ),
    Collection.SESSION_TRACE: _under(labels.EVENT, "session", "place"),
    Collection.SESSION_SPANS: _under(labels.SPAN, "session", "started_at", "id"),
    Collection.SESSION_TRACES: _under(labels.TRACE, "session", "started_at"),
    Collection.ACTOR_SESSIONS: _List(
        labels.SESSION,
        "MATCH (a:Participant) WHERE a.actor = p WITH DISTINCT a.session AS id MATCH (n:Session {id: id}) WHERE true",
    ),
    Collection.ACTOR_MEMORIES: _under(MEMORY, "owner", "created_at", "id"),
    Collection.PARTICIPANT_MESSAGES: _under(labels.MESSAGE, "sender", "place"),
    Collection.THREAD_MESSAGES: _under(labels.MESSAGE, "thread", "place"),
    Collection.MESSAGE_REPLIES: _under(labels.MESSAGE, "parent", "place"),
    Collection.MESSAGE_TRACE: _under(labels.EVENT, "message", "place"),
    Collection.MEMORY_REFERENCED_BY: _List(
        labels.MESSAGE, "MATCH (:Memory {id: p})<-[:DRAWS_ON]-(n:Message) WHERE true"
    ),
    Collection.MEMORY_HISTORY: _under(labels.VERSION, "memory", "version"),
    Collection.MEMORY_RECALLS: _under(labels.RECALL, "memory", "recalled_at", "id"),
    Collection.SPAN_CHILDREN: _List(
        labels.SPAN,
        "MATCH (s:Span {id: p}) WHERE s.workspace = $workspace "
        "MATCH (n:Span) WHERE n.trace_id = s.trace_id AND n.parent_span_id = s.span_id",
    ),
    Collection.SPAN_EVENTS: _under(labels.EVENT, "span", "place"),
    Collection.TRACE_SPANS: _List(
        labels.SPAN,
        "MATCH (t:Trace {id: p}) WHERE t.workspace = $workspace "
        "MATCH (n:Span) WHERE n.trace_id = t.trace_id AND n.span_id IS NOT NULL",
    ),
}

_LINKS = {
    LinkDirection.OUT: "MATCH (m:Memory {id: p})-[l:LINK]->(o)",
    LinkDirection.IN: "MATCH (m:Memory {id: p})<-[l:LINK]-(o)",
    LinkDirection.BOTH: "MATCH (m:Memory {id: p})-[l:LINK]-(o)",
}

_NARROWER: dict[Collection, tuple[str, ...]] = {
    Collection.MEMORIES: ("owner", "session"),
    Collection.SPANS: ("session",),
}
"""What a filter of a workspace's list may name that has an index of the same kind: the narrower one is taken."""


def rows_of(of: Collection, filter: Any, where: Where, order: Order) -> Rows:
    """The rows of a list that a filter lets through; where: takes the filter's parameters."""
    if of is Collection.MEMORY_LINKS:
        return _links(filter, where)
    label, match, index = _LISTS[of]
    apply(filter, label.name, where)
    node = f"(n:{label.name})"
    for column in _NARROWER.get(of, ()):
        if (ref := getattr(filter, column, None)) is not None:
            index = (column, *index[1:])
            if ref.id is None:  # there may be several that are called so, and no order of the index with them
                match = match.replace(node, f"{node} USING INDEX n:{label.name}({', '.join(index)})")
                index = ()
            break
    sorted_by = order.expression.removeprefix("{0}.")
    return Rows(
        "n",
        f"{match} AND {label.live()} AND {where.cypher}",
        [f"n.{column}" for column in label.columns],
        label.decode,
        [f"n.{column}" for column in index[: index.index(sorted_by)]] if sorted_by in index else [],
    )


def _links(filter: Any, where: Where) -> Rows:
    apply(filter, "LINK", where)
    match = _LINKS[filter.direction if isinstance(filter, LinkFilter) else LinkDirection.BOTH]
    ends = {"src": "startNode(l).id", "dst": "endNode(l).id"}
    return Rows(
        "l",
        f"{match} WHERE {MEMORY.live('m')} AND {MEMORY.live('o')} AND {where.cypher}",
        [ends.get(column, f"l.{column}") for column in LINK.columns],
        LINK.decode,
    )
