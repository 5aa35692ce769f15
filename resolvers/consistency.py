"""How new what an operation reads must be, and the tokens by which its writes are found again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from domain.consistency import Consistency, place_of, writes_of
from domain.page import Listing
from resolvers.context import Context
from stores.consistent import ConsistentStore
from stores.ports import Log, Store


async def consistent(context: Context, consistency: Consistency) -> Context:
    """The same context, in which all that is read is as new as is asked. Raises Rejected (INVALID) for a token that is
    none of its workspace, or tells of a write that is not there."""
    within, written = consistency.within, 0
    if consistency.after is not None:
        written = place_of(consistency.after, _writes(context))
    if not written and within is None:
        return context
    await context.store.reach(written, within)
    return context.on(cast(Store, ConsistentStore(context.store, written, within)))


async def tokens(context: Context, payloads: Sequence[Any]) -> list[str | None]:
    """A token of what was written before, for each payload; None where that was refused."""
    token = _writes(context).cursor((context.store.written,))
    return [None if payload.errors else token for payload in payloads]


def _writes(context: Context) -> Listing:
    return writes_of(context.caller.workspace, context.store.listing(Log("changes")).epoch)
