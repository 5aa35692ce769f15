"""Policies that every engine shares: retention times, sizes and weights."""

from __future__ import annotations

IDEMPOTENCY_US = 7 * 24 * 3600 * 1_000_000
"""How long an idempotency key is remembered, in microseconds."""

GROUP = 256
"""How many scripts share a transaction at the most: at 128 callers 16 to 28 of them meet in one fsync."""

OVERSAMPLE = 6
LEAST_CANDIDATES = 60
"""Candidates of each side of a search: six times what is shown, so that the rank over both keeps its true best."""

LOOSE = 0.2
"""What a loose word of a text counts, where an exact one counts 1."""

BESIDE = 50
"""Of the best candidates by words and meaning so many are looked at for what stands beside them."""

TIED = 200
DRAWN_BY = 10
"""So many ties of theirs are followed; of what a memory was drawn on by, the newest messages."""

SHARING = {"messages": 1.0, "sessions": 0.25, "neighbors": 0.5}
"""What each thing that memories share adds to their score."""

SHARED_SHOWN = 10
"""How many of the things that two memories share are told, of each sort."""

REFERENCES_SHOWN = 100
"""How many of the messages that drew on a memory a neighbourhood shows."""


def most_of_usual(memories: int) -> int:
    """Of so many memories: words that more than a tenth of them have, and more than 20, say nothing of what a query
    means."""
    return max(20, memories // 10)
