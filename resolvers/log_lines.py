"""Log records of no span: lines of the sessions that they name."""

from __future__ import annotations

from collections.abc import Sequence

from domain.actor import Agent, User
from domain.node import Id, id_of
from domain.session import CreateSessionInput, Session
from domain.telemetry import Received, SpanReport
from domain.trace import TraceEvent
from resolvers.actors import all_named, called
from resolvers.sessions import create_in
from resolvers.span_sessions import take_part
from stores.ports import Transaction


async def take(reports: Sequence[SpanReport], tx: Transaction) -> Received:
    """Appends records to the logs of their sessions, which are created where they are missing; each once."""
    users = await all_named(tx, User, called((one.told.user, one.told.user_name) for one in reports))
    agents = await all_named(tx, Agent, called((one.told.agent, one.told.agent_name) for one in reports))
    sessions = await _sessions(tx, reports)
    named = {(sessions[one.told.session or ""].id, one.line or ""): one for one in reports}
    new = [
        (Id(session_id), one)
        for (session_id, _), one, known in zip(
            named, named.values(), await tx.find(TraceEvent, list(named)), strict=True
        )
        if known is None
    ]
    lines = []
    for session_id, one in new:
        user, agent = users.get(one.told.user or ""), agents.get(one.told.agent or "")
        lines.append(_line(tx, one, session_id, id_of(user), id_of(agent)))
    for session in sessions.values():
        actors = [id for line in lines if line.session_id == session.id for id in (line.user_id, line.agent_id)]
        await take_part(tx, session, actors)
    await tx.append(lines)
    return Received(len(lines), len(reports) - len(lines))


def _line(tx: Transaction, report: SpanReport, session_id: Id, user_id: Id | None, agent_id: Id | None) -> TraceEvent:
    [event] = report.events
    return TraceEvent(
        id=tx.new_id(TraceEvent),
        session_id=session_id,
        type=event.name,
        component=report.component,
        time=event.time or tx.now,
        duration_ms=None,
        data=event.attributes,
        user_id=user_id,
        agent_id=agent_id,
        message_id=None,
        parent_id=None,
        span_record_id=None,
        memory_ids=[],
        external_id=report.line,
    )


async def _sessions(tx: Transaction, reports: Sequence[SpanReport]) -> dict[str, Session]:
    """By name the sessions of records."""
    first: dict[str, SpanReport] = {}
    for one in reports:
        first.setdefault(one.told.session or "", one)
    found: dict[str, Session] = {}
    for name, session in zip(first, await tx.find(Session, [(name,) for name in first]), strict=True):
        at = first[name].events[0].time
        found[name] = session or await create_in(tx, CreateSessionInput(external_id=name, created_at=at))
    return found
