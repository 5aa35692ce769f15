"""Retention."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import retention as domain
from domain.retention import RetainedKind, RetentionRule
from schema import payloads, refs
from schema.enums import publish
from schema.fields import backed_by

publish(RetainedKind)
publish(RetentionRule)


@backed_by(domain.RetentionReason)
@strawberry.type(description="What a part of a policy of retention takes away.")
class RetentionReason:
    rule: RetentionRule
    count: int = strawberry.field(description="How many it alone takes away; others may take the same ones.")


@backed_by(domain.Removed)
@strawberry.type(description="What a policy of retention took away, or with dryRun would.")
class RemovedByRetention:
    kind: RetainedKind
    count: int
    bytes: float | None = strawberry.field(
        description="Bytes of them; null unless the policy says how many are kept, or it is a dryRun."
    )
    oldest: datetime | None = strawberry.field(description="The time of the oldest: what the policy goes by.")
    latest: datetime | None
    reasons: list[RetentionReason] = strawberry.field(description="Why: for each part of the policy.")
    held: int = strawberry.field(description="Of BLOBS, how many more would go if no message or span showed them.")


RetentionPayload = payloads.payload("Retention", removed=refs.optional(list[RemovedByRetention]))
