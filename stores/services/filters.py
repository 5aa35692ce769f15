"""Filters as Cypher conditions on the node n, or on the relationship l of a link."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from domain.actor import ActorFilter
from domain.audit import AuditFilter
from domain.memory import Memory, MemoryFilter
from domain.message import MessageFilter
from domain.session import SessionFilter
from domain.span import SpanFilter
from domain.state import StateFilter
from domain.trace import TraceFilter
from domain.values import Json, Ref, TimeRange, fold
from stores.budget import Budget
from stores.ports import LinkFilter
from stores.rows import micros
from stores.services.labels import MEMORY
from stores.services.properties import looked_into, members, sortable


class Where:
    """Conditions that must all hold. A statement with them begins with `given`, and hands `refs` into subqueries.

    prefix: of the names of the parameters, which several of one statement must not share. What others are called by
    outside is looked up once, before the first row: in the condition it would be for each row, at five times the cost.
    """

    def __init__(self, prefix: str = "f", outer: Where | None = None) -> None:
        self._prefix = prefix
        self._budget: Budget = outer._budget if outer else Budget()
        self.parameters: dict[str, Any] = outer.parameters if outer else {}
        self._refs: list[str] = outer._refs if outer else []
        self.conditions: list[str] = []

    @property
    def cypher(self) -> str:
        """The conditions as one expression."""
        return " AND ".join(self.conditions) or "true"

    @property
    def given(self) -> str:
        """What a statement with these conditions begins with: the lists of ids that they look into."""
        return f"WITH [{', '.join(self._refs)}] AS refs "

    def add(self, condition: str, value: Any = None, count: int = 1) -> None:
        """One more condition, ? in it being a value. Raises Rejected (INVALID) where there are too many of them.

        count: how many values it is.
        """
        self._budget.spend(count)
        self.conditions.append(self._bound(condition, value))

    def _bound(self, text: str, value: Any) -> str:
        if "?" not in text:
            return text
        name = f"{self._prefix}{len(self.parameters)}"
        self.parameters[name] = value
        return text.replace("?", f"${name}")

    def ids(self, query: str, value: str | None) -> str:
        """The ids that a query returns, ? in it being the value, as a list."""
        self._refs.append(f"COLLECT {{ {self._bound(query, value)} }}")
        return f"refs[{len(self._refs) - 1}]"

    def among(self, column: str, values: Sequence[Any] | None) -> None:
        """The column has one of the values; an empty list matches nothing, None everything."""
        if values is not None:
            names = [value.value if isinstance(value, Enum) else value for value in values]
            self.add(f"{column} IN ?", names, len(names))

    def within(self, column: str, range: TimeRange | None) -> None:
        """The time lies in the half-open range."""
        if range is not None:
            self.at_least(column, range.from_)
            if range.until is not None:
                self.add(f"{column} < ?", micros(range.until))

    def at_least(self, column: str, time: datetime | None) -> None:
        """The time is not before that one."""
        if time is not None:
            self.add(f"{column} >= ?", micros(time))

    def contains(self, text: str | None, *columns: str) -> None:
        """One of the texts contains that one, in either case."""
        if text is not None:
            folded = [f"replace(toLower({column}), 'ς', 'σ')" for column in columns]  # as domain.values.fold
            self.add(f"({' OR '.join(f'{column} CONTAINS ?' for column in folded)})", fold(text))

    def has_all(self, column: str, strings: Iterable[str] | None) -> None:
        """The list of strings has all of these."""
        for string in strings or ():
            self.add(f"? IN {column}", string)

    def has_members(self, wanted: Json | None) -> None:
        """The node's JSON object has all members of that one, with equal values."""
        if wanted is not None:
            self.add("all(member IN ? WHERE member IN n.members)", members(wanted))

    def refers(self, column: str, ref: Ref | None, *labels: str) -> None:
        """The column holds the id that the reference names under one of the labels."""
        if ref is None:
            return
        if ref.id is not None:
            self.add(f"{column} = ?", ref.id)
            return
        found = " UNION ALL ".join(f"{_named(label)} RETURN o.id AS id" for label in labels)
        self.add(f"{column} IN {self.ids(found, ref.external_id)}")

    def combine(self, filter: Any, compile: Callable[[Any, Where], None]) -> None:
        """The members and, or and not of a filter."""
        for part in filter.and_ or ():
            self.add(f"({self._inner(part, compile)})")
        if filter.or_ is not None:
            parts = [f"({self._inner(part, compile)})" for part in filter.or_]
            self.add(f"({' OR '.join(parts) or _NEVER})")
        if filter.not_ is not None:
            self.add(f"NOT coalesce(({self._inner(filter.not_, compile)}), false)")

    def _inner(self, filter: Any, compile: Callable[[Any, Where], None]) -> str:
        self._budget.spend()
        inner = Where(self._prefix, self)
        compile(filter, inner)
        return inner.cypher


_NEVER = "$workspace IS NULL"
"""What holds for nothing. With a literal false no index is left to be named to the planner, which is an error."""


def _named(label: str) -> str:
    return f"MATCH (o:{label}) WHERE o.workspace = $workspace AND o.external_id = ?"


_PARTICIPATIONS = "MATCH (p:Participant) WHERE p.{} RETURN p.session AS id"
_SESSIONS_BY_ID = f"{_PARTICIPATIONS.format('actor = ?')} UNION {_PARTICIPATIONS.format('id = ?')}"
_SESSIONS_BY_NAME = " UNION ".join(
    [
        *(f"{_named(label)} {_PARTICIPATIONS.format('actor = o.id')}" for label in ("User", "Agent")),
        _PARTICIPATIONS.format("workspace = $workspace AND p.external_id = ?"),
    ]
)


def _session(f: SessionFilter, w: Where) -> None:
    w.among("n.kind", f.kinds)
    w.among("n.status", f.statuses)
    if (who := f.participant) is not None:
        by_id = who.id is not None
        w.add(f"n.id IN {w.ids(_SESSIONS_BY_ID if by_id else _SESSIONS_BY_NAME, who.id or who.external_id)}")
    w.contains(f.text, "n.title")
    w.within("n.created_at", f.created_at)
    w.at_least("n.last_active_at", f.active_since)
    w.has_all("n.capability_list", None if f.capability is None else [f.capability])
    w.has_members(f.metadata)
    w.combine(f, _session)


def _memory(f: MemoryFilter, w: Where) -> None:
    w.among("n.type", f.types)
    w.among("n.scope", f.scopes)
    w.refers("n.owner", f.owner, "User", "Agent")
    w.among("n.status", f.statuses)
    w.refers("n.session", f.session, "Session")
    w.has_all("n.tag_list", f.tags)
    if f.importance is not None and f.importance.min is not None:
        w.add("n.importance >= ?", f.importance.min)
    if f.importance is not None and f.importance.max is not None:
        w.add("n.importance <= ?", f.importance.max)
    w.within("n.created_at", f.created_at)
    if f.valid_at is not None:
        valid_at(w, micros(f.valid_at))
    w.contains(f.text, "n.text")
    w.has_members(f.metadata)
    w.combine(f, _memory)


def valid_at(w: Where, us: int | None) -> None:
    """The memory's fact held at that time (microseconds since 1970)."""
    # Not OR, which the planner would take apart into two reads of an index.
    w.add("coalesce(n.valid_from <= ?, true) AND coalesce(n.valid_until > ?, true)", us)


def _message(f: MessageFilter, w: Where) -> None:
    w.among("n.sender_type", f.sender_types)
    if (who := f.sender) is not None:
        sender = "EXISTS {{ MATCH (who:Participant {{id: n.sender}}) WHERE {} }}"
        if who.id is not None:
            w.add(sender.format("? IN [who.id, who.actor]"), who.id)
        else:
            actors = w.ids(" UNION ALL ".join(f"{_named(x)} RETURN o.id AS id" for x in _ACTORS), who.external_id)
            w.add(sender.format(f"who.external_id = ? OR who.actor IN {actors}"), who.external_id)
    if f.thread is not None:
        w.add("EXISTS { MATCH (t:Thread {id: n.thread}) WHERE t.name = ? }", f.thread)
    if f.text is not None:
        w.add("any(text IN n.texts WHERE text CONTAINS ?)", fold(f.text))
    w.has_all("n.tools", None if f.tool is None else [f.tool])
    w.within("n.created_at", f.created_at)
    w.has_members(f.metadata)


def _actor(f: ActorFilter, w: Where) -> None:
    w.contains(f.text, "n.name", "n.external_id")
    w.has_all("coalesce(n.capability_list, [])", None if f.capability is None else [f.capability])
    w.has_members(f.metadata)


def _trace(f: TraceFilter, w: Where) -> None:
    w.among("n.type", f.types)
    w.among("n.component", f.components)
    w.within("n.time", f.time)
    w.refers("n.agent", f.agent, "Agent")
    if f.message is not None:
        w.add("n.message = ?", f.message)
    if f.min_duration_ms is not None:
        w.add("n.duration_ms >= ?", f.min_duration_ms)


def _span(f: SpanFilter, w: Where) -> None:
    w.among("n.kind", f.kinds)
    w.among("n.status_code", f.status_codes)
    w.among("n.name", f.names)
    if f.trace_id is not None:
        w.add("n.trace_id = ?", f.trace_id.lower())
    w.refers("n.session", f.session, "Session")
    w.refers("n.agent", f.agent, "Agent")
    w.within("n.started_at", f.started_at)
    if f.min_duration_ms is not None:
        w.add("n.ended_at - n.started_at >= ?", f.min_duration_ms * 1000)
    if f.running is not None:
        w.add(f"n.ended_at IS {'NULL' if f.running else 'NOT NULL'}")


def _state(f: StateFilter, w: Where) -> None:
    if f.prefix is not None:
        w.add("n.name_key STARTS WITH ?", sortable(f.prefix))
    w.has_all("n.tag_list", f.tags)
    w.within("n.updated_at", f.updated_at)


def _audit(f: AuditFilter, w: Where) -> None:
    w.among("n.action", f.actions)
    w.among("n.caller", f.callers)
    w.among("n.outcome", f.outcomes)
    w.has_all("n.target_list", None if f.target is None else [f.target])
    w.within("n.time", f.time)


def _link(f: LinkFilter, w: Where) -> None:
    w.among("l.kind", f.kinds)


_ACTORS = ("User", "Agent")

_COMPILERS: dict[tuple[type, str], Callable[[Any, Where], None]] = {
    (SessionFilter, "Session"): _session,
    (MemoryFilter, "Memory"): _memory,
    (MessageFilter, "Message"): _message,
    (ActorFilter, "User"): _actor,
    (ActorFilter, "Agent"): _actor,
    (TraceFilter, "TraceEvent"): _trace,
    (SpanFilter, "Span"): _span,
    (StateFilter, "State"): _state,
    (AuditFilter, "AuditEntry"): _audit,
    (LinkFilter, "LINK"): _link,
}


def apply(filter: Any, label: str, where: Where) -> None:
    """Adds a filter's conditions on the label's nodes."""
    if filter is not None:
        _COMPILERS[type(filter), label](filter, where)


def matches(filter: MemoryFilter, memories: Sequence[Memory]) -> tuple[str, dict[str, Any]]:
    """A statement that says of each of some records whether a filter holds, stored or not, and its parameters.

    Its one value is a list with a boolean for each; what it takes beside is $workspace.
    """
    where = Where()
    apply(filter, MEMORY.name, where)
    rows = [dict(zip(MEMORY.columns, MEMORY.encode(one), strict=True)) | looked_into(one) for one in memories]
    statement = f"{where.given}UNWIND $memories AS n RETURN collect(coalesce({where.cypher}, false))"
    return statement, {**where.parameters, "memories": rows}
