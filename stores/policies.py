"""Policies that every engine shares: retention times, sizes and weights."""

from __future__ import annotations

IDEMPOTENCY_US = 7 * 24 * 3600 * 1_000_000
"""How long an idempotency key is remembered, in microseconds."""

GROUP = 256
"""How many scripts share a transaction at the most: at 128 callers 16 to 28 of them meet in one fsync."""

OVERSAMPLE = 10
LEAST_CANDIDATES = 100
"""Candidates of each side of a search: ten times what is shown, so that the rank over both keeps its true best."""

MOST_WORDS = 64
"""How many words of a query are looked for."""

SHARING = {"messages": 1.0, "sessions": 0.25, "neighbors": 0.5}
"""What each thing that memories share adds to their score."""

SHARED_SHOWN = 10
"""How many of the things that two memories share are told, of each sort."""

REFERENCES_SHOWN = 100
"""How many of the messages that drew on a memory a neighbourhood shows."""
