"""Candidates of a memory search: Weaviate proposes them, by words and by meaning; Neo4j says what they are.

What Weaviate was not told yet, or should have forgotten, is put right by the one statement that reads the candidates:
it checks the whole filter, and their weights, vectors and words are those of now. Text ranks are the scores of Neo4j's
full-text index, which knows each candidate's, however it was found; Weaviate's own only choose. And as Weaviate 1.35
passes over the best of what was written within the last minute (its BM25 is right for what it has flushed), the
statement looks for the best by words, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from domain.actor import Agent, User
from domain.memory import Memory, MemoryFilter, MemoryScope, MemoryStatus, says_when
from domain.node import Id
from domain.search import Candidate, SearchMode, rank, similarity
from stores.errors import Unavailable
from stores.policies import LEAST_CANDIDATES, MOST_WORDS, OVERSAMPLE
from stores.ports import Found, Search, Vector
from stores.services.filters import Where, apply, valid_at
from stores.services.labels import MEMORY
from stores.services.neo4j_client import Neo4jClient
from stores.services.prefilter import Names, Prefilter, ids_of, names, prefilter
from stores.services.weaviate_client import Hit, Missing, WeaviateClient
from stores.words import stem

_MOST = 1_000
"""Candidates of each side of a search, however many are shown."""

_WIDER = 4
"""By words that many more are looked at, for BM25 knows nothing of weights."""

_TOP = 5
"""The best by words are candidates, be they ever so light: text ranks are shares of the best's."""

_FEW = 1_000
"""So many memories that match a filter which Weaviate cannot check are all looked at."""

_FALLBACK = 2_000
"""How many of the best by words Neo4j looks at in Weaviate's place."""

_TENANT_SECONDS, _TRIES = 2.0, 20
"""How long a search waits for a tenant that is to be made."""

_IMPORTANCE, _DECAY, _VERSION = map(MEMORY.columns.index, ("importance", "decay_factor", "version"))

_CLAUSES = 400
"""Lucene takes 1,024 clauses."""


async def find(graph: Neo4jClient, vectors: WeaviateClient, workspace: str, now: int, search: Search) -> Found:
    """See stores.ports.Store.search. now: microseconds since 1970.

    Two calls of Weaviate side by side and one of Neo4j; one more of Weaviate where a threshold leaves too few, and of
    Neo4j where the filter names something by its externalId, or looks into texts or metadata.
    """
    return await _Finding(graph, vectors, workspace, now, search).find()


class _Finding:
    """One search."""

    def __init__(self, graph: Neo4jClient, vectors: WeaviateClient, workspace: str, now: int, search: Search) -> None:
        self._graph, self._vectors, self._workspace, self._now, self._search = graph, vectors, workspace, now, search
        self._count = max(LEAST_CANDIDATES, min(OVERSAMPLE * search.limit, _MOST), search.limit)
        words = list(dict.fromkeys(stem(search.text or "").split()))[:MOST_WORDS]
        self._all_words = " ".join(words)
        self._words = "" if search.mode is SearchMode.SEMANTIC else self._all_words
        self._vector = None if search.mode is SearchMode.TEXT else search.vector
        self._where = self._conditions()

    def _conditions(self) -> Where:
        """The filter's, and those of every search: there, active and valid now unless it asks else."""
        filter, where = self._search.filter, Where()
        where.conditions.append(MEMORY.live())
        if filter is None or filter.statuses is None:
            where.add("n.status = 'ACTIVE'")
        if not says_when(filter):
            valid_at(where, self._now)
        if self._search.owners is not None:
            where.add("(n.owner IS NULL OR n.owner IN ?)", self._search.owners)
        if self._search.exclude is not None:
            where.add("n.id <> ?", self._search.exclude)
        apply(filter, Memory, where)
        return where

    async def find(self) -> Found:
        if self._search.limit == 0 or (not self._words and self._vector is None):
            return Found([])
        filter = self._search.filter
        named = await names(self._graph, self._workspace, filter)
        self._within = self._clauses(named)
        within = prefilter(filter, self._now, named, self._search.owners)
        if not within.exact:
            everything = await self._matching(_FEW + 1)
            if len(everything.candidates) <= _FEW:
                return everything
        if self._workspace in self._vectors.behind:
            return await self._instead()
        try:
            return await self._where_there(within)
        except Unavailable:
            if self._graph.breaker.state == "open":
                raise
            return await self._instead()

    async def _where_there(self, within: Prefilter) -> Found:
        """What Weaviate proposes. Its tenant may be about to be made, for the workspace's first memory."""
        for _ in range(_TRIES):
            try:
                return await self._proposed(within)
            except Missing:
                found = await self._instead()
            if not found.candidates:
                return Found([])  # nothing is missing where nothing is there
            if self._workspace in self._vectors.behind:
                break
            await asyncio.sleep(_TENANT_SECONDS / _TRIES)
        return found

    async def _proposed(self, within: Prefilter) -> Found:
        """What Weaviate proposes; more of it while what it cannot check leaves too few."""
        count = self._count
        while True:
            near, words = await asyncio.gather(self._by_meaning(within, count), self._by_words(within, count))
            ids = list(dict.fromkeys(hit.id for hit in (*near, *words)))
            found = await self._among(ids, self._words, _WIDER * count)
            more = len(near) >= count or len(words) >= count
            if within.exact or not more or len(found.candidates) >= self._count or count >= OVERSAMPLE * _MOST:
                return found
            count *= OVERSAMPLE

    async def _by_meaning(self, within: Prefilter, count: int) -> list[Hit]:
        if self._vector is None:
            return []
        threshold = self._search.threshold
        hits = await self._vectors.nearest(self._workspace, self._vector, 1.0, count, within.where)
        passing = [hit for hit in hits if similarity(hit.score / hit.weight - 1) >= threshold]
        if len(passing) < self._search.limit and len(hits) == count:
            # Heavy ones that are not near enough have crowded out others. Now only the near ones have a score above 0.
            below = 1 - 2 * threshold
            hits = await self._vectors.nearest(self._workspace, self._vector, below, max(count, _MOST), within.where)
            return [hit for hit in hits if hit.score >= 0]
        return hits

    async def _by_words(self, within: Prefilter, count: int) -> list[Hit]:
        return await self._vectors.by_words(self._workspace, self._words, count, within.where) if self._words else []

    async def _instead(self) -> Found:
        """What Neo4j finds by itself: by words, or what is newest where there are none."""
        if self._all_words:
            found = await self._among([], self._all_words, _FALLBACK)
        else:
            found = await self._matching(_FEW)
        return Found(found.candidates, True, found.records)

    async def _matching(self, most: int) -> Found:
        """All that match the filter, the newest first, up to a number."""
        return await self._read(
            "MATCH (n:Memory) USING INDEX SEEK n:Memory(workspace, created_at, id) WHERE n.created_at IS NOT NULL "
            f"AND n.id IS NOT NULL AND {self._where.cypher} "
            "WITH n ORDER BY n.workspace DESC, n.created_at DESC, n.id DESC LIMIT $most",
            most=most,
        )

    async def _among(self, ids: Sequence[Id], words: str, most: int) -> Found:
        """Those of these ids that match; and of the best by words those that do, and weigh most."""
        matching = f"UNWIND $ids AS id MATCH (n:Memory {{id: id}}) WHERE {self._where.cypher} RETURN n"
        if not words:
            return await self._read(f"CALL (refs) {{ {matching} }}", ids=ids)
        return await self._read(
            "CALL (refs) { CALL db.index.fulltext.queryNodes('memory_words', $lucene, {limit: $most}) "
            f"YIELD node AS n, score WITH refs, n, score WHERE {self._where.cypher} "
            "RETURN collect({n: n, weighed: score * n.importance * n.decay_factor}) AS hits } "
            f"CALL (refs, hits) {{ {matching} UNION UNWIND hits[..{_TOP}] AS hit RETURN hit.n AS n UNION "
            "UNWIND hits AS hit WITH hit ORDER BY hit.weighed DESC LIMIT $count RETURN hit.n AS n }",
            ids=ids,
            lucene=f"+words:({words}) {self._within}",
            most=most,
            count=self._count,
        )

    def _clauses(self, named: Names) -> str:
        """What of the filter the full-text index can check."""
        filter = self._search.filter or MemoryFilter()
        wanted = {
            "workspace": [self._workspace],
            "status": [status.value for status in filter.statuses or [MemoryStatus.ACTIVE]],
            "scope": [scope.value for scope in filter.scopes or ()],
            "owner": [] if filter.owner is None else ids_of((User, Agent), filter.owner, named),
        }
        if self._search.owners is not None and len(self._search.owners) <= _CLAUSES:
            # The id of nobody keeps the clause from being empty.
            owned = " ".join(map(_quoted, [*self._search.owners, "nobody"]))
            return f'{self._terms(wanted)} +(scope:("{MemoryScope.GLOBAL.value}") owner:({owned}))^0'
        return self._terms(wanted)

    def _terms(self, wanted: dict[str, list[str]]) -> str:
        terms = {name: " ".join(map(_quoted, values)) for name, values in wanted.items() if values}
        return " ".join(f"+{name}:({values})^0" for name, values in terms.items())

    async def _read(self, nodes: str, **parameters: Any) -> Found:
        """Candidates from the nodes n of the beginning of a statement. 200 of them: 7 ms."""
        scores = vectors = "[]"
        scoring = ""
        if self._words:
            scores = "scores"
            scoring = (
                f"CALL (ids) {{ UNWIND range(0, size(ids) - 1, {_CLAUSES}) AS start "
                f"WITH reduce(terms = '', id IN ids[start..start + {_CLAUSES}] | terms + ' ' + id) AS terms "
                "CALL db.index.fulltext.queryNodes('memory_words', $asked + terms + ')^0') YIELD node AS n, score "
                "RETURN collect([n.id, score]) AS scores } "
            )
            parameters["asked"] = f"+words:({self._words}) +id:(none"  # Lucene takes no empty brackets
        if self._vector is not None:
            vectors = "[n IN ns | n.vector]"
        record = await self._graph.read(
            f"{self._where.given}{nodes} WITH collect(n) AS ns, collect(n.id) AS ids {scoring}"
            f"RETURN {scores}, {vectors}, {MEMORY.lists()}",
            workspace=self._workspace,
            now=self._now,
            **self._where.parameters,
            **parameters,
        )
        texts, stored, columns = record
        # One that is deleted while the statement reads it has lost its columns.
        rows = {row[0]: row for row in zip(*columns, strict=True) if None not in (row[0], row[_VERSION])}
        ranks = _ranks(texts)
        alike = dict(zip(columns[0], _similarities(self._vector, stored), strict=True)) if stored else {}
        candidates = [
            Candidate(id, row[_IMPORTANCE], row[_DECAY], alike.get(id), ranks.get(id)) for id, row in rows.items()
        ]
        best = rank(candidates, self._search.mode, self._search.threshold, self._search.limit)
        return Found(candidates, records={one.id: MEMORY.decode(rows[one.id]) for one, _, _ in best})


def _ranks(scores: Sequence[tuple[Id, float]]) -> dict[Id, float]:
    """Text ranks: the scores as shares of the best's."""
    best = max((score for _, score in scores), default=0.0)
    return {id: score / best for id, score in scores}


def _similarities(vector: Vector | None, stored: Sequence[bytes | None]) -> list[float | None]:
    """The similarity of each stored vector; none for one that is missing or has no direction."""
    if vector is None:
        return [None] * len(stored)
    empty = bytes(4 * len(vector))
    matrix = np.frombuffer(b"".join(bytes(one or empty) for one in stored), "<f4").reshape(len(stored), len(vector))
    cosines: list[float] = (matrix @ vector).tolist()
    return [similarity(c) if any(row) else None for c, row in zip(cosines, matrix, strict=True)]


def _quoted(text: str) -> str:
    """A text as one term of a Lucene query."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
