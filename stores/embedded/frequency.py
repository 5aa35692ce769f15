"""How many memories have a word: to look for the rare ones of a query, which tell most, and to keep a search short.

BM25 costs a microsecond and a half for each memory that has one of the words, and a word that most memories have says
next to nothing. So words are taken from the rarest on until together they are in a twentieth of the memories.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw

from stores.bounded import Bounded
from stores.policies import most_of_usual

SHARE = 0.05
LEAST = 500
"""How many memories a search may score by their words: a twentieth of those there are, and always this many."""

_REMEMBERED_BYTES, _COUNT_BYTES = 16 << 20, 700
"""What the counts may take, and what one takes beside the expression it is of: a scope may name thousands of owners."""


class Frequency:
    """Counts of memories by word and scope, remembered until the store has grown by a quarter; for any thread.

    Counting a word that most of 10,000 memories have takes 0.5 ms, a rare one 0.03. Words are expressions of the text
    index such as `content : "word"`; a scope is one, too.
    """

    def __init__(self) -> None:
        self._counts: Bounded[tuple[str, str], tuple[int, int]] = Bounded(_REMEMBERED_BYTES)

    @property
    def bytes(self) -> int:
        return self._counts.bytes

    def rarest(self, db: apsw.Connection, scope: str, words: Iterable[str]) -> list[str]:
        """The words to look for among the memories of a scope, the rarest first."""
        size = _size(db)
        counted = sorted((self._count(db, scope, word, size), word) for word in words)
        room = max(LEAST, int(SHARE * self._count(db, scope, "", size)))
        chosen: list[str] = []
        some = False
        for count, word in counted:
            if some and count > room:
                break
            # Also one that no memory had when it was counted: since then one may have come.
            chosen.append(word)
            some = some or count > 0
            room -= count
        return chosen

    def usual(self, db: apsw.Connection, scope: str, words: Sequence[str]) -> set[str]:
        """Those of the words that so many memories of a scope have that they say little."""
        size = _size(db)
        most = most_of_usual(self._count(db, scope, "", size))
        return {word for word in words if self._count(db, scope, word, size) > most}

    def _count(self, db: apsw.Connection, scope: str, asked: str, size: int) -> int:
        known = self._counts.get((scope, asked))
        if known is not None and size <= known[1] * 1.25 + 100:
            return known[0]
        match = f"scope : {scope} AND {asked}" if asked else f"scope : {scope}"
        row = db.execute("SELECT count(*) FROM memory_text WHERE memory_text MATCH ?", (match,)).fetchone()
        assert row is not None
        count = int(row[0])
        self._counts.put((scope, asked), (count, size), _COUNT_BYTES + len(scope) + 4 * len(asked))
        return count


def _size(db: apsw.Connection) -> int:
    newest = db.execute("SELECT max(key) FROM memory").fetchone()
    return int(newest[0] or 0) if newest else 0
