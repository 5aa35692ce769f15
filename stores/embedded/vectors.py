"""The vector index of memories: SQLite holds the truth, RAM a copy of each scope that is searched.

A scope is the integer key of one owner of memories. The rank of a memory is (1 + cosine) / 2 x weight, where the weight
(importance x decay) takes part in choosing: the best by cosine alone, weighed later, miss a quarter of the top ten.

The writer collects what it does in a Changes and hands it over once its transaction is committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw
import numpy as np
from numpy.typing import NDArray

from stores.embedded import codes
from stores.embedded.blocks import SETS, Blocks, schema
from stores.embedded.cache import Cache, Changes, Stats
from stores.embedded.codes import Floats
from stores.embedded.copies import DEAD, HIDDEN, Change, Copy, Keys
from stores.embedded.readers import snapshot

__all__ = ["SCHEMA", "Changes", "Found", "Stats", "VectorIndex", "VectorRow"]

SCHEMA = schema()

Part = tuple[Keys, Floats, Floats]  # keys, cosines, weights
Vector = NDArray[np.floating[Any]]


class VectorRow(NamedTuple):
    """A memory's vector to be stored."""

    key: int  # of the memory, > 0
    scope: int
    weight: float | None  # importance x decay, >= 0; None: not searchable now
    vector: Vector  # (dimension), of any length; zeros: the memory has no vector


class Found(NamedTuple):
    """What a search found, best first; both arrays have one item a memory."""

    keys: Keys
    cosines: Floats


# Of a large scope at least so many are rescored. In sentences by the default embedder this finds all the true top ten,
# in clusters of few members and random weights 0.97 to 1.0, where 400 found 0.93.
CANDIDATES = 600
_HELD = 8  # scopes of a search whose vectors in RAM are looked at for those that were found otherwise

_NOTHING = Found(np.empty(0, np.int64), np.empty(0, np.float32))


class VectorIndex:
    """Stores and searches the vectors of one store; all methods but the writer's may run in any thread.

    dimension: of every vector. weights: a SELECT of (memory key, weight) for the scope given as its one parameter;
    memories it does not return are not candidates. cache_bytes: bound of the copies in RAM; the copy in use may pass it
    alone, as codes (44 bytes a vector of 256 dimensions). exact_limit: scopes of more vectors are kept as codes.
    tables: the set that is searched. embedder: whose vectors they are (label_of). version: of the set as it is now.
    """

    def __init__(
        self,
        dimension: int,
        weights: str,
        *,
        cache_bytes: int = 256 << 20,
        exact_limit: int = 20_000,
        tables: str = SETS[0],
        embedder: str = "",
        version: int = 0,
    ) -> None:
        self.dimension, self.embedder = dimension, embedder
        self._blocks = Blocks(dimension, tables)
        exact = min(exact_limit, cache_bytes // 2 // (4 * dimension))
        self._cache = Cache(self._blocks, weights, cache_bytes, exact, version)

    @property
    def tables(self) -> str:
        return self._blocks.tables

    # The writer, within its transaction

    def put(self, db: apsw.Connection, rows: Sequence[VectorRow], changes: Changes, fresh: bool = False) -> None:
        """Store vectors, replacing those of the same memories, whatever their scope. fresh: there are none of these.

        One call for many rows is far quicker than a call a row. Of several rows for a memory the last one counts.
        ValueError: a key below 1, a weight below 0, another dimension, a number that is not finite.
        """
        unique = list({row.key: row for row in rows}.values())
        if not unique:
            return
        weights = [_weight(row.weight) for row in unique]
        halves = self._halves(unique)
        there = {row.key: (row.scope, half.tobytes()) for row, half in zip(unique, halves, strict=True) if half.any()}
        replaced = self._blocks.put(db, there, fresh)
        if len(there) < len(unique) and not fresh:
            replaced |= self._blocks.remove(db, [row.key for row in unique if row.key not in there])
        version = self._version(db, changes)
        changes.record([Change(version, scope, key, DEAD, None) for key, scope in replaced.items()])
        changes.record(
            [
                Change(version, row.scope, row.key, weight, half)
                for row, weight, half in zip(unique, weights, halves, strict=True)
                if row.key in there
            ]
        )

    def remove(self, db: apsw.Connection, keys: Sequence[int], changes: Changes) -> None:
        """Erase the vectors of these memories, in the file too; keys without a vector are passed over."""
        removed = self._blocks.remove(db, keys)
        if removed:
            version = self._version(db, changes)
            changes.record([Change(version, scope, key, DEAD, None) for key, scope in removed.items()])

    def weigh(self, db: apsw.Connection, rows: Sequence[tuple[int, int, float | None]], changes: Changes) -> None:
        """Tell new weights as (memory key, scope, weight), None for a memory that is not searchable now.

        Stores nothing but a version: the weight itself is the caller's column, written in the same transaction.
        """
        if rows:
            weights = [_weight(weight) for _, _, weight in rows]
            version = self._version(db, changes)
            changes.record(
                [Change(version, row[1], row[0], weight, None) for row, weight in zip(rows, weights, strict=True)]
            )

    def _version(self, db: apsw.Connection, changes: Changes) -> int:
        """The version of what a transaction changes: one for all."""
        if changes.version is None:
            changes.version = self._blocks.tick(db)
        return changes.version

    def committed(self, changes: Changes) -> None:
        """Show searches what was done; call it once, after the commit, and before the next transaction's.

        Several Changes of one transaction go in the order of what they did. After a rollback just drop them.
        """
        self._cache.committed(changes)

    # Readers, in any thread

    def search(
        self,
        db: apsw.Connection,
        scopes: Sequence[int],
        query: Vector,
        limit: int,
        *,
        allowed: Keys | None = None,
        floor: float = -1.0,
        influence: float = 1.0,
    ) -> Found:
        """The `limit` memories of these scopes of the highest (1 + cosine) / 2 x weight, the lower key first at a tie.

        influence: how much of the weight counts, which is then 1 - influence x (1 - weight). allowed: only these memory
        keys (sorted int64). floor: only cosines of at least this. A query of zeros finds nothing. The state is that of
        the last commit, which may be newer than the snapshot of `db`: a key that the caller cannot find there is to be
        passed over.
        One scope of 10,000: 0.5 ms; of 1,000,000: 13 ms; 2,000 scopes of 50: 17 ms; all of 256 dimensions and in RAM.
        """
        direction = self._direction(query)
        if not direction.any() or limit < 1 or (allowed is not None and not len(allowed)):
            return _NOTHING
        parts: list[Part] = []
        with snapshot(db):
            for scope in dict.fromkeys(scopes):
                copy = self._cache.copy(db, scope)
                if not copy.size:
                    continue
                weights = _influencing(copy.weights, influence)
                if copy.floats is not None:
                    # Not `@`: BLAS spreads that over threads, and took 8 ms for 0.4 while the other core was busy.
                    cosines = np.vecdot(copy.floats[: copy.size], direction)
                    parts.append((copy.keys[: copy.size], cosines, weights))
                else:
                    parts.append(self._by_codes(db, copy, weights, direction, limit, allowed, floor))
        return _best(parts, limit, allowed, floor)

    def similarity(self, db: apsw.Connection, keys: Sequence[int], query: Vector, scopes: Sequence[int] = ()) -> Floats:
        """The cosine of the query and each of these memories; nan where one has no vector. 100: 0.3 ms, and 0.05 where
        they are of these scopes, which have just been searched."""
        direction = self._direction(query)
        unique, back = np.unique(np.asarray(keys, np.int64), return_inverse=True)
        cosines = np.full(len(unique), np.nan, np.float32)
        with snapshot(db):
            for scope in scopes[:_HELD]:
                copy = self._cache.copy(db, scope)
                if copy.size and copy.floats is not None:
                    rows = copy.positions(unique)
                    there = np.flatnonzero(rows >= 0)
                    there = there[copy.weights[rows[there]] > DEAD]
                    cosines[there] = np.vecdot(copy.floats[rows[there]], direction)
            left = np.flatnonzero(np.isnan(cosines))
            if len(left):
                at, vectors = self._blocks.read(db, unique[left])
                cosines[left[at]] = np.vecdot(vectors, direction)
        asked: Floats = np.clip(cosines, -1.0, 1.0)[back]
        return asked

    def vector(self, db: apsw.Connection, key: int) -> Floats | None:
        """A memory's vector (dimension), of length 1 but for its rounding to float16; None when it has none."""
        with snapshot(db):
            _, rows = self._blocks.read(db, np.array([key], np.int64))
        return rows[0] if len(rows) else None

    def stats(self) -> Stats:
        return self._cache.stats()

    def _halves(self, rows: Sequence[VectorRow]) -> NDArray[np.float16]:
        if any(len(row.vector) != self.dimension for row in rows):
            raise ValueError(f"A vector must have {self.dimension} dimensions.")
        if any(row.key < 1 for row in rows):
            raise ValueError("The key of a memory must be at least 1.")
        return codes.unit(np.stack([row.vector for row in rows])).astype(np.float16)

    def _direction(self, query: Vector) -> Floats:
        if np.shape(query) != (self.dimension,):
            raise ValueError(f"A query must have {self.dimension} dimensions.")
        direction: Floats = codes.unit(np.asarray(query)[None, :])[0]
        return direction

    def _by_codes(
        self,
        db: apsw.Connection,
        copy: Copy,
        weights: Floats,
        query: Floats,
        limit: int,
        allowed: Keys | None,
        floor: float,
    ) -> Part:
        """Keys, cosines and weights of the candidates of a large scope."""
        count = max(CANDIDATES, 20 * limit)
        positions = None if allowed is None else copy.positions(allowed)
        if positions is not None:
            positions = positions[positions >= 0]
            positions = positions[weights[positions] >= 0]
        if positions is None or len(positions) > count:
            assert copy.codes is not None and copy.centre is not None
            positions = codes.candidates(copy.codes, weights, codes.aim(query, copy.centre, floor), count, positions)
        keys = copy.keys[positions]
        at, rows = self._blocks.read(db, keys)
        return keys[at], np.vecdot(rows, query), weights[positions[at]]


def _weight(weight: float | None) -> float:
    if weight is None:
        return HIDDEN
    if not 0.0 <= weight < np.inf:
        raise ValueError("A weight must be a finite number of at least 0.")
    return weight


def _influencing(weights: Floats, influence: float) -> Floats:
    if influence == 1.0:
        return weights
    one, share = np.float32(1.0), np.float32(influence)
    return np.where(weights >= 0, one - share * (one - weights), weights)


def _best(parts: Sequence[Part], limit: int, allowed: Keys | None, floor: float) -> Found:
    if not parts:
        return _NOTHING
    keys, cosines, weights = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    scores = (cosines + np.float32(1.0)) * weights
    picked = np.flatnonzero((cosines >= floor) & (weights >= 0))
    if allowed is not None:
        at = np.minimum(np.searchsorted(allowed, keys[picked]), len(allowed) - 1)
        picked = picked[allowed[at] == keys[picked]]
    if len(picked) > limit:
        last = len(picked) - limit
        picked = picked[scores[picked] >= np.partition(scores[picked], last)[last]]
    picked = picked[np.lexsort((keys[picked], -scores[picked]))[:limit]]
    return Found(keys[picked], np.clip(cosines[picked], -1.0, 1.0))
