"""Slices of lists, and cursors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import CursorExpired, ErrorCode, Rejected
from domain.page import DEFAULT_FIRST, MAX_FIRST, Edge, Listing, Page, PageInfo, Slice, before, slice_of

names = st.text(min_size=1, max_size=40)
marks = st.tuples(
    st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=50), st.text(max_size=40)
)
places = st.tuples(st.integers(0, 2**63 - 1))
numbers = st.none() | st.integers(-5, MAX_FIRST + 5)


@given(names, marks)
def test_a_cursor_of_a_list_gives_back_its_mark(name: str, mark: tuple[Any, ...]) -> None:
    listing = Listing(name)
    assert listing.mark(listing.cursor(mark)) == mark


@given(names, names, places)
def test_a_cursor_of_a_log_gives_back_its_place(name: str, epoch: str, mark: tuple[Any, ...]) -> None:
    listing = Listing(name, epoch)
    assert listing.mark(listing.cursor(mark)) == mark


@given(names, names, places)
def test_before_a_line_is_the_place_before_it(name: str, epoch: str, mark: tuple[int]) -> None:
    listing = Listing(name, epoch)
    assert listing.mark(before(listing.cursor(mark))) == (max(0, mark[0] - 1),)


@given(names, marks, marks)
def test_different_marks_have_different_cursors(name: str, a: tuple[Any, ...], b: tuple[Any, ...]) -> None:
    listing = Listing(name)
    same = repr(a) == repr(b)  # 0 and 0.0 are equal, and two marks
    assert (listing.cursor(a) == listing.cursor(b)) is same


@given(names, names, marks)
def test_a_cursor_of_another_list_is_refused(name: str, other: str, mark: tuple[Any, ...]) -> None:
    if name != other:
        with pytest.raises(Rejected) as refused:
            Listing(name).mark(Listing(other).cursor(mark), "before")
        assert [(error.code, error.path) for error in refused.value.errors] == [(ErrorCode.INVALID, ["before"])]


@given(names, places)
def test_a_cursor_of_another_epoch_has_expired(name: str, mark: tuple[Any, ...]) -> None:
    with pytest.raises(CursorExpired):
        Listing(name, "one").mark(Listing(name, "two").cursor(mark))


@given(st.text(max_size=60), st.sampled_from([None, "epoch"]))
def test_any_other_text_is_refused(text: str, epoch: str | None) -> None:
    with pytest.raises(Rejected):
        Listing("list", epoch).mark(text)


@given(st.binary(max_size=40), st.sampled_from([None, "epoch"]))
def test_a_cursor_with_another_ending_is_refused_or_a_mark(ending: bytes, epoch: str | None) -> None:
    listing = Listing("list", epoch)
    try:
        mark = listing.mark(listing.prefix + ending.hex())
    except Rejected:
        return
    assert len(mark) == (2 if epoch is None else 1)
    assert all(isinstance(value, int | float | str) and not isinstance(value, bool) for value in mark)


def test_a_mark_that_is_no_row_of_a_list_is_refused() -> None:
    log, listing = Listing("list", "epoch"), Listing("list")
    places: list[Any] = [(-1,), (2**63,), ("1",), (1.5,), (1, 2), (None,), (True,)]
    for mark in places:
        with pytest.raises(Rejected):
            log.mark(log.cursor(mark))
    for mark in ((1,), (1, 2), (2**63, "x"), (None, "x"), ([1], "x"), (b"x", "x"), (True, "x"), (1, "x", 2)):
        with pytest.raises(Rejected):
            listing.mark(listing.cursor(mark))
    with pytest.raises(Rejected):
        listing.mark(listing.prefix + (b"\x91" * 100_000).hex())


@given(numbers, numbers, st.none() | st.text(), st.none() | st.text())
def test_a_slice_is_what_was_asked_or_a_refusal(
    first: int | None, last: int | None, after: str | None, before: str | None
) -> None:
    fits = all(number is None or 0 <= number <= MAX_FIRST for number in (first, last))
    if fits and (first is None or last is None):
        wanted = slice_of(first, after, last, before)
        limit = first if first is not None else last if last is not None else DEFAULT_FIRST
        assert wanted == Slice(limit, last is not None, after, before)
    else:
        with pytest.raises(Rejected) as refused:
            slice_of(first, after, last, before)
        assert refused.value.errors[0].path in (["first"], ["last"])


def test_a_longer_list_has_a_higher_cap() -> None:
    assert slice_of(1_000, None, None, None, 1_000).limit == 1_000
    with pytest.raises(Rejected, match="between 0 and 1000"):
        slice_of(None, None, 1_001, None, 1_000)


def test_a_page_tells_its_rows_with_their_cursors() -> None:
    listing = Listing("list")
    page = Page(["a", "b"], [(1, "x"), (2, "y")], True, False, listing)
    assert page.edges == [Edge(listing.cursor((1, "x")), "a"), Edge(listing.cursor((2, "y")), "b")]
    assert page.page_info == PageInfo(True, False, page.edges[0].cursor, page.edges[1].cursor)
    assert Page([], [], False, True, listing).page_info == PageInfo(False, True, None, None)
