"""Cache of vector scopes in RAM: loaded when first searched, kept up to date, evicted when too large.

Every change of vectors carries a version that is also written to the file. So a copy loaded from any reader's snapshot
knows which changes it misses, whichever of loading and commit came first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import apsw

from stores.embedded.blocks import Blocks
from stores.embedded.copies import Change, Copy, load

PENDING = 4096  # changes that wait for a copy's next search before the writer applies them itself
REMEMBERED = 65_536  # scopes whose last change is known by version


class Stats(NamedTuple):
    """What is held in RAM: scopes, their vectors, the bytes of their codes, and the bytes of all copies together.

    hits, misses: how often a copy that was wanted was there, and how often it was not.
    """

    scopes: int
    vectors: int
    code_bytes: int
    cache_bytes: int
    hits: int = 0
    misses: int = 0


class Changes:
    """What one transaction does to vectors and weights, in order. version: of all that it changes, once it changes any.

    After a ROLLBACK, drop the whole.
    """

    def __init__(self) -> None:
        self.version: int | None = None
        self._made: list[Change] = []

    def record(self, made: Sequence[Change]) -> None:
        """Add changes; for the index, not for its callers."""
        self._made.extend(made)

    def by_scope(self) -> dict[int, list[Change]]:
        scopes: defaultdict[int, list[Change]] = defaultdict(list)
        for change in self._made:
            scopes[change.scope].append(change)
        return scopes


class _Held:
    """A copy in the cache and the changes it has not seen."""

    __slots__ = ("bytes", "copy", "lock", "pending")

    def __init__(self, copy: Copy, pending: list[Change]) -> None:
        self.copy = copy
        self.pending = pending
        self.bytes = copy.bytes
        self.lock = threading.Lock()  # of whoever applies the pending changes


class _Loading:
    """A copy that is being read, and the changes committed meanwhile."""

    __slots__ = ("lock", "pending", "seen")

    def __init__(self, seen: int) -> None:
        self.seen = seen  # the version of the scope's last change before the reading began
        self.pending: list[Change] = []
        self.lock = threading.Lock()
        self.lock.acquire()


class Cache:
    """Copies by scope, the least recently used let go first once all take more than `limit` bytes.

    The copy in use stays even if it takes more than that alone. Copies of up to `exact` vectors hold them as floats,
    larger ones as codes. weights: a SELECT of (memory key, weight) for the scope given as its one parameter.
    """

    def __init__(self, blocks: Blocks, weights: str, limit: int, exact: int, version: int = 0) -> None:
        self._blocks = blocks
        self._weights = weights
        self._limit = limit
        self._exact = exact
        self._lock = threading.Lock()  # of all below, and of `pending` and `copy` everywhere; held for microseconds
        self._held: OrderedDict[int, _Held] = OrderedDict()  # the least recently used first
        self._bytes = self._hits = self._misses = 0
        self._loading: dict[int, _Loading] = {}
        self._changed: dict[int, int] = {}  # scope -> version of its last change
        self._forgotten = version  # no change that left _changed is newer than this version

    def committed(self, changes: Changes) -> None:
        """Show every later `copy` what a transaction did. Costs microseconds: searches apply the changes."""
        full = []
        with self._lock:
            for scope, made in changes.by_scope().items():
                self._changed[scope] = max(made[-1].version, self._changed.get(scope, 0))
                if loading := self._loading.get(scope):
                    loading.pending.extend(made)
                if held := self._held.get(scope):
                    held.pending.extend(made)
                    if len(held.pending) > PENDING:
                        full.append((scope, held))
            if len(self._changed) > REMEMBERED:
                self._forgotten = max(self._changed.values())
                self._changed.clear()
        for scope, held in full:
            self._apply(scope, held)

    def copy(self, db: apsw.Connection, scope: int) -> Copy:
        """The newest copy of a scope. Call it within a transaction of `db`, from which it is loaded if need be.

        0.4 us when there is nothing to do. Threads that want a copy that another one is loading wait for it.
        """
        while True:
            with self._lock:
                held = self._held.get(scope)
                if held is not None:
                    self._held.move_to_end(scope)
                    if not held.pending:
                        self._hits += 1
                        return held.copy
                loading = None if held else self._loading.get(scope)
                mine = None
                if held is None and loading is None:
                    self._misses += 1
                    mine = self._loading[scope] = _Loading(self._changed.get(scope, self._forgotten))
            if mine is not None:
                return self._load(db, scope, mine)
            if held is not None:
                self._apply(scope, held)
            elif loading is not None:
                with loading.lock:
                    pass

    def stats(self) -> Stats:
        with self._lock:
            copies = [held.copy for held in self._held.values()]
            size, hits, misses = self._bytes, self._hits, self._misses
        vectors = sum(copy.size - copy.dead for copy in copies)
        code_bytes = sum(copy.codes.nbytes for copy in copies if copy.codes is not None)
        return Stats(len(copies), vectors, code_bytes, size, hits, misses)

    def _load(self, db: apsw.Connection, scope: int, loading: _Loading) -> Copy:
        try:
            copy = load(self._blocks, db, scope, self._weights, lambda size: size <= self._exact)
            with self._lock:
                # A snapshot from before the scope's last change is good for this search alone.
                if copy.version >= loading.seen:
                    self._keep(scope, _Held(copy, loading.pending))
            return copy
        finally:
            with self._lock:
                del self._loading[scope]
            loading.lock.release()

    def _apply(self, scope: int, held: _Held) -> None:
        """Bring a copy up to date, or let it go when it is better loaded again."""
        with held.lock:
            with self._lock:
                if self._held.get(scope) is not held:
                    return
                pending = list(held.pending)
            copy = held.copy.apply(pending)
            outgrown = copy is not None and copy.floats is not None and copy.size > self._exact + self._exact // 4 + 64
            with self._lock:
                if self._held.get(scope) is not held:
                    return
                self._drop(scope)
                if copy is not None and not outgrown:
                    held.copy, held.bytes = copy, copy.bytes
                    del held.pending[: len(pending)]
                    self._keep(scope, held)

    def _keep(self, scope: int, held: _Held) -> None:
        self._held[scope] = held
        self._bytes += held.bytes
        while self._bytes > self._limit and len(self._held) > 1:
            self._drop(next(iter(self._held)))

    def _drop(self, scope: int) -> None:
        self._bytes -= self._held.pop(scope).bytes
