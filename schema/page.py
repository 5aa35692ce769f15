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


def connection_of(noun: str, node: Any, countable: bool = True, **extra: Any) -> Any:
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


SessionConnection = connection_of("Session", refs.Session)
ParticipantConnection = connection_of("Participant", refs.Participant)
UserConnection = connection_of("User", refs.User)
AgentConnection = connection_of("Agent", refs.Agent)
MessageConnection = connection_of("Message", refs.Message)
ThreadConnection = connection_of("Thread", refs.Thread)
MemoryConnection = connection_of("Memory", refs.Memory)
MemoryVersionConnection = connection_of("MemoryVersion", refs.MemoryVersion)
MemoryLinkConnection = connection_of("MemoryLink", refs.MemoryLink)
SessionLinkConnection = connection_of("SessionLink", refs.SessionLink)
RecallConnection = connection_of("Recall", refs.Recall)
TraceEventConnection = connection_of("TraceEvent", refs.TraceEvent)
SpanConnection = connection_of("Span", refs.Span)
TraceConnection = connection_of("Trace", refs.Trace)
AuditConnection = connection_of("Audit", refs.AuditEntry)
StateConnection = connection_of("State", refs.StateEntry)


def edge_of(connection: Any) -> Any:
    """The edge type of a connection."""
    [edge] = connection.__annotations__["edges"].__args__
    return edge
