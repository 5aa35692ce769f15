"""What a recall points to."""

from __future__ import annotations

from collections.abc import Sequence

from domain.memory import Memory
from domain.node import Id
from domain.search import Recall
from domain.trace import TraceEvent
from resolvers.context import Context


async def memories(context: Context, recalls: Sequence[Recall]) -> list[Memory | None]:
    return await context.store.get(Memory, [recall.memory_id for recall in recalls])


async def events(context: Context, recalls: Sequence[Recall]) -> list[TraceEvent | None]:
    return await context.store.get(TraceEvent, [recall.event_id or Id("") for recall in recalls])
