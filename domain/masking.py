"""Masking: secrets and personal data in texts and in JSON are replaced by what they are.

Every pattern begins where a word does and repeats one class of characters at a time, so that a text is gone through
in time that grows with its length alone. Numbers of cards are told by their issuer, their length and their check digit
(ISO/IEC 7812-1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from domain.values import decode_json, encode_json

_DIGITS = re.compile(r"[0-9]")
_JSON = ("{", "[", '"')
"""What a text that is JSON may begin with, beside blanks."""


class Rule(NamedTuple):
    """name: of what is replaced. hints: texts that have none of these are not looked at. replace: what stands for a
    match, the match itself where it is none after all."""

    name: str
    pattern: re.Pattern[str]
    hints: tuple[str, ...] = ()
    replace: Callable[[re.Match[str], str], str] = lambda match, told: told

    def apply(self, text: str, count: Counter[str]) -> str:
        if self.hints and not any(hint in text for hint in self.hints):
            return text
        told = f"[{self.name}]"

        def put(match: re.Match[str]) -> str:
            replaced = self.replace(match, told)
            count[self.name] += replaced.count(told)
            return replaced

        return self.pattern.sub(put, text)


_WORD = r"(?<![A-Za-z0-9_-])"
"""Where a word begins: a token is not looked for inside of another."""


def _secret(pattern: str, *hints: str, group: int = 0) -> Rule:
    """A secret of a known form. Of those that are words too, at least two digits tell the former from the latter."""

    def replace(match: re.Match[str], told: str) -> str:
        found = match[group]
        if len(_DIGITS.findall(found)) < 2 and not group:
            return match[0]
        start, end = match.start(group) - match.start(), match.end(group) - match.start()
        return match[0][:start] + told + match[0][end:]

    return Rule("secret", re.compile(pattern), hints, replace)


_SECRETS = (
    _secret(_WORD + r"(?:sk|rk|pk)[-_][A-Za-z0-9_-]{20,}", "sk-", "sk_", "rk_", "pk_", "rk-", "pk-"),
    _secret(_WORD + r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])", "AKIA", "ASIA", "ABIA", "ACCA"),
    _secret(_WORD + r"(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_"),
    _secret(_WORD + r"(?:glpat|gldt|glrt)-[A-Za-z0-9_-]{20,}", "glpat-", "gldt-", "glrt-"),
    _secret(_WORD + r"AIza[A-Za-z0-9_-]{35}", "AIza"),
    _secret(_WORD + r"ya29\.[A-Za-z0-9_-]{20,}", "ya29."),
    _secret(_WORD + r"xox[abeoprs]-[A-Za-z0-9-]{10,}", "xox"),
    _secret(_WORD + r"xapp-[A-Za-z0-9-]{10,}", "xapp-"),
    _secret(_WORD + r"(?:npm_|hf_|r8_|pul-|dop_v1_|doo_v1_)[A-Za-z0-9]{30,}", "npm_", "hf_", "r8_", "pul-", "_v1_"),
    _secret(_WORD + r"pypi-[A-Za-z0-9_-]{50,}", "pypi-"),
    _secret(_WORD + r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", "SG."),
    _secret(_WORD + r"whsec_[A-Za-z0-9+/=]{16,}", "whsec_"),
    _secret(_WORD + r"gsk_[A-Za-z0-9]{20,}", "gsk_"),
    _secret(_WORD + r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", "eyJ"),
    _secret(r"(?<![A-Za-z])(?:[Bb]earer|[Bb]asic) ([A-Za-z0-9._~+/-]{16,}={0,2})", "earer ", "asic ", group=1),
    _secret(r"://[^\s/:@\"']{0,100}:([^\s/@\"']{1,200})@", "://", group=1),
)


_PRIVATE = Rule(
    "private key",
    re.compile(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|.*)",
        re.DOTALL,
    ),
    ("PRIVATE KEY",),
)

EMAIL = Rule(
    "email",
    re.compile(r"(?<![\w.+%'-])[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])"),
    ("@",),
)

_ISSUERS = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"6011|64[4-9]|65|35[23456789]|62"), (16, 17, 18, 19)),
    (re.compile(r"30[0-5]|3[689]"), (14, 15, 16, 17, 18, 19)),
    (re.compile(r"50[0-9]|5[6-9]|6[0-9]"), (16, 19)),
)
_LENGTHS = range(19, 12, -1)


def _is_card(digits: str) -> bool:
    known = any(begin.match(digits) and len(digits) in lengths for begin, lengths in _ISSUERS)
    return known and len(set(digits)) > 1 and luhn(digits)


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    doubled = (2 * int(one) if place % 2 else int(one) for place, one in enumerate(reversed(digits)))
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


def _cards(match: re.Match[str], told: str) -> str:
    """A run of digits with the numbers of cards in it replaced; one begins and ends where a group of digits does."""
    run, made, at = match[0], list[str](), 0
    places = [index for index, one in enumerate(run) if one.isdigit()]
    index = 0
    while index < len(places):
        start = places[index]
        begins = index == 0 or places[index - 1] < start - 1
        for length in _LENGTHS if begins else ():
            last = index + length - 1
            if last >= len(places) or (last + 1 < len(places) and places[last + 1] == places[last] + 1):
                continue
            if _is_card("".join(run[place] for place in places[index : last + 1])):
                made += [run[at:start], told]
                at, index = places[last] + 1, last
                break
        index += 1
    return "".join([*made, run[at:]])


_CARD = Rule("card", re.compile(r"(?<![\w.,:+-])[0-9](?:[ -]?[0-9]){12,}(?![\w]|[.,][0-9])"), (), _cards)


def _phone(match: re.Match[str], told: str) -> str:
    return told if 8 <= len(_DIGITS.findall(match[0])) <= 15 else match[0]


_PHONE = Rule(
    "phone",
    re.compile(
        r"(?<![\w+.-])(?:\+[1-9](?:[ .()/-]{0,3}[0-9]){7,14}|\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .-][0-9]{4}"
        r"|[2-9][0-9]{2}([-. ])[2-9][0-9]{2}\1[0-9]{4})(?![\w]|[-.][0-9])"
    ),
    (),
    _phone,
)

RULES: dict[str, tuple[Rule, ...]] = {
    "secrets": (_PRIVATE, *_SECRETS),
    "emails": (EMAIL,),
    "cards": (_CARD,),
    "phones": (_PHONE,),
}
PRESETS: dict[str, tuple[str, ...]] = {**{name: (name,) for name in RULES}, "all": tuple(RULES)}
"""What can be switched on, by the names of the rules."""

SECRET_KEYS = frozenset(
    (
        "password", "passwd", "pwd", "passphrase", "secret", "clientsecret", "apikey", "xapikey", "accesskey",
        "secretkey", "secretaccesskey", "awssecretaccesskey", "privatekey", "accesstoken", "refreshtoken", "idtoken",
        "authtoken", "bearertoken", "sessiontoken", "authorization", "proxyauthorization", "cookie", "setcookie",
        "credentials", "connectionstring",
    )
)  # fmt: skip
"""Members of JSON objects whose values are secrets, in lower case and without - and _."""


def _same(new: Sequence[Any], old: Sequence[Any]) -> bool:
    return all(one is other for one, other in zip(new, old, strict=True))


def _apart(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Members by their names; those that are called the same now are numbered, so that none is lost."""
    members = dict[str, Any]()
    times = Counter[str]()
    taken = {name for name, _ in pairs}
    for name, member in pairs:
        own = name
        while own in members:
            times[name] += 1
            if (own := f"{name} {times[name] + 1}") in taken:
                own = name
        members[own] = member
    return members


class Masks:
    """What is masked. keys: names of members whose values are, beside those of the rules."""

    def __init__(self, rules: Sequence[Rule], keys: frozenset[str] = frozenset()) -> None:
        self.rules = tuple(rules)
        self.keys = frozenset(_folded(key) for key in keys) | (SECRET_KEYS if _PRIVATE in rules else frozenset())

    @property
    def marks(self) -> frozenset[str]:
        """What stands for what was masked."""
        return frozenset((_HIDDEN, *(f"[{rule.name}]" for rule in self.rules)))

    def text(self, text: str, count: Counter[str]) -> str:
        for rule in self.rules:
            text = rule.apply(text, count)
        return text

    def json(self, value: Raw, count: Counter[str]) -> Raw:
        """JSON with what is in its texts masked, and the values of secret members; numbers stay."""
        found = [decode_json(value)]
        return encode_json(found[0]) if self._walk(found, count) else value

    def _walk(self, found: list[Any], count: Counter[str]) -> bool:
        """Masks what is in JSON that was decoded, in place, however deep it is; whether there was anything."""
        changed, left = False, list[Any]([found])
        while left:
            inside = left.pop()
            pairs = inside.items() if isinstance(inside, dict) else enumerate(inside)
            masked = [self._member(name, member, count) for name, member in pairs]
            left += [member for _, member in masked if isinstance(member, dict | list)]
            if isinstance(inside, dict):
                if any(
                    new[0] != old[0] or new[1] is not old[1] for new, old in zip(masked, inside.items(), strict=True)
                ):
                    changed = True
                    inside.clear()
                    inside.update(_apart(masked))
            elif not _same(items := [member for _, member in masked], inside):
                changed = True
                inside[:] = items
        return changed

    def _member(self, name: str | int, member: Any, count: Counter[str]) -> tuple[Any, Any]:
        """A member of an object or a list, but for what is in one that is an object or a list itself."""
        if isinstance(name, str):
            member = self._hide(member, count) if self._is_secret(name) else member
            name = self.text(name, count)
        return name, self._told(member, count) if isinstance(member, str) else member

    def _hide(self, member: Any, count: Counter[str]) -> Any:
        """The value of a secret member, or those in a list, as headers have them. An object is looked into as any other
        is: it may say what a password must be like."""
        if isinstance(member, list):
            items = [self._hide(one, count) for one in member]
            return member if _same(items, member) else items
        if member in (None, "", _HIDDEN) or isinstance(member, bool | dict):
            return member
        count["secret"] += 1
        return _HIDDEN

    def _told(self, text: str, count: Counter[str]) -> str:
        """A text, which may be JSON itself, masked; the same one where nothing in it is."""
        nested = self._nested(text, count) if text.lstrip()[:1] in _JSON else None
        masked = self.text(text, count) if nested is None else nested
        return text if masked == text else masked

    def _nested(self, text: str, count: Counter[str]) -> str | None:
        """A text that is JSON itself, masked as such; None where it is none."""
        try:
            found = [msgspec.json.decode(text)]
        except (msgspec.DecodeError, RecursionError):
            return None
        return msgspec.json.encode(found[0]).decode() if self._walk(found, count) else text

    def _is_secret(self, name: str) -> bool:
        folded = _folded(name)
        return folded in self.keys or _folded(name.rpartition(".")[2]) in self.keys

    def value(self, value: Any, count: Counter[str]) -> Any:
        """Any value of a record's field: texts, JSON, and lists and structs of such; ids and numbers stay."""
        if isinstance(value, str):
            return self._told(value, count)
        if isinstance(value, Raw):
            return self.json(value, count)
        if isinstance(value, list):
            items = [self.value(one, count) for one in value]
            return value if _same(items, value) else items
        if isinstance(value, msgspec.Struct):
            changed = {
                name: new
                for name in value.__struct_fields__
                if name not in _NAMING and (new := self.value(old := getattr(value, name), count)) is not old
            }
            return msgspec.structs.replace(value, **changed) if changed else value
        return value


_HIDDEN = "[secret]"
_NAMING = frozenset({"blob_id", "call_id", "memory_id", "session_id", "message_id", "id", "media_type"})
"""Fields of the parts of messages by which others are found."""


def _folded(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


MAX_WORK = 10_000
"""How many ways to match, from one place of a text, a pattern of one's own may have."""


def own(name: str, pattern: str) -> Rule:
    """A rule of one's own. Raises ValueError, with a sentence, for a pattern that may take long: its repetitions must
    be bounded, and there must be no more than MAX_WORK ways to match from one place."""
    try:
        compiled = re.compile(pattern)
        parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is no pattern: {error}") from None
    if _work(parsed) > MAX_WORK:
        raise ValueError(f"may take long: there are more than {MAX_WORK:,} ways to match from one place")
    if compiled.fullmatch(""):
        raise ValueError("fits a text without a character")
    return Rule(name, compiled)


def _work(parsed: Any) -> int:
    """How many ways there may be at the most to match from one place; some more than MAX_WORK where they are more."""
    work = 1
    for op, argument in parsed:
        match str(op):
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                work *= _repeated(*argument)
            case "SUBPATTERN":
                work *= _work(argument[-1])
            case "BRANCH":
                work *= sum(map(_work, argument[1]))
            case "ASSERT" | "ASSERT_NOT":
                work *= _work(argument[1])
            case "GROUPREF" | "GROUPREF_EXISTS" | "GROUPREF_IGNORE":
                raise ValueError("refers to a group")
        if work > MAX_WORK:
            return MAX_WORK + 1
    return work


def _repeated(least: int, most: int, inside: Any) -> int:
    if most > MAX_WORK:
        raise ValueError("repeats without a bound: give each repetition one, such as {1,50}")
    each, total = _work(inside), 0
    for times in range(least, most + 1):
        total += each ** min(times, MAX_WORK.bit_length())
        if total > MAX_WORK:
            break
    return total
