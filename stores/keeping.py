"""What every engine's transaction keeps beside the records that are put and deleted: lines of their logs, and the sums
of traces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.node import Id, Node
from domain.span import Span, Trace
from stores import journal, sums


async def put(tx: sums.Sums, records: Sequence[Node]) -> None:
    """Stores records of one type."""
    if not records:
        return
    if isinstance(records[0], Trace):
        records = await sums.as_kept(tx, [record for record in records if isinstance(record, Trace)])
    await journal.put(tx, records)
    if isinstance(records[0], Span):
        await sums.put(tx, [record for record in records if isinstance(record, Span)])
    else:
        await tx.store(records)


async def delete(tx: sums.Sums, records: Iterable[Node], spans: Iterable[tuple[str, Id]]) -> None:
    """Tells of what is gone. records: at least those that have a log; spans: (trace id, id) of each."""
    await journal.delete(tx, records)
    await sums.take_away(tx, spans)
