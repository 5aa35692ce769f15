"""What folds says the same: nothing distinct is ever hidden behind another hit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.folding import said

EMPTY = ["a", "the", "really", "also"]
TELLING = [
    "tea",
    "Tea's",
    "not",
    "he",
    "she",
    "2",
    "3",
    "-5",
    "5",
    "caf\u00e9",
    "cafe",
    "1.2",
    "2.1",
    "ok?",
    "?",
    "\u8336",
    "v2",
]


def of(text: str, **more: Any) -> Any:
    given: dict[str, Any] = {"owner_id": None, "scope": "USER", "valid_from": None, "valid_until": None, **more}
    return said(SimpleNamespace(text=text, **given))  # type: ignore[arg-type]


texts = st.lists(st.sampled_from([*EMPTY, *TELLING]), min_size=1, max_size=6)


@given(texts, texts)
def test_two_fold_only_where_their_telling_words_are_the_same(one: list[str], other: list[str]) -> None:
    def telling(words: list[str]) -> list[str]:
        return [word.casefold() for word in words if word not in EMPTY] or words

    assert (of(" ".join(one)) == of(" ".join(other))) is (telling(one) == telling(other))


@given(texts, st.sampled_from(TELLING), st.integers(0, 6))
def test_one_telling_word_more_never_folds(text: list[str], word: str, at: int) -> None:
    assert of(" ".join(text)) != of(" ".join([*text[:at], word, *text[at:]])) or all(one in EMPTY for one in text)


@pytest.mark.parametrize(
    "other", ["likes  TEA", "Likes tea.", "\u201clikes tea\u201d", "Likes, the tea!", "\uff2cikes tea"]
)
def test_what_folds(other: str) -> None:
    assert of("Likes tea") == of(other)


@pytest.mark.parametrize("more", [{"owner_id": "usr_b"}, {"scope": "AGENT"}, {"valid_from": 1}, {"valid_until": 1}])
def test_what_is_of_others_or_of_another_time_does_not(more: dict[str, Any]) -> None:
    assert of("Likes tea") != of("Likes tea", **more)
