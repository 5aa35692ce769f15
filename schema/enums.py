"""The enums of the contract: those of the domain, published."""

from __future__ import annotations

import enum

import strawberry

from domain.caller import Role
from domain.change import ChangeKind
from domain.errors import ErrorCode
from domain.graph import GraphEdgeKind
from domain.link import MemoryLinkKind
from domain.memory import MemoryScope, MemoryStatus, MemoryType
from domain.participant import SenderType
from domain.search import SearchMode
from domain.session import SessionKind, SessionStatus
from domain.span import SpanKind, SpanStatusCode

ENUMS: list[type[enum.Enum]] = []


def publish(kind: type[enum.Enum]) -> None:
    """Makes an enum known to Strawberry, under its own name and with its docstring; done once."""
    if "__strawberry_definition__" not in kind.__dict__:
        strawberry.enum(kind, description=kind.__doc__)
        ENUMS.append(kind)


for _kind in (
    ChangeKind,
    ErrorCode,
    GraphEdgeKind,
    MemoryLinkKind,
    MemoryScope,
    MemoryStatus,
    MemoryType,
    Role,
    SenderType,
    SearchMode,
    SessionKind,
    SessionStatus,
    SpanKind,
    SpanStatusCode,
):
    publish(_kind)
