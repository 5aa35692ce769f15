"""Cached generations in Redis: a hash each, which Redis itself lets go of when its time is over, or for want of memory,
if it is set so. What Redis had not written to its disk when it was killed is gone, and all of it where it has none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

from domain.generation import CachedGeneration, EvictGenerationsInput
from stores.errors import Unavailable
from stores.rows import as_raw, micros, moment, raw
from stores.services.redis_streams import Signals

_TOGETHER = 500


class RedisGenerations:
    """See stores.ports.Generations."""

    def __init__(self, redis: Signals) -> None:
        self._redis = redis

    def _name(self, workspace: str, key: str = "") -> str:
        """Keys of people have any length and any characters. The workspace too, so that no pattern is in it."""
        parts = [hashlib.sha256(one.encode()).hexdigest()[:32] for one in (workspace, key)]
        return f"generation:{parts[0]}:{parts[1] if key else '*'}"

    async def find(self, workspace: str, key: str) -> CachedGeneration | None:
        try:
            told: dict[str, str] = await self._redis.hit(self._name(workspace, key))
        except Unavailable:
            return None
        if not told or told.get("key") != key:
            return None
        return CachedGeneration(
            key=key,
            value=as_raw(told["value"]),
            model=told.get("model"),
            tags=json.loads(told["tags"]),
            hits=int(told["hits"]),
            created_at=moment(int(told["created_at"])),
            expires_at=moment(int(told["expires_at"])) if "expires_at" in told else None,
        )

    async def keep(self, workspace: str, generation: CachedGeneration) -> None:
        one = generation
        told: dict[str, Any] = {
            "key": one.key,
            "value": raw(one.value),
            "model": one.model,
            "tags": json.dumps(one.tags),
            "hits": 0,
            "created_at": micros(one.created_at),
            "expires_at": micros(one.expires_at),
        }
        lasts = None if one.expires_at is None else one.expires_at - one.created_at
        present = {name: value for name, value in told.items() if value is not None}
        await self._redis.keep(self._name(workspace, one.key), present, lasts)

    async def evict(self, workspace: str, which: EvictGenerationsInput) -> int:
        names = [self._name(workspace, key) for key in which.keys] if which.keys is not None else None
        count = 0
        async for some in self._some(workspace, names):
            told = await self._redis.fields(some, ["key", "model", "tags"])
            gone = [
                name
                for name, (key, model, tags) in zip(some, told, strict=True)
                if key is not None and which.matches(key, model, json.loads(tags or "[]"))
            ]
            count += len(gone)
            if not which.dry_run:
                await self._redis.drop(gone)
        return count

    async def _some(self, workspace: str, names: list[str] | None) -> AsyncIterator[list[str]]:
        every = await self._redis.named(self._name(workspace)) if names is None else list(dict.fromkeys(names))
        for start in range(0, len(every), _TOGETHER):
            yield every[start : start + _TOGETHER]
