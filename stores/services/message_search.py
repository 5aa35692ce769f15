"""Candidates of a search of what was said, from Neo4j's full-text index of messages."""

from __future__ import annotations

from typing import Any

from domain.message import Message
from domain.node import Id
from domain.words import Words
from stores import words
from stores.policies import OVERSAMPLE
from stores.ports import FoundMessages, MessageSearch
from stores.services.filters import Where, apply
from stores.services.labels import MESSAGE
from stores.services.lucene import MOST_WORDS, any_of, quoted
from stores.services.neo4j_client import Neo4jClient

_LEAST, _FARTHEST = 400, 40_000
"""How many of the best by words are looked at; and at the most, where few of them pass the filter."""


async def find(graph: Neo4jClient, workspace: str, now: int, search: MessageSearch) -> FoundMessages:
    """See stores.ports.Store.search_messages. now: microseconds since 1970."""
    where = Where()
    where.conditions.append(MESSAGE.live())
    apply(search.filter, Message, where)
    asked = words.asked(search.text, MOST_WORDS)
    wanted, most = any_of(asked), max(_LEAST, search.limit)
    lucene = f"+workspace:({quoted(workspace)})^0 +{wanted}"
    while True:
        looked, scores, columns = await graph.read(
            where.given + (_BY_WORDS if wanted else _WITHOUT).format(where=where.cypher, lists=MESSAGE.lists()),
            workspace=workspace,
            now=now,
            lucene=lucene,
            most=most,
            count=search.limit,
            others=list(search.others),
            **where.parameters,
        )
        if looked < most or len(scores) >= search.limit or most >= _FARTHEST:
            return _found(MESSAGE.records(columns), dict(scores), asked)
        most *= OVERSAMPLE


_OTHERS = (
    "CALL (refs) {{ UNWIND $others AS id MATCH (n:Message {{id: id}}) WHERE {where} RETURN collect(n) AS others }} "
)

_BY_WORDS = (
    "CALL (refs) {{ CALL db.index.fulltext.queryNodes('message_texts', $lucene, {{limit: $most}}) "
    "YIELD node AS n, score WITH refs, n, score, ({where}) AS passes "
    "RETURN count(n) AS looked, collect(CASE WHEN passes THEN {{n: n, score: score}} END)[..$count] AS hits }} "
    + _OTHERS
    + "WITH looked, [hit IN hits | [hit.n.id, hit.score]] AS scores, [hit IN hits | hit.n] AS found, others "
    "WITH looked, scores, found + [n IN others WHERE NOT n IN found] AS ns RETURN looked, scores, {lists}"
)

_WITHOUT = _OTHERS + "WITH 0 AS looked, [] AS scores, others AS ns RETURN looked, scores, {lists}"
"""Of a text that has no words."""


def _found(messages: list[Message], scores: dict[Id, Any], asked: Words) -> FoundMessages:
    best = max(scores.values(), default=1.0)
    ranks = {one.id: scores[one.id] / best for one in messages if one.id in scores}
    first = max(messages, key=lambda one: (ranks.get(one.id, 0.0), one.id), default=None)
    return FoundMessages(messages, ranks, words.covered(asked, first.searched) if ranks and first else 1.0)
