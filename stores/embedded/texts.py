"""The text index: what it keeps of a memory, and how it is asked."""

from __future__ import annotations

from collections.abc import Sequence

from domain.words import Words
from stores import words
from stores.policies import LOOSE

CREATE = """
-- The words of memories, as of stores.words: this tokenizer only parts them at blanks. The scope is a token of the
-- index, so that a common word costs what its owner has.
CREATE VIRTUAL TABLE memory_text USING fts5(
  scope, content, loose, content='', contentless_delete=1, tokenize="ascii tokenchars '.'")
"""

INSERT = "INSERT INTO memory_text (rowid, scope, content, loose) VALUES (?, ?, ?, ?)"

RANK = f"-bm25(memory_text, 0.0, 1.0, {LOOSE})"


def row(workspace: int, key: int, scope: int, text: str) -> tuple[int, str, str, str]:
    """What INSERT takes."""
    exact, loose = words.stored(text)
    return key, f"w{workspace} {scope_token(scope)}", " ".join(exact), " ".join(loose)


def scope_token(scope: int) -> str:
    """The scope as one token of the text index."""
    return f"s{scope}" if scope >= 0 else f"g{-scope}"


def anyone(workspace: int) -> str:
    """The expression that all memories of a workspace match."""
    return f"w{workspace}"


def among(scopes: Sequence[int]) -> str:
    """The expression that the memories of these scopes match."""
    return f"({' OR '.join(map(scope_token, scopes))})"


def has(word: str) -> str:
    """The expression that memories with an exact word match."""
    return f'content : "{word}"'


def asked(looked_for: Words) -> list[str]:
    """The expressions that memories with each of these words match."""
    return [*map(has, looked_for.exact), *(f'loose : "{word}"' for word in looked_for.loose)]
