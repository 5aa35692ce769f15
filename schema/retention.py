"""Retention."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import retention as domain
from domain.retention import RetainedKind
from schema import payloads, refs
from schema.enums import publish
from schema.fields import backed_by

publish(RetainedKind)


@backed_by(domain.Removed)
@strawberry.type(description="What a policy of retention took away, or with dryRun would.")
class RemovedByRetention:
    kind: RetainedKind
    count: int
    oldest: datetime | None = strawberry.field(description="The time of the oldest: what the policy goes by.")
    latest: datetime | None


RetentionPayload = payloads.payload("Retention", removed=refs.optional(list[RemovedByRetention]))
