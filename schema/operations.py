"""The root types Query, Mutation and Subscription."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain.caller import Role
from domain.change import ChangeKind
from resolvers import (
    actors,
    annotation,
    blobs,
    compression,
    correction,
    documents,
    duplicates,
    entities,
    entity_finding,
    erasure,
    forecast,
    formation,
    generations,
    graph,
    health,
    keys,
    links,
    lists,
    live,
    memories,
    merging,
    message_search,
    messages,
    panel,
    playground,
    reasoning,
    retention,
    routing,
    search,
    session_links,
    sessions,
    spans,
    state_index,
    state_schemas,
    states,
    statistics,
    tool_execution,
    traces,
    transaction,
    trash,
    workflow,
)
from schema import page, payloads, refs
from schema.actor import AgentMatch
from schema.annotation import AnnotationChange, AnnotationConnection, AnnotationPayload, AnnotationsPayload
from schema.blob import Blob, BlobConnection, BlobPayload
from schema.chunk import CompressionPayload
from schema.correction import RedactionPayload
from schema.document import DocumentSearch
from schema.entity import (
    EntitiesPayload,
    Entity,
    EntityConnection,
    EntityPayload,
    FoundEntitiesPayload,
    MergedEntitiesPayload,
)
from schema.erasure import ErasurePayload
from schema.fields import backed_by, mutation, query, root_connection, subscription
from schema.forecast import MemoryForecast
from schema.generation import CachedGeneration, EvictedPayload, GenerationPayload
from schema.graph import MemoryPath
from schema.memory import DuplicateGroup, Memory, MemoryLink, MergePayload
from schema.message_search import MessageSearchConnection
from schema.panel import DecisionPayload, InsightPayload
from schema.playground import ExperimentPayload, ExperimentResultPayload
from schema.reasoning import ReasoningChainConnection, ReasoningChainPayload
from schema.retention import RetentionPayload
from schema.search import MemorySearch
from schema.security import ApiKey
from schema.session import SessionChange
from schema.state import StateNamespace, StateSchema, StateSchemaConnection, StateSchemaPayload, StateSearch
from schema.statistics import MemoryStats, MessageStats, SessionStats, Stats, TraceStats
from schema.tool_execution import ToolExecutionConnection, ToolExecutionPayload, ToolStats
from schema.trace import TraceChange
from schema.transaction import TransactionPayload
from schema.trash import EmptyTrashPayload, TrashedSessionConnection
from schema.workflow import WorkflowExecutionPayload, WorkflowPayload
from stores import ports

READ, WRITE, ADMIN = Role


@backed_by(health.Viewer)
@strawberry.type(description="The caller and what they may do.")
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
    circuit: str | None = strawberry.field(
        description="State of the circuit breaker, if there is one: closed, open or half-open."
    )
    backlog: int = strawberry.field(description="Number of changes waiting to be delivered.")


@backed_by(health.Health)
@strawberry.type(description="The health of the server.")
class Health:
    status: str = strawberry.field(description="The worst status among the stores.")
    stores: list[StoreHealth]


@strawberry.type(description="All queries.")
class Query:
    node = query(graph.node, refs.optional(page.Node), "The object with this id.", right=READ)
    nodes = query(
        graph.nodes, refs.many(refs.optional(page.Node)), "The objects with these ids, in the order given.", right=READ
    )
    memory_cursor = query(sessions.memory_cursor, str, "Cursor of the workspace's latest memory change.", right=READ)
    session_cursor = query(live.session_cursor, str, "Where the workspace's session changes stand.", right=READ)
    trace_change_cursor = query(live.trace_change_cursor, str, "Where the workspace's trace changes stand.", right=READ)
    viewer = query(health.viewer, Viewer, "The caller, their workspace and their rights.", right=READ)
    session = query(sessions.session, refs.optional(refs.Session), right=READ)
    sessions = root_connection(lists.SESSIONS, page.SessionConnection, "Sessions, newest first.", right=READ)
    trashed_sessions = root_connection(
        trash.TRASH,
        TrashedSessionConnection,
        "Deleted sessions that restoreSession can bring back, the last deleted first.",
        right=READ,
    )
    user = query(actors.user, refs.optional(refs.User), right=READ)
    users = root_connection(lists.USERS, page.UserConnection, "Users, newest first.", right=READ)
    agent = query(actors.agent, refs.optional(refs.Agent), right=READ)
    agents = root_connection(lists.AGENTS, page.AgentConnection, "Agents, newest first.", right=READ)
    route_agent = query(
        routing.route,
        list[AgentMatch],
        "The agents that should answer, best first: by the priority of their routes, then by score; fallbacks last.",
        right=READ,
    )
    memory = query(
        memories.memory, refs.optional(Memory), "A memory; with asOf as it was known at that time.", right=READ
    )
    memories = query(
        lists.memories,
        page.MemoryConnection,
        "Memories that hold now, newest first, archived ones included; validAt asks of another time, statuses with "
        "SUPERSEDED of any. asOf: as they were known at that time.",
        right=READ,
    )
    search_memories = query(
        search.search,
        MemorySearch,
        "The best matching memories among those that are active and valid now, or with asOf were known to be at that "
        "time. Searching changes nothing; an agent "
        "that will use the results should call the mutation recall instead.",
        right=READ,
    )
    search_messages = query(
        message_search.search,
        MessageSearchConnection,
        "Messages of all sessions that say so, best first: by their words and, but for TEXT, by their meaning.",
        right=READ,
    )
    duplicates = query(
        duplicates.duplicates,
        list[DuplicateGroup],
        "Active memories of an owner that say nearly the same, the largest groups first; texts with different numbers "
        "never do.",
        right=READ,
    )
    search_documents = query(
        documents.search,
        DocumentSearch,
        "Chunks of what documents say that have these words or, but for TEXT, mean the same, best first; the filter is "
        "of the documents.",
        right=READ,
    )
    entity = query(
        entities.entity,
        refs.optional(Entity),
        "A named thing, by its id, your externalId or one of its names.",
        right=READ,
    )
    entities = root_connection(
        entities.ENTITIES, EntityConnection, "Named things that memories and messages mention.", right=READ
    )
    memory_paths = query(
        graph.paths,
        list[MemoryPath],
        "Paths between two memories, shortest first. entities: also over those that memories on the way mention. "
        "asOf: as they were known at that time.",
        right=READ,
    )
    annotations = root_connection(
        annotation.ANNOTATIONS,
        AnnotationConnection,
        "Annotations of messages, spans, sessions and memories, newest first.",
        right=READ,
    )
    annotation_cursor = query(annotation.cursor, str, "Where the workspace's annotation changes stand.", right=READ)
    tool_executions = root_connection(
        lists.TOOL_EXECUTIONS, ToolExecutionConnection, "Runs of tools in all sessions, newest first.", right=READ
    )
    reasoning_chains = root_connection(
        reasoning.CHAINS, ReasoningChainConnection, "How agents reasoned, in all sessions, newest first.", right=READ
    )
    tool_stats = query(
        tool_execution.tool_stats,
        list[ToolStats],
        "What became of the executions of each tool, the most used one first.",
        right=READ,
    )
    stats = query(statistics.stats, Stats, "How many records the workspace has.", right=READ)
    session_stats = query(statistics.session_stats, SessionStats, "Statistics of sessions.", right=READ)
    message_stats = query(statistics.message_stats, MessageStats, "Statistics of messages.", right=READ)
    memory_stats = query(
        statistics.memory_stats,
        MemoryStats,
        "Statistics of memories, of those too that hold no longer.",
        right=READ,
    )
    memory_forecast = query(
        forecast.forecast,
        MemoryForecast,
        "What will have faded, ended, expired or been pushed out of active memories by a time, and why. Nothing fades "
        "by itself: decayPerDay says by how much you do it; as many memories are taken to come as in the time of equal "
        "length before now.",
        right=READ,
    )
    trace_stats = query(
        statistics.trace_stats,
        TraceStats,
        "Statistics of spans. bucket: one more group, a stretch of time in the zone.",
        right=READ,
    )
    blob = query(blobs.blob, refs.optional(Blob), "The file with this id, or with this SHA-256.", right=READ)
    blobs = root_connection(blobs.BLOBS, BlobConnection, "Stored files, newest first.", right=READ)
    spans = root_connection(lists.SPANS, page.SpanConnection, "Spans of all sessions, newest first.", right=READ)
    trace = query(traces.trace, refs.optional(refs.Trace), "The trace with this traceId.", right=READ)
    traces = root_connection(lists.TRACES, page.TraceConnection, "Traces of all sessions, newest first.", right=READ)
    states_of_keys = query(
        states.of_keys,
        refs.many(refs.optional(refs.StateEntry)),
        "The entries of these keys of a namespace, in the order given.",
        right=READ,
    )
    search_states = query(
        state_index.search,
        StateSearch,
        "The entries of a namespace, and of those below it, that are nearest in meaning to a text, best first. "
        "setStateSchema says by index which members of their values are looked at.",
        right=READ,
    )
    state_namespaces = query(
        states.namespaces,
        list[StateNamespace],
        "The namespaces whose names begin with a prefix, by name; depth: how many steps of them.",
        right=READ,
    )
    state_schema = query(
        state_schemas.state_schema, refs.optional(StateSchema), "The JSON Schema of a namespace of state.", right=READ
    )
    state_schemas = root_connection(
        state_schemas.SCHEMAS, StateSchemaConnection, "The JSON Schemas of namespaces, newest first.", right=READ
    )
    state = query(states.state, refs.optional(refs.StateEntry), right=READ)
    states = query(lists.states, page.StateConnection, "The entries of a namespace, ordered by key.", right=READ)
    cached_generation = query(
        generations.cached,
        refs.optional(CachedGeneration),
        "What is cached under a key, and a hit more; null where nothing is, or where the cache cannot be reached.",
        right=READ,
    )
    generation_key = query(
        generations.key_of,
        str,
        "The key of what a model is asked: the SHA-256 of its canonical JSON (RFC 8785), in hex.",
        right=READ,
    )
    health = query(health.health, Health, right=READ)
    api_keys = query(
        keys.api_keys,
        list[ApiKey],
        "The API keys of this workspace, newest first, including revoked ones.",
        right=ADMIN,
    )
    audit_log = root_connection(
        lists.AUDIT, page.AuditConnection, "The audit log of this workspace, newest first.", right=ADMIN
    )


@strawberry.type(description="All mutations. Each one is durable once it has answered.")
class Mutation:
    create_session = mutation(sessions.create, payloads.SessionPayload, right=WRITE)
    update_session = mutation(sessions.update, payloads.SessionPayload, right=WRITE)
    end_session = mutation(sessions.end, payloads.SessionPayload, right=WRITE)
    archive_session = mutation(sessions.archive, payloads.SessionPayload, right=WRITE)
    delete_session = mutation(sessions.delete, payloads.SessionPayload, right=WRITE)
    restore_session = mutation(trash.restore, payloads.SessionPayload, right=WRITE)
    empty_trash = mutation(trash.empty, EmptyTrashPayload, right=WRITE)
    add_participant = mutation(sessions.add_participant, payloads.ParticipantPayload, right=WRITE)
    remove_participant = mutation(sessions.remove_participant, payloads.ParticipantPayload, right=WRITE)
    upsert_user = mutation(actors.upsert_user, payloads.UserPayload, right=WRITE)
    upsert_agent = mutation(actors.upsert_agent, payloads.AgentPayload, right=WRITE)
    add_message = mutation(messages.add, payloads.MessagePayload, right=WRITE)
    add_messages = mutation(messages.add_many, payloads.MessagesPayload, right=WRITE)
    edit_message = mutation(correction.edit, payloads.MessagePayload, right=WRITE)
    redact_message = mutation(correction.redact, RedactionPayload, right=WRITE)
    delete_messages = mutation(correction.delete, payloads.MessagesPayload, right=WRITE)
    erase_user = mutation(erasure.erase_user, ErasurePayload, right=WRITE)
    erase_agent = mutation(erasure.erase_agent, ErasurePayload, right=WRITE)
    erase_session = mutation(erasure.erase_session, ErasurePayload, right=WRITE)
    fork_session = mutation(correction.fork, payloads.SessionPayload, right=WRITE)
    create_memory = mutation(memories.create, payloads.MemoryPayload, right=WRITE)
    create_memories = mutation(memories.create_many, payloads.MemoriesPayload, right=WRITE)
    form_memory = mutation(formation.form, payloads.MemoryPayload, right=WRITE)
    compress_session = mutation(compression.compress, CompressionPayload, right=WRITE)
    reform_memory = mutation(formation.reform, payloads.MemoryPayload, right=WRITE)
    merge_memories = mutation(merging.merge, MergePayload, right=WRITE)
    supersede_memory = mutation(merging.supersede, payloads.MemoryPayload, right=WRITE)
    update_memory = mutation(memories.update, payloads.MemoryPayload, right=WRITE)
    archive_memories = mutation(memories.archive, payloads.MemoriesPayload, right=WRITE)
    restore_memories = mutation(memories.restore, payloads.MemoriesPayload, right=WRITE)
    delete_memories = mutation(memories.delete, payloads.MemoriesPayload, right=WRITE)
    touch_memories = mutation(memories.touch, payloads.MemoriesPayload, right=WRITE)
    decay_memories = mutation(memories.decay, payloads.AffectedMemoriesPayload, right=WRITE)
    link_sessions = mutation(session_links.link, payloads.SessionLinksPayload, right=WRITE)
    unlink_sessions = mutation(session_links.unlink, payloads.SessionLinksPayload, right=WRITE)
    link_memories = mutation(links.link, payloads.LinksPayload, right=WRITE)
    unlink_memories = mutation(links.unlink, payloads.LinksPayload, right=WRITE)
    annotate = mutation(annotation.annotate, AnnotationPayload, right=WRITE)
    delete_annotations = mutation(annotation.delete, AnnotationsPayload, right=WRITE)
    upsert_entity = mutation(entities.upsert, EntityPayload, right=WRITE)
    merge_entities = mutation(entities.merge_entities, MergedEntitiesPayload, right=WRITE)
    delete_entities = mutation(entities.delete, EntitiesPayload, right=WRITE)
    upload_blob = mutation(blobs.upload, BlobPayload, right=WRITE)
    recall = mutation(search.recall, payloads.RecallPayload, right=WRITE)
    append_trace_events = mutation(traces.append, payloads.TracePayload, right=WRITE)
    start_span = mutation(traces.start_span, payloads.SpanPayload, right=WRITE)
    end_span = mutation(traces.end_span, payloads.SpanPayload, right=WRITE)
    delete_spans = mutation(spans.delete, payloads.SpansPayload, right=WRITE)
    start_tool_execution = mutation(tool_execution.start, ToolExecutionPayload, right=WRITE)
    finish_tool_execution = mutation(tool_execution.finish, ToolExecutionPayload, right=WRITE)
    record_reasoning = mutation(reasoning.record, ReasoningChainPayload, right=WRITE)
    add_decision = mutation(panel.add_decision, DecisionPayload, right=WRITE)
    add_insight = mutation(panel.add_insight, InsightPayload, right=WRITE)
    advance_workflow = mutation(workflow.advance, WorkflowPayload, right=WRITE)
    record_execution = mutation(workflow.record, WorkflowExecutionPayload, right=WRITE)
    add_experiment = mutation(playground.add_experiment, ExperimentPayload, right=WRITE)
    add_result = mutation(playground.add_result, ExperimentResultPayload, right=WRITE)
    set_state = mutation(states.set_one, payloads.StatePayload, right=WRITE)
    set_states = mutation(states.set_many, payloads.StatesPayload, right=WRITE)
    set_state_schema = mutation(state_schemas.set_schema, StateSchemaPayload, right=WRITE)
    delete_state_schema = mutation(state_schemas.delete_schema, StateSchemaPayload, right=WRITE)
    delete_state = mutation(states.delete, payloads.StatePayload, right=WRITE)
    delete_states = mutation(states.delete_many, payloads.DeletedStatesPayload, right=WRITE)
    transaction = mutation(transaction.transact, TransactionPayload, right=WRITE)
    cache_generation = mutation(generations.cache, GenerationPayload, right=WRITE)
    evict_generations = mutation(generations.evict, EvictedPayload, right=WRITE)
    find_entities = mutation(entity_finding.find, FoundEntitiesPayload, right=ADMIN)
    apply_retention = mutation(retention.apply, RetentionPayload, right=ADMIN)
    create_api_key = mutation(keys.create, payloads.CreateApiKeyPayload, right=ADMIN)
    revoke_api_key = mutation(keys.revoke, payloads.ApiKeyPayload, right=ADMIN)


@backed_by(live.ChangeEdge)
@strawberry.type(description="A change to a memory.")
class MemoryChange:
    cursor: str
    time: datetime
    kind: ChangeKind
    memory_id: strawberry.ID
    memory: Memory | None = strawberry.field(description="The memory as it is now; null if it was deleted.")
    left: bool = strawberry.field(
        description="True if the memory matched the filter before this change and no longer does: remove it from the "
        "list. Always true for deleted memories."
    )
    link: MemoryLink | None = strawberry.field(
        description="For LINKED and UNLINKED: the link; null if a memory at either end was deleted."
    )


@strawberry.type(
    description="All subscriptions. Each replays the events stored after the given cursor, then continues live, every "
    "event exactly once and in order. Without a cursor it starts now."
)
class Subscription:
    session_trace = subscription(
        live.session_trace, page.edge_of(page.TraceEventConnection), "New events in a session's trace log.", right=READ
    )
    session_messages = subscription(
        live.session_messages,
        page.edge_of(page.MessageConnection),
        "New messages in a session.",
        right=READ,
    )
    memory_changes = subscription(live.memory_changes, MemoryChange, "Changes to the workspace's memories.", right=READ)
    session_changes = subscription(
        live.session_changes, SessionChange, "Changes to the workspace's sessions.", right=READ
    )
    trace_changes = subscription(live.trace_changes, TraceChange, "Changes to the workspace's traces.", right=READ)
    annotation_changes = subscription(
        annotation.changes, AnnotationChange, "Changes to the workspace's annotations.", right=READ
    )
