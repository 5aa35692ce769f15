"""How a search asks the servers: how often, and what it does where one cannot check the filter."""

from __future__ import annotations

import pytest

from domain.memory import MemoryFilter, MemoryStatus
from domain.search import SearchMode
from domain.values import FloatRange, Ref, TimeRange, encode_json
from stores.contract.making import after, axis, directions, keep, memory, remember, user
from stores.ports import Search
from stores.services.engine import ServicesEngine
from stores.services.prefilter import prefilter
from tests.stores.services.conftest import drained

MODES = pytest.mark.parametrize(
    ("mode", "calls"), [(SearchMode.HYBRID, 1), (SearchMode.SEMANTIC, 1), (SearchMode.TEXT, 0)]
)


def search(mode: SearchMode, filter: MemoryFilter | None = None, threshold: float = 0.0) -> Search:
    return Search(mode, threshold, 10, "sky", axis(0), filter)


@MODES
async def test_a_search_is_a_statement_and_a_call_for_each_side_and_in_hybrid_one_for_what_is_beside(
    engine: ServicesEngine, mode: SearchMode, calls: int
) -> None:
    store = engine.workspace("main")
    await remember(store, *(memory() for _ in range(20)), vectors=directions(20))
    await engine.relay.close()
    before = engine.graph.calls, engine.vectors.calls
    found = (await store.search([search(mode)]))[0]
    statements = 1 + (mode is SearchMode.HYBRID)
    assert (engine.graph.calls - before[0], engine.vectors.calls - before[1]) == (statements, calls)
    assert len(found.candidates) == 20
    assert {id: found.records[id].id for id in found.records} == {one.id: one.id for one in found.candidates}


@MODES
async def test_a_threshold_that_leaves_too_few_costs_one_call_more(
    engine: ServicesEngine, mode: SearchMode, calls: int
) -> None:
    store = engine.workspace("main")
    await remember(store, *(memory() for _ in range(150)), vectors=directions(150))
    await engine.relay.close()
    before = engine.vectors.calls
    (await store.search([search(mode, threshold=0.99)]))[0]
    lighter = mode is SearchMode.HYBRID  # which are asked for beside the words, before it is known what is left
    assert engine.vectors.calls - before == calls + (mode is not SearchMode.TEXT) + lighter


async def test_names_cost_one_statement_more(engine: ServicesEngine) -> None:
    store = engine.workspace("main")
    [ada] = await keep(store, user(external_id="ada"))
    [one] = await remember(store, memory(ada), vectors=[axis(0)])
    await engine.relay.close()
    before = engine.graph.calls
    found = (await store.search([search(SearchMode.HYBRID, MemoryFilter(owner=Ref(external_id="ada")))]))[0]
    assert [candidate.id for candidate in found.candidates] == [one.id]
    assert engine.graph.calls - before == 3


async def test_what_few_match_is_looked_at_in_neo4j_alone(engine: ServicesEngine) -> None:
    store = engine.workspace("main")
    made = await remember(store, *(memory(metadata={"n": n % 50}) for n in range(200)), vectors=directions(200))
    await engine.relay.close()
    before = engine.graph.calls, engine.vectors.calls
    found = (await store.search([search(SearchMode.HYBRID, MemoryFilter(metadata=encode_json({"n": 7})))]))[0]
    assert {candidate.id for candidate in found.candidates} == {made[n].id for n in (7, 57, 107, 157)}
    assert (engine.graph.calls - before[0], engine.vectors.calls - before[1]) == (2, 0)


async def test_what_many_match_is_proposed_until_there_is_enough(engine: ServicesEngine) -> None:
    store = engine.workspace("main")
    light, heavy = memory(text="sky odd", importance=0.1), memory(text="sky even", importance=1.0)
    made = await remember(store, *([light] * 1_100), *([heavy] * 1_100), vectors=[axis(0)] * 2_200)
    assert await drained(engine)
    for mode in SearchMode:
        found = (await store.search([search(mode, MemoryFilter(text="odd"))]))[0]
        assert not found.degraded
        assert len(found.candidates) >= 40
        assert {candidate.id for candidate in found.candidates} <= {one.id for one in made[:1_100]}


CHECKED = [
    MemoryFilter(tags=["a"], importance=FloatRange(min=0.1, max=0.2), statuses=[MemoryStatus.ACTIVE]),
    MemoryFilter(created_at=TimeRange(from_=after(days=-1), until=after())),
    MemoryFilter(or_=[MemoryFilter(owner=Ref(id="usr_1")), MemoryFilter(session=Ref(external_id="s"))]),
    MemoryFilter(not_=MemoryFilter(valid_at=after())),
    MemoryFilter(not_=MemoryFilter()),
    MemoryFilter(or_=[]),
]
UNCHECKED = [
    MemoryFilter(text="a"),
    MemoryFilter(metadata=encode_json({"a": 1})),
    MemoryFilter(and_=[MemoryFilter(text="a", tags=["a"])]),
    MemoryFilter(or_=[MemoryFilter(tags=["a"]), MemoryFilter(text="a")]),
    MemoryFilter(not_=MemoryFilter(tags=["a"], text="a")),
]


@pytest.mark.parametrize("filter", CHECKED)
def test_what_weaviate_can_check(filter: MemoryFilter) -> None:
    assert prefilter(filter, 0, {}).exact


@pytest.mark.parametrize("filter", UNCHECKED)
def test_what_it_cannot(filter: MemoryFilter) -> None:
    assert not prefilter(filter, 0, {}).exact
