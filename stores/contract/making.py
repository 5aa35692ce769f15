"""Records with plain values, and the writes that keep them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from domain.actor import Agent, User
from domain.annotation import Annotation
from domain.audit import AuditEntry
from domain.caller import Role
from domain.change import ChangeKind, MemoryChange, deletion
from domain.chunk import Chunk
from domain.context_version import ContextVersion
from domain.conventions.columns import fields
from domain.conventions.reading import read
from domain.entity import Entity, EntityName, Mention, digest_of
from domain.experiment import Experiment, ExperimentResult
from domain.formation import Origin
from domain.history import MemoryVersion
from domain.key import ApiKey
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryScope, MemoryStatus, MemoryType
from domain.message import Content, Message, TextContent, Thread
from domain.node import Id, Node
from domain.page import Page, Slice
from domain.panel import Decision, Insight, InsightCategory
from domain.participant import Participant, SenderType
from domain.reasoning import ReasoningChain
from domain.search import Recall, ScoreParts
from domain.session import SESSION_TYPES, Session, SessionKind, SessionStatus
from domain.session_link import SessionLink, SessionLinkKind
from domain.span import Span, SpanKind, SpanStatusCode, TokenUsage, Trace
from domain.state import StateEntry
from domain.tool_execution import ToolExecution, ToolStatus
from domain.trace import TraceEvent
from domain.trash import TrashedPart, TrashedSession
from domain.values import EMPTY_OBJECT, NULL, decode_json, encode_json
from domain.workflow import ExecutionStatus, WorkflowExecution
from stores.ports import Collection, Log, Store, Transaction, Vector

N = TypeVar("N", bound=Node)
Draft = Callable[[Transaction], N]
"""A record that is yet to get its id and its time."""

DIMENSION = 16
NOON = datetime(2026, 1, 2, 12, 0, 0, 250, tzinfo=UTC)


class Clock:
    """A time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


def after(**by: float) -> datetime:
    """A time that much later than the clock's first."""
    return NOON + timedelta(**by)


class _Now:
    """Stands for the time of the write."""


NOW: Any = _Now()


def _draft(kind: type[Any], defaults: dict[str, Any], values: Mapping[str, Any]) -> Draft[Any]:
    unknown = values.keys() - defaults.keys() - {"id"}
    assert not unknown, f"{kind.__name__} has no {unknown}"

    def draft(tx: Transaction) -> Any:
        made = {"id": tx.new_id(kind), **defaults, **values}
        for name, value in made.items():
            if value is NOW:
                made[name] = tx.now
            elif isinstance(value, dict):
                made[name] = encode_json(value)
            elif isinstance(value, Node):
                made[name] = value.id
        return kind(**made)

    return draft


def user(**values: Any) -> Draft[User]:
    return _draft(User, {"external_id": None, "name": "Ada", "profile": EMPTY_OBJECT, "created_at": NOW}, values)


def agent(**values: Any) -> Draft[Agent]:
    defaults = {
        "external_id": None,
        "name": "Helper",
        "description": None,
        "config": EMPTY_OBJECT,
        "capabilities": [],
        "created_at": NOW,
        "routes": [],
    }
    return _draft(Agent, defaults, values)


def session(**values: Any) -> Draft[Session]:
    defaults = {
        "external_id": None,
        "kind": SessionKind.CHAT,
        "title": "Talk",
        "status": SessionStatus.ACTIVE,
        "context": EMPTY_OBJECT,
        "capabilities": [],
        "metadata": EMPTY_OBJECT,
        "created_at": NOW,
        "updated_at": NOW,
        "last_active_at": NOW,
        "message_count": 0,
        "version": 1,
        "panel_format": None,
        "workflow": None,
        "expires_at": None,
    }
    return _draft(SESSION_TYPES[values.get("kind", SessionKind.CHAT)], defaults, values)


def participant(session_id: Any, **values: Any) -> Draft[Participant]:
    defaults = {
        "session_id": session_id,
        "actor_id": None,
        "type": SenderType.USER,
        "role": "user",
        "name": "ada",
        "external_id": None,
        "joined_at": NOW,
        "left_at": None,
    }
    return _draft(Participant, defaults, values)


def thread(session_id: Any, **values: Any) -> Draft[Thread]:
    return _draft(Thread, {"session_id": session_id, "name": "aside", "created_at": NOW}, values)


def message(sender: Participant, **values: Any) -> Draft[Message]:
    """Its place is given where it is said, see `say`; text is its only part unless content is given."""
    text = values.pop("text", "hello")
    defaults = {
        "external_id": None,
        "session_id": sender.session_id,
        "place": 1,
        "sender_id": sender.id,
        "sender_type": sender.type,
        "content": [TextContent(text)],
        "thread_id": None,
        "parent_id": None,
        "metadata": EMPTY_OBJECT,
        "created_at": NOW,
    }
    return _draft(Message, defaults, values)


def memory(owner: User | Agent | None = None, **values: Any) -> Draft[Memory]:
    scope = {User: MemoryScope.USER, Agent: MemoryScope.AGENT, type(None): MemoryScope.GLOBAL}[type(owner)]
    defaults = {
        "external_id": None,
        "type": MemoryType.SEMANTIC,
        "scope": scope,
        "owner_id": owner and owner.id,
        "status": MemoryStatus.ACTIVE,
        "text": "the sky is blue",
        "tags": [],
        "metadata": EMPTY_OBJECT,
        "importance": 0.5,
        "decay_factor": 1.0,
        "access_count": 0,
        "last_accessed_at": None,
        "created_at": NOW,
        "updated_at": NOW,
        "expires_at": None,
        "version": 1,
        "valid_from": None,
        "valid_until": None,
        "source_message_id": None,
        "external_source": None,
        "session_id": None,
        "chunk_id": None,
        "formation": None,
        "stale": False,
    }
    return _draft(Memory, defaults, values)


def chunk(session_id: Any, *messages: Message, **values: Any) -> Draft[Chunk]:
    defaults = {
        "session_id": session_id,
        "message_ids": [one.id for one in messages],
        "reason": "END",
        "strategy": "SIZE",
        "settings": EMPTY_OBJECT,
        "created_at": NOW,
    }
    return _draft(Chunk, defaults, values)


def origin(memory_id: Any, source_id: Any, place: int = 0) -> Draft[Origin]:
    return _draft(Origin, {"memory_id": memory_id, "source_id": source_id, "place": place}, {})


def entity(**values: Any) -> Draft[Entity]:
    defaults = {
        "external_id": None,
        "name": "Oslo",
        "type": "place",
        "aliases": [],
        "metadata": EMPTY_OBJECT,
        "found": False,
        "merged": [],
        "created_at": NOW,
        "updated_at": NOW,
    }
    return _draft(Entity, defaults, values)


def entity_name(of: Entity, name: str) -> Draft[EntityName]:
    return _draft(EntityName, {"entity_id": of.id, "digest": digest_of(name), "type": of.type}, {})


def mention(target: Memory | Message, of: Entity, **values: Any) -> Draft[Mention]:
    return _draft(Mention, {"target_id": target.id, "entity_id": of.id, "found": False, "created_at": NOW}, values)


def version(memory_id: Any, **values: Any) -> Draft[MemoryVersion]:
    defaults = {
        "memory_id": memory_id,
        "version": 1,
        "text": "before",
        "status": MemoryStatus.ACTIVE,
        "importance": 0.5,
        "tags": [],
        "metadata": EMPTY_OBJECT,
        "valid_from": None,
        "valid_until": None,
        "replaced_at": NOW,
        "recorded_at": None,
        "cause": None,
    }
    return _draft(MemoryVersion, defaults, values)


def link(source: Memory, target: Memory, **values: Any) -> Draft[MemoryLink]:
    defaults = {
        "kind": MemoryLinkKind.RELATED,
        "weight": 1.0,
        "source_id": source.id,
        "target_id": target.id,
        "created_at": NOW,
        "metadata": EMPTY_OBJECT,
        "ended": None,
        "updated_at": None,
    }
    return _draft(MemoryLink, defaults, values)


def event(session_id: Any = None, **values: Any) -> Draft[TraceEvent]:
    defaults = {
        "session_id": session_id,
        "type": "thought",
        "component": "planner",
        "time": NOW,
        "duration_ms": None,
        "data": EMPTY_OBJECT,
        "user_id": None,
        "agent_id": None,
        "message_id": None,
        "parent_id": None,
        "span_record_id": None,
        "memory_ids": [],
        "external_id": None,
    }
    return _draft(TraceEvent, defaults, values)


def span(**values: Any) -> Draft[Span]:
    given = values.get("attributes", {})
    attributes = given if isinstance(given, dict) else decode_json(given)
    defaults = {
        **fields(read(attributes, kind=values.get("kind", SpanKind.LLM))),
        "trace_id": "t1",
        "span_id": "s1",
        "parent_span_id": None,
        "session_id": None,
        "kind": SpanKind.LLM,
        "name": "answer",
        "status_code": SpanStatusCode.UNSET,
        "status_message": None,
        "started_at": NOW,
        "ended_at": None,
        "attributes": EMPTY_OBJECT,
        "message_id": None,
        "agent_id": None,
        "user_id": None,
    }
    return _draft(Span, defaults, values)


def trace(**values: Any) -> Draft[Trace]:
    defaults = {
        "trace_id": "t1",
        "session_id": None,
        "started_at": NOW,
        "ended_at": None,
        "status_code": SpanStatusCode.UNSET,
        "usage": TokenUsage(),
    }
    return _draft(Trace, defaults, values)


def recall(memory_id: Any, **values: Any) -> Draft[Recall]:
    defaults = {
        "memory_id": memory_id,
        "session_id": None,
        "message_id": None,
        "event_id": None,
        "score": 0.5,
        "parts": ScoreParts(0.5, 1.0, 0.9),
        "recalled_at": NOW,
    }
    return _draft(Recall, defaults, values)


def state(key: str, **values: Any) -> Draft[StateEntry]:
    defaults = {
        "namespace": "app",
        "key": key,
        "value": encode_json(1),
        "tags": [],
        "version": 1,
        "updated_at": NOW,
        "expires_at": None,
    }
    return _draft(StateEntry, defaults, values)


def annotation(target: Node, **values: Any) -> Draft[Annotation]:
    defaults = {
        "target_id": target.id,
        "name": "quality",
        "value": None,
        "label": None,
        "comment": None,
        "author_id": None,
        "metadata": EMPTY_OBJECT,
        "external_id": None,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return _draft(Annotation, defaults, values)


def tool_execution(**values: Any) -> Draft[ToolExecution]:
    key = values.get("call_id") or f"k{secrets.token_hex(4)}"
    defaults: dict[str, Any] = {
        "call_key": key,
        "session_id": None,
        "message_id": None,
        "span_record_id": None,
        "agent_id": None,
        "call_id": None,
        "tool": "search",
        "arguments": EMPTY_OBJECT,
        "result": NULL,
        "error": None,
        "status": ToolStatus.PENDING,
        "started_at": NOW,
        "ended_at": None,
        "duration_ms": None,
        "times_out_at": None,
    }
    return _draft(ToolExecution, defaults, values)


def reasoning_chain(agent: Agent, **values: Any) -> Draft[ReasoningChain]:
    defaults = {
        "external_id": None,
        "agent_id": agent.id,
        "session_id": None,
        "message_id": None,
        "steps": [],
        "conclusion": None,
        "metadata": EMPTY_OBJECT,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return _draft(ReasoningChain, defaults, values)


def session_link(source: Session, target: Session, **values: Any) -> Draft[SessionLink]:
    defaults = {
        "source_id": source.id,
        "kind": SessionLinkKind.RELATED,
        "target_id": target.id,
        "created_at": NOW,
        "metadata": EMPTY_OBJECT,
    }
    return _draft(SessionLink, defaults, values)


def context_version(session: Session, **values: Any) -> Draft[ContextVersion]:
    defaults = {
        "session_id": session.id,
        "version": 1,
        "context": EMPTY_OBJECT,
        "recorded_at": NOW,
        "replaced_at": NOW,
        "replaced_by": "somebody",
        "comment": None,
    }
    return _draft(ContextVersion, defaults, values)


def trashed(**values: Any) -> Draft[TrashedSession]:
    defaults = {
        "session_id": f"ses_{secrets.token_hex(16)}",
        "external_id": None,
        "title": "Talk",
        "kind": SessionKind.CHAT,
        "message_count": 2,
        "created_at": NOW,
        "deleted_at": NOW,
        "expires_at": after(days=2),
        "parts": 0,
        "size_bytes": 0,
        "actor_ids": [],
    }
    return _draft(TrashedSession, defaults, values)


def trashed_part(entry: TrashedSession, place: int, holds: str, records: Any) -> Draft[TrashedPart]:
    values = {"trash_id": entry.id, "place": place, "holds": holds, "records": encode_json(records)}
    return _draft(TrashedPart, values, {})


def decision(session_id: Any, **values: Any) -> Draft[Decision]:
    defaults = {
        "external_id": None,
        "session_id": session_id,
        "topic": None,
        "text": "we take the train",
        "votes": [],
        "consensus": None,
        "metadata": EMPTY_OBJECT,
        "created_at": NOW,
    }
    return _draft(Decision, defaults, values)


def insight(session_id: Any, **values: Any) -> Draft[Insight]:
    defaults = {
        "external_id": None,
        "session_id": session_id,
        "category": InsightCategory.SUMMARY,
        "text": "trains are late",
        "message_ids": [],
        "participant_id": None,
        "consensus": None,
        "metadata": EMPTY_OBJECT,
        "created_at": NOW,
    }
    return _draft(Insight, defaults, values)


def workflow_execution(session_id: Any, **values: Any) -> Draft[WorkflowExecution]:
    defaults = {
        "external_id": None,
        "session_id": session_id,
        "state": "a",
        "name": "build",
        "input": NULL,
        "output": NULL,
        "error": None,
        "status": ExecutionStatus.OK,
        "agent_id": None,
        "started_at": NOW,
        "ended_at": None,
        "duration_ms": None,
        "metadata": EMPTY_OBJECT,
        "created_at": NOW,
    }
    return _draft(WorkflowExecution, defaults, values)


def experiment(session_id: Any, **values: Any) -> Draft[Experiment]:
    defaults = {
        "external_id": None,
        "session_id": session_id,
        "name": "warm",
        "description": None,
        "parameters": EMPTY_OBJECT,
        "metadata": EMPTY_OBJECT,
        "created_at": NOW,
    }
    return _draft(Experiment, defaults, values)


def experiment_result(of: Experiment, **values: Any) -> Draft[ExperimentResult]:
    defaults = {
        "external_id": None,
        "experiment_id": of.id,
        "session_id": of.session_id,
        "metrics": EMPTY_OBJECT,
        "output": NULL,
        "comment": None,
        "metadata": EMPTY_OBJECT,
        "created_at": NOW,
    }
    return _draft(ExperimentResult, defaults, values)


def api_key(**values: Any) -> Draft[ApiKey]:
    defaults = {
        "digest": "0f",
        "workspace": "app",
        "role": Role.WRITE,
        "name": "laptop",
        "created_at": NOW,
        "expires_at": None,
        "revoked_at": None,
    }
    return _draft(ApiKey, defaults, values)


def audit(**values: Any) -> Draft[AuditEntry]:
    defaults = {
        "time": NOW,
        "caller": "key_1",
        "caller_name": "laptop",
        "action": "setState",
        "outcome": "OK",
        "targets": [],
    }
    return _draft(AuditEntry, defaults, values)


class _Plain:
    """Gives ids and a time where there is no store."""

    now = NOON

    def __init__(self) -> None:
        self._last = 0

    def new_id(self, kind: type[Node]) -> Id:
        self._last += 1
        return kind.make_id(self._last)


_plain: Any = _Plain()


def plain(draft: Draft[N]) -> N:
    """A record without a store."""
    return draft(_plain)


async def keep(store: Store, *drafts: Draft[Any]) -> list[Any]:
    """Writes records in the order given, in one transaction; trace events get their places."""

    async def script(tx: Transaction) -> list[Any]:
        made = [draft(tx) for draft in drafts]
        kept: list[Any] = []
        for kind, group in groupby(made, type):
            records = list(group)
            if kind is TraceEvent:
                kept += await tx.append(records)
            else:
                await tx.put(records)
                kept += records
        return kept

    return await store.write(script)


async def replace(store: Store, record: N, **values: Any) -> N:
    """Writes a record with other values."""
    changed = msgspec.structs.replace(record, **values)

    async def script(tx: Transaction) -> None:
        await tx.put([changed])

    await store.write(script)
    return changed


async def delete(store: Store, *records: Node) -> None:
    """Removes records of one type."""

    async def script(tx: Transaction) -> None:
        await tx.delete(type(records[0]), [record.id for record in records])

    await store.write(script)


async def say(store: Store, session: Session, *drafts: Draft[Message]) -> list[Message]:
    """Adds messages after the last one of a session, as one write."""

    async def script(tx: Transaction) -> list[Message]:
        [now] = await tx.get(Session, [session.id])
        assert now is not None
        made = [
            msgspec.structs.replace(draft(tx), place=now.message_count + 1 + index)
            for index, draft in enumerate(drafts)
        ]
        await tx.put(made)
        await tx.put([msgspec.structs.replace(now, message_count=now.message_count + len(made))])
        return made

    return await store.write(script)


async def talk(store: Store, *contents: Sequence[Content] | str) -> tuple[Session, Participant, list[Message]]:
    """A session with one voice that says these messages."""
    [where] = await keep(store, session())
    [who] = await keep(store, participant(where))
    drafts = [
        message(who, text=content) if isinstance(content, str) else message(who, content=list(content))
        for content in contents
    ]
    return where, who, await say(store, where, *drafts) if drafts else []


async def remember(
    store: Store, *drafts: Draft[Memory], vectors: Sequence[Vector] = (), log: ChangeKind | None = None
) -> list[Memory]:
    """Writes memories, the first ones with these vectors, and a line for each in the memory log."""

    async def script(tx: Transaction) -> list[Memory]:
        made = [draft(tx) for draft in drafts]
        await tx.put(made)
        if len(vectors):
            await tx.embed({one.id: vector for one, vector in zip(made, vectors, strict=False)})
        if log is not None:
            await tx.log([MemoryChange(log, one.id, tx.now, one) for one in made])
        return made

    return await store.write(script)


async def logged(store: Store, kind: ChangeKind, *memories: Memory, forget: bool = False) -> None:
    """Adds a line for each memory to the memory log; `forget` deletes the memories in the same write."""

    async def script(tx: Transaction) -> None:
        await tx.log([deletion(one, tx.now) if forget else MemoryChange(kind, one.id, tx.now, one) for one in memories])
        if forget:
            await tx.delete(Memory, [one.id for one in memories])

    await store.write(script)


def directions(count: int, seed: int = 1) -> list[Vector]:
    """Random vectors of length 1."""
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return list((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


def axis(index: int) -> Vector:
    """The unit vector along one axis."""
    row: Vector = np.eye(DIMENSION, dtype=np.float32)[index]
    return row


async def page(
    store: Store, of: Collection, parent: Any = "", filter: Any = None, order: Any = None, **slice: Any
) -> Page[Any]:
    """One page of one list."""
    parent = parent.id if isinstance(parent, Node) else Id(parent)
    [found] = await store.pages(of, [parent], Slice(**slice), filter, order)
    return found


async def names(
    store: Store, of: Collection, parent: Any = "", filter: Any = None, order: Any = None, by: str = "name"
) -> list[Any]:
    """One member of each record of a list that a filter lets through, in its order."""
    return [getattr(node, by) for node in (await page(store, of, parent, filter, order, limit=1_000)).nodes]


def cursors(found: Page[Any]) -> list[str]:
    """The cursors of a page's rows."""
    return [edge.cursor for edge in found.edges]


class Follower:
    """The lines of a log, taken by number."""

    def __init__(self, batches: AsyncGenerator[list[Any]]) -> None:
        self._batches = batches
        self._ready: list[Any] = []

    async def take(self, count: int) -> list[Any]:
        """The next lines, as soon as there are so many."""
        async with asyncio.timeout(20):
            while len(self._ready) < count:
                self._ready += await anext(self._batches)
        taken, self._ready = self._ready[:count], self._ready[count:]
        return taken

    async def end(self) -> list[Any]:
        """What comes until the log ends."""
        return [line async for batch in self._batches for line in batch]

    async def close(self) -> None:
        await self._batches.aclose()


def follow(store: Store, log: Log, after: int = 0, filter: Any = None) -> Follower:
    """Follows a log."""
    return Follower(store.follow(log, after, filter))


class World(NamedTuple):
    """One record of each kind, tied to each other."""

    user: User
    agent: Agent
    session: Session
    participant: Participant
    thread: Thread
    message: Message
    memory: Memory
    other_memory: Memory
    link: MemoryLink
    version: MemoryVersion
    trace: Trace
    span: Span
    event: TraceEvent
    recall: Recall
    state: StateEntry
    api_key: ApiKey
    audit: AuditEntry
    entity: Entity
    entity_name: EntityName
    mention: Mention

    @property
    def records(self) -> list[Node]:
        """All of them."""
        return list(self)


async def world(store: Store) -> World:
    """Writes one record of each kind."""
    [ada, helper, talked] = await keep(
        store, user(external_id="ada"), agent(external_id="helper"), session(external_id="talk")
    )
    [voice, aside] = await keep(store, participant(talked, actor_id=ada.id), thread(talked))
    [said] = await say(store, talked, message(voice, external_id="said", thread_id=aside.id))
    [fact, other] = await keep(
        store,
        memory(ada, external_id="fact", source_message_id=said.id, session_id=talked.id),
        memory(ada, external_id="other", text="grass is green"),
    )
    [tie, earlier, whole, part] = await keep(
        store, link(fact, other), version(fact), trace(session_id=talked.id), span(session_id=talked.id)
    )
    [line] = await keep(store, event(talked, message_id=said.id, span_record_id=part.id, external_id="line"))
    [used, kept] = await keep(
        store, recall(fact, session_id=talked.id, message_id=said.id, event_id=line.id), state("color")
    )
    [key, entry, town] = await keep(store, api_key(), audit(targets=[fact.id, other.id]), entity(external_id="oslo"))
    [called, told] = await keep(store, entity_name(town, "Oslo"), mention(fact, town))
    [talked] = await store.get(Session, [talked.id])
    [whole] = await store.get(Trace, [whole.id])
    assert talked is not None and whole is not None
    return World(
        ada, helper, talked, voice, aside, said, fact, other, tie, earlier, whole, part, line, used, kept, key, entry,
        town, called, told,
    )  # fmt: skip
