"""Pages of the lists there are: keyset pages, a prepared statement with a LIMIT for each parent."""

from __future__ import annotations

from typing import Any, NamedTuple

import apsw

from domain.link import LinkDirection
from domain.node import Id
from domain.page import Listing, Mark, Page, Slice
from domain.session import Session
from domain.session_link import SessionLink
from stores.embedded.branches import Branches
from stores.embedded.filters import Where, apply
from stores.embedded.rows import LINK, MEMORY, MESSAGE, SPAN, TABLES, Table, table
from stores.lists import BY_REFERENCE, NAMED, OWN
from stores.orders import OF_A_TRACE, CountKey, Order, listing_of, order_of
from stores.ports import Collection, Fields, LinkFilter, Records
from stores.rows import Row, text


class _List(NamedTuple):
    """A list: its table, and the condition that ties a row to the parent (each ? takes the parent's id).

    only: the one column in the order of which an index has it, where others must be sorted by: or the workspace's index
    would be read whole for that.
    """

    table: Table[Any]
    parent: str
    only: str = ""


_MENTIONING = "t.id IN (SELECT target FROM mention WHERE entity = (SELECT key FROM entity WHERE id = ?))"

_LISTS: dict[Collection, _List] = {
    **{
        of: _List(TABLES[kind.record], TABLES[kind.record].equals(column))
        for of, (kind, column) in BY_REFERENCE.items()
    },
    **{of: _List(TABLES[record], "") for of, record in OWN.items()},
    **{of: _List(TABLES[record], f"t.{column} = ?") for of, (record, column) in NAMED.items()},
    Collection.SESSION_MEMORIES: _List(
        MEMORY,
        "t.key IN (SELECT key FROM memory WHERE session = (SELECT key FROM session WHERE id = ?) UNION "
        "SELECT r.memory FROM message m JOIN memory_ref r ON r.message = m.key "
        "WHERE m.session = (SELECT key FROM session WHERE id = ?) UNION "
        "SELECT memory FROM recall WHERE session = (SELECT key FROM session WHERE id = ?))",
    ),
    Collection.ACTOR_SESSIONS: _List(table(Session), "t.key IN (SELECT session FROM participant WHERE actor = ?)"),
    Collection.ENTITY_MEMORIES: _List(MEMORY, _MENTIONING),
    Collection.ENTITY_MESSAGES: _List(MESSAGE, _MENTIONING),
    Collection.MESSAGE_BRANCH: _List(
        MESSAGE,
        "t.session = (SELECT session FROM message WHERE id = ?) AND t.place IN (SELECT value FROM json_each(?))",
    ),
    Collection.MEMORY_REFERENCED_BY: _List(
        MESSAGE,
        "t.key IN (SELECT message FROM memory_ref WHERE memory = (SELECT key FROM memory WHERE id = ?))",
    ),
    Collection.MEMORY_LINKS: _List(LINK, ""),
    Collection.SESSION_LINKS: _List(table(SessionLink), ""),
    Collection.SPAN_CHILDREN: _List(
        SPAN,
        "(t.workspace, t.trace_id, t.parent_span_id) = (SELECT workspace, trace_id, span_id FROM span WHERE id = ?)",
        only="started_at",
    ),
    Collection.TRACE_SPANS: _List(
        SPAN,
        "(t.workspace, t.trace_id) = (SELECT workspace, trace_id FROM trace WHERE id = ?)",
        only="started_at",
    ),
}


def list_of(of: Collection | Records) -> _List:
    if isinstance(of, Records):
        table = TABLES[of.kind]
        return _List(table, table.equals(of.column) if of.column else "")
    return _LISTS[of]


def _directions(out: str, back: str) -> dict[LinkDirection, str]:
    return {LinkDirection.OUT: out, LinkDirection.IN: back, LinkDirection.BOTH: f"({out} OR {back})"}


_DIRECTIONS = {
    Collection.MEMORY_LINKS: _directions(LINK.equals("src"), LINK.equals("dst")),
    Collection.SESSION_LINKS: _directions(table(SessionLink).equals("source"), table(SessionLink).equals("target")),
}


class Lists:
    def __init__(self, db: apsw.Connection, branches: Branches, workspace: int, epoch: str) -> None:
        self._db, self._branches, self._workspace, self._epoch = db, branches, workspace, epoch

    def page(
        self, of: Collection | Records, parent: str, slice: Slice, filter: Any, order: Any, fields: Fields | None
    ) -> Page[Any]:
        spec = list_of(of)
        chosen = order_of(of, order)
        sorted_by = _expression(spec, chosen)
        listing = self._listing(of, parent, chosen)
        where = self.where(of, parent, filter)
        after, before = listing.marks(slice)
        columns, decode = spec.table.reading(fields)
        found = self._rows(spec.table, columns, chosen, sorted_by, where, slice, after, before)
        more = len(found) > slice.limit
        found = found[: slice.limit]
        if slice.backward:
            found.reverse()
        width = 1 if chosen.log else 2

        def outside(mark: Mark | None, side: int) -> bool:
            return mark is not None and self._beyond(spec.table, _compared(chosen, sorted_by, -side), where, mark)

        return Page(
            [decode(row) for row in found],
            [row[-width:] for row in found],
            outside(before, 1) if slice.backward else more,
            more if slice.backward else outside(after, -1),
            listing,
            CountKey(of, parent, filter),
        )

    def count(self, key: CountKey) -> int:
        where = self.where(key.of, key.parent, key.filter)
        sql = f"SELECT count(*) FROM {list_of(key.of).table.name} t WHERE {where.sql}"
        return int(self._db.execute(sql, where.params).fetchone()[0])  # type: ignore[index]

    def _listing(self, of: Collection | Records, parent: str, order: Order) -> Listing:
        if order.log and (table := OF_A_TRACE.get(of)) is not None:
            sql = f"SELECT s.id FROM {table} t JOIN session s ON s.key = t.session WHERE t.id = ?"
            row = self._db.execute(sql, (parent,)).fetchone()
            parent = str(row[0] if row else "")
        return listing_of(of, parent, order, self._epoch)

    def where(self, of: Collection | Records, parent: str, filter: Any) -> Where:
        spec = list_of(of)
        where = Where(self._workspace)
        condition = spec.parent
        if isinstance(of, Collection) and of in _DIRECTIONS:
            condition = _DIRECTIONS[of][filter.direction if isinstance(filter, LinkFilter) else LinkDirection.BOTH]
        if of is Collection.MESSAGE_BRANCH:
            where.add(condition, parent, text(self._branches.places(self._db, self._workspace, Id(parent))))
        elif condition:
            where.add(condition, *[parent] * condition.count("?"))
        # The plus keeps SQLite from taking the workspace's index for a list that hangs on something.
        own = not parent or of in NAMED
        where.add("t.workspace = ?" if own else "+t.workspace = ?", self._workspace)
        if spec.table.live:
            where.add(spec.table.live.removeprefix(" AND "))
        apply(filter, spec.table.kind.record, where)
        return where

    def _rows(
        self,
        table: Table[Any],
        columns: str,
        order: Order,
        sorted_by: str,
        where: Where,
        slice: Slice,
        after: Mark | None,
        before: Mark | None,
    ) -> list[Row]:
        conditions, params = [where.sql], list(where.params)
        for mark, side in ((after, 1), (before, -1)):
            if mark is not None:
                conditions.append(_compared(order, sorted_by, side))
                params += mark
        way = "DESC" if order.descending != slice.backward else "ASC"
        keys = [sorted_by] if order.log else [sorted_by, "t.id"]
        sql = (
            f"SELECT {columns}, {', '.join(keys)} FROM {table.name} t WHERE {' AND '.join(conditions)} "
            f"ORDER BY {', '.join(f'{key} {way}' for key in keys)} LIMIT ?"
        )
        return self._db.execute(sql, [*params, slice.limit + 1]).fetchall()

    def _beyond(self, table: Table[Any], inside: str, where: Where, mark: Mark) -> bool:
        """Whether there is a row at the mark or on its other side: what lies before `after`, or behind `before`."""
        sql = f"SELECT 1 FROM {table.name} t WHERE {where.sql} AND NOT {inside} LIMIT 1"
        return self._db.execute(sql, [*where.params, *mark]).fetchone() is not None


def _expression(spec: _List, order: Order) -> str:
    name, since, missing = order.column
    column = "t.key" if name == spec.table.kind.log else f"t.{name}"
    if since:
        column = f"{column} - t.{since}"
    if missing is not None:
        column = f"coalesce({column}, {missing!r})"
    return f"+{column}" if spec.only not in ("", column.removeprefix("t.")) else column


def _compared(order: Order, sorted_by: str, side: int) -> str:
    """The condition that a row comes after the mark (side 1) or before it (side -1)."""
    sign = "<" if order.descending == (side > 0) else ">"
    return f"{sorted_by} {sign} ?" if order.log else f"({sorted_by}, t.id) {sign} (?, ?)"
