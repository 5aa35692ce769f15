"""The Cypher that matches the rows of each list: those of a parent p, under a filter.

An index gives rows in the order of its columns: the planner uses that where an order names all of them from the first
one on, and where the later ones are said to be there. Which index it takes is told, for what it guesses about a
workspace is far off, and a plan made while there was little is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from domain.actor import Agent, User
from domain.key import ApiKey
from domain.link import LinkDirection
from domain.session_link import SessionLink
from stores.catalogue.kind import Kind
from stores.filters import FILTERS, RefersTo
from stores.lists import BY_REFERENCE, NAMED, index_of
from stores.orders import Column, Order
from stores.ports import Collection, Fields, LinkFilter, Records
from stores.services.filters import Where, apply
from stores.services.labels import (
    AUDIT,
    COMPUTED,
    LABELS,
    LINK,
    LINK_IS_THERE,
    LINK_VALUE,
    MEMORY,
    MESSAGE,
    NODE_IS_THERE,
    SESSION,
    SPAN,
    STATE,
    Label,
    indexes_of,
    label,
    seek,
    sorted_texts,
)


class Rows(NamedTuple):
    """The rows of a list: the name of one in `match`, which is the clauses that find them; its columns, and the value
    of one of them, c; their order, what it sorts by, and what it begins with, the columns of an index that are the same
    for all rows; and the columns that are read once more (stores.services.labels.whole)."""

    row: str
    match: str
    columns: Sequence[str]
    value: str
    decode: Callable[[Any], Any]
    order: Order
    sorted_by: str
    first: Sequence[str] = ()
    there: Sequence[str] = NODE_IS_THERE


class _List(NamedTuple):
    """A list's label, and either the index that its nodes come from or the clauses that match them."""

    label: Label[Any]
    indexed: tuple[str, ...] = ()
    match: str = ""


def _list(label: Label[Any], *index: str) -> _List:
    """A list from an index. Its first column is the workspace, or holds the parent's id."""
    return _List(label, index)


def _mentioning(label: str) -> str:
    return f"{seek('Mention', 'entity', '= p', 'x')} WITH x.target AS id {seek(label, 'id', '= id')}"


_LISTS: dict[Collection, _List] = {
    **{of: _list(LABELS[kind.record], *index_of(of)) for of, (kind, _) in BY_REFERENCE.items()},
    Collection.SESSIONS: _list(SESSION, "workspace", "created_at", "id"),
    Collection.USERS: _list(label(User), "workspace", "created_at", "id"),
    Collection.AGENTS: _list(label(Agent), "workspace", "created_at", "id"),
    Collection.MEMORIES: _list(MEMORY, "workspace", "created_at", "id"),
    Collection.SPANS: _list(SPAN, "workspace", "started_at", "id"),
    Collection.MESSAGES: _List(
        MESSAGE, (), f"{seek('Session', 'workspace', '= $workspace', 's')} {seek('Message', 'session', '= s.id')}"
    ),
    Collection.STATES: _list(STATE, "workspace", "namespace", "name_key"),
    Collection.AUDIT: _list(AUDIT, "workspace", "id"),
    Collection.TENANT_KEYS: _list(label(ApiKey), "workspace", "tenant", "created_at", "id"),
    Collection.SESSION_MEMORIES: _List(
        MEMORY,
        (),
        f"CALL (p) {{ {seek('Memory', 'session', '= p')} RETURN n "
        f"UNION {seek('Message', 'session', '= p', 'm')} MATCH (m)-[:DRAWS_ON]->(n:Memory) RETURN n "
        f"UNION {seek('Recall', 'session', '= p', 'r')} {seek('Memory', 'id', '= r.memory')} RETURN n }} "
        "WITH n WHERE true",
    ),
    Collection.ACTOR_SESSIONS: _List(
        SESSION,
        (),
        f"{seek('Participant', 'actor', '= p', 'a')} WITH DISTINCT a.session AS id {seek('Session', 'id', '= id')}",
    ),
    Collection.MESSAGE_BRANCH: _List(
        MESSAGE,
        (),
        "UNWIND $branches[p] AS run MATCH (n:Message) USING INDEX SEEK n:Message(session, place) "
        "WHERE n.session = run[0] AND n.place >= run[1] AND n.place <= run[2]",
    ),
    Collection.MEMORY_REFERENCED_BY: _List(MESSAGE, (), "MATCH (:Memory {id: p})<-[:DRAWS_ON]-(n:Message) WHERE true"),
    Collection.ENTITY_MEMORIES: _List(MEMORY, (), _mentioning("Memory")),
    Collection.ENTITY_MESSAGES: _List(MESSAGE, (), _mentioning("Message")),
    Collection.SPAN_CHILDREN: _List(
        SPAN,
        (),
        "MATCH (s:Span {id: p}) WHERE s.workspace = $workspace "
        "MATCH (n:Span) WHERE n.trace_id = s.trace_id AND n.parent_span_id = s.span_id "
        "AND n.started_at IS NOT NULL AND n.id IS NOT NULL",  # so that the index of children is used
    ),
    Collection.TRACE_SPANS: _List(
        SPAN,
        (),
        "MATCH (t:Trace {id: p}) WHERE t.workspace = $workspace "
        "MATCH (n:Span) WHERE n.trace_id = t.trace_id AND n.span_id IS NOT NULL",
    ),
}

_SESSION_LINKS = {
    LinkDirection.OUT: seek("SessionLink", "source", "= p"),
    LinkDirection.IN: seek("SessionLink", "target", "= p"),
    LinkDirection.BOTH: f"CALL (p) {{ {seek('SessionLink', 'source', '= p')} RETURN n "
    f"UNION {seek('SessionLink', 'target', '= p')} RETURN n }} WITH n WHERE true",
}

_LINKS = {
    LinkDirection.OUT: "MATCH (m:Memory {id: p})-[l:LINK]->(o)",
    LinkDirection.IN: "MATCH (m:Memory {id: p})<-[l:LINK]-(o)",
    LinkDirection.BOTH: "MATCH (m:Memory {id: p})-[l:LINK]-(o)",
}

_NARROWER: dict[Collection | Records, dict[str, tuple[str, ...]]] = {
    Collection.MEMORIES: {"owner": ("owner", "created_at", "id"), "session": ("session", "created_at", "id")},
    Collection.SESSIONS: {"participant": ("id",)},
    Collection.SPANS: {"trace_id": ("workspace", "trace_id", "span_id"), "session": ("session", "started_at", "id")},
    Collection.SESSION_TRACE: {"message": ("message", "place")},
}
"""What a filter may name that has an index of its own."""


def _narrower(of: Collection | Records) -> dict[str, tuple[str, ...]]:
    if not isinstance(of, Records):
        return _NARROWER.get(of, {})
    if of.column:
        return {}
    named = {op.column: member for member, op in FILTERS.get(of.kind, {}).items() if isinstance(op, RefersTo)}
    return {named[index[0]]: index for index in indexes_of(LABELS[of.kind]) if index[0] in named}


def _expression(row: str, of: Kind[Any], order: Order) -> str:
    column, by = f"{row}.{_property(of, order)}", order.column
    if _is_plain(of, order):
        return column
    if by.since:
        column = f"{column} - {row}.{by.since}"
    return column if by.missing is None else f"coalesce({column}, {by.missing!r})"


def _property(of: Kind[Any], order: Order) -> str:
    name = order.column.name
    return f"{name}_key" if name in sorted_texts(of) or COMPUTED.get(of.label) == name else name


def _is_plain(of: Kind[Any], order: Order) -> bool:
    """Whether a property has what rows are sorted by, so that an index may give them in that order."""
    return order.column == Column(order.column.name) or COMPUTED.get(of.label) == order.column.name


def _in_order(label: Label[Any], index: tuple[str, ...], order: Order) -> tuple[str, ...]:
    """The index of a label that begins as that one does and is in an order, or else that one."""
    if not _is_plain(label.kind, order):
        return index
    for tied in range(1, len(index)):
        other = (*index[:tied], _property(label.kind, order), "id")
        if other in indexes_of(label):
            return other
    return index


def rows_of(of: Collection | Records, filter: Any, where: Where, order: Order, fields: Fields | None = None) -> Rows:
    """The rows of a list that a filter lets through; where: takes the filter's parameters. fields: that are read."""
    if of is Collection.MEMORY_LINKS:
        return _links(filter, where, order, fields)
    node, index, match = (
        _session_links(filter)
        if of is Collection.SESSION_LINKS
        else _list(LABELS[of.kind], *index_of(of))
        if isinstance(of, Records)
        else _LISTS[of]
    )
    columns, decode = node.kind.reading(fields)
    apply(filter, node.kind.record, where)
    sorted_by = _property(node.kind, order)
    found: Any = None
    tied = [] if index[:1] in ((), ("workspace",)) else [f"n.{index[0]} = p"]
    if of in NAMED:
        tied = [f"n.{index[1]} = p"]
    index = _in_order(node, index, order)
    for name, narrower in _narrower(of).items():
        if (found := getattr(filter, name, None)) is not None:
            index = narrower
            break
    if index:
        there = [*tied, *(f"n.{column} IS NOT NULL" for column in index[1:])]
        hint = f"USING INDEX SEEK n:{node.name}({', '.join(index)})"
        match = f"MATCH (n:{node.name}) {hint} WHERE {' AND '.join(there) or 'true'}"
    # Of several that are called the same by others, the index gives no order.
    ordered = sorted_by in index and _is_plain(node.kind, order) and getattr(found, "external_id", None) is None
    return Rows(
        "n",
        f"{match} AND {node.live()} AND {where.cypher}",
        columns,
        "n[c]",
        decode,
        order,
        _expression("n", node.kind, order),
        [f"n.{column}" for column in index[: index.index(sorted_by)]] if ordered else [],
    )


def _session_links(filter: Any) -> _List:
    way = filter.direction if isinstance(filter, LinkFilter) else LinkDirection.BOTH
    return _List(label(SessionLink), (), _SESSION_LINKS[way])


def _links(filter: Any, where: Where, order: Order, fields: Fields | None) -> Rows:
    columns, decode = LINK.reading(fields)
    apply(filter, LINK.record, where)
    match = _LINKS[filter.direction if isinstance(filter, LinkFilter) else LinkDirection.BOTH]
    return Rows(
        "l",
        f"{match} WHERE {MEMORY.live('m')} AND {MEMORY.live('o')} AND {where.cypher}",
        columns,
        LINK_VALUE,
        decode,
        order,
        _expression("l", LINK, order),
        there=LINK_IS_THERE,
    )
