"""Texts in a form whose order does not depend on how the server compares them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from stores.services.properties import sortable

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
EDGES = ["\ub6ff", "\ub700", "\ub77f", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"]


@given(TEXTS, TEXTS)
def test_the_order_is_that_of_the_code_points_however_it_is_compared(one: str, other: str) -> None:
    for encoding in ("utf-8", "utf-16-be"):
        assert (sortable(one).encode(encoding) < sortable(other).encode(encoding)) == (one < other)


@given(TEXTS, TEXTS)
@example("\U0010ffff", "a")
def test_a_beginning_stays_one(one: str, other: str) -> None:
    assert sortable(one + other).startswith(sortable(one))
    assert sortable(other).startswith(sortable(one)) == other.startswith(one)


def test_at_the_edges() -> None:
    moved = [sortable(edge) for edge in EDGES]
    assert moved == sorted(moved)
    assert len(set(moved)) == len(EDGES)
    assert all(len(one.encode()) <= 4 and max(one) < "\ud800" for one in moved)
