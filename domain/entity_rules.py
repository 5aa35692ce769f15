"""Rules that find named things in texts, without a model: what has a form of its own, and names that are known.

They would rather miss one than find what is none: a capital letter alone makes no name, code has no handles, and a path
ends in something that files end in. A text is gone through a fixed number of times, in time that grows with its length
alone: patterns begin where a word does and never go back. Nothing is found in or beside what stands for something that
was masked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

from domain import entity_words
from domain.masking import EMAIL
from domain.values import fold
from domain.words import STOP

LOOKED_THROUGH = 20_000
"""How many characters of a text are looked through, the first ones."""

MAX_FOUND = 100
"""How many things are found in one text, the first ones."""

MAX_NAMES = 200
"""How many names of people are looked for in one text."""

MAX_PHRASES = 1_000
"""How many phrases of one text may be names that are known, the first ones."""

_LONGEST = 200
"""Characters of a name that is found."""

HANDLES, EMAILS, URLS, PATHS, QUOTES, PEOPLE, KNOWN = (
    "handles", "emails", "urls", "paths", "quotes", "people", "known"
)  # fmt: skip
ALL = (HANDLES, EMAILS, URLS, PATHS, QUOTES, PEOPLE, KNOWN)
"""What can be switched on. people: names of who takes part, and of whose a memory is. known: entities there are."""


class Named(NamedTuple):
    """A named thing of a text. start, end: where it stands. type: of the entity, "" for what is known. rule: which of
    ALL has found it."""

    start: int
    end: int
    name: str
    type: str
    rule: str


class Person(NamedTuple):
    """Somebody who may be mentioned. names: what they are called; the entity is called by the first. type: of the
    entity. external_id: by which a handle may call them, as by a name."""

    names: Sequence[str]
    type: str
    external_id: str | None = None

    @property
    def entity(self) -> str | None:
        """What the entity is called; None where nobody would write it so."""
        return next((written for name in self.names if (written := as_written(name))), None)

    @property
    def handles(self) -> set[str]:
        return {fold(name) for name in (*self.names, self.external_id) if name is not None}


class _Form(NamedTuple):
    """A rule for what is told by its form. hints: texts that have none of these are not looked at. name: of a match;
    None where it is none after all, "" where no part of it is anything else either. code: also in what is marked so."""

    rule: str
    type: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    name: Callable[[re.Match[str]], str | None]
    code: bool = True


# -- what has a form of its own ------------------------------------------------------------------------------------

_GONE = "\ufffc"
"""Stands where something was masked, or has been found already."""

_END = ".,;:!?*_~'"
_AUTHORITY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]|\.(?=[A-Za-z0-9]))*+(?::[0-9]{1,5})?+")


def _url(match: re.Match[str]) -> str | None:
    """Without what ends a sentence or a bracket around it; none with a user or a password in it."""
    text = match.string
    if match.end() < len(text) and (text[match.end()].isalnum() or text[match.end()] == _GONE):
        return ""
    found = match[0].rstrip(_END)
    for opening, closing in ("()", "[]"):
        more = found.count(closing) - found.count(opening)
        if more > 0:
            found = found[: len(found) - min(more, len(found) - len(found.rstrip(closing)))].rstrip(_END)
    authority = re.split(r"[/?#]", found.partition("://")[2], maxsplit=1)[0]
    return found.rstrip("/") if _AUTHORITY.fullmatch(authority) else ""


_ROOTS = frozenset(entity_words.ROOTS.split())

_ENDINGS = frozenset(entity_words.ENDINGS.split())


def _ends_as_file(last: str) -> bool:
    stem, _, ending = last.rpartition(".")
    return bool(stem) and ending.lower() in _ENDINGS


def _path(match: re.Match[str]) -> str | None:
    """From the root, the home or the folder one is in; or one that ends as files do and is no address of the web."""
    found = match[0].rstrip(".,:;~+-@")
    first, *others = found.split("/")
    if not all(any(one.isalnum() for one in part) for part in others) or not others or not _free(match):
        return None
    if first in ("~", ".", ".."):
        return found
    if not first:
        return found if _ends_as_file(others[-1]) or (others[0] in _ROOTS and len(others) > 1) else None
    return found if _ends_as_file(others[-1]) and "." not in first[1:] else None


def _windows_path(match: re.Match[str]) -> str | None:
    found = match[0].rstrip(".,:;!?'")
    return found if found.count("\\") > 1 or _ends_as_file(found) else None


def _email(match: re.Match[str]) -> str | None:
    return match[0] if _free(match) else None


_NO_HANDLES = frozenset(entity_words.NO_HANDLES.split())


def _handle(match: re.Match[str]) -> str | None:
    word = match[1]
    good = any(one.isalpha() for one in word) and word.lower() not in _NO_HANDLES
    return match[0] if good and _free(match) else None


_NAME_LIKE = re.compile(r"[^\W_][\w&'\u2019+#-]*+")
_SMALL = 3
"""Letters of words that may be small in the middle of a name: of, the, and, de la, von."""


def _quoted(match: re.Match[str]) -> str | None:
    return _capitals(match[1])


def _spaced(match: re.Match[str]) -> str | None:
    """French has blanks within its marks."""
    return _capitals(match[1].strip())


def _capitals(found: str) -> str | None:
    """Two words and more with capitals; between them short ones may have none. Not what is all in capitals."""
    words = found.split(" ")
    if len(words) < 2 or len(words) > 8 or not all(_NAME_LIKE.fullmatch(word) for word in words):
        return None
    if not (words[0][0].isupper() and (words[-1][0].isupper() or words[-1][0].isdigit())):
        return None
    if any(word[0].islower() and len(word) > _SMALL for word in words) or found.upper() == found:
        return None
    return found if sum(word[0].isupper() for word in words) > 1 else None


def _title(match: re.Match[str]) -> str | None:
    """What stands in the marks that are for titles."""
    found = match[1].strip()
    return found if any(one.isalnum() for one in found) else None


def _free(match: re.Match[str]) -> bool:
    """Whether it does not touch what was masked, or found by another rule."""
    text = match.string
    return text[match.start() - 1 : match.start()] != _GONE and text[match.end() : match.end() + 1] != _GONE


_FORMS = (
    _Form(
        URLS, "url", ("://",),
        re.compile(r"(?<![A-Za-z0-9+.-])(?:https?|ftp)://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]++"), _url,
    ),
    _Form(EMAILS, "email", ("@",), EMAIL.pattern, _email),
    _Form(PATHS, "file", (":\\",), re.compile(r"(?<!\w)[A-Za-z]:(?:\\[^\s\\/:*?\"<>|\ufffc]++)++"), _windows_path),
    _Form(
        PATHS, "file", ("/",),
        re.compile(r"(?<![\w/.:~@\\%$&=+<-])(?:~|\.{1,2}+(?=/)|[\w.+-]++)?+(?:/[\w.+@~-]++)++"), _path,
    ),
    _Form(
        HANDLES, "handle", ("@",),
        re.compile(
            r"(?<![\w@./\\:+%&=-])@(\w{2,39}+(?:-\w{1,39}+){0,3}+)(?![\w@/(\[{=]|[.:-]\w)"
            r"(?![^\S\n]*+\n\s*+(?:@|(?:async|class|def|export|fun|func|function|interface|private|public)\b))"
        ), _handle, False,
    ),
    _Form(QUOTES, "thing", ('"',), re.compile(r'"([^"\n\ufffc]{3,80}+)"'), _quoted, False),
    _Form(QUOTES, "thing", ("\u201c",), re.compile("\u201c([^\u201c\u201d\n\ufffc]{3,80}+)\u201d"), _quoted, False),
    _Form(
        QUOTES, "thing", ("\u201e",),
        re.compile("\u201e([^\u201c\u201d\u201e\n\ufffc]{3,80}+)[\u201c\u201d]"), _quoted, False,
    ),
    _Form(QUOTES, "thing", ("\u00ab",), re.compile("\u00ab([^\u00ab\u00bb\n\ufffc]{3,80}+)\u00bb"), _spaced, False),
    _Form(QUOTES, "thing", ("\u300a",), re.compile("\u300a([^\u300a\u300b\n\ufffc]{1,60}+)\u300b"), _title, False),
    _Form(QUOTES, "thing", ("\u300e",), re.compile("\u300e([^\u300e\u300f\n\ufffc]{1,60}+)\u300f"), _title, False),
)  # fmt: skip
"""The first ones first: what one has found is none of the next."""

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}+`", re.DOTALL)


class Text:
    """A text, with what has been found in it so far. masks: what stands for something that was masked."""

    def __init__(self, text: str, masks: Iterable[str] = ()) -> None:
        text = text[:LOOKED_THROUGH]
        for mask in masks:
            text = text.replace(mask, _GONE)
        self._text = text.replace("\0", " ")
        self.found: list[Named] = []
        self._phrases: list[tuple[int, int, str]] = []

    def forms(self) -> None:
        """Finds what has a form of its own."""
        for code in (True, False):
            if not code and "`" in self._text:
                self._text = _CODE.sub(lambda match: _GONE * len(match[0]), self._text)
            for form in _FORMS:
                if form.code is code and any(hint in self._text for hint in form.hints):
                    self._take(form.type, form.rule, self._named(form))

    def _named(self, form: _Form) -> Iterator[tuple[int, int, str]]:
        for match in form.pattern.finditer(self._text):
            name = form.name(match)
            if name is not None:
                yield match.start(), match.end(), name if len(name) <= _LONGEST else ""

    def _take(self, type: str, rule: str, named: Iterable[tuple[int, int, str]]) -> None:
        """Notes what stands at some places, in order, and leaves nothing there to find."""
        parts, at = list[str](), 0
        for start, end, name in named:
            if name:
                self.found.append(Named(start, end, name, type, rule))
            parts += [self._text[at:start], _GONE * (end - start)]
            at = end
        self._text = "".join([*parts, self._text[at:]])

    def people(self, people: Sequence[Person]) -> None:
        """Finds people by their names as they are written, and by handles that call them so."""
        handles = {f"@{handle}": one for one in reversed(people) for handle in one.handles}
        for index, one in enumerate(self.found):
            if one.type == "handle" and (person := handles.get(fold(one.name))) is not None and person.entity:
                self.found[index] = one._replace(name=person.entity, type=person.type)
        for person, name in islice(((one, name) for one in people for name in one.names), MAX_NAMES):
            if (written := as_written(name)) and person.entity:
                self._take(person.type, PEOPLE, list(self._places(written, person.entity)))

    def _places(self, written: str, name: str) -> Iterator[tuple[int, int, str]]:
        start = self._text.find(written)
        while start >= 0:
            end = start + len(written)
            if _stands(self._text, start, end):
                yield start, end, name
            start = self._text.find(written, end)

    def phrases(self) -> list[str]:
        """What may be the name of something known, each once: up to five words, the first of which is not in small
        letters alone."""
        self._phrases = list(islice(self._spans(), MAX_PHRASES))
        return list(dict.fromkeys(phrase for _, _, phrase in self._phrases))

    def _spans(self) -> Iterator[tuple[int, int, str]]:
        """The longest first of those that begin at the same place."""
        text = self._text
        words = [(match.start(), match.end(), match[0]) for match in _WORD.finditer(text)]
        for index, (start, end, word) in enumerate(words):
            if word.islower() and word.isalpha():  # a word as well
                continue
            ends = [] if word.lower() in STOP else [end]
            for (_, before, left), (after, last, right) in pairwise(words[index : index + _WORDS]):
                if not (gap := _GAP.fullmatch(text, before, after)) or (gap[0] == ". " and len(left) > _SHORT):
                    break
                if right not in STOP:
                    ends.append(last)
            for last in reversed(ends):
                if 1 < last - start <= _PHRASE and _stands(text, start, last):
                    yield start, last, text[start:last]

    def known(self, names: Collection[str]) -> None:
        """Finds those of its phrases that are names, the longest ones first."""
        taken, at = list[tuple[int, int, str]](), 0
        for start, end, phrase in self._phrases:
            if start >= at and phrase in names:
                taken.append((start, end, phrase))
                at = end
        self._take("", KNOWN, taken)

    def named(self, rules: Collection[str] = ALL) -> list[Named]:
        """What some rules have found, in the order in which it is told, each once."""
        first: dict[tuple[str, str], Named] = {}
        for one in sorted(self.found):
            if one.rule in rules:
                first.setdefault((one.name, one.type), one)
        return list(islice(first.values(), MAX_FOUND))


# -- names that are known ------------------------------------------------------------------------------------------

_WORDS, _PHRASE = 5, 80
"""Words and characters of the longest names that are known again."""

_WORD = re.compile(r"\w++(?:\+\+|#)?")
_GAP = re.compile(r"[ \-.&'\u2019/+:]| & |\. ")
"""What may stand between two words of a name; a full stop and a blank only behind a short one: Dr. Who."""

_SHORT = 2

_RUNNING = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
"""Scripts whose words are not set apart, or carry their endings without a seam."""


def as_written(name: str) -> str | None:
    """How a person's name stands in texts: a name in small letters has a capital there. None for what is no name: one
    letter, a number, a word of every text, or what nobody would write so."""
    name = " ".join(name.split())
    if len(name) < 2 or len(name) > _PHRASE or name.lower() in STOP or name.lower() in _ROLES:
        return None
    if not any(one.isalpha() for one in name) or not (name[0].isalnum() and name[-1].isalnum()):
        return None
    if name == name.lower() != name.upper():
        return None if re.search(r"[\d_@.]", name) else name.title()
    return name


_ROLES = frozenset(entity_words.ROLES.split())


def _is_letter(one: str) -> bool:
    return one.isalnum() or one == "_" or unicodedata.category(one)[0] == "M" or one == "\u200d"


def _stands(text: str, start: int, end: int) -> bool:
    """Whether words begin and end there, and it is no piece of something longer."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    if before and (before[-1] in _BOUND or (_is_letter(before[-1]) and not _runs(before[-1], text[start]))):
        return False
    if after and (after[0] == _GONE or (_is_letter(after[0]) and not _runs(after[0], text[end - 1]))):
        return False
    return not (_glued(before[::-1]) or _glued(after))


_BOUND = (_GONE, "@", "#", "/", "\\", "$")
_GLUE = ("-", ".", "@", "/", "\\", ":", "#", "=", "&")


def _glued(two: str) -> bool:
    """Whether what is beside a name goes on behind a mark."""
    return len(two) == 2 and two[0] in _GLUE and two[1].isalnum()


def _runs(*letters: str) -> bool:
    return any(_RUNNING.match(one) and unicodedata.category(one)[0] != "M" for one in letters)
