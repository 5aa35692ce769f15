"""Delete spans."""

from __future__ import annotations

from collections.abc import Sequence

from domain.errors import not_found
from domain.span import DeleteSpansInput, Span, Trace
from domain.tally import TOP, Tally
from resolvers.context import Context
from stores.ports import Transaction


async def delete(context: Context, input: DeleteSpansInput) -> list[Span]:
    """Deletes spans, all or none, and returns them as they were; a trace goes with its last span. The events of a
    session that told of them stay. Raises Rejected: NOT_FOUND."""

    async def script(tx: Transaction) -> list[Span]:
        gone = {}
        for index, found in enumerate(await tx.get(Span, input.spans)):
            if found is None:
                raise not_found(Span.noun, ["spans", index])
            gone[found.id] = found
        if not input.dry_run:
            await delete_in(tx, list(gone.values()))
        return list(gone.values())

    return await context.write(script)


async def delete_in(tx: Transaction, spans: Sequence[Span]) -> list[Trace]:
    """Deletes spans, and the traces that have no other; the traces."""
    await tx.delete(Span, [span.id for span in spans])
    names = list({span.trace_id: None for span in spans})
    traces = await tx.find(Trace, [(name,) for name in names])
    sums = await tx.find(Tally, [(name, TOP) for name in names])
    empty = [trace for trace, top in zip(traces, sums, strict=True) if trace is not None and top is None]
    await tx.delete(Trace, [trace.id for trace in empty])
    return empty
