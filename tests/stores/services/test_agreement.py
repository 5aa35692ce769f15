"""The servers and a folder find the same: both hold the memories and messages of nine languages and of agents, and are
asked the same questions.

By meaning the same ten, but for those whose scores are the same to a thousandth: a folder keeps vectors in half precision.
By words, of which Lucene rounds rarities and lengths in its own way, on average of the questions: the same best one for
nine of ten, of the first ten at least eight, and scores to a tenth.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from bench.recall.samples import NAMES, ours
from domain.search import SearchMode
from stores.contract.making import DIMENSION, Clock, directions, memory, remember, talk
from stores.contract.test_search import ranked
from stores.embedded.engine import open_embedded
from stores.ports import MessageSearch, Search, Store
from stores.services.engine import ServicesEngine
from tests.stores.services.conftest import drained

_TOLD = [one for name in NAMES for one in ours(name).conversations]
TEXTS = [turn.text for one in _TOLD for session in one.sessions for turn in session.turns]
QUESTIONS = [question.text for one in _TOLD for question in one.questions][::7]

Scores = Mapping[int, float]
"""Of what was found, best first, by its number."""


@pytest.fixture
async def both(engine: ServicesEngine, tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[Store, Store]]:
    folder = open_embedded(tmp_path / "beside", "test", DIMENSION, clock)
    yield engine.workspace("main"), folder.workspace("main")
    await folder.close()


def agree(found: list[tuple[Scores, Scores]]) -> None:
    assert len(TEXTS) > 300 and len(found) > 40
    some = [(one, other) for one, other in found if one or other]
    best = sum(next(iter(one), None) == next(iter(other), None) for one, other in some) / len(some)
    ten = sum(len(set(one) & set(other)) / max(len(one), len(other)) for one, other in some) / len(some)
    apart = [abs(one[key] - other[key]) for one, other in some for key in set(one) & set(other)]
    told = f"the same best {best:.2f}, of the ten {ten:.2f}, apart {sum(apart) / len(apart):.3f}, {max(apart):.3f}"
    print(told)
    assert best >= 0.9 and ten >= 0.8 and sum(apart) / len(apart) <= 0.1, told


@pytest.mark.parametrize("mode", SearchMode)
async def test_memories(engine: ServicesEngine, both: tuple[Store, Store], mode: SearchMode) -> None:
    numbers = []
    for store in both:
        made = await remember(store, *(memory(text=text) for text in TEXTS), vectors=directions(len(TEXTS), 3))
        numbers.append({one.id: number for number, one in enumerate(made)})
    assert await drained(engine)
    found = []
    for text, vector in zip(QUESTIONS, directions(len(QUESTIONS), 11), strict=True):
        search = Search(mode, 0.5, 10, text, vector)
        one, other = [
            {number[hit.candidate.id]: hit.score for hit in ranked(search, (await store.search([search]))[0])}
            for store, number in zip(both, numbers, strict=True)
        ]
        if mode is SearchMode.SEMANTIC:
            assert list(one.values()) == pytest.approx(list(other.values()), abs=0.001)
            assert len(set(one) & set(other)) >= 9
            assert all(one[key] == pytest.approx(other[key], abs=0.001) for key in set(one) & set(other))
        found.append((one, other))
    agree(found)


async def test_messages(both: tuple[Store, Store]) -> None:
    for store in both:
        await talk(store, *TEXTS)
    found = []
    for text in QUESTIONS:
        answers = [await store.search_messages(MessageSearch(text, 10)) for store in both]
        places = [{one.id: one.place for one in answer.messages} for answer in answers]
        one, other = [
            {place[id]: rank for id, rank in sorted(answer.ranks.items(), key=lambda item: -item[1])}
            for answer, place in zip(answers, places, strict=True)
        ]
        found.append((one, other))
    agree(found)
