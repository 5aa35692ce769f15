"""Keys of generations: the same for what is the same, by RFC 8785."""

from __future__ import annotations

import pytest
from msgspec import Raw

from domain.generation import GenerationKeyInput, canonical, generation_key
from domain.values import decode_json, encode_json

# From RFC 8785: section 3.2.2 and appendix B, and what ECMAScript says of the bounds between its forms.
NUMBERS = [
    ("333333333.33333329", "333333333.3333333"),
    ("1E30", "1e+30"),
    ("4.50", "4.5"),
    ("2e-3", "0.002"),
    ("0.000000000000000000000000001", "1e-27"),
    ("-0.0", "0"),
    ("9007199254740993", "9007199254740992"),
    ("5e-324", "5e-324"),
    ("1e21", "1e+21"),
    ("1e20", "100000000000000000000"),
    ("0.000001", "0.000001"),
    ("1e-7", "1e-7"),
    ("123e-20", "1.23e-18"),
    ("-1.5", "-1.5"),
    ("1.0", "1"),
]


@pytest.mark.parametrize(("given", "written"), NUMBERS)
def test_numbers(given: str, written: str) -> None:
    assert canonical(decode_json(Raw(given.encode()))) == written


def test_members_and_texts() -> None:
    given = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\u00f6": 7}
    names = ['"\\r"', '"1"', '"\x80"', '"\u00f6"', '"\u20ac"', '"\U0001f600"', '"\ufb33"']
    values = [2, 4, 6, 7, 1, 5, 3]
    assert canonical(given) == "{" + ",".join(f"{n}:{v}" for n, v in zip(names, values, strict=True)) + "}"
    text = '\u20ac$\u000f\nA\'B"\\\\"/\x7f'
    assert canonical([text, None, True, False, {}]) == '["\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f",null,true,false,{}]'


def test_what_is_the_same_has_the_same_key() -> None:
    def key(model: str = "m", messages: object = (), **parameters: object) -> str:
        given = encode_json(parameters) if parameters else None
        return generation_key(GenerationKeyInput(model=model, messages=encode_json(messages), parameters=given))

    asked = [{"role": "user", "content": "hi"}]
    assert key(messages=asked, a=1, b=2) == key(messages=[{"content": "hi", "role": "user"}], b=2.0, a=1)
    assert len({key(messages=asked), key("n", asked), key(messages=[]), key(messages=asked, a=1)}) == 4
    assert key(messages=asked) == "22988c8d365d4b8742e9d39433ca23d789d5dd30f99aa2360d7ede9a770150a2"
