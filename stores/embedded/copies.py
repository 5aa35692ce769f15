"""A scope's vectors in RAM: whole as floats, or as 1-bit codes when there are many.

A copy is never changed where a search may look: a newer one shares its arrays of keys and vectors, appends behind the
rows the older one knows, and has weights of its own. So a search that holds a copy sees one state, without a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import apsw
import numpy as np
from numpy.typing import NDArray

from stores.embedded import codes
from stores.embedded.blocks import Blocks
from stores.embedded.codes import Centre, Codes, Floats, Halves, Positions

Keys = NDArray[np.int64]

HIDDEN = -1.0  # the weight of a memory that is no candidate now
DEAD = -2.0  # the weight of a row whose memory was removed or got another vector
TAIL = 4096  # rows behind the index of keys that are sorted again at each look-up


class Change(NamedTuple):
    """What became of one memory: a new vector (half), a new weight, or its removal (weight DEAD)."""

    version: int
    scope: int
    key: int
    weight: float
    half: Halves | None


class Copy:
    """Rows of keys, weights and either floats (n, d) or codes (words, n).

    floats are float32: a scan of 10,000 x 256 takes 0.4 ms (0.9 from beyond the L2 cache), from float16 1.5 ms, for
    there is no arithmetic on float16 in numpy; float16 would only halve the 10 MB.
    """

    __slots__ = ("_index", "centre", "codes", "dead", "floats", "keys", "size", "version", "weights")

    def __init__(
        self,
        version: int,
        keys: Keys,
        weights: Floats,
        floats: Floats | None,
        coded: Codes | None,
        centre: Centre | None,
    ) -> None:
        self.version = version  # of the snapshot it was loaded from
        self.size = len(weights)
        self.keys = keys  # longer than `size` where there is room to append, as floats and codes are
        self.weights = weights
        self.floats = floats
        self.codes = coded
        self.centre = centre  # of the codes
        self.dead = 0
        self._index = _Index(keys[:0], None, 0)

    @property
    def bytes(self) -> int:
        """What the copy takes in RAM, about."""
        vectors = 0 if self.floats is None else self.floats.nbytes
        coded = 0 if self.codes is None else self.codes.nbytes
        order = self._index.order
        index = 0 if order is None else order.nbytes + self._index.keys.nbytes
        return 1000 + vectors + coded + self.keys.nbytes + self.weights.nbytes + index

    def positions(self, keys: Keys) -> Positions:
        """The row of each key, the newest one, dead or not; -1 where there is none."""
        index = self._covering()
        found = index.find(keys)
        if index.covered < self.size:
            tail = self.keys[index.covered : self.size]
            order = np.argsort(tail, kind="stable")
            late = _Index(tail[order], order, 0).find(keys)
            found = np.where(late >= 0, late + index.covered, found)
        return found

    def _covering(self) -> _Index:
        """The index, extended over new rows: at no cost while keys ascend, else when the tail has grown long."""
        index, keys = self._index, self.keys[: self.size]
        if index.covered == self.size:
            return index
        if index.order is None and bool((np.diff(keys[max(0, index.covered - 1) :]) > 0).all()):
            self._index = _Index(keys, None, self.size)
        elif index.covered == 0 or self.size - index.covered > TAIL + index.covered // 8:
            order = np.argsort(keys, kind="stable")
            self._index = _Index(keys[order], order, self.size)
        return self._index

    def apply(self, changes: Iterable[Change]) -> Copy | None:
        """The copy after these changes; None when so many rows are dead that loading it again is better.

        One weight of 10,000: 30 us; of 1,000,000: 0.4 ms, for the weights are copied; 5 ms when it is the first one.
        """
        final = _collapse(changes, self.version)
        if not final:
            return self
        added = [(key, weight, half) for key, (weight, half) in final.items() if half is not None]
        weights = np.empty(self.size + len(added), np.float32)
        weights[: self.size] = self.weights
        before = self.positions(np.fromiter(final, np.int64, len(final)))
        after = np.array([weight if half is None else DEAD for weight, half in final.values()], np.float32)
        living = before >= 0
        living[living] = weights[before[living]] != DEAD
        weights[before[living]] = after[living]
        weights[self.size :] = [weight for _, weight, _ in added]
        dead = self.dead + int(np.count_nonzero(after[living] == DEAD))
        if dead > 64 + len(weights) // 4:
            return None
        return self._grown(added, weights, dead)

    def _grown(self, added: Sequence[tuple[int, float, Halves]], weights: Floats, dead: int) -> Copy:
        start, size = self.size, len(weights)
        keys, floats, coded = self.keys, self.floats, self.codes
        if size > len(keys):
            room = size + size // 4 + 16
            keys = _longer(keys, room)
            floats = None if floats is None else _longer(floats, room)
            coded = None if coded is None else _wider(coded, room)
        if added:
            rows = codes.widened(np.stack([half for _, _, half in added]))
            keys[start:size] = [key for key, _, _ in added]
            if floats is not None:
                floats[start:size] = rows
            if coded is not None and self.centre is not None:
                coded[:, start:size] = codes.encode(rows, self.centre.point).T
        newer = Copy(self.version, keys, weights, floats, coded, self.centre)
        newer.dead = dead
        newer._index = self._index
        return newer


class _Index(NamedTuple):
    """Keys in order and, unless they were so by themselves, the row of each; of the first `covered` rows."""

    keys: Keys
    order: Positions | None
    covered: int

    def find(self, keys: Keys) -> Positions:
        """The last row of each key; -1 where there is none."""
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        at = np.searchsorted(self.keys, keys, side="right") - 1
        found = at if self.order is None else self.order[at]
        return np.where((at >= 0) & (self.keys[at] == keys), found, -1)


def _collapse(changes: Iterable[Change], version: int) -> dict[int, tuple[float, Halves | None]]:
    """By key, of the changes after `version`, the last weight and the vector if it is new."""
    final: dict[int, tuple[float, Halves | None]] = {}
    for change in changes:
        if change.version <= version:
            continue
        weight, half = final.get(change.key, (HIDDEN, None))
        if change.half is not None or change.weight == DEAD:
            final[change.key] = (change.weight, change.half)
        elif weight != DEAD:
            final[change.key] = (change.weight, half)
    return final


def _longer(rows: NDArray[Any], room: int) -> NDArray[Any]:
    longer = np.empty((room, *rows.shape[1:]), rows.dtype)
    longer[: len(rows)] = rows
    return longer


def _wider(columns: NDArray[Any], room: int) -> NDArray[Any]:
    wider = np.empty((len(columns), room), columns.dtype)
    wider[:, : columns.shape[1]] = columns
    return wider


def load(blocks: Blocks, db: apsw.Connection, scope: int, weights: str, exact: Callable[[int], bool]) -> Copy:
    """Read a scope within the caller's transaction; `exact` says by its number of vectors whether floats are kept.

    10,000 x 256 as floats: 10 ms (weights 4, vectors 5). 1,000,000 as codes: 0.6 s, most of it the weights.
    """
    version, size, point = blocks.version(db), blocks.size(db, scope), blocks.centre(db, scope)
    keys = np.empty(size, np.int64)
    floats: Floats | None = None
    coded: Codes | None = None
    centre: Centre | None = None
    if point is None or exact(size):
        floats = np.empty((size, blocks.dimension), np.float32)
        filled = _fill_floats(blocks.floats(db, scope), keys, floats)
    else:
        coded = np.empty((codes.words(blocks.dimension), size), np.uint64)
        filled = _fill_codes(blocks.codes(db, scope, point), keys, coded)
        _, some = blocks.read(db, keys[: filled : filled // 256 + 1])
        centre = Centre(point, codes.radius(some, point))
    return Copy(version, keys, _weights(db.execute(weights, (scope,)), keys[:filled]), floats, coded, centre)


def _fill_floats(parts: Iterable[tuple[Keys, Halves]], keys: Keys, floats: Floats) -> int:
    filled = 0
    for part, halves in parts:
        living = part != 0
        if not living.all():
            part, halves = part[living], halves[living]
        end = filled + len(part)
        keys[filled:end] = part
        codes.widen(halves, floats[filled:end])
        filled = end
    return filled


def _fill_codes(parts: Iterable[tuple[Keys, Codes]], keys: Keys, coded: Codes) -> int:
    filled = 0
    for part, code in parts:
        living = part != 0
        if not living.all():
            part, code = part[living], code[living]
        end = filled + len(part)
        keys[filled:end] = part
        coded[:, filled:end] = code.T
        filled = end
    return filled


def _weights(rows: Iterable[tuple[Any, ...]], keys: Keys) -> Floats:
    """The weight of each key, HIDDEN for keys that are not among the (key, weight) rows."""
    given = np.fromiter(rows, np.dtype([("key", np.int64), ("weight", np.float32)]))
    given = np.sort(given, order="key", kind="stable") if bool((np.diff(given["key"]) < 0).any()) else given
    at = _Index(np.ascontiguousarray(given["key"]), None, 0).find(keys)
    weights = np.full(len(keys), HIDDEN, np.float32)
    weights[at >= 0] = given["weight"][at[at >= 0]]
    return weights
