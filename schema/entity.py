"""Entities."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import entity as domain
from resolvers import entities, lists
from schema import page, refs
from schema.fields import backed_by, connection, relation
from schema.page import Node
from schema.payloads import payload
from schema.scalars import JSON


@backed_by(domain.MergedEntity)
@strawberry.type(description="An entity as it was when it became a part of another one.")
class MergedEntity:
    id: strawberry.ID = strawberry.field(description="What its id was; there is nothing under it any more.")
    name: str
    type: str
    aliases: list[str]
    metadata: JSON
    external_id: str | None
    merged_at: datetime


@backed_by(domain.Entity)
@strawberry.type(description="A named thing that memories and messages mention: a person, a place, a project, a file.")
class Entity(Node):
    external_id: str | None
    name: str
    type: str = strawberry.field(description='Any word, in lower case, such as "person"; "thing" if none was told.')
    aliases: list[str] = strawberry.field(description="What else it is called.")
    metadata: JSON
    found: bool = strawberry.field(description="It was found by a rule, and no caller has named it yet.")
    merged: list[MergedEntity] = strawberry.field(description="Those that became a part of it, the first one first.")
    created_at: datetime
    updated_at: datetime
    memories = connection(lists.ENTITY_MEMORIES, page.MemoryConnection, "Memories that mention it, newest first.")
    messages = connection(lists.ENTITY_MESSAGES, page.MessageConnection, "Messages that mention it, newest first.")


@backed_by(domain.Mention)
@strawberry.type(description="That a memory or a message mentions an entity.")
class Mention:
    entity = relation(entities.mentioned, refs.optional(Entity), reads=["entity_id"])
    found: bool = strawberry.field(description="A rule found it in the text; else a caller said so.")
    created_at: datetime


EntityConnection = page.connection_of("Entity", Entity)
EntityPayload = payload("Entity", entity=refs.optional(Entity))
EntitiesPayload = payload("Entities", entities=refs.optional(list[Entity]))
MergedEntitiesPayload = payload("MergedEntities", entity=refs.optional(Entity), merged=refs.optional(list[Entity]))
FoundEntitiesPayload = payload("FoundEntities", searched=refs.optional(int), end_cursor=refs.optional(str))
