"""Workflows: the states that one may be in, the ways between them, and what was executed on the way."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from domain.declaration import NATURAL, listed, refers
from domain.errors import ErrorCode, invalid, reject
from domain.node import Id, Node, OfWhich, register
from domain.values import MAX_BATCH, MAX_TEXT, Command, GivenJson, GivenObject, Json, Key, Ref, Text, Whose

WORKFLOW_DEFINED = "workflow_defined"
WORKFLOW_ADVANCED = "workflow_advanced"
EXECUTION = "execution"

Path = Sequence[str | int]


class WorkflowTransition(msgspec.Struct, frozen=True):
    """A way out of a state. name: what those who take it may call it."""

    to: str
    name: str | None = None


class WorkflowState(msgspec.Struct, frozen=True):
    """A state, and the ways out of it."""

    name: str
    description: str | None = None
    transitions: list[WorkflowTransition] = []

    @property
    def is_final(self) -> bool:
        return not self.transitions


class Workflow(msgspec.Struct, frozen=True):
    """The states of a workflow, in the order in which they were given, and the one that it is in."""

    states: list[WorkflowState]
    state: str

    def advanced(self, to: str | None, transition: str | None) -> Workflow:
        """The same after a transition, which is called by where it leads, by its name, or by both.

        Raises Rejected: INVALID for one that may be several; CONFLICT for one that does not leave the state.
        """
        [here] = (one for one in self.states if one.name == self.state)
        ways = [one for one in here.transitions if to in (None, one.to) and transition in (None, one.name)]
        where = "to" if transition is None else "transition"
        if not ways:
            open_ = ", ".join(dict.fromkeys(one.to for one in here.transitions)) or "nowhere"
            raise reject(ErrorCode.CONFLICT, f"From the state {self.state} the way leads to: {open_}.", [where])
        if len({one.to for one in ways}) > 1:
            raise invalid(f"Several ways lead on from the state {self.state}; say where to.", ["to"])
        return replace(self, state=ways[0].to)


class ExecutionStatus(enum.Enum):
    """How an execution of a workflow stands."""

    PENDING = "PENDING"
    OK = "OK"
    ERROR = "ERROR"


class WorkflowExecution(Node, frozen=True, kw_only=True, gc=False):
    """What was executed in a workflow. state: the one that the workflow was in."""

    prefix: ClassVar[str] = "wex"
    noun: ClassVar[str] = "workflow execution"

    external_id: Annotated[str | None, NATURAL]
    session_id: Annotated[Id, refers("Session", gone="cascade", edge="OF"), listed("created_at")]
    state: str | None
    name: str
    input: Json
    output: Json
    error: str | None
    status: ExecutionStatus
    agent_id: Annotated[Id | None, refers("Agent", gone="keep")]
    started_at: datetime
    ended_at: datetime | None
    duration_ms: float | None
    metadata: Json
    created_at: datetime


register(WorkflowExecution)


class WorkflowStateInput(Command, frozen=True, kw_only=True):
    """A state that a workflow may be in."""

    name: Key
    description: Text | None = None


class WorkflowTransitionInput(Command, frozen=True, kw_only=True):
    """A way from one state to another, or back to itself."""

    from_: Key = msgspec.field(name="from")
    to: Key
    name: Key | None = None


class WorkflowInput(Command, frozen=True, kw_only=True):
    """The definition of a workflow. initial: the state that it begins with; the first one where it is left out. A
    workflow that is under way stays in its state, which must be among the new ones."""

    states: Annotated[list[WorkflowStateInput], Meta(min_length=1, max_length=MAX_BATCH)]
    transitions: Annotated[list[WorkflowTransitionInput], Meta(max_length=MAX_BATCH)] | None = None
    initial: Key | None = None


def defined(input: WorkflowInput, path: Path) -> Workflow:
    """The workflow of a definition, at its beginning. Raises Rejected (INVALID)."""
    names: set[str] = set()
    for index, state in enumerate(input.states):
        if state.name in names:
            raise invalid("Two states have this name.", [*path, "states", index, "name"])
        names.add(state.name)
    ways: dict[str, list[WorkflowTransition]] = {name: [] for name in names}
    for index, way in enumerate(input.transitions or ()):
        for end, name in (("from", way.from_), ("to", way.to)):
            if name not in names:
                raise invalid(f"There is no state {name}.", [*path, "transitions", index, end])
        made = WorkflowTransition(way.to, way.name)
        if made in ways[way.from_]:
            raise invalid("This transition is there twice.", [*path, "transitions", index])
        ways[way.from_].append(made)
    if input.initial is not None and input.initial not in names:
        raise invalid(f"There is no state {input.initial}.", [*path, "initial"])
    states = [WorkflowState(one.name, one.description, ways[one.name]) for one in input.states]
    return Workflow(states, input.initial or states[0].name)


def redefined(before: Workflow | None, input: WorkflowInput, path: Path) -> Workflow:
    """The workflow of another definition, in the state that it was in. Raises Rejected: INVALID; CONFLICT where that
    state is not among the new ones."""
    after = defined(input, path)
    if before is None:
        return after
    if all(one.name != before.state for one in after.states):
        message = f"The workflow is in the state {before.state}, which is not among these."
        raise reject(ErrorCode.CONFLICT, message, [*path, "states"])
    return replace(after, state=before.state)


class AdvanceWorkflowInput(Command, frozen=True, kw_only=True):
    """A transition, called by the state that it leads to, by its name, or by both. from: the state that the workflow
    must be in."""

    session: Ref
    to: Key | None = None
    transition: Key | None = None
    from_: Key | None = msgspec.field(name="from", default=None)
    agent: Whose = None
    data: GivenJson = None
    idempotency_key: Key | None = None


class RecordExecutionInput(Command, frozen=True, kw_only=True):
    """What was executed in a workflow, or the end of an execution that was recorded while it was pending: then the
    members that are left out stay. name: of what was executed; the state where it is left out. status: ERROR with an
    error, else OK, where it is left out."""

    session: Ref
    execution: OfWhich = None
    name: Key | None = None
    state: Key | None = None
    input: GivenJson = None
    output: GivenJson = None
    error: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None
    status: ExecutionStatus | None = None
    agent: Whose = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: Annotated[float, Meta(ge=0)] | None = None
    metadata: GivenObject = None
    external_id: Key | None = None
    idempotency_key: Key | None = None
