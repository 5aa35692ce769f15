"""Looks for many texts at once in any bytes: files, pages, rows.

A text of 16 bytes and more covers a whole word of 8 bytes wherever it stands, so of the bytes only the aligned words
are looked up (1 ms a MB), in a table of all words that may stand at the beginning of a text's pieces.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from domain.erasure import LEAST

PIECE = 64
"""Long texts are looked for in pieces of so many bytes: files part them."""

_WORD = 8
_BITS = 22
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(64 - _BITS)


class Needles:
    """Texts to look for, by their places in the list: as they are, and as they stand in JSON, also in JSON in JSON."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._pieces: list[tuple[int, bytes]] = []
        self._starts: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for place, text in enumerate(texts):
            for piece in {part for form in _forms(text) for part in _parts(form)}:
                for offset in range(_WORD):
                    word = int.from_bytes(piece[offset : offset + _WORD], "little")
                    self._starts[word].append((len(self._pieces), offset))
                self._pieces.append((place, piece))
        self._table = np.zeros(1 << _BITS, np.bool_)
        self._table[_mixed(np.array(list(self._starts), np.uint64))] = True

    def found(self, data: bytes) -> set[int]:
        """The places of those texts of which the bytes have a piece."""
        if len(data) < LEAST:
            return set()
        there = np.frombuffer(data, "<u8", len(data) // _WORD)
        found: set[int] = set()
        for at in np.flatnonzero(self._table[_mixed(there)]).tolist():
            for number, offset in self._starts.get(int(there[at]), ()):
                place, piece = self._pieces[number]
                start = at * _WORD - offset
                if place not in found and start >= 0 and data.startswith(piece, start):
                    found.add(place)
        return found


def _mixed(there: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    mixed: np.ndarray[tuple[int], np.dtype[np.uint64]] = (there * _MIX) >> _SHIFT
    return mixed


def _forms(text: str) -> Iterator[bytes]:
    once = json.dumps(text, ensure_ascii=False)[1:-1]
    for form in {text, once, json.dumps(once, ensure_ascii=False)[1:-1]}:
        yield form.encode("utf-8", "replace")


def _parts(form: bytes) -> Iterator[bytes]:
    """Its pieces, of which the last may overlap the one before; none of what is too short."""
    if len(form) <= PIECE:
        if len(form) >= LEAST:
            yield form
        return
    for start in range(0, len(form) - PIECE, PIECE):
        yield form[start : start + PIECE]
    yield form[-PIECE:]
