"""What is no Unicode is read with U+FFFD in its place."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.unicode import decoded, mended, read_json, replaced, well_formed

anything = st.text(st.characters(codec=None, exclude_categories=()))
"""Also halves of surrogate pairs."""


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (b"plain \xf0\x9f\x98\x80", "plain 😀"),
        (b"cut \xf0\x9f\x98", "cut \ufffd"),
        (b"\xed\xa0\xbdx\xed\xb8\x80", "\ufffdx\ufffd"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"\xc0\xafx", "\ufffd\ufffdx"),
        (b"\xef\xbf\xbd", "\ufffd"),
    ],
)
def test_bytes(data: bytes, read: str) -> None:
    assert decoded(data) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r'"\ud83d"', "\ufffd"),
        (r'"\uD83Dx\uDE00"', "\ufffdx\ufffd"),
        (r'"\ude00\ud83d"', "\ufffd\ufffd"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (r'"\ud83d\n\ude00"', "\ufffd\n\ufffd"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d"', "\\\ufffd"),
        (r'"\ud7ff\ue000"', "\ud7ff\ue000"),
        (r'{"\udbff": ["\udc00"]}', {"\ufffd": ["\ufffd"]}),
    ],
)
def test_escapes_of_json(text: str, read: object) -> None:
    assert read_json(msgspec.json.decode, text) == read


def test_how_many_are_told() -> None:
    assert replaced('["\ufffd", "a"]'.encode()) == 0
    assert replaced(rb'["\ud83d", "\ud83d\ude00", "' + b'\xf0\x9f\x98", "\xff\xff"]') == 4


def test_what_is_no_json_stays_none() -> None:
    for data in (rb'{"\ud83d"', b"\xff", b'{"a": 1}}'):
        with pytest.raises(msgspec.DecodeError):
            read_json(msgspec.json.decode, data)


@given(anything)
def test_any_text_becomes_one_that_can_be_written(text: str) -> None:
    whole = well_formed(text)
    whole.encode()
    assert whole == text or any("\ud800" <= letter <= "\udfff" for letter in text)


@given(anything, st.booleans())
def test_json_of_any_text_is_read_as_its_halves_are_replaced(text: str, escaped: bool) -> None:
    written = json.dumps({text: text}, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    [(key, value)] = read_json(msgspec.json.decode, written).items()
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    apart = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    assert key == value == (joined if escaped else apart)
    assert mended(mended(written)) == mended(written)
