"""In which written form a text has what is asked. Words are without marks and signs, so that 1/5 and 1.5 are the same
to every index; of the texts that have the words this tells which have them as they are asked for.

A form is what stands between blanks, quotes and brackets, without the marks that end a sentence: 12/11, -5, $15, .env,
C++. Full and half width are alike, and whether a blank is between a number and its unit; raised digits are other ones.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from domain.words import STOP, UNPARTED

OTHERWISE = 0.7
"""What words count that a text has in another form: importance and decay cannot make up for it."""

NEARLY = 0.9
"""What they count where no sign is another: only a blank, the side of a currency, what joins words, or more beside. A
word of letters counts whole there."""

_MOST = 24
"""So many forms of a query are looked for, above all those with numbers and marks."""

_LONGEST = 64
"""Characters of a form, and of what is looked at on each side of its words in a text."""

_TRIES = 64
"""So many places of a text are looked at for one form."""

_LOOKED_AT = 4_000
"""Characters of a text in which forms are looked for."""

_GAP = 4
"""Characters that may be between two words of a form."""

_CURRENCY = "$\u00a2-\u00a5\u0e3f\u20a0-\u20c0"
_UNITS = rf"{_CURRENCY}%\u2030\u00b0"
_OUTSIDE = rf"\s,;!?'\"`|()\[\]{{}}\u2026\u2014\u2018-\u201f\u00ab\u00bb\u2039\u203a\u00bf\u00a1{UNPARTED}"

_FORM = re.compile(rf"(?:[^{_OUTSIDE}]|(?<=\d)(?:[,'\u2019](?=\d)|\s(?=[{_UNITS}]))|(?<=[{_CURRENCY}])\s(?=\d))+")
_BLANK = re.compile(rf"(?<=\d)\s(?=[{_UNITS}])|(?<=[{_CURRENCY}])\s(?=\d)")
_AHEAD = re.compile(rf"^([^\d{_CURRENCY}]?)(\d[\d.,'\u2019]*)([{_CURRENCY}])$")
_JOINT = re.compile(r"(?<=[^\W\d_])[^\w+#]+(?=[^\W\d_])|(?<=[^\W\d_])_+(?=[^\W\d_])")
_WORD = re.compile(r"\d+|[^\W\d_]+")
_OUT = re.compile(f"[{UNPARTED}]")
_FOREIGN = re.compile(rf"(?:(?![\0-\x7f])[{_OUTSIDE}])+")

_MARKS = b"-+/\\@#~%&^=<>$*_"
_SHAPES = bytes(
    ord("a") if code > 127 or chr(code).isalnum() else ord("#" if code in _MARKS else "." if code in b".:" else " ")
    for code in range(256)
)
"""What tells words from marks: a for a letter or digit, # for a mark, a point for one that may end a sentence."""

_LETTER = ord("a")

_ALONE = re.compile(rf"(?<![^\s])(?<![{_CURRENCY}]\s)\w+(?!\s[{_UNITS}])(?![^\s!?])")
"""A word or a number that nothing stands beside, as most do."""

_ALIKE = {ord(dash): "-" for dash in "\u2010\u2011\u2012\u2013\u2212"} | {ord(slash): "/" for slash in "\u2044\u2215"}
_WIDE = re.compile("[\u00b2\u00b3\u00b9\u2070-\u2089\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
"""What is the same as an ASCII letter or digit."""

_ANY = re.compile("")
_OTHER = re.compile("[\u2010-\u2013\u2212\u2044\u2215]")
_RAISED = re.compile("([\u00b2\u00b3\u00b9\u2070-\u209c\u00bc-\u00be\u2150-\u215e])")
_LOWERED = {
    code: str(digit)
    for code in (0xB2, 0xB3, 0xB9, *range(0x2070, 0x208A))
    if (digit := unicodedata.digit(chr(code), None)) is not None
}


class Form(NamedTuple):
    """What is asked for as it is written, its words, and whether these and blanks are all of it."""

    written: str
    words: tuple[str, ...]
    bare: bool


class Forms(NamedTuple):
    """The forms of a query, each once: those with numbers and marks, and those that are one word of letters."""

    marked: tuple[Form, ...]
    plain: tuple[Form, ...]


@functools.lru_cache(8)
def forms(text: str) -> Forms:
    """Those of a query."""
    kept, digits = _folded(text)
    found: dict[str, Form] = {}
    for one in _FORM.finditer(kept):
        written = _trimmed(one[0])
        words = tuple(_WORD.findall(digits[one.start() : one.end()]))
        if words and len(written) <= _LONGEST and written not in STOP:
            found[written] = Form(written, words, words == (written,))
    plain = tuple(form for form in found.values() if form.written.isalpha())
    marked = tuple(form for form in found.values() if not form.written.isalpha())[:_MOST]
    return Forms(marked, plain[: _MOST - len(marked)])


def fits(asked: Forms, texts: Sequence[str]) -> list[float]:
    """What the words of each text count, of which some may stand in other forms than are asked for: 1 where none does.

    40 us for 100 texts that have none of the words beside a mark."""
    looked_at = [text if len(text) <= _LOOKED_AT else text[:_LOOKED_AT] for text in texts]
    found = [1.0] * len(texts)
    for at in _having(asked, looked_at):
        found[at] = _counting(asked, looked_at[at])
    return found


def _having(asked: Forms, texts: Sequence[str]) -> set[int]:
    """The places of the texts that need a closer look: all of them are looked through at once, for most need none."""
    encoded = [(text if text.isascii() else _FOREIGN.sub(" ", text)).encode() for text in texts]
    data = b" ".join([b"", *encoded, b""])
    ends = list(accumulate(len(one) + 1 for one in encoded))
    wide = _WIDE if all(any(map(str.isascii, form.words)) for form in asked.marked) else _ANY
    found = {at for at, text in enumerate(texts) if not text.isascii() and wide.search(text)} if asked.marked else set()
    low = data.lower() if asked.marked else b""
    for form in asked.marked:
        word, place = max(form.words, key=lambda word: (word.isascii(), len(word))).encode(), 0
        while (place := low.find(word, place)) >= 0:
            found.add(at := bisect_left(ends, place))
            place = ends[at]
    if asked.plain:
        words = tuple(form.written for form in asked.plain)
        found.update(bisect_left(ends, place) for place in _beside_marks(data, words))
    return found


def _beside_marks(data: bytes, words: tuple[str, ...]) -> Iterator[int]:
    """Where in texts there are marks with which one of these words begins or ends. Rare bytes are found fastest."""
    shape = data.translate(_SHAPES)
    for rare in (b"#", b" ."):
        place = -1
        while (place := shape.find(rare, place + 1)) >= 0:
            at = place + len(rare) - 1
            before, behind = shape[at - 1] == _LETTER, shape[at + 1] == _LETTER
            if before != behind and (
                _lower(data[at + 1 : at + _LONGEST]).startswith(words)
                if behind
                else _lower(data[max(0, at - _LONGEST) : at]).endswith(words)
            ):
                yield at


def _lower(data: bytes) -> str:
    return data.decode(errors="ignore").lower()


def _counting(asked: Forms, text: str) -> float:
    kept, digits = _folded(text)
    every = [_fit(form, kept, digits) for form in (*asked.marked, *asked.plain) if form.words[-1] in digits]
    worst = min(every, default=1.0)
    return worst if worst == 1.0 else worst * (1 - sum(1 - fit for fit in every) / len(every) / 10)


def _fit(form: Form, kept: str, digits: str) -> float:
    """The best that a text has; 1 where it does not have the words one after another."""
    best = 0.0
    for start, end in _places(form, digits):
        alone = _ALONE.match(kept, start, end + 2) if form.bare and kept.startswith(form.written, start) else None
        if alone is not None and alone.end() == end:
            return 1.0
        fit = _alike(form.written, _around(kept, start, end))
        best = max(best, 1.0 if fit == NEARLY and form.written.isalpha() else fit)
        if best == 1.0:
            break
    return best or 1.0


def _places(form: Form, text: str) -> Iterator[tuple[int, int]]:
    """Where a text has the words of a form, from where to where."""
    first, at = form.words[0], -1
    for _ in range(_TRIES):
        if (at := text.find(first, at + 1)) < 0:
            return
        end = 0 if _goes_on(text[at - 1 : at], first) else _end(form.words, text, at)
        if end:
            yield at, end


def _end(words: tuple[str, ...], text: str, at: int) -> int:
    """Where these words end, of which the first stands there; 0 if others follow."""
    for number, word in enumerate(words):
        start = at
        while number and at < start + _GAP and at < len(text) and not text[at].isalnum():
            at += 1
        if not text.startswith(word, at):
            return 0
        at += len(word)
        if _goes_on(text[at : at + 1], word):
            return 0
    return at


def _goes_on(beside: str, word: str) -> bool:
    """Whether a character beside a word is of the same word."""
    return beside.isdecimal() if word.isdecimal() else beside.isalpha() and _OUT.match(beside) is None


def _around(text: str, start: int, end: int) -> str:
    """The form in which words stand in a text, or the forms."""
    since = max(0, text.rfind(" ", max(0, start - _LONGEST), max(0, start - 1)), start - _LONGEST)
    low, high = start, end
    for one in _FORM.finditer(text, since, end + _LONGEST):
        if one.start() <= start < one.end():
            low = one.start()
        if one.start() < end <= one.end():
            high = one.end()
            break
    return _trimmed(text[low:high])


def _trimmed(form: str) -> str:
    form = form.rstrip(".:")
    form = form[1:-1] if form[:1] == form[-1:] and form[:1] in ("*", "_") else form
    return _BLANK.sub("", form.lstrip(".") if form.startswith("..") else form)


def _alike(written: str, there: str) -> float:
    if there == written:
        return 1.0
    before, same, behind = there.partition(written)
    if same:
        more = [beside for beside in (before, behind) if beside]
        return NEARLY if all(any(map(str.isalnum, beside)) for beside in more) else OTHERWISE
    return NEARLY if _loosely(there) == _loosely(written) else OTHERWISE


def _loosely(form: str) -> str:
    """A form without what hardly tells it from another."""
    return _AHEAD.sub(r"\3\1\2", _JOINT.sub("", form).replace(" ", ""))


def _folded(text: str) -> tuple[str, str]:
    """A text without case, and the same with raised digits as others, character by character."""
    if "**" in text:  # around what is set in bold letters
        text = text.replace("**", "  ")
    if text.isascii():
        text = text.lower()
        return text, text
    parts = _RAISED.split(text) if _RAISED.search(text) else [text]
    parts[::2] = [unicodedata.normalize("NFKC", part).casefold() for part in parts[::2]]
    text = "".join(parts)
    if _OTHER.search(text):
        text = text.translate(_ALIKE)
    return text, text.translate(_LOWERED) if len(parts) > 1 else text
