"""An ordinary Strawberry schema over the file: types with resolvers, and a DataLoader for each relation."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
import sqlite3
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import strawberry
from strawberry.dataloader import DataLoader
from strawberry.scalars import JSON

from bench.baselines.file import transaction


class Context(dict[str, Any]):
    """What the resolvers of one operation share: the file, its loaders, and who listens."""

    def __init__(self, db: sqlite3.Connection, listeners: dict[str, set[asyncio.Queue[Edge]]]) -> None:
        super().__init__()
        self.db, self.listeners = db, listeners
        self.senders: DataLoader[str, Participant] = DataLoader(load_fn=self._senders)
        self.refs: DataLoader[str, list[MemoryRef]] = DataLoader(load_fn=self._refs)
        self.memories: DataLoader[str, Memory] = DataLoader(load_fn=self._memories)

    def _rows(self, sql: str, ids: list[str]) -> list[sqlite3.Row]:
        return self.db.execute(sql.format(",".join("?" * len(ids))), ids).fetchall()

    async def _senders(self, ids: list[str]) -> list[Participant]:
        found = {row["id"]: row for row in self._rows("SELECT * FROM participant WHERE id IN ({})", ids)}
        return [Participant(id=strawberry.ID(id), name=found[id]["name"]) for id in ids]

    async def _refs(self, ids: list[str]) -> list[list[MemoryRef]]:
        found = defaultdict(list)
        for row in self._rows("SELECT * FROM memory_ref WHERE message_id IN ({}) ORDER BY message_id, position", ids):
            found[row["message_id"]].append(MemoryRef(score=row["score"], memory_id=row["memory_id"]))
        return [found[id] for id in ids]

    async def _memories(self, ids: list[str]) -> list[Memory]:
        found = {row["id"]: row for row in self._rows("SELECT * FROM memory WHERE id IN ({})", ids)}
        return [Memory(id=strawberry.ID(id), text=found[id]["text"], importance=found[id]["importance"]) for id in ids]


Info = strawberry.Info[Context, None]


@strawberry.enum
class SenderType(enum.Enum):
    """Who said it."""

    USER = "USER"
    AGENT = "AGENT"


@strawberry.type
class TextContent:
    """Text."""

    text: str


@strawberry.type
class ToolCall:
    """A call to a tool."""

    call_id: str
    tool: str


Content = Annotated[TextContent | ToolCall, strawberry.union("Content")]


@strawberry.type
class Participant:
    """One voice."""

    id: strawberry.ID
    name: str


@strawberry.type
class Memory:
    """What is remembered."""

    id: strawberry.ID
    text: str
    importance: float


@strawberry.type
class MemoryRef:
    """A memory that a message drew on."""

    score: float | None
    memory_id: strawberry.Private[str]

    @strawberry.field
    async def memory(self, info: Info) -> Memory:
        """That memory."""
        return await info.context.memories.load(self.memory_id)


@strawberry.type
class Message:
    """A message in a session."""

    id: strawberry.ID
    created_at: datetime
    text: str
    content: list[Content]
    sender_id: strawberry.Private[str]
    sender_type: SenderType

    @strawberry.field
    async def sender(self, info: Info) -> Participant:
        """Who said it."""
        return await info.context.senders.load(self.sender_id)

    @strawberry.field
    async def memory_refs(self, info: Info) -> list[MemoryRef]:
        """What it draws on."""
        return await info.context.refs.load(self.id)


@strawberry.type
class MessageEdge:
    """A message of a page."""

    cursor: str
    node: Message


@strawberry.type
class PageInfo:
    """How the page lies."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class MessageConnection:
    """A page."""

    edges: list[MessageEdge]
    page_info: PageInfo


@strawberry.type
class Session:
    """One conversation."""

    id: strawberry.ID
    title: str
    kind: str
    created_at: datetime

    @strawberry.field
    async def messages(self, info: Info, first: int = 50) -> MessageConnection:
        """The first messages."""
        rows = info.context.db.execute(
            "SELECT m.*, p.type FROM message m JOIN participant p ON p.id = m.sender_id "
            "WHERE m.session_id = ? ORDER BY place LIMIT ?",
            (self.id, first + 1),
        ).fetchall()
        edges = [MessageEdge(cursor=str(row["place"]), node=_message(row)) for row in rows[:first]]
        end = edges[-1].cursor if edges else None
        return MessageConnection(edges=edges, page_info=PageInfo(has_next_page=len(rows) > first, end_cursor=end))


def _message(row: sqlite3.Row) -> Message:
    content: list[Any] = [TextContent(text=row["text"])]
    if row["tool"] is not None:
        content.append(ToolCall(call_id=row["call_id"], tool=row["tool"]))
    return Message(
        id=row["id"],
        created_at=datetime.fromisoformat(row["created_at"]),
        text=row["text"],
        content=content,
        sender_id=row["sender_id"],
        sender_type=SenderType(row["type"]),
    )


@strawberry.input(one_of=True)
class Ref:
    """Names a record."""

    id: strawberry.ID | None = strawberry.UNSET
    external_id: str | None = strawberry.UNSET


def _session(db: sqlite3.Connection, by: Ref) -> Session | None:
    column, value = ("external_id", by.external_id) if by.external_id else ("id", by.id)
    row = db.execute(f"SELECT * FROM session WHERE {column} = ?", (value,)).fetchone()
    if row is None:
        return None
    created = datetime.fromisoformat(row["created_at"])
    return Session(id=row["id"], title=row["title"], kind=row["kind"], created_at=created)


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    async def session(self, info: Info, by: Ref) -> Session | None:
        """A session."""
        return _session(info.context.db, by)


@strawberry.type
class TraceEvent:
    """One line of a session's log."""

    id: strawberry.ID
    type: str
    component: str
    time: datetime
    duration_ms: float | None
    data: JSON


@strawberry.type
class Edge:
    """A line and its place."""

    cursor: str
    node: TraceEvent


@strawberry.input
class TraceEventInput:
    """A line to be."""

    type: str
    component: str = ""
    duration_ms: float | None = None
    data: JSON | None = None


@strawberry.input
class AppendTraceEventsInput:
    """Lines for a log."""

    session: Ref
    events: list[TraceEventInput]


@strawberry.type
class Problem:
    """What was wrong."""

    message: str


@strawberry.type
class Appended:
    """What was written."""

    accepted: int
    errors: list[Problem]


@strawberry.type
class Mutation:
    """What can be written."""

    @strawberry.mutation
    async def append_trace_events(self, info: Info, input: AppendTraceEventsInput) -> Appended:
        """Writes lines, and tells who listens."""
        context = info.context
        session = _session(context.db, input.session)
        assert session is not None
        events = [
            TraceEvent(
                id=strawberry.ID(str(uuid.uuid4())),
                type=event.type,
                component=event.component,
                time=datetime.now(UTC),
                duration_ms=event.duration_ms,
                data=cast("JSON", event.data),
            )
            for event in input.events
        ]
        with transaction(context.db):
            places = [_append(context.db, session.id, event) for event in events]
        for place, event in zip(places, events, strict=True):
            for queue in context.listeners[session.id]:
                queue.put_nowait(Edge(cursor=str(place), node=event))
        return Appended(accepted=len(events), errors=[])


def _append(db: sqlite3.Connection, session: str, event: TraceEvent) -> int:
    values = (event.id, session, event.type, event.component, event.time.isoformat(), event.duration_ms)
    return (
        db.execute("INSERT INTO event VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", (*values, json.dumps(event.data))).lastrowid
        or 0
    )


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def session_trace(self, info: Info, session: Ref) -> AsyncIterator[Edge]:
        """The lines of a session's log, as they come."""
        found = _session(info.context.db, session)
        assert found is not None
        listeners = info.context.listeners[found.id]
        queue: asyncio.Queue[Edge] = asyncio.Queue()
        listeners.add(queue)
        with contextlib.ExitStack() as ends:
            ends.callback(listeners.discard, queue)
            while True:
                yield await queue.get()


def schema(extensions: list[Callable[[], Any]]) -> strawberry.Schema:
    """The schema, with extensions of Strawberry's."""
    return strawberry.Schema(Query, Mutation, Subscription, extensions=extensions)
