"""Finding memories by their words and by their meaning."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from domain.actor import User
from domain.memory import Memory, MemoryFilter, MemoryScope, MemoryStatus, MemoryType
from domain.node import Id
from domain.page import Slice
from domain.ranking import Asked, Ranked, rank
from domain.search import Candidate, SearchMode, similarity
from domain.values import FloatRange, Ref, encode_json
from stores.contract.making import (
    after,
    agent,
    axis,
    delete,
    directions,
    keep,
    memory,
    remember,
    replace,
    session,
    user,
)
from stores.ports import Collection, Found, Search, Store, Transaction, Vector

WORDS = [
    "apple", "bridge", "candle", "desert", "engine", "forest", "garden", "harbor", "island", "jungle", "kitchen",
    "ladder", "mirror", "needle", "orchard", "pepper", "quartz", "river", "saddle", "temple",
]  # fmt: skip

modes = pytest.mark.parametrize("mode", SearchMode)


def ranked(search: Search, found: Found) -> list[Ranked]:
    """The hits, best first, by an embedder whose vectors are about the same wherever the threshold lets them."""
    asked = Asked(search.mode, search.threshold, search.limit, search.ranking, search.text, after(), -1.0)
    return rank(found.candidates, asked, found.ties)


async def found(store: Store, search: Search) -> set[Id]:
    """The ids of the hits."""
    return set(await best(store, search))


async def best(store: Store, search: Search) -> list[Id]:
    """The ids of the hits, best first."""
    return [hit.candidate.id for hit in ranked(search, (await store.search([search]))[0])]


def words(text: str, limit: int = 10, **filter: Any) -> Search:
    return Search(SearchMode.TEXT, 0.5, limit, text, None, MemoryFilter(**filter) if filter else None)


def meaning(vector: Vector, limit: int = 10, threshold: float = 0.5, **filter: Any) -> Search:
    return Search(SearchMode.SEMANTIC, threshold, limit, None, vector, MemoryFilter(**filter) if filter else None)


async def library(store: Store, count: int = 400, seed: int = 3) -> tuple[list[Memory], list[User]]:
    """Memories of three users and of nobody, with random words, vectors, importance and decay."""
    random_ = random.Random(seed)
    owners = await keep(store, user(external_id="a"), user(external_id="b"), user(external_id="c"))
    drafts = [
        memory(
            random_.choice([*owners, None]),
            text=" ".join(random_.choices(WORDS, k=random_.randint(3, 25))),
            importance=random_.random(),
            decay_factor=random_.uniform(0.1, 1),
            tags=random_.sample(["x", "y", "z"], random_.randint(0, 2)),
            status=random_.choices(list(MemoryStatus), [8, 1, 1])[0],
            valid_until=random_.choice([None, None, None, after(days=-1), after(days=1)]),
        )
        for _ in range(count)
    ]
    made = await remember(store, *drafts, vectors=directions(count - 20, seed))
    return made, owners


class Oracle:
    """What a search must find, by looking at every memory. How well words fit it takes from a search for all of them;
    that they fit as well as they should is what `test_ranks_by_words_are_those_of_bm25` is for."""

    def __init__(self, made: list[Memory], vectors: list[Vector | None]) -> None:
        self._made, self._vectors = made, vectors

    async def best(self, store: Store, search: Search, matches: Any) -> list[tuple[Id, float]]:
        ranks: dict[Id, float] = {}
        if search.text is not None and search.mode is not SearchMode.SEMANTIC:
            all_words = Search(SearchMode.TEXT, 0.0, 10_000, search.text, None, search.filter)
            for candidate in ((await store.search([all_words]))[0]).candidates:
                assert candidate.text_rank is not None
                ranks[candidate.id] = candidate.text_rank
        candidates = []
        for one, vector in zip(self._made, self._vectors, strict=True):
            if matches(one) and one.id != search.exclude:
                known = search.vector is not None and vector is not None and search.mode is not SearchMode.TEXT
                alike = similarity(float(vector @ search.vector)) if known else None  # type: ignore[operator]
                candidates.append(Candidate(one.id, one.importance, one.decay_factor, alike, ranks.get(one.id)))
        return [(hit.candidate.id, hit.score) for hit in ranked(search, Found(candidates))]


def usual(one: Memory) -> bool:
    """What a search finds without a filter."""
    return one.status is MemoryStatus.ACTIVE and (one.valid_until is None or one.valid_until > after())


FILTERS: dict[str, tuple[Any, Any]] = {
    "none": (lambda owners: None, lambda one, owners: usual(one)),
    "owner": (
        lambda owners: MemoryFilter(owner=Ref(id=owners[0].id)),
        lambda one, owners: usual(one) and one.owner_id == owners[0].id,
    ),
    "owner by external id": (
        lambda owners: MemoryFilter(owner=Ref(external_id="b")),
        lambda one, owners: usual(one) and one.owner_id == owners[1].id,
    ),
    "global": (
        lambda owners: MemoryFilter(scopes=[MemoryScope.GLOBAL]),
        lambda one, owners: usual(one) and one.owner_id is None,
    ),
    "users": (
        lambda owners: MemoryFilter(scopes=[MemoryScope.USER]),
        lambda one, owners: usual(one) and one.owner_id is not None,
    ),
    "tags": (lambda owners: MemoryFilter(tags=["x"]), lambda one, owners: usual(one) and "x" in one.tags),
    "importance": (
        lambda owners: MemoryFilter(importance=FloatRange(max=0.5)),
        lambda one, owners: usual(one) and one.importance <= 0.5,
    ),
    "archived": (
        lambda owners: MemoryFilter(statuses=[MemoryStatus.ARCHIVED]),
        lambda one, owners: (
            one.status is MemoryStatus.ARCHIVED and (one.valid_until is None or one.valid_until > after())
        ),
    ),
    "active and superseded, of any time": (
        lambda owners: MemoryFilter(statuses=[MemoryStatus.ACTIVE, MemoryStatus.SUPERSEDED]),
        lambda one, owners: one.status is not MemoryStatus.ARCHIVED,
    ),
    "active and superseded, now": (
        lambda owners: MemoryFilter(statuses=[MemoryStatus.ACTIVE, MemoryStatus.SUPERSEDED], valid_at=after()),
        lambda one, owners: (
            one.status is not MemoryStatus.ARCHIVED and (one.valid_until is None or one.valid_until > after())
        ),
    ),
    "active": (lambda owners: MemoryFilter(statuses=[MemoryStatus.ACTIVE]), lambda one, owners: usual(one)),
    "valid at another time": (
        lambda owners: MemoryFilter(valid_at=after(days=-2)),
        lambda one, owners: one.status is MemoryStatus.ACTIVE,
    ),
    "not": (
        lambda owners: MemoryFilter(not_=MemoryFilter(owner=Ref(id=owners[0].id))),
        lambda one, owners: usual(one) and one.owner_id != owners[0].id,
    ),
    "nobody": (lambda owners: MemoryFilter(owner=Ref(external_id="none")), lambda one, owners: False),
    "no status": (lambda owners: MemoryFilter(statuses=[]), lambda one, owners: False),
}


@modes
async def test_the_best_ten_are_the_best_there_are(store: Store, mode: SearchMode) -> None:
    made, owners = await library(store)
    oracle = Oracle(made, await store.vectors([one.id for one in made]))
    queries = directions(4, seed=99)
    for name, (make, holds) in FILTERS.items():
        for number, text in enumerate(("apple", "river garden", "quartz temple saddle pepper", "nothing such")):
            for threshold, limit in ((0.5, 10), (0.0, 10), (0.6, 3)):
                search = Search(
                    mode,
                    threshold,
                    limit,
                    None if mode is SearchMode.SEMANTIC else text,
                    None if mode is SearchMode.TEXT else queries[number],
                    make(owners),
                )
                expected = await oracle.best(store, search, lambda one, holds=holds: holds(one, owners))
                answer = (await store.search([search]))[0]
                assert not answer.degraded
                hits = ranked(search, answer)
                scores = [hit.score for hit in hits]
                assert scores == pytest.approx([score for _, score in expected], abs=1e-4), (name, text)
                clear = [id for id, score in expected if sum(abs(score - other) < 1e-4 for _, other in expected) == 1]
                assert set(clear[:-1]) <= {hit.candidate.id for hit in hits}, (name, text)


def bm25(texts: Sequence[list[str]], asked: list[str]) -> list[float]:
    """The textbook's, with k1 = 1.2 and b = 0.75, for each text as a share of the best one's."""
    usual_length = sum(map(len, texts)) / len(texts)
    scores = [0.0] * len(texts)
    for word in asked:
        having = sum(word in text for text in texts)
        rarity = math.log((len(texts) - having + 0.5) / (having + 0.5))
        for index, text in enumerate(texts):
            often = text.count(word)
            scores[index] += rarity * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * len(text) / usual_length))
    return [score / max(scores) for score in scores]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
async def test_ranks_by_words_are_those_of_bm25(store: Store, count: int) -> None:
    """Engines round lengths and rarities in their own ways, so to a tenth; what has none of the words is not there."""
    random_ = random.Random(count)
    vocabulary = [f"{first}{then}o" for first in "bdfgklmnprtvz" for then in ("ab", "el", "im", "ur", "oz")]
    texts = [random_.choices(vocabulary, k=random_.randint(3, 12)) for _ in range(150)]
    made = await remember(store, *(memory(text=" ".join(text)) for text in texts))
    for _ in range(5):
        asked = random_.sample(vocabulary, count)
        ranks = {one.id: rank for one, rank in zip(made, bm25(texts, asked), strict=True) if rank > 0}
        search = Search(SearchMode.TEXT, 0.0, 200, " ".join(asked))
        answer = {one.id: one.text_rank for one in ((await store.search([search]))[0]).candidates}
        assert answer == pytest.approx(ranks, abs=0.1)


@modes
async def test_one_that_is_excluded_is_not_found(store: Store, mode: SearchMode) -> None:
    a, b = await remember(store, memory(), memory(), vectors=[axis(1), axis(1)])
    assert await found(store, Search(mode, 0.5, 10, "sky", axis(1), None, a.id)) == {b.id}
    assert await found(store, Search(mode, 0.5, 1, "sky", axis(1), None, b.id)) == {a.id}


@modes
async def test_candidates_tell_what_their_memories_weigh(store: Store, mode: SearchMode) -> None:
    [one] = await remember(store, memory(importance=0.25, decay_factor=0.5), vectors=[axis(1)])
    [candidate] = ((await store.search([Search(mode, 0.5, 10, "sky", axis(1))]))[0]).candidates
    assert (candidate.id, candidate.importance, candidate.decay) == (one.id, 0.25, 0.5)
    if mode is not SearchMode.SEMANTIC:
        assert candidate.text_rank == 1.0
    if mode is not SearchMode.TEXT:
        assert candidate.similarity == pytest.approx(1.0, abs=1e-3)


@modes
async def test_records_that_come_along_are_those_of_now(store: Store, mode: SearchMode) -> None:
    [one] = await remember(store, memory(), vectors=[axis(1)])
    one = await replace(store, one, importance=0.3, tags=["new"])
    answer = (await store.search([Search(mode, 0.5, 10, "sky", axis(1))]))[0]
    assert [candidate.importance for candidate in answer.candidates] == [0.3]
    assert answer.records in ({}, {one.id: one})


async def test_a_search_of_some_owners_finds_theirs_and_the_global_ones(store: Store) -> None:
    [ada, bob, *many] = await keep(store, *(user() for _ in range(1_200)))
    owners = [ada.id, *(one.id for one in many)]
    await remember(
        store,
        *(memory(owner, text=f"blue {name}") for owner, name in ((ada, "a"), (bob, "b"), (None, "c"))),
        vectors=[axis(1)] * 3,
    )
    for asked, theirs in ((owners, {"blue a", "blue c"}), ([], {"blue c"}), (None, {"blue a", "blue b", "blue c"})):
        for search in (words("blue"), meaning(axis(1))):
            [found] = await store.search([msgspec.structs.replace(search, owners=asked)])
            memories = await store.get(Memory, [one.id for one in found.candidates])
            assert {one.text for one in memories if one} == theirs, (asked, search.mode)


@modes
async def test_nothing_is_found_where_nothing_is_shown(store: Store, mode: SearchMode) -> None:
    await remember(store, memory(), vectors=[axis(1)])
    assert ((await store.search([Search(mode, 0.5, 0, "sky", axis(1))]))[0]).candidates == []


class TestWords:
    async def test_memories_with_any_of_the_words(self, store: Store) -> None:
        a, b, c = await remember(store, memory(text="red apple"), memory(text="green pear"), memory(text="blue plum"))
        assert await found(store, words("apple pear")) == {a.id, b.id}
        assert await found(store, words("plum")) == {c.id}
        assert await found(store, words("cherry")) == set()

    async def test_more_and_rarer_words_rank_higher(self, store: Store) -> None:
        filler = [memory(text=f"common text number {n}") for n in range(30)]
        _, rare, both = await remember(
            store, memory(text="common word"), memory(text="rare ancient word"), memory(text="rare common word")
        )
        await remember(store, *filler)
        hits = await best(store, words("rare common", 40))
        assert hits[:2] == [both.id, rare.id]

    async def test_a_word_that_nothing_had_is_found_as_soon_as_something_has_it(self, store: Store) -> None:
        await remember(store, *(memory(text="common") for _ in range(10)))
        assert await found(store, words("zebra")) == set()
        [one] = await remember(store, memory(text="a zebra"))
        assert await found(store, words("zebra")) == {one.id}
        assert one.id in await found(store, words("common zebra"))

    async def test_case_accents_and_endings_do_not_matter(self, store: Store) -> None:
        [one] = await remember(store, memory(text="The Caf\u00e9s were RUNNING late"))
        for text in ("cafe", "CAFES", "run", "runs", "late!"):
            assert await found(store, words(text)) == {one.id}

    @pytest.mark.parametrize("mode", [SearchMode.TEXT, SearchMode.HYBRID])
    async def test_of_twins_that_differ_by_a_mark_alone_the_one_that_is_asked_for_is_first(
        self, store: Store, mode: SearchMode
    ) -> None:
        pairs = [
            ("1/5", "1.5"),
            ("12/11", "12-11"),
            ("$15", "\u20ac15"),
            ("-5", "5"),
            ("10\u00b2", "102"),
            (".env", "env"),
        ]
        twins = [(f"{name} noted {one}", weight) for name, pair in zip(WORDS, pairs, strict=False)
                 for one, weight in zip(pair, (0.9, 0.1), strict=True)]  # fmt: skip
        made = await remember(
            store, *(memory(text=text, importance=weight) for text, weight in twins), vectors=[axis(1)] * len(twins)
        )
        for one in made:
            [first, second, *_] = ranked(
                how := Search(mode, 0.5, 40, one.text, axis(1)), (await store.search([how]))[0]
            )
            assert (first.candidate.id, first.score > second.score) == (one.id, True), one.text

    async def test_two_letters_are_found_by_one_and_one_by_two(self, store: Store) -> None:
        one, two, _ = await remember(
            store, memory(text="Zug nach Z\u00fcrich"), memory(text="Zug nach Zuerich"), memory(text="Zug nach Zug")
        )
        for text in ("Z\u00fcrich", "Zuerich"):
            assert await found(store, words(text)) == {one.id, two.id}

    async def test_what_looks_like_a_query_language_is_plain_words(self, store: Store) -> None:
        [one, other] = await remember(store, memory(text="near apple NOT pear"), memory(text="scope w1 s1 g1"))
        for text in ('apple"', "apple OR", 'content:apple" AND', "NEAR(apple", "apple*", "-apple", "{apple}", "^apple"):
            assert one.id in await found(store, words(text))
        assert await found(store, words("w1")) == {other.id}
        assert await found(store, words("appl*")) == {one.id}

    @pytest.mark.parametrize(
        "text", ["", " ", "!?", "_", "__", '"', "\x00", "\U0001f600", "\u00b2", "\U0001e900", "' OR 1 --", "a" * 5_000]
    )
    async def test_text_without_a_word_that_is_known_finds_nothing(self, store: Store, text: str) -> None:
        await remember(store, memory())
        assert ((await store.search([words(text)]))[0]).candidates == []

    async def test_very_many_words_are_still_a_query(self, store: Store) -> None:
        [one] = await remember(store, memory(text="needle"))
        assert await found(store, words("needle " + " ".join(f"w{n}x" for n in range(3_000)))) == {one.id}

    async def test_words_are_found_by_their_newest_text_only(self, store: Store) -> None:
        [one] = await remember(store, memory(text="old words"))
        await replace(store, one, text="new words")
        assert await found(store, words("old")) == set()
        assert await found(store, words("new")) == {one.id}
        await replace(store, one, text="new words", importance=0.9)
        assert await found(store, words("new")) == {one.id}
        await delete(store, one)
        assert await found(store, words("new words")) == set()

    async def test_text_in_other_scripts(self, store: Store) -> None:
        a, b = await remember(
            store,
            memory(text="\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440"),
            memory(text="\u4f60\u597d \u4e16\u754c"),
        )
        assert await found(store, words("\u041c\u0418\u0420")) == {a.id}
        assert await found(store, words("\u4e16\u754c")) == {b.id}


class TestMeaning:
    async def test_the_threshold_is_of_the_similarity(self, store: Store) -> None:
        vectors = [axis(0), (axis(0) + axis(1)) / np.float32(np.sqrt(2)), axis(1), -axis(0)]
        made = await remember(store, *(memory() for _ in vectors), vectors=vectors)
        ids = [one.id for one in made]
        assert await found(store, meaning(axis(0), threshold=0.99)) == {ids[0]}
        assert await found(store, meaning(axis(0), threshold=0.8)) == {ids[0], ids[1]}
        assert await found(store, meaning(axis(0), threshold=0.4)) == {ids[0], ids[1], ids[2]}
        assert await found(store, meaning(axis(0), threshold=0.0)) == set(ids)

    async def test_a_memory_without_a_vector_has_no_meaning(self, store: Store) -> None:
        one, _ = await remember(store, memory(), memory(), vectors=[axis(0)])
        assert await found(store, meaning(axis(0), threshold=0.0)) == {one.id}

    async def test_a_new_vector_takes_the_place_of_the_old_one(self, store: Store) -> None:
        [one] = await remember(store, memory(), vectors=[axis(0)])
        await store.write(lambda tx: tx.embed({one.id: axis(1)}))
        assert await found(store, meaning(axis(0), threshold=0.9)) == set()
        assert await found(store, meaning(axis(1), threshold=0.9)) == {one.id}

    async def test_a_deleted_memory_is_not_found(self, store: Store) -> None:
        one, other = await remember(store, memory(), memory(), vectors=[axis(0), axis(0)])
        assert await found(store, meaning(axis(0))) == {one.id, other.id}
        await delete(store, one)
        assert await found(store, meaning(axis(0))) == {other.id}

    async def test_importance_and_decay_change_the_order(self, store: Store) -> None:
        a, b = await remember(store, memory(importance=0.5), memory(importance=0.6), vectors=[axis(0), axis(0)])
        assert await best(store, meaning(axis(0))) == [b.id, a.id]
        b = await replace(store, b, decay_factor=0.5)
        assert await best(store, meaning(axis(0))) == [a.id, b.id]
        await replace(store, a, importance=0.1)
        assert await best(store, meaning(axis(0))) == [b.id, a.id]

    async def test_a_light_one_that_is_near_gives_way_to_a_heavy_one_that_is_less_so(self, store: Store) -> None:
        near = directions(300, seed=5)
        base = axis(0)
        vectors = [(v * np.float32(0.2) + base) for v in near]
        vectors = [(v / np.linalg.norm(v)).astype(np.float32) for v in vectors]
        further = ((base + axis(1)) / np.float32(np.sqrt(2))).astype(np.float32)
        await remember(store, *(memory(importance=0.05) for _ in vectors), vectors=vectors)
        [heavy] = await remember(store, memory(importance=1.0), vectors=[further])
        assert (await best(store, meaning(base, 1)))[0] == heavy.id

    async def test_heavy_ones_that_are_not_near_enough_do_not_crowd_out_those_that_are(self, store: Store) -> None:
        far = ((axis(0) + axis(1) * 2) / np.float32(np.sqrt(5))).astype(np.float32)
        await remember(store, *(memory(importance=1.0) for _ in range(300)), vectors=[far] * 300)
        near = await remember(store, *(memory(importance=0.01) for _ in range(3)), vectors=[axis(0)] * 3)
        assert await found(store, meaning(axis(0), threshold=0.95)) == {one.id for one in near}

    async def test_words_that_are_given_too_do_not_count(self, store: Store) -> None:
        one, other = await remember(
            store, memory(text="river"), memory(text="bank", importance=0.9), vectors=[axis(0), axis(0)]
        )
        search = Search(SearchMode.SEMANTIC, 0.5, 10, "river", axis(0))
        assert await best(store, search) == [other.id, one.id]
        assert {candidate.text_rank for candidate in ((await store.search([search]))[0]).candidates} == {None}


class TestBoth:
    async def test_text_ranks_are_the_same_however_many_are_asked_for(self, store: Store) -> None:
        """Also of one that is found by its meaning, where very many have more of the words."""
        await remember(
            store, *(memory(text="river bank", importance=1.0) for _ in range(150)), vectors=[-axis(0)] * 150
        )
        near, _ = await remember(
            store,
            memory(text="river " + " ".join(WORDS[:17]), importance=0.2),
            memory(text="river", importance=0.001),
            vectors=[axis(0), -axis(0)],
        )
        everything = ((await store.search([Search(SearchMode.TEXT, 0.0, 1_000, "river")]))[0]).candidates
        ranks = {candidate.id: candidate.text_rank for candidate in everything}
        assert len(ranks) == 152
        few = ((await store.search([Search(SearchMode.HYBRID, 0.5, 5, "river", axis(0))]))[0]).candidates
        assert near.id in {candidate.id for candidate in few}
        assert {candidate.id: candidate.text_rank for candidate in few}.items() <= ranks.items()

    async def test_what_was_found_by_its_words_is_not_lost_to_the_threshold(self, store: Store) -> None:
        one, two, _ = await remember(
            store, memory(text="apple"), memory(text="pear"), memory(text="plum"), vectors=[-axis(0), axis(0), axis(1)]
        )
        search = Search(SearchMode.HYBRID, 0.9, 10, "apple", axis(0))
        assert await found(store, search) == {one.id, two.id}
        by_words = {candidate.id: candidate for candidate in ((await store.search([search]))[0]).candidates}[one.id]
        assert by_words.similarity == pytest.approx(0.0, abs=1e-3)
        assert by_words.text_rank == 1.0

    async def test_either_side_may_be_missing(self, store: Store) -> None:
        one, two = await remember(store, memory(text="apple"), memory(text="pear"), vectors=[axis(0), axis(1)])
        assert await found(store, Search(SearchMode.HYBRID, 0.9, 10, "apple")) == {one.id}
        assert await found(store, Search(SearchMode.HYBRID, 0.9, 10, None, axis(1))) == {two.id}
        assert await found(store, Search(SearchMode.HYBRID, 0.9, 10)) == set()


@modes
class TestFilters:
    async def test_archived_and_superseded_memories_are_not_found_unless_asked_for(
        self, store: Store, mode: SearchMode
    ) -> None:
        made = await remember(store, *(memory(status=status) for status in MemoryStatus), vectors=[axis(0)] * 3)
        ids = {one.status: one.id for one in made}
        assert await found(store, Search(mode, 0.5, 10, "sky", axis(0))) == {ids[MemoryStatus.ACTIVE]}
        for status in MemoryStatus:
            filter = MemoryFilter(statuses=[status])
            assert await found(store, Search(mode, 0.5, 10, "sky", axis(0), filter)) == {ids[status]}

    async def test_one_that_is_archived_and_restored(self, store: Store, mode: SearchMode) -> None:
        [one] = await remember(store, memory(), vectors=[axis(0)])
        search = Search(mode, 0.5, 10, "sky", axis(0))
        one = await replace(store, one, status=MemoryStatus.ARCHIVED)
        assert await found(store, search) == set()
        await replace(store, one, status=MemoryStatus.ACTIVE)
        assert await found(store, search) == {one.id}

    async def test_facts_that_do_not_hold_now_are_not_found_unless_asked_for(
        self, store: Store, mode: SearchMode, clock: Any
    ) -> None:
        past, now, later = await remember(
            store,
            memory(valid_until=after(hours=-1)),
            memory(valid_from=after(hours=-1), valid_until=after(hours=1)),
            memory(valid_from=after(hours=1)),
            vectors=[axis(0)] * 3,
        )
        search = Search(mode, 0.5, 10, "sky", axis(0))
        assert await found(store, search) == {now.id}
        at = Search(mode, 0.5, 10, "sky", axis(0), MemoryFilter(valid_at=after(hours=-2)))
        assert await found(store, at) == {past.id}
        clock.advance(hours=1)
        assert await found(store, search) == {later.id}

    async def test_every_other_member(self, store: Store, mode: SearchMode) -> None:
        [ada, helper, where] = await keep(store, user(external_id="ada"), agent(), session(external_id="s"))
        one, two, three = await remember(
            store,
            memory(ada, type=MemoryType.WORKING, tags=["t"], session_id=where.id, created_at=after(hours=-5)),
            memory(helper, metadata={"k": True}, importance=0.9),
            memory(text="sky above"),
            vectors=[axis(0)] * 3,
        )
        filters = [
            (MemoryFilter(types=[MemoryType.WORKING]), {one.id}),
            (MemoryFilter(scopes=[MemoryScope.AGENT, MemoryScope.GLOBAL]), {two.id, three.id}),
            (MemoryFilter(scopes=[]), set()),
            (MemoryFilter(owner=Ref(id=helper.id)), {two.id}),
            (MemoryFilter(owner=Ref(id=helper.id), scopes=[MemoryScope.USER]), set()),
            (MemoryFilter(session=Ref(external_id="s")), {one.id}),
            (MemoryFilter(tags=["t"]), {one.id}),
            (MemoryFilter(importance=FloatRange(min=0.8)), {two.id}),
            (MemoryFilter(text="above"), {three.id}),
            (MemoryFilter(metadata=encode_json({"k": True})), {two.id}),
            (MemoryFilter(or_=[MemoryFilter(tags=["t"]), MemoryFilter(text="above")]), {one.id, three.id}),
            (MemoryFilter(owner=Ref(external_id="ada"), not_=MemoryFilter(tags=["t"])), set()),
        ]
        for filter, ids in filters:
            assert await found(store, Search(mode, 0.5, 10, "sky", axis(0), filter)) == ids, filter

    async def test_a_name_that_another_has_now_names_the_other(self, store: Store, mode: SearchMode) -> None:
        [first] = await keep(store, user(external_id="ada"))
        [old] = await remember(store, memory(first), vectors=[axis(0)])
        search = Search(mode, 0.5, 10, "sky", axis(0), MemoryFilter(owner=Ref(external_id="ada")))
        for _ in range(2):
            assert await found(store, search) == {old.id}
        await replace(store, first, external_id="eve")
        assert await found(store, search) == set()
        [second] = await keep(store, user(external_id="ada"))
        [new] = await remember(store, memory(second), vectors=[axis(0)])
        assert await found(store, search) == {new.id}

    async def test_a_filter_that_holds_for_few_of_many_still_finds_them(self, store: Store, mode: SearchMode) -> None:
        [ada] = await keep(store, user())
        await remember(store, *(memory(ada, importance=1.0) for _ in range(300)), vectors=directions(300))
        few = await remember(
            store, *(memory(ada, importance=0.01, tags=["rare"]) for _ in range(3)), vectors=[axis(0)] * 3
        )
        filter = MemoryFilter(tags=["rare"])
        assert await found(store, Search(mode, 0.0, 5, "sky", axis(0), filter)) == {one.id for one in few}

    async def test_many_that_do_not_hold_now_do_not_crowd_out_those_that_do(
        self, store: Store, mode: SearchMode
    ) -> None:
        await remember(
            store,
            *(memory(importance=1.0, valid_until=after(hours=-1)) for _ in range(1_200)),
            vectors=[axis(0)] * 1_200,
        )
        [one] = await remember(store, memory(importance=0.1), vectors=[axis(0)])
        assert await found(store, Search(mode, 0.0, 5, "sky", axis(0))) == {one.id}


async def test_searching_while_others_write_and_delete_finds_only_what_is_there(store: Store) -> None:
    [ada] = await keep(store, user())

    async def churn(seed: int) -> None:
        for round in range(6):
            made = await remember(store, *(memory(ada) for _ in range(5)), vectors=directions(5, seed * 10 + round))
            await delete(store, *made[:3])

    async def look() -> None:
        for _ in range(30):
            search = Search(SearchMode.HYBRID, 0.0, 10, "sky", axis(0))
            candidates = ((await store.search([search]))[0]).candidates
            assert len({candidate.id for candidate in candidates}) == len(candidates)

    await asyncio.gather(*(churn(seed) for seed in range(4)), look(), look())
    [left] = await store.pages(Collection.ACTOR_MEMORIES, [ada.id], Slice(200))
    everything = Search(SearchMode.HYBRID, 0.0, 200, "sky", axis(0))
    assert await found(store, everything) == {one.id for one in left.nodes}
    assert len(left.nodes) == 4 * 6 * 2


async def test_what_a_failed_write_weighed_is_forgotten(store: Store) -> None:
    a, b = await remember(store, memory(importance=0.5), memory(importance=0.6), vectors=[axis(0), axis(0)])
    assert await best(store, meaning(axis(0))) == [b.id, a.id]

    async def script(tx: Transaction) -> None:
        await tx.put([msgspec.structs.replace(b, importance=0.1)])
        await tx.embed({a.id: axis(3)})
        raise ValueError

    with pytest.raises(ValueError):
        await store.write(script)
    assert await best(store, meaning(axis(0), threshold=0.9)) == [b.id, a.id]
