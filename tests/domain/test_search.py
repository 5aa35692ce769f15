"""Scores and ranks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.node import Id
from domain.search import Candidate, SearchMode, fuse, passes, rank, score, similarity

units = st.floats(0, 1)
maybe = st.none() | st.integers(0, 1_000).map(lambda n: n / 1_000)
candidates = st.lists(
    st.builds(Candidate, st.integers(0, 10**6).map(lambda n: Id(f"mem_{n:07}")), units, units, maybe, maybe),
    max_size=30,
    unique_by=lambda candidate: candidate.id,
)
modes = st.sampled_from(SearchMode)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_similarity_grows_with_the_cosine_from_nothing_to_one(a: float, b: float) -> None:
    assert 0 <= similarity(a) <= 1
    assert similarity(a) <= similarity(b) or a > b
    assert (similarity(-1), similarity(0), similarity(1)) == (0, 0.5, 1)


@given(maybe, maybe, units)
def test_fusion_is_between_its_sides_and_grows_with_each(a: float | None, b: float | None, more: float) -> None:
    fused = fuse(a, b)
    assert min(a or 0, b or 0) - 1e-12 <= fused <= max(a or 0, b or 0) + 1e-12
    assert fuse(max(a or 0, more), b) >= fused
    assert fuse(a, max(b or 0, more)) >= fused


@given(candidates, modes)
def test_a_score_is_relevance_times_importance_times_decay(found: list[Candidate], mode: SearchMode) -> None:
    for one in found:
        value, parts = score(one, mode)
        relevance = {
            SearchMode.SEMANTIC: one.similarity or 0,
            SearchMode.TEXT: one.text_rank or 0,
            SearchMode.HYBRID: fuse(one.similarity, one.text_rank),
        }[mode]
        assert value == pytest.approx(relevance * one.importance * one.decay)
        assert 0 <= value <= 1
        assert (parts.importance, parts.decay) == (one.importance, one.decay)
        assert (parts.similarity, parts.text_rank) == (one.similarity, one.text_rank)
        assert parts.fusion == (relevance if mode is SearchMode.HYBRID else None)


@given(candidates, modes, units, st.integers(0, 12))
def test_the_best_come_first_and_none_that_does_not_pass(
    found: list[Candidate], mode: SearchMode, threshold: float, first: int
) -> None:
    ranked = rank(iter(found), mode, threshold, first)
    passing = [one for one in found if passes(one, mode, threshold)]
    assert len(ranked) == min(first, len(passing))
    keys = [(value, one.id) for one, value, _ in ranked]
    assert keys == sorted(keys, reverse=True)
    left = [one for one in passing if one.id not in {one.id for one, _, _ in ranked}]
    assert not keys or all((score(one, mode)[0], one.id) < keys[-1] for one in left)
    assert rank(found[::-1], mode, threshold, first) == ranked


@given(candidates, units)
def test_what_passes(found: list[Candidate], threshold: float) -> None:
    for one in found:
        near = one.similarity is not None and one.similarity >= threshold
        has_words = one.text_rank is not None
        assert passes(one, SearchMode.SEMANTIC, threshold) is near
        assert passes(one, SearchMode.TEXT, threshold) is has_words
        assert passes(one, SearchMode.HYBRID, threshold) is (near or has_words)


@given(candidates, modes, units, units)
def test_a_lower_threshold_loses_nothing(found: list[Candidate], mode: SearchMode, a: float, b: float) -> None:
    low = {one.id for one, _, _ in rank(found, mode, min(a, b), 100)}
    high = {one.id for one, _, _ in rank(found, mode, max(a, b), 100)}
    assert high <= low
