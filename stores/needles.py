"""Looks for many texts at once in any bytes: files, pages, rows.

A text of 16 bytes and more covers a whole word of 8 bytes wherever it stands, so of the bytes only the aligned words
are looked up (2 ms a MB), in a table of all words that may stand at the beginning of a text's pieces.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

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
        runs = {length: _Run(length) for length in _RUNS}
        for place, text in enumerate(texts):
            for piece in {part for form in _forms(text) for part in _parts(form)}:
                length = max(one for one in _RUNS if one * _WORD + _WORD - 1 <= len(piece) or one == 1)
                runs[length].add(place, piece)
        self._heads = [
            _Head(length, some)
            for length in (1, _HEAD)
            if (some := [run for run in runs.values() if min(run.length, _HEAD) == length and run.pieces])
        ]

    def found(self, data: bytes) -> set[int]:
        """The places of those texts of which the bytes have a piece."""
        there = np.frombuffer(data, "<u8", len(data) // _WORD)
        found: set[int] = set()
        for head in self._heads:
            head.look(data, there, found)
        return found


_RUNS = (1, 2, 4, 7)
"""How many aligned words in a row a piece covers wherever it stands: 7 those of 64 bytes, one those of 16. Longer runs
are told apart at once, where single words may be common."""

_HEAD = 2
"""Of longer runs so many words are looked up everywhere, the others only where these are."""


def _mixed(words: NDArray[np.uint64], at: Any, length: int, before: Any = 0, first: int = 0) -> NDArray[np.uint64]:
    """Of the runs that begin at some words one number each that hardly any other has. before: that of as many words of
    each as `first` says."""
    mixed = before
    for number in range(first, length):
        mixed = (mixed ^ words[at(number)]) * _MIX
        mixed ^= mixed >> _SHIFT
    result: NDArray[np.uint64] = mixed
    return result


class _Run:
    """Pieces that cover as many words in a row."""

    def __init__(self, length: int) -> None:
        self.length, self.pieces = length, list[tuple[int, bytes]]()
        self._starts: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)

    def add(self, place: int, piece: bytes) -> None:
        size = self.length * _WORD
        windows = np.frombuffer(b"".join(piece[offset : offset + size] for offset in range(_WORD)), "<u8")
        mixed = _mixed(windows, lambda number: slice(number, None, self.length), self.length)
        for offset, one in enumerate(mixed.tolist()):
            self._starts[one].append((len(self.pieces), offset))
        self.pieces.append((place, piece))

    def heads(self, length: int) -> NDArray[np.uint64]:
        """The numbers of the first words of all runs."""
        size = length * _WORD
        windows = b"".join(piece[offset : offset + size] for _, piece in self.pieces for offset in range(_WORD))
        return _mixed(np.frombuffer(windows, "<u8"), lambda number: slice(number, None, length), length)

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        """Where all numbers are that runs have."""
        return _table(np.array([*self._starts], np.uint64))

    def look(
        self, data: bytes, there: NDArray[np.uint64], at: NDArray[np.intp], heads: NDArray[np.uint64], found: set[int]
    ) -> None:
        """at: where first words of runs are, which have the numbers `heads`."""
        whole = at <= len(there) - self.length
        at, heads = at[whole], heads[whole]
        mixed = _mixed(there, lambda number: at + number, self.length, heads, min(self.length, _HEAD))
        hits = self._known[_slots(mixed)]
        for start, one in zip((at[hits] * _WORD).tolist(), mixed[hits].tolist(), strict=True):
            for number, offset in self._starts.get(one, ()):
                place, piece = self.pieces[number]
                if place not in found and start >= offset and data.startswith(piece, start - offset):
                    found.add(place)


class _Head:
    """Runs of which as many words are looked up everywhere."""

    def __init__(self, length: int, runs: Sequence[_Run]) -> None:
        self._length, self._runs = length, runs
        self._table = _table(np.concatenate([run.heads(length) for run in runs]))

    def look(self, data: bytes, there: NDArray[np.uint64], found: set[int]) -> None:
        count = max(len(there) - self._length + 1, 0)
        mixed = _mixed(there, lambda number: slice(number, number + count), self._length)
        at = np.flatnonzero(self._table[_slots(mixed)])
        for run in self._runs:
            run.look(data, there, at, mixed[at], found)


def _table(numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
    table = np.zeros(1 << _BITS, np.bool_)
    table[_slots(numbers)] = True
    return table


def _slots(mixed: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Where in a table numbers are."""
    return (mixed * _MIX) >> np.uint64(64 - _BITS)


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
