"""Tallies in the file: the row of a span without children says all that its tally would, so that is not stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import apsw

from domain.node import Id
from domain.span import SpanStatusCode, TokenUsage
from domain.tally import TOP, ZERO, Key, Tally
from stores.embedded import rows
from stores.ports import NaturalKey
from stores.rows import Row, moment, text

_SPAN = ", ".join(
    f"t.{column}"
    for column in (
        "id", "trace_id", "span_id", "parent_span_id", "started_at", "ended_at", "status_code", "agent", "user",
        *TokenUsage.__struct_fields__,
    )
)  # fmt: skip

_BY_NATURAL = f"SELECT {_SPAN} FROM span t WHERE t.trace_id = ? AND t.span_id = ? AND t.workspace = ?"

_UPWARDS = f"""WITH RECURSIVE up (trace_id, span_id) AS (SELECT value ->> 0, value ->> 1 FROM json_each(?1) UNION
SELECT t.trace_id, t.parent_span_id FROM up CROSS JOIN span t
WHERE t.trace_id = up.trace_id AND t.span_id = up.span_id AND t.workspace = ?2 AND t.parent_span_id IS NOT NULL)
SELECT {_SPAN} FROM up CROSS JOIN span t
WHERE t.trace_id = up.trace_id AND t.span_id = up.span_id AND t.workspace = ?2"""
"""Spans and all above them, each once: a level at a time, a chain of a thousand would take a thousand statements."""

_OF_TRACE = f"SELECT {_SPAN} FROM span t WHERE t.trace_id = ? AND t.workspace = ?"


class TallyRows:
    """The tallies of one workspace in one transaction."""

    def __init__(self, db: apsw.Connection, workspace: int) -> None:
        self._db, self._workspace = db, workspace
        self._stored: set[Id] = set()  # what was found to have a row
        self._above: dict[Key, Tally | None] = {}

    def find(self, keys: Sequence[NaturalKey]) -> list[Tally | None]:
        """Those of keys; what is above them is remembered, until something is stored."""
        found = {tally.key: tally for tally in self._rows([_key(key) for key in keys if key[1] == TOP])}
        # Where a trace has no tally of its own, none of its spans has come.
        empty = {trace for trace, span in keys if span == TOP and (trace, span) not in found}
        new = [key for key in keys if key[1] != TOP and key[0] not in empty and key not in self._above]
        if new:
            self._climb(new)
        return [found.get(key) or self._above.get(key) for key in map(_key, keys)]

    def _climb(self, keys: Sequence[NaturalKey]) -> None:
        if any("\0" in part for key in keys for part in key):  # which JSON text does not keep
            rows_found = [row for key in keys for row in self._db.execute(_BY_NATURAL, (*key, self._workspace))]
        else:
            rows_found = self._db.execute(_UPWARDS, (text(keys), self._workspace)).fetchall()
        leaves = [_leaf(row) for row in rows_found]
        named = [(leaf.trace_id, leaf.parent_span_id) for leaf in leaves if leaf.parent_span_id is not None]
        asked = list(dict.fromkeys([*map(_key, keys), *(leaf.key for leaf in leaves), *named]))
        self._above.update(dict.fromkeys(asked))
        self._above.update((tally.key, tally) for tally in leaves)
        self._above.update((tally.key, tally) for tally in self._rows(asked))

    def _rows(self, keys: Sequence[Key]) -> Iterator[Tally]:
        """The tallies of keys that have a row."""
        of = rows.TALLY
        if any("\0" in part for key in keys for part in key):
            yield from self._read(
                row for key in keys for row in self._db.execute(of.by_natural, (*key, self._workspace))
            )
        elif keys:
            yield from self._read(row[1:] for row in self._db.execute(of.by_naturals, (text(keys), self._workspace)))

    def of_trace(self, trace_id: str) -> list[Tally]:
        """All tallies of a trace."""
        sql, given = f"{rows.TALLY.select} WHERE t.trace_id = ? AND t.workspace = ?", (trace_id, self._workspace)
        found = {tally.key: tally for tally in map(_leaf, self._db.execute(_OF_TRACE, given))}
        found.update((tally.key, tally) for tally in self._read(self._db.execute(sql, given)))
        return list(found.values())

    def to_store(self, tallies: Sequence[Tally]) -> list[Tally]:
        """Those that must have a row: what their spans' rows say is not all, or they have one."""
        self._above.clear()
        return [
            tally
            for tally in tallies
            if tally.below != ZERO or tally.span_record_id is None or tally.loose or tally.id in self._stored
        ]

    def deleted(self, ids: Sequence[Id]) -> None:
        self._above.clear()
        self._stored.difference_update(ids)

    def _read(self, found: Iterable[Row]) -> Iterator[Tally]:
        """Tallies that have a row."""
        for row in found:
            tally = rows.TALLY.decode(row)
            self._stored.add(tally.id)
            yield tally


def _key(key: NaturalKey) -> Key:
    trace_id, span_id = key
    return trace_id, span_id


def _leaf(row: Row) -> Tally:
    id, trace_id, span_id, parent, started, ended, code, agent, user, *own = row
    return Tally(
        id=Tally.id_beside(id),
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent or None,
        span_record_id=id,
        started_at=moment(started),
        ended_at=moment(ended),
        status_code=SpanStatusCode.__members__[code],
        own=tuple(own),
        agent_id=agent,
        user_id=user,
    )
