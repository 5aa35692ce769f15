"""The collection in Weaviate: what it is told, it finds, by words and by meaning and weight."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from weaviate.classes.query import Filter

from domain.node import Id
from stores.contract.making import DIMENSION, axis, directions
from stores.errors import CannotOpen, Unavailable
from stores.ports import Vector
from stores.services import weaviate_client
from stores.services.vector_set import VectorSet
from stores.services.weaviate_client import FIRST, LAST, Entry, Missing, WeaviateClient, tenant_name
from tests.support.servers import Weaviate

ACTIVE = Filter.by_property("status").equal("ACTIVE")
"""Every search has a condition; with one an index of less than 40,000 is searched exactly."""


def number(index: int) -> Id:
    return Id(f"mem_{index:032x}")


def entry(index: int, vector: Vector | None = None, weight: float = 1.0, **values: Any) -> Entry:
    usual = {"words": "sky", "status": "ACTIVE", "scope": "USER", "tags": [], "importance": weight, "weight": weight}
    times = {"created_at": 1, "valid_from": FIRST, "valid_until": LAST, "expires_at": LAST}
    return Entry(number(index), {**usual, **times, **values}, vector)


@pytest.fixture
async def vectors(weaviate: Weaviate) -> AsyncIterator[WeaviateClient]:
    made = WeaviateClient(weaviate.url, VectorSet(f"test {DIMENSION}"))
    yield made
    await made.close()


@pytest.fixture
async def workspace(vectors: WeaviateClient) -> str:
    """A tenant that nobody has used."""
    name = secrets.token_hex(8)
    await vectors.open(name)
    return name


async def test_the_nearest_are_those_with_the_greatest_score(vectors: WeaviateClient, workspace: str) -> None:
    rng = np.random.default_rng(7)
    stored, weights = directions(500), rng.random(500)
    for start in range(0, 500, 250):
        numbers = range(start, start + 250)
        await vectors.put(workspace, [entry(n, stored[n], float(weights[n])) for n in numbers])
    for question in directions(5, seed=8):
        cosines = np.array(stored) @ question
        for shift in (1.0, 0.0, -0.4):
            scores = weights * (cosines + shift)
            best = np.argsort(-scores)[:20]
            hits = await vectors.nearest(workspace, question, shift, 20, ACTIVE)
            assert [hit.id for hit in hits] == [number(int(n)) for n in best]
            assert [hit.score for hit in hits] == pytest.approx(scores[best].tolist(), abs=1e-5)
        few = await vectors.nearest(workspace, question, -0.4, 500, ACTIVE, least=0.1)
        assert {hit.id for hit in few} == {number(int(n)) for n in np.flatnonzero(weights * (cosines - 0.4) >= 0.1)}


async def test_a_memory_without_weight_or_direction_is_still_found(vectors: WeaviateClient, workspace: str) -> None:
    await vectors.put(workspace, [entry(1, axis(0), 0.0), entry(2, axis(0) * 0), entry(3)])
    assert [hit.id for hit in await vectors.nearest(workspace, axis(0), 1.0, 10, None)] == [number(1)]
    words = await vectors.by_words(workspace, "sky", 10, None)
    assert {hit.id for hit in words} == {number(1), number(2), number(3)}


async def test_what_is_told_twice_is_told_once_and_the_last_counts(vectors: WeaviateClient, workspace: str) -> None:
    for words in ("sky", "sky", "rain"):
        await vectors.put(workspace, [entry(1, axis(0), words=words), entry(2, axis(1), words="sun")])
    assert await vectors.count(workspace) == 2
    assert await vectors.by_words(workspace, "sky", 10, None) == []
    assert [hit.id for hit in await vectors.by_words(workspace, "sky rain", 10, None)] == [number(1)]
    await vectors.put(workspace, [entry(1, axis(2), 0.5)])
    best, _ = await vectors.nearest(workspace, axis(2), 0.0, 10, None)
    assert (best.id, best.score) == (number(1), pytest.approx(0.5))
    for _ in range(2):
        await vectors.remove(workspace, [number(1), number(9)])
        assert await vectors.count(workspace) == 1


async def test_more_and_rarer_words_are_better(vectors: WeaviateClient, workspace: str) -> None:
    common = [entry(n, words="grey sky") for n in range(10)]
    await vectors.put(workspace, [*common, entry(10, words="rare sky"), entry(11, words="rare grey sky the")])
    hits = await vectors.by_words(workspace, "rare grey the", 10, None)
    assert [hit.id for hit in hits[:2]] == [number(11), number(10)]


async def test_conditions_take_part_in_choosing(vectors: WeaviateClient, workspace: str) -> None:
    many = [entry(n, axis(0), owner="a", valid_until=5) for n in range(300)]
    await vectors.put(workspace, [*many, entry(300, axis(1), 0.01, owner="b", valid_from=-7, tags=["x", "y"])])
    named = Filter.by_property
    for where in (
        named("owner").equal("b"),
        named("valid_until").greater_than(5),
        named("valid_from").greater_than(-8),
        named("importance").less_than(0.5),
        named("tags").contains_all(["y", "x"]),
        Filter.not_(named("owner").contains_any(["a"])),
    ):
        assert [hit.id for hit in await vectors.nearest(workspace, axis(0), 1.0, 5, where)] == [number(300)]
        assert [hit.id for hit in await vectors.by_words(workspace, "sky", 5, where)] == [number(300)]


async def test_workspaces_know_nothing_of_each_other(vectors: WeaviateClient, workspace: str) -> None:
    await vectors.put(workspace, [entry(1, axis(0))])
    stranger = secrets.token_hex(8)
    with pytest.raises(Missing) as missing:
        await vectors.nearest(stranger, axis(0), 1.0, 5, None)
    assert not missing.value.everything
    assert await vectors.count(stranger) == 0
    await vectors.forget(workspace)
    assert await vectors.count(workspace) == 0


@pytest.mark.parametrize("name", ["plain", "A-b_9", "a" * 65, "with space", "\u00fcber", "", "sha256-" + "0" * 40])
async def test_every_workspace_has_a_tenant(vectors: WeaviateClient, name: str) -> None:
    await vectors.open(name)
    await vectors.put(name, [entry(1)])
    assert await vectors.count(name) == 1
    await vectors.forget(name)


def test_tenants_are_told_apart() -> None:
    names = ["main", "a" * 65, "a" * 66, "a b", "a_b", "sha256-x", tenant_name("a b")]
    assert len({tenant_name(name) for name in names}) == len(names)


async def test_a_collection_that_a_stray_write_made_is_made_anew(weaviate: Weaviate) -> None:
    vectors = WeaviateClient(weaviate.url, VectorSet("test 3"))
    with pytest.raises(Missing) as missing:
        await vectors.put("main", [entry(1)])
    assert missing.value.everything
    await vectors.open("main")
    await vectors.put("main", [entry(1, np.ones(3, np.float32))])
    assert await vectors.count("main") == 1
    await vectors.close()


async def test_a_server_that_is_down_is_said_so_at_once_and_back_when_it_is(
    vectors: WeaviateClient, workspace: str, weaviate: Weaviate
) -> None:
    await vectors.put(workspace, [entry(1, axis(0))])
    weaviate.kill()
    begun = time.monotonic()
    for _ in range(5):
        with pytest.raises(Unavailable):
            await vectors.nearest(workspace, axis(0), 1.0, 5, None)
    assert vectors.breaker.state == "open"
    with pytest.raises(Unavailable):
        await vectors.latency_ms()
    assert time.monotonic() - begun < 5
    weaviate.restart()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert [hit.id for hit in await vectors.by_words(workspace, "sky", 5, None)] == [number(1)]
            break
        except Unavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    assert await vectors.latency_ms() > 0


@pytest.mark.parametrize("url", ["http://host:8080", "weaviate://", "weaviate://host:x", "weaviate://host?grpc=x", ""])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(CannotOpen, match="RECOLLECT_VECTORS_URL must look like"):
        WeaviateClient(url, VectorSet("test 4"))


async def test_an_idle_tenant_rests_and_wakes_by_use(own: Weaviate) -> None:
    vectors = WeaviateClient(f"{own.url}&idle=1", VectorSet("test 4"))
    try:
        for workspace in ("idle", "used"):
            await vectors.open(workspace)
            await vectors.put(workspace, [entry(1, axis(0))])
        await vectors.rest()
        assert await states(vectors) == {"idle": "ACTIVE", "used": "ACTIVE"}
        await asyncio.sleep(1.1)
        await vectors.nearest("used", axis(0), 1.0, 5, None)
        await vectors.rest()
        assert await states(vectors) == {"idle": "INACTIVE", "used": "ACTIVE"}
        assert [hit.id for hit in await vectors.by_words("idle", "sky", 5, None)] == [number(1)]
        assert await states(vectors) == {"idle": "ACTIVE", "used": "ACTIVE"}
        await asyncio.sleep(1.1)
        await vectors.rest()
        await vectors.put("idle", [entry(2, axis(1))])
        assert await vectors.count("idle") == 2
    finally:
        await vectors.close()


async def states(vectors: WeaviateClient) -> dict[str, str]:
    tenants = await vectors._client.collections.use(vectors.set.collection).tenants.get_by_names(["idle", "used"])
    return {name: one.activity_status.value for name, one in tenants.items()}


@pytest.mark.parametrize("words", ["nothing of that name", "Mandant unbekannt", ""])
async def test_what_is_missing_is_looked_for_and_not_told_by_words(
    own: Weaviate, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version may say it in any words."""
    monkeypatch.setattr(weaviate_client, "_sentence", lambda _error: words)
    vectors = WeaviateClient(own.url, VectorSet("test 4"))
    try:
        await vectors.prepare()
        for ask in (
            vectors.put("never made", [entry(1, axis(0))]),
            vectors.remove("never made", [number(1)]),
            vectors.nearest("never made", axis(0), 1.0, 5, None),
            vectors.by_words("never made", "sky", 5, None),
        ):
            with pytest.raises(Missing) as caught:
                await ask
            assert not caught.value.everything
        assert vectors.breaker.state == "closed"
        await vectors._client.collections.delete(vectors.set.collection)
        with pytest.raises(Missing) as caught:
            await vectors.nearest("never made", axis(0), 1.0, 5, None)
        assert caught.value.everything
    finally:
        await vectors.close()
