"""What was found where in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

AROUND = 60
"""How many characters of a text are shown before and behind what was found."""

MARK = "**"


def snippet(text: str, words: Sequence[str]) -> str:
    """A piece of a text around the first of these words that it has, in one line, each of them between marks."""
    found = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.IGNORECASE)
    first = found.search(text)
    start, end = (first.start(), first.end()) if first is not None else (0, 0)
    low, high = max(0, start - AROUND), min(len(text), end + AROUND)
    piece = found.sub(lambda one: f"{MARK}{one[0]}{MARK}", text[low:high])
    return " ".join(f"{'…' if low else ''}{piece}{'…' if high < len(text) else ''}".split())
