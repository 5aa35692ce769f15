"""Candidates of a memory search: by words from FTS5, by meaning from the vector index."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import apsw
import msgspec
import numpy as np

from domain.memory import Memory, MemoryFilter, MemoryScope, MemoryStatus, says_when
from domain.node import Id
from domain.search import Candidate, SearchMode, similarity
from stores.embedded import rows
from stores.embedded.filters import Where, apply, is_called, valid_at
from stores.embedded.vectors import VectorIndex
from stores.embedded.words import Words
from stores.policies import LEAST_CANDIDATES, MOST_WORDS, OVERSAMPLE
from stores.ports import Found, Search
from stores.rows import micros

_WORD = re.compile(r"\w+")
_MOST_HIDDEN = 1_000

_ACTIVE = [MemoryStatus.ACTIVE]


class _Row(NamedTuple):
    """What the ranking needs of a memory."""

    id: Id
    importance: float
    decay: float


class Searcher:
    def __init__(self, db: apsw.Connection, workspace: int, vectors: VectorIndex, words: Words, now: datetime) -> None:
        self._db, self._workspace, self._vectors, self._words = db, workspace, vectors, words
        self._now = micros(now)

    def find(self, search: Search) -> Found:
        scopes = self._scopes(search.filter, search.owners)
        if not scopes or search.limit == 0:
            return Found([])
        count = max(LEAST_CANDIDATES, OVERSAMPLE * search.limit)
        texts: dict[int, tuple[_Row, float]] = {}
        cosines: dict[int, float] = {}
        vector = None if search.mode is SearchMode.TEXT else search.vector
        if vector is not None:
            cosines = self._by_meaning(search, scopes, count)
        if search.mode is not SearchMode.SEMANTIC and search.text:
            texts = self._by_words(search, scopes, count, list(cosines))
        missing = [key for key in texts if key not in cosines]
        if vector is not None and missing:
            found = self._vectors.similarity(self._db, missing, vector)
            cosines.update((key, float(c)) for key, c in zip(missing, found, strict=True) if not np.isnan(c))
        known = {key: row for key, (row, _) in texts.items()}
        known.update(self._rows([key for key in cosines if key not in known]))
        return Found(
            [
                Candidate(
                    row.id,
                    row.importance,
                    row.decay,
                    similarity(cosines[key]) if key in cosines else None,
                    texts[key][1] if key in texts else None,
                )
                for key, row in known.items()
                if row.id != search.exclude
            ]
        )

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

    def _by_words(
        self, search: Search, scopes: Sequence[int], count: int, also: Sequence[int]
    ) -> dict[int, tuple[_Row, float]]:
        """The best by words, and those of `also` that have any, with their text rank: BM25 as a share of the best's.

        The weight takes part in choosing. One owner of 10,000 memories: 1 to 2 ms.
        """
        match = self._match(search, scopes)
        if match is None:
            return {}
        where = self._where(search)
        sql = (
            "WITH found AS MATERIALIZED (SELECT t.key, -bm25(memory_text, 0.0, 1.0) AS words, t.weight "
            "FROM memory_text JOIN memory t ON t.key = memory_text.rowid "
            f"WHERE memory_text MATCH ? AND {where.sql}), "
            "best AS (SELECT key FROM found ORDER BY words * weight DESC, key DESC LIMIT ?) "
            "SELECT t.key, t.id, t.importance, t.decay_factor, words / (SELECT max(words) FROM found) "
            "FROM found CROSS JOIN memory t ON t.key = found.key "
            "WHERE found.key IN (SELECT key FROM best UNION ALL SELECT value FROM json_each(?))"
        )
        keys = msgspec.json.encode(also).decode()
        found: list[Any] = self._db.execute(sql, [match, *where.params, count, keys]).fetchall()
        return {row[0]: (_Row(*row[1:4]), row[4]) for row in found}

    def _match(self, search: Search, scopes: Sequence[int]) -> str | None:
        words = list(dict.fromkeys(_WORD.findall((search.text or "").lower())))[:MOST_WORDS]
        filter = search.filter
        everyone = search.owners is None and (filter is None or (filter.owner is None and filter.scopes is None))
        tokens = [f"w{self._workspace}"] if everyone else [scope_token(scope) for scope in scopes]
        scope = f"({' OR '.join(tokens)})"
        asked = " OR ".join(f'"{word}"' for word in self._words.rarest(self._db, scope, words)) if words else ""
        return f"scope : {scope} AND content : ({asked})" if asked else None

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
            hidden = self._hidden(scopes)
            if len(hidden) > _MOST_HIDDEN:
                allowed, hidden = np.asarray(self._keys(self._where(search), scopes), np.int64), set()
        best = self._vectors.search(self._db, scopes, search.vector, count + len(hidden), allowed=allowed, floor=floor)
        pairs = zip(best.keys.tolist(), best.cosines.tolist(), strict=True)
        return {key: cosine for key, cosine in pairs if key not in hidden}

    def _keys(self, where: Where, scopes: Sequence[int]) -> list[int]:
        """The keys of all memories of the scopes that match, in order."""
        among = msgspec.json.encode(list(scopes)).decode()
        sql = f"SELECT t.key FROM memory t WHERE t.scope_key IN (SELECT value FROM json_each(?)) AND {where.sql}"
        return sorted(row[0] for row in self._db.execute(sql, [among, *where.params]))

    def _hidden(self, scopes: Sequence[int]) -> set[int]:
        """Active memories that have expired or are not valid now; the index has only those with such a time."""
        among = msgspec.json.encode(list(scopes)).decode()
        sql = (
            "SELECT t.key FROM memory t INDEXED BY memory_timed WHERE t.scope_key IN (SELECT value FROM json_each(?)) "
            "AND (t.expires_at IS NOT NULL OR t.valid_from IS NOT NULL OR t.valid_until IS NOT NULL) "
            "AND (t.expires_at <= ?2 OR t.valid_from > ?2 OR t.valid_until <= ?2)"
        )
        return {row[0] for row in self._db.execute(sql, (among, self._now))}

    def _rows(self, keys: Sequence[int]) -> dict[int, _Row]:
        sql = "SELECT key, id, importance, decay_factor FROM memory WHERE key IN (SELECT value FROM json_each(?))"
        found: list[Any] = self._db.execute(sql, (msgspec.json.encode(keys).decode(),)).fetchall()
        return {row[0]: _Row(*row[1:]) for row in found}


def _is_plain(filter: MemoryFilter) -> bool:
    """Whether the scopes alone answer the filter."""
    return filter == MemoryFilter(owner=filter.owner, scopes=filter.scopes, statuses=filter.statuses)


def scope_token(scope: int) -> str:
    """The scope as one token of the text index."""
    return f"s{scope}" if scope >= 0 else f"g{-scope}"
