"""Pages of the lists there are: keyset pages, one statement for all parents of a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.branch import runs
from domain.node import Id
from domain.page import Mark, Page, Slice
from stores.orders import OF_A_TRACE, CountKey, Order, listing_of, order_of
from stores.ports import Collection, Fields, Records
from stores.services.branches import branches
from stores.services.filters import Where
from stores.services.labels import whole
from stores.services.list_queries import Rows, rows_of
from stores.services.neo4j_client import Neo4jClient
from stores.services.snapshot import ReadBatch

_EACH = "UNWIND range(0, size({0}) - 1) AS i WITH refs, i, {0}[i] AS p"
"""A row for each parent, its place among them being i."""

_OWNER: dict[Collection | Records, str] = {
    of: f"coalesce(COLLECT {{ MATCH (o:{label} {{id: p}}) WHERE o.workspace = $workspace RETURN o.session }}[0], '')"
    for of, label in ((Collection.MESSAGE_TRACE, "Message"), (Collection.SPAN_EVENTS, "Span"))
}
"""Whose log a list's lines are of, where it is not the parent's."""


class Lists:
    """Reads pages of one workspace. epoch: of its logs. now: the time, in microseconds since 1970."""

    def __init__(self, graph: Neo4jClient, turn: ReadBatch, workspace: str, epoch: str, now: int) -> None:
        self._graph, self._turn = graph, turn
        self._workspace, self._epoch, self._now = workspace, epoch, now

    async def _read(self, statement: str, **parameters: Any) -> Any:
        return await self._graph.read(statement, workspace=self._workspace, now=self._now, **parameters)

    async def pages(
        self,
        of: Collection | Records,
        parents: Sequence[Id],
        slice: Slice,
        filter: Any = None,
        order: Any = None,
        fields: Fields | None = None,
    ) -> list[Page[Any]]:
        if not parents:
            return []
        chosen = order_of(of, order)
        where = Where()
        rows = rows_of(of, filter, where, chosen, fields)
        after, before = await self._marks(of, parents, slice, chosen)
        record = await self._read(
            _page(_OWNER.get(of, "p") if chosen.log else "p", rows, where, slice),
            parents=parents,
            branches=await self._branches(parents if of is Collection.MESSAGE_BRANCH else ()),
            limit=slice.limit + 1,
            columns=[*rows.columns, *rows.there],
            **_named("after", after),
            **_named("before", before),
            **where.parameters,
        )
        owners, far, columns = record
        pages = []
        for i, parent in enumerate(parents):
            more = len(columns[0][i]) > slice.limit
            found = list(whole([column[i][: slice.limit] for column in columns], rows.there))
            if slice.backward:
                found.reverse()
            pages.append(
                Page(
                    [rows.decode(row[1:]) for row in found],
                    [row[:1] if chosen.log else row[:2] for row in found],
                    far[i] if slice.backward else more,
                    more if slice.backward else far[i],
                    listing_of(of, owners[i], chosen, self._epoch),
                    CountKey(of, parent, filter),
                )
            )
        return pages

    async def _branches(self, ends: Sequence[Id]) -> dict[Id, list[list[Any]]]:
        """The runs of the branches that end at messages, as their session with the first and the last place."""
        found = await branches(self._turn, ends)
        return {
            end: [[found[end].session, *run] for run in runs(found[end].places)] if end in found else [] for end in ends
        }

    async def _marks(
        self, of: Collection | Records, parents: Sequence[Id], slice: Slice, order: Order
    ) -> tuple[Mark | None, Mark | None]:
        """The marks of the slice's cursors, which are the same in the lists of all parents."""
        if slice.after is None and slice.before is None:
            return None, None
        owners: Sequence[str] = parents
        if order.log and of in OF_A_TRACE:
            [owners] = await self._read(f"UNWIND $parents AS p RETURN collect({_OWNER[of]})", parents=parents)
        after = before = None
        for listing in {listing_of(of, owner, order, self._epoch) for owner in owners}:
            after, before = listing.marks(slice)
        return after, before

    async def counts(self, keys: Sequence[CountKey]) -> list[int]:
        """The lengths of whole lists, in one statement; 100,000 nodes take 60 ms."""
        groups: dict[tuple[Collection | Records, int], list[int]] = {}
        for index, key in enumerate(keys):
            groups.setdefault((key.of, id(key.filter)), []).append(index)
        if not groups:
            return []
        parts, parameters = [], {}
        for number, indexes in enumerate(groups.values()):
            of, _, filter = keys[indexes[0]]
            where = Where(f"f{number}_")
            rows = rows_of(of, filter, where, order_of(of, None))
            parts.append(
                f"CALL () {{ {where.given}{_EACH.format(f'$parents{number}')} "
                f"CALL (refs, p) {{ {rows.match} RETURN count({rows.row}) AS c }} "
                f"WITH i, c ORDER BY i RETURN collect(c) AS c{number} }}"
            )
            parameters.update(where.parameters)
            parameters[f"parents{number}"] = [keys[index].parent for index in indexes]
        ends = [Id(key.parent) for key in keys if key.of is Collection.MESSAGE_BRANCH]
        record = await self._read(
            f"{' '.join(parts)} RETURN {', '.join(f'c{number}' for number in range(len(groups)))}",
            branches=await self._branches(ends),
            **parameters,
        )
        counts = [0] * len(keys)
        for indexes, found in zip(groups.values(), record, strict=True):
            for index, count in zip(indexes, found, strict=True):
                counts[index] = count
        return counts


def _named(name: str, mark: Mark | None) -> dict[str, Any]:
    return {} if mark is None else {f"{name}{index}": value for index, value in enumerate(mark)}


def _page(owner: str, rows: Rows, where: Where, slice: Slice) -> str:
    """The statement for pages. Its record: the owners of the lists, whether there is more on the side that the page is
    not cut on, and a list for what is sorted by and for each column; each has an entry for each parent."""
    order = rows.order
    cuts = [_compared(rows, name, side) for name, side in (("after", 1), ("before", -1))
            if getattr(slice, name) is not None]  # fmt: skip
    far = "false"
    name, side = ("before", 1) if slice.backward else ("after", -1)
    if getattr(slice, name) is not None:
        far = f"EXISTS {{ {rows.match} AND {_compared(rows, name, side, '=')} RETURN {rows.row} }}"
    way = "DESC" if order.descending != slice.backward else "ASC"
    value = rows.sorted_by
    sorted_by = dict.fromkeys([*rows.first, value, *([] if order.log else [f"{rows.row}.id"])])
    return (
        f"{where.given}{_EACH.format('$parents')} CALL (refs, p) {{ {' AND '.join([rows.match, *cuts])} "
        f"WITH {rows.row} ORDER BY {', '.join(f'{key} {way}' for key in sorted_by)} LIMIT $limit "
        f"RETURN collect({rows.row}) AS rs }} WITH i, rs, {far} AS far, {owner} AS owner ORDER BY i "
        f"WITH collect(rs) AS groups, collect(far) AS far, collect(owner) AS owners RETURN owners, far, "
        f"[[rs IN groups | [{rows.row} IN rs | {value}]]] "
        f"+ [c IN $columns | [rs IN groups | [{rows.row} IN rs | {rows.value}]]] AS columns"
    )


def _compared(rows: Rows, mark: str, side: int, equal: str = "") -> str:
    """The condition that a row comes after the mark (side 1) or before it (side -1), or is at it."""
    sign = "<" if rows.order.descending == (side > 0) else ">"
    value = rows.sorted_by
    if rows.order.log:
        return f"{value} {sign}{equal} ${mark}0"
    # Not OR, which the planner would take apart into two reads of an index.
    return (
        f"{value} {sign}= ${mark}0 AND CASE WHEN {value} = ${mark}0 THEN {rows.row}.id {sign}{equal} ${mark}1 "
        "ELSE true END"
    )
