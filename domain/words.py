"""Split texts into the words that are searched for, in any language; pure, and the same for texts and for questions.

Case, accents, full width and ligatures are folded. A word ends where the script or the case changes, and at digits;
parts that belong together are also one word (`userName`, `user_name`, `ADR-0005`, `Wi-Fi`), so is a number with what
stands before it, so that the order of numbers counts (1.2.3, dates, addresses). Scripts without spaces and Hangul are
written as overlapping pairs of characters. A text has two lines of words: the exact ones, and loose ones that stand for
words of which more is there: beginnings and pieces of long words, and single characters.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from domain.function_words import APART, ENGLISH, RUNS

Stem = Callable[[str, str], str]
"""A word without its endings, by the script it is written in (the first word of its letters' Unicode names)."""

_BEGINNING = 5
"""Letters of a loose word: the root of most inflected words of Turkish and Finnish has no more."""

_ROOT = 4
"""Letters of the loose word of a short one, which has endings in a text."""

_INFLECTED = 10
"""Letters that a word with its endings has at the most, whose root is that short."""

_LONG = 12
"""Letters from which on a word may be glued of others, which may begin anywhere."""

_BETWEEN = 4
"""Characters of a run without spaces between two numbers, of which the order still counts."""

_MOST_LETTERS = 64
"""Of a word; what is longer is no word of a language, and is cut."""

_MARKS = "-_./:@\\~+&="
_APOSTROPHES = "'\u2019\u02bc"

_SHARP, _PLUS = "\ue000", "\ue001"
_NAMED = re.compile(r"(?<![\w#+])([A-Za-z])(#|\+\+)(?![\w#+])")
"""Names such as C# and C++, whose mark is a letter of them."""

_SIGN = re.compile(r"(?<=\s)[-+~\u00b1\u2212](?=\d)")
"""What makes of a number another one: it makes no word with what stands before it."""

_ASCII = re.compile(r"[0-9]+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_GAP = re.compile(r"[^\S\n]?[-_./:@\\~+&=#,()]*[^\S\n]?")

_SCRIPTS = {
    "KATAKANA-HIRAGANA": "KATAKANA",
    "IDEOGRAPHIC": "CJK",
    "HALFWIDTH": "KATAKANA",
    "FULLWIDTH": "LATIN",
    "HIRAGANA": "CJK",
    "BOPOMOFO": "CJK",
    "MASCULINE": "LATIN",
    "FEMININE": "LATIN",
    "MICRO": "GREEK",
}
"""Where the first word of a letter's name does not say what it is written with; kana go on after ideographs."""

_PREFIXED = frozenset({"ARABIC", "HEBREW", "SYRIAC", "ETHIOPIC"})
"""Scripts whose words have articles and prepositions before them, one or two letters without a seam."""

_PAIRED = frozenset({"CJK", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE"})
"""Scripts whose words are not set apart, or carry their endings without a seam."""

UNPARTED = (
    "\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\ua960-\ua9df\uaa60-\uaa7f\uac00-\ud7ff\uf900-\ufaff"
    "\uff65-\uffdc\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
"""The characters of these, as a class of a pattern has them."""

_SINGLE = frozenset({"CJK", "HANGUL"})
"""Scripts in which one character may be a word."""

_UNMARKED = frozenset({"LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW", "ARMENIAN"})
"""Scripts whose words are the same without their diacritics and points."""

_ALIKE = str.maketrans(
    {
        "\u0131": "i", "\u00f8": "o", "\u0142": "l", "\u0111": "d", "\u00f0": "d", "\u00fe": "th", "\u00e6": "ae",
        "\u0153": "oe", "\u0640": "", "\u0649": "\u064a", "\u0629": "\u0647", "\u06a9": "\u0643", "\u06cc": "\u064a",
        "\u03c2": "\u03c3",
    }
)  # fmt: skip
"""Letters that are written for each other and have no decomposition."""

_SPELLED = str.maketrans({"\u00e4": "ae", "\u00f6": "oe", "\u00fc": "ue", "\u00e5": "aa", "\u00f8": "oe"})
_SPELLABLE = re.compile("(?!.*(?:\u00e4\u00e4|\u00f6\u00f6)).*[\u00e4\u00f6\u00fc\u00e5\u00f8](?!$|ll$)")
"""Words with letters that are also written as two: Z\u00fcrich, Zuerich. Not at the end, nor before a last ll: most
words that end so have two letters of their own there (blue, Duell). Nor where one is doubled, as in Finnish."""

STOP = frozenset(ENGLISH.split())


class Word(NamedTuple):
    """A word of a text, folded. joined: no space is between it and the one before. near: hardly more is.
    apart: the two are the sides of an address. spelled: the word with two letters for one, if it may be so written."""

    text: str
    script: str
    joined: bool
    near: bool
    apart: bool = False
    spelled: str = ""


class Words(NamedTuple):
    """The words of a text in their order, exact and loose."""

    exact: list[str]
    loose: list[str]


def words(text: str, stem: Stem) -> Words:
    """What a text is found by."""
    exact: list[str] = []
    loose: list[str] = []
    for word in _terms(text):
        _add(word, stem, exact, loose, False)
    return Words(exact, loose)


_CHUNK = re.compile(r"\S+")
_ALONE = r"[^\s\d'A-Za-z]*[A-Za-z][^\s\d]*"
_ALL_ALONE = re.compile(rf"\s*(?:{_ALONE}(?:\s+|$))*")
_IS_ALONE = re.compile(_ALONE)


def pieces(text: str) -> list[str]:
    """The parts of a text that can be split one by one: what makes words with what is behind a blank stays together.
    In plain English each is a word with the marks around it, and most have been seen before."""
    if not text.isascii():
        return [text]
    if _ALL_ALONE.fullmatch(text):
        return text.split()
    found: list[str] = []
    start, before = 0, True
    for chunk in _CHUNK.finditer(text):
        alone = _IS_ALONE.fullmatch(chunk[0]) is not None
        if (alone and before) or not found:
            start = chunk.start()
            found.append(chunk[0])
        else:
            found[-1] = text[start : chunk.end()]
        before = alone
    return found


def telling(text: str, stem: Stem) -> Words:
    """What a question looks for: each word once, without function words where there are others."""
    terms = list(_terms(_SIGN.sub(";", text)))
    exact: list[str] = []
    loose: list[str] = []
    for word in _without_function(terms):
        for part in _cut(word):
            if part == word.text or len(_clusters(part)) > 1:
                _add(word._replace(text=part), stem, exact, loose, True)
            elif word.script in _SINGLE:
                loose.append(part)
    if not exact:
        for word in terms:
            _add(word, stem, exact, loose, True)
    return Words(list(dict.fromkeys(exact)), list(dict.fromkeys(loose)))


def _without_function(terms: Sequence[Word]) -> list[Word]:
    scripts = {word.script for word in terms}
    stop = {script: _function_words(script, [w.text for w in terms if w.script == script]) for script in scripts}
    return [word for word in terms if word.text not in stop[word.script]]


def _cut(word: Word) -> list[str]:
    """The parts of a run between its function words."""
    return [part for part in RUNS[word.script].split(word.text) if part] if word.script in RUNS else [word.text]


def _function_words(script: str, texts: Sequence[str]) -> frozenset[str]:
    """Those of the language that most of these words are function words of; the first one's unless two say another."""
    languages = _FUNCTION.get(script, (frozenset(),))
    counts = [sum(text in language for text in texts) for language in languages]
    best = max(range(len(languages)), key=lambda at: counts[at])
    return languages[best if counts[best] > 1 else 0]


def plain(text: str) -> list[str]:
    """The words of a text as they are written but for case, accents and the like: names are compared by them."""
    return [word.text for word in split(text)]


def _add(word: Word, stem: Stem, exact: list[str], loose: list[str], asking: bool) -> None:
    text, script = word.text, word.script
    if script in _PAIRED:
        letters = _clusters(text)
        exact += map("".join, itertools.pairwise(letters)) if len(letters) > 1 else letters
        if script in _SINGLE:
            loose += letters
        return
    if script == "DIGIT":
        exact.append(text)
        return
    if script == "JOINED":
        exact.append(stem(text, "LATIN"))
        return
    exact.append(stem(text, script))
    if word.spelled:
        exact.append(stem(word.spelled, script))
    loose += _beginnings(text, script, asking)


def _beginnings(text: str, script: str, asking: bool) -> Iterator[str]:
    """The loose words of a word. A short one is asked for by its root too, which a longer one has."""
    size = len(text)
    if script in _PREFIXED:
        yield from (text[start : start + _ROOT] for start in range(min(size - _ROOT + 1, 3)))
        return
    if _ROOT <= size <= (_BEGINNING if asking else _INFLECTED):
        yield text[:_ROOT]
    if size >= _BEGINNING:
        starts = range(size - _BEGINNING + 1) if size >= _LONG else (0,)
        yield from (text[start : start + _BEGINNING] for start in starts)


def _terms(text: str) -> Iterator[Word]:
    """The words, and after each the one that it makes with what stands before it."""
    last: Word | None = None
    before: Word | None = None
    whole: list[str] = []
    for word in split(text):
        yield word
        if before is not None and (pair := _pair(before, word)) is not None:
            yield pair
        if last is not None and before is not None and (numbers := _numbers(last, before, word)) is not None:
            yield numbers
        whole = [*whole, word.text] if word.joined and word.script != "DIGIT" else [word.text]
        if len(whole) > 2:
            yield Word("".join(whole)[:_MOST_LETTERS], "JOINED", False, False)
        last, before = before, word


def _pair(before: Word, word: Word) -> Word | None:
    digits = (before.script == "DIGIT") + (word.script == "DIGIT")
    if not (word.joined or (digits and word.near)):
        return None
    if digits < 2 and not word.joined and (before.text in STOP or word.text in STOP):
        return None
    one, other = before.text, word.text
    if _PAIRED & {before.script, word.script}:  # of a run of these the character beside the number
        one = _clusters(one)[-1] if before.script in _PAIRED else one
        other = _clusters(other)[0] if word.script in _PAIRED else other
        if not digits or _is_kana(one) or _is_kana(other):
            return None
    between = "." if digits == 2 or word.apart else ""
    return Word(f"{one}{between}{other}", "DIGIT" if digits else "JOINED", False, False)


def _numbers(last: Word, before: Word, word: Word) -> Word | None:
    """Two numbers with a word between, so that their order counts: 9 to 17, 3\u67084\u65e5."""
    if not (last.script == word.script == "DIGIT" != before.script and before.near and word.near):
        return None
    if before.script in _PAIRED and len(before.text) > _BETWEEN:
        return None
    return Word(f"{last.text}.{word.text}", "DIGIT", False, False)


def _is_kana(text: str) -> bool:
    """Whether a text is hiragana: after a number they are seldom what is counted."""
    return "\u3041" <= text <= "\u309f"


def split(text: str) -> Iterator[Word]:
    """The words of a text in their order."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("\u00ad", "")  # where a word may be broken
    text = _NAMED.sub(lambda found: found[1] + (_SHARP if found[2] == "#" else _PLUS), text)
    end = 0
    for start, run, script in _runs(text):
        gap = text[end:start]
        joined = end > 0 and _joins(gap, run)
        near = end > 0 and len(gap) <= 5 and _GAP.fullmatch(gap) is not None
        if not (gap and gap[-1] in _APOSTROPHES and len(run) < 3 and joined is False and end > 0 and run in STOP):
            spelled = "" if run.isascii() or script != "LATIN" else _spelled(run)
            yield Word(_folded(run, script)[:_MOST_LETTERS], script, joined, near, "@" in gap, spelled)
        end = start + len(run)


def _joins(gap: str, run: str) -> bool:
    if not gap:
        return True
    if gap in _APOSTROPHES:
        return len(run) > 2
    return len(gap) <= 3 and all(mark in _MARKS for mark in gap)


def _runs(text: str) -> Iterator[tuple[int, str, str]]:
    """Where each word begins, the word as it is written, and its script."""
    if text.isascii():
        for found in _ASCII.finditer(text):
            run = found[0]
            yield found.start(), run, "DIGIT" if run.isdigit() else "LATIN"
        return
    start, script = 0, ""
    for at, char in enumerate(text):
        now = _script(char, script)
        if now != script:
            if script:
                yield from _cased(text, start, at, script)
            start, script = at, now
    if script:
        yield from _cased(text, start, len(text), script)


def _cased(text: str, start: int, end: int, script: str) -> Iterator[tuple[int, str, str]]:
    """A run of one script, ended where capitals begin."""
    run = text[start:end]
    if script == "SYMBOL":
        return
    if script == "LATIN" and not run.islower() and not run.isupper():
        begin = 0
        for at in range(1, len(run)):
            ends = run[at].isupper() and (run[at - 1].islower() or (at + 1 < len(run) and run[at + 1].islower()))
            if ends:
                yield start + begin, run[begin:at], script
                begin = at
        yield start + begin, run[begin:], script
        return
    yield start, run, script


_REMEMBERED = "\u3400"
"""Of which characters it is remembered what script they are of: all before the ideographs, in 1 MB."""


class _Scripts(dict[str, str]):
    """The script of each character: DIGIT, "" for what parts words, MARK for what belongs to the letter before."""

    def __missing__(self, char: str) -> str:
        if "\u3400" <= char <= "\u9fff":
            return "CJK"
        if "\uac00" <= char <= "\ud7a3":
            return "HANGUL"
        found = self._of(char)
        if char < _REMEMBERED:
            self[char] = found
        return found

    def _of(self, char: str) -> str:
        if char in (_SHARP, _PLUS):
            return "MARK"
        category = unicodedata.category(char)
        if category[0] == "N" and unicodedata.digit(char, None) is not None:
            return "DIGIT"
        if category[0] == "M" or category == "Lm":
            return "MARK"
        if category[0] not in "LN" and category != "Co":
            return ""
        name = unicodedata.name(char, "PRIVATE").split()[0]
        return _SCRIPTS.get(name, name)


_scripts = _Scripts()


def _script(char: str, before: str) -> str:
    found = _scripts[char]
    if found == "MARK":
        return before or ("CJK" if char in "\u3005\u3006\u303b" else "")
    return found


def _folded(run: str, script: str) -> str:
    if run.isascii():
        return run.lower()
    if script == "DIGIT":
        return "".join(str(unicodedata.digit(char, "")) for char in run)
    folded = run.casefold()
    if script in _UNMARKED:
        apart = unicodedata.normalize("NFKD", folded)
        folded = "".join(char for char in apart if unicodedata.category(char) != "Mn")
    return folded.translate(_ALIKE)


def _spelled(run: str) -> str:
    run = run.casefold()
    return "" if _SPELLABLE.match(run) is None else _folded(run.translate(_SPELLED), "LATIN")[:_MOST_LETTERS]


def _clusters(text: str) -> list[str]:
    """The characters, each with the marks that belong to it."""
    found: list[str] = []
    for char in text:
        if found and unicodedata.category(char)[0] == "M":
            found[-1] += char
        else:
            found.append(char)
    return found


_FUNCTION = {script: tuple(frozenset(plain(words)) for words in languages) for script, languages in APART.items()}
