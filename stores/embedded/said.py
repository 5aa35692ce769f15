"""Candidates of a search of what was said and of what documents say, from their text indexes."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import apsw

from domain.document import DocumentChunk
from domain.message import Message
from domain.node import Id, Node
from stores import words
from stores.documents import COMPARED, cosines
from stores.embedded import texts
from stores.embedded.filters import Where, apply, in_document
from stores.embedded.frequency import Frequency
from stores.embedded.rows import MESSAGE, Table, table
from stores.ports import ChunkSearch, FoundChunks, FoundMessages, MessageSearch
from stores.rows import text

N = TypeVar("N", bound=Node)

LOOKED_AT = 1_000
"""So many messages or chunks that have one of the words are ranked, the newest where there are more: 1.5 ms."""

CHUNK = table(DocumentChunk)


def find(db: apsw.Connection, workspace: int, frequency: Frequency, search: MessageSearch) -> FoundMessages:
    """See stores.ports.Store.search_messages."""
    where = _where(MESSAGE, workspace)
    apply(search.filter, Message, where)
    best = _best(db, MESSAGE, frequency, search, where)
    messages = _read(db, MESSAGE, where, "key", list(best))
    ranks = _ranks(messages, best)
    others = set(search.others).difference(ranks)
    found = [*messages.values(), *_read(db, MESSAGE, where, "id", sorted(others)).values()]
    first = messages.get(next(iter(best), 0))
    return FoundMessages(found, ranks, _covered(search.text, first.searched if first else None))


def find_chunks(db: apsw.Connection, workspace: int, frequency: Frequency, search: ChunkSearch) -> FoundChunks:
    """See stores.ports.Store.search_chunks."""
    where = _where(CHUNK, workspace)
    in_document(where, search.filter)
    best = _best(db, CHUNK, frequency, search, where)
    near = _near(db, where, search)
    keys = [*best, *heapq.nlargest(search.limit, near, key=lambda key: (near[key], key))]
    chunks = _read(db, CHUNK, where, "key", list(dict.fromkeys(keys)))
    first = chunks.get(next(iter(best), 0))
    return FoundChunks(
        list(chunks.values()),
        _ranks(chunks, best),
        {one.id: near[key] for key, one in chunks.items() if key in near},
        _covered(search.text, first.text if first else None),
        _waiting(db, where, search),
    )


def _where(of: Table[Any], workspace: int) -> Where:
    where = Where(workspace)
    where.add(f"+t.workspace = ?{of.live}", workspace)
    return where


def _covered(asked: str, found: str | None) -> float:
    return 1.0 if found is None else words.covered(words.asked(asked), found)


def _ranks(found: Mapping[int, Node], best: Mapping[int, float]) -> dict[Id, float]:
    most = max(best.values(), default=1.0)
    return {found[key].id: score / most for key, score in best.items() if key in found}


def _best(
    db: apsw.Connection, of: Table[Any], frequency: Frequency, search: MessageSearch | ChunkSearch, where: Where
) -> dict[int, float]:
    """BM25 of those that have any of the words, by their keys, the best first."""
    asked = texts.said(where.workspace, words.asked(search.text))
    expressions = frequency.within(db, asked, LOOKED_AT)
    if not expressions:
        return {}
    index = f"{of.name}_text"
    sql = (
        f"SELECT t.key, {texts.rank_of(of.name)} FROM {index} CROSS JOIN {of.name} t ON t.key = {index}.rowid "
        f"WHERE {index} MATCH ? AND {where.sql} ORDER BY {index}.rowid DESC LIMIT ?"
    )
    found: Iterable[Any] = db.execute(sql, [" OR ".join(expressions), *where.params, LOOKED_AT])
    return dict(heapq.nlargest(search.limit, found, key=itemgetter(1, 0)))


def _near(db: apsw.Connection, where: Where, search: ChunkSearch) -> dict[int, float]:
    """The cosines of the chunks that have a vector, by their keys."""
    if search.vector is None:
        return {}
    sql = (
        f"SELECT t.key, t.vector FROM document_chunk t WHERE t.workspace = ? AND t.embedder = ? AND {where.sql} "
        "ORDER BY t.id DESC LIMIT ?"
    )
    found: list[Any] = db.execute(sql, [where.workspace, search.embedder, *where.params, COMPARED]).fetchall()
    near = cosines((vector for _, vector in found), search.vector)
    return {key: cosine for (key, _), cosine in zip(found, near, strict=True)}


def _waiting(db: apsw.Connection, where: Where, search: ChunkSearch) -> int:
    if search.vector is None:
        return 0
    sql = f"SELECT count(*) FROM document_chunk t WHERE t.due_at IS NOT NULL AND {where.sql}"
    found: Any = db.execute(sql, where.params).fetchone()
    return int(found[0])


def _read(
    db: apsw.Connection, of: Table[N], where: Where, column: str, wanted: Sequence[int] | Sequence[Id]
) -> dict[int, N]:
    """Those of these records that the conditions let through, by their keys."""
    sql = (
        f"SELECT t.key, {of.columns} FROM {of.name} t WHERE t.{column} IN (SELECT value FROM json_each(?)) "
        f"AND {where.sql}"
    )
    found: Iterable[Any] = db.execute(sql, [text(list(wanted)), *where.params]) if wanted else ()
    return {key: of.decode(row) for key, *row in found}
