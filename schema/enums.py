"""The enums of the contract: those of the domain, published."""

from __future__ import annotations

import enum

import strawberry

from domain.caller import Role
from domain.change import ChangeKind
from domain.compression import CompressionChange
from domain.consistency import ConsistencyLevel
from domain.errors import ErrorCode
from domain.graph import GraphEdgeKind
from domain.history import VersionCause
from domain.link import MemoryLinkKind
from domain.memory import MemoryScope, MemoryStatus, MemoryType
from domain.message import ContentType
from domain.panel import InsightCategory, PanelFormat
from domain.participant import SenderType
from domain.search import Ranking, SearchMode
from domain.session import SessionKind, SessionStatus
from domain.session_link import SessionLinkKind
from domain.span import CostSource, SpanKind, SpanStatusCode
from domain.tool_execution import ToolStatus
from domain.workflow import ExecutionStatus


class NodeStatus(enum.Enum):
    """The status of a session (ACTIVE, ENDED, ARCHIVED), of a memory (ACTIVE, ARCHIVED, SUPERSEDED), of a tool
    execution (PENDING, OK, ERROR, TIMEOUT) or of what is executed in a workflow (PENDING, OK, ERROR)."""

    ACTIVE = "ACTIVE"
    ENDED = "ENDED"
    ARCHIVED = "ARCHIVED"
    SUPERSEDED = "SUPERSEDED"
    PENDING = "PENDING"
    OK = "OK"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"


class NodeKind(enum.Enum):
    """The kind of a session, a span or a link, as SessionKind, SpanKind, MemoryLinkKind and SessionLinkKind have
    them."""

    CHAT = "CHAT"
    PANEL = "PANEL"
    WORKFLOW = "WORKFLOW"
    PLAYGROUND = "PLAYGROUND"
    AGENT = "AGENT"
    LLM = "LLM"
    TOOL = "TOOL"
    RETRIEVER = "RETRIEVER"
    EMBEDDING = "EMBEDDING"
    CHAIN = "CHAIN"
    REASONING = "REASONING"
    OTHER = "OTHER"
    RELATED = "RELATED"
    DERIVED_FROM = "DERIVED_FROM"
    SUPPORTS = "SUPPORTS"
    CONTRADICTS = "CONTRADICTS"
    SUPERSEDES = "SUPERSEDES"
    CAUSES = "CAUSES"
    PRECEDES = "PRECEDES"
    CONTINUES = "CONTINUES"
    PART_OF = "PART_OF"
    REFERS_TO = "REFERS_TO"
    FORKED_FROM = "FORKED_FROM"


SHARED: dict[type[enum.Enum], tuple[type[enum.Enum], ...]] = {
    NodeStatus: (SessionStatus, MemoryStatus, ToolStatus, ExecutionStatus),
    NodeKind: (SessionKind, SpanKind, MemoryLinkKind, SessionLinkKind),
}
"""The enums that fields of one name have in common, so that types that can meet are selected together, and the enums
whose members they show."""


def shown(kind: type[enum.Enum]) -> list[enum.Enum]:
    """The members that a field of an enum may have."""
    return [member for one in SHARED.get(kind, (kind,)) for member in one]


ENUMS: list[type[enum.Enum]] = []


def publish(kind: type[enum.Enum]) -> None:
    """Makes an enum known to Strawberry, under its own name and with its docstring; done once."""
    if "__strawberry_definition__" not in kind.__dict__:
        strawberry.enum(kind, description=kind.__doc__)
        ENUMS.append(kind)


for _kind in (
    ChangeKind,
    CompressionChange,
    ConsistencyLevel,
    ContentType,
    CostSource,
    ErrorCode,
    GraphEdgeKind,
    InsightCategory,
    MemoryLinkKind,
    MemoryScope,
    MemoryStatus,
    MemoryType,
    NodeKind,
    NodeStatus,
    PanelFormat,
    Role,
    SenderType,
    SearchMode,
    Ranking,
    SessionKind,
    SessionLinkKind,
    SessionStatus,
    SpanKind,
    SpanStatusCode,
    VersionCause,
):
    publish(_kind)
