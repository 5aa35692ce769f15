"""How hits are ranked."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.link import MemoryLinkKind
from domain.node import Id
from domain.ranking import INFLUENCE, Asked, Weights, passes, rank, weighed
from domain.search import Candidate, Ranking, SearchMode, Tie, similarity

NOW = datetime(2026, 3, 4, tzinfo=UTC)
IDS = [Id(f"mem_{number:03}") for number in range(12)]
OSLO, AKER = Id("ent_oslo"), Id("ent_aker")
units = st.integers(0, 1_000).map(lambda n: n / 1_000)
sessions = st.sampled_from([None, Id("ses_a"), Id("ses_b")])
maybe = st.none() | units


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    ids = draw(st.lists(st.sampled_from(IDS), unique=True, max_size=len(IDS)))
    return [
        Candidate(
            id,
            draw(units),
            draw(units),
            draw(maybe),
            draw(maybe.filter(lambda rank: rank != 0)),
            NOW,
            draw(st.booleans()),
            session := draw(sessions),
            None if session is None else draw(st.integers(1, 6)),
            None if session is None else draw(st.none() | st.integers(1, 6)),
            draw(st.sampled_from([(), ("Ada",), ("Bob", "Ada"), ("Grace Hopper",)])),
            draw(st.sampled_from([(), (OSLO,), (OSLO, AKER), (AKER,)])),
            draw(st.sampled_from([None, "tea at 10.30", "tea at 10:30", "#tea"])),
        )
        for id in ids
    ]


ties = st.lists(
    st.builds(Tie, st.sampled_from(IDS), st.sampled_from(IDS), st.none() | st.sampled_from(MemoryLinkKind), units),
    max_size=6,
)
questions = st.builds(
    Asked,
    st.sampled_from(SearchMode),
    units,
    st.integers(0, 12),
    st.none() | st.sampled_from(Ranking),
    st.sampled_from([None, "tea", "what did Ada say in May 2025?", "tea at 10:30"]),
    st.just(NOW),
    st.floats(-1, 0.9),
    units,
    st.floats(-1, 1),
    st.sampled_from([frozenset(), frozenset({OSLO})]),
)


def whole(asked: Asked) -> Asked:
    return msgspec.structs.replace(asked, first=100)


@given(candidates(), ties, questions)
def test_the_order_is_total_and_the_same_whatever_the_order_of_what_was_found(
    found: list[Candidate], tied: list[Tie], asked: Asked
) -> None:
    ranked = rank(found, asked, tied)
    assert rank(found[::-1], asked, tied[::-1]) == ranked
    keys = [(hit.score, hit.candidate.id) for hit in ranked]
    assert keys == sorted(keys, reverse=True)
    assert rank(found, whole(asked), tied)[: asked.first] == ranked


SURE = [Candidate(id, 1.0, 1.0, 1.0, 1.0, NOW, True, Id("ses_a"), place, None, ()) for place, id in enumerate(IDS[:3])]
"""A run of messages that are as like as can be, by their words and by their meaning."""


@example(SURE, [], Asked(SearchMode.HYBRID, 0.0, 3, None, None, NOW))
@given(candidates(), ties, questions)
def test_scores_and_parts_are_between_0_and_1(found: list[Candidate], tied: list[Tie], asked: Asked) -> None:
    for hit in rank(found, asked, tied):
        assert 0 <= hit.score <= 1
        assert all(0 <= part <= 1 + 1e-9 for part in msgspec.structs.astuple(hit.parts) if part is not None)


@given(candidates(), ties, questions, st.data())
def test_more_evidence_never_lowers_a_score(
    found: list[Candidate], tied: list[Tie], asked: Asked, data: st.DataObject
) -> None:
    ranked = {hit.candidate.id: hit.score for hit in rank(found, whole(asked), tied)}
    if not ranked:
        return
    chosen = data.draw(st.sampled_from(sorted(ranked)))
    before = next(one for one in found if one.id == chosen)
    change = data.draw(
        st.sampled_from(["text_rank", "similarity", "importance", "decay", "link", "statement"]), label="evidence"
    )
    more, links = before, list(tied)
    if change == "link":
        links.append(Tie(chosen, data.draw(st.sampled_from(sorted(ranked))), MemoryLinkKind.SUPPORTS, 1.0))
        if links[-1].other == chosen:
            return
    elif change == "statement":
        more = msgspec.structs.replace(before, asks=False)
        if any(one.place is not None and one.id != chosen and before.asks for one in found):
            return  # then it is no more the question that another one answers, which is evidence for that one
    else:
        least = getattr(before, change) or 0.0
        more = msgspec.structs.replace(before, **{change: data.draw(st.floats(least, 1))})
    after = {
        hit.candidate.id: hit.score
        for hit in rank([more if one.id == chosen else one for one in found], whole(asked), links)
    }
    assert after[chosen] >= ranked[chosen] - 1e-9


@given(candidates(), ties, questions, units)
def test_a_lower_threshold_loses_nothing(found: list[Candidate], tied: list[Tie], asked: Asked, lower: float) -> None:
    if asked.mode is SearchMode.HYBRID:
        tied, found = (
            [],
            [msgspec.structs.replace(one, session_id=None, place=None, people=(), entities=()) for one in found],
        )
    high = {hit.candidate.id for hit in rank(found, whole(asked), tied)}
    low = msgspec.structs.replace(whole(asked), threshold=min(lower, asked.threshold))
    assert high <= {hit.candidate.id for hit in rank(found, low, tied)}


@given(units, units, units, units)
def test_importance_and_decay_only_order_what_is_about_equally_relevant(
    better: float, worse: float, light: float, heavy: float
) -> None:
    if better * (1 - INFLUENCE) > worse:
        assert weighed(better, light, INFLUENCE) >= weighed(worse, heavy, INFLUENCE)
    assert weighed(better, light, 1.0) == pytest.approx(better * light)
    assert weighed(better, max(light, heavy), INFLUENCE) >= weighed(better, min(light, heavy), INFLUENCE)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_similarity_grows_with_the_cosine_from_nothing_to_one(a: float, b: float) -> None:
    assert 0 <= similarity(a) <= 1
    assert similarity(a) <= similarity(b) or a > b
    assert (similarity(-1), similarity(0), similarity(1)) == (0, 0.5, 1)


def asked(text: str = "tea", **more: object) -> Asked:
    return msgspec.structs.replace(Asked(SearchMode.HYBRID, 0.5, 10, None, text, NOW), **more)


def one(number: int, rank: float | None = None, cosine: float | None = None, **more: object) -> Candidate:
    alike = None if cosine is None else similarity(cosine)
    return msgspec.structs.replace(Candidate(IDS[number], 0.5, 1.0, alike, rank), **more)


def order(found: list[Candidate], asked: Asked, tied: list[Tie] | None = None) -> list[int]:
    return [IDS.index(hit.candidate.id) for hit in rank(found, asked, tied or [])]


def test_what_has_the_words_comes_before_what_is_only_important() -> None:
    found = [one(0, 1.0, 0.1, importance=0.1), *(one(n, None, 0.3, importance=1.0) for n in range(1, 9))]
    assert order(found, asked())[0] == 0
    assert order(found, asked(ranking=Ranking.PRODUCT))[0] != 0


def test_what_is_equally_relevant_is_ordered_by_importance() -> None:
    assert order([one(0, 1.0, importance=0.3), one(1, 1.0, importance=0.9)], asked()) == [1, 0]
    assert order([one(0, 1.0, importance=0.3), one(1, 0.97, importance=0.9)], asked()) == [1, 0]


def test_a_query_that_nothing_speaks_of_finds_nothing() -> None:
    strangers = [one(n, None, 0.02 * n, session_id=Id("ses_a"), place=n) for n in range(10)]
    assert order(strangers, asked()) == []
    assert order([*strangers, one(11, None, 0.4)], asked()) == [11]
    assert len(order(strangers, asked(threshold=0.0))) == 10, "a threshold of 0 asks for whatever is nearest"


def test_the_reply_to_a_question_is_found_though_it_says_nothing_of_it() -> None:
    at = {"session_id": Id("ses_a")}
    question = one(0, 1.0, 0.6, asks=True, place=4, **at)
    answer, other = one(1, None, 0.0, place=5, **at), one(2, None, 0.0, place=9, **at)
    assert sorted(order([question, answer, other], asked())) == [0, 1]
    late = one(3, None, 0.0, place=9, parent=4, **at)
    assert 3 in order([question, late], asked())


def test_neighbors_links_names_and_times_move_what_is_otherwise_equal() -> None:
    here = {"session_id": Id("ses_a")}
    for vouched, beside, tied, text in (
        ({"place": 2, **here}, [one(5, 0.9, place=1, session_id=Id("ses_a"))], [], "tea"),
        ({}, [one(5, 0.9)], [Tie(IDS[0], IDS[5], MemoryLinkKind.SUPPORTS, 1.0)], "tea"),
        ({}, [one(5, 0.9)], [Tie(IDS[5], IDS[0], None, 1.0)], "tea"),
        ({"people": ("Ada Lovelace",)}, [], [], "what tea does Ada drink"),
        ({"at": datetime(2025, 5, 9, tzinfo=UTC)}, [], [], "tea in May 2025"),
    ):
        found = [one(0, 0.5, **vouched), one(1, 0.5, place=9, session_id=Id("ses_b")), *beside]
        ranked = order(found, asked(text), tied)
        assert ranked.index(0) < ranked.index(1), (vouched, tied, text)


def test_what_mentions_the_same_or_what_is_asked_for_comes_first() -> None:
    equal = [one(0, 0.5, entities=(OSLO,)), one(1, 0.5), one(2, 0.5, entities=(AKER,))]
    assert order(equal, asked()) == [2, 1, 0], "ties by id: neither is named, and nobody else mentions it"
    assert order(equal, asked(entities=frozenset({OSLO}))) == [0, 2, 1]
    assert order([*equal, one(5, 0.9, entities=(OSLO,))], asked()) == [5, 0, 2, 1]
    alike = [msgspec.structs.replace(each, entities=(OSLO,)) for each in equal]
    for named in (frozenset(), frozenset({OSLO})):
        assert {hit.parts.entities for hit in rank(alike, asked(entities=named))} == {0.0}, "all mention it"


@given(candidates(), ties, questions)
def test_where_nothing_is_mentioned_entities_change_nothing(
    found: list[Candidate], tied: list[Tie], asked: Asked
) -> None:
    without = [msgspec.structs.replace(each, entities=()) for each in found]
    nameless = msgspec.structs.replace(asked, entities=frozenset())
    ranked = rank(without, asked, tied)
    assert ranked == rank(without, nameless, tied, Weights(entities=0.0))
    assert {hit.parts.entities for hit in ranked} <= {None}


def test_one_word_of_many_does_not_outrank_what_is_meant() -> None:
    found = [one(0, 1.0, 0.1), one(1, None, 0.5)]
    assert order(found, asked(covered=1.0)) == [0, 1]
    assert order(found, asked(covered=0.1)) == [1, 0]


def test_what_is_alike_as_all_is_in_its_language_says_nothing() -> None:
    said, alike = one(0, 1.0, 0.86), one(1, 0.3, 0.9)
    assert order([said, alike], asked(covered=0.4, usual=0.85)) == [0, 1]
    odd = [one(0, None, 0.7), one(1, None, 0.8)]
    assert order(odd, asked(usual=0.85)) == []
    assert order(odd, asked(usual=0.85, threshold=0.0)) == [1, 0], "they have an order all the same"


def test_what_hardly_says_anything_does_not_vouch() -> None:
    beside = [one(n, 0.2, place=n, session_id=Id("ses_a")) for n in (1, 2, 3)]
    assert order([one(0, 0.25), *beside], asked(covered=0.5))[0] == 0


def test_a_name_that_everybody_has_says_nothing() -> None:
    found = [one(n, 0.5, people=("Ada",)) for n in range(3)]
    assert {hit.parts.people for hit in rank(found, asked("what does Ada like"))} == {None}


@given(candidates(), units)
def test_what_passes_by_itself(found: list[Candidate], threshold: float) -> None:
    for mode in SearchMode:
        question = Asked(mode, threshold, 10, None, "tea", NOW, -1.0)
        for each in found:
            near = each.similarity is not None and each.similarity >= threshold
            has_words = each.text_rank is not None
            expected = {SearchMode.SEMANTIC: near, SearchMode.TEXT: has_words, SearchMode.HYBRID: near or has_words}
            assert passes(each, question) is expected[mode]
