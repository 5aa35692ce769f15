"""Subscriptions: replay a list after the cursor, then continue live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from domain.change import ChangeKind, MemoryChange
from domain.errors import CursorExpired
from domain.link import MemoryLink
from domain.memory import Memory, MemoryFilter
from domain.message import Message
from domain.node import Id, Node
from domain.page import Edge, Listing
from domain.session import Session, SessionFilter
from domain.span import Trace, TraceListFilter
from domain.trace import TraceEvent, TraceFilter
from domain.values import Ref
from resolvers.actors import whose
from resolvers.context import Context, require
from stores import journal
from stores.budget import check
from stores.ports import SESSION_LOGS, Log


class ChangeEdge(msgspec.Struct, frozen=True):
    cursor: str
    time: datetime
    kind: ChangeKind
    memory_id: Id
    memory: Memory | None
    link: MemoryLink | None
    left: bool


async def session_trace(
    context: Context, session: Ref, after: str | None = None, filter: TraceFilter | None = None
) -> AsyncIterator[Edge[TraceEvent]]:
    """The lines of a session's log. Raises Rejected: NOT_FOUND, INVALID; CursorExpired."""
    found = await require(context.store, Session, session, ["session"])
    async for listing, event in _follow(context, Log("trace", found.id), after, filter):
        yield Edge(listing.cursor((event.place,)), event)


async def session_messages(context: Context, session: Ref, after: str | None = None) -> AsyncIterator[Edge[Message]]:
    """The messages of a session. Raises Rejected: NOT_FOUND, INVALID; CursorExpired."""
    found = await require(context.store, Session, session, ["session"])
    async for listing, message in _follow(context, Log("messages", found.id), after):
        yield Edge(listing.cursor((message.place,)), message)


async def memory_changes(
    context: Context, filter: MemoryFilter | None = None, after: str | None = None
) -> AsyncIterator[ChangeEdge]:
    """What happens to the workspace's memories. Raises Rejected: INVALID; CursorExpired."""
    change: MemoryChange
    async for listing, change in _follow(context, Log("changes"), after, filter):
        cursor, link = listing.cursor((change.place,)), await _standing(context, change.link)
        yield ChangeEdge(cursor, change.time, change.kind, change.memory_id, change.memory, link, change.left)


class RecordEdge(NamedTuple):
    """One change of a record of some kind and its cursor. record: as it is now; state: as the log has it."""

    cursor: str
    time: datetime
    kind: ChangeKind
    left: bool
    record_id: Id
    record: Any
    state: Any


async def cursor_of(context: Context, kind: type[Node]) -> str:
    """Where the log of a kind of records stands."""
    log = journal.log(kind)
    return context.store.listing(log).cursor(await context.store.ends([log]))


async def record_changes(
    context: Context, kind: type[Node], filter: Any, after: str | None
) -> AsyncIterator[RecordEdge]:
    """What happens to the records of a kind. Raises Rejected: INVALID, AMBIGUOUS; CursorExpired."""
    check(filter)
    await whose(context, filter)
    async for listing, lines in _batches(context, journal.log(kind), after, None):
        told = await journal.told(context.store, kind, lines, filter)
        ids = [line.record_id for line, _, _ in told]
        for (line, state, left), record in zip(told, await context.store.get(kind, ids), strict=True):
            cursor = listing.cursor((line.place,))
            yield RecordEdge(cursor, line.time, line.kind, left, line.record_id, record, state)


class SessionEdge(msgspec.Struct, frozen=True):
    cursor: str
    time: datetime
    kind: ChangeKind
    left: bool
    session_id: Id
    session: Session | None


async def session_cursor(context: Context) -> str:
    """Where the workspace's session changes stand."""
    return await cursor_of(context, Session)


async def session_changes(
    context: Context, filter: SessionFilter | None = None, after: str | None = None
) -> AsyncIterator[SessionEdge]:
    """What happens to the workspace's sessions. Raises Rejected: INVALID, AMBIGUOUS; CursorExpired."""
    async for edge in record_changes(context, Session, filter, after):
        yield SessionEdge(edge.cursor, edge.time, edge.kind, edge.left, edge.record_id, edge.record)


class TraceEdge(msgspec.Struct, frozen=True):
    cursor: str
    time: datetime
    kind: ChangeKind
    left: bool
    trace_id: str
    trace: Trace | None


async def trace_change_cursor(context: Context) -> str:
    """Where the workspace's trace changes stand."""
    return await cursor_of(context, Trace)


async def trace_changes(
    context: Context, filter: TraceListFilter | None = None, after: str | None = None
) -> AsyncIterator[TraceEdge]:
    """What happens to the workspace's traces. Raises Rejected: INVALID, AMBIGUOUS; CursorExpired."""
    async for edge in record_changes(context, Trace, filter, after):
        yield TraceEdge(edge.cursor, edge.time, edge.kind, edge.left, edge.state.trace_id, edge.record)


async def _standing(context: Context, link: MemoryLink | None) -> MemoryLink | None:
    """The link, unless one of its ends is gone."""
    if link is None or None in await context.store.get(Memory, [link.source_id, link.target_id]):
        return None
    return link


async def _follow(
    context: Context, log: Log, after: str | None, filter: TraceFilter | MemoryFilter | None = None
) -> AsyncIterator[tuple[Listing, Any]]:
    async for listing, batch in _batches(context, log, after, filter):
        for line in batch:
            yield listing, line


async def _batches(
    context: Context, log: Log, after: str | None, filter: TraceFilter | MemoryFilter | None
) -> AsyncIterator[tuple[Listing, list[Any]]]:
    await whose(context, filter)
    listing, [end] = context.store.listing(log), await context.store.ends([log])
    start = end if after is None else listing.mark(after)[0]
    if start > end:  # the store has gone back to an older copy of itself, or the session has gone
        if log.kind in SESSION_LOGS:
            await require(context.store, Session, Ref(id=Id(log.of)), ["session"])
        raise CursorExpired
    context.stay()
    async with aclosing(context.store.follow(log, start, filter)) as lines:
        async for batch in lines:
            yield listing, batch
