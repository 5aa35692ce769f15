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
from domain.memory import DeleteMemoriesInput, Memory, MemoryOrder
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


class _Old(NamedTuple):
    """Something in the order of its age. held: it stays."""

    id: Id
    at: datetime
    size: int
    held: bool


class _Kind(NamedTuple):
    """What retention needs to know of a kind. order: the oldest first, by the field `time`; size: bytes of a record of
    `measured`, which count for what has the `key` that they have as `part_of`. held: which of some stay."""

    of: Collection | Records
    order: Any
    time: str
    measured: type[Node]
    size: Callable[[Any], int]
    delete: Callable[[Context, Sequence[_Old]], Awaitable[None]]
    key: str = "id"
    part_of: str = "id"
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
    sizes = await _sizes(context, of) if measures else Counter()
    before = None if policy.days is None else context.clock() - timedelta(days=policy.days)
    spare = 0 if policy.count is None else await _total(of.of, context) - policy.count
    over = 0.0 if policy.bytes is None else sum(sizes.values()) - policy.bytes
    gone: list[_Old] = []
    reasons: Counter[RetentionRule] = Counter()
    size = held = 0
    async for one in _oldest(context, of, sizes):
        asks = {
            RetentionRule.DAYS: before is not None and one.at < before,
            RetentionRule.COUNT: len(gone) < spare,
            RetentionRule.BYTES: size < over,
        }
        if not any(asks.values()):
            break
        if one.held:
            held += 1
            continue
        reasons.update(rule for rule, wanted in asks.items() if wanted)
        gone.append(one)
        size += one.size
    for start in range(0, len(gone) if not dry_run else 0, _BATCH):
        await of.delete(context, gone[start : start + _BATCH])
    told = {RetentionRule.DAYS: policy.days, RetentionRule.COUNT: policy.count, RetentionRule.BYTES: policy.bytes}
    return Removed(
        policy.kind,
        len(gone),
        size if measures else None,
        gone[0].at if gone else None,
        gone[-1].at if gone else None,
        [RetentionReason(rule, reasons[rule]) for rule, limit in told.items() if limit is not None],
        held,
    )


async def _sizes(context: Context, of: _Kind) -> Counter[str]:
    """How many bytes each has."""
    found: Counter[str] = Counter()
    after: Id | None = None
    while some := await context.store.scan(of.measured, after, MAX_FIRST_LONG):
        for one in some:
            found[getattr(one, of.part_of)] += of.size(one)
        after = some[-1].id
    return found


async def _oldest(context: Context, of: _Kind, sizes: Counter[str]) -> AsyncIterator[_Old]:
    """All of a kind, the oldest first."""
    more, after, fields = True, None, frozenset({of.time, of.key})
    while more:
        slice = Slice(MAX_FIRST_LONG, after=after)
        [page] = await context.store.pages(of.of, [ROOT], slice, None, of.order, fields)
        held = set() if of.held is None else await of.held(context, [one.id for one in page.nodes])
        for one in page.nodes:
            yield _Old(one.id, getattr(one, of.time), sizes.get(getattr(one, of.key), 0), one.id in held)
        more, after = page.has_next_page, page.page_info.end_cursor


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

_KINDS = {
    RetainedKind.SESSIONS: _Kind(
        Collection.SESSIONS,
        SessionOrder(field=SessionOrderField.LAST_ACTIVE_AT, direction=_ASC),
        "last_active_at",
        Message,
        _said,
        _delete_sessions,
        part_of="session_id",
    ),
    RetainedKind.MESSAGES: _Kind(
        Collection.MESSAGES,
        MessageOrder(field=MessageOrderField.CREATED_AT, direction=_ASC),
        "created_at",
        Message,
        _said,
        _delete_messages,
    ),
    RetainedKind.MEMORIES: _Kind(
        Collection.MEMORIES,
        MemoryOrder(direction=_ASC),
        "created_at",
        Memory,
        lambda one: len(one.text.encode()) + len(bytes(one.metadata)),
        _delete_memories,
    ),
    RetainedKind.CONTEXTS: _Kind(
        _CONTEXTS,
        ContextVersionOrder(field=ContextVersionOrderField.REPLACED_AT, direction=_ASC),
        "replaced_at",
        ContextVersion,
        lambda one: len(bytes(one.context)),
        partial(_delete_any, ContextVersion),
    ),
    RetainedKind.TRACES: _Kind(
        _TRACES,
        TraceOrder(direction=_ASC),
        "started_at",
        Span,
        _told,
        _delete_traces,
        key="trace_id",
        part_of="trace_id",
    ),
    RetainedKind.BLOBS: _Kind(
        _BLOBS, BlobOrder(direction=_ASC), "created_at", Blob, lambda one: one.size_bytes, _free, held=_shown
    ),
    RetainedKind.AUDIT: _Kind(
        Collection.AUDIT,
        AuditOrder(direction=_ASC),
        "time",
        AuditEntry,
        lambda one: len(msgspec.json.encode(one)),
        partial(_delete_any, AuditEntry),
    ),
}
