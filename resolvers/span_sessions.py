"""Which sessions spans belong to, in whichever order they come: they move where a nearer ancestor names another one.

A span that names a session belongs to it. Any other belongs to where its parent does or, while that has not come, to
the session of its trace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec.structs import replace

from domain.actor import User
from domain.node import Id
from domain.page import Page, Slice
from domain.participant import ParticipantInput, SenderType
from domain.session import Session
from domain.span import Span, Trace
from domain.trace import TraceEvent
from domain.values import Ref
from resolvers import conversation, tool_execution
from resolvers.context import Context
from resolvers.sessions import join
from stores.ports import Collection, Transaction

_PAGE = 500
_KEYS = frozenset({"trace_id", "span_id", "parent_span_id", "session_id", "inherits_session", "started_at"})


class Claim(NamedTuple):
    """The session that a trace belongs to, and the start and span_id of the span that names it, where known."""

    session_id: Id
    named_at: datetime | None
    named_by: str | None

    def is_before(self, other: Claim) -> bool:
        """Whether an earlier span makes it. One that nobody is known to have made stands."""
        if self.named_at is None or other.named_at is None:
            return False
        return (self.named_at, self.named_by or "") < (other.named_at, other.named_by or "")


def claimed(trace: Trace, claim: Claim | None) -> Claim | None:
    """The session that a trace belongs to where one more is claimed for it."""
    if trace.session_id is None:
        return claim
    known = Claim(trace.session_id, trace.named_at, trace.named_by)
    return claim if claim is not None and claim.is_before(known) else known


class Head(NamedTuple):
    """A span, the session it belongs to, and whether it names that itself."""

    span: Span
    session_id: Id
    names: bool = False


async def settle(context: Context, heads: Sequence[Head], claims: Mapping[str, Claim]) -> None:
    """Moves spans, and those below them, to the sessions they belong to; and gives traces theirs.

    A trace gets its session when its spans are there: what is broken off is done again by the next report. What comes
    in between is moved then; what comes later finds the session by the trace.
    """
    await _move_below(context, heads)
    for trace_id, claim in claims.items():
        await _take_in(context, trace_id, claim)
        await context.store.write(partial(_give, trace_id, claim))
        while await _take_in(context, trace_id, claim):
            pass


async def _give(trace_id: str, claim: Claim, tx: Transaction) -> None:
    [trace] = await tx.find(Trace, [(trace_id,)])
    if trace is not None and claimed(trace, claim) is claim:
        await tx.put([replace(trace, session_id=claim.session_id, named_at=claim.named_at, named_by=claim.named_by)])


async def _move_below(context: Context, heads: Sequence[Head]) -> None:
    """Moves spans, then their children, and so on as long as there is one that is elsewhere."""
    seen = {(head.span.id, head.session_id) for head in heads}  # parents may go in a circle
    while heads:
        await _move_all(context, [head for head in heads if head.span.session_id != head.session_id])
        below: list[Head] = []
        ids = [head.span.id for head in heads]
        firsts = await context.store.pages(Collection.SPAN_CHILDREN, ids, Slice(_PAGE), fields=_KEYS)
        for head, first in zip(heads, firsts, strict=True):
            async for spans in _onwards(context, Collection.SPAN_CHILDREN, head.span.id, first, _KEYS):
                below += [Head(span, head.session_id) for span in spans if _strays(span, head.session_id)]
        heads = [head for head in below if (head.span.id, head.session_id) not in seen]
        seen |= {(head.span.id, head.session_id) for head in heads}


def _strays(span: Span, session_id: Id | None) -> bool:
    """Whether a span that names no session is elsewhere."""
    return session_id not in (None, span.session_id) and (span.inherits_session or span.session_id is None)


async def _take_in(context: Context, trace_id: str, claim: Claim) -> bool:
    """Moves the spans of a trace to where they belong if it belongs to a session; whether there were any. Another one
    may have claimed it meanwhile."""
    trace = (await context.store.find(Trace, [(trace_id,)]))[0]
    if trace is None or (belongs := claimed(trace, claim)) is None:
        return False
    spans: dict[str, Span] = {}
    of = Collection.TRACE_SPANS
    [first] = await context.store.pages(of, [trace.id], Slice(_PAGE), fields=_KEYS)
    async for some in _onwards(context, of, trace.id, first, _KEYS):
        spans |= {span.span_id: span for span in some}
    found = _belonging(spans, belongs.session_id)
    strays = [Head(span, found[id]) for id, span in spans.items() if _strays(span, found[id])]
    return await _move_all(context, strays, {trace_id: claim})


def _belonging(spans: Mapping[str, Span], session_id: Id) -> dict[str, Id]:
    """By span_id the session that each span of a trace belongs to."""
    found: dict[str, Id] = {}
    for span in spans.values():
        way: dict[str, None] = {}
        on: Span | None = span
        while on is not None and on.span_id not in found and on.span_id not in way:  # parents may go in a circle
            if on.session_id is not None and not on.inherits_session:
                found[on.span_id] = on.session_id
                break
            way[on.span_id] = None
            on = spans.get(on.parent_span_id or "")
        of = session_id if on is None else found.get(on.span_id, session_id)
        found.update(dict.fromkeys(way, of))
    return found


async def _move_all(
    context: Context, heads: Sequence[Head], claims: Mapping[str, Claim] = MappingProxyType({})
) -> bool:
    """Moves spans with their lines and what they tell of conversations; whether there were any left."""
    by_session: dict[Id, list[Head]] = {}
    for head in heads:
        by_session.setdefault(head.session_id, []).append(head)
    moved = False
    for session_id, of in by_session.items():
        for start in range(0, len(of), _PAGE):
            moved |= await _Moving(context, session_id, of[start : start + _PAGE], claims).finish()
    return moved


async def _onwards(
    context: Context, of: Collection, parent: Id, page: Page[Any], fields: frozenset[str] | None = None
) -> AsyncIterator[list[Any]]:
    """What is on a page of a list, and then on those behind it."""
    yield page.nodes
    while page.has_next_page:
        slice = Slice(_PAGE, after=page.page_info.end_cursor)
        page = (await context.store.pages(of, [parent], slice, fields=fields))[0]
        yield page.nodes


class _Moving:
    """Spans on their way into a session, which others may move elsewhere meanwhile."""

    def __init__(self, context: Context, session_id: Id, heads: Sequence[Head], claims: Mapping[str, Claim]) -> None:
        self._context, self._session_id, self._claims = context, session_id, claims
        self._traces = {head.span.trace_id for head in heads}
        self._names = {head.span.id for head in heads if head.names}
        self._left = {head.span.id: {head.span.session_id} for head in heads}  # the sessions that each has been in

    async def finish(self) -> bool:
        """Moves them until none is left; whether there were any."""
        moved = False
        while True:
            script = partial(self._move, await self._lines(), await self._staying())
            done, elsewhere = await self._context.store.write(script)
            moved |= done
            for span in elsewhere:
                self._left[span.id].add(span.session_id)
            if not elsewhere and not (done and await self._lines()):  # a line may come while its span moves
                return moved

    async def _staying(self) -> list[Id]:
        """The spans that may tell anew what those that move have told in the sessions they leave."""
        left = set().union(*self._left.values()) - {None}
        found: list[Id] = []
        for trace in await self._context.store.find(Trace, [(id,) for id in self._traces]) if left else ():
            if trace is not None:
                of, keys = Collection.TRACE_SPANS, frozenset({"session_id", "kind"})
                [first] = await self._context.store.pages(of, [trace.id], Slice(_PAGE), fields=keys)
                async for spans in _onwards(self._context, of, trace.id, first, keys):
                    found += [one.id for one in spans if one.session_id in left and one.kind in conversation.TELLING]
        return found

    async def _lines(self) -> list[Id]:
        """The lines that move, in the order they have now."""
        of, ids = Collection.SPAN_EVENTS, list(self._left)
        firsts = await self._context.store.pages(of, ids, Slice(_PAGE))
        found: list[TraceEvent] = []
        for id, first in zip(ids, firsts, strict=True):
            async for events in _onwards(self._context, of, id, first):
                found += filter(self._takes, events)
        return [event.id for event in sorted(found, key=lambda event: event.place)]

    def _takes(self, event: TraceEvent) -> bool:
        """Whether a line goes with its span. One that names another line or a message was written for its session."""
        if event.session_id == self._session_id or event.parent_id is not None or event.message_id is not None:
            return False
        return event.span_record_id is not None and event.session_id in self._left[event.span_record_id]

    async def _belonging(self, tx: Transaction, there: Sequence[Span]) -> list[Span]:
        """Those of the spans that belong in the session and are elsewhere: others may have moved what they inherit from
        meanwhile."""
        found = {span.id: span for span in there if _strays(span, self._session_id)}
        keys = {span.id: (span.trace_id, span.parent_span_id) for span in found.values() if span.parent_span_id}
        parents = dict(zip(keys, await tx.find(Span, list(keys.values())), strict=True))
        ids = list({span.trace_id for span in found.values()})
        traces = {trace.trace_id: trace for trace in await tx.find(Trace, [(id,) for id in ids]) if trace is not None}

        def belongs(span: Span) -> bool:
            if span.id in self._names:
                return True
            if (parent := parents.get(span.id)) is not None:
                return parent.session_id == self._session_id or parent.id in found
            of = claimed(traces[span.trace_id], self._claims.get(span.trace_id)) if span.trace_id in traces else None
            return of is not None and of.session_id == self._session_id

        while others := [id for id, span in found.items() if not belongs(span)]:
            for id in others:
                del found[id]
        return list(found.values())

    async def _move(self, event_ids: Sequence[Id], staying: Sequence[Id], tx: Transaction) -> tuple[bool, list[Span]]:
        """Moves spans, and lines to the end of the session's log. Whether there were any, and the spans that were in
        another session than known."""
        if (session := (await tx.get(Session, [self._session_id]))[0]) is None:
            return False, []
        there = [span for span in await tx.get(Span, list(self._left)) if span is not None]
        belonging = await self._belonging(tx, there)
        before = [span for span in belonging if span.session_id in self._left[span.id]]
        after = [replace(span, session_id=session.id, inherits_session=span.id not in self._names) for span in before]
        await tx.put(after)
        here = {span.id for span in (*there, *after) if span.session_id == session.id}
        lines = [event for event in await tx.get(TraceEvent, event_ids) if event is not None]
        events = [event for event in lines if event.span_record_id in here and self._takes(event)]
        await take_part(tx, session, (actor for event in events for actor in (event.user_id, event.agent_id)))
        await tx.delete(TraceEvent, [event.id for event in events])
        await tx.append([replace(event, session_id=session.id) for event in events])
        told = self._context.telemetry_messages
        await conversation.tell_less(tx, before, staying, told)
        await conversation.tell(tx, after, told)
        await tool_execution.leave(tx, before)
        await tool_execution.tell(tx, after, self._context.tools)
        return bool(before or events), [span for span in belonging if span.session_id not in self._left[span.id]]


async def take_part(tx: Transaction, session: Session, actors: Iterable[Id | None]) -> None:
    """Makes users and agents take part in a session that do not yet."""
    present = await tx.participants(session.id)
    there = {participant.actor_id for participant in present}
    for actor in actors:
        if actor is not None and actor not in there:
            there.add(actor)
            type = SenderType.USER if actor.startswith(User.prefix) else SenderType.AGENT
            if await conversation.adopt(tx, session, present, type, actor):
                present = await tx.participants(session.id)
            else:
                await join(tx, session, ParticipantInput(type=type, actor=Ref(id=actor)), [], tx.now)
