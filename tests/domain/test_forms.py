"""Which texts have what is asked in the form in which it is asked."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.forms import fits, forms

TWINS = [
    ("1/5", "1.5"), ("10:30", "10.30"), ("12/11", "12-11"), ("$15", "\u20ac15"), ("15 \u20ac", "15 $"), ("-5", "5"),
    ("+5", "-5"), ("10\u00b2", "102"), ("C", "C++"), ("C#", "C++"), ("C", "C#"), ("5%", "5"), ("100 %", "100"),
    ("1.2.3", "1-2-3"), ("20 \u00b0C", "20 C"), (".env", "env"), ("@ada", "ada"), ("#1", "1"),
    ("2026-11-30", "2026/11/30"), ("--force", "force"), ("<5", ">5"), ("R&D", "R-D"), ("3:1", "3/1"),
    ("\u00a35", "5 \u00a5"), ("A+", "A-"), ("\u2265 5", "\u22645"), ("$15", "15$"), ("user_name", "user-name"),
    ("5\u2030", "5%"), ("*args", "args"), ("H\u2082O", "H2O"), ("1,5", "1.5"), ("x=1", "x-1"),
]  # fmt: skip


def fit(query: str, text: str) -> float:
    return fits(forms(query), [text])[0]


@pytest.mark.parametrize(("one", "other"), [*TWINS, *(pair[::-1] for pair in TWINS)])
@pytest.mark.parametrize(
    "sentence", ["{}", "It is {}.", "({})", "\u300c{}\u300d\u3067\u3059", "what of {}, then?", "\u201c{}\u201d"]
)
def test_of_twins_that_differ_by_a_mark_the_one_that_is_asked_for_counts_more(
    one: str, other: str, sentence: str
) -> None:
    query = forms(f"where is {one}?")
    mine, twin = fits(query, [sentence.format(one), sentence.format(other)])
    assert (mine, twin < mine) == (1.0, True)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("12/11", "\uff11\uff12/\uff11\uff11"),
        ("12-11", "12\u201311"),
        ("-5", "\u22125 degrees"),
        ("20\u00b0C", "it was 20 \u00b0C"),
        ("20 \u00b0C", "it was 20 \u2103"),
        ("15\u20ac", "15\u00a0\u20ac in all"),
        ("12/11", "\u4f1a\u8bae\u572812/11\u4e3e\u884c"),
        ("5%", "**5%** more"),
        ("env", "*env*"),
        ("ada", "Ada's"),
        ("env", "the env-file, and my.env"),
        ("C++", "Rust, C++, Zig"),
        ("1.2.3", "nothing of that"),
        ("-5", "-5 or 5"),
        ("", "5"),
        ("?!", "5"),
    ],
)
def test_a_text_that_has_it_in_that_form_or_not_at_all_counts_whole(query: str, text: str) -> None:
    assert fit(query, text) == 1.0


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [("$15", "15 $", "\u20ac15"), ("1.2", "1.2.3", "1-2"), ("5", "v5", "-5"), ("3kg", "3 kg", "3/kg")],
)
def test_what_differs_by_no_sign_counts_nearly_whole(query: str, near: str, far: str) -> None:
    assert 1.0 > fit(query, near) > fit(query, far)


parts = st.lists(st.sampled_from(["1", "5", "12", "2026", "ada", "x"]), min_size=1, max_size=4)
marks = st.sampled_from(["-", "+", "/", "@", "#", "~", "%", "&", "^", "=", "<", ">", "\u20ac", "$"])
edges = st.sampled_from(["", "-", "+", "#", "@", "~", "$", "\u00b1"])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """Two written forms of the same words."""
    some = draw(parts)
    one, other = (
        draw(edges) + some[0] + "".join(draw(marks) + part for part in some[1:]) + draw(st.sampled_from(["", "%", "+"]))
        for _ in range(2)
    )
    return one, other


@given(pairs(), st.sampled_from(["{}", "we noted {} there", "({})", "see {}, and Bob's reply: fine."]))
def test_forms_of_the_same_words_are_told_apart(pair: tuple[str, str], sentence: str) -> None:
    one, other = pair
    assume(one != other)
    mine, twin = fits(forms(f"which is {one}"), [sentence.format(one), sentence.format(other)])
    assert (mine, twin < mine) == (1.0, True)


texts = st.lists(
    st.sampled_from(["-5", "5", "env", ".env", "@Ada", "ada", "C++", "c", "1.2", "so", "\u00e9t\u00e9", "\u732b"])
)


@given(texts.map(" ".join), st.lists(texts.map(" ".join), max_size=5))
def test_what_a_text_counts_does_not_depend_on_the_others(query: str, some: list[str]) -> None:
    asked = forms(query)
    together = fits(asked, some)
    assert together == [fits(asked, [text])[0] for text in some]
    assert all(0.5 < one <= 1 for one in together)
