"""Weaviate comes to know what Neo4j has, whatever falls over meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence, Sized
from contextlib import suppress

import pytest

from domain.memory import Memory
from domain.node import Id
from domain.ranking import Asked, rank
from domain.search import SearchMode
from stores.contract.making import axis, delete, directions, memory, remember, replace
from stores.errors import Unavailable
from stores.ports import Found, Search, Store, Vector
from stores.services.engine import ServicesEngine
from tests.stores.services.conftest import Open, drained, within
from tests.support.servers import Weaviate
from tests.support.services import run

WORDS = Search(SearchMode.TEXT, 0.0, 10, "sky")


def like(vector: Vector, limit: int = 10) -> Search:
    return Search(SearchMode.SEMANTIC, 0.9, limit, "sky", vector)


def ids(found: Found, search: Search) -> list[Id]:
    asked = Asked(search.mode, search.threshold, search.limit)
    return [hit.candidate.id for hit in rank(found.candidates, asked, found.ties)]


async def each_is_found(store: Store, made: Sequence[Memory], vectors: Sequence[Vector]) -> None:
    for one, vector in zip(made, vectors, strict=True):
        found = (await store.search([like(vector, 1)]))[0]
        assert not found.degraded
        assert ids(found, like(vector, 1)) == [one.id]


async def test_what_is_acknowledged_is_found_at_once(engine: ServicesEngine) -> None:
    store = engine.workspace("main")
    for number in range(5):
        [one] = await remember(store, memory(text=f"sky n{number}"), vectors=[axis(number)])
        found = (await store.search([like(axis(number))]))[0]
        assert ids(found, like(axis(number))) == [one.id]
    changed = await replace(store, one, text="rain")
    assert one.id not in ids((await store.search([WORDS]))[0], WORDS)
    await delete(store, changed)
    assert await engine.vectors.count("main") == 4


async def test_a_write_of_many_waits_for_all_of_them(engine: ServicesEngine) -> None:
    store = engine.workspace("main")
    vectors = directions(1_000)
    await remember(store, *(memory() for _ in vectors), vectors=vectors)
    assert await engine.vectors.count("main") == 1_000
    assert await drained(engine)


async def test_without_weaviate_writes_go_on_and_words_are_found(engine: ServicesEngine, weaviate: Weaviate) -> None:
    store = engine.workspace("main")
    near = axis(0) * 0.8 + axis(1) * 0.6
    [a, b] = await remember(store, memory(importance=0.1), memory(text="rain"), vectors=[axis(0), axis(0)])
    weaviate.kill()
    [c] = await remember(store, memory(text="a sky"), vectors=[near])
    [d] = await remember(store, memory(text="no more", tags=["x"]))
    for search, expected in (
        (WORDS, [c.id, a.id]),
        (Search(SearchMode.HYBRID, 0.95, 10, "sky", axis(0)), [c.id, a.id]),
        (Search(SearchMode.SEMANTIC, 0.0, 10, "sky", near), [c.id, a.id]),
        (Search(SearchMode.SEMANTIC, 0.0, 10, None, axis(1)), [c.id, b.id, a.id]),
    ):
        found = (await store.search([search]))[0]
        assert found.degraded == (search.mode is not SearchMode.TEXT), "by words Weaviate is not needed"
        assert ids(found, search) == expected
    [alike] = [one.similarity for one in ((await store.search([like(axis(0))]))[0]).candidates if one.id == c.id]
    assert alike == pytest.approx(0.9)
    await delete(store, b)
    await replace(store, d, text="one sky more")
    health = {one.name: one for one in await engine.health()}["weaviate"]
    assert health.status == "degraded"
    assert health.backlog >= 4

    weaviate.restart()
    assert await drained(engine)
    found = (await store.search([WORDS]))[0]
    assert not found.degraded
    assert set(ids(found, WORDS)) == {a.id, c.id, d.id}
    assert await engine.vectors.count("main") == 3
    await each_is_found(store, [c], [near])


async def test_nothing_is_lost_when_weaviate_is_killed_in_the_middle_of_writes(
    engine: ServicesEngine, weaviate: Weaviate
) -> None:
    store = engine.workspace("main")
    vectors = directions(400)
    made: dict[int, Memory] = {}

    async def write(first: int) -> None:
        for number in range(first, len(vectors), 8):
            [made[number]] = await remember(store, memory(text=f"sky n{number}"), vectors=[vectors[number]])

    async def kill() -> None:
        for count in (100, 250):
            assert await within(60, lambda count=count: _so_many(made, count))
            await asyncio.to_thread(weaviate.restart)

    await asyncio.gather(*(write(first) for first in range(8)), kill())
    assert await drained(engine)
    assert len(made) == 400
    assert await engine.vectors.count("main") == 400
    await each_is_found(store, [made[number] for number in range(400)], vectors)


async def test_vectors_that_weaviate_forgets_when_it_is_killed_are_told_again(opened: Open, weaviate: Weaviate) -> None:
    store = (engine := opened()).workspace("main")
    vectors = directions(60)
    made = await remember(store, *(memory() for _ in vectors), vectors=vectors)
    assert len(await engine.vectors.indexed("main", [one.id for one in made])) == 60
    weaviate.restart()

    assert await within(30, lambda: _all_indexed(engine, made))
    assert await drained(engine)
    await each_is_found(store, made, vectors)

    await engine.close()
    weaviate.restart()
    later = opened()
    later.start()
    assert await within(30, lambda: _all_indexed(later, made))


async def _so_many(made: Sized, count: int) -> bool:
    return len(made) >= count


async def _all_indexed(engine: ServicesEngine, made: Sequence[Memory]) -> bool:
    return len(await engine.vectors.indexed("main", [one.id for one in made])) == len(made)


async def test_what_a_process_left_to_tell_is_told_by_the_next(opened: Open) -> None:
    store = (engine := opened()).workspace("main")
    one, other = await remember(store, memory(), memory(), vectors=[axis(0), axis(0)])
    await engine.close()
    # As if it had been killed between the commit and the telling.
    run(f"MATCH (n:Memory {{id: '{one.id}'}}) SET n.words = 'rain', n.text = 'rain'")
    run(f"MATCH (n:Memory {{id: '{other.id}'}}) DETACH DELETE n")
    for id in (one.id, other.id):
        run(f"CREATE (:Outbox {{workspace: 'main', place: 99, memory: '{id}'}})")
    engine = opened()
    engine.start()
    assert await drained(engine)
    assert [hit.id for hit in await engine.vectors.by_words("main", "rain", 5, None)] == [one.id]
    assert await engine.vectors.count("main") == 1


async def test_a_weaviate_that_lost_its_disk_is_filled_again(engine: ServicesEngine, weaviate: Weaviate) -> None:
    vectors = directions(50)
    stores = [engine.workspace(name) for name in ("main", "a b")]
    made = [await remember(store, *(memory() for _ in vectors), vectors=vectors) for store in stores]
    weaviate.kill()
    shutil.rmtree(weaviate.folder / "data")
    weaviate.restart()
    for store, memories, name in zip(stores, made, ("main", "a b"), strict=True):
        found = (await store.search([like(vectors[3], 1)]))[0]
        assert found.candidates == [] or ids(found, like(vectors[3], 1)) == [memories[3].id]

        async def full(name: str = name) -> bool:
            with suppress(Unavailable):  # asked before its tenant was made anew
                return await engine.vectors.count(name) == 50
            return False

        assert await within(30, full)
        assert await drained(engine, name)
        await each_is_found(store, memories, vectors)


async def test_two_processes_tell_in_one_order(opened: Open) -> None:
    engines = [opened(), opened()]
    [one] = await remember(engines[0].workspace("main"), memory(), vectors=[axis(0)])

    async def change(engine: ServicesEngine, name: str) -> None:
        for number in range(20):
            await replace(engine.workspace("main"), one, text=f"{name}{number}")

    await asyncio.gather(*(change(engine, name) for engine, name in zip(engines, "ab", strict=True)))
    assert await drained(engines[0])
    [now] = await engines[0].workspace("main").get(Memory, [one.id])
    assert now is not None
    assert [hit.id for hit in await engines[1].vectors.by_words("main", now.text, 5, None)] == [one.id]
