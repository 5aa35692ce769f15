"""The cache of what models generated."""

from __future__ import annotations

from domain.errors import invalid
from domain.generation import (
    CachedGeneration,
    CacheGenerationInput,
    EvictGenerationsInput,
    GenerationKeyInput,
    generation_key,
)
from domain.memory import expiry
from domain.values import NULL
from resolvers.context import Context
from stores.ports import Transaction


async def cached(context: Context, key: str) -> CachedGeneration | None:
    return await context.engine.generations.find(context.caller.workspace, key)


async def key_of(context: Context, input: GenerationKeyInput) -> str:
    return generation_key(input)


async def cache(context: Context, input: CacheGenerationInput) -> CachedGeneration:
    """Caches what a model generated, under a key: that of generationKey, or another one."""
    now, treating = context.clock(), context.treating()
    made = CachedGeneration(
        key=input.key,
        value=NULL if input.value is None else treating.json(input.value),
        model=input.model,
        tags=list(dict.fromkeys(input.tags or ())),
        hits=0,
        created_at=now,
        expires_at=expiry(input.ttl_seconds, now),
    )
    await context.engine.generations.keep(context.caller.workspace, made)
    await context.write(_nothing)
    treating.done()
    return made


async def evict(context: Context, input: EvictGenerationsInput) -> int:
    """Takes generations out of the cache, and counts them. With dryRun it only counts them. Raises Rejected: INVALID
    where nothing says which."""
    if input.keys is None and input.model is None and not input.tags:
        raise invalid("Say which: keys, model or tags.", ["keys"])
    count = await context.engine.generations.evict(context.caller.workspace, input)
    if count and not input.dry_run:
        await context.write(_nothing)
    return count


async def _nothing(_: Transaction) -> None:
    """What the audit log has an entry of."""
