"""Forecasts of memories."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import forecast as domain
from domain.forecast import ForecastCause
from schema.enums import publish
from schema.fields import backed_by
from schema.memory import Memory

publish(ForecastCause)


@backed_by(domain.MemoryFate)
@strawberry.type(description="What will become of a memory, and when.")
class MemoryFate:
    memory: Memory
    cause: ForecastCause
    time: datetime


@backed_by(domain.ForecastBucket)
@strawberry.type(description="How many memories what will become of in a stretch of time.")
class ForecastBucket:
    starts_at: datetime
    label: str = strawberry.field(description="The stretch as RFC 3339 has an hour or a day, or YYYY-MM.")
    faded: int
    ended: int
    expired: int
    evicted: int


@backed_by(domain.MemoryForecast)
@strawberry.type(description="What will become of active memories by a time.")
class MemoryForecast:
    at: datetime
    active: int = strawberry.field(description="How many active memories were looked at.")
    faded: int
    ended: int
    expired: int
    evicted: int
    fates: list[MemoryFate] = strawberry.field(description="The first of them by time; counts and buckets are of all.")
    buckets: list[ForecastBucket] = strawberry.field(description="Stretches in which something happens, in order.")
