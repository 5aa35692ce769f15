"""Traces: events appended to sessions' logs, and the spans read off them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from domain.actor import Agent, User
from domain.conventions import columns, reading
from domain.errors import ErrorCode, invalid, not_found, reject
from domain.memory import Memory
from domain.message import Message
from domain.node import Id, Node, id_of
from domain.session import Session
from domain.span import EndSpanInput, Span, SpanKind, SpanStatusCode, StartSpanInput, Trace
from domain.tool_execution import ToolLimits
from domain.trace import SPAN_END, SPAN_START, AppendTraceEventsInput, TraceEvent, TraceEventInput
from domain.values import EMPTY_OBJECT, NULL, Json, Ref, decode_json, encode_json, given, merge
from resolvers import tool_execution
from resolvers.actors import named
from resolvers.context import Context, lookup, named_by, require
from resolvers.idempotency import write
from stores.ports import Log, Transaction

Path = Sequence[str | int]

COMPONENT = "agent"
"""The component of events that name none."""


class Appended(msgspec.Struct, frozen=True):
    """How many lines were added, and the cursor of the log's end."""

    accepted: int
    end_cursor: str


async def trace(context: Context, trace_id: str) -> Trace | None:
    return (await context.store.find(Trace, [(trace_id.lower(),)]))[0]


async def roots(context: Context, traces: Sequence[Trace]) -> list[Span | None]:
    """The span of each trace that has no parent, the earliest one."""
    return await named_by(context, Span, [trace.root_id for trace in traces])


async def span_parents(context: Context, spans: Sequence[Span]) -> list[Span | None]:
    keys = [(span.trace_id, span.parent_span_id) for span in spans if span.parent_span_id is not None]
    found = dict(zip(keys, await context.store.find(Span, keys), strict=True))
    return [None if span.parent_span_id is None else found[span.trace_id, span.parent_span_id] for span in spans]


async def event_parents(context: Context, events: Sequence[TraceEvent]) -> list[TraceEvent | None]:
    return await named_by(context, TraceEvent, [event.parent_id for event in events])


async def event_spans(context: Context, events: Sequence[TraceEvent]) -> list[Span | None]:
    return await named_by(context, Span, [event.span_record_id for event in events])


async def event_users(context: Context, events: Sequence[TraceEvent | Span]) -> list[User | None]:
    return await named_by(context, User, [event.user_id for event in events])


async def event_agents(context: Context, events: Sequence[TraceEvent | Span]) -> list[Agent | None]:
    return await named_by(context, Agent, [event.agent_id for event in events])


async def event_memories(context: Context, events: Sequence[TraceEvent]) -> list[list[Memory]]:
    """The memories each event names that are still there."""
    ids = list({id for event in events for id in event.memory_ids})
    found = dict(zip(ids, await context.store.get(Memory, ids), strict=True))
    return [[memory for id in event.memory_ids if (memory := found[id]) is not None] for event in events]


async def append(context: Context, input: AppendTraceEventsInput) -> Appended:
    """Appends events to a session's log, all or none."""

    async def script(tx: Transaction) -> tuple[Session, list[TraceEvent]]:
        session = await require(tx, Session, input.session, ["session"])
        return session, await append_in(tx, session, input.events, context.tools)

    async def noted(tx: Transaction) -> Appended:
        session, events = await script(tx)
        listing = context.store.listing(Log("trace", session.id))
        return Appended(len(events), listing.cursor((events[-1].place,)) if events else "")

    appended = await write(context, input, noted, Appended)
    if not appended.end_cursor:  # nothing was appended, and a script may ask its transaction alone
        log = Log("trace", (await require(context.store, Session, input.session, ["session"])).id)
        appended = replace(appended, end_cursor=context.store.listing(log).cursor(await context.store.ends([log])))
    return appended


async def append_in(
    tx: Transaction, session: Session, events: Sequence[TraceEventInput], tools: ToolLimits
) -> list[TraceEvent]:
    """Appends events to a session's log.

    Raises Rejected: NOT_FOUND, DUPLICATE or INVALID, with the path of the field.
    """
    appending = _Appending(tx, session)
    for index, event in enumerate(events):
        await appending.add(event, ["events", index])
    return await appending.store(tools)


class _Appending:
    """Events on their way into one log; what they name is looked up once."""

    def __init__(self, tx: Transaction, session: Session | None) -> None:
        self._tx, self._session = tx, session
        self._known: dict[tuple[type[Node], Ref], Id] = {}
        self._external: dict[str, Id] = {}
        self.spans: dict[tuple[str, str], Span] = {}
        self.events: list[TraceEvent] = []

    async def add(self, input: TraceEventInput, path: Path) -> TraceEvent:
        """Checks one event and takes it on; a span that it opens or closes is written."""
        tx = self._tx
        id = tx.new_id(TraceEvent)
        # A step that is not needed is not awaited: ten of them take as long as the rest.
        if input.external_id is not None:
            await self._name(input.external_id, id, path)
        span = None if input.span_id is None else await self._span(input, input.span_id.lower(), path)
        event = TraceEvent(
            id=id,
            session_id=id_of(self._session),
            type=input.type,
            component=input.component or COMPONENT,
            time=input.time or tx.now,
            duration_ms=input.duration_ms,
            data=NULL if input.data is None else input.data,
            user_id=None if input.user is None else await self._id(User, input.user, [*path, "user"]),
            agent_id=None if input.agent is None else await self._id(Agent, input.agent, [*path, "agent"]),
            message_id=None if input.message is None else await self._id(Message, input.message, [*path, "message"]),
            parent_id=None if input.parent is None else await self._parent(input.parent, path),
            span_record_id=id_of(span),
            memory_ids=[
                await self._id(Memory, ref, [*path, "memories", index]) or Id("")
                for index, ref in enumerate(input.memories or ())
            ],
            external_id=input.external_id,
        )
        self.events.append(event)
        return event

    async def store(self, tools: ToolLimits) -> list[TraceEvent]:
        """Adds the events, and what their spans tell of tools."""
        await tool_execution.tell(self._tx, self.spans.values(), tools)
        return await self._tx.append(self.events)

    async def _name(self, name: str, id: Id, path: Path) -> None:
        if self._session is None:
            raise invalid("An event without a session cannot have an externalId.", [*path, "externalId"])
        if name in self._external or (await self._tx.find(TraceEvent, [(self._session.id, name)]))[0] is not None:
            raise reject(ErrorCode.DUPLICATE, "An event with this externalId already exists.", [*path, "externalId"])
        self._external[name] = id

    async def _id(self, kind: type[Any], ref: Ref | None, path: Path) -> Id | None:
        if ref is None:
            return None
        if (known := self._known.get((kind, ref))) is None:
            if kind in (User, Agent):
                found = await named(self._tx, kind, ref, path)
            else:
                found = await require(self._tx, kind, ref, path)
            known = self._known[kind, ref] = found.id
        return known

    async def _parent(self, ref: Ref, path: Path) -> Id:
        if ref.external_id is not None and ref.external_id in self._external:
            return self._written(self._external[ref.external_id], path)
        found: TraceEvent | None
        if ref.id is not None:
            found = await lookup(self._tx, TraceEvent, ref)
        else:
            session = self._session.id if self._session else ""
            found = (await self._tx.find(TraceEvent, [(session, ref.external_id or "")]))[0]
        if found is None or found.session_id != (id_of(self._session)):
            raise not_found("event of this session", [*path, "parent"])
        return found.id

    def _written(self, id: Id, path: Path) -> Id:
        if all(event.id != id for event in self.events):
            raise not_found("earlier event", [*path, "parent"])
        return id

    async def _span(self, input: TraceEventInput, span_id: str, path: Path) -> Span | None:
        """The span that the event opens, closes or belongs to."""
        trace_id = self._trace_id(input)
        span = self.spans.get((trace_id, span_id)) or (await self._tx.find(Span, [(trace_id, span_id)]))[0]
        if input.type == SPAN_START:
            span = await self._opened(input, trace_id, span_id, span, path)
        elif input.type == SPAN_END:
            span = _closed(input, span or await self._opened(input, trace_id, span_id, None, path), self._tx, path)
        else:
            return span
        self.spans[trace_id, span_id] = span
        await self._tx.put([span])
        return span

    def _trace_id(self, input: TraceEventInput) -> str:
        """Spans that name no trace are of the session's own: its UUID."""
        if input.trace_id is not None:
            return input.trace_id.lower()
        return self._session.id.partition("_")[2] if self._session else ""

    async def _opened(
        self, input: TraceEventInput, trace_id: str, span_id: str, before: Span | None, path: Path
    ) -> Span:
        tx = self._tx
        attributes = _attributes(before.attributes if before else EMPTY_OBJECT, input.data, path)
        name = input.name or (before.name if before else input.component or input.type)
        kind = input.kind or (before.kind if before else SpanKind.OTHER)
        return Span(
            id=before.id if before else tx.new_id(Span),
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=input.parent_span_id.lower()
            if input.parent_span_id
            else (before.parent_span_id if before else None),
            session_id=id_of(self._session),
            name=name,
            status_code=before.status_code if before else SpanStatusCode.UNSET,
            status_message=before.status_message if before else None,
            started_at=_started(input, tx.now, path),
            ended_at=before.ended_at if before else None,
            attributes=attributes,
            message_id=await self._id(Message, input.message, [*path, "message"])
            or (before.message_id if before else None),
            agent_id=await self._id(Agent, input.agent, [*path, "agent"])
            or (before.named_agent_id if before else None),
            user_id=await self._id(User, input.user, [*path, "user"]) or (before.named_user_id if before else None),
            **columns.fields(reading.read(decode_json(attributes), name, kind=kind)),
        )


def _started(input: TraceEventInput, now: datetime, path: Path) -> datetime:
    """When a span began that its first event tells of: for an end, by its duration."""
    time = input.time or now
    if input.type != SPAN_END or input.duration_ms is None:
        return time
    try:
        return time - timedelta(milliseconds=input.duration_ms)
    except OverflowError:
        raise invalid("durationMs would start the span before the year 1.", [*path, "durationMs"]) from None


def _closed(input: TraceEventInput, span: Span, tx: Transaction, path: Path) -> Span:
    data = decode_json(input.data) if input.data is not None else None
    data = data if isinstance(data, dict) else {}
    code = SpanStatusCode.__members__.get(str(data.get("statusCode")), span.status_code)
    message = data.get("statusMessage")
    attributes = _attributes(span.attributes, input.data, path)
    name = input.name or span.name
    failed = code is SpanStatusCode.ERROR
    told = reading.read(decode_json(attributes), name, kind=input.kind or span.kind, failed=failed)
    return msgspec.structs.replace(
        span,
        ended_at=input.time or tx.now,
        attributes=attributes,
        status_code=code,
        status_message=message if isinstance(message, str) else span.status_message,
        name=name,
        **columns.told_of(span, told),
    )


def _attributes(before: Json, data: Json | None, path: Path) -> Json:
    """The attributes with an event's data, where that is an object; what says how the span ended is no attribute."""
    if data is None or not isinstance(decode_json(data), dict):
        return before
    return merge(before, data, ["statusCode", "statusMessage"], [*path, "data"] if path else ["attributes"])


async def start_span(context: Context, input: StartSpanInput) -> Span:
    """Starts a span and logs it in its session."""

    async def script(tx: Transaction) -> Span:
        session = None if input.session is None else await require(tx, Session, input.session, ["session"])
        trace_id = (input.trace_id or tx.new_id(Trace).partition("_")[2]).lower()
        span_id = (input.span_id or tx.new_id(Span)[-16:]).lower()
        if (await tx.find(Span, [(trace_id, span_id)]))[0] is not None:
            raise reject(ErrorCode.DUPLICATE, "A span with this traceId and spanId already exists.", ["spanId"])
        event = TraceEventInput(
            type=SPAN_START,
            component=input.component,
            time=input.started_at,
            data=input.attributes,
            agent=input.agent,
            message=input.message,
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=input.parent_span_id,
            name=input.name,
            kind=input.kind,
        )
        return await _told(tx, session, event, context.tools)

    return await write(context, input, script)


async def end_span(context: Context, input: EndSpanInput) -> Span:
    """Ends a span and logs it in its session. Raises Rejected: NOT_FOUND; CONFLICT where it has ended."""

    async def script(tx: Transaction) -> Span:
        span = await _named_span(tx, input)
        if span.ended_at is not None:
            raise reject(ErrorCode.CONFLICT, "This span has already ended.", ["span"])
        said = given(input, component=None, ended_at=None, attributes=None, status_message=None)
        if "ended_at" in said and said["ended_at"] < span.started_at:
            raise invalid("A span cannot end before it starts.", ["endedAt"])
        session = None if span.session_id is None else (await tx.get(Session, [span.session_id]))[0]
        how = {"statusCode": input.status_code.value, "statusMessage": said.get("status_message")}
        event = TraceEventInput(
            type=SPAN_END,
            component=said.get("component"),
            time=said.get("ended_at"),
            data=merge(said.get("attributes", EMPTY_OBJECT), encode_json(how), None, ["attributes"]),
            trace_id=span.trace_id,
            span_id=span.span_id,
        )
        return await _told(tx, session, event, context.tools)

    return await context.write(script)


async def _told(tx: Transaction, session: Session | None, event: TraceEventInput, tools: ToolLimits) -> Span:
    """Appends an event of a span; the span after it."""
    appending = _Appending(tx, session)
    await appending.add(event, [])
    await appending.store(tools)
    [put] = appending.spans.values()
    [span] = await tx.get(Span, [put.id])
    assert span is not None
    return span


async def _named_span(tx: Transaction, input: EndSpanInput) -> Span:
    if input.span is not UNSET:
        return await require(tx, Span, Ref(id=input.span), ["span"])
    if input.trace_id is UNSET or input.span_id is UNSET:
        raise invalid("Name the span: span, or traceId and spanId.", ["span"])
    found = (await tx.find(Span, [(input.trace_id.lower(), input.span_id.lower())]))[0]
    if found is None:
        raise not_found("span", ["spanId"])
    return found
