"""Delete expired memories and state entries, and what logs keep no longer; end tool executions that took too long, and
embed what documents and state say that waits for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

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
from resolvers import documents, state_index
from resolvers.context import Context
from resolvers.sessions import delete_in, formed_in
from resolvers.supersession import give_back
from resolvers.tool_execution import time_out
from stores.catalogue.logs import CHANGES
from stores.errors import StoreError, Unavailable
from stores.ports import Collection, Engine, Log, Transaction

_log = logging.getLogger("recollect")

_BATCH = 500
_SESSIONS = 50
"""How many expired sessions are looked at at once."""


async def sweep(context: Context) -> int:
    """Delete what has expired in the workspace, store which tools have timed out, as reads see already, and embed the
    chunks of documents and the state that wait for it; how many records were deleted."""
    waiting = unsearched = False

    async def script(tx: Transaction) -> tuple[int, bool, list[Session]]:
        nonlocal waiting, unsearched
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
        unsearched = await state_index.waits(tx)
        more = max(len(memories), len(entries), late) == _BATCH or _SESSIONS in (len(over), len(trashed))
        return len(memories) + len(entries) + len(trashed), more, over

    total, more = 0, True
    while more:
        count, more, over = await context.store.write(script)
        await _delete_all(context, over)
        total += count + len(over)
    if waiting:
        await documents.embed_all(context)
    if unsearched:
        await state_index.embed_all(context)
    return total


async def _delete_expired(id: Id, formed: Sequence[Id], tx: Transaction) -> None:
    """Deletes a session, unless it has been given more time or was deleted meanwhile."""
    for session in await tx.expired(Session, _SESSIONS):
        if session.id == id:
            await delete_in(tx, session, formed)


class _Ending(NamedTuple):
    """When the time of the first session is over, where that is soon; and when this was looked at."""

    at: datetime | None
    looked_at: datetime


_FRESH = timedelta(seconds=0.5)
"""So long it is known when the next session ends. No session is given less than a second to live, so that none that
others have made since has ended by then."""

_endings: WeakKeyDictionary[Engine, dict[str, _Ending]] = WeakKeyDictionary()


def settled(context: Context) -> Awaitable[None] | None:
    """What is waited for before anything is read, None where there is nothing: sessions whose time is over go, with all
    that hangs on them, so that no read of any kind has to pass them over."""
    known = _endings.setdefault(context.engine, {}).get(context.caller.workspace)
    now = context.clock()
    if known is not None and timedelta() <= now - known.looked_at < _FRESH and (known.at is None or known.at > now):
        return None
    return _settle(context, now)


async def _settle(context: Context, now: datetime) -> None:
    try:
        while (at := await context.store.ending(now + _FRESH)) is not None and at <= now:
            gone = await context.store.write(lambda tx: tx.expired(Session, _SESSIONS))
            await _delete_all(context, gone)
            if not gone:  # another process has done it, or its clock is behind
                break
    except Unavailable:
        return  # whoever asks the store is told; how the stores are can be asked all the same
    except StoreError as error:  # of a full disk: what else there is can be read
        _log.warning("sessions whose time is over cannot be deleted yet: %s", error)
        return
    _endings[context.engine][context.caller.workspace] = _Ending(at, now)


async def _delete_all(context: Context, over: Sequence[Session]) -> None:
    """Deletes sessions whose time is over, each in a write of its own, for much may hang on one."""
    for session in over:
        formed = await formed_in(context, Ref(id=session.id))
        await context.store.write(partial(_delete_expired, session.id, formed))


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
