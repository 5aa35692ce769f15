"""Reasoning chains: what agents thought, did and saw, step by step, and what they came to."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from domain.declaration import NATURAL, SORTED, listed, refers, shown
from domain.errors import ErrorCode, invalid, reject
from domain.node import Id, Node, OfWhich, register
from domain.page import OrderDirection
from domain.values import MAX_BATCH, Command, GivenJson, GivenObject, Json, Key, Ref, Text, TimeRange, Whose

REASONING = "reasoning"

MAX_STEPS = 1_000
MAX_CHAIN = 1024 * 1024
"""How many steps a chain may have, and characters of text in all of them."""


class ReasoningStepKind(enum.Enum):
    """What a step of a reasoning chain is."""

    THOUGHT = "THOUGHT"
    TOOL_CALL = "TOOL_CALL"
    OBSERVATION = "OBSERVATION"
    CONCLUSION = "CONCLUSION"


class ReasoningStep(msgspec.Struct, frozen=True):
    """One step. tool_execution_id: of the run of a tool that it made or saw, also of one that was deleted since."""

    kind: ReasoningStepKind
    text: str
    created_at: datetime
    tool_execution_id: Id | None = None
    data: Json = msgspec.Raw(b"null")


class ReasoningChain(Node, frozen=True, kw_only=True, gc=False):
    """Steps that an agent took, in order. It is concluded, and takes no more, once its last step is a CONCLUSION."""

    prefix: ClassVar[str] = "rea"
    noun: ClassVar[str] = "reasoning chain"

    external_id: Annotated[str | None, NATURAL]
    agent_id: Annotated[
        Id,
        refers("Agent", gone="cascade", edge="BY"),
        listed("created_at"),
        shown("reasoning_chains", "How it reasoned, newest first."),
    ]
    session_id: Annotated[
        Id | None,
        refers("Session", gone="cascade", edge="IN"),
        listed("created_at"),
        shown("reasoning_chains", "How agents reasoned in it, newest first."),
    ]
    message_id: Annotated[
        Id | None,
        refers("Message", gone="null", edge="ABOUT"),
        listed("created_at"),
        shown("reasoning_chains", "The reasoning that led to it, newest first."),
    ]
    steps: list[ReasoningStep]
    conclusion: str | None
    metadata: Json
    created_at: Annotated[datetime, SORTED]
    updated_at: datetime

    def continued(self, steps: Sequence[ReasoningStep], now: datetime) -> ReasoningChain:
        """The same with more steps. Raises Rejected: CONFLICT where it is concluded, INVALID for a step behind a
        conclusion, LIMIT where it would be too long."""
        if self.conclusion is not None and steps:
            raise reject(ErrorCode.CONFLICT, "This reasoning chain is concluded.", ["chain"])
        every = [*self.steps, *steps]
        for index, step in enumerate(steps[:-1]):
            if step.kind is ReasoningStepKind.CONCLUSION:
                raise invalid("No step follows a conclusion.", ["steps", index + 1])
        if len(every) > MAX_STEPS:
            raise reject(ErrorCode.LIMIT, f"A reasoning chain may have {MAX_STEPS:,} steps.", ["steps"])
        if sum(len(step.text) + len(bytes(step.data)) for step in every) > MAX_CHAIN:
            message = f"The steps of a reasoning chain may have {MAX_CHAIN:,} characters in all."
            raise reject(ErrorCode.LIMIT, message, ["steps"])
        last = every[-1] if every else None
        concluded = last is not None and last.kind is ReasoningStepKind.CONCLUSION
        return replace(self, steps=every, conclusion=last.text if last and concluded else None, updated_at=now)


register(ReasoningChain)


class ReasoningChainOrderField(enum.Enum):
    """Fields to sort reasoning chains by."""

    CREATED_AT = "CREATED_AT"


class ReasoningChainOrder(Command, frozen=True, kw_only=True):
    """Sort order of reasoning chains; ties are broken by id."""

    field: ReasoningChainOrderField = ReasoningChainOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class ReasoningChainFilter(Command, frozen=True, kw_only=True):
    """Selects reasoning chains; all given members must match. running: those without a conclusion, or with one."""

    agent: Whose = None
    session: Whose = None
    message: OfWhich = None
    running: bool | None = None
    created_at: TimeRange | None = None
    and_: list[ReasoningChainFilter] | None = msgspec.field(name="and", default=None)
    or_: list[ReasoningChainFilter] | None = msgspec.field(name="or", default=None)
    not_: ReasoningChainFilter | None = msgspec.field(name="not", default=None)


class ReasoningStepInput(Command, frozen=True, kw_only=True):
    """A step of a reasoning chain. toolExecution, or callId in a chain of a session: the run of a tool that it made or
    saw. A step has a text, data or such a run."""

    kind: ReasoningStepKind = ReasoningStepKind.THOUGHT
    text: Text | None = None
    tool_execution: OfWhich = None
    call_id: Key | None = None
    data: GivenJson = None
    created_at: datetime | None = None


class RecordReasoningInput(Command, frozen=True, kw_only=True):
    """A new reasoning chain of an agent, or more steps of one that is not concluded (chain). conclusion: short for a
    last step of kind CONCLUSION. message: what the chain led to."""

    chain: Whose = None
    agent: Whose = None
    session: Whose = None
    message: Ref | None = None
    steps: Annotated[list[ReasoningStepInput], Meta(max_length=MAX_BATCH)] | None = None
    conclusion: Text | None = None
    metadata: GivenObject = None
    created_at: datetime | None = None
    external_id: Key | None = None
    idempotency_key: Key | None = None
