"""The servers and a folder find the same: both hold the same few hundred memories and messages.

By meaning the same ten in the same order, scores to a thousandth. By words, of which Lucene rounds rarities and lengths:
the same best but for ties to a tenth, of the ten at least eight, and scores to a tenth.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from domain.search import SearchMode
from stores.contract.making import DIMENSION, Clock, directions, talk
from stores.contract.test_search import WORDS, library, ranked
from stores.embedded.engine import open_embedded
from stores.ports import MessageSearch, Search, Store
from stores.services.engine import ServicesEngine
from tests.stores.services.conftest import drained

MEMORIES, QUERIES = 300, 20


@pytest.fixture
async def both(engine: ServicesEngine, tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[Store, Store]]:
    folder = open_embedded(tmp_path / "beside", "test", DIMENSION, clock)
    yield engine.workspace("main"), folder.workspace("main")
    await folder.close()


def questions() -> list[str]:
    random_ = random.Random(7)
    return [" ".join(random_.sample(WORDS, random_.randint(1, 4))) for _ in range(QUERIES)]


def agree(one: Mapping[int, float], other: Mapping[int, float], scores: float, ten: int) -> None:
    """one, other: the scores by the numbers of what was found."""
    for mine, others in ((one, other), (other, one)):
        best = max(mine.values(), default=0.0)
        assert (
            any(others.get(key, 0.0) >= max(others.values()) - scores for key in mine if mine[key] == best) or not best
        )
    shared = set(one) & set(other)
    assert len(shared) >= min(ten, len(one), len(other)), (sorted(one), sorted(other))
    assert max((abs(one[key] - other[key]) for key in shared), default=0.0) <= scores


@pytest.mark.parametrize("mode", SearchMode)
async def test_memories(engine: ServicesEngine, both: tuple[Store, Store], mode: SearchMode) -> None:
    numbers = []
    for store in both:
        made, _ = await library(store, MEMORIES)
        numbers.append({memory.id: number for number, memory in enumerate(made)})
    assert await drained(engine)
    for text, vector in zip(questions(), directions(QUERIES, seed=11), strict=True):
        search = Search(mode, 0.5, 10, text, vector)
        found = []
        for store, number in zip(both, numbers, strict=True):
            hits = ranked(search, (await store.search([search]))[0])
            found.append({number[hit.candidate.id]: hit.score for hit in hits})
        if mode is SearchMode.SEMANTIC:
            assert list(found[0]) == list(found[1])
            agree(*found, scores=0.001, ten=10)
        else:
            agree(*found, scores=0.1, ten=8)


async def test_messages(both: tuple[Store, Store]) -> None:
    random_ = random.Random(5)
    texts = [" ".join(random_.choices(WORDS, k=random_.randint(3, 25))) for _ in range(200)]
    for store in both:
        await talk(store, *texts)
    for text in questions():
        found = []
        for store in both:
            answer = await store.search_messages(MessageSearch(text, 10))
            found.append({one.place: answer.ranks[one.id] for one in answer.messages})
        agree(*found, scores=0.1, ten=8)
