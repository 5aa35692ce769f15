"""Groups of the rows of a list, in SQL. What percentiles are of comes as one JSON text for each group: a row for each
number would take ten times as long, and hold up the other threads meanwhile."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec
import numpy as np

from domain.calendar import AHEAD, FIRST, LAST, TimeBucket
from domain.node import Id
from stores.catalogue.kinds import kind
from stores.embedded.filters import Where
from stores.embedded.lists import Lists, list_of
from stores.embedded.rows import TABLES, Table
from stores.grouping import percentiles, too_many
from stores.ports import Collection, Records
from stores.ports.grouping import MAX_GROUPS, By, Group, Grouping, Summed, Value

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR


def grouped(
    db: apsw.Connection, lists: Lists, of: Collection | Records, parent: Id, grouping: Grouping, filter: Any
) -> list[Group]:
    table = list_of(of).table
    query = _Query(table, lists.where(of, parent, filter), grouping)
    found = db.execute(query.sql, query.params).fetchall()
    if len(found) > MAX_GROUPS:
        raise too_many()
    return [_group(row, grouping) for row in found if row[len(grouping.by)] or not grouping.by]


def _aggregates(value: Value) -> tuple[str, ...]:
    return (("count", "total") if value.sum else ()) + (("min", "max") if value.ends else ())


class _Query:
    """The statement of a grouping. The rows of the list are t, what the values are of is v, and what groups are told
    apart by may come from others that are joined."""

    def __init__(self, table: Table[Any], where: Where, grouping: Grouping) -> None:
        self._table, self._joins, self.params = table, list[str](), list[Any]()
        self._values, self._row = table, "t"
        rows = f"{table.name} t"
        if grouping.values_of is not None:
            rows = self._beside(where.workspace, grouping)
        keys = [self._key(by, f"j{index}") for index, by in enumerate(grouping.by)]
        told = [*keys, *self._told(grouping)]
        by = f" GROUP BY {', '.join(map(str, range(1, len(keys) + 1)))}" if keys else ""
        self.sql = (
            f"SELECT {', '.join(told)} FROM {rows}{''.join(self._joins)} WHERE {where.sql}{by} LIMIT {MAX_GROUPS + 1}"
        )
        self.params += where.params

    def _beside(self, workspace: int, grouping: Grouping) -> str:
        """The list's rows and those that name them; the latter are read first where no index finds them by that."""
        assert grouping.values_of is not None
        record, column = grouping.values_of
        other = self._values = TABLES[record]
        self._row = "v"
        refers = other.kind.columns[column].refers
        named = f"v.{column} = t.{'key' if column in other.keys else 'id'}"
        if refers is not None and refers.gone != "keep":
            sums = ", ".join(f"sum({value.column}) AS {value.column}" for value in grouping.values)
            of_each = f"SELECT {column}, {sums} FROM {other.name} WHERE workspace = {workspace} GROUP BY {column}"
            return f"{self._table.name} t CROSS JOIN ({of_each}) v ON {named}"
        some = ", ".join(f"v.{value.column}" for value in grouping.values)
        told = f"v.workspace = {workspace} AND coalesce({some}) IS NOT NULL"
        return f"{other.name} v CROSS JOIN {self._table.name} t ON {told} AND {named}"

    def _told(self, grouping: Grouping) -> list[str]:
        told = ["count(*)"]
        for value in grouping.values:
            told += [f"{aggregate}({self._number(value)})" for aggregate in _aggregates(value)]
        for column, wanted in grouping.having:
            is_so = "IS NULL" if wanted is None else f"= {wanted}" if wanted is True else f"= '{wanted}'"
            told.append(f"coalesce(sum({self._row}.{column} {is_so}), 0)")
        if grouping.apart:
            told.append(f"count(DISTINCT coalesce(t.{grouping.apart}, ''))")
        if grouping.spread is not None:
            number = self._number(grouping.spread)
            told.append(f"json_group_array({number}) FILTER (WHERE {number} IS NOT NULL)")
        return told

    def _number(self, value: Value) -> str:
        column = f"{self._row}.{value.column}"
        if value.size:
            return f"octet_length({column})"
        return f"({column} - {self._row}.{value.since})" if value.since else column

    def _key(self, by: By, alias: str) -> str:
        row, table = "t", self._table
        if by.joined is not None:
            record, column = by.joined
            table = TABLES[record]
            named = f"t.{by.through}" if by.through else f"t.{'key' if column in table.keys else 'id'}"
            only = f" AND substr({alias}.{by.column}, 1, 4) = '{by.kind.prefix}_'" if by.kind else ""
            self._joins.append(f" LEFT JOIN {table.name} {alias} ON {alias}.{column} = {named}{only}")
            row = alias
        elif by.through:
            table, own = self._named(by.through)
            self._joins.append(f" LEFT JOIN {table.name} {alias} ON {alias}.{own} = t.{by.through}")
            row = alias
        if by.each:
            texts, row = f"json_each({row}.{by.column})", f"{alias}e"
            first = f"NOT EXISTS (SELECT 1 FROM {texts} d WHERE d.value = {row}.value AND d.key < {row}.key)"
            self._joins.append(f" LEFT JOIN {texts} {row} ON {first}")
            return f"{row}.value"
        column = f"{row}.{by.column}"
        if by.bucket is not None:
            return self._bucket(column, by)
        if (target := table.keys.get(by.column)) is not None:
            return f"(SELECT id FROM {target} WHERE key = {column})"
        return column if by.kind is None else f"iif(substr({column}, 1, 4) = '{by.kind.prefix}_', {column}, NULL)"

    def _named(self, column: str) -> tuple[Table[Any], str]:
        """What a column of the list's rows names, and by which of its columns."""
        refers = self._table.kind.columns[column].refers
        assert refers is not None
        [record] = refers.kinds
        return TABLES[kind(record).record if isinstance(record, type) else _called(record)], (
            "key" if column in self._table.keys else "id"
        )

    def _bucket(self, time: str, by: By) -> str:
        cases = zip(by.offsets.before, by.offsets.offsets, strict=False)
        offset = " ".join(f"WHEN {time} < {end} THEN {one}" for end, one in cases)
        offset = f"CASE {offset} ELSE {by.offsets.offsets[-1]} END" if offset else str(by.offsets.offsets[-1])
        local = f"{time} + {offset}"
        if by.bucket is TimeBucket.HOUR:
            return f"(({local} + {AHEAD}) / {_HOUR} * {_HOUR} - {AHEAD} - {offset})"
        local = f"(min(max({local}, {FIRST}), {LAST}) + {AHEAD})"
        match by.bucket:
            case TimeBucket.DAY:
                return f"({local} / {_DAY} - {AHEAD // _DAY})"
            case TimeBucket.WEEK:
                return f"(({local} / {_DAY} + 3) / 7 - {AHEAD // _DAY // 7})"
        second = f"{local} / 1000000 - {AHEAD // 1_000_000}, 'unixepoch'"
        return f"(strftime('%Y', {second}) * 12 + strftime('%m', {second}) - 1)"


def _called(name: str) -> Any:
    return next(record for record in TABLES if record.__name__ == name)


def _group(row: Any, grouping: Grouping) -> Group:
    parts = iter(row)
    key = tuple(next(parts) for _ in grouping.by)
    count = next(parts)
    values = []
    for value in grouping.values:
        told = [next(parts) for _ in _aggregates(value)]
        values.append(Summed(*([] if value.sum else [0, 0]), *told))
    having = tuple(next(parts) for _ in grouping.having)
    apart = next(parts) if grouping.apart else 0
    spread = () if grouping.spread is None else _percentiles(next(parts))
    return Group(key, count, tuple(values), having, spread, apart)


def _percentiles(numbers: str) -> tuple[float | None, ...]:
    ordered = np.sort(np.array(msgspec.json.decode(numbers)))
    return tuple(None if one is None else float(one) for one in percentiles(ordered))
