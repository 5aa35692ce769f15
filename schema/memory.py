"""Memories and their links."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from domain import history, merging
from domain import link as domain_link
from domain import memory as domain
from domain.history import VersionCause
from domain.memory import MemoryScope
from resolvers import entities, formation, graph, links, lists, memories, search
from schema import page, refs
from schema.blob import Blob
from schema.enums import NodeKind, NodeStatus
from schema.fields import backed_by, connection, relation, with_lists
from schema.message import Message
from schema.page import Node
from schema.payloads import payload
from schema.scalars import JSON
from schema.trace import Span


@backed_by(domain.ExternalSource)
@strawberry.type(description="A source outside the graph.")
class ExternalSource:
    uri: str


MemorySource = Annotated[
    Message | ExternalSource | Span | Blob,
    strawberry.union("MemorySource", description="What a memory came from."),
]
MemoryConnection = page.MemoryConnection


@backed_by(domain.Memory)
@strawberry.type(description="Something worth remembering beyond a session.")
@with_lists(domain.Memory)
class Memory(Node):
    external_id: str | None
    type_name: str = strawberry.field(name="type", description="EPISODIC, SEMANTIC, PROCEDURAL or WORKING.")
    scope: MemoryScope
    owner = relation(memories.owners, refs.optional(refs.Actor), reads=["owner_id"])
    status: NodeStatus
    text: str
    tags: list[str]
    metadata: JSON
    importance: float
    decay_factor: float = strawberry.field(description="From 1 (fresh) down to 0.1; each access adds 0.1.")
    access_count: int
    last_accessed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = strawberry.field(description="Time after which it is deleted.")
    version: int
    valid_from: datetime | None = strawberry.field(description="Start of the time the fact is true.")
    valid_until: datetime | None = strawberry.field(description="End of the time the fact is true.")
    source = relation(
        memories.single_sources, refs.optional(MemorySource), "The first message, or what outside, that it came from."
    )
    sources = relation(formation.sources_of, list[MemorySource], "All that it was formed from, in order.")
    formation = relation(
        formation.formations,
        refs.optional(refs.MemoryFormation),
        "What it was formed from, and how; null if its text was not formed but came with it.",
    )
    stale: bool = strawberry.field(
        description="A message it was formed from was edited, redacted or deleted since; see reformMemory."
    )
    mentions = relation(
        entities.mentions_of, list[refs.Mention], "What it mentions, and whether a rule found that.", reads=["id"]
    )
    entities = relation(
        entities.of_records, list[refs.Entity], "What it mentions, in the order in which it was told.", reads=["id"]
    )
    referenced_by = connection(lists.MEMORY_REFERENCED_BY, page.MessageConnection, "Messages that used it.")
    links = relation(links.of, page.MemoryLinkConnection, "Its links, newest first.")
    neighborhood = relation(
        graph.neighborhoods,
        refs.MemoryGraph,
        "All memories within depth links, nearest first, up to limit nodes. asOf: as known at that time; no nodes if "
        "the memory was not known then.",
        of=domain.Memory,
    )
    similar = relation(search.similar, list[refs.MemoryHit], "Memories with a similar meaning.")
    history = connection(lists.MEMORY_HISTORY, page.MemoryVersionConnection, "Earlier versions, newest first.")
    recalls = connection(
        lists.MEMORY_RECALLS,
        page.RecallConnection,
        "Recorded uses of this memory, with session, message and score.",
    )
    shared_references = relation(
        graph.shared_references,
        list[refs.SharedReference],
        "Memories that share messages, sessions or neighbours with this one but are not linked to it.",
    )


@backed_by(history.MemoryVersion)
@strawberry.type(description="An earlier version of a memory.")
class MemoryVersion(Node):
    version: int
    text: str
    status: NodeStatus
    importance: float
    tags: list[str]
    metadata: JSON
    valid_from: datetime | None
    valid_until: datetime | None
    recorded_at: datetime | None = strawberry.field(
        description="Time from which this was what is known; null if it was not noted."
    )
    replaced_at: datetime = strawberry.field(description="Time at which this version was replaced.")
    cause: VersionCause | None = strawberry.field(description="What replaced it; null if it was not noted.")


@backed_by(domain_link.MemoryLink)
@strawberry.type(description="A typed, weighted link from one memory to another.")
class MemoryLink(Node):
    kind: NodeKind
    weight: float
    source = relation(links.sources, refs.optional(refs.Memory))
    target = relation(links.targets, refs.Memory)
    created_at: datetime
    metadata: JSON


@backed_by(merging.DuplicateGroup)
@strawberry.type(description="Memories that say nearly the same.")
class DuplicateGroup:
    memories: list[Memory] = strawberry.field(description="The weightiest first.")
    similarity: float = strawberry.field(description="The least of any to the first, from 0 to 1.")


MergePayload = payload("Merge", memory=refs.optional(Memory), merged=refs.optional(list[Memory]))
