"""The words that every engine's index of texts is made of, and is asked for: those of domain.words, stemmed."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Sequence

import snowballstemmer

from domain.words import UNPARTED, Words, pieces, split, telling, words
from stores.policies import LOOSE

_STEMMERS = {
    "LATIN": "porter",
    "CYRILLIC": "russian",
    "GREEK": "greek",
    "DEVANAGARI": "hindi",
    "TAMIL": "tamil",
    "ARMENIAN": "armenian",
}
"""By script, for a text does not say its language: English among the Latin ones; for others loose words stand in."""

_SHORTEST, _LONGEST = 3, 64
"""Words with fewer or more letters are left as they are."""

_stemmers: dict[str, Callable[[str], str]] = {
    script: snowballstemmer.stemmer(name).stemWord for script, name in _STEMMERS.items()
}

_SHORT = 24
"""Characters of a piece of text whose words are remembered."""

MOST = 10_000
"""How many exact words of a query are looked for at the most; of more, the longest."""

_FEW = 64
"""Up to so many exact words of a query its loose ones are looked for, too."""


@functools.lru_cache(50_000)
def stem(word: str, script: str) -> str:
    """A word without its endings; words have 64 letters at the most, so what is remembered takes 15 MB."""
    if script not in _stemmers or not _SHORTEST <= len(word) <= _LONGEST:
        return word
    return _stemmers[script](word)


_BEFORE = (
    "\u0648\u0627\u0644",
    "\u0628\u0627\u0644",
    "\u0643\u0627\u0644",
    "\u0641\u0627\u0644",
    "\u0627\u0644",
    "\u0644\u0644",
    "\u0648",
)
_BEHIND = (
    "\u0647\u0627",
    "\u0627\u0646",
    "\u0627\u062a",
    "\u0648\u0646",
    "\u064a\u0646",
    "\u064a\u0647",
    "\u0647",
    "\u064a",
)


def _arabic(word: str) -> str:
    """Light10 of Larkey, Ballesteros and Connell (2007): Snowball's stems a noun otherwise where it has its article."""
    before = next((one for one in _BEFORE if word.startswith(one) and len(word) - len(one) > 2), "")
    word = word[len(before) :]
    behind = next((one for one in _BEHIND if word.endswith(one) and len(word) - len(one) > 1), "")
    return word[: len(word) - len(behind)]


_stemmers["ARABIC"] = _arabic


def stored(text: str) -> Words:
    """The words that a text is found by, in their order. 8 us for 20 words that have been seen before."""
    exact: list[str] = []
    loose: list[str] = []
    for piece in pieces(text):
        some = _remembered(piece) if len(piece) <= _SHORT else words(piece, stem)
        exact += some.exact
        loose += some.loose
    return Words(exact, loose)


@functools.lru_cache(20_000)
def _remembered(piece: str) -> Words:
    """Of pieces that are short: 10 MB at the most."""
    return words(piece, stem)


@functools.lru_cache(8)
def asked(text: str, most: int = MOST) -> Words:
    """The words that a query looks for, each once. One search asks for them several times."""
    exact, loose = telling(text, stem)
    if len(exact) > most:
        exact = sorted(exact, key=len, reverse=True)[:most]
    return Words(exact, loose if len(exact) <= _FEW else [])


def demanded(text: str, most: int = MOST) -> list[tuple[str, ...]]:
    """The words that another text must have to say all of this one, each in the ways it may be written."""
    spelled = {stem(word.text, word.script): stem(word.spelled, word.script) for word in split(text) if word.spelled}
    others = set(spelled.values())
    exact = (word for word in asked(text, most).exact if word not in others)
    return [(word, spelled[word]) if word in spelled else (word,) for word in exact]


def says(text: str, demanded: Sequence[Sequence[str]]) -> bool:
    """Whether a text has each of these words in one of its ways."""
    there = set(stored(text).exact)
    return not any(there.isdisjoint(ways) for ways in demanded)


def covered(looked_for: Words, text: str) -> float:
    """What share of the words that are looked for a text has. Of those that it has not, its loose ones count LOOSE."""
    there = stored(text)
    exact, loose = (
        len(set(wanted).intersection(found)) / len(wanted) if wanted else 0.0
        for wanted, found in zip(looked_for, there, strict=True)
    )
    return exact + LOOSE * (1 - exact) * loose


_MARKS = "".join(char for char in map(chr, range(0x300, 0x3100)) if unicodedata.category(char)[0] == "M")
"""Which belong to the letter before; words of Python's patterns end at them."""

_SPOT = re.compile(
    rf"\b[A-Za-z](?:#|\+\+)(?![\w#+])|[^\W{UNPARTED}](?:[^\W{UNPARTED}]|(?![{UNPARTED}])[{_MARKS}\u00ad])*"
)
"""A word of a script that parts its words by spaces, or a name such as C#."""

_IS_UNPARTED = re.compile(f"[{UNPARTED}]")

_CHARACTER = re.compile(rf".[{_MARKS}\u1160-\u11ff\uff9e\uff9f]*", re.DOTALL)
"""What is one character when it is composed."""


def spots(looked_for: Words, text: str) -> list[tuple[int, int]]:
    """Where a text has the words that are looked for, from where to where, in order; loose ones if no other."""
    exact, loose = set(looked_for.exact), set(looked_for.loose)
    found = [one.span() for one in _SPOT.finditer(text) if exact.intersection(stored(one[0]).exact)]
    pairs = sorted(filter(_IS_UNPARTED.search, exact), key=len, reverse=True)
    if pairs:  # they overlap
        every = re.compile(f"(?=({'|'.join(map(re.escape, pairs))}))", re.IGNORECASE)
        composed, places = _composed(text)
        there = (one.span(1) for one in every.finditer(composed))
        found = _merged(sorted([*found, *((places[start], places[end]) for start, end in there)]))
    if not found and loose:
        return [one.span() for one in _SPOT.finditer(text) if loose.intersection(stored(one[0]).loose)]
    return found


def _composed(text: str) -> tuple[str, Sequence[int]]:
    """A text as its words are told, full width and half width alike, and where in it each character of that stands."""
    if unicodedata.is_normalized("NFKC", text):
        return text, range(len(text) + 1)
    composed, places = list[str](), list[int]()
    for one in _CHARACTER.finditer(text):
        now = unicodedata.normalize("NFKC", one[0])
        composed.append(now)
        places += [one.start()] * len(now)
    return "".join(composed), [*places, len(text)]


def _merged(spots: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spots:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


_WORD = re.compile(r"\w+")


def without(text: str, taken: set[str]) -> str:
    """A text without those of its words that are among these exact ones; all of it where nothing would be left."""
    left = _WORD.sub(lambda found: "" if _is_among(found[0], taken) else found[0], text)
    return left if _WORD.search(left) else text


def _is_among(word: str, taken: set[str]) -> bool:
    parts = [stem(part.text, part.script) for part in split(word)]
    return bool(parts) and taken.issuperset(parts)
