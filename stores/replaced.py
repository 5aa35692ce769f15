"""Search memories that have changed since a time, as they were then: no index of an engine has them."""

from __future__ import annotations

from collections import ChainMap, OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from datetime import datetime
from typing import NamedTuple, cast

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from domain.memory import Memory, MemoryFilter, weight
from domain.node import Id
from domain.ranking import influence, weighed
from domain.search import Candidate, SearchMode, asks, similarity
from stores import words
from stores.embedder import Batching
from stores.policies import LEAST_CANDIDATES, LOOSE, OVERSAMPLE
from stores.ports import Found, Log, Search, Store, Vector, label_of

_REMEMBERED = 8
"""Of so many times and filters it is remembered what has changed since, until something changes."""

_EMBEDDED_FAR = 1_000
"""So many texts that are not there any more are sent to an embedder that is not in this process."""

_Numbers = NDArray[np.float32]


class _Key(NamedTuple):
    workspace: str
    at: datetime
    filter: bytes
    end: int
    embedder: str


class Replacements:
    """The memories that have changed since times that searches asked about, of all workspaces of an engine."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, Replaced] = OrderedDict()

    async def of(
        self,
        workspace: str,
        embedder: Batching,
        store: Store,
        at: datetime,
        filter: MemoryFilter,
        read: Callable[[MemoryFilter], Awaitable[list[Memory]]],
    ) -> Replaced:
        """Those that a filter lets through. read: reads them."""
        [end] = await store.ends([Log("changes")])
        key = _Key(workspace, at, msgspec.json.encode(filter), end, label_of(embedder))
        if (kept := self._kept.get(key)) is None or _looks_elsewhere(filter):
            kept = self._kept[key] = await _made(store, embedder, await read(filter))
            while len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept


def _looks_elsewhere(filter: MemoryFilter) -> bool:
    """Whether a filter asks of what changes without a line in the memory log."""
    parts = [*(filter.and_ or ()), *(filter.or_ or ()), *([] if filter.not_ is None else [filter.not_])]
    elsewhere = filter.annotation is not None or filter.entity is not None
    return elsewhere or any(map(_looks_elsewhere, parts))


class Replaced:
    """Some memories as they were, with the vectors of their texts then, NaN for those without, and with their words."""

    def __init__(self, memories: Sequence[Memory], vectors: _Numbers) -> None:
        self._memories, self._vectors = memories, vectors
        self._weights = np.array([weight(one) for one in memories], np.float32)
        self._exact, self._loose = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
        for index, one in enumerate(memories):
            found = words.stored(one.text)
            for postings, some in ((self._exact, found.exact), (self._loose, found.loose)):
                for word in set(some):
                    postings[word].append(index)

    async def added(self, store: Store, search: Search, found: Found) -> Found:
        """What a search has found among the others, together with the best of these."""
        if not self._memories or not search.limit:
            return found
        covers, cosines = self._covers(search), self._cosines(search)
        scale = await _covered(store, search, found) if covers is not None else 1.0
        best = self._best(search, found, covers, cosines, scale)
        now = await store.get(Memory, [self._memories[index].id for index in best])
        there = {
            index: replace(
                self._memories[index],
                decay_factor=one.decay_factor,
                access_count=one.access_count,
                last_accessed_at=one.last_accessed_at,
            )
            for index, one in zip(best, now, strict=True)
            if one is not None
        }
        top = max([scale, *(float(covers[index]) for index in there)]) if covers is not None else 1.0
        others = found.candidates
        if scale != top:
            others = [
                one if one.text_rank is None else replace(one, text_rank=one.text_rank * scale / top) for one in others
            ]
        mine = [
            Candidate(
                memory.id,
                memory.importance,
                memory.decay_factor,
                None if cosines is None or np.isnan(cosines[index]) else similarity(float(cosines[index])),
                None if covers is None or not covers[index] else float(covers[index]) / top,
                memory.created_at,
                asks(memory.text),
                memory.session_id,
                text=memory.text,
            )
            for index, memory in there.items()
        ]
        return replace(
            found,
            candidates=[*others, *mine],
            records=ChainMap({one.id: one for one in there.values()}, cast(MutableMapping[Id, Memory], found.records)),
            covered=top if search.mode is SearchMode.HYBRID and covers is not None else found.covered,
            degraded=found.degraded or (cosines is not None and bool(np.isnan(cosines).any())),
        )

    def _covers(self, search: Search) -> _Numbers | None:
        """What share of the words that are looked for each text has, as stores.words.covered counts it."""
        if search.by_words is None:
            return None
        exact, loose = (
            self._shares(postings, wanted)
            for postings, wanted in zip((self._exact, self._loose), words.asked(search.by_words), strict=True)
        )
        covers: _Numbers = exact + np.float32(LOOSE) * (1 - exact) * loose
        return covers

    def _shares(self, postings: dict[str, list[int]], wanted: Sequence[str]) -> _Numbers:
        counts = np.zeros(len(self._memories), np.float32)
        for word in wanted:
            if (having := postings.get(word)) is not None:
                counts[having] += 1
        return counts / np.float32(max(1, len(wanted)))

    def _cosines(self, search: Search) -> _Numbers | None:
        return None if search.by_meaning is None else self._vectors @ search.by_meaning

    def _best(
        self, search: Search, found: Found, covers: _Numbers | None, cosines: _Numbers | None, scale: float
    ) -> list[int]:
        """Those that are among the best of all by words or by meaning, of which an engine gives so many too.

        scale: what the best by words has of what was found."""
        count = max(LEAST_CANDIDATES, OVERSAMPLE * search.limit)
        share = influence(search.mode, search.ranking)
        scores = []
        if covers is not None:
            ranks = [scale * one.text_rank for one in found.candidates if one.text_rank is not None]
            scores.append((np.where(covers > 0, covers, -np.inf), ranks))
        if cosines is not None:
            near = [
                weighed(one.similarity, one.importance * one.decay, share)
                for one in found.candidates
                if one.similarity is not None
            ]
            alike = (1 + cosines) / 2 * (1 - share * (1 - self._weights))
            scores.append((np.where(np.isnan(alike), -np.inf, alike), near))
        chosen: dict[int, None] = {}
        for mine, others in scores:
            every = np.concatenate([mine, np.array(others, np.float32)])
            least = np.partition(every, -count)[-count] if count < len(every) else -np.inf
            first = np.flatnonzero((mine >= least) & (mine > -np.inf))
            if len(first) > count:  # as many as the last one are alike
                first = first[np.argsort(-mine[first], kind="stable")[:count]]
            chosen.update((int(index), None) for index in first)
        return [index for index in chosen if self._is_among(search, self._memories[index])]

    def _is_among(self, search: Search, memory: Memory) -> bool:
        owners: Sequence[Id] | None = search.owners
        mine = owners is None or memory.owner_id is None or memory.owner_id in owners
        return mine and memory.id != search.exclude


async def _made(store: Store, embedder: Batching, memories: list[Memory]) -> Replaced:
    vectors = np.full((len(memories), embedder.dimension), np.nan, np.float32)
    now = await store.get(Memory, [one.id for one in memories])
    same = [i for i, (was, one) in enumerate(zip(memories, now, strict=True)) if one and one.text == was.text]
    stored: list[Vector | None] = await store.vectors([memories[i].id for i in same]) if same else []
    for i, vector in zip(same, stored, strict=True):
        if vector is not None:
            vectors[i] = vector
    missing = [i for i in range(len(memories)) if np.isnan(vectors[i, 0])]
    if not embedder.is_at_hand:
        missing = missing[:_EMBEDDED_FAR]
    if missing:
        vectors[missing] = await embedder.embed([memories[i].text for i in missing])
    return Replaced(memories, vectors)


async def _covered(store: Store, search: Search, found: Found) -> float:
    """What share of the words that are looked for the best by words has of what was found."""
    best = max((one for one in found.candidates if one.text_rank), key=lambda one: one.text_rank or 0, default=None)
    if best is None:
        return 0.0
    if search.mode is SearchMode.HYBRID:
        return found.covered
    [memory] = await store.get(Memory, [best.id])
    return 0.0 if memory is None else words.covered(words.asked(search.text or ""), memory.text)
