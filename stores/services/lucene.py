"""Queries of Neo4j's full-text indexes, whose words are those of stores.words."""

from __future__ import annotations

from collections.abc import Sequence

from domain.words import Words
from stores.policies import LOOSE

CLAUSES = 400
"""Lucene takes 1,024 clauses."""

MOST_WORDS = 600
"""Of these so many are words of the query."""


def any_of(looked_for: Words) -> str:
    """What has any of the words, which are made of letters, digits and dots alone; "" where there are none."""
    exact, loose = looked_for
    parts = [f"words:({' '.join(exact)})"] if exact else []
    if loose:
        parts.append(f"loose:({' '.join(loose)})^{LOOSE}")
    return f"({' '.join(parts)})" if parts else ""


def all_of(demanded: Sequence[Sequence[str]]) -> str:
    """What has all of the words, each in one of its ways; "" where there are none."""
    each = " ".join(f"+({' '.join(ways)})" for ways in demanded)
    return f"words:({each})" if each else ""


def quoted(text: str) -> str:
    """A text as one term."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
