"""Nodes, pages and connections (Relay's object identification and cursor connections)."""

from __future__ import annotations

from typing import Any

import strawberry

from resolvers import lists
from schema import refs
from schema.fields import relation


@strawberry.interface(description="An object with a globally unique id.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Opaque, globally unique and permanent; ids of one type sort by creation time."
    )


@strawberry.type(description="Position of a page in its list.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


def _connection(noun: str, node: Any, countable: bool = True, **extra: Any) -> Any:
    """The connection and edge types of a kind of node; read off domain pages and edges."""
    edge = type(
        f"{noun}Edge",
        (),
        {"__annotations__": {"cursor": str, "node": node}, "__module__": __name__, **extra},
    )
    edge_type: Any = strawberry.type(edge, description=f"A page item ({noun}) with its cursor.")
    body: dict[str, Any] = {
        "__annotations__": {"edges": list[edge_type], "nodes": list[node], "page_info": PageInfo},
        "__module__": __name__,
    }
    if countable:
        body["total_count"] = relation(
            lists.totals, refs.optional(int), "Length of the whole list; counted only if selected."
        )
    return strawberry.type(type(f"{noun}Connection", (), body), description=f"A page of a list ({noun}).")


SessionConnection = _connection("Session", refs.Session)
ParticipantConnection = _connection("Participant", refs.Participant)
UserConnection = _connection("User", refs.User)
AgentConnection = _connection("Agent", refs.Agent)
MessageConnection = _connection("Message", refs.Message)
ThreadConnection = _connection("Thread", refs.Thread)
MemoryConnection = _connection("Memory", refs.Memory)
MemoryVersionConnection = _connection("MemoryVersion", refs.MemoryVersion)
MemoryLinkConnection = _connection("MemoryLink", refs.MemoryLink)
RecallConnection = _connection("Recall", refs.Recall)
TraceEventConnection = _connection("TraceEvent", refs.TraceEvent)
SpanConnection = _connection("Span", refs.Span)
TraceConnection = _connection("Trace", refs.Trace)
AuditConnection = _connection("Audit", refs.AuditEntry)
StateConnection = _connection("State", refs.StateEntry)


def edge_of(connection: Any) -> Any:
    """The edge type of a connection."""
    [edge] = connection.__annotations__["edges"].__args__
    return edge
