"""The operators of stores.filters in Cypher, on the node n, or on the relationship l of a link."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from functools import reduce, singledispatch
from typing import Any

from domain.blob import BlobFilter
from domain.link import MemoryLink
from domain.members import MemberTest, asked
from domain.memory import Memory, MemoryFilter
from domain.values import FloatRange, Ref, TimeRange, fold
from stores import filters as f
from stores import words
from stores.budget import check
from stores.filters import FILTERS, Add, Kind, Operator, compiled
from stores.rows import micros
from stores.services.labels import LABELS, MEMORY, seek
from stores.services.lucene import MOST_WORDS, all_of
from stores.services.properties import listed, looked_into, members, sortable


class Where:
    """Conditions that must all hold. A statement with them begins with `given`, and hands `refs` into subqueries.

    prefix: of the names of the parameters, which several of one statement must not share. What others are called by
    outside is looked up once, before the first row: in the condition it would be for each row, at five times the cost.
    """

    def __init__(self, prefix: str = "f") -> None:
        self._prefix = prefix
        self.parameters: dict[str, Any] = {}
        self._refs: list[str] = []
        self.conditions: list[str] = []

    @property
    def cypher(self) -> str:
        return " AND ".join(self.conditions) or "true"

    @property
    def given(self) -> str:
        """What a statement with these conditions begins with: the lists of ids that they look into."""
        return f"WITH [{', '.join(self._refs)}] AS refs "

    def add(self, condition: str, value: Any = None) -> None:
        """One more condition, ? in it being a value."""
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

    def inside(self, condition: str, add: Add, value: Any) -> None:
        """Adds a condition that has in it, for {}, what another adds."""
        self.conditions.append(condition.format(self._taken(add, value)))

    def either(self, each: Sequence[Add], value: Any) -> None:
        """Adds the condition that one of those holds which these add."""
        parts = [f"coalesce({self._taken(add, value)}, false)" for add in each]
        self.conditions.append(f"({' OR '.join(parts)})")

    def combine(self, filter: Any, add: Add) -> None:
        for part in filter.and_ or ():
            self.inside("({})", add, part)
        if filter.or_ is not None:
            if any(part.and_ or part.or_ or part.not_ for part in filter.or_):
                ways = (f"WHEN {_all(self._each(add, part))} THEN true" for part in filter.or_)
                self.conditions.append(f"CASE {' '.join(ways)} ELSE false END")
            else:
                parts = [f"({self._taken(add, part)})" for part in filter.or_]
                self.conditions.append(f"({' OR '.join(parts) or _NEVER})")
        if filter.not_ is not None:
            self.conditions.append(_all(self._each(add, filter.not_), _NEVER, "true"))

    def _taken(self, add: Add, value: Any) -> str:
        """What is added, as one expression that is not among the conditions; its parameters stay."""
        return " AND ".join(self._each(add, value)) or "true"

    def _each(self, add: Add, value: Any) -> list[str]:
        """The conditions that are added, which are none of this one's; their parameters stay."""
        start = len(self.conditions)
        add(self, value)
        taken = self.conditions[start:]
        del self.conditions[start:]
        return taken


def _all(conditions: Sequence[str], then: str = "true", otherwise: str = "false") -> str:
    """A value where all of them hold and where not, without AND: where AND, OR and NOT stand in each other, the planner
    takes twice as long for each level (Neo4j 5.26: 30 levels 3 s, 40 more than 10)."""
    if then == "true" and len(conditions) == 1:
        return conditions[0]
    return reduce(lambda rest, one: f"CASE WHEN {one} THEN {rest} ELSE {otherwise} END", reversed(conditions), then)


_NEVER = "$workspace IS NULL"
"""What holds for nothing. With a literal false no index is left to be named to the planner, which is an error."""


def _calling(kind: Kind) -> str:
    return f"MATCH (o:{LABELS[kind].name}) WHERE o.workspace = $workspace AND o.external_id = ?"


def _named(kinds: Sequence[Kind]) -> str:
    """The ids of what some kinds have under an externalId."""
    return " UNION ALL ".join(f"{_calling(kind)} RETURN o.id AS id" for kind in kinds)


def _micros(value: Any) -> Any:
    return micros(value) if isinstance(value, datetime) else value


@singledispatch
def _emit(op: Operator, node: str) -> Add:
    """What adds an operator's condition on a node of that name; made once, at import."""
    raise NotImplementedError(type(op))


@_emit.register
def _(op: f.Equal, node: str) -> Add:
    condition = f"{node}.{op.column} = ?"
    return lambda w, value: w.add(condition, op.normal(value))


@_emit.register
def _(op: f.Among, node: str) -> Add:
    condition = f"{node}.{op.column} IN ?"

    def add(w: Where, values: Sequence[Any]) -> None:
        names = [value.value if isinstance(value, Enum) else value for value in values]
        w.add(condition, names)

    return add


@_emit.register
def _(op: f.Within, node: str) -> Add:
    column = f"{node}.{op.column}"
    least, most = f"{column} >= ?", {below: f"{column} {below} ?" for below in ("<", "<=")}

    def add(w: Where, range: TimeRange | FloatRange) -> None:
        low, high, below = f.bounds(range)
        if low is not None:
            w.add(least, _micros(low))
        if high is not None:
            w.add(most[below], _micros(high))

    return add


@_emit.register
def _(op: f.AtLeast, node: str) -> Add:
    condition = f"{node}.{op.column} >= ?"
    return lambda w, value: w.add(condition, _micros(value))


@_emit.register
def _(op: f.Lasts, node: str) -> Add:
    lasted = f"{node}.{op.end} - {node}.{op.start}"

    def add(w: Where, value: FloatRange | float) -> None:
        range = f.milliseconds(value)
        if range.min is not None:
            w.add(f"{lasted} >= ?", range.min * 1000)
        if range.max is not None:
            w.add(f"{lasted} <= ?", range.max * 1000)

    return add


@_emit.register
def _(op: f.HoldsAt, node: str) -> Add:
    # Not OR, which the planner would take apart into two reads of an index.
    condition = f"coalesce({node}.{op.start} <= ?, true) AND coalesce({node}.{op.end} > ?, true)"
    return lambda w, time: w.add(condition, _micros(time))


@_emit.register
def _(op: f.IsNull, node: str) -> Add:
    there, missing = f"{node}.{op.column} IS NOT NULL", f"{node}.{op.column} IS NULL"
    return lambda w, null: w.add(missing if null else there)


@_emit.register
def _(op: f.Prefix, node: str) -> Add:
    condition = f"{node}.{op.column}_key STARTS WITH ?"
    return lambda w, text: w.add(condition, sortable(text))


@_emit.register
def _(op: f.Contains, node: str) -> Add:
    # As domain.values.fold.
    texts = [f"replace(toLower({node}.{column}), 'ς', 'σ') CONTAINS ?" for column in op.columns]
    condition = f"({' OR '.join(texts)})"
    return lambda w, text: w.add(condition, fold(text))


@_emit.register
def _(op: f.HasAll, node: str) -> Add:
    condition = f"? IN {node}.{listed(op.column)}"

    def add(w: Where, value: Any) -> None:
        for text in f.wanted(value):
            w.add(condition, text)

    return add


@_emit.register
def _(op: f.HasMembers, node: str) -> Add:
    condition = f"all(member IN ? WHERE member IN {node}.members)"
    return lambda w, value: w.add(condition, members(value))


@_emit.register
def _(op: f.MembersPass, node: str) -> Add:
    ways = {
        None: f"any(mark IN {node}.marks WHERE mark STARTS WITH ?)",
        True: f"any(mark IN {node}.marks WHERE ?[0] <= mark <= ?[1])",
        False: f"none(mark IN {node}.marks WHERE ?[0] <= mark <= ?[1])",
    }

    def add(w: Where, tests: Sequence[MemberTest]) -> None:
        for mark in (mark for test in tests for mark in asked(test)):
            if mark.high is None:
                w.add(ways[None], mark.low)
            else:
                w.add(ways[mark.there], [mark.low, mark.high])

    return add


@_emit.register
def _(op: f.PartContains, node: str) -> Add:
    condition = f"any(text IN {node}.{op.part.member}s WHERE text CONTAINS ?)"
    return lambda w, text: w.add(condition, fold(text))


@_emit.register
def _(op: f.HasPart, node: str) -> Add:
    condition = f"any(text IN {node}.{op.part.member}s WHERE text IN ?)"
    return lambda w, value: w.add(condition, op.wanted(value))


@_emit.register
def _(op: f.RefersTo, node: str) -> Add:
    column = f"{node}.{op.column}"
    by_id, named = f"{column} = ?", _named(op.kinds)

    def add(w: Where, value: Any) -> None:
        ref = f.called(value)
        if ref.id is not None:
            w.add(by_id, ref.id)
        else:
            w.add(f"{column} IN {w.ids(named, ref.external_id)}")

    return add


@_emit.register
def _(op: f.Called, node: str) -> Add:
    column, named = f"{node}.{op.column}", _named(op.kinds)
    by_id, by_name = f"? IN [{node}.id, {column}]", f"{node}.external_id = ?"

    def add(w: Where, ref: Ref) -> None:
        if ref.id is not None:
            w.add(by_id, ref.id)
        else:
            w.add(f"({by_name} OR {column} IN {w.ids(named, ref.external_id)})", ref.external_id)

    return add


def _other(node: str) -> str:
    """The name of another node that a condition on this one looks at."""
    return "x" * (node.count("x") + 1)


def _inside(op: Operator, kind: Kind, x: str) -> Add:
    """What adds an operator's condition on another node, or a whole filter's."""
    return compiled(kind, lambda each: _emit(each, x)) if isinstance(op, f.Matching) else _emit(op, x)


@_emit.register
def _(op: f.Through, node: str) -> Add:
    x = _other(node)
    inside = _inside(op.operator, op.kind, x)
    condition = f"EXISTS {{{{ {seek(LABELS[op.kind].name, 'id', f'= {node}.{op.column}', x)} AND {{}} }}}}"
    return lambda w, value: w.inside(condition, inside, value)


@_emit.register
def _(op: f.Some, node: str) -> Add:
    """Looked up once, before the first row: from an index for each way to be called."""
    if isinstance(op.operator, f.Says):
        return _some_saying(op, node)
    if not isinstance(op.operator, f.Called):
        return _some_holding(op, node)
    column, label = op.operator.column, LABELS[op.kind].name
    some = f"MATCH (x:{label}) WHERE x.{{}} RETURN x.{op.column} AS id"
    by_id = " UNION ".join(some.format(f"{name} = ?") for name in (column, "id"))
    by_name = " UNION ".join(
        [
            *(f"{_calling(kind)} {some.format(f'{column} = o.id')}" for kind in op.operator.kinds),
            some.format("workspace = $workspace AND x.external_id = ?"),
        ]
    )

    def add(w: Where, ref: Ref) -> None:
        w.add(f"{node}.id IN {w.ids(by_name if ref.id is None else by_id, ref.id or ref.external_id)}")

    return add


def _some_saying(op: f.Some, node: str) -> Add:
    saying = (
        "CALL db.index.fulltext.queryNodes('message_texts', '+workspace:(\"' + $workspace + '\")^0 +' + ?) "
        f"YIELD node AS x WHERE x.workspace = $workspace RETURN DISTINCT x.{op.column} AS id"
    )

    def add(w: Where, text: str) -> None:
        wanted = all_of(words.demanded(text, MOST_WORDS))
        w.add(f"{node}.id IN {w.ids(saying, wanted)}" if wanted else _NEVER)

    return add


def _some_holding(op: f.Some, node: str) -> Add:
    """Looked up for each row, in an index, of which all columns have to be said to be there."""
    x = _other(node)
    inside = _inside(op.operator, op.kind, x)
    condition = f"EXISTS {{{{ {seek(LABELS[op.kind].name, op.column, f'= {node}.id', x)} AND {{}} }}}}"
    return lambda w, value: w.inside(condition, inside, value)


@_emit.register
def _(op: f.Shares, node: str) -> Add:
    x, of = _other(node), LABELS[op.kind]
    inside = _inside(op.operator, op.kind, x)
    first, *others = of.kind.natural
    there = "".join(f" AND {x}.{column} IS NOT NULL" for column in others)
    index = f"{x}:{of.name}({', '.join(of.kind.scoped(of.kind.natural))})"
    condition = (
        f"EXISTS {{{{ MATCH ({x}:{of.name}) USING INDEX SEEK {index} WHERE {x}.workspace = $workspace "
        f"AND {x}.{first} = {node}.{op.column}{there} AND {{}} }}}}"
    )
    return lambda w, value: w.inside(condition, inside, value)


@_emit.register
def _(op: f.Either, node: str) -> Add:
    each = [_emit(one, node) for one in op.operators]
    return lambda w, value: w.either(each, value)


@_emit.register
def _(op: f.OfKind, node: str) -> Add:
    condition = f"left({node}.{op.column}, 3) IN ?"
    return lambda w, kinds: w.add(condition, f.prefixes(kinds))


@_emit.register
def _(op: f.Never, node: str) -> Add:
    return lambda w, value: w.add(_NEVER)


def _compiled(kind: Kind) -> Add:
    return compiled(kind, lambda op: _emit(op, "l" if kind is MemoryLink else "n"))


_COMPILED = {kind: _compiled(kind) for kind in FILTERS}
"""What adds a filter's conditions, by the kind of the nodes."""

valid_at = _emit(FILTERS[Memory]["valid_at"], "n")
"""Adds the condition that a memory's fact held at a time."""


_IN_DOCUMENT = _emit(f.IN_DOCUMENT, "n")


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


def matches(filter: MemoryFilter, memories: Sequence[Memory]) -> tuple[str, dict[str, Any]]:
    """A statement that says of each of some records whether a filter holds, stored or not, and its parameters.

    Its one value is a list with a boolean for each; what it takes beside is $workspace.
    """
    where = Where()
    apply(filter, Memory, where)
    rows = [dict(zip(MEMORY.columns, MEMORY.encode(one), strict=True)) | looked_into(one) for one in memories]
    statement = f"{where.given}UNWIND $memories AS n RETURN collect(coalesce({where.cypher}, false))"
    return statement, {**where.parameters, "memories": rows}
