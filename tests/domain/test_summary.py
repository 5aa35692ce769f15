"""Extractive summaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.summary import sentences, summary


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("One thing. Another?  Yes!", ["One thing.", "Another?", "Yes!"]),
        ("Version 1.2.3 of it is out.", ["Version 1.2.3 of it is out."]),
        ("first line\n\n  second   line", ["first line", "second line"]),
        ("我叫安娜。我住在柏林！你呢？", ["我叫安娜。", "我住在柏林！", "你呢？"]),
        (" \n ", []),
        ("x" * 600, ["x" * 500]),
    ],
)
def test_sentences(text: str, wanted: list[str]) -> None:
    assert sentences(text) == wanted


def test_it_has_what_carries_the_text_and_says_nothing_twice() -> None:
    texts = [
        "Hello there!",
        "The deploy of the billing service failed. The deploy of the billing service failed again.",
        "The billing database was full, so the deploy failed. Weather is nice.",
        "Fine.",
    ]
    found = summary(texts, 2)
    assert "billing" in found
    assert found.count("The deploy of the billing service failed") == 1
    assert "Hello" not in found
    assert "Weather" not in found


@given(st.lists(st.text(max_size=200), max_size=10), st.integers(1, 6), st.integers(50, 400))
def test_it_is_made_of_sentences_of_the_text_in_their_order(texts: list[str], most: int, characters: int) -> None:
    found = summary(texts, most, characters)
    every = list(dict.fromkeys(one for text in texts for one in sentences(text)))
    assert len(found) <= characters
    rest, taken = found, 0
    for sentence in every:
        if taken < most and (rest == sentence or rest.startswith(f"{sentence} ")):
            rest, taken = rest[len(sentence) + 1 :], taken + 1
    assert bool(found) == any(len(one) <= characters for one in every)
