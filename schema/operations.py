"""The roots of the contract: what can be asked, written and followed."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain.change import ChangeKind
from resolvers import (
    actors,
    graph,
    health,
    links,
    lists,
    live,
    memories,
    messages,
    search,
    sessions,
    states,
    traces,
)
from schema import page, payloads, refs
from schema.fields import backed_by, mutation, query, root_connection, subscription
from schema.graph import MemoryPath
from schema.memory import Memory, MemoryLink
from schema.search import MemorySearch
from stores import ports


@backed_by(health.Viewer)
@strawberry.type(description="Who asks, and what they may do.")
class Viewer:
    """See the description."""

    name: str
    workspace: str
    rights: list[str]


@backed_by(ports.StoreHealth)
@strawberry.type(description="The health of one part of the store.")
class StoreHealth:
    """See the description."""

    name: str
    status: str = strawberry.field(description="healthy, degraded or unhealthy.")
    latency_ms: float
    reason: str | None
    circuit: str | None = strawberry.field(description="Of a part behind a circuit breaker: closed, open or half-open.")
    backlog: int = strawberry.field(description="How much waits to be passed on.")


@backed_by(health.Health)
@strawberry.type(description="How the server is.")
class Health:
    """See the description."""

    status: str = strawberry.field(description="The worst status of the stores.")
    stores: list[StoreHealth]


@strawberry.type(description="What can be asked.")
class Query:
    """See the description."""

    node = query(graph.node, refs.optional(page.Node), "Whatever has this id.")
    nodes = query(graph.nodes, refs.many(refs.optional(page.Node)), "Whatever has these ids, in order.")
    memory_cursor = query(sessions.memory_cursor, str, "Where the workspace's memory changes stand.")
    viewer = query(health.viewer, Viewer, "Who asks, in which workspace, with which rights.")
    session = query(sessions.session, refs.optional(refs.Session))
    sessions = root_connection(lists.SESSIONS, page.SessionConnection, "Sessions, newest first.")
    user = query(actors.user, refs.optional(refs.User))
    users = root_connection(lists.USERS, page.UserConnection, "Users, newest first.")
    agent = query(actors.agent, refs.optional(refs.Agent))
    agents = root_connection(lists.AGENTS, page.AgentConnection, "Agents, newest first.")
    memory = query(memories.memory, refs.optional(Memory))
    memories = root_connection(lists.MEMORIES, page.MemoryConnection, "Memories, newest first, archived ones included.")
    search_memories = query(
        search.search,
        MemorySearch,
        "The best memories for a query among active ones that are valid now. It only reads: an agent that is about to "
        "use what it finds calls the mutation recall.",
    )
    memory_paths = query(graph.paths, list[MemoryPath], "Ways between two memories, the shortest first.")
    spans = root_connection(lists.SPANS, page.SpanConnection, "Spans of all sessions, newest first.")
    trace = query(traces.trace, refs.optional(refs.Trace), "The trace of a traceId.")
    state = query(states.state, refs.optional(refs.StateEntry))
    states = query(lists.states, page.StateConnection, "The entries of a namespace, by key.")
    health = query(health.health, Health)


@strawberry.type(description="What can be written. Every mutation is durable when it answers.")
class Mutation:
    """See the description."""

    create_session = mutation(sessions.create, payloads.SessionPayload)
    update_session = mutation(sessions.update, payloads.SessionPayload)
    end_session = mutation(sessions.end, payloads.SessionPayload)
    archive_session = mutation(sessions.archive, payloads.SessionPayload)
    delete_session = mutation(sessions.delete, payloads.SessionPayload)
    add_participant = mutation(sessions.add_participant, payloads.ParticipantPayload)
    remove_participant = mutation(sessions.remove_participant, payloads.ParticipantPayload)
    upsert_user = mutation(actors.upsert_user, payloads.UserPayload)
    upsert_agent = mutation(actors.upsert_agent, payloads.AgentPayload)
    add_message = mutation(messages.add, payloads.MessagePayload)
    add_messages = mutation(messages.add_many, payloads.MessagesPayload)
    create_memory = mutation(memories.create, payloads.MemoryPayload)
    create_memories = mutation(memories.create_many, payloads.MemoriesPayload)
    update_memory = mutation(memories.update, payloads.MemoryPayload)
    archive_memories = mutation(memories.archive, payloads.MemoriesPayload)
    restore_memories = mutation(memories.restore, payloads.MemoriesPayload)
    delete_memories = mutation(memories.delete, payloads.MemoriesPayload)
    touch_memories = mutation(memories.touch, payloads.MemoriesPayload)
    decay_memories = mutation(memories.decay, payloads.AffectedMemoriesPayload)
    link_memories = mutation(links.link, payloads.LinksPayload)
    unlink_memories = mutation(links.unlink, payloads.LinksPayload)
    recall = mutation(search.recall, payloads.RecallPayload)
    append_trace_events = mutation(traces.append, payloads.TracePayload)
    start_span = mutation(traces.start_span, payloads.SpanPayload)
    end_span = mutation(traces.end_span, payloads.SpanPayload)
    set_state = mutation(states.set_one, payloads.StatePayload)
    set_states = mutation(states.set_many, payloads.StatesPayload)
    delete_state = mutation(states.delete, payloads.StatePayload)


@backed_by(live.ChangeEdge)
@strawberry.type(description="What happened to a memory.")
class MemoryChange:
    """See the description."""

    cursor: str
    time: datetime
    kind: ChangeKind
    memory_id: strawberry.ID
    memory: Memory | None = strawberry.field(description="The memory as it is now; null once it is deleted.")
    link: MemoryLink | None = strawberry.field(
        description="The link, of LINKED and UNLINKED; null once a memory at one of its ends is deleted."
    )


@strawberry.type(
    description="What can be followed: a list continued. Replays what is stored after the cursor, then goes live, each "
    "event exactly once and in order; without a cursor it starts now."
)
class Subscription:
    """See the description."""

    session_trace = subscription(live.session_trace, page.edge_of(page.TraceEventConnection), "A session's log.")
    session_messages = subscription(
        live.session_messages, page.edge_of(page.MessageConnection), "A session's messages."
    )
    memory_changes = subscription(live.memory_changes, MemoryChange, "What happens to the workspace's memories.")
