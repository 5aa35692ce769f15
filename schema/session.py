"""Sessions and participants."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import strawberry

from domain import participant as domain_participant
from domain import session as domain
from domain import session_link as domain_link
from domain.change import ChangeKind
from domain.message import Message
from domain.panel import PanelFormat
from resolvers import (
    blobs,
    branches,
    lists,
    live,
    panel,
    playground,
    session_links,
    sessions,
    window,
    workflow,
)
from schema import page, refs
from schema.enums import NodeKind, NodeStatus
from schema.fields import backed_by, connection, relation, with_lists
from schema.page import Node
from schema.scalars import JSON
from schema.trace import TokenUsage


@strawberry.interface(description="A conversation or run, of one of four kinds.")
@with_lists(domain.Session)
class Session(Node):
    external_id: str | None = strawberry.field(description="The caller's own id, unique among sessions.")
    kind: NodeKind
    title: str
    status: NodeStatus
    context: JSON = strawberry.field(description="Shared context of the session; change it with contextPatch.")
    context_at = relation(
        sessions.contexts_at,
        refs.optional(JSON),
        "The context as it was at a time; null before the session began.",
        reads=["id", "context", "context_since", "created_at"],
    )
    capabilities: list[str]
    metadata: JSON
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = strawberry.field(description="When it is deleted, with all that is in it.")
    last_active_at: datetime = strawberry.field(description="Time of the latest message.")
    messages_there: int = strawberry.field(name="messageCount")
    version: int = strawberry.field(description="Increases with every change; use it as ifVersion.")
    participants = connection(
        lists.SESSION_PARTICIPANTS, page.ParticipantConnection, "Current and former participants."
    )
    messages = relation(
        branches.messages,
        page.MessageConnection,
        "Messages in order of place: all of them, or with branch those from the first to the message with that id.",
        reads=["id"],
        of=Message,
    )
    current_branch = relation(
        branches.ends,
        refs.optional(refs.Message),
        "The message at which the current branch ends: the latest, unless an import or updateSession names another.",
    )
    forked_from = relation(
        branches.origins,
        refs.optional(refs.Message),
        "The message up to which it is a copy of another session.",
        reads=["forked_from_id"],
    )
    branches = relation(
        branches.tips, list[refs.Message], "The messages at which its branches end, the earliest first.", reads=["id"]
    )
    window = relation(
        window.windows,
        refs.SessionWindow,
        "What an agent reads before it answers: memories for the older part, messages for the recent.",
        reads=["id", "current_id"],
    )
    links = relation(
        session_links.of,
        page.SessionLinkConnection,
        "Its links to and from other sessions, newest first; also those of forks.",
        reads=["id"],
    )
    threads = connection(lists.SESSION_THREADS, page.ThreadConnection, "Threads of the conversation.")
    memories = connection(
        lists.SESSION_MEMORIES, page.MemoryConnection, "Memories formed from this session or used in it."
    )
    trace = connection(lists.SESSION_TRACE, page.TraceEventConnection, "The session's event log, in commit order.")
    spans = connection(lists.SESSION_SPANS, page.SpanConnection, "The session's spans, newest first.")
    traces = connection(lists.SESSION_TRACES, page.TraceConnection, "The session's traces, newest first.")
    usage: TokenUsage | None = strawberry.field(description="What all its traces used.")
    trace_cursor = relation(
        sessions.trace_cursors,
        str,
        "Cursor of the end of the trace log. Select it with a page, then subscribe after it to miss nothing.",
    )
    message_cursor = relation(sessions.message_cursors, str, "Cursor of the latest message, used the same way.")


@backed_by(domain.ChatSession)
@strawberry.type(description="A conversation.")
class ChatSession(Session):
    documents = relation(
        blobs.documents,
        refs.BlobConnection,
        "Documents in its messages, once for each, the oldest first.",
        reads=["id"],
    )
    media = relation(
        blobs.media,
        refs.BlobConnection,
        "Images, sounds and films in its messages, once for each, the oldest first.",
        reads=["id"],
    )


@backed_by(domain.PanelSession)
@strawberry.type(description="A discussion among several agents that leads to decisions.")
class PanelSession(Session):
    format: PanelFormat
    decisions = relation(panel.decisions, list[refs.Decision], "What it has decided, the oldest first.", reads=["id"])
    insights = relation(
        panel.insights, list[refs.Insight], "What it has come to understand, the oldest first.", reads=["id"]
    )


@backed_by(domain.WorkflowSession)
@strawberry.type(description="A run of a workflow.")
class WorkflowSession(Session):
    state: str | None = strawberry.field(description="The state it is in; null until its states are defined.")
    states: list[Any] = strawberry.field(
        graphql_type=list[refs.WorkflowState], description="The states it may be in, as they were given."
    )
    executions = relation(
        workflow.executions, list[refs.WorkflowExecution], "What was executed, the oldest first.", reads=["id"]
    )


@backed_by(domain.PlaygroundSession)
@strawberry.type(description="A session for experiments.")
class PlaygroundSession(Session):
    experiments = relation(
        playground.experiments, list[refs.Experiment], "What is tried, the oldest first.", reads=["id"]
    )
    comparison = relation(
        playground.comparisons,
        list[refs.ExperimentComparison],
        "Its experiments by a figure of a metric of their results, the best first; those that have no result with it "
        "come last. direction: DESC where more is better.",
        reads=["id"],
    )


@backed_by(domain_link.SessionLink)
@strawberry.type(description="A typed link from one session to another.")
class SessionLink(Node):
    kind: NodeKind
    source = relation(session_links.sources, refs.optional(refs.Session), reads=["source_id"])
    target = relation(session_links.targets, refs.Session, reads=["target_id"])
    created_at: datetime
    metadata: JSON


@backed_by(domain_participant.Participant)
@strawberry.type(description="A participant in a session.")
class Participant(Node):
    external_id: str | None
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    actor = relation(sessions.participant_actors, refs.optional(refs.Actor), "The user or agent behind it, if any.")
    type_name: str = strawberry.field(name="type", description="USER, AGENT, SYSTEM or TOOL.")
    role: str
    name: str
    joined_at: datetime
    left_at: datetime | None
    messages = connection(lists.PARTICIPANT_MESSAGES, page.MessageConnection, "Messages it sent.")


@backed_by(live.SessionEdge)
@strawberry.type(description="A change to a session, also to when it was last active and how many messages it has.")
class SessionChange:
    cursor: str
    time: datetime
    kind: ChangeKind = strawberry.field(description="CREATED, UPDATED or DELETED.")
    session_id: strawberry.ID
    session: Session | None = strawberry.field(description="The session as it is now; null once it is deleted.")
    left: bool = strawberry.field(
        description="The session matched the filter before this change and does not any more; a deleted one leaves "
        "every list."
    )
