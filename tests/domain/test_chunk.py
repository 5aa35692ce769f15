"""Where sessions are cut into chunks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chunk import ChunkStrategy, Cutting, Piece, cuts

START = datetime(2026, 3, 1, tzinfo=UTC)


def pieces(*minutes: float, characters: int = 10, answers: frozenset[int] = frozenset()) -> list[Piece]:
    return [
        Piece(START + timedelta(minutes=at), characters, index in answers, 0.2 if index % 5 == 0 else 0.9)
        for index, at in enumerate(minutes)
    ]


@pytest.mark.parametrize(
    ("of", "strategy", "bounds", "wanted"),
    [
        ([], "SIZE", Cutting(), []),
        (pieces(0, 1, 2), "SIZE", Cutting(), [(0, 3, "END")]),
        (pieces(0, 1, 2, 3, 4), "SIZE", Cutting(max_messages=2), [(0, 2, "SIZE"), (2, 4, "SIZE"), (4, 5, "END")]),
        (pieces(0, 1, 90, 91), "SIZE", Cutting(), [(0, 2, "TIME_GAP"), (2, 4, "END")]),
        (pieces(0, 1, 2, characters=60), "SIZE", Cutting(max_characters=120), [(0, 2, "SIZE"), (2, 3, "END")]),
        (pieces(0, 1, characters=999), "SIZE", Cutting(max_characters=100), [(0, 1, "SIZE"), (1, 2, "END")]),
        (pieces(*range(7)), "TOPIC", Cutting(), [(0, 5, "TOPIC"), (5, 7, "END")]),
        (pieces(*range(7)), "SIZE", Cutting(), [(0, 7, "END")]),
        (pieces(*range(7)), "TOPIC", Cutting(min_messages=6), [(0, 7, "END")]),
        (pieces(0, 90, 180, answers=frozenset({1})), "SIZE", Cutting(), [(0, 2, "TIME_GAP"), (2, 3, "END")]),
    ],
)
def test_a_chunk_ends(of: list[Piece], strategy: str, bounds: Cutting, wanted: list[tuple[int, int, str]]) -> None:
    assert list(cuts(of, ChunkStrategy(strategy), bounds)) == wanted


@given(
    st.lists(st.tuples(st.integers(0, 7200), st.integers(0, 500), st.booleans(), st.floats(0, 1)), max_size=60),
    st.sampled_from(ChunkStrategy),
    st.integers(1, 10),
    st.integers(100, 2000),
    st.integers(1, 5),
)
def test_chunks_cover_all_messages_once(
    told: list[tuple[int, int, bool, float]], strategy: ChunkStrategy, most: int, characters: int, least: int
) -> None:
    """In order, none longer than it may be, and the same however often it is done; more messages change the last one
    alone."""
    at, of = START, []
    for gap, length, answers, alike in told:
        at += timedelta(seconds=gap)
        of.append(Piece(at, length, answers, alike))
    bounds = Cutting(max_messages=most, max_characters=characters, min_messages=least)
    found = list(cuts(of, strategy, bounds))
    assert [place for cut in found for place in range(cut.start, cut.end)] == list(range(len(of)))
    assert all(0 < cut.end - cut.start <= most for cut in found)
    assert [cut.reason for cut in found if cut.reason == "END"] == ["END"] * bool(of)
    shorter = list(cuts(of[:-1], strategy, bounds))
    assert found[: len(shorter) - 1] == shorter[:-1]
