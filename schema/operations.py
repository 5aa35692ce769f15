"""The roots of the contract: what can be asked, written and followed."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain.caller import Role
from domain.change import ChangeKind
from resolvers import (
    actors,
    graph,
    health,
    keys,
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
from schema.security import ApiKey
from stores import ports

READ, WRITE, ADMIN = Role


@backed_by(health.Viewer)
@strawberry.type(description="Who asks, and what they may do.")
class Viewer:
    name: str
    workspace: str
    rights: list[str]


@backed_by(ports.StoreHealth)
@strawberry.type(description="The health of one part of the store.")
class StoreHealth:
    name: str
    status: str = strawberry.field(description="healthy, degraded or unhealthy.")
    latency_ms: float
    reason: str | None
    circuit: str | None = strawberry.field(description="Of a part behind a circuit breaker: closed, open or half-open.")
    backlog: int = strawberry.field(description="How much waits to be passed on.")


@backed_by(health.Health)
@strawberry.type(description="How the server is.")
class Health:
    status: str = strawberry.field(description="The worst status of the stores.")
    stores: list[StoreHealth]


@strawberry.type(description="What can be asked.")
class Query:
    node = query(graph.node, refs.optional(page.Node), "Whatever has this id.", right=READ)
    nodes = query(graph.nodes, refs.many(refs.optional(page.Node)), "Whatever has these ids, in order.", right=READ)
    memory_cursor = query(sessions.memory_cursor, str, "Where the workspace's memory changes stand.", right=READ)
    viewer = query(health.viewer, Viewer, "Who asks, in which workspace, with which rights.", right=READ)
    session = query(sessions.session, refs.optional(refs.Session), right=READ)
    sessions = root_connection(lists.SESSIONS, page.SessionConnection, "Sessions, newest first.", right=READ)
    user = query(actors.user, refs.optional(refs.User), right=READ)
    users = root_connection(lists.USERS, page.UserConnection, "Users, newest first.", right=READ)
    agent = query(actors.agent, refs.optional(refs.Agent), right=READ)
    agents = root_connection(lists.AGENTS, page.AgentConnection, "Agents, newest first.", right=READ)
    memory = query(memories.memory, refs.optional(Memory), right=READ)
    memories = root_connection(
        lists.MEMORIES, page.MemoryConnection, "Memories, newest first, archived ones included.", right=READ
    )
    search_memories = query(
        search.search,
        MemorySearch,
        "The best memories for a query among active ones that are valid now. It only reads: an agent that is about to "
        "use what it finds calls the mutation recall.",
        right=READ,
    )
    memory_paths = query(graph.paths, list[MemoryPath], "Ways between two memories, the shortest first.", right=READ)
    spans = root_connection(lists.SPANS, page.SpanConnection, "Spans of all sessions, newest first.", right=READ)
    trace = query(traces.trace, refs.optional(refs.Trace), "The trace of a traceId.", right=READ)
    state = query(states.state, refs.optional(refs.StateEntry), right=READ)
    states = query(lists.states, page.StateConnection, "The entries of a namespace, by key.", right=READ)
    health = query(health.health, Health, right=READ)
    api_keys = query(
        keys.api_keys,
        list[ApiKey],
        "The API keys of this workspace, revoked ones too, the newest first.",
        right=ADMIN,
    )
    audit_log = root_connection(
        lists.AUDIT, page.AuditConnection, "Who did what in this workspace, the newest first.", right=ADMIN
    )


@strawberry.type(description="What can be written. Every mutation is durable when it answers.")
class Mutation:
    create_session = mutation(sessions.create, payloads.SessionPayload, right=WRITE)
    update_session = mutation(sessions.update, payloads.SessionPayload, right=WRITE)
    end_session = mutation(sessions.end, payloads.SessionPayload, right=WRITE)
    archive_session = mutation(sessions.archive, payloads.SessionPayload, right=WRITE)
    delete_session = mutation(sessions.delete, payloads.SessionPayload, right=WRITE)
    add_participant = mutation(sessions.add_participant, payloads.ParticipantPayload, right=WRITE)
    remove_participant = mutation(sessions.remove_participant, payloads.ParticipantPayload, right=WRITE)
    upsert_user = mutation(actors.upsert_user, payloads.UserPayload, right=WRITE)
    upsert_agent = mutation(actors.upsert_agent, payloads.AgentPayload, right=WRITE)
    add_message = mutation(messages.add, payloads.MessagePayload, right=WRITE)
    add_messages = mutation(messages.add_many, payloads.MessagesPayload, right=WRITE)
    create_memory = mutation(memories.create, payloads.MemoryPayload, right=WRITE)
    create_memories = mutation(memories.create_many, payloads.MemoriesPayload, right=WRITE)
    update_memory = mutation(memories.update, payloads.MemoryPayload, right=WRITE)
    archive_memories = mutation(memories.archive, payloads.MemoriesPayload, right=WRITE)
    restore_memories = mutation(memories.restore, payloads.MemoriesPayload, right=WRITE)
    delete_memories = mutation(memories.delete, payloads.MemoriesPayload, right=WRITE)
    touch_memories = mutation(memories.touch, payloads.MemoriesPayload, right=WRITE)
    decay_memories = mutation(memories.decay, payloads.AffectedMemoriesPayload, right=WRITE)
    link_memories = mutation(links.link, payloads.LinksPayload, right=WRITE)
    unlink_memories = mutation(links.unlink, payloads.LinksPayload, right=WRITE)
    recall = mutation(search.recall, payloads.RecallPayload, right=WRITE)
    append_trace_events = mutation(traces.append, payloads.TracePayload, right=WRITE)
    start_span = mutation(traces.start_span, payloads.SpanPayload, right=WRITE)
    end_span = mutation(traces.end_span, payloads.SpanPayload, right=WRITE)
    set_state = mutation(states.set_one, payloads.StatePayload, right=WRITE)
    set_states = mutation(states.set_many, payloads.StatesPayload, right=WRITE)
    delete_state = mutation(states.delete, payloads.StatePayload, right=WRITE)
    create_api_key = mutation(keys.create, payloads.CreateApiKeyPayload, right=ADMIN)
    revoke_api_key = mutation(keys.revoke, payloads.ApiKeyPayload, right=ADMIN)


@backed_by(live.ChangeEdge)
@strawberry.type(description="What happened to a memory.")
class MemoryChange:
    cursor: str
    time: datetime
    kind: ChangeKind
    memory_id: strawberry.ID
    memory: Memory | None = strawberry.field(description="The memory as it is now; null once it is deleted.")
    left: bool = strawberry.field(
        description="The memory matched the filter before this change and does not any more: a list of what matches "
        "loses it. A deleted memory leaves every list."
    )
    link: MemoryLink | None = strawberry.field(
        description="The link, of LINKED and UNLINKED; null once a memory at one of its ends is deleted."
    )


@strawberry.type(
    description="What can be followed: a list continued. Replays what is stored after the cursor, then goes live, each "
    "event exactly once and in order; without a cursor it starts now."
)
class Subscription:
    session_trace = subscription(
        live.session_trace, page.edge_of(page.TraceEventConnection), "A session's log.", right=READ
    )
    session_messages = subscription(
        live.session_messages,
        page.edge_of(page.MessageConnection),
        "A session's messages.",
        right=READ,
    )
    memory_changes = subscription(
        live.memory_changes, MemoryChange, "What happens to the workspace's memories.", right=READ
    )
