"""How many memories or messages have a word: to look for the rare ones of a query, which tell most, and to keep a
search short.

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
    """Counts of what an index has by word and scope, remembered until the store has grown by a quarter; for any thread.

    Counting a word that most of 10,000 memories have takes 0.5 ms, a rare one 0.03. Words are expressions of the text
    index such as `content : "word"`; a scope is one, too.
    """

    def __init__(self, of: str = "memory") -> None:
        """of: the table of what is indexed."""
        self._of = of
        self._counts: Bounded[tuple[str, str], tuple[int, int]] = Bounded(_REMEMBERED_BYTES)

    @property
    def bytes(self) -> int:
        return self._counts.bytes

    def rarest(self, db: apsw.Connection, scope: str, words: Iterable[str]) -> list[str]:
        """The words to look for among the memories of a scope, the rarest first."""
        size = self._size(db)
        return self._within(db, scope, words, size, max(LEAST, int(SHARE * self._count(db, scope, "", size))))

    def within(self, db: apsw.Connection, words: Iterable[str], room: int) -> list[str]:
        """The rarest of the words, that so many have together, whose expressions say themselves of what scope."""
        return self._within(db, "", words, self._size(db), room)

    def _within(self, db: apsw.Connection, scope: str, words: Iterable[str], size: int, room: int) -> list[str]:
        counted = sorted((self._count(db, scope, word, size), word) for word in words)
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
        size = self._size(db)
        most = most_of_usual(self._count(db, scope, "", size))
        return {word for word in words if self._count(db, scope, word, size) > most}

    def _count(self, db: apsw.Connection, scope: str, asked: str, size: int) -> int:
        known = self._counts.get((scope, asked))
        if known is not None and size <= known[1] * 1.25 + 100:
            return known[0]
        match = " AND ".join([*([f"scope : {scope}"] if scope else []), *([asked] if asked else [])])
        index = f"{self._of}_text"
        row = db.execute(f"SELECT count(*) FROM {index} WHERE {index} MATCH ?", (match,)).fetchone()
        assert row is not None
        count = int(row[0])
        self._counts.put((scope, asked), (count, size), _COUNT_BYTES + len(scope) + 4 * len(asked))
        return count

    def _size(self, db: apsw.Connection) -> int:
        newest = db.execute(f"SELECT max(key) FROM {self._of}").fetchone()
        return int(newest[0] or 0) if newest else 0
