"""Fold what says the same in almost the same words, so that it takes one place among the hits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable

from domain.memory import Memory

_LONGEST = 2_000
"""Characters; longer texts fold only with their equals."""

_EMPTY = frozenset({"a", "an", "the", "that", "very", "really", "just", "also", "so", "please"})
"""Words that change nothing of what is said. Not "not", nor "he": those do."""

_EDGES = re.compile(r"(?<!\S)[\"'(\[\u2018\u201c]+|[\"')\].,;:!\u2019\u201d\u3002\uff0c\uff01\u2026]+(?!\S)")


def said(memory: Memory) -> Hashable:
    """What two memories share that fold: whose they are and when they hold, and their words but for case, spaces, marks
    at the ends of words, and words that change nothing. Signs, numbers, accents and question marks do count."""
    return memory.owner_id, memory.scope, memory.valid_from, memory.valid_until, _core(memory.text)


def _core(text: str) -> str:
    if len(text) > _LONGEST:
        return text
    words = _EDGES.sub("", unicodedata.normalize("NFKC", text)).casefold().split()
    return " ".join([word for word in words if word not in _EMPTY] or words)
