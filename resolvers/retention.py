"""Retention: what is older, or more, than is to be kept is deleted, the oldest first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from domain.audit import AuditEntry, AuditOrder
from domain.errors import invalid
from domain.node import Id, Node
from domain.page import MAX_FIRST_LONG, OrderDirection, Slice
from domain.retention import ApplyRetentionInput, Removed, RetainedKind, Retention, RetentionPolicy
from domain.session import Session, SessionOrder, SessionOrderField
from domain.span import Span, Trace, TraceOrder
from domain.values import Ref
from resolvers.context import Context
from resolvers.lists import ROOT
from resolvers.sessions import delete_in, formed_in
from stores.ports import Collection, Grouping, Records, Transaction

_BATCH = 500


class Old(NamedTuple):
    """Something in the order of its age."""

    id: Id
    at: datetime


async def apply(context: Context, input: ApplyRetentionInput) -> Retention:
    """Deletes what policies of retention do not keep, the oldest first; with dryRun only tells what that would be."""
    policies = context.retention if input.policies is None else input.policies
    for index, policy in enumerate(policies):
        if policy.days is None and policy.count is None:
            raise invalid("Say what is kept: days, count or both.", ["policies", index])
    return Retention([await _applied(context, policy, input.dry_run) for policy in policies])


async def _applied(context: Context, policy: RetentionPolicy, dry_run: bool) -> Removed:
    of = _KINDS[policy.kind]
    before = None if policy.days is None else context.clock() - timedelta(days=policy.days)
    spare = 0 if policy.count is None else await of.count(context) - policy.count
    old = [one async for one in _old(of.oldest(context), before, spare)]
    for start in range(0, len(old) if not dry_run else 0, _BATCH):
        await of.delete(context, [one.id for one in old[start : start + _BATCH]])
    return Removed(policy.kind, len(old), old[0].at if old else None, old[-1].at if old else None)


async def _old(oldest: AsyncIterator[Old], before: datetime | None, spare: int) -> AsyncIterator[Old]:
    """Those of before a time, and the first so many."""
    place = 0
    async for one in oldest:
        if place >= spare and (before is None or one.at >= before):
            return
        yield one
        place += 1


async def _pages(context: Context, of: Collection | Records, order: Any, fields: set[str]) -> AsyncIterator[Any]:
    more, after = True, None
    while more:
        slice = Slice(MAX_FIRST_LONG, after=after)
        [page] = await context.store.pages(of, [ROOT], slice, None, order, frozenset(fields))
        for one in page.nodes:
            yield one
        more, after = page.has_next_page, page.page_info.end_cursor


async def _total(of: Collection | Records, context: Context) -> int:
    [[group]] = await context.store.grouped(of, [ROOT], Grouping())
    return group.count


async def _sessions(context: Context) -> AsyncIterator[Old]:
    order = SessionOrder(field=SessionOrderField.LAST_ACTIVE_AT, direction=OrderDirection.ASC)
    async for one in _pages(context, Collection.SESSIONS, order, {"last_active_at"}):
        yield Old(one.id, one.last_active_at)


async def _delete_sessions(context: Context, ids: Sequence[Id]) -> None:
    """Each in a write of its own, for much may hang on one."""
    for id in ids:
        formed = await formed_in(context, Ref(id=id))
        await context.store.write(partial(_delete_session, id, formed))


async def _delete_session(id: Id, formed: Sequence[Id], tx: Transaction) -> None:
    for found in await tx.get(Session, [id]):
        if found is not None:
            await delete_in(tx, found, formed)


async def _traces(context: Context) -> AsyncIterator[Old]:
    order = TraceOrder(direction=OrderDirection.ASC)
    async for one in _pages(context, _TRACES, order, {"started_at"}):
        yield Old(one.id, one.started_at)


async def _delete_traces(context: Context, ids: Sequence[Id]) -> None:
    """Some spans in a write, then what was the whole of them."""
    for id in ids:
        spans: Sequence[Any] = [None]
        while spans:
            [page] = await context.store.pages(Collection.TRACE_SPANS, [id], Slice(_BATCH), fields=frozenset({"id"}))
            spans = page.nodes
            await context.store.write(partial(_delete, Span, [span.id for span in spans]))
        await context.store.write(partial(_delete, Trace, [id]))


async def _delete(kind: type[Node], ids: Sequence[Id], tx: Transaction) -> None:
    await tx.delete(kind, ids)


async def _audit(context: Context) -> AsyncIterator[Old]:
    order = AuditOrder(direction=OrderDirection.ASC)
    async for one in _pages(context, Collection.AUDIT, order, {"time"}):
        yield Old(one.id, one.time)


async def _delete_audit(context: Context, ids: Sequence[Id]) -> None:
    await context.store.write(partial(_delete, AuditEntry, ids))


_TRACES = Records(Trace)


class _Kind(NamedTuple):
    """oldest: all of them, the oldest first."""

    oldest: Callable[[Context], AsyncIterator[Old]]
    count: Callable[[Context], Any]
    delete: Callable[[Context, Sequence[Id]], Any]


_KINDS = {
    RetainedKind.SESSIONS: _Kind(_sessions, partial(_total, Collection.SESSIONS), _delete_sessions),
    RetainedKind.TRACES: _Kind(_traces, partial(_total, _TRACES), _delete_traces),
    RetainedKind.AUDIT: _Kind(_audit, partial(_total, Collection.AUDIT), _delete_audit),
}
