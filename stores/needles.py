"""Looks for many texts at once in any bytes: files, pages, rows.

A text of 16 bytes and more covers a whole word of 8 bytes wherever it stands, so of the bytes only the aligned words
are looked up (1 ms a MB), in a table of all words that may stand at the beginning of a text's pieces.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from domain.erasure import LEAST

PIECE = 64
"""Long texts are looked for in pieces of so many bytes: files part them."""

_WORD = 8
_BITS = 22
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


class Needles:
    """Texts to look for, by their places in the list: as they are, and as they stand in JSON, also in JSON in JSON."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._runs = {length: _Run(length) for length in _RUNS}
        for place, text in enumerate(texts):
            for piece in {part for form in _forms(text) for part in _parts(form)}:
                length = max(one for one in _RUNS if one * _WORD + _WORD - 1 <= len(piece) or one == 1)
                self._runs[length].add(place, piece)

    def found(self, data: bytes) -> set[int]:
        """The places of those texts of which the bytes have a piece."""
        there = np.frombuffer(data, "<u8", len(data) // _WORD)
        found: set[int] = set()
        for run in self._runs.values():
            run.look(data, there, found)
        return found


_RUNS = (1, 2, 4, 7)
"""How many aligned words in a row a piece covers wherever it stands: 7 those of 64 bytes, one those of 16. Longer runs
are told apart at once, where single words may be common."""


class _Run:
    """Pieces that cover as many words in a row."""

    def __init__(self, length: int) -> None:
        self._length, self._pieces = length, list[tuple[int, bytes]]()
        self._starts: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._table = np.zeros(1 << _BITS, np.bool_)

    def add(self, place: int, piece: bytes) -> None:
        size = self._length * _WORD
        windows = b"".join(piece[offset : offset + size] for offset in range(_WORD))
        for offset, mixed in enumerate(self._mixed(np.frombuffer(windows, "<u8"))[:: self._length].tolist()):
            self._starts[mixed].append((len(self._pieces), offset))
            self._table[mixed >> (64 - _BITS)] = True
        self._pieces.append((place, piece))

    def _mixed(self, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Of each run one number that hardly any other has."""
        count = max(len(words) - self._length + 1, 0)
        mixed = np.zeros(count, np.uint64)
        for number in range(self._length):
            mixed = (mixed ^ words[number : number + count]) * _MIX
            mixed ^= mixed >> _SHIFT
        return mixed * _MIX

    def look(self, data: bytes, there: NDArray[np.uint64], found: set[int]) -> None:
        if not self._pieces:
            return
        mixed = self._mixed(there)
        for at in np.flatnonzero(self._table[mixed >> np.uint64(64 - _BITS)]).tolist():
            for number, offset in self._starts.get(int(mixed[at]), ()):
                place, piece = self._pieces[number]
                start = at * _WORD - offset
                if place not in found and start >= 0 and data.startswith(piece, start):
                    found.add(place)


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
