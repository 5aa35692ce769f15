"""The operators of stores.filters in SQL, on the alias t."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from functools import singledispatch
from typing import Any

import msgspec

from domain.actor import Agent, User
from domain.blob import BlobFilter
from domain.document import DocumentChunk
from domain.members import MemberTest, asked
from domain.memory import Memory
from domain.values import FloatRange, Ref, TimeRange, fold
from stores import filters as f
from stores import words
from stores.budget import check
from stores.embedded import texts
from stores.embedded.rows import TABLES
from stores.filters import FILTERS, Add, Kind, Operator, compiled
from stores.rows import micros, raw
from stores.rows import text as rows_text


class Where:
    """Conditions that must all hold, with their parameters."""

    def __init__(self, workspace: int) -> None:
        self.workspace = workspace
        self.conditions: list[str] = []
        self.params: list[Any] = []

    def add(self, condition: str, *params: Any) -> None:
        """One more condition."""
        self.conditions.append(condition)
        self.params.extend(params)

    @property
    def sql(self) -> str:
        return " AND ".join(self.conditions) or "1"

    def inside(self, condition: str, add: Add, value: Any) -> None:
        """Adds a condition that has in it, for {}, what another adds."""
        self.conditions.append(condition.format(self._taken(add, value)))

    def either(self, each: Sequence[Add], value: Any) -> None:
        """Adds the condition that one of those holds which these add."""
        parts = [f"({self._taken(add, value)})" for add in each]
        self.conditions.append(f"({' OR '.join(parts)})")

    def combine(self, filter: Any, add: Add) -> None:
        for part in filter.and_ or ():
            self.inside("({})", add, part)
        if filter.or_ is not None:
            parts = [f"({self._taken(add, part)})" for part in filter.or_]
            self.conditions.append(f"({' OR '.join(parts) or '0'})")
        if filter.not_ is not None:
            self.inside("NOT coalesce(({}), 0)", add, filter.not_)

    def _taken(self, add: Add, value: Any) -> str:
        """What is added, as one expression that is not among the conditions; its parameters stay."""
        start = len(self.conditions)
        add(self, value)
        taken = " AND ".join(self.conditions[start:]) or "1"
        del self.conditions[start:]
        return taken


@singledispatch
def _emit(op: Operator, kind: Kind, row: str) -> Add:
    """What adds an operator's condition on a row of that alias; made once, at import."""
    raise NotImplementedError(type(op))


def _sortable(value: Any) -> Any:
    return micros(value) if isinstance(value, datetime) else value


@_emit.register
def _(op: f.Equal, kind: Kind, row: str) -> Add:
    sql = f"{row}.{op.column} = ?"
    return lambda w, value: w.add(sql, op.normal(value))


@_emit.register
def _(op: f.Among, kind: Kind, row: str) -> Add:
    column = f"{row}.{op.column}"

    def add(w: Where, values: Sequence[Any]) -> None:
        names = [value.value if isinstance(value, Enum) else value for value in values]
        w.add(f"{column} IN ({', '.join('?' * len(names))})", *names)

    return add


@_emit.register
def _(op: f.Within, kind: Kind, row: str) -> Add:
    column = f"{row}.{op.column}"
    least, most = f"{column} >= ?", {below: f"{column} {below} ?" for below in ("<", "<=")}

    def add(w: Where, range: TimeRange | FloatRange) -> None:
        low, high, below = f.bounds(range)
        if low is not None:
            w.add(least, _sortable(low))
        if high is not None:
            w.add(most[below], _sortable(high))

    return add


@_emit.register
def _(op: f.AtLeast, kind: Kind, row: str) -> Add:
    sql = f"{row}.{op.column} >= ?"
    return lambda w, value: w.add(sql, _sortable(value))


@_emit.register
def _(op: f.Lasts, kind: Kind, row: str) -> Add:
    lasted = f"{row}.{op.end} - {row}.{op.start}"

    def add(w: Where, value: FloatRange | float) -> None:
        range = f.milliseconds(value)
        if range.min is not None:
            w.add(f"{lasted} >= ?", range.min * 1000)
        if range.max is not None:
            w.add(f"{lasted} <= ?", range.max * 1000)

    return add


@_emit.register
def _(op: f.HoldsAt, kind: Kind, row: str) -> Add:
    start, end = f"{row}.{op.start}", f"{row}.{op.end}"
    sql = f"({start} IS NULL OR {start} <= ?) AND ({end} IS NULL OR {end} > ?)"
    return lambda w, time: w.add(sql, *[_sortable(time)] * 2)


@_emit.register
def _(op: f.IsNull, kind: Kind, row: str) -> Add:
    there, missing = f"{row}.{op.column} IS NOT NULL", f"{row}.{op.column} IS NULL"
    return lambda w, null: w.add(missing if null else there)


@_emit.register
def _(op: f.Prefix, kind: Kind, row: str) -> Add:
    sql = f"substr({row}.{op.column}, 1, ?) = ?"
    return lambda w, text: w.add(sql, len(text), text)


@_emit.register
def _(op: f.Contains, kind: Kind, row: str) -> Add:
    # Not LIKE, whose patterns end at 50,000 bytes and at a NUL, and which folds ASCII letters only.
    sql = " OR ".join(f"contains({row}.{column}, ?)" for column in op.columns)
    sql, count = f"({sql})", len(op.columns)
    return lambda w, text: w.add(sql, *[fold(text)] * count)


@_emit.register
def _(op: f.HasAll, kind: Kind, row: str) -> Add:
    sql = f"EXISTS (SELECT 1 FROM json_each({row}.{op.column}) WHERE value = ?)"

    def add(w: Where, value: Any) -> None:
        for text in f.wanted(value):
            w.add(sql, text)

    return add


@_emit.register
def _(op: f.HasMembers, kind: Kind, row: str) -> Add:
    sql = f"has_members({row}.{op.column}, ?)"
    return lambda w, value: w.add(sql, raw(value))


@_emit.register
def _(op: f.MembersPass, kind: Kind, row: str) -> Add:
    sql = f"members_pass({row}.{op.column}, ?)"

    def add(w: Where, tests: Sequence[MemberTest]) -> None:
        w.add(sql, msgspec.json.encode([mark for test in tests for mark in asked(test)]).decode())

    return add


@_emit.register
def _(op: f.PartContains, kind: Kind, row: str) -> Add:
    if op.part.type is not None:
        said = f"call_says({row}.{op.part.column}, ?)"
        return lambda w, text: w.add(said, fold(text))
    sql = f"EXISTS (SELECT 1 FROM json_each({row}.{op.part.column}) WHERE contains(value ->> '{op.part.member}', ?))"
    return lambda w, text: w.add(sql, fold(text))


@_emit.register
def _(op: f.HasPart, kind: Kind, row: str) -> Add:
    text = f"EXISTS (SELECT 1 FROM json_each({row}.{op.part.column}) WHERE value ->> '{op.part.member}'"

    def add(w: Where, value: Any) -> None:
        texts = op.wanted(value)
        w.add(f"{text} IN ({', '.join('?' * len(texts))}))", *texts)

    return add


def _named(kinds: Sequence[Kind], column: str = "id") -> str:
    """The rows of some kinds that have an externalId; two parameters for each kind, the workspace and that."""
    tables = [TABLES[kind].name for kind in kinds]
    return " UNION ALL ".join(f"SELECT {column} FROM {one} WHERE workspace = ? AND external_id = ?" for one in tables)


@_emit.register
def _(op: f.RefersTo, kind: Kind, row: str) -> Add:
    column, count = f"{row}.{op.column}", len(op.kinds)
    by_id, by_name = f"{column} = ?", f"{column} IN ({_named(op.kinds)})"
    if op.column in TABLES[kind].keys:
        [other] = op.kinds
        by_id, by_name = (
            f"{column} = (SELECT key FROM {TABLES[other].name} WHERE id = ?)",
            f"{column} IN ({_named(op.kinds, 'key')})",
        )

    def add(w: Where, value: Any) -> None:
        ref = f.called(value)
        if ref.id is not None:
            w.add(by_id, ref.id)
        else:
            w.add(by_name, *[w.workspace, ref.external_id] * count)

    return add


@_emit.register
def _(op: f.Called, kind: Kind, row: str) -> Add:
    # Each side of the OR has an index of its own.
    column, count = f"{row}.{op.column}", len(op.kinds) + 1
    by_id = f"({column} = ? OR {row}.id = ?)"
    by_name = f"({column} IN ({_named(op.kinds)}) OR ({row}.workspace = ? AND {row}.external_id = ?))"

    def add(w: Where, ref: Ref) -> None:
        if ref.id is not None:
            w.add(by_id, ref.id, ref.id)
        else:
            w.add(by_name, *[w.workspace, ref.external_id] * count)

    return add


def _other(row: str) -> str:
    """The alias of another row that a condition on this one looks at."""
    return "x" * (row.count("x") + 1)


@_emit.register
def _(op: f.Through, kind: Kind, row: str) -> Add:
    x = _other(row)
    inside = _emit(op.operator, op.kind, x)
    # Not IN, which would first read all that are called so in the whole workspace.
    named = "key" if op.column in TABLES[kind].keys else "id"
    sql = f"EXISTS (SELECT 1 FROM {TABLES[op.kind].name} {x} WHERE {x}.{named} = {row}.{op.column} AND {{}})"
    return lambda w, value: w.inside(sql, inside, value)


@_emit.register
def _(op: f.Some, kind: Kind, row: str) -> Add:
    x, of = _other(row), TABLES[op.kind]
    inside, named = _emit(op.operator, op.kind, x), "key" if op.column in of.keys else "id"
    sql = f"{row}.{named} IN (SELECT {x}.{op.column} FROM {of.name} {x} WHERE {{}})"
    return lambda w, value: w.inside(sql, inside, value)


@_emit.register
def _(op: f.Shares, kind: Kind, row: str) -> Add:
    x = _other(row)
    inside = _emit(op.operator, op.kind, x)
    same = f"{x}.workspace = {row}.workspace AND {x}.{op.column} = {row}.{op.column}"
    sql = f"EXISTS (SELECT 1 FROM {TABLES[op.kind].name} {x} WHERE {same} AND {{}})"
    return lambda w, value: w.inside(sql, inside, value)


@_emit.register
def _(op: f.Either, kind: Kind, row: str) -> Add:
    each = [_emit(one, kind, row) for one in op.operators]
    return lambda w, value: w.either(each, value)


@_emit.register
def _(op: f.Says, kind: Kind, row: str) -> Add:
    sql = (
        f"{row}.key IN (SELECT rowid FROM message_text WHERE message_text MATCH ? UNION ALL "
        "SELECT a.key FROM message_waiting a CROSS JOIN message b ON b.key = a.key "
        "WHERE b.workspace = ? AND says(b.content, ?))"
    )

    def add(w: Where, text: str) -> None:
        wanted = words.demanded(text)
        all_words = " AND ".join(texts.has(*(f"{w.workspace}.{word}" for word in ways)) for ways in wanted)
        w.add(sql, all_words, w.workspace, rows_text(wanted)) if wanted else w.add("0")

    return add


@_emit.register
def _(op: f.Matching, kind: Kind, row: str) -> Add:
    sql, passes = f"{row}.workspace = ?", compiled(kind, lambda op: _emit(op, kind, row))

    def add(w: Where, filter: Any) -> None:
        w.add(sql, w.workspace)
        passes(w, filter)

    return add


@_emit.register
def _(op: f.OfKind, kind: Kind, row: str) -> Add:
    column = f"substr({row}.{op.column}, 1, 3)"

    def add(w: Where, kinds: Sequence[Enum]) -> None:
        begin = f.prefixes(kinds)
        w.add(f"{column} IN ({', '.join('?' * len(begin))})", *begin)

    return add


@_emit.register
def _(op: f.Never, kind: Kind, row: str) -> Add:
    return lambda w, value: w.add("0")


def _compiled(kind: Kind) -> Add:
    return compiled(kind, lambda op: _emit(op, kind, "t"))


_COMPILED = {kind: _compiled(kind) for kind in FILTERS}
"""What adds a filter's conditions, by the kind of the rows."""

valid_at = _emit(FILTERS[Memory]["valid_at"], Memory, "t")
"""Adds the condition that a memory's fact held at a time."""

is_called = _emit(f.RefersTo("id", (User, Agent)), User, "t")
"""Adds the condition that a user or agent is the one that a reference names."""


_IN_DOCUMENT = _emit(f.IN_DOCUMENT, DocumentChunk, "t")


def in_document(where: Where, filter: BlobFilter | None) -> None:
    """Adds the condition that a chunk is of a document that passes a filter. Raises Rejected (INVALID)."""
    if filter is not None:
        check(filter)
        _IN_DOCUMENT(where, filter)


def apply(filter: Any, kind: Kind, where: Where) -> None:
    """Raises Rejected (INVALID) where it asks too much."""
    if filter is not None:
        check(filter)
        _COMPILED[kind](where, filter)
