"""Workflows: the states they go through, and what is executed in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from domain.actor import Agent
from domain.errors import ErrorCode, invalid, not_found, reject
from domain.node import Id
from domain.session import Session, SessionKind
from domain.span import milliseconds
from domain.values import EMPTY_OBJECT, NULL, Ref, Whose, decode_json
from domain.workflow import (
    EXECUTION,
    WORKFLOW_ADVANCED,
    WORKFLOW_DEFINED,
    AdvanceWorkflowInput,
    ExecutionStatus,
    RecordExecutionInput,
    Workflow,
    WorkflowExecution,
)
from resolvers.actors import named
from resolvers.context import Context, require
from resolvers.event import log
from resolvers.idempotency import write
from resolvers.parts import check_name, check_room, is_full, parts, session_of
from stores.ports import Transaction

COMPONENT = "workflow"


async def tell_defined(tx: Transaction, session_id: Id, workflow: Workflow, at: datetime) -> None:
    """Tells a session's log which states its workflow has from a time on."""
    told = {"state": workflow.state, "states": [one.name for one in workflow.states]}
    await log(tx, session_id, WORKFLOW_DEFINED, COMPONENT, told, time=at)


async def advance(context: Context, input: AdvanceWorkflowInput) -> Session:
    """Takes a workflow from its state to another one. Raises Rejected: NOT_FOUND; INVALID where the session is no
    workflow; CONFLICT where no such transition leaves its state, and then nothing changes."""

    async def script(tx: Transaction) -> Session:
        session = await session_of(tx, SessionKind.WORKFLOW, input.session)
        before = session.workflow
        if before is None:
            raise reject(ErrorCode.CONFLICT, "This workflow has no states yet; updateSession gives it some.", ["to"])
        if input.from_ not in (None, before.state):
            raise reject(ErrorCode.CONFLICT, f"The workflow is in the state {before.state}.", ["from"])
        workflow = before.advanced(input.to, input.transition)
        agent_id = await _agent(tx, input.agent)
        after = replace(session, workflow=workflow, updated_at=tx.now, version=session.version + 1)
        await tx.put([after])
        told = {"from": before.state, "to": workflow.state, "transition": input.transition}
        data = None if input.data is None else decode_json(input.data)
        await log(tx, session.id, WORKFLOW_ADVANCED, COMPONENT, {**told, "data": data}, agent_id=agent_id)
        return after

    return await write(context, input, script)


async def _agent(tx: Transaction, ref: Whose) -> Id | None:
    return None if ref is None else (await named(tx, Agent, ref, ["agent"])).id


async def record(context: Context, input: RecordExecutionInput) -> WorkflowExecution:
    """Records what was executed in a workflow, or ends an execution that is pending. Raises Rejected: NOT_FOUND;
    INVALID where the session is no workflow; CONFLICT for an execution that has ended; DUPLICATE; LIMIT."""
    full = input.execution is None and await is_full(context, WorkflowExecution, input.session)

    async def script(tx: Transaction) -> WorkflowExecution:
        session = await session_of(tx, SessionKind.WORKFLOW, input.session)
        check_room(context, WorkflowExecution, full, ["session"])
        made = await _begun(tx, session, input) if input.execution is None else await _pending(tx, session, input)
        after = replace(made, **await _given(tx, session, input))
        after = replace(after, **_times(after, input, tx.now))
        await tx.put([after])
        names = {"execution": after.id, "name": after.name, "state": after.state}
        told = {**names, "status": after.status.value, "error": after.error}
        times = {"time": after.ended_at or after.started_at, "duration_ms": after.duration_ms}
        await log(tx, session.id, EXECUTION, COMPONENT, told, agent_id=after.agent_id, **times)
        return after

    return await write(context, input, script)


async def _begun(tx: Transaction, session: Session, input: RecordExecutionInput) -> WorkflowExecution:
    await check_name(tx, WorkflowExecution, input.external_id)
    state = None if session.workflow is None else session.workflow.state
    if (name := input.name or input.state or state) is None:
        raise invalid("Say what was executed: this workflow has no states.", ["name"])
    return WorkflowExecution(
        id=tx.new_id(WorkflowExecution),
        external_id=input.external_id,
        session_id=session.id,
        state=state,
        name=name,
        input=NULL,
        output=NULL,
        error=None,
        status=ExecutionStatus.PENDING,
        agent_id=None,
        started_at=tx.now,
        ended_at=None,
        duration_ms=None,
        metadata=EMPTY_OBJECT,
        created_at=tx.now,
    )


async def _pending(tx: Transaction, session: Session, input: RecordExecutionInput) -> WorkflowExecution:
    found = await require(tx, WorkflowExecution, Ref(id=input.execution), ["execution"])
    if found.session_id != session.id:
        raise not_found("execution of this session", ["execution"])
    if found.status is not ExecutionStatus.PENDING:
        raise reject(ErrorCode.CONFLICT, "This execution has already ended.", ["execution"])
    if input.external_id not in (None, found.external_id):
        raise invalid("An execution keeps its externalId.", ["externalId"])
    return found


async def _given(tx: Transaction, session: Session, input: RecordExecutionInput) -> dict[str, Any]:
    """What is told of an execution, but for its times."""
    if input.state is not None and all(one.name != input.state for one in (session.workflow or _NONE).states):
        raise invalid(f"There is no state {input.state}.", ["state"])
    told = {name: getattr(input, name) for name in ("name", "state", "input", "output", "error", "metadata")}
    told["agent_id"] = await _agent(tx, input.agent)
    failed = ExecutionStatus.OK if input.error is None else ExecutionStatus.ERROR
    return {**{name: one for name, one in told.items() if one is not None}, "status": input.status or failed}


_NONE = Workflow([], "")


def _times(of: WorkflowExecution, input: RecordExecutionInput, now: datetime) -> dict[str, Any]:
    """When it began and ended, as far as it is told. Raises Rejected (INVALID)."""
    began = input.started_at or (of.started_at if input.execution is not None else None)
    if of.status is ExecutionStatus.PENDING:
        if input.ended_at is not None or input.duration_ms is not None:
            raise invalid("What is pending has not ended.", ["status"])
        return {"started_at": began or now}
    try:
        lasted = None if input.duration_ms is None else timedelta(milliseconds=input.duration_ms)
        ended = input.ended_at or (began + lasted if began is not None and lasted is not None else now)
        began = began or (ended if lasted is None else ended - lasted)
    except OverflowError:
        raise invalid("durationMs leads beyond the years 1 to 9999.", ["durationMs"]) from None
    if ended < began:
        raise invalid("An execution cannot end before it starts.", ["endedAt"])
    took = milliseconds(began, ended) if input.duration_ms is None else input.duration_ms
    return {"started_at": began, "ended_at": ended, "duration_ms": took}


async def executions(context: Context, sessions: Sequence[Session]) -> list[list[WorkflowExecution]]:
    return await parts(context, WorkflowExecution, "session", [session.id for session in sessions])
