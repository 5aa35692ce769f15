"""Sessions and participants."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import participant as domain_participant
from domain import session as domain
from domain.participant import SenderType
from domain.session import SessionKind, SessionStatus
from resolvers import lists, sessions
from schema import page, refs
from schema.fields import backed_by, connection, relation
from schema.page import Node
from schema.scalars import JSON


@strawberry.interface(description="One conversation or run, of one of four kinds.")
class Session(Node):
    external_id: str | None = strawberry.field(description="The caller's own id, unique among sessions.")
    kind: SessionKind
    title: str
    status: SessionStatus
    context: JSON = strawberry.field(description="What is known at this point; it is changed by patches.")
    capabilities: list[str]
    metadata: JSON
    created_at: datetime
    updated_at: datetime
    last_active_at: datetime = strawberry.field(description="When the latest message was said.")
    message_count: int
    version: int = strawberry.field(description="Counts the changes; ifVersion guards by it.")
    participants = connection(lists.SESSION_PARTICIPANTS, page.ParticipantConnection, "Who takes or took part.")
    messages = connection(lists.SESSION_MESSAGES, page.MessageConnection, "What was said, in order of place.")
    threads = connection(lists.SESSION_THREADS, page.ThreadConnection, "Side lines of the conversation.")
    memories = connection(
        lists.SESSION_MEMORIES, page.MemoryConnection, "Memories formed from this session or used in it."
    )
    trace = connection(lists.SESSION_TRACE, page.TraceEventConnection, "The session's log, in commit order.")
    spans = connection(lists.SESSION_SPANS, page.SpanConnection, "The session's pieces of work, newest first.")
    traces = connection(lists.SESSION_TRACES, page.TraceConnection, "The session's traces, newest first.")
    trace_cursor = relation(
        sessions.trace_cursors,
        str,
        "Where the trace log stands. Read it with a page, subscribe after it: no gap, no duplicate.",
    )
    message_cursor = relation(sessions.message_cursors, str, "Where the messages stand, likewise.")


@backed_by(domain.ChatSession)
@strawberry.type(description="A conversation.")
class ChatSession(Session):
    pass


@backed_by(domain.PanelSession)
@strawberry.type(description="A discussion of several agents that ends in decisions.")
class PanelSession(Session):
    pass


@backed_by(domain.WorkflowSession)
@strawberry.type(description="A run through the states of a workflow.")
class WorkflowSession(Session):
    pass


@backed_by(domain.PlaygroundSession)
@strawberry.type(description="A place for experiments.")
class PlaygroundSession(Session):
    pass


@backed_by(domain_participant.Participant)
@strawberry.type(description="One voice in one session.")
class Participant(Node):
    external_id: str | None
    session = relation(sessions.sessions_of, refs.Session)
    actor = relation(
        sessions.participant_actors, refs.optional(refs.Actor), "The user or agent behind it, where there is one."
    )
    type: SenderType
    role: str
    name: str
    joined_at: datetime
    left_at: datetime | None
    messages = connection(lists.PARTICIPANT_MESSAGES, page.MessageConnection, "What it said.")
