"""Tool executions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from domain.actor import Agent
from domain.errors import ErrorCode, invalid, not_found, reject
from domain.message import Message, ToolCall
from domain.node import Id
from domain.page import Slice
from domain.session import Session
from domain.span import Span, SpanKind
from domain.tool_execution import (
    TOOL_END,
    TOOL_START,
    TOOL_TIMEOUT,
    FinishToolExecutionInput,
    StartToolExecutionInput,
    ToolExecution,
    ToolExecutionFilter,
    ToolLimits,
    ToolStats,
    ToolStatus,
    as_stored,
    call_id_of,
    call_key,
    keys_of,
    told_by,
)
from domain.values import NULL, Ref
from resolvers.actors import named, whose
from resolvers.context import Context, named_by, require
from resolvers.event import log
from resolvers.idempotency import write
from resolvers.lists import ROOT
from stores.ports import By, Group, Grouping, Records, Transaction, Value

R = TypeVar("R", Message, Span)

COMPONENT = "tool"
"""The component of the events of tool executions."""

_LOOKED_AT = 50
"""Among how many of a session's last messages the call is looked for that an execution answers."""

_EACH = 100
"""How many executions of one message are looked at for its calls."""


async def start(context: Context, input: StartToolExecutionInput) -> ToolExecution:
    """Starts a tool execution, or joins the one that a span has told of, and logs it in its session. Raises Rejected:
    NOT_FOUND; DUPLICATE where the call runs already; LIMIT where too many run."""

    async def script(tx: Transaction) -> ToolExecution:
        session = await require(tx, Session, input.session, ["session"])
        before = None if input.call_id is None else await _latest(tx, session.id, input.call_id)
        if before is not None and before.asked and before.status_at(tx.now) is ToolStatus.PENDING:
            raise reject(ErrorCode.DUPLICATE, "This call runs already.", ["callId"])
        if before is None or before.asked:
            await _check_room(tx, session, context.tools)
            made = _new(tx, context.tools, session_id=session.id, tool=input.tool, started_at=input.started_at)
        else:
            made = before
        after = replace(
            made,
            tool=input.tool,
            call_id=input.call_id,
            arguments=made.arguments if input.arguments is None else input.arguments,
            agent_id=made.agent_id if input.agent is None else await _agent(tx, input),
            message_id=await _message(tx, session, input) or made.message_id,
            span_record_id=made.span_record_id if input.span is None else await _span(tx, session, input.span),
            asked=True,
        )
        if input.call_id is not None:
            if before is not None and before is not made:
                await tx.put([before.retired()])
            after = replace(after, call_key=call_key(session.id, input.call_id))
        await tx.put([after])
        await _log(tx, TOOL_START, after)
        return after

    return await write(context, input, script)


def _new(tx: Transaction, limits: ToolLimits, **told: Any) -> ToolExecution:
    """A pending execution that is all its own; it times out so long after it was told of."""
    id = tx.new_id(ToolExecution)
    nothing = dict.fromkeys(
        ["session_id", "message_id", "span_record_id", "agent_id", "call_id", "error", "ended_at", "duration_ms"]
    )
    started = told.pop("started_at", None) or tx.now
    return ToolExecution(
        id=id,
        call_key=id,
        arguments=NULL,
        result=NULL,
        status=ToolStatus.PENDING,
        started_at=started,
        times_out_at=limits.end(tx.now),
        **{**nothing, **told},
    )


async def _latest(tx: Transaction, session_id: Id, call_id: str) -> ToolExecution | None:
    return (await tx.find(ToolExecution, [(call_key(session_id, call_id),)]))[0]


async def _check_room(tx: Transaction, session: Session, limits: ToolLimits) -> None:
    running = await tx.running(limits.in_workspace)
    if sum(one.session_id == session.id for one in running) >= limits.in_session:
        message = f"{limits.in_session} tools run in this session; no more may at once (RECOLLECT_TOOLS_IN_SESSION)."
        raise reject(ErrorCode.LIMIT, message, ["session"])
    if len(running) >= limits.in_workspace:
        message = f"{limits.in_workspace} tools run; no more may at once (RECOLLECT_TOOLS_AT_ONCE)."
        raise reject(ErrorCode.LIMIT, message, ["session"])


async def _agent(tx: Transaction, input: StartToolExecutionInput) -> Id | None:
    return None if input.agent is None else (await named(tx, Agent, input.agent, ["agent"])).id


async def _message(tx: Transaction, session: Session, input: StartToolExecutionInput) -> Id | None:
    """The message named, or the last one that has the call."""
    if input.message is None:
        return None if input.call_id is None else (await _callers(tx, session.id, [input.call_id])).get(input.call_id)
    found = await require(tx, Message, input.message, ["message"])
    return _of(session, found, "message").id


async def _span(tx: Transaction, session: Session, id: Id) -> Id:
    return _of(session, await require(tx, Span, Ref(id=id), ["span"]), "span").id


def _of(session: Session, record: R, name: str) -> R:
    if record.session_id != session.id:
        raise not_found(f"{name} of this session", [name])
    return record


async def _callers(tx: Transaction, session_id: Id, call_ids: Iterable[str]) -> dict[str, Id]:
    """The messages among a session's last ones that have these calls."""
    wanted, found = set(call_ids), dict[str, Id]()
    for message in await tx.latest(session_id, _LOOKED_AT):
        for call in message.tool_calls:
            if call.call_id in wanted:
                found.setdefault(call.call_id, message.id)
    return found


async def finish(context: Context, input: FinishToolExecutionInput) -> ToolExecution:
    """Ends a tool execution and logs it in its session. Raises Rejected: NOT_FOUND; CONFLICT where it has ended or
    timed out."""

    async def script(tx: Transaction) -> ToolExecution:
        before = await _named(tx, input)
        if before.answered or (before.times_out_at is None and before.status is ToolStatus.TIMEOUT):
            raise reject(ErrorCode.CONFLICT, "This tool execution has already ended.", ["toolExecution"])
        if before.status_at(tx.now) is ToolStatus.TIMEOUT:
            raise reject(ErrorCode.CONFLICT, "This tool execution has timed out.", ["toolExecution"])
        status = input.status or (ToolStatus.OK if input.error is None else ToolStatus.ERROR)
        if status is ToolStatus.PENDING:
            raise invalid("A tool execution ends as OK, ERROR or TIMEOUT.", ["status"])
        if input.ended_at is not None and input.ended_at < before.started_at:
            raise invalid("A tool execution cannot end before it starts.", ["endedAt"])
        ended = max(input.ended_at or before.ended_at or tx.now, before.started_at)
        result = before.result if input.result is None else input.result
        after = replace(before.ended(status, ended, result, input.error), answered=True)
        await tx.put([after])
        await _log(tx, TOOL_END, after)
        return after

    return await write(context, input, script)


async def _named(tx: Transaction, input: FinishToolExecutionInput) -> ToolExecution:
    if input.tool_execution is not None:
        return await require(tx, ToolExecution, Ref(id=input.tool_execution), ["toolExecution"])
    if input.session is None or input.call_id is None:
        raise invalid("Name the execution: toolExecution, or session and callId.", ["toolExecution"])
    session = await require(tx, Session, input.session, ["session"])
    if (found := await _latest(tx, session.id, input.call_id)) is None:
        raise not_found(ToolExecution.noun, ["callId"])
    return found


async def _log(tx: Transaction, type: str, of: ToolExecution) -> None:
    """Tells the session's log of an execution."""
    data = {"toolExecution": of.id, "tool": of.tool, "callId": of.call_id, "status": of.status.value}
    await log(
        tx,
        of.session_id,
        type,
        COMPONENT,
        data if of.error is None else {**data, "error": of.error},
        time=(of.started_at if type == TOOL_START else of.ended_at) or tx.now,
        duration_ms=of.duration_ms,
        agent_id=of.agent_id,
        message_id=of.message_id,
        span_record_id=of.span_record_id,
    )


async def time_out(tx: Transaction, limit: int) -> int:
    """Stores of some executions that have not ended in time that they are a TIMEOUT; how many."""
    late = await tx.expired(ToolExecution, limit)
    for one in late:
        after = replace(one, status=ToolStatus.TIMEOUT, times_out_at=None)
        await tx.put([after])
        await _log(tx, TOOL_TIMEOUT, after)
    return len(late)


async def tell(tx: Transaction, spans: Iterable[Span], limits: ToolLimits) -> None:
    """Stores what the spans of tools, which were put, tell of executions."""
    of = [span for span in spans if span.kind is SpanKind.TOOL]
    keys = list(dict.fromkeys(key for span in of for key in keys_of(span)))
    found = await tx.find(ToolExecution, [(key,) for key in keys]) if keys else []
    known = {key: one for key, one in zip(keys, found, strict=True) if one is not None}
    callers: dict[Id, dict[str, Id]] = {}
    for span in of:
        if _has_twin(span, known):
            await tx.delete(ToolExecution, [known.pop(span.id).id])
        for one in _told(tx, span, known, limits):
            call_id, session_id = one.call_id, one.session_id
            if one.message_id is None and call_id is not None and session_id is not None:
                if session_id not in callers:
                    ids = [id for span in of if span.session_id == session_id and (id := call_id_of(span))]
                    callers[session_id] = await _callers(tx, session_id, ids)
                one = replace(one, message_id=callers[session_id].get(call_id))
            known[one.call_key] = one
            await tx.put([one])


async def leave(tx: Transaction, spans: Iterable[Span]) -> None:
    """Lets spans take along the executions that they alone have told of. spans: as they were in what they leave."""
    keys = {keys_of(span)[0]: span.id for span in spans if span.kind is SpanKind.TOOL}
    found = await tx.find(ToolExecution, [(key,) for key in keys]) if keys else []
    own = [one for one, id in zip(found, keys.values(), strict=True) if one is not None and one.span_record_id == id]
    await tx.put([one.retired() for one in own if not one.asked])


def _has_twin(span: Span, known: dict[str, ToolExecution]) -> bool:
    """Whether the execution that a span made stands beside one that a caller told of: it was not known that they are of
    one session."""
    there, own = known.get(keys_of(span)[0]), known.get(span.id)
    if there is None or own is None or there.id == own.id:
        return False
    return there.span_record_id is None and not own.asked


def _told(tx: Transaction, span: Span, known: dict[str, ToolExecution], limits: ToolLimits) -> list[ToolExecution]:
    """The executions that a span changes, its own coming last."""
    key, *_ = keys_of(span)
    there, own = known.get(key), known.get(span.id)
    if own is None and there is not None and there.span_record_id in (None, span.id):
        own = there
    if own is None:
        tool = span.call.ran.tool if span.call is not None and span.call.ran is not None else ""
        own = _new(tx, limits, tool=tool or span.name, started_at=span.started_at)
    after = told_by(span, own)
    if there is not None and there.id != own.id and there.started_at > after.started_at:
        return [replace(after, call_key=span.id)]  # the call was made again since
    retired = [] if there is None or there.id == own.id else [there.retired()]
    return [*retired, replace(after, call_key=key)]


async def join(tx: Transaction, messages: Sequence[Message]) -> None:
    """Tells executions that are there already which of the messages, which were put, have their calls."""
    calls = {call_key(one.session_id, call.call_id): one.id for one in messages for call in one.tool_calls}
    if not calls:
        return
    found = await tx.find(ToolExecution, [(key,) for key in calls])
    await tx.put(
        [
            replace(one, message_id=message_id)
            for one, message_id in zip(found, calls.values(), strict=True)
            if one is not None and one.message_id is None
        ]
    )


async def statuses(context: Context, executions: Sequence[ToolExecution]) -> list[ToolStatus]:
    now = context.clock()
    return [one.status_at(now) for one in executions]


async def spans(context: Context, executions: Sequence[ToolExecution]) -> list[Span | None]:
    return await named_by(context, Span, [one.span_record_id for one in executions])


async def of_spans(context: Context, spans: Sequence[Span]) -> list[ToolExecution | None]:
    """The execution that each span tells of."""
    pages = await context.store.pages(Records(ToolExecution, "span"), [span.id for span in spans], Slice(1))
    return [next(iter(page.nodes), None) for page in pages]


async def of_calls(context: Context, calls: Sequence[ToolCall]) -> list[ToolExecution | None]:
    """The latest execution of each call of a message."""
    ids = list(dict.fromkeys(call.at.message_id for call in calls if call.at is not None))
    pages = await context.store.pages(Records(ToolExecution, "message"), ids, Slice(_EACH)) if ids else []
    found: dict[tuple[Id | None, str | None], ToolExecution] = {}
    for page in pages:
        for one in page.nodes:
            found.setdefault((one.message_id, one.call_id), one)
    return [None if call.at is None else found.get((call.at.message_id, call.call_id)) for call in calls]


_TOOK = Value("duration_ms", ends=True)
_ENDED = (("status", "OK"), ("status", "ERROR"))


async def tool_stats(context: Context, filter: ToolExecutionFilter | None = None) -> list[ToolStats]:
    """What became of the executions of each tool, the most used one first."""
    await whose(context, filter)
    now, of, by = context.clock(), Records(ToolExecution), (By("tool"),)
    late = ToolExecutionFilter(statuses=[ToolStatus.TIMEOUT], and_=None if filter is None else [filter])
    all, timed_out = await asyncio.gather(
        context.store.grouped(of, [ROOT], Grouping(by, (_TOOK,), _ENDED, _TOOK), filter and as_stored(filter, now)),
        context.store.grouped(of, [ROOT], Grouping(by), as_stored(late, now)),
    )
    timeouts = {group.key: group.count for group in timed_out[0]}
    return sorted(
        (_stats(group, timeouts.get(group.key, 0)) for group in all[0]), key=lambda one: (-one.count, one.tool)
    )


def _stats(group: Group, timeout: int) -> ToolStats:
    [took], (ok, error), (p50, p90, p95, p99) = group.values, group.having, group.percentiles
    return ToolStats(
        tool=str(group.key[0]),
        count=group.count,
        pending=group.count - ok - error - timeout,
        ok=ok,
        error=error,
        timeout=timeout,
        average_ms=took.sum / took.count if took.count else None,
        p50_ms=p50,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=took.most,
    )
