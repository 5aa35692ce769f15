"""Searches that find what a read must see, as its other reads see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stores.ports import Found, Search, Store


class ConsistentStore:
    """A store whose searches have first reached what is asked (stores.ports.Store.reach), as its other reads are to
    have before."""

    def __init__(self, store: Store, written: int, within: float | None) -> None:
        self._store, self._written, self._within = store, written, within

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def search(self, searches: Sequence[Search]) -> list[Found]:
        await self._store.reach(self._written, self._within, found=True)
        return await self._store.search(searches)
