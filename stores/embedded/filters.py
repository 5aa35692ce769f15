"""Filters as SQL conditions on the alias t."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from domain.actor import ActorFilter
from domain.audit import AuditFilter
from domain.link import LinkDirection
from domain.memory import MemoryFilter
from domain.message import MessageFilter
from domain.session import SessionFilter
from domain.span import SpanFilter
from domain.state import StateFilter
from domain.trace import TraceFilter
from domain.values import Json, Ref, TimeRange, fold
from stores.budget import Budget
from stores.ports import LinkFilter
from stores.rows import micros, raw


class Where:
    """Conditions that must all hold, with their parameters."""

    def __init__(self, workspace: int, budget: Budget | None = None) -> None:
        self.workspace = workspace
        self._budget = budget or Budget()
        self.conditions: list[str] = []
        self.params: list[Any] = []

    def add(self, condition: str, *params: Any) -> None:
        """One more condition. Raises Rejected (INVALID) where there are too many, or too many values."""
        self._budget.spend(len(params))
        self.conditions.append(condition)
        self.params.extend(params)

    @property
    def sql(self) -> str:
        """The conditions as one expression."""
        return " AND ".join(self.conditions) or "1"

    def among(self, column: str, values: Sequence[Any] | None) -> None:
        """The column has one of the values; an empty list matches nothing, None everything."""
        if values is not None:
            names = [value.value if isinstance(value, Enum) else value for value in values]
            self.add(f"{column} IN ({', '.join('?' * len(names))})", *names)

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

    def contains(self, column: str, text: str | None) -> None:
        """The text contains that one, in either case."""
        if text is not None:
            # Not LIKE, whose patterns end at 50,000 bytes and at a NUL, and which folds ASCII letters only.
            self.add(f"contains({column}, ?)", fold(text))

    def has_all(self, column: str, strings: Iterable[str] | None) -> None:
        """The JSON list of strings has all of these."""
        for string in strings or ():
            self.add(f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ?)", string)

    def has_members(self, column: str, wanted: Json | None) -> None:
        """The JSON object has all members of that one, with equal values."""
        if wanted is not None:
            self.add(f"has_members({column}, ?)", raw(wanted))

    def refers(self, column: str, ref: Ref | None, *tables: str) -> None:
        """The column holds the id that the reference names in one of the tables."""
        if ref is None:
            return
        if ref.id is not None:
            self.add(f"{column} = ?", ref.id)
            return
        found = " UNION ALL ".join(
            f"SELECT id FROM {table} WHERE workspace = ? AND external_id = ?" for table in tables
        )
        self.add(f"{column} IN ({found})", *[self.workspace, ref.external_id] * len(tables))

    def combine(self, filter: Any, compile: Callable[[Any, Where], None]) -> None:
        """The members and, or and not of a filter."""
        for part in filter.and_ or ():
            inner = self._inner(part, compile)
            self.add(f"({inner.sql})", *inner.params)
        if filter.or_ is not None:
            parts = [self._inner(part, compile) for part in filter.or_]
            self.add(
                "(" + (" OR ".join(f"({part.sql})" for part in parts) or "0") + ")",
                *[param for part in parts for param in part.params],
            )
        if filter.not_ is not None:
            inner = self._inner(filter.not_, compile)
            self.add(f"NOT coalesce(({inner.sql}), 0)", *inner.params)

    def _inner(self, filter: Any, compile: Callable[[Any, Where], None]) -> Where:
        self._budget.spend()
        inner = Where(self.workspace, self._budget)
        compile(filter, inner)
        return inner


def _session(f: SessionFilter, w: Where) -> None:
    w.among("t.kind", f.kinds)
    w.among("t.status", f.statuses)
    if f.participant is not None:
        who = Where(w.workspace)
        who.refers("p.actor", f.participant, "user", "agent")
        w.add(
            f"t.key IN (SELECT p.session FROM participant p WHERE {who.sql} OR p.id = ? OR p.external_id = ?)",
            *who.params,
            f.participant.id,
            f.participant.external_id,
        )
    w.contains("t.title", f.text)
    w.within("t.created_at", f.created_at)
    w.at_least("t.last_active_at", f.active_since)
    w.has_all("t.capabilities", None if f.capability is None else [f.capability])
    w.has_members("t.metadata", f.metadata)
    w.combine(f, _session)


def _memory(f: MemoryFilter, w: Where) -> None:
    w.among("t.type", f.types)
    w.among("t.scope", f.scopes)
    w.refers("t.owner", f.owner, "user", "agent")
    w.among("t.status", f.statuses)
    if f.session is not None:
        session = Where(w.workspace)
        session.refers("id", f.session, "session")
        w.add(f"t.session IN (SELECT key FROM session WHERE {session.sql})", *session.params)
    w.has_all("t.tags", f.tags)
    if f.importance is not None and f.importance.min is not None:
        w.add("t.importance >= ?", f.importance.min)
    if f.importance is not None and f.importance.max is not None:
        w.add("t.importance <= ?", f.importance.max)
    w.within("t.created_at", f.created_at)
    if f.valid_at is not None:
        valid_at(w, micros(f.valid_at))
    w.contains("t.text", f.text)
    w.has_members("t.metadata", f.metadata)
    w.combine(f, _memory)


def valid_at(w: Where, us: int | None) -> None:
    """The memory's fact held at that time (microseconds since 1970)."""
    w.add("(t.valid_from IS NULL OR t.valid_from <= ?) AND (t.valid_until IS NULL OR t.valid_until > ?)", us, us)


def _message(f: MessageFilter, w: Where) -> None:
    w.among("t.sender_type", f.sender_types)
    if f.sender is not None:
        who = Where(w.workspace)
        who.refers("actor", f.sender, "user", "agent")
        w.add(
            f"t.sender IN (SELECT key FROM participant WHERE {who.sql} OR id = ? OR external_id = ?)",
            *who.params,
            f.sender.id,
            f.sender.external_id,
        )
    if f.thread is not None:
        w.add("t.thread IN (SELECT key FROM thread WHERE name = ?)", f.thread)
    if f.text is not None:
        inner = Where(w.workspace)
        inner.contains("value ->> 'text'", f.text)
        w.add(f"EXISTS (SELECT 1 FROM json_each(t.content) WHERE {inner.sql})", *inner.params)
    if f.tool is not None:
        w.add("EXISTS (SELECT 1 FROM json_each(t.content) WHERE value ->> 'tool' = ?)", f.tool)
    w.within("t.created_at", f.created_at)
    w.has_members("t.metadata", f.metadata)


def _actor(table: str, properties: str) -> Callable[[ActorFilter, Where], None]:
    def compile(f: ActorFilter, w: Where) -> None:
        if f.text is not None:
            names = Where(w.workspace)
            names.contains("t.name", f.text)
            external = Where(w.workspace)
            external.contains("t.external_id", f.text)
            w.add(f"({names.sql} OR {external.sql})", *names.params, *external.params)
        if f.capability is not None:
            if table == "user":
                w.add("0")
            else:
                w.has_all("t.capabilities", [f.capability])
        w.has_members(properties, f.metadata)

    return compile


def _trace(f: TraceFilter, w: Where) -> None:
    w.among("t.type", f.types)
    w.among("t.component", f.components)
    w.within("t.time", f.time)
    w.refers("t.agent", f.agent, "agent")
    if f.message is not None:
        w.add("t.message = (SELECT key FROM message WHERE id = ?)", f.message)
    if f.min_duration_ms is not None:
        w.add("t.duration_ms >= ?", f.min_duration_ms)


def _span(f: SpanFilter, w: Where) -> None:
    w.among("t.kind", f.kinds)
    w.among("t.status_code", f.status_codes)
    w.among("t.name", f.names)
    if f.trace_id is not None:
        w.add("t.trace_id = ?", f.trace_id.lower())
    if f.session is not None:
        session = Where(w.workspace)
        session.refers("id", f.session, "session")
        w.add(f"t.session IN (SELECT key FROM session WHERE {session.sql})", *session.params)
    w.refers("t.agent", f.agent, "agent")
    w.within("t.started_at", f.started_at)
    if f.min_duration_ms is not None:
        w.add("t.ended_at - t.started_at >= ?", f.min_duration_ms * 1000)
    if f.running is not None:
        w.add(f"t.ended_at IS {'NULL' if f.running else 'NOT NULL'}")


def _state(f: StateFilter, w: Where) -> None:
    if f.prefix is not None:
        w.add("substr(t.name, 1, ?) = ?", len(f.prefix), f.prefix)
    w.has_all("t.tags", f.tags)
    w.within("t.updated_at", f.updated_at)


def _audit(f: AuditFilter, w: Where) -> None:
    w.among("t.action", f.actions)
    w.among("t.caller", f.callers)
    w.among("t.outcome", f.outcomes)
    w.has_all("t.targets", None if f.target is None else [f.target])
    w.within("t.time", f.time)


def _link(f: LinkFilter, w: Where) -> None:
    w.among("t.kind", f.kinds)


_COMPILERS: dict[tuple[type, str], Callable[[Any, Where], None]] = {
    (SessionFilter, "session"): _session,
    (MemoryFilter, "memory"): _memory,
    (MessageFilter, "message"): _message,
    (ActorFilter, "user"): _actor("user", "t.profile"),
    (ActorFilter, "agent"): _actor("agent", "t.config"),
    (TraceFilter, "event"): _trace,
    (SpanFilter, "span"): _span,
    (StateFilter, "state"): _state,
    (AuditFilter, "audit"): _audit,
    (LinkFilter, "link"): _link,
}


def apply(filter: Any, table: str, where: Where) -> None:
    """Adds a filter's conditions on the table's rows."""
    if filter is not None:
        _COMPILERS[type(filter), table](filter, where)


__all__ = ["LinkDirection", "Where", "apply", "valid_at"]
