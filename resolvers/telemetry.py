"""Telemetry: what tracers report of spans becomes spans, the lines of sessions' logs, and the sessions themselves."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import force_setattr, replace

from domain.actor import Agent, User
from domain.blob import Blob
from domain.conventions import columns
from domain.conventions.events import is_chunk
from domain.errors import Rejected
from domain.message import Media
from domain.node import Id
from domain.session import CreateSessionInput, Session
from domain.span import Span, SpanStatusCode, Trace, milliseconds
from domain.telemetry import CHUNKS_COUNT, EVENTS_COUNT, MediaFile, Received, ReportedEvent, SpanReport, bounded
from domain.tool_execution import ToolLimits
from domain.trace import SPAN_END, SPAN_START, SPAN_UPDATE, TraceEvent
from domain.values import EMPTY_OBJECT, MAX_BATCH, MAX_JSON, Json, decode_json, encode_json, merge
from resolvers import blobs, conversation, log_lines, tool_execution
from resolvers.actors import all_named, called
from resolvers.context import Context, Told
from resolvers.sessions import create_in
from resolvers.span_sessions import Claim, Head, claimed, settle, take_part
from stores.ports import Transaction

_OF_SPANS = (SPAN_START, SPAN_END, SPAN_UPDATE)
_MAX_DEPTH = 200
"""How far above a span an ancestor is looked for."""


async def receive(context: Context, reports: Sequence[SpanReport]) -> Received:
    """Stores what reports say that is not known yet, up to 1,000 in one write.

    A span belongs to the session it names, else to that of its nearest ancestor that names one, else to that of its
    trace. Spans that came before that was known are moved: see resolvers.span_sessions.
    """
    received = Received()
    lines, reports = [one for one in reports if not one.span_id], [one for one in reports if one.span_id]
    for start in range(0, len(lines), MAX_BATCH):
        received += await context.store.write(partial(log_lines.take, lines[start : start + MAX_BATCH]))
    for start in range(0, len(reports), MAX_BATCH):
        batch = reports[start : start + MAX_BATCH]
        files = {file.digest: file for report in batch for file in report.files}
        async with blobs.received(context, files) as arrived:
            written = await context.store.write(
                partial(_taken, batch, context.telemetry_messages, context.tools, files, arrived)
            )
        await settle(context, written.heads, written.claims)
        received += written.received
    return received


async def _taken(
    reports: Sequence[SpanReport],
    told: Told,
    tools: ToolLimits,
    files: Mapping[str, MediaFile],
    arrived: Mapping[str, blobs.Arrived],
    tx: Transaction,
) -> _Written:
    if files:
        found = await blobs.recorded(tx, arrived, list(files))
        reports = [_showing(report, files, found) for report in reports]
    return await _Receiving(tx, told, tools).take(reports)


def _showing(report: SpanReport, files: Mapping[str, MediaFile], found: Mapping[str, Blob]) -> SpanReport:
    """A report whose messages show the blobs that were made of its files. What could not be stored stays a data URL,
    or is told to be left out if it is long."""
    call, by_reference = report.told.call, {file.reference: file for file in files.values()}
    if call is None or not report.files:
        return report
    warnings = list(report.told.warnings)

    def show(part: Media) -> Media:
        file = by_reference.get(part.url or "")
        if file is None:
            return part
        if (blob := found.get(file.digest)) is not None:
            return replace(part, blob_id=blob.id, media_type=blob.media_type, url=None)
        url = f"data:{file.media_type};base64,{b64encode(file.data).decode()}"
        if len(url) <= MAX_JSON:
            return replace(part, url=url)
        warnings.append(f"An image or file of {len(url):,} characters was left out")
        return replace(part, url=None)

    call = call.showing(show)
    return replace(report, told=replace(report.told, call=call, warnings=warnings))


class _Written(msgspec.Struct, frozen=True):
    """What a write did, and the spans and traces that may have to move to other sessions."""

    received: Received
    heads: list[Head]
    claims: dict[str, Claim]


class _Line(msgspec.Struct, frozen=True):
    """A line to be. order: its time, what goes first at one time, and the whole before its parts but ending after."""

    order: tuple[datetime, int, float]
    event: TraceEvent


class _Receiving:
    """One batch of reports on its way into the graph; all that it names is looked up at once."""

    def __init__(self, tx: Transaction, told: Told, tools: ToolLimits) -> None:
        self._tx, self._told_messages, self._tools = tx, told, tools
        self._spans: dict[tuple[str, ...], Span] = {}
        self._parents: dict[tuple[str, ...], str] = {}
        self._own: dict[tuple[str, ...], Id] = {}
        self._reported: set[tuple[str, ...]] = set()
        self._traces: dict[str, Trace] = {}
        self._named: dict[str, Session] = {}
        self._sessions: dict[str, Id | None] = {}
        self._users: dict[str, User] = {}
        self._agents: dict[str, Agent] = {}
        self._known_lines: set[tuple[Id | None, str]] = set()
        self._changed: dict[tuple[str, ...], Span] = {}
        self._claims: dict[str, Claim] = {}
        self._lines: list[_Line] = []

    async def take(self, reports: Sequence[SpanReport]) -> _Written:
        """Writes what is new in the reports."""
        await self._look_up(reports)
        await self._look_up_lines(reports)
        new = sum(self._take(report) for report in reports)
        await self._tx.put(list(self._changed.values()))
        await conversation.tell(self._tx, self._changed.values(), self._told_messages)
        await tool_execution.tell(self._tx, self._changed.values(), self._tools)
        self._lines.sort(key=lambda line: line.order)
        new_id = self._tx.new_id
        for line in self._lines:  # ids grow in the order of the lines; nobody else has these events yet
            force_setattr(line.event, "id", new_id(TraceEvent))
        await self._tx.append([line.event for line in self._lines])
        return _Written(Received(new, len(reports) - new), self._heads(reports), self._claims)

    async def _look_up(self, reports: Sequence[SpanReport]) -> None:
        tx = self._tx
        self._reported = {(report.trace_id, report.span_id) for report in reports}
        keys = dict.fromkeys((report.trace_id, report.span_id) for report in reports)
        keys |= dict.fromkeys((one.trace_id, one.parent_span_id) for one in reports if one.parent_span_id is not None)
        spans = zip(keys, await tx.find(Span, list(keys)), strict=True)
        self._spans = {key: span for key, span in spans if span is not None}
        trace_ids = list({report.trace_id: None for report in reports})
        traces = zip(trace_ids, await tx.find(Trace, [(id,) for id in trace_ids]), strict=True)
        self._traces = {id: trace for id, trace in traces if trace is not None}
        self._users = await all_named(tx, User, called((report.told.user, report.told.user_name) for report in reports))
        self._agents = await all_named(
            tx, Agent, called((report.told.agent, report.told.agent_name) for report in reports)
        )
        await self._look_up_sessions(reports)

    async def _look_up_lines(self, reports: Sequence[SpanReport]) -> None:
        """Which log records are lines of their session already: exporters send again what they had no answer to."""
        keys: dict[tuple[str, str], None] = {}
        for report in reports:
            if report.line is not None:
                there = self._spans.get((report.trace_id, report.span_id))
                if (id := there.session_id if there is not None else self._session(report)) is not None:
                    keys[id, report.line] = None
        if keys:
            found = await self._tx.find(TraceEvent, list(keys))
            self._known_lines = {(event.session_id, event.external_id or "") for event in found if event is not None}

    async def _look_up_sessions(self, reports: Sequence[SpanReport]) -> None:
        """The sessions that are named, created where they are missing, and the session of each trace."""
        tx = self._tx
        first = {
            report.told.session: report for report in sorted(reports, key=_begun, reverse=True) if report.told.session
        }
        names = list(first)
        found = zip(names, await tx.find(Session, [(name,) for name in names]), strict=True) if names else ()
        for name, session in found:
            report = first[name]
            if session is None:
                session = await create_in(tx, CreateSessionInput(external_id=name, created_at=report.started_at))
            self._named[name] = session
        self._name(reports)
        self._claim(reports)
        await self._join(reports)

    def _name(self, reports: Sequence[SpanReport]) -> None:
        """Which spans name a session, and what is above the spans of these reports."""
        for key, span in self._spans.items():
            if span.session_id is not None and not span.inherits_session:
                self._own[key] = span.session_id
            if span.parent_span_id is not None:
                self._parents[key] = span.parent_span_id
        for report in reports:
            key = (report.trace_id, report.span_id)
            if report.told.session is not None:
                self._own.setdefault(key, self._named[report.told.session].id)
            if report.parent_span_id is not None:
                self._parents[key] = report.parent_span_id

    def _claim(self, reports: Sequence[SpanReport]) -> None:
        """Which session each trace belongs to: that which its earliest span names that names one."""
        named: dict[str, Claim] = {}
        for report in reports:
            own, known = self._own.get((report.trace_id, report.span_id)), named.get(report.trace_id)
            if own is not None and report.told.session is not None:
                claim = Claim(own, self._start(report), report.span_id)
                if known is None or claim.is_before(known):
                    named[report.trace_id] = claim
        without = {span.trace_id for span in self._spans.values() if span.session_id is None}
        for id in {report.trace_id for report in reports}:
            trace = self._traces.get(id)
            of = named.get(id) if trace is None else claimed(trace, named.get(id))
            self._sessions[id] = None if of is None else of.session_id
            if trace is not None and of is not None and (id in without or of.session_id != trace.session_id):
                self._claims[id] = of

    async def _join(self, reports: Sequence[SpanReport]) -> None:
        """Who is named in a session takes part in it."""
        actors: dict[Id, dict[Id, None]] = {}
        for report in reports:
            id = self._session(report)
            told = report.told
            if id is not None and (told.user is not None or told.agent is not None):
                of = actors.setdefault(id, {})
                if told.user is not None:
                    of[self._users[told.user].id] = None
                if told.agent is not None:
                    of[self._agents[told.agent].id] = None
        for session in await self._tx.get(Session, list(actors)) if actors else ():
            if session is not None:
                await take_part(self._tx, session, actors[session.id])

    def _session(self, report: SpanReport) -> Id | None:
        """The session it names, else that of the nearest ancestor that names one, else that of the trace."""
        id: str | None = report.span_id
        for _ in range(_MAX_DEPTH):  # parents may go in a circle
            key = (report.trace_id, id or "")
            if (own := self._own.get(key)) is not None:
                return own
            if id is None:
                break
            there = self._spans.get(key)
            if key not in self._reported and there is not None and there.session_id is not None:
                return there.session_id
            id = self._parents.get(key)
        return self._sessions.get(report.trace_id)

    def _heads(self, reports: Sequence[SpanReport]) -> list[Head]:
        """Spans that may have to move, or others below them: all others are where their trace is."""
        found: dict[tuple[str, ...], Head] = {}
        for report in reports:
            key = (report.trace_id, report.span_id)
            span, trace = self._spans[key], self._traces.get(report.trace_id)
            of = self._session(report)
            if trace is None or of is None:
                continue
            if of != span.session_id or (of != trace.session_id and report.trace_id not in self._claims):
                found[key] = Head(span, of, key in self._own)
        return list(found.values())

    def _take(self, report: SpanReport) -> bool:
        """Takes one report on; whether it said anything new."""
        key = (report.trace_id, report.span_id)
        before = self._spans.get(key)
        after = self._told(report, before)
        if after == before and (report.line is None or (after.session_id, report.line) in self._known_lines):
            return False
        if after != before:
            self._spans[key] = self._changed[key] = after
        self._tell(report, before, after)
        return True

    def _start(self, report: SpanReport) -> datetime:
        """When its span began, as far as is known with it."""
        if report.started_at is not None:
            return report.started_at
        if (before := self._spans.get((report.trace_id, report.span_id))) is not None:
            return before.started_at
        first = report.ended_at or next((event.time for event in report.events if event.time), None)
        return first or self._tx.now

    def _told(self, report: SpanReport, before: Span | None) -> Span:
        """A span as it is after a report. It stays in its session, and keeps what the report says nothing of."""
        started, told, own = self._start(report), report.told, self._own.get((report.trace_id, report.span_id))
        agent = None if told.agent is None else self._agents[told.agent].id
        user = None if told.user is None else self._users[told.user].id
        if before is None:
            return Span(
                id=self._tx.new_id(Span),
                trace_id=report.trace_id,
                span_id=report.span_id,
                parent_span_id=report.parent_span_id,
                session_id=self._session(report),
                name=report.name or report.component,
                status_code=report.status_code,
                status_message=report.status_message,
                started_at=started,
                ended_at=None if report.ended_at is None else max(started, report.ended_at),
                attributes=report.attributes,
                message_id=None,
                agent_id=agent,
                user_id=user,
                inherits_session=own is None,
                **columns.fields(told),
            )
        return replace(
            before,
            parent_span_id=report.parent_span_id or before.parent_span_id,
            name=report.name or before.name,
            status_code=before.status_code if report.status_code is SpanStatusCode.UNSET else report.status_code,
            status_message=report.status_message or before.status_message,
            started_at=started,
            ended_at=before.ended_at if report.ended_at is None else max(started, report.ended_at),
            attributes=_merged(before.attributes, report.attributes),
            agent_id=agent or before.agent_id,
            user_id=user or before.user_id,
            inherits_agent=before.inherits_agent and agent is None,
            inherits_user=before.inherits_user and user is None,
            inherits_session=before.inherits_session and (own is None or own != before.session_id),
            **columns.told_of(before, told),
        )

    def _tell(self, report: SpanReport, before: Span | None, after: Span) -> None:
        """The lines that say what a report says: the start, what happened, and the end, or that there is more."""
        start, end = after.started_at, after.ended_at
        length = 0.0 if end is None else milliseconds(start, end)
        if before is None:
            data = after.attributes if end is None else EMPTY_OBJECT
            self._line(report, after, SPAN_START, start, (0, -length), data)
        if report.line is None:
            events: Sequence[ReportedEvent] = _folded(_fresh(report.events, before))
        else:
            events = () if (after.session_id, report.line) in self._known_lines else report.events
            self._known_lines.add((after.session_id, report.line))
        for event in events:
            self._line(report, after, event.name, event.time or end or start, (1, 0), event.attributes)
        if end is not None and (before is None or before.ended_at is None):
            self._line(report, after, SPAN_END, end, (2, length), _ending(after), length)
        elif before is not None and after != before:
            self._line(report, after, SPAN_UPDATE, self._tx.now, (3, 0), _ending(after))

    def _line(
        self,
        report: SpanReport,
        span: Span,
        type: str,
        time: datetime,
        rank: tuple[int, float],
        data: Json,
        duration_ms: float | None = None,
    ) -> None:
        user = None if report.told.user is None else self._users[report.told.user].id
        event = TraceEvent(
            id=Id(""),
            session_id=span.session_id,
            type=type,
            component=report.component,
            time=time,
            duration_ms=duration_ms,
            data=data,
            user_id=user,
            agent_id=span.named_agent_id,
            message_id=None,
            parent_id=None,
            span_record_id=span.id,
            memory_ids=[],
            external_id=report.line if type not in _OF_SPANS and span.session_id is not None else None,
        )
        self._lines.append(_Line((time, *rank), event))


def _begun(report: SpanReport) -> float:
    time = report.started_at or report.ended_at
    return float("inf") if time is None else time.timestamp()


def _merged(before: Json, told: Json) -> Json:
    """Attributes with those that are told now, shortened where all together would be too much."""
    if before == told or told == EMPTY_OBJECT:
        return before
    try:
        return merge(before, told, None, ["attributes"])
    except Rejected:
        return bounded({**decode_json(before), **decode_json(told)}).value


def _fresh(events: Sequence[ReportedEvent], before: Span | None) -> Sequence[ReportedEvent]:
    """The events that were not told before: a tracer only adds to them, so they are the last ones."""
    count = 0 if before is None else decode_json(before.attributes).get(EVENTS_COUNT, 0)
    return events[count:] if isinstance(count, int) and count >= 0 else ()


def _folded(events: Sequence[ReportedEvent]) -> list[ReportedEvent]:
    """Events, of which those of single parts of a streamed answer are one: the first, and how many they are."""
    found: list[ReportedEvent] = []
    chunks: list[ReportedEvent] = []
    for event in events:
        if not is_chunk(event.name):
            found.append(event)
            continue
        if not chunks:
            found.append(event)
        chunks.append(event)
    if len(chunks) > 1:
        counted = encode_json({CHUNKS_COUNT: len(chunks)})
        found[found.index(chunks[0])] = ReportedEvent(chunks[0].time, chunks[0].name, counted)
    return found


def _ending(span: Span) -> Json:
    """What an ended span is: its attributes, and how it ended."""
    how: dict[str, Any] = {"statusCode": span.status_code.value}
    if span.status_message is not None:
        how["statusMessage"] = span.status_message
    told, added = bytes(span.attributes), encode_json(how)
    if b"tatus" in told or b"\\u" in told or len(told) + len(bytes(added)) > MAX_JSON:
        return _merged(span.attributes, added)
    # None of its members can be one of these: the texts are put side by side, which reads and writes none of them anew.
    return Raw(b"%s%s%s" % (told[:-1], b"," if len(told) > 2 else b"", bytes(added)[1:]))
