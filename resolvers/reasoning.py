"""Reasoning chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from domain.actor import Agent
from domain.errors import invalid, not_found
from domain.message import Message
from domain.node import Id, id_of
from domain.reasoning import (
    REASONING,
    ReasoningChain,
    ReasoningChainFilter,
    ReasoningStep,
    ReasoningStepInput,
    ReasoningStepKind,
    RecordReasoningInput,
)
from domain.session import Session
from domain.tool_execution import ToolExecution, call_key
from domain.values import EMPTY_OBJECT, NULL, Ref
from resolvers.actors import named
from resolvers.context import Context, named_by, require
from resolvers.event import log
from resolvers.idempotency import write
from resolvers.lists import Listed
from resolvers.parts import check_name
from stores.ports import Records, Transaction

CHAINS = Listed(Records(ReasoningChain), ReasoningChainFilter)

COMPONENT = "reasoning"


async def record(context: Context, input: RecordReasoningInput) -> ReasoningChain:
    """Begins a reasoning chain, or adds steps to one. Raises Rejected: NOT_FOUND, INVALID, DUPLICATE; CONFLICT where
    the chain is concluded; LIMIT where it would be too long."""

    async def script(tx: Transaction) -> ReasoningChain:
        before = await _begun(tx, input) if input.chain is None else await _named(tx, input)
        steps = [await _step(tx, before, one, index) for index, one in enumerate(input.steps or ())]
        if input.conclusion is not None:
            steps.append(ReasoningStep(ReasoningStepKind.CONCLUSION, input.conclusion, tx.now))
        after = before.continued(steps, tx.now)
        if input.metadata is not None:
            after = replace(after, metadata=input.metadata)
        await tx.put([after])
        if after.session_id is not None:
            told = {"reasoningChain": after.id, "steps": [one.kind.value for one in steps], "before": len(before.steps)}
            concluded = {"concluded": after.conclusion is not None}
            ids = {"agent_id": after.agent_id, "message_id": after.message_id}
            await log(tx, after.session_id, REASONING, COMPONENT, {**told, **concluded}, **ids)
        return after

    return await write(context, input, script)


async def _begun(tx: Transaction, input: RecordReasoningInput) -> ReasoningChain:
    if input.agent is None:
        raise invalid("Name the agent who reasons, or the chain that goes on.", ["agent"])
    await check_name(tx, ReasoningChain, input.external_id)
    session = None if input.session is None else await require(tx, Session, input.session, ["session"])
    message = await _message(tx, input, id_of(session))
    return ReasoningChain(
        id=tx.new_id(ReasoningChain),
        external_id=input.external_id,
        agent_id=(await named(tx, Agent, input.agent, ["agent"])).id,
        session_id=id_of(session) if message is None else message.session_id,
        message_id=id_of(message),
        steps=[],
        conclusion=None,
        metadata=EMPTY_OBJECT,
        created_at=input.created_at or tx.now,
        updated_at=tx.now,
    )


async def _named(tx: Transaction, input: RecordReasoningInput) -> ReasoningChain:
    """The chain that goes on; it may get the message that it led to only now."""
    assert input.chain is not None
    found = await require(tx, ReasoningChain, input.chain, ["chain"])
    others: list[tuple[str, Any, type[Any], Id | None]] = [
        ("agent", input.agent, Agent, found.agent_id),
        ("session", input.session, Session, found.session_id),
    ]
    for name, ref, kind, id in others:
        if ref is not None and (await require(tx, kind, ref, [name])).id != id:
            raise invalid(f"The chain is of another {name}, and stays there.", [name])
    if input.external_id not in (None, found.external_id):
        raise invalid("A chain keeps its externalId.", ["externalId"])
    message = await _message(tx, input, found.session_id)
    if message is None:
        return found
    return replace(found, message_id=message.id, session_id=message.session_id)


async def _message(tx: Transaction, input: RecordReasoningInput, session_id: Id | None) -> Message | None:
    if input.message is None:
        return None
    message = await require(tx, Message, input.message, ["message"])
    if session_id is not None and message.session_id != session_id:
        raise not_found("message of this session", ["message"])
    return message


async def _step(tx: Transaction, chain: ReasoningChain, input: ReasoningStepInput, index: int) -> ReasoningStep:
    ran = await _execution(tx, chain, input, index)
    text = input.text or ""
    if not text.strip() and ran is None and input.data is None:
        raise invalid("A step has a text, data or a tool execution.", ["steps", index, "text"])
    data = NULL if input.data is None else input.data
    return ReasoningStep(input.kind, text, input.created_at or tx.now, id_of(ran), data)


async def _execution(
    tx: Transaction, chain: ReasoningChain, input: ReasoningStepInput, index: int
) -> ToolExecution | None:
    path: list[str | int] = ["steps", index, "toolExecution"]
    if input.tool_execution is not None:
        found: ToolExecution | None = await require(tx, ToolExecution, Ref(id=input.tool_execution), path)
    elif input.call_id is not None:
        path[-1] = "callId"
        [found] = await tx.find(ToolExecution, [(call_key(chain.session_id or Id(""), input.call_id),)])
    else:
        return None
    if found is None or (chain.session_id is not None and found.session_id != chain.session_id):
        raise not_found("tool execution of this session", path)
    return found


async def agents(context: Context, chains: Sequence[ReasoningChain]) -> list[Agent | None]:
    return await named_by(context, Agent, [chain.agent_id for chain in chains])


async def executions(context: Context, steps: Sequence[ReasoningStep]) -> list[ToolExecution | None]:
    return await named_by(context, ToolExecution, [step.tool_execution_id for step in steps])
