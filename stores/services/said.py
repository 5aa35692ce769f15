"""Candidates of a search of what was said and of what documents say, from Neo4j's full-text indexes."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import TypeVar

from domain.document import DocumentChunk
from domain.message import Message
from domain.node import Id, Node
from domain.words import Words
from stores import words
from stores.documents import COMPARED, cosines
from stores.policies import OVERSAMPLE
from stores.ports import ChunkSearch, FoundChunks, FoundMessages, MessageSearch
from stores.services.filters import Where, apply, in_document
from stores.services.labels import MESSAGE, Label, label, seek
from stores.services.lucene import MOST_WORDS, any_of, quoted
from stores.services.neo4j_client import Neo4jClient

N = TypeVar("N", bound=Node)

_LEAST, _FARTHEST = 400, 40_000
"""How many of the best by words are looked at; and at the most, where few of them pass the filter."""

CHUNK = label(DocumentChunk)


async def find(graph: Neo4jClient, workspace: str, now: int, search: MessageSearch) -> FoundMessages:
    """See stores.ports.Store.search_messages. now: microseconds since 1970."""
    where = Where()
    where.conditions.append(MESSAGE.live())
    apply(search.filter, Message, where)
    asked = words.asked(search.text, MOST_WORDS)
    scores, messages = await _found(graph, MESSAGE, where, workspace, now, search.limit, asked, search.others)
    ranks = _ranks(messages, scores)
    first = _first(messages, ranks)
    return FoundMessages(messages, ranks, words.covered(asked, first.searched) if first else 1.0)


async def find_chunks(graph: Neo4jClient, workspace: str, now: int, search: ChunkSearch) -> FoundChunks:
    """See stores.ports.Store.search_chunks. now: microseconds since 1970."""
    where = Where()
    where.conditions.append(CHUNK.live())
    in_document(where, search.filter)
    near, waiting = await _near(graph, where, workspace, now, search)
    asked = words.asked(search.text, MOST_WORDS)
    others = heapq.nlargest(search.limit, near, key=lambda one: (near[one], one))
    scores, chunks = await _found(graph, CHUNK, where, workspace, now, search.limit, asked, others)
    ranks = _ranks(chunks, scores)
    first = _first(chunks, ranks)
    covered = words.covered(asked, first.text) if first else 1.0
    return FoundChunks(chunks, ranks, {one.id: near[one.id] for one in chunks if one.id in near}, covered, waiting)


async def _found(
    graph: Neo4jClient,
    of: Label[N],
    where: Where,
    workspace: str,
    now: int,
    count: int,
    asked: Words,
    others: Sequence[Id],
) -> tuple[Mapping[Id, float], list[N]]:
    """The scores of the best by words, and the records of these and of others, as far as the conditions let them."""
    wanted, most = any_of(asked), max(_LEAST, count)
    lucene = f"+workspace:({quoted(workspace)})^0 +{wanted}"
    asking = (_BY_WORDS if wanted else _WITHOUT).format(
        where=where.cypher, lists=of.lists(), label=of.name, index=_INDEXES[of.name]
    )
    while True:
        looked, scores, columns = await graph.read(
            where.given + asking,
            workspace=workspace,
            now=now,
            lucene=lucene,
            most=most,
            count=count,
            others=list(others),
            **where.parameters,
        )
        if looked < most or len(scores) >= count or most >= _FARTHEST:
            return dict(scores), of.records(columns)
        most *= OVERSAMPLE


_INDEXES = {"Message": "message_texts", "DocumentChunk": "document_texts"}

_OTHERS = (
    "CALL (refs) {{ UNWIND $others AS id MATCH (n:{label} {{id: id}}) WHERE {where} RETURN collect(n) AS others }} "
)

_BY_WORDS = (
    "CALL (refs) {{ CALL db.index.fulltext.queryNodes('{index}', $lucene, {{limit: $most}}) "
    "YIELD node AS n, score WITH refs, n, score, ({where}) AS passes "
    "RETURN count(n) AS looked, collect(CASE WHEN passes THEN {{n: n, score: score}} END)[..$count] AS hits }} "
    + _OTHERS
    + "WITH looked, [hit IN hits | [hit.n.id, hit.score]] AS scores, [hit IN hits | hit.n] AS found, others "
    "WITH looked, scores, found + [n IN others WHERE NOT n IN found] AS ns RETURN looked, scores, {lists}"
)

_WITHOUT = _OTHERS + "WITH 0 AS looked, [] AS scores, others AS ns RETURN looked, scores, {lists}"
"""Of a text that has no words."""


async def _near(
    graph: Neo4jClient, where: Where, workspace: str, now: int, search: ChunkSearch
) -> tuple[dict[Id, float], int]:
    """The cosines of the chunks that have a vector; and how many wait for one."""
    if search.vector is None:
        return {}, 0
    vectors, waiting = await graph.read(
        where.given + _VECTORS.format(where=where.cypher),
        workspace=workspace,
        now=now,
        embedder=search.embedder,
        most=COMPARED,
        **where.parameters,
    )
    near = cosines((bytes(vector) for _, vector in vectors), search.vector)
    return {id: cosine for (id, _), cosine in zip(vectors, near, strict=True)}, waiting


_VECTORS = (
    f"CALL (refs) {{{{ MATCH (n:{CHUNK.name}) USING INDEX SEEK n:{CHUNK.name}(workspace, embedder, id) "
    "WHERE n.workspace = $workspace AND n.embedder = $embedder AND n.id IS NOT NULL AND {where} "
    "WITH n ORDER BY n.id DESC LIMIT $most RETURN collect([n.id, n.vector]) AS vectors }} "
    f"CALL (refs) {{{{ {seek(CHUNK.name, 'due_at', '<= $now')} AND {{where}} RETURN count(n) AS waiting }}}} "
    "RETURN vectors, waiting"
)


def _ranks(found: Sequence[Node], scores: Mapping[Id, float]) -> dict[Id, float]:
    best = max(scores.values(), default=1.0)
    return {one.id: scores[one.id] / best for one in found if one.id in scores}


def _first(found: Sequence[N], ranks: Mapping[Id, float]) -> N | None:
    """The best by words."""
    return max((one for one in found if one.id in ranks), key=lambda one: (ranks[one.id], one.id), default=None)
