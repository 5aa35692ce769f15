"""Update the sums of traces, and of their sessions, when spans are written or deleted; every engine's transaction calls
this.

An engine stores Tally as any other record, finds it by its natural key, and calls these. It may make the tally of a
span without children from the span as it is stored, and store none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from domain.node import Id, Node
from domain.session import Session
from domain.span import NO_USAGE, Span, SpanStatusCode, TokenUsage, Trace
from domain.tally import TOP, ZERO, Key, Tallies, Tally
from stores import inheritance, journal


class Sums(inheritance.Tree, journal.Logging, Protocol):
    """What a transaction has beside the port's methods."""

    async def store(self, records: Sequence[Node]) -> None:
        """Stores records as they are."""


async def put(tx: Sums, spans: Sequence[Span]) -> None:
    """Stores spans, with what they inherit, and takes them into the sums of their traces, which are made where they are
    missing."""
    known = await _known(tx, spans)
    settled = await inheritance.settle(tx, spans, known)
    if len(settled) > len(spans):
        known = await _known(tx, settled)
    tallies = Tallies(known, tx.new_id)
    await tx.store(settled)
    for span in settled:
        tallies.put(span)
    await _keep(tx, tallies, _naming(spans))


def _naming(spans: Sequence[Span]) -> dict[str, Span]:
    """By trace the span that says which session it belongs to: the earliest that names one, else any that has one."""
    found: dict[str, Span] = {}
    for span in spans:
        known = found.get(span.trace_id)
        if known is None or _trust(span) < _trust(known):
            found[span.trace_id] = span
    return found


def _trust(span: Span) -> tuple[bool, bool, datetime, str]:
    return span.session_id is None, span.inherits_session, *_mark(span)


async def take_away(tx: Sums, spans: Iterable[tuple[str, Id]]) -> None:
    """Takes spans that are gone, (trace id, id) of each, out of the sums of the traces that are left."""
    gone: dict[str, set[Id]] = {}
    for trace_id, id in spans:
        gone.setdefault(trace_id, set()).add(id)
    for trace_id, ids in gone.items():
        stored = await tx.tallies(trace_id)
        await tx.delete(Tally, [tally.id for tally in stored])
        tallies = Tallies([], tx.new_id)
        for tally in stored:
            if tally.span_record_id is not None and tally.span_record_id not in ids:
                tallies.again(tally)
        if tallies.changed:
            await _keep(tx, tallies, {})


async def as_kept(tx: Sums, traces: Sequence[Trace]) -> list[Trace]:
    """Traces that are put, with the sums that are kept of them, whatever theirs say."""
    tops = await tx.find(Tally, [(trace.trace_id, TOP) for trace in traces])
    return [summed(trace, top) for trace, top in zip(traces, tops, strict=True)]


async def charge(tx: Sums, before: Iterable[Trace | None], after: Iterable[Trace | None]) -> None:
    """Counts traces in the sums of their sessions as they are after a write, and no longer as they were before."""
    changes: dict[Id, list[tuple[TokenUsage, TokenUsage]]] = {}
    for old, new in zip(before, after, strict=True):
        was, now = _used(old), _used(new)
        if was != now:
            for id in was | now:
                changes.setdefault(id, []).append((was.get(id, NO_USAGE), now.get(id, NO_USAGE)))
    charged: list[Session] = []
    for session in await tx.get(Session, list(changes)) if changes else ():
        if session is not None:
            after_all = session
            for less, more in changes[session.id]:
                after_all = after_all.charged(less, more)
            if after_all != session:
                charged.append(after_all)
    if charged:
        await journal.put(tx, charged)
        await tx.store(charged)


def _used(trace: Trace | None) -> dict[Id, TokenUsage]:
    """By its session what a trace uses, where it has one and uses anything."""
    if trace is None or trace.session_id is None or trace.usage == NO_USAGE:
        return {}
    return {trace.session_id: trace.usage}


async def as_charged(tx: Sums, sessions: Sequence[Session]) -> list[Session]:
    """Sessions that are put, with the sums that are kept of them, whatever theirs say."""
    there = await tx.get(Session, [session.id for session in sessions])
    kept = [ZERO if one is None else one.used for one in there]
    return [one if one.used == used else one.with_used(used) for one, used in zip(sessions, kept, strict=True)]


async def _known(tx: Sums, spans: Sequence[Span]) -> list[Tally]:
    """The tallies of spans and of all that they are parts of."""
    known: dict[Key, Tally | None] = {}
    wanted = {
        (span.trace_id, id) for span in spans for id in (span.span_id, span.parent_span_id, TOP) if id is not None
    }
    while wanted:
        keys = list(wanted)
        found = dict(zip(keys, await tx.find(Tally, keys), strict=True))
        known.update(found)
        above = {(t.trace_id, t.parent_span_id) for t in found.values() if t is not None and t.parent_span_id}
        wanted = above - known.keys()
    return [tally for tally in known.values() if tally is not None]


async def _keep(tx: Sums, tallies: Tallies, naming: dict[str, Span]) -> None:
    for trace_id in tallies.stale:
        tallies.reckon(trace_id, await tx.tallies(trace_id))
    tallies.settle()
    changed = list(tallies.changed.values())
    await tx.store(changed)
    tops = [tally for tally in changed if tally.span_id == TOP]
    traces: list[Trace] = []
    known: list[Trace | None] = []
    for top, before in zip(tops, await tx.find(Trace, [(top.trace_id,) for top in tops]), strict=True):
        span = naming.get(top.trace_id)
        if before is not None:
            trace = summed(_named(before, span), top)
        elif span is not None:
            trace = summed(_begun(tx, top, span), top)
        else:
            continue
        if trace != before:
            traces.append(trace)
            known.append(before)
    await journal.put(tx, traces)
    await tx.store(traces)
    await charge(tx, known, traces)


def _begun(tx: Sums, top: Tally, span: Span) -> Trace:
    assert top.census is not None
    trace = Trace(
        id=tx.new_id(Trace), trace_id=top.trace_id, session_id=span.session_id, started_at=top.census.started_at
    )
    return trace if span.inherits_session else _named(trace, span)


def _named(trace: Trace, span: Span | None) -> Trace:
    """A trace whose session one more span names: the earliest is known. Another session it does not get here."""
    if span is None or span.session_id is None or span.inherits_session or span.session_id != trace.session_id:
        return trace
    stays = trace.span_count > 0 if trace.named_at is None else (trace.named_at, trace.named_by or "") <= _mark(span)
    if stays:
        return trace
    return replace(trace, named_at=span.started_at, named_by=span.span_id)


def _mark(span: Span) -> tuple[datetime, str]:
    return span.started_at, span.span_id


def summed_up(spans: Iterable[Span], new_id: Callable[[type[Node]], Id]) -> tuple[list[Tally], Tally]:
    """The tallies of all spans of a trace that has none yet, and its own among them."""
    tallies = Tallies([], new_id)
    for span in spans:
        tallies.put(span)
    tallies.settle()
    changed = list(tallies.changed.values())
    return changed, next(tally for tally in changed if tally.span_id == TOP)


def summed(trace: Trace, top: Tally | None) -> Trace:
    """A trace with what its own tally says."""
    if top is None or (census := top.census) is None:
        return Trace(
            id=trace.id,
            trace_id=trace.trace_id,
            session_id=trace.session_id,
            started_at=trace.started_at,
            named_at=trace.named_at,
            named_by=trace.named_by,
        )
    rooted = not census.root[0]
    status = SpanStatusCode.ERROR if census.errors else SpanStatusCode.OK if census.oks else SpanStatusCode.UNSET
    return replace(
        trace,
        started_at=census.started_at,
        ended_at=None if census.running or not rooted else census.ended_at,
        status_code=status,
        usage=top.usage,
        root_id=census.root[2] if rooted else None,
        span_count=census.spans,
        running_spans=census.running,
        error_spans=census.errors,
    )
