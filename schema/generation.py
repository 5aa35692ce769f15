"""Cached generations."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import generation as domain
from schema import payloads, refs
from schema.fields import backed_by
from schema.scalars import JSON


@backed_by(domain.CachedGeneration)
@strawberry.type(description="What a model generated, as it was cached.")
class CachedGeneration:
    key: str
    value: JSON
    model: str | None
    tags: list[str]
    hits: int = strawberry.field(description="How often it was found, this time included.")
    created_at: datetime
    expires_at: datetime | None


GenerationPayload = payloads.payload("Generation", generation=refs.optional(CachedGeneration))
EvictedPayload = payloads.payload("Evicted", count=refs.optional(int))
