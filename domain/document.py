"""Documents: what they say, in pieces that can be found and shown."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

CHARACTERS, OVERLAP = 1_000, 100
"""How long a piece of a document may be, and how much of it stands in the one before, too."""

_ENDS = (re.compile(r"\n\s*\n"), re.compile(r"[.!?\u3002]\s|\n"), re.compile(r"\s"))
"""Where a piece best ends: between paragraphs, else sentences, else words."""


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a document. offset: of its first character in the text."""

    place: int
    offset: int
    text: str


def chunks(text: str, characters: int = CHARACTERS, overlap: int = OVERLAP) -> Iterator[Chunk]:
    """The pieces of a text in order; together they have all of it, and each goes on before the one before ends."""
    place = start = 0
    while start < len(text):
        end = _end(text, start, characters)
        if text[start:end].strip():
            yield Chunk(place, start, text[start:end])
            place += 1
        if end == len(text):
            return
        start = max(start + 1, end - overlap)


def _end(text: str, start: int, characters: int) -> int:
    """Where a piece ends that begins there: in its second half, if that has a good place."""
    most = start + characters
    if most >= len(text):
        return len(text)
    for pattern in _ENDS:
        found = [one.end() for one in pattern.finditer(text, start + characters // 2, most)]
        if found:
            return found[-1]
    return most
