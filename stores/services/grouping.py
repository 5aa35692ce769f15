"""Groups of the nodes of a list, in Cypher: one statement for all parents."""

from __future__ import annotations

from typing import Any

from domain.calendar import AHEAD, FIRST, IN_UTC, LAST, TimeBucket
from domain.node import Node
from domain.tally import Tally
from stores.grouping import too_many
from stores.lists import record_of
from stores.orders import order_of
from stores.ports import Collection, Records
from stores.ports.grouping import MAX_GROUPS, PERCENTS, By, Group, Grouping, Summed, Value
from stores.services.filters import Where
from stores.services.labels import LABELS, Label, seek
from stores.services.list_queries import rows_of
from stores.services.properties import listed

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_BY_NATURAL_KEY: dict[type[Node], tuple[str, str]] = {
    Tally: (
        "WHERE coalesce(n.total_tokens, n.cost_usd, n.cached_tokens, n.reasoning_tokens) IS NOT NULL",
        "MATCH (v:Tally) USING INDEX SEEK v:Tally(workspace, trace_id, span_id) "
        "WHERE v.workspace = n.workspace AND v.trace_id = n.trace_id AND v.span_id = n.span_id",
    )
}
"""Which nodes may be named in a column without an index, and what finds those that name one."""

_NO_SPREAD = (None,) * len(PERCENTS)
_RANKS = ", ".join(f"(size(ordered) * {percent} + 99) / 100 - 1" for percent in PERCENTS)


class Query:
    """The statement of a grouping, with its parameters. Its one value is a list of rows, each beginning with the place
    of its parent among $parents. The nodes of the list are n, what the values are of is v."""

    def __init__(self, of: Collection | Records, grouping: Grouping, filter: Any) -> None:
        self._node: Label[Any] = LABELS[record_of(of)]
        where = Where()
        rows = rows_of(of, filter, where, order_of(of, None))
        clauses, self._row, known = [rows.match], "n", ""
        if grouping.values_of is not None:
            clauses.append(_sums(grouping, *grouping.values_of))
            self._row, known = "v", ", v"
        named = ""
        for index, by in enumerate(grouping.by):
            clauses.append(self._key(by, index, known + named))
            named += f", k{index}"
        told = ["count(*)", *self._told(grouping)]
        spread = "[]" if grouping.spread is None else f"collect({self._number(grouping.spread)})"
        self.text = (
            f"{where.given}UNWIND range(0, size($parents) - 1) AS i WITH refs, i, $parents[i] AS p "
            f"CALL (refs, p) {{ {' '.join(clauses)} "
            f"WITH [{named[2:]}] AS key, [{', '.join(told)}] AS told, {spread} AS spread LIMIT {MAX_GROUPS + 1} "
            "CALL (spread) { UNWIND spread AS one WITH one ORDER BY one WITH collect(one) AS ordered "
            f"RETURN [r IN [{_RANKS}] | CASE WHEN r < 0 THEN null ELSE ordered[r] END] AS percentiles }} "
            "RETURN collect([key, told, percentiles]) AS groups } RETURN collect([i, groups])"
        )
        offsets = next((by.offsets for by in grouping.by if by.bucket is not None), IN_UTC)
        self.parameters = {**where.parameters, "changes_at": offsets.before, "offsets": offsets.offsets}

    def _told(self, grouping: Grouping) -> list[str]:
        told = []
        for value in grouping.values:
            number = self._number(value)  # as a float, for a sum of times is beyond 64 bits
            ends = [f"{end}({number})" if value.ends else "null" for end in ("min", "max")]
            sums = [f"count({number})", f"sum(toFloat({number}))"] if value.sum else ["0", "0.0"]
            told += [*sums, *ends]
        for column, wanted in grouping.having:
            is_so = "IS NULL" if wanted is None else f"= {str(wanted).lower()}" if wanted is True else f"= '{wanted}'"
            told.append(f"count(CASE WHEN {self._row}.{column} {is_so} THEN 1 END)")
        if grouping.apart:
            told.append(f"count(DISTINCT coalesce(n.{grouping.apart}, ''))")
        return told

    def _number(self, value: Value) -> str:
        if value.size:
            return f"{self._row}.size"
        column = f"{self._row}.{value.column}"
        return f"{column} - {self._row}.{value.since}" if value.since else column

    def _key(self, by: By, index: int, before: str) -> str:
        """The clauses that add one of the keys to those before it."""
        if by.joined is None and not by.through and not by.each:
            return f"WITH n{before}, {self._told_by(by, 'n')} AS k{index}"
        return f"WITH n{before} CALL (n) {{ {self._several(by)} }} WITH n{before}, k AS k{index}"

    def _several(self, by: By) -> str:
        """What gives the keys k of a node n, null where there is none."""
        if by.joined is not None:
            record, column = by.joined
            named = f"n.{by.through}" if by.through else "n.id"
            found = f"{seek(LABELS[record].name, column, f'= {named}', 'o')} RETURN {self._told_by(by, 'o')} AS k"
            found = f"COLLECT {{ {found} }}"
        elif by.through:
            refers = self._node.kind.columns[by.through].refers
            assert refers is not None
            [other] = refers.kinds
            label = next(one for one in LABELS.values() if other in (one.kind.record, one.kind.record.__name__))
            found = f"{seek(label.name, 'id', f'= n.{by.through}', 'o')} RETURN {self._told_by(by, 'o')} AS k"
            found = f"COLLECT {{ {found} }}"
        else:
            found = f"n.{listed(by.column)}"
        return (
            f"WITH [one IN {found} WHERE one IS NOT NULL] AS found "
            "UNWIND CASE size(found) WHEN 0 THEN [null] ELSE found END AS k RETURN DISTINCT k"
        )

    def _told_by(self, by: By, node: str) -> str:
        column = f"{node}.{by.column}"
        if by.bucket is not None:
            return _bucket(column, by)
        return column if by.kind is None else f"CASE left({column}, 4) WHEN '{by.kind.prefix}_' THEN {column} END"


def _sums(grouping: Grouping, record: type[Node], column: str) -> str:
    """The clauses that give a node n the sums v of the nodes that name it."""
    may, naming = _BY_NATURAL_KEY.get(record) or ("", seek(LABELS[record].name, column, "= n.id", "v"))
    sums = ", ".join(
        f"{value.column}: CASE WHEN count(v.{value.column}) > 0 THEN sum(v.{value.column}) END"
        for value in grouping.values
    )
    some = f"WITH count(v) AS many, {{{sums}}} AS sums WHERE many > 0 RETURN sums AS v"
    return f"WITH n {may} CALL (n) {{ {naming} {some} }}"


def _bucket(time: str, by: By) -> str:
    # Parameters, for a statement with hundreds of cases takes seconds to plan.
    offset = "$offsets[size([end IN $changes_at WHERE end <= time])]".replace("time", time)
    if by.bucket is TimeBucket.HOUR:
        return f"({time} + {offset} + {AHEAD}) / {_HOUR} * {_HOUR} - {AHEAD} - {offset}"
    first, last = FIRST + AHEAD, LAST + AHEAD
    local = (
        f"head([l IN [{time} + {offset} + {AHEAD}] | "
        f"CASE WHEN l < {first} THEN {first} WHEN l > {last} THEN {last} ELSE l END])"
    )
    match by.bucket:
        case TimeBucket.DAY:
            return f"{local} / {_DAY} - {AHEAD // _DAY}"
        case TimeBucket.WEEK:
            return f"({local} / {_DAY} + 3) / 7 - {AHEAD // _DAY // 7}"
    day = f"datetime({{epochMillis: {local} / 1000 - {AHEAD // 1000}}})"
    return f"{day}.year * 12 + {day}.month - 1"


def groups(found: Any, grouping: Grouping) -> list[Group]:
    """The groups of what the statement gives for a parent."""
    if len(found) > MAX_GROUPS:
        raise too_many()
    if not found and not grouping.by:
        return [Group((), 0, tuple(Summed() for _ in grouping.values), tuple(0 for _ in grouping.having), _NO_SPREAD)]
    return [_group(one, grouping) for one in found]


def _group(row: Any, grouping: Grouping) -> Group:
    key, (count, *parts), percentiles = row
    values = tuple(Summed(*parts[at : at + 4]) for at in range(0, 4 * len(grouping.values), 4))
    rest = parts[4 * len(grouping.values) :]
    having = tuple(rest[: len(grouping.having)])
    spread = tuple(None if one is None else float(one) for one in percentiles) if grouping.spread else ()
    return Group(tuple(key), count, values, having, spread, rest[-1] if grouping.apart else 0)
