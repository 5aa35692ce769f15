"""The catalogue: a line for each kind of record. Its fields say the rest; see domain.declaration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from msgspec.structs import replace

from domain.actor import ActorFilter, Agent, AgentVersion, AgentVersionOrder, User
from domain.annotation import Annotation, AnnotationFilter, AnnotationOrder
from domain.audit import AuditEntry, AuditFilter
from domain.blob import Attachment, AttachmentFilter, AttachmentOrder, Blob, BlobFilter, BlobOrder
from domain.chunk import Chunk, ChunkOrder
from domain.context_version import ContextVersion, ContextVersionFilter, ContextVersionOrder
from domain.conversation import Conversation
from domain.correction import MessageVersion, MessageVersionOrder
from domain.declaration import Refers
from domain.document import DocumentChunk, DocumentChunkOrder
from domain.entity import Entity, EntityFilter, EntityName, EntityOrder, Mention, MentionOrder
from domain.erasure import Erasure
from domain.experiment import Experiment, ExperimentResult
from domain.formation import Origin, OriginOrder
from domain.history import LinkVersion, LinkVersionFilter, MemoryVersion, MemoryVersionFilter, ReplacedOrder
from domain.key import ApiKey
from domain.link import MemoryLink
from domain.memory import Memory, MemoryFilter, MemoryOrder
from domain.message import Message, MessageFilter, Thread
from domain.node import Node
from domain.panel import Decision, Insight
from domain.part import PartOrder
from domain.participant import Participant, identity
from domain.reasoning import ReasoningChain, ReasoningChainFilter, ReasoningChainOrder
from domain.search import Recall
from domain.session import SESSION_TYPES, Session, SessionFilter
from domain.session_link import SessionLink, SessionLinkOrder
from domain.span import Span, SpanFilter, SpanOrder, Trace, TraceListFilter, TraceOrder
from domain.state import StateEntry, StateFilter
from domain.state_index import StateVector
from domain.state_schema import StateSchema, StateSchemaOrder
from domain.tally import ZERO, Tally
from domain.tool_execution import ToolExecution, ToolExecutionFilter, ToolExecutionOrder
from domain.trace import TraceEvent, TraceEventOrder, TraceFilter
from domain.trash import TrashedBlob, TrashedPart, TrashedSession, TrashedSessionFilter, TrashedSessionOrder
from domain.values import EMPTY_OBJECT
from domain.workflow import WorkflowExecution
from stores.catalogue.column import Column
from stores.catalogue.kind import Kind, is_foreign

N = TypeVar("N", bound=Node)

KINDS: tuple[Kind[Any], ...] = (
    Kind(User, "user", counted=True, filter=ActorFilter),
    Kind(Agent, "agent", counted=True, filter=ActorFilter),
    Kind(Blob, "blob", merges=True, counted=True, filter=BlobFilter, order=BlobOrder),
    Kind(
        Session,
        "session",
        variants=("kind", SESSION_TYPES),
        counted=True,
        filter=SessionFilter,
        logged=lambda one: replace(
            one,
            title="",
            external_id=None,
            context=EMPTY_OBJECT,
            metadata=EMPTY_OBJECT,
            panel_format=None,
            workflow=None,
            used=ZERO,
        ),
    ),
    Kind(
        Participant,
        "participant",
        derived={"identity": lambda one: identity(one.type, one.name, one.actor_id, one.external_id)},
        counted=True,
    ),
    Kind(Thread, "thread"),
    Kind(Message, "message", unique=[("session", "place")], counted=True, filter=MessageFilter),
    Kind(Attachment, "attachment", exported=False, filter=AttachmentFilter, order=AttachmentOrder),
    Kind(
        DocumentChunk,
        "document_chunk",
        indexes=[("embedder", "id")],
        derived={"place_key": lambda one: str(one.place)},
        exported=False,
        order=DocumentChunkOrder,
    ),
    Kind(MessageVersion, "message_version", line="messageVersion", order=MessageVersionOrder),
    Kind(SessionLink, "session_link", line="sessionLink", replaces=True, order=SessionLinkOrder),
    Kind(AgentVersion, "agent_version", line="agentVersion", order=AgentVersionOrder),
    Kind(
        ContextVersion,
        "context_version",
        line="contextVersion",
        filter=ContextVersionFilter,
        order=ContextVersionOrder,
    ),
    Kind(Chunk, "chunk", order=ChunkOrder),
    Kind(Memory, "memory", counted=True, filter=MemoryFilter, order=MemoryOrder),
    Kind(Origin, "origin", order=OriginOrder),
    Kind(Entity, "entity", counted=True, filter=EntityFilter, order=EntityOrder),
    Kind(EntityName, "entity_name", line="entityName"),
    Kind(Mention, "mention", order=MentionOrder),
    Kind(MemoryLink, "link", label="LINK", clustered=True, replaces=True, counted=True),
    Kind(
        MemoryVersion,
        "memory_version",
        line="version",
        unique=[("memory", "version")],
        filter=MemoryVersionFilter,
        order=ReplacedOrder,
    ),
    Kind(LinkVersion, "link_version", line="linkVersion", filter=LinkVersionFilter, order=ReplacedOrder),
    Kind(Trace, "trace", merges=True, filter=TraceListFilter, order=TraceOrder, logged=lambda one: one),
    Kind(
        Span,
        "span",
        indexes=[("trace_id", "started_at", "id"), ("trace_id", "parent_span_id", "started_at", "id")],
        counted=True,
        filter=SpanFilter,
        order=SpanOrder,
    ),
    Kind(Tally, "tally", exported=False),
    Kind(Conversation, "conversation", exported=False),
    Kind(TraceEvent, "event", counted=True, filter=TraceFilter, order=TraceEventOrder),
    Kind(Recall, "recall"),
    Kind(
        ToolExecution,
        "tool_execution",
        line="toolExecution",
        counted=True,
        filter=ToolExecutionFilter,
        order=ToolExecutionOrder,
    ),
    Kind(
        Annotation,
        "annotation",
        derived={"author_key": lambda one: one.author_id or ""},  # NULL is not the same as NULL: nobody is one author
        replaces=True,
        counted=True,
        filter=AnnotationFilter,
        order=AnnotationOrder,
        logged=lambda one: replace(one, comment=None, metadata=EMPTY_OBJECT),
    ),
    Kind(
        ReasoningChain,
        "reasoning_chain",
        line="reasoningChain",
        counted=True,
        filter=ReasoningChainFilter,
        order=ReasoningChainOrder,
    ),
    Kind(Decision, "decision", counted=True, order=PartOrder),
    Kind(Insight, "insight", counted=True, order=PartOrder),
    Kind(WorkflowExecution, "workflow_execution", line="workflowExecution", counted=True, order=PartOrder),
    Kind(Experiment, "experiment", counted=True, order=PartOrder),
    Kind(ExperimentResult, "experiment_result", line="experimentResult", counted=True, order=PartOrder),
    Kind(StateSchema, "state_schema", line="stateSchema", order=StateSchemaOrder),
    Kind(StateEntry, "state", label="State", replaces=True, counted=True, filter=StateFilter),
    Kind(StateVector, "state_vector", exported=False),
    Kind(
        TrashedSession,
        "trashed_session",
        counted=True,
        exported=False,
        filter=TrashedSessionFilter,
        order=TrashedSessionOrder,
    ),
    Kind(TrashedPart, "trashed_part", derived={"place_key": lambda one: str(one.place)}, exported=False),
    Kind(TrashedBlob, "trashed_blob", exported=False),
    Kind(Erasure, "erasure", merges=True),
    Kind(ApiKey, "api_key", exported=False),
    Kind(AuditEntry, "audit", clustered=True, exported=False, filter=AuditFilter),
)

_BY_RECORD: dict[type[Node], Kind[Any]] = {
    record: kind for kind in KINDS for record in (kind.record, *kind.variants.values())
}
_BY_NAME = {kind.name: kind for kind in KINDS}
_BY_CLASS_NAME = {record.__name__: kind for record, kind in _BY_RECORD.items()}

if missing := [record.__name__ for record in Node.kinds.values() if record not in _BY_RECORD]:
    raise TypeError(f"These records have no line in the catalogue: {', '.join(missing)}.")


def kind(record: type[N]) -> Kind[N]:
    """The kind of a class of records."""
    return _BY_RECORD[record]


def named(name: type[Node] | str) -> Kind[Any]:
    """The kind that a declaration names, by its class or the class's name."""
    return _BY_CLASS_NAME[name if isinstance(name, str) else name.__name__]


def targets(refers: Refers) -> tuple[Kind[Any], ...]:
    """The kinds a reference leads to; none where it may lead to any."""
    return () if Node in refers.kinds else tuple(map(named, refers.kinds))


def expiring(column: Column) -> list[Kind[Any]]:
    """The kinds a reference leads to whose records expire, where what names them expires with them."""
    if column.refers is None or not column.refers.lives:
        return []
    return [target for target in targets(column.refers) if target.expires is not None]


def foreign(column: Column) -> Kind[Any] | None:
    """The kind whose record the column names, where it is of one kind and must be there."""
    return targets(column.refers)[0] if column.refers is not None and is_foreign(column) else None


def called(name: str) -> Kind[Any]:
    """The kind of a name."""
    return _BY_NAME[name]


def natural_key(record: N) -> tuple[str, ...] | None:
    """What a record is called by beside its id; None where it has no such name."""
    return kind(type(record)).natural_key(record)


def referring(to: Kind[Any]) -> Iterator[tuple[Kind[Any], Column]]:
    """The kinds and columns that name records of a kind and do not stay as they are when one of them is deleted."""
    for other in KINDS:
        for column in other.references:
            refers = column.refers
            if refers is not None and refers.gone in ("cascade", "null") and to in targets(refers):
                yield other, column
