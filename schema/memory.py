"""Memories and their links."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from domain import link as domain_link
from domain import memory as domain
from domain.link import MemoryLinkKind
from domain.memory import MemoryScope, MemoryStatus, MemoryType
from resolvers import graph, links, lists, memories, search
from schema import page, refs
from schema.fields import backed_by, connection, relation
from schema.message import Message
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain.ExternalSource)
@strawberry.type(description="Something outside the graph that a memory came from.")
class ExternalSource:
    uri: str


MemorySource = Annotated[
    Message | ExternalSource, strawberry.union("MemorySource", description="What a memory was formed from.")
]


@backed_by(domain.Memory)
@strawberry.type(description="What is kept beyond a session.")
class Memory(Node):
    external_id: str | None
    type: MemoryType
    scope: MemoryScope
    owner = relation(memories.owners, refs.optional(refs.Actor))
    status: MemoryStatus
    text: str
    tags: list[str]
    metadata: JSON
    importance: float
    decay_factor: float = strawberry.field(description="1 when fresh, 0.1 at the least; an access adds 0.1.")
    access_count: int
    last_accessed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = strawberry.field(description="When it is gone for good.")
    version: int
    valid_from: datetime | None = strawberry.field(description="When the fact began to hold.")
    valid_until: datetime | None = strawberry.field(description="When the fact ceased to hold.")
    source = relation(memories.sources, refs.optional(MemorySource))
    referenced_by = connection(lists.MEMORY_REFERENCED_BY, page.MessageConnection, "Messages that drew on it.")
    links = relation(links.of, page.MemoryLinkConnection, "Its links, newest first.")
    neighborhood = relation(
        graph.neighborhoods, refs.MemoryGraph, "Everything within depth links, nearest first, cut at limit nodes."
    )
    similar = relation(search.similar, list[refs.MemoryHit], "What is like it in meaning.")
    history = connection(
        lists.MEMORY_HISTORY, page.MemoryVersionConnection, "Every earlier text and state, newest first."
    )
    recalls = connection(
        lists.MEMORY_RECALLS,
        page.RecallConnection,
        "When this memory was recalled, by which session and message, with the score it had.",
    )
    shared_references = relation(
        graph.shared_references,
        list[refs.SharedReference],
        "Memories that share messages, sessions or neighbours with this one, though no link says so.",
    )


@backed_by(domain.MemoryVersion)
@strawberry.type(description="An earlier text and state of a memory.")
class MemoryVersion(Node):
    version: int
    text: str
    status: MemoryStatus
    importance: float
    tags: list[str]
    metadata: JSON
    valid_from: datetime | None
    valid_until: datetime | None
    replaced_at: datetime = strawberry.field(description="Until when it was so.")


@backed_by(domain_link.MemoryLink)
@strawberry.type(description="A typed, weighted link from one memory to another.")
class MemoryLink(Node):
    kind: MemoryLinkKind
    weight: float
    source = relation(links.sources, refs.Memory)
    target = relation(links.targets, refs.Memory)
    created_at: datetime
    metadata: JSON
