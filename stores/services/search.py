"""Candidates of a memory search: Weaviate proposes them by meaning, Neo4j's full-text index by words, side by side.

What Weaviate was not told yet, or should have forgotten, is put right by the statement that reads its candidates: it
checks the whole filter, and their weights, vectors and words are those of now. Text ranks are the scores of Neo4j's
full-text index, which knows each candidate's, however it was found. Weaviate's BM25 is not asked: it found nothing that
is not among the full-text index's first 400, and passes over the best of what was written within the last minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec
import numpy as np

from domain.actor import Agent, User
from domain.memory import Memory, MemoryFilter, MemoryScope, MemoryStatus, says_when
from domain.node import Id
from domain.ranking import influence
from domain.search import Candidate, SearchMode, similarity
from stores import words
from stores.errors import Unavailable
from stores.policies import BESIDE, OVERSAMPLE, most_of_usual
from stores.ports import Found, Search, Vector
from stores.services import surroundings
from stores.services.filters import Where, apply, valid_at
from stores.services.labels import MEMORY, whole
from stores.services.lucene import CLAUSES, MOST_WORDS, any_of, quoted
from stores.services.neo4j_client import Neo4jClient
from stores.services.prefilter import Called, Names, Prefilter, called, ids_of, names, prefilter
from stores.services.weaviate_client import Hit, Missing, WeaviateClient

T = TypeVar("T")

_LEAST, _OVERSAMPLE, _MOST = 40, 4, 1_000
"""Candidates of each side of a search: so many times what is shown, within bounds. Ten times as many found the same, in
the same order, in 240 searches among 18,000 memories."""

_LOOKED_AT, _FARTHEST = 400, 40_000
"""How many of the best by words are looked at, for BM25 knows nothing of weights; and at the most, where few match."""

_TOP = 5
"""The best by words are candidates, be they ever so light: text ranks are shares of the best's."""

_FEW = 1_000
"""So many memories that match a filter which Weaviate cannot check are all looked at."""

_COUNTED = 100_000
"""Memories are counted up to so many."""

_FALLBACK = 2_000
"""How many of the best by words Neo4j looks at in Weaviate's place."""

_TENANT_SECONDS, _TRIES = 2.0, 20
"""How long a search waits for a tenant that is to be made."""

_IMPORTANCE, _DECAY, _TEXT = map(MEMORY.columns.index, ("importance", "decay_factor", "text"))


Known: TypeAlias = dict[Called, Names]
"""Who was called by externalId in the searches of a workspace, as it was last."""

_KNOWN = 1_000


async def find(
    graph: Neo4jClient, vectors: WeaviateClient, workspace: str, now: int, search: Search, known: Known
) -> Found:
    """See stores.ports.Store.search. now: microseconds since 1970.

    One call of Weaviate and one of Neo4j side by side, as the mode asks, and one of Neo4j for what only Weaviate found,
    and in HYBRID one more of Weaviate for what is near and light, and one of Neo4j for what stands beside the best; one
    more of each where a threshold leaves too few, and of Neo4j where the filter looks into texts or metadata. By words
    alone Weaviate is not needed.
    """
    finding = _Finding(graph, vectors, workspace, now, search)
    return await _of_known(graph, workspace, search, known, finding.find)


async def usual(
    graph: Neo4jClient,
    vectors: WeaviateClient,
    workspace: str,
    now: int,
    words: Sequence[str],
    search: Search,
    known: Known,
) -> set[str]:
    """See stores.ports.Store.usual. One call of Neo4j."""
    finding = _Finding(graph, vectors, workspace, now, search)
    return await _of_known(graph, workspace, search, known, partial(finding.usual, words))


async def _of_known(
    graph: Neo4jClient, workspace: str, search: Search, known: Known, find: Callable[[Names], Awaitable[T]]
) -> T:
    """What is found for those whom the filter calls. Who that is is asked beside the search for those who were it the
    last time, which is made again for others."""
    wanted = called(search.filter)
    asking = names(graph, workspace, wanted)
    if (before := known.get(wanted)) is None:
        named = await asking
    else:
        found, named = await asyncio.gather(find(before), asking)
        if named == before:
            return found
    if len(known) >= _KNOWN:
        known.clear()
    known[wanted] = named
    return await find(named)


class Row(NamedTuple):
    """A memory that was read: its columns, its similarity to the question's vector, its score by the words."""

    columns: tuple[Any, ...]
    similarity: float | None
    score: float | None


Rows: TypeAlias = dict[Id, Row]


class _Records(Mapping[Id, Memory]):
    """The records of rows, each made when it is asked for: of hundreds of candidates ten are shown."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __getitem__(self, id: Id) -> Memory:
        return MEMORY.decode(self._rows[id].columns)

    def __iter__(self) -> Iterator[Id]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class _Finding:
    """One search."""

    def __init__(self, graph: Neo4jClient, vectors: WeaviateClient, workspace: str, now: int, search: Search) -> None:
        self._graph, self._vectors, self._workspace, self._now, self._search = graph, vectors, workspace, now, search
        self._set = vectors.set
        self._count = max(_LEAST, min(_OVERSAMPLE * search.limit, _MOST), search.limit)
        self._all_words = any_of(words.asked(search.text or "", MOST_WORDS))
        self._influence = influence(search.mode, search.ranking)
        self._words = "" if search.mode is SearchMode.SEMANTIC else self._all_words
        self._vector = search.by_meaning
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

    async def find(self, named: Names) -> Found:
        """named: whom the filter calls by externalId."""
        if self._search.limit == 0 or (not self._words and self._vector is None):
            return Found([])
        filter = self._search.filter
        self._within = self._clauses(named)
        within = prefilter(filter, self._now, named, self._search.owners)
        if not within.exact:
            everything = await self._matching(_FEW + 1)
            if len(everything) <= _FEW:
                return await self._found(everything)
        if self._vector is None:
            return await self._found(await self._said(self._words, _LOOKED_AT))
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
        """What Weaviate finds by meaning beside what Neo4j finds by words; more of the first while what Weaviate cannot
        check leaves too few."""
        count = self._count
        hits, said = await asyncio.gather(self._near(within), self._said(self._words, _LOOKED_AT))
        near = await self._among(hits, said)
        if len(hits) >= count and self._passing(near) < self._search.limit:
            # Heavy ones that are not near enough have crowded out others. Now only the near ones have a score above 0.
            above = 1 - 2 * self._search.threshold
            hits = await self._nearest(within, above, max(count, _MOST))
            near |= await self._among([hit for hit in hits if hit.score >= 0], said | near)
        while not within.exact and len(hits) >= count and len(near) < self._count and count < OVERSAMPLE * _MOST:
            count *= OVERSAMPLE
            hits = await self._nearest(within, 1.0, count)
            near |= await self._among(hits, said | near)
        return await self._found(said | near)

    async def _near(self, within: Prefilter) -> list[Hit]:
        """The nearest by their weights, and where those count for little all that are nearer than all but the nearest
        of these, be they ever so light."""
        hits = await self._nearest(within, 1.0, self._count)
        if self._influence == 1.0 or len(hits) < self._count:
            return hits
        least = sorted(hit.score / hit.weight - 1 for hit in hits)[-2 * self._search.limit :][0]
        light = await self._nearest(within, -least, _OVERSAMPLE * self._count, 0.0)
        return list({hit.id: hit for hit in (*hits, *light)}.values())

    def _passing(self, rows: Rows) -> int:
        return sum((row.similarity or 0.0) >= self._search.threshold for row in rows.values())

    async def _nearest(self, within: Prefilter, shift: float, count: int, least: float | None = None) -> list[Hit]:
        assert self._vector is not None
        return await self._vectors.nearest(self._workspace, self._vector, shift, count, within.where, least, self._set)

    async def _instead(self) -> Found:
        """What Neo4j finds by itself: by words, or what is newest where there are none."""
        rows = await (self._said(self._all_words, _FALLBACK) if self._all_words else self._matching(_FEW))
        found = await self._found(rows)
        return msgspec.structs.replace(found, degraded=True)

    async def _matching(self, most: int) -> Rows:
        """All that match the filter, the newest first, up to a number."""
        rows = await self._read(
            "MATCH (n:Memory) USING INDEX SEEK n:Memory(workspace, created_at, id) WHERE n.created_at IS NOT NULL "
            f"AND n.id IS NOT NULL AND {self._where.cypher} "
            "WITH n ORDER BY n.workspace DESC, n.created_at DESC, n.id DESC LIMIT $most "
            f"WITH collect(n) AS ns, collect(n.id) AS ids {self._scoring()}",
            most=most,
        )
        return rows[1]

    async def _among(self, hits: Sequence[Hit], known: Rows) -> Rows:
        """Those of these memories that match; what is known is not read again."""
        ids = [hit.id for hit in hits]
        found = {id: known[id] for id in ids if id in known}
        if len(found) == len(ids):
            return found
        _, rows = await self._read(
            f"CALL (refs) {{ UNWIND $ids AS id MATCH (n:Memory {{id: id}}) WHERE {self._where.cypher} RETURN n }} "
            f"WITH collect(n) AS ns, collect(n.id) AS ids {self._scoring()}",
            ids=[id for id in ids if id not in known],
        )
        return found | rows

    async def _said(self, words: str, most: int) -> Rows:
        """Of the best by words those that match, and are the very best or weigh most. The index knows but a part of the
        filter: where what does not match may have crowded out others, more are looked at."""
        while words:
            looked, rows = await self._read(
                "CALL (refs) { CALL db.index.fulltext.queryNodes('memory_texts', $lucene, {limit: $most}) "
                f"YIELD node AS n, score WITH refs, n, score, ({self._where.cypher}) AS passes "
                "RETURN count(n) AS looked, collect(CASE WHEN passes THEN {n: n, score: score, "
                f"weighed: score * (1 - {self._influence} * (1 - n.importance * n.decay_factor))}} END) AS hits }} "
                f"CALL (hits) {{ CALL (hits) {{ UNWIND hits[..{_TOP}] AS hit RETURN hit UNION "
                "UNWIND hits AS hit WITH hit ORDER BY hit.weighed DESC LIMIT $count RETURN hit } "
                "RETURN collect(hit.n) AS ns, collect([hit.n.id, hit.score]) AS scores }",
                lucene=f"+{words} {self._within}",
                most=most,
                count=self._count,
            )
            if looked < most or len(rows) >= self._count or most >= _FARTHEST:
                return rows
            most *= OVERSAMPLE
        return {}

    def _scoring(self) -> str:
        """Makes `scores` of the memories `ids`, which were not found by their words."""
        if not self._words:
            return "WITH null AS looked, ns, [] AS scores"
        return (
            f"CALL (ids) {{ UNWIND range(0, size(ids) - 1, {CLAUSES}) AS start "
            f"WITH reduce(terms = '', id IN ids[start..start + {CLAUSES}] | terms + ' ' + id) AS terms "
            "CALL db.index.fulltext.queryNodes('memory_texts', $asked + terms + ')^0') YIELD node AS n, score "
            "RETURN collect([n.id, score]) AS scores } WITH null AS looked, ns, scores"
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
        if self._search.owners is not None and len(self._search.owners) <= CLAUSES:
            # The id of nobody keeps the clause from being empty.
            owned = " ".join(map(quoted, [*self._search.owners, "nobody"]))
            return f'{self._terms(wanted)} +(scope:("{MemoryScope.GLOBAL.value}") owner:({owned}))^0'
        return self._terms(wanted)

    def _terms(self, wanted: dict[str, list[str]]) -> str:
        terms = {name: " ".join(map(quoted, values)) for name, values in wanted.items() if values}
        return " ".join(f"+{name}:({values})^0" for name, values in terms.items())

    async def _read(self, nodes: str, **parameters: Any) -> tuple[int, Rows]:
        """What a statement finds, from its beginning, which ends with looked, the nodes ns and the scores of them."""
        vectors = "[]" if self._vector is None else f"[n IN ns | n.{self._set.field}]"
        record = await self._graph.read(
            f"{self._where.given}{nodes} RETURN coalesce(looked, 0), scores, {vectors}, {MEMORY.lists()}",
            workspace=self._workspace,
            now=self._now,
            asked=f"+{self._words} +id:(none",  # Lucene takes no empty brackets
            **self._where.parameters,
            **parameters,
        )
        looked, scores, stored, columns = record
        said = dict(scores)
        alike = _similarities(self._vector, stored) if stored else [None] * len(columns[0])
        return looked, {row[1]: Row(row[1:], row[0], said.get(row[1])) for row in whole([alike, *columns])}

    async def usual(self, asked: Sequence[str], named: Names) -> set[str]:
        """See stores.ports.Store.usual. named: whom the filter calls by externalId. All memories are counted only as
        far as tells whether the most usual word is one."""
        counting = "CALL db.index.fulltext.queryNodes('memory_texts', {}, {{limit: {}}}) YIELD node RETURN count(*)"
        of_word = counting.format("'+words:' + word + ' ' + $within", "$most")
        of_all = counting.format("$within", "CASE WHEN top > $few THEN 10 * top + 10 ELSE 1 END")
        total, counts = await self._graph.read(
            f"CALL () {{ UNWIND $words AS word CALL (word) {{ {of_word} AS count }} "
            "RETURN collect([word, count]) AS counts, max(count) AS top } "
            f"CALL (top) {{ {of_all} AS total }} RETURN total, counts",
            words=list(asked),
            within=self._clauses(named),
            most=most_of_usual(_COUNTED) + 1,
            few=most_of_usual(0),
        )
        return {word for word, count in counts if count > most_of_usual(total)}

    async def _found(self, rows: Rows) -> Found:
        """Candidates, and in HYBRID what stands beside the best of them. Text ranks are the scores as shares of the
        best's."""
        around = surroundings.NOTHING
        if self._search.mode is SearchMode.HYBRID and rows:
            most = _best_score(rows)
            best = sorted(rows, key=lambda key: (rows[key].score or 0.0) / most + (rows[key].similarity or 0.0))
            around = await surroundings.read(self._graph, list(rows), best[-BESIDE:])
            others = [Hit(id, 0.0) for id in around.others(rows)]
            rows = rows | await self._among(others, {}) if others else rows
        ties = [tie for tie in around.ties if tie.one in rows and tie.other in rows]
        return Found(self._candidates(rows, around), records=_Records(rows), ties=ties, covered=self._covered(rows))

    def _covered(self, rows: Rows) -> float:
        said = [(row.score, id) for id, row in rows.items() if row.score is not None]
        if not said:
            return 1.0
        return words.covered(words.asked(self._search.text or "", MOST_WORDS), rows[max(said)[1]].columns[_TEXT])

    def _candidates(self, rows: Rows, around: surroundings.Surroundings) -> list[Candidate]:
        most = _best_score(rows)
        return [
            Candidate(
                id,
                row.columns[_IMPORTANCE],
                row.columns[_DECAY],
                row.similarity,
                None if row.score is None else row.score / most,
                *around.places.get(id, surroundings.NOWHERE),
                text=row.columns[_TEXT],
            )
            for id, row in rows.items()
        ]


def _best_score(rows: Rows) -> float:
    return max((row.score for row in rows.values() if row.score is not None), default=1.0)


def _similarities(vector: Vector | None, stored: Sequence[bytes | None]) -> list[float | None]:
    """The similarity of each stored vector; none for one that is missing or has no direction."""
    if vector is None:
        return [None] * len(stored)
    empty = bytes(4 * len(vector))
    matrix = np.frombuffer(b"".join(bytes(one or empty) for one in stored), "<f4").reshape(len(stored), len(vector))
    cosines: list[float] = (matrix @ vector).tolist()
    return [similarity(c) if any(row) else None for c, row in zip(cosines, matrix, strict=True)]
