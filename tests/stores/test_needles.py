"""Looking for many texts at once: found wherever they stand, however long, and nothing else is."""

from __future__ import annotations

import json
import random

import pytest

from stores.needles import Needles

CHANCE = random.Random(4)
TEXTS = ["".join(CHANCE.choices('abcdé \n"€', k=size)) for size in (*range(16, 80), 200, 5000)]


@pytest.mark.parametrize("offset", range(9))
def test_each_is_found_at_any_place(offset: int) -> None:
    needles = Needles(TEXTS)
    for place, text in enumerate(TEXTS):
        for form in (text, json.dumps(text, ensure_ascii=False), json.dumps(json.dumps(text, ensure_ascii=False))):
            if "\\u" not in form:
                assert place in needles.found(b"x" * offset + form.encode() + b"y" * 9)


def test_parts_of_long_ones_are_found_and_nothing_else() -> None:
    needles = Needles([TEXTS[-1], "too short", "this stands nowhere at all"])
    whole = TEXTS[-1].encode()
    assert needles.found(whole[len(whole) // 2 :]) == {0}
    assert needles.found(whole[:30] + b" too short " + b"this stands nowhere at al") == set()
    assert needles.found(b"") == needles.found(b"abc") == Needles([]).found(whole) == set()


def test_common_words_cost_nothing() -> None:
    words = [f"word{number}" for number in range(100)]
    said = [" ".join(CHANCE.choices(words, k=12)) for _ in range(3000)]
    others = "\n".join(" ".join(CHANCE.choices(words, k=12)) for _ in range(20_000)).encode()
    assert Needles(said).found(others) == set()
    assert Needles(said).found(others + said[7].encode()) == {7}
