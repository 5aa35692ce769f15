"""Candidates of a search of what was said, from the text index of messages."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import apsw

from domain.message import Message
from domain.node import Id
from stores import words
from stores.embedded import texts
from stores.embedded.filters import Where, apply
from stores.embedded.frequency import Frequency
from stores.embedded.rows import MESSAGE
from stores.ports import FoundMessages, MessageSearch
from stores.rows import text

LOOKED_AT = 1_000
"""So many messages that have one of the words are ranked, the newest where there are more: 1.5 ms."""


def find(db: apsw.Connection, workspace: int, frequency: Frequency, search: MessageSearch) -> FoundMessages:
    """See stores.ports.Store.search_messages."""
    where = Where(workspace)
    where.add(f"+t.workspace = ?{MESSAGE.live}", workspace)
    apply(search.filter, Message, where)
    asked = words.asked(search.text)
    scores = _by_words(db, frequency.within(db, texts.said(workspace, asked), LOOKED_AT), where)
    best = heapq.nlargest(search.limit, scores.items(), key=itemgetter(1, 0))
    messages = _read(db, where, "key", [key for key, _ in best])
    ranks = {messages[key].id: score / best[0][1] for key, score in best if key in messages}
    others = set(search.others).difference(ranks)
    found = [*messages.values(), *_read(db, where, "id", sorted(others)).values()]
    covered = words.covered(asked, messages[best[0][0]].searched) if best and best[0][0] in messages else 1.0
    return FoundMessages(found, ranks, covered)


def _by_words(db: apsw.Connection, expressions: Sequence[str], where: Where) -> dict[int, float]:
    """BM25 of messages that have any of the words, by their keys."""
    if not expressions:
        return {}
    sql = (
        f"SELECT t.key, {texts.MESSAGE_RANK} FROM message_text CROSS JOIN message t ON t.key = message_text.rowid "
        f"WHERE message_text MATCH ? AND {where.sql} ORDER BY message_text.rowid DESC LIMIT ?"
    )
    found: Iterable[Any] = db.execute(sql, [" OR ".join(expressions), *where.params, LOOKED_AT])
    return dict(found)


def _read(db: apsw.Connection, where: Where, column: str, wanted: Sequence[int] | Sequence[Id]) -> dict[int, Message]:
    """Those of these messages that the conditions let through, by their keys."""
    sql = (
        f"SELECT t.key, {MESSAGE.columns} FROM message t WHERE t.{column} IN (SELECT value FROM json_each(?)) "
        f"AND {where.sql}"
    )
    found: Iterable[Any] = db.execute(sql, [text(list(wanted)), *where.params]) if wanted else ()
    return {key: MESSAGE.decode(row) for key, *row in found}
