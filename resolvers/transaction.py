"""Run several mutations as one write.

Each mutation is run as ever, up to its write: what it reads and embeds before that, all do side by side. Then their
scripts run one after the other in one transaction, and each mutation goes on with what its script returned.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast, get_args, get_type_hints

import msgspec
from msgspec.structs import replace

from domain.actor import Agent, User
from domain.annotation import Annotation
from domain.entity import Entity
from domain.errors import Rejected, invalid
from domain.experiment import Experiment, ExperimentResult
from domain.link import LinkMemoriesInput, MemoryLink, MemoryLinkKind
from domain.memory import Memory
from domain.message import Message
from domain.node import Id, Node
from domain.panel import Decision, Insight
from domain.participant import Participant
from domain.reasoning import ReasoningChain
from domain.session import Session
from domain.session_link import SessionLink
from domain.span import Span
from domain.state import StateEntry
from domain.tool_execution import ToolExecution
from domain.trace import TraceEvent
from domain.transaction import RESULT, EmitInput, Operation, TransactionInput
from domain.values import Command
from domain.workflow import WorkflowExecution
from resolvers import (
    actors,
    annotation,
    correction,
    entities,
    links,
    memories,
    messages,
    panel,
    playground,
    reasoning,
    session_links,
    sessions,
    spans,
    states,
    tool_execution,
    traces,
    workflow,
)
from resolvers.context import Context, Unchanged, require
from resolvers.idempotency import write
from stores.ports import Script, Store, Transaction

N = TypeVar("N", bound=Node)
T = TypeVar("T")


class OperationResult(msgspec.Struct, frozen=True):
    """What one operation did. nodes: what it made, changed or deleted, as its mutation returns it."""

    operation: str
    nodes: list[Node]


class _Kind(NamedTuple):
    """How an operation is run, and of what kind are the records that it makes."""

    run: Callable[[Context, Any], Awaitable[Any]]
    record: type[Node]


async def emit(context: Context, input: EmitInput) -> list[TraceEvent]:
    """Appends an event of the caller's own to a session's log. Raises Rejected: NOT_FOUND, DUPLICATE, INVALID."""

    async def script(tx: Transaction) -> list[TraceEvent]:
        session = await require(tx, Session, input.session, ["session"])
        try:
            return await traces.append_in(tx, session, [input], context.tools)
        except Rejected as error:
            raise Rejected([replace(one, path=one.path[2:]) for one in error.errors]) from None

    return await context.write(script)


_KINDS: dict[str, _Kind] = {
    "create_session": _Kind(sessions.create, Session),
    "update_session": _Kind(sessions.update, Session),
    "end_session": _Kind(sessions.end, Session),
    "archive_session": _Kind(sessions.archive, Session),
    "delete_session": _Kind(sessions.delete, Session),
    "add_participant": _Kind(sessions.add_participant, Participant),
    "remove_participant": _Kind(sessions.remove_participant, Participant),
    "upsert_user": _Kind(actors.upsert_user, User),
    "upsert_agent": _Kind(actors.upsert_agent, Agent),
    "add_message": _Kind(messages.add, Message),
    "add_messages": _Kind(messages.add_many, Message),
    "edit_message": _Kind(correction.edit, Message),
    "delete_messages": _Kind(correction.delete, Message),
    "create_memory": _Kind(memories.create, Memory),
    "create_memories": _Kind(memories.create_many, Memory),
    "update_memory": _Kind(memories.update, Memory),
    "archive_memories": _Kind(memories.archive, Memory),
    "restore_memories": _Kind(memories.restore, Memory),
    "delete_memories": _Kind(memories.delete, Memory),
    "touch_memories": _Kind(memories.touch, Memory),
    "link_sessions": _Kind(session_links.link, SessionLink),
    "unlink_sessions": _Kind(session_links.unlink, SessionLink),
    "link_memories": _Kind(links.link, MemoryLink),
    "unlink_memories": _Kind(links.unlink, MemoryLink),
    "annotate": _Kind(annotation.annotate, Annotation),
    "delete_annotations": _Kind(annotation.delete, Annotation),
    "upsert_entity": _Kind(entities.upsert, Entity),
    "delete_entities": _Kind(entities.delete, Entity),
    "append_trace_events": _Kind(traces.append, TraceEvent),
    "start_span": _Kind(traces.start_span, Span),
    "end_span": _Kind(traces.end_span, Span),
    "delete_spans": _Kind(spans.delete, Span),
    "start_tool_execution": _Kind(tool_execution.start, ToolExecution),
    "finish_tool_execution": _Kind(tool_execution.finish, ToolExecution),
    "record_reasoning": _Kind(reasoning.record, ReasoningChain),
    "add_decision": _Kind(panel.add_decision, Decision),
    "add_insight": _Kind(panel.add_insight, Insight),
    "advance_workflow": _Kind(workflow.advance, Session),
    "record_execution": _Kind(workflow.record, WorkflowExecution),
    "add_experiment": _Kind(playground.add_experiment, Experiment),
    "add_result": _Kind(playground.add_result, ExperimentResult),
    "set_state": _Kind(states.set_one, StateEntry),
    "set_states": _Kind(states.set_many, StateEntry),
    "delete_state": _Kind(states.delete, StateEntry),
    "emit": _Kind(emit, TraceEvent),
}
_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(Operation)}


async def transact(context: Context, input: TransactionInput) -> list[OperationResult]:
    """Runs operations as one write: all of them or none. Raises Rejected, as the mutations do."""
    asked = list(_read(input))
    steps = [_Step(context, one) for one in asked]
    done: list[Any] = []

    async def script(tx: Transaction) -> list[list[Node]]:
        done.clear()
        within = _Within(tx, done, {id: place for one in asked for id, place in one.results.items()})
        for step in steps:
            done.append(await step.run(cast(Transaction, within)))  # noqa: PERF401 - the next one looks into it
        return [list(nodes_of(result)) for result in done]

    try:
        for step in steps:
            await step.prepared()
        nodes = await write(context, input, script)
        results = [await step.finish(result) for step, result in zip(steps, done, strict=False)]
    except BaseException as error:
        await asyncio.gather(*(step.give_up(error) for step in steps))
        raise
    if not done:  # an earlier call has done it
        await asyncio.gather(*(step.give_up(asyncio.CancelledError()) for step in steps))
        return [OperationResult(_NAMES[one.name], found) for one, found in zip(asked, nodes, strict=True)]
    pairs = zip(asked, results, strict=True)
    return [OperationResult(_NAMES[one.name], list(nodes_of(result))) for one, result in pairs]


def nodes_of(result: Any) -> Iterator[Node]:
    """The records in what a mutation returns, the first ones first."""
    if isinstance(result, Node):
        yield result
    elif isinstance(result, list):
        for one in result:
            yield from nodes_of(one)
    elif isinstance(result, msgspec.Struct):
        for name in result.__struct_fields__:
            yield from nodes_of(getattr(result, name))


# -- what is asked ----------------------------------------------------------------------------------------------------


class _Asked(NamedTuple):
    """An operation. results: ids that stand for what earlier operations make, and the places of those."""

    place: int
    name: str
    command: Command
    results: dict[Id, tuple[int, int]]

    @property
    def path(self) -> list[str | int]:
        return ["operations", self.place, _NAMES[self.name]]


def _read(input: TransactionInput) -> Iterator[_Asked]:
    before: list[str] = []
    supersedes = False
    for place, operation in enumerate(input.operations):
        name = next((name for name in _NAMES if getattr(operation, name) is not None), None)
        if name is None:
            raise invalid("Say what is to be done.", ["operations", place])
        asked = _Asked(place, name, getattr(operation, name), {})
        command = _replaced(asked, asked.command, before)
        if isinstance(command, LinkMemoriesInput):  # whose way is followed before the write
            more = any(one.kind is MemoryLinkKind.SUPERSEDES for one in command.links)
            if more and supersedes:
                raise invalid("Put all links of kind SUPERSEDES into one operation.", asked.path)
            supersedes |= more
        yield asked._replace(command=command)
        before.append(name)


def _replaced(asked: _Asked, command: Any, before: Sequence[str], path: Sequence[str | int] = ()) -> Any:
    """A command in which ids stand for what earlier operations make."""
    changes: dict[str, Any] = {}
    for name, shown, is_id in _members(cast(Any, type(command))):
        value, where = getattr(command, name), [*path, shown]
        if isinstance(value, list):
            fresh: Any = [_one(asked, item, is_id, before, [*where, index]) for index, item in enumerate(value)]
            changed = any(new is not old for new, old in zip(fresh, value, strict=True))
        else:
            fresh = _one(asked, value, is_id, before, where)
            changed = fresh is not value
        if changed:
            changes[name] = fresh
    return replace(command, **changes) if changes else command


def _one(asked: _Asked, value: Any, is_id: bool, before: Sequence[str], path: Sequence[str | int]) -> Any:
    if isinstance(value, Command):
        return _replaced(asked, value, before, path)
    if not is_id or not isinstance(value, str) or not value.startswith(RESULT):
        return value
    number, _, item = value.removeprefix(RESULT).partition(".")
    place, nth = (int(one) if one.isascii() and one.isdecimal() else -1 for one in (number, item or "0"))
    if not 0 <= place < len(before) or nth < 0:
        raise invalid("This names no earlier operation.", [*asked.path, *path])
    made = _KINDS[before[place]].record.make_id(secrets.randbits(128))
    asked.results[made] = place, nth
    return made


@cache
def _members(command: type[msgspec.Struct]) -> list[tuple[str, str, bool]]:
    """The fields of a command that may hold ids, how they are called, and whether they are such themselves."""
    hints = get_type_hints(command)
    fields = msgspec.structs.fields(command)
    return [(one.name, one.encode_name, _has_id(hints[one.name])) for one in fields]


def _has_id(hint: Any) -> bool:
    return hint is Id or any(map(_has_id, get_args(hint)))


# -- how it is run ----------------------------------------------------------------------------------------------------


class _Within:
    """A transaction in which ids stand for what earlier operations of it have made."""

    def __init__(self, tx: Transaction, done: Sequence[Any], results: dict[Id, tuple[int, int]]) -> None:
        self._tx, self._done, self._results = tx, done, results

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        return await self._tx.get(kind, [self._real(id) for id in ids] if self._results else ids)

    def _real(self, id: Id) -> Id:
        if (place := self._results.get(id)) is None:
            return id
        made = list(nodes_of(self._done[place[0]]))
        return made[place[1]].id if place[1] < len(made) else id


class _Step:
    """One operation on its way: its mutation waits with its script until that has run."""

    def __init__(self, context: Context, asked: _Asked) -> None:
        self._asked = asked
        self._script: Script[Any] | None = None
        self._waits: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        own = context.acting(_NAMES[asked.name])
        own.store = cast(Store, _Held(context.store, self))
        self._task = asyncio.ensure_future(_KINDS[asked.name].run(own, asked.command))
        self._task.add_done_callback(self._ended)

    def _ended(self, _: object) -> None:
        if not self._waits.done():
            self._waits.set_result(None)

    async def write(self, script: Script[T]) -> T:
        assert self._script is None, "a mutation writes once"
        self._script = script
        self._waits.set_result(None)
        return cast(T, await self._result)

    async def prepared(self) -> None:
        """Waits until its mutation comes to its write, or ends without one. Raises what it raises."""
        await self._waits
        if self._task.done():
            await self.finish(None)

    async def run(self, tx: Transaction) -> Any:
        if self._script is None:
            return self._task.result()
        try:
            return await self._script(tx)
        except Unchanged as unchanged:
            return unchanged.result
        except Rejected as rejected:
            raise rejected.below(self._asked.path) from None

    async def finish(self, result: Any) -> Any:
        """What its mutation returns."""
        if not self._result.done():
            self._result.set_result(result)
        try:
            return await self._task
        except Rejected as rejected:
            raise rejected.below(self._asked.path) from None

    async def give_up(self, error: BaseException) -> None:
        if not self._result.done():
            if isinstance(error, Exception):
                self._result.set_exception(error)
                self._result.exception()  # seen: nobody may wait
            else:
                self._task.cancel()
        if self._script is None:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class _Held:
    """A store whose write waits for that of the transaction."""

    def __init__(self, store: Store, step: _Step) -> None:
        self._store, self.write = store, step.write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
