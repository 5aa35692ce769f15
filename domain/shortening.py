"""Shorten long values: keep the beginning and end, and say in between how much is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from domain.unicode import read_json
from domain.values import Json, encode_json

LEAST = 64
"""No text is cut below so many characters: what is still too much then is left out."""

_LEAST_ITEMS = 8


class Fitted(msgspec.Struct, frozen=True):
    """An object that was made to fit: its JSON, and which of its members were shortened or left out."""

    value: Json
    shortened: list[str]
    left_out: list[str]


def shortened(text: str, limit: int) -> str:
    """A text of at most `limit` characters, which are 64 or more."""
    if len(text) <= limit:
        return text
    missing = len(text) - limit + len(_mark(len(text), "characters"))
    mark = _mark(missing, "characters")
    head = (limit - len(mark) + 1) // 2
    tail = limit - len(mark) - head
    return text[:head] + _mark(len(text) - head - tail, "characters") + text[len(text) - tail :]


def one_line(text: str, limit: int) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def fitted(members: Mapping[str, Any], limit: int) -> Fitted:
    """An object as JSON of at most `limit` bytes. The longest texts are shortened, those inside JSON in a text too, so
    that it stays JSON; what is too much without being a text is left out."""
    whole = encode_json(members)
    if len(bytes(whole)) <= limit:
        return Fitted(whole, [], [])
    opened = {name: _opened(value) for name, value in members.items()}
    most = limit
    kept = _cut_each(opened, most)
    low, high = LEAST, most
    while high - low > LEAST:  # the longest that fits, as nearly as it is worth to know
        most = (low + high) // 2
        tried = _cut_each(opened, most)
        if len(msgspec.json.encode(tried)) <= limit:
            low, kept = most, tried
        else:
            high = most
    if low == LEAST:
        kept = _cut_each(opened, LEAST)
    left_out: list[str] = []
    size = len(msgspec.json.encode(kept))
    sizes = {name: len(msgspec.json.encode({name: value})) for name, value in kept.items()} if size > limit else {}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if size <= limit:
            break
        left_out.append(name)
        size -= sizes[name] - 1  # its braces, but for a comma
    gone = set(left_out)
    kept = {name: value for name, value in kept.items() if name not in gone}
    return Fitted(encode_json(kept), [name for name, value in kept.items() if value != members[name]], left_out)


def fitted_json(value: Json, limit: int) -> Json | None:
    """Any JSON in at most `limit` bytes, in the same way; None where that cannot be."""
    whole = fitted({_WHOLE: read_json(msgspec.json.decode, bytes(value))}, limit)
    return None if whole.left_out else encode_json(msgspec.json.decode(bytes(whole.value))[_WHOLE])


_WHOLE = "value"


class _Text(msgspec.Struct, frozen=True):
    """A text that holds JSON, and the value in it."""

    text: str
    value: Any


def _opened(value: Any) -> Any:
    """The value, with what stands as JSON in long texts taken out of them."""
    if isinstance(value, dict):
        return {name: _opened(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_opened(item) for item in value]
    if isinstance(value, str) and len(value) > LEAST and value.lstrip()[:1] in ("{", "["):
        try:
            return _Text(value, read_json(msgspec.json.decode, value))
        except (msgspec.DecodeError, RecursionError):
            return value
    return value


def _cut_each(members: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {name: _cut(item, limit) for name, item in members.items()}


def _cut(value: Any, limit: int) -> Any:
    """The value without texts of more than `limit` characters, and without the middle of what is very long for that."""
    if isinstance(value, _Text):
        if len(value.text) <= limit:
            return value.text
        return msgspec.json.encode(_cut(value.value, limit)).decode()
    if isinstance(value, str):
        return shortened(value, limit)
    if isinstance(value, dict):
        head, missing, tail = _middle(list(value.items()), limit)
        gap: list[Any] = [("…", _mark(missing, "members"))] if missing else []
        return _cut_each(dict([*head, *gap, *tail]), limit)
    if isinstance(value, list):
        head, missing, tail = _middle(value, limit)
        gap = [_mark(missing, "elements")] if missing else []
        return [_cut(item, limit) for item in (*head, *gap, *tail)]
    return value


def _middle(items: list[Any], limit: int) -> tuple[list[Any], int, list[Any]]:
    """The beginning and end of what is very long for that, and how many items are missing between them."""
    half = max(limit, _LEAST_ITEMS) // 2
    if len(items) <= 2 * half:
        return items, 0, []
    return items[:half], len(items) - 2 * half, items[-half:]


def _mark(missing: int, unit: str) -> str:
    return f" … [{missing:,} {unit} left out] … "
