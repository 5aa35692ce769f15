"""Retention: what is older, or more, than is to be kept is deleted, the oldest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec

from domain.audit import AuditEntry, AuditOrder
from domain.blob import Attachment, Blob, BlobOrder
from domain.context_version import ContextVersion, ContextVersionOrder, ContextVersionOrderField
from domain.correction import DeleteMessagesInput
from domain.errors import Rejected, invalid
from domain.memory import DeleteMemoriesInput, MemoryOrder
from domain.message import Message, MessageOrder, MessageOrderField
from domain.node import Id, Node
from domain.page import MAX_FIRST_LONG, OrderDirection, Slice
from domain.retention import (
    ApplyRetentionInput,
    Removed,
    RetainedKind,
    Retention,
    RetentionPolicy,
    RetentionReason,
    RetentionRule,
)
from domain.session import Session, SessionOrder, SessionOrderField
from domain.span import Span, Trace, TraceOrder
from domain.values import Ref
from resolvers import blobs, correction, memories
from resolvers.context import Context
from resolvers.lists import ROOT
from resolvers.sessions import delete_in, formed_in
from stores.ports import Collection, Grouping, Records, Transaction

_BATCH = 500

_MEASURED = 200
"""Records that are held at once to be measured, for one may have 350 KB."""


class _Old(NamedTuple):
    """Something that is to go, and the time that it was kept by."""

    id: Id
    at: datetime


class _Kind(NamedTuple):
    """What retention needs to know of a kind. order: the oldest first, by the field `time`. size: the bytes of a record
    of the list `measured`, of which `fields` are looked at (None: all); `parts` is the list of those that are part of
    one, where it is not itself what is measured. held: which of some stay."""

    of: Collection | Records
    order: Any
    time: str
    size: Callable[[Any], int]
    fields: frozenset[str] | None
    delete: Callable[[Context, Sequence[_Old]], Awaitable[None]]
    measured: Collection | None = None
    parts: Collection | None = None
    held: Callable[[Context, Sequence[Id]], Awaitable[set[Id]]] | None = None


async def apply(context: Context, input: ApplyRetentionInput) -> Retention:
    """Deletes what policies of retention do not keep, the oldest first; with dryRun only tells what that would be."""
    policies = context.retention if input.policies is None else input.policies
    for index, policy in enumerate(policies):
        if policy.is_empty:
            raise invalid("Say what is kept: days, count, bytes, or several of them.", ["policies", index])
    return Retention([await _applied(context, policy, input.dry_run) for policy in policies])


async def _applied(context: Context, policy: RetentionPolicy, dry_run: bool) -> Removed:
    of = _KINDS[policy.kind]
    measures = dry_run or policy.bytes is not None
    before = None if policy.days is None else context.clock() - timedelta(days=policy.days)
    spare = 0 if policy.count is None else await _total(of.of, context) - policy.count
    over = 0.0 if policy.bytes is None else await _bytes(context, of) - policy.bytes
    reasons: Counter[RetentionRule] = Counter()
    times: list[datetime] = []
    going: list[_Old] = []
    count = size = held = 0
    async for one, stays in _oldest(context, of, measures):
        at = getattr(one, of.time)
        asks = {
            RetentionRule.DAYS: before is not None and at < before,
            RetentionRule.COUNT: count < spare,
            RetentionRule.BYTES: size < over,
        }
        if not any(asks.values()):
            break
        if stays:
            held += 1
            continue
        reasons.update(rule for rule, wanted in asks.items() if wanted)
        size += await _size(context, of, one) if measures else 0
        count += 1
        times[1:] = [at]
        if not dry_run:
            going.append(_Old(one.id, at))
        if len(going) == _BATCH:
            await of.delete(context, going)
            going = []
    if going:
        await of.delete(context, going)
    told = {RetentionRule.DAYS: policy.days, RetentionRule.COUNT: policy.count, RetentionRule.BYTES: policy.bytes}
    return Removed(
        policy.kind,
        count,
        size if measures else None,
        times[0] if times else None,
        times[-1] if times else None,
        [RetentionReason(rule, reasons[rule]) for rule, limit in told.items() if limit is not None],
        held,
    )


async def _bytes(context: Context, of: _Kind) -> int:
    """How many bytes all have, some records at a time."""
    return await _sum(context, of, of.measured or of.of, ROOT)


async def _size(context: Context, of: _Kind, one: Any) -> int:
    """How many bytes one has that was read with what is measured of it."""
    if of.parts is None:
        return of.size(one)
    return await _sum(context, of, of.parts, one.id)


async def _oldest(context: Context, of: _Kind, measures: bool) -> AsyncIterator[tuple[Any, bool]]:
    """All of a kind, the oldest first, and whether they stay."""
    fields: frozenset[str] | None = frozenset({of.time})
    if measures and of.parts is None:
        fields = None if of.fields is None else of.fields | {of.time}
    more, after = True, None
    while more:
        slice = Slice(_MEASURED if measures else MAX_FIRST_LONG, after=after)
        [page] = await context.store.pages(of.of, [ROOT], slice, None, of.order, fields)
        held = set() if of.held is None else await of.held(context, [one.id for one in page.nodes])
        for one in page.nodes:
            yield one, one.id in held
        more, after = page.has_next_page, page.page_info.end_cursor


async def _sum(context: Context, of: _Kind, measured: Collection | Records, parent: Id) -> int:
    size, more, after = 0, True, None
    while more:
        [page] = await context.store.pages(measured, [parent], Slice(_MEASURED, after=after), fields=of.fields)
        size += sum(map(of.size, page.nodes))
        more, after = page.has_next_page, page.page_info.end_cursor
    return size


async def _total(of: Collection | Records, context: Context) -> int:
    [[group]] = await context.store.grouped(of, [ROOT], Grouping())
    return group.count


async def _delete_sessions(context: Context, gone: Sequence[_Old]) -> None:
    """Each in a write of its own, for much may hang on one. One in which something was said meanwhile stays."""
    for one in gone:
        formed = await formed_in(context, Ref(id=one.id))
        await context.store.write(partial(_delete_session, one, formed))


async def _delete_session(one: _Old, formed: Sequence[Id], tx: Transaction) -> None:
    for found in await tx.get(Session, [one.id]):
        if found is not None and found.last_active_at <= one.at:
            await delete_in(tx, found, formed)


async def _delete_messages(context: Context, gone: Sequence[_Old]) -> None:
    await _each_or_all(gone, lambda refs: correction.delete(context, DeleteMessagesInput(messages=refs)))


async def _delete_memories(context: Context, gone: Sequence[_Old]) -> None:
    await _each_or_all(gone, lambda refs: memories.delete(context, DeleteMemoriesInput(memories=refs)))


async def _each_or_all(gone: Sequence[_Old], delete: Callable[[list[Ref]], Awaitable[Any]]) -> None:
    """Deletes them together; where one of them is gone already, each by itself."""
    refs = [Ref(id=one.id) for one in gone]
    try:
        await delete(refs)
    except Rejected:
        for ref in refs:
            with suppress(Rejected):
                await delete([ref])


async def _delete_traces(context: Context, gone: Sequence[_Old]) -> None:
    """Some spans in a write, then what was the whole of them."""
    for id in (one.id for one in gone):
        spans: Sequence[Any] = [None]
        while spans:
            [page] = await context.store.pages(Collection.TRACE_SPANS, [id], Slice(_BATCH), fields=frozenset({"id"}))
            spans = page.nodes
            await context.store.write(partial(_delete, Span, [span.id for span in spans]))
        await context.store.write(partial(_delete, Trace, [id]))


async def _delete_any(kind: type[Node], context: Context, gone: Sequence[_Old]) -> None:
    await context.store.write(partial(_delete, kind, [one.id for one in gone]))


async def _free(context: Context, gone: Sequence[_Old]) -> None:
    await blobs.free(context, [one.id for one in gone])


async def _delete(kind: type[Node], ids: Sequence[Id], tx: Transaction) -> None:
    await tx.delete(kind, ids)


async def _shown(context: Context, ids: Sequence[Id]) -> set[Id]:
    """The files that a message or a span shows."""
    pages = await context.store.pages(Records(Attachment, "blob"), ids, Slice(limit=1)) if ids else []
    return {id for id, page in zip(ids, pages, strict=True) if page.nodes}


def _said(message: Message) -> int:
    return len(msgspec.json.encode(message.content)) + len(bytes(message.metadata))


def _told(span: Span) -> int:
    return len(span.name) + len(bytes(span.attributes)) + len(msgspec.json.encode(span.call))


_ASC = OrderDirection.ASC
_TRACES = Records(Trace)
_CONTEXTS = Records(ContextVersion)
_BLOBS = Records(Blob)

_SAID = frozenset({"content", "metadata"})
_TOLD = frozenset({"name", "attributes", "call"})

_KINDS = {
    RetainedKind.SESSIONS: _Kind(
        Collection.SESSIONS,
        SessionOrder(field=SessionOrderField.LAST_ACTIVE_AT, direction=_ASC),
        "last_active_at",
        _said,
        _SAID,
        _delete_sessions,
        measured=Collection.MESSAGES,
        parts=Collection.SESSION_MESSAGES,
    ),
    RetainedKind.MESSAGES: _Kind(
        Collection.MESSAGES,
        MessageOrder(field=MessageOrderField.CREATED_AT, direction=_ASC),
        "created_at",
        _said,
        _SAID,
        _delete_messages,
    ),
    RetainedKind.MEMORIES: _Kind(
        Collection.MEMORIES,
        MemoryOrder(direction=_ASC),
        "created_at",
        lambda one: len(one.text.encode()) + len(bytes(one.metadata)),
        frozenset({"text", "metadata"}),
        _delete_memories,
    ),
    RetainedKind.CONTEXTS: _Kind(
        _CONTEXTS,
        ContextVersionOrder(field=ContextVersionOrderField.REPLACED_AT, direction=_ASC),
        "replaced_at",
        lambda one: len(bytes(one.context)),
        frozenset({"context"}),
        partial(_delete_any, ContextVersion),
    ),
    RetainedKind.TRACES: _Kind(
        _TRACES,
        TraceOrder(direction=_ASC),
        "started_at",
        _told,
        _TOLD,
        _delete_traces,
        measured=Collection.SPANS,
        parts=Collection.TRACE_SPANS,
    ),
    RetainedKind.BLOBS: _Kind(
        _BLOBS,
        BlobOrder(direction=_ASC),
        "created_at",
        lambda one: one.size_bytes,
        frozenset({"size_bytes"}),
        _free,
        held=_shown,
    ),
    RetainedKind.AUDIT: _Kind(
        Collection.AUDIT,
        AuditOrder(direction=_ASC),
        "time",
        lambda one: len(msgspec.json.encode(one)),
        None,
        partial(_delete_any, AuditEntry),
    ),
}
