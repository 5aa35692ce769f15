"""Delete expired memories and state entries, and what logs keep no longer; end tool executions that took too long, and
embed what documents say that waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from domain.audit import AuditEntry
from domain.change import deletion
from domain.document import DocumentChunk
from domain.memory import Memory
from domain.node import Id
from domain.page import Slice
from domain.session import Session
from domain.state import StateEntry
from domain.trash import TrashedSession
from domain.values import Ref
from resolvers import documents
from resolvers.context import Context
from resolvers.sessions import delete_in, formed_in
from resolvers.supersession import give_back
from resolvers.tool_execution import time_out
from stores.catalogue.logs import CHANGES
from stores.ports import Collection, Log, Transaction

_BATCH = 500
_SESSIONS = 50
"""How many expired sessions are looked at at once."""


async def sweep(context: Context) -> int:
    """Delete what has expired in the workspace, store which tools have timed out, as reads see already, and embed the
    chunks of documents that wait for it; how many records were deleted."""
    waiting = False

    async def script(tx: Transaction) -> tuple[int, bool, list[Session]]:
        nonlocal waiting
        memories = await tx.expired(Memory, _BATCH)
        await give_back(tx, memories)
        await tx.log([deletion(memory, tx.now) for memory in memories])
        await tx.delete(Memory, [memory.id for memory in memories])
        entries = await tx.expired(StateEntry, _BATCH)
        await tx.delete(StateEntry, [entry.id for entry in entries])
        trashed = await tx.expired(TrashedSession, _SESSIONS)
        await tx.delete(TrashedSession, [one.id for one in trashed])
        late = await time_out(tx, _BATCH)
        over = await tx.expired(Session, _SESSIONS)
        waiting = bool(await tx.expired(DocumentChunk, 1))
        more = max(len(memories), len(entries), late) == _BATCH or _SESSIONS in (len(over), len(trashed))
        return len(memories) + len(entries) + len(trashed), more, over

    total, more = 0, True
    while more:
        count, more, over = await context.store.write(script)
        for session in over:  # each in a write of its own, for much may hang on one
            formed = await formed_in(context, Ref(id=session.id))
            await context.store.write(partial(_delete_expired, session.id, formed))
        total += count + len(over)
    if waiting:
        await documents.embed_all(context)
    return total


async def _delete_expired(id: Id, formed: Sequence[Id], tx: Transaction) -> None:
    """Deletes a session, unless it has been given more time or was deleted meanwhile."""
    for session in await tx.expired(Session, _SESSIONS):
        if session.id == id:
            await delete_in(tx, session, formed)


class Kept(NamedTuple):
    """What a log keeps: the entries of so many days, and no more than so many."""

    days: float
    entries: int


async def trim(context: Context, audit: Kept, changes: Kept) -> int:
    """Forget the oldest entries of the workspace's audit log and of each of its logs of changes; how many those
    were."""
    return await _trim_audit(context, audit) + sum([await _trim_changes(context, log, changes) for log in CHANGES])


async def _trim_changes(context: Context, log: Log, kept: Kept) -> int:
    before = context.clock() - timedelta(days=kept.days)
    total, count = 0, _BATCH
    while count == _BATCH:
        count = await context.store.write(lambda tx: tx.trim(log, before, kept.entries, _BATCH))
        total += count
    return total


async def _trim_audit(context: Context, kept: Kept) -> int:
    before = context.clock() - timedelta(days=kept.days)
    [page] = await context.store.pages(Collection.AUDIT, [Id("")], Slice(limit=1))
    [there] = await context.store.counts([page.count_key])
    total, count = 0, _BATCH
    while count == _BATCH:
        oldest = await context.store.scan(AuditEntry, None, _BATCH)  # ids are in the order of their times
        spare = there - total - kept.entries
        old = [entry.id for place, entry in enumerate(oldest) if entry.time < before or place < spare]
        if old:
            await context.store.write(lambda tx, old=old: tx.delete(AuditEntry, old))  # type: ignore[misc]
        count = len(old)
        total += count
    return total
