"""What an erasure has done."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import erasure as domain
from schema import payloads, refs
from schema.fields import backed_by
from schema.scalars import JSON


@backed_by(domain.StoreErasure)
@strawberry.type(description="What was taken out of one store.")
class StoreErasure:
    store: str
    removed: JSON = strawberry.field(description="How many records of each kind are gone.")
    blanked: JSON = strawberry.field(description="How many records of each kind stay without what they said.")
    found: int = strawberry.field(description="How many of the texts are left in it: 0, or it is not done.")


@backed_by(domain.ErasureReport)
@strawberry.type(description="What an erasure has done, and what a search of everything that is kept has found of it.")
class ErasureReport:
    dry_run: bool
    stores: list[StoreErasure]
    searched_for: int = strawberry.field(description="How many different texts of 16 bytes and more were erased.")
    elsewhere: int = strawberry.field(description="How many of them stay, for records of others have them too.")
    found: int = strawberry.field(description="How many of the others are left anywhere: 0, or it is not done.")
    finished_at: datetime | None


ErasurePayload = payloads.payload("Erasure", report=refs.optional(ErasureReport))
