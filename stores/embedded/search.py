"""Candidates of a memory search: by words from FTS5, by meaning from the vector index, and what stands beside them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any

import apsw
import msgspec
import numpy as np

from domain.memory import Memory, MemoryFilter, MemoryScope, MemoryStatus, says_when
from domain.node import Id
from domain.ranking import influence
from domain.search import Candidate, SearchMode, similarity
from stores import words
from stores.embedded import rows, texts
from stores.embedded.filters import Where, apply, is_called, valid_at
from stores.embedded.frequency import Frequency
from stores.embedded.surroundings import Surroundings, between
from stores.embedded.vectors import VectorIndex
from stores.policies import BESIDE, LEAST_CANDIDATES, OVERSAMPLE
from stores.ports import Found, Search
from stores.rows import micros

_MOST_HIDDEN = 4_000

_ACTIVE = [MemoryStatus.ACTIVE]

_weighed_then_key = itemgetter(2, 0)


class Searcher:
    def __init__(
        self, db: apsw.Connection, workspace: int, vectors: VectorIndex, frequency: Frequency, now: datetime
    ) -> None:
        self._db, self._workspace, self._vectors, self._frequency = db, workspace, vectors, frequency
        self._now = micros(now)

    def usual(self, asked: Sequence[str], search: Search) -> set[str]:
        """See stores.ports.Store.usual."""
        scopes = self._scopes(search.filter, search.owners)
        if not scopes:
            return set()
        of = {texts.has(word): word for word in asked}
        return {of[one] for one in self._frequency.usual(self._db, self._among(search, scopes), list(of))}

    def find(self, search: Search) -> Found:
        scopes = self._scopes(search.filter, search.owners)
        if not scopes or search.limit == 0:
            return Found([])
        count = max(LEAST_CANDIDATES, OVERSAMPLE * search.limit)
        vector = search.by_meaning
        ranks: dict[int, float] = {}
        chosen: list[int] = []
        cosines: dict[int, float] = {}
        if vector is not None:
            cosines = self._by_meaning(search, scopes, count)
        if search.by_words:
            ranks, chosen = self._by_words(search, scopes, count)
        keys = list(dict.fromkeys([*chosen, *cosines]))
        self._compare(keys, cosines, search, scopes)
        if search.mode is SearchMode.HYBRID:
            return self._surrounded(search, scopes, keys, cosines, ranks)
        alike = {key: similarity(cosine) for key, cosine in cosines.items()}
        return Found([one for one in self._plain(keys, alike, ranks) if one.id != search.exclude])

    def _compare(self, keys: Iterable[int], cosines: dict[int, float], search: Search, scopes: Sequence[int]) -> None:
        """Adds the cosines of memories that were found otherwise."""
        missing = [key for key in keys if key not in cosines]
        if search.by_meaning is not None and missing:
            found = self._vectors.similarity(self._db, missing, search.by_meaning, scopes)
            cosines.update((key, float(c)) for key, c in zip(missing, found, strict=True) if not np.isnan(c))

    def _surrounded(
        self,
        search: Search,
        scopes: Sequence[int],
        keys: Sequence[int],
        cosines: dict[int, float],
        ranks: Mapping[int, float],
    ) -> Found:
        """The candidates, those that stand beside the best of them, and what ties them."""
        best = sorted(keys, key=lambda key: ranks.get(key, 0.0) + cosines.get(key, 0.0), reverse=True)[:BESIDE]
        around = Surroundings(self._db)
        ends = around.ties(best)
        others = {*around.beside(best), *(key for one in ends for key in one[:2])}.difference(keys)
        more = self._matching(search, scopes, sorted(others))
        self._compare(more, cosines, search, scopes)
        alike = {key: similarity(cosine) for key, cosine in cosines.items()}
        candidates = around.candidates([*keys, *more], alike, ranks)
        found = [one for one in candidates.values() if one.id != search.exclude]
        return Found(found, ties=between(ends, candidates), covered=self._covered(search, ranks))

    def _covered(self, search: Search, ranks: Mapping[int, float]) -> float:
        if not ranks:
            return 1.0
        best = max(ranks, key=lambda key: (ranks[key], key))
        row = self._db.execute("SELECT text FROM memory WHERE key = ?", (best,)).fetchone()
        return words.covered(words.asked(search.text or ""), str(row[0])) if row else 1.0

    def _matching(self, search: Search, scopes: Sequence[int], keys: Sequence[int]) -> list[int]:
        """Those of these memories that a search is among."""
        if not keys:
            return []
        where = self._where(search)
        sql = (
            "SELECT t.key FROM json_each(?) e CROSS JOIN memory t ON t.key = e.value "
            f"WHERE t.scope_key IN (SELECT value FROM json_each(?)) AND {where.sql}"
        )
        asked = [msgspec.json.encode(list(some)).decode() for some in (keys, scopes)]
        return [row[0] for row in self._db.execute(sql, [*asked, *where.params])]

    def _scopes(self, filter: MemoryFilter | None, owners: Sequence[Id] | None) -> list[int]:
        """The owners whose memories can match: all of the workspace, one, some, or those of some kinds."""
        among = None if filter is None else filter.scopes
        parts = []
        owner = Where(self._workspace)
        if filter is not None and filter.owner is not None:
            is_called(owner, filter.owner)
        if owners is not None:
            owner.add("t.id IN (SELECT value FROM json_each(?))", msgspec.json.encode(owners).decode())
        for scope, table, odd in ((MemoryScope.USER, "user", 0), (MemoryScope.AGENT, "agent", 1)):
            if among is None or scope in among:
                parts.append(f"SELECT t.key * 2 + {odd} AS s FROM {table} t WHERE t.workspace = ? AND {owner.sql}")
        params = [self._workspace, *owner.params] * len(parts)
        if (among is None or MemoryScope.GLOBAL in among) and (filter is None or filter.owner is None):
            parts.append("SELECT ? AS s")
            params.append(-self._workspace)
        if not parts:
            return []
        sql = f"SELECT s FROM ({' UNION ALL '.join(parts)}) WHERE EXISTS (SELECT 1 FROM memory WHERE scope_key = s)"
        return [row[0] for row in self._db.execute(sql, params)]

    def _where(self, search: Search) -> Where:
        """The conditions of the filter, and those of every search: there, active and valid now unless it asks else."""
        filter = search.filter
        where = Where(self._workspace)
        if filter is None or filter.statuses is None:
            where.add("t.status = 'ACTIVE'")
        if not says_when(filter):
            valid_at(where, self._now)
        where.add(rows.MEMORY.live.removeprefix(" AND "))
        apply(filter, Memory, where)
        return where

    def _by_words(self, search: Search, scopes: Sequence[int], count: int) -> tuple[dict[int, float], list[int]]:
        """The text rank of all that have any of the words, BM25 as a share of the best's, and the `count` best of them.

        One owner of 10,000 memories: 1 to 2 ms.
        """
        match = self._match(search, scopes)
        if match is None:
            return {}, []
        where = self._where(search)
        share = influence(search.mode, search.ranking)
        sql = (
            f"WITH found AS MATERIALIZED (SELECT t.key, {texts.RANK} AS words, t.weight "
            "FROM memory_text JOIN memory t ON t.key = memory_text.rowid "
            f"WHERE memory_text MATCH ? AND {where.sql}) "
            f"SELECT key, words, words * (1 - {share} * (1 - weight)) FROM found"
        )
        found: list[Any] = self._db.execute(sql, [match, *where.params]).fetchall()
        best = max((row[1] for row in found), default=0.0)
        chosen = heapq.nlargest(count, found, key=_weighed_then_key)
        return {key: words / best for key, words, _ in found}, [row[0] for row in chosen]

    def _match(self, search: Search, scopes: Sequence[int]) -> str | None:
        asked = texts.asked(words.asked(search.text or ""))
        scope = self._among(search, scopes)
        chosen = " OR ".join(self._frequency.rarest(self._db, scope, asked)) if asked else ""
        return f"scope : {scope} AND ({chosen})" if chosen else None

    def _among(self, search: Search, scopes: Sequence[int]) -> str:
        filter = search.filter
        everyone = search.owners is None and (filter is None or (filter.owner is None and filter.scopes is None))
        return texts.anyone(self._workspace) if everyone else texts.among(scopes)

    def _by_meaning(self, search: Search, scopes: Sequence[int], count: int) -> dict[int, float]:
        """The cosines of the best by meaning."""
        assert search.vector is not None
        floor = 2 * search.threshold - 1
        filter = search.filter
        if filter is not None and filter.statuses not in (None, _ACTIVE):
            keys = self._keys(self._where(search), scopes)
            found = self._vectors.similarity(self._db, keys, search.vector)
            return {key: float(c) for key, c in zip(keys, found, strict=True) if c >= floor}
        allowed, hidden = None, set[int]()
        if filter is not None and not _is_plain(filter):
            allowed = np.asarray(self._keys(self._where(search), scopes), np.int64)
        else:
            hidden = self._hidden(scopes, filter)
            if len(hidden) > _MOST_HIDDEN:
                allowed, hidden = np.asarray(self._keys(self._where(search), scopes), np.int64), set()
        share = influence(search.mode, search.ranking)
        best = self._vectors.search(
            self._db, scopes, search.vector, count + len(hidden), allowed=allowed, floor=floor, influence=share
        )
        pairs = zip(best.keys.tolist(), best.cosines.tolist(), strict=True)
        return dict(islice((pair for pair in pairs if pair[0] not in hidden), count))

    def _keys(self, where: Where, scopes: Sequence[int]) -> list[int]:
        """The keys of all memories of the scopes that match, in order."""
        among = msgspec.json.encode(list(scopes)).decode()
        sql = f"SELECT t.key FROM memory t WHERE t.scope_key IN (SELECT value FROM json_each(?)) AND {where.sql}"
        return sorted(row[0] for row in self._db.execute(sql, [among, *where.params]))

    def _hidden(self, scopes: Sequence[int], filter: MemoryFilter | None) -> set[int]:
        """Active memories that have expired, are not valid at the time asked about, or have changed since a time; the
        index has only those with such a time."""
        valid = None if filter is None else filter.valid_at
        hidden = self._out_of_time(scopes, self._now if valid is None else micros(valid))
        if filter is not None and filter.updated_at is not None:
            sql = "SELECT key FROM memory WHERE workspace = ? AND updated_at >= ? LIMIT ?"
            given = self._workspace, micros(filter.updated_at.until), _MOST_HIDDEN + 1
            hidden.update(row[0] for row in self._db.execute(sql, given))
        return hidden

    def _out_of_time(self, scopes: Sequence[int], valid_at: int | None) -> set[int]:
        among = msgspec.json.encode(list(scopes)).decode()
        sql = (
            "SELECT t.key FROM memory t INDEXED BY memory_timed WHERE t.scope_key IN (SELECT value FROM json_each(?)) "
            "AND t.status = 'ACTIVE' "
            "AND (t.expires_at IS NOT NULL OR t.valid_from IS NOT NULL OR t.valid_until IS NOT NULL) "
            "AND (t.expires_at <= ?2 OR t.valid_from > ?3 OR t.valid_until <= ?3)"
        )
        return {row[0] for row in self._db.execute(sql, (among, self._now, valid_at))}

    def _plain(self, keys: Sequence[int], alike: Mapping[int, float], ranks: Mapping[int, float]) -> list[Candidate]:
        """The memories as candidates, without what stands beside them."""
        sql = "SELECT key, id, importance, decay_factor, text FROM memory WHERE key IN (SELECT value FROM json_each(?))"
        found: list[Any] = self._db.execute(sql, (msgspec.json.encode(keys).decode(),)).fetchall()
        return [
            Candidate(Id(id), importance, decay, alike.get(key), ranks.get(key), text=text)
            for key, id, importance, decay, text in found
        ]


def _is_plain(filter: MemoryFilter) -> bool:
    """Whether the scopes alone answer the filter, but for times that few memories are out of."""
    updated = filter.updated_at
    return (updated is None or (updated.from_ is None and updated.until is not None)) and filter == MemoryFilter(
        owner=filter.owner,
        scopes=filter.scopes,
        statuses=filter.statuses,
        valid_at=filter.valid_at,
        updated_at=updated,
    )
