"""The cache of generations through GraphQL."""

from __future__ import annotations

import pytest

from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

FOUND = "query ($k: String!) { cachedGeneration(key: $k) { key value model tags hits expiresAt } }"


async def test_a_generation_is_cached_found_and_evicted(graph: Graph) -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "parameters": {"temperature": 0}}
    key = (await graph.data("query ($i: GenerationKeyInput!) { generationKey(input: $i) }", i=asked))["generationKey"]
    assert (await graph.data(FOUND, k=key))["cachedGeneration"] is None
    given = {"key": key, "value": {"text": "hello"}, "model": "m", "tags": ["greeting", "user:ann", "greeting"]}
    made = await graph.do("cacheGeneration", {**given, "ttlSeconds": 60}, "generation { key hits tags }")
    assert made["generation"] == {"key": key, "hits": 0, "tags": ["greeting", "user:ann"]}
    found = (await graph.data(FOUND, k=key))["cachedGeneration"]
    assert (found["value"], found["hits"], found["expiresAt"] is not None) == ({"text": "hello"}, 1, True)
    assert await graph.fails("evictGenerations", {}) == ("INVALID", ["keys"])
    assert (await graph.do("evictGenerations", {"tags": ["greeting"], "dryRun": True}, "count"))["count"] == 1
    assert (await graph.do("evictGenerations", {"tags": ["greeting"]}, "count"))["count"] == 1
    assert (await graph.data(FOUND, k=key))["cachedGeneration"] is None


async def test_erasing_somebody_evicts_what_is_tagged_with_them(graph: Graph) -> None:
    await graph.do("upsertUser", {"externalId": "ann"})
    for name in ("ann", "bob"):
        given = {"key": name, "value": f"what {name} asked for a long while", "tags": [f"user:{name}"]}
        await graph.do("cacheGeneration", given)
    stores = "report { found stores { removed } }"
    report = (await graph.do("eraseUser", {"user": {"externalId": "ann"}}, stores))["report"]
    assert (report["found"], report["stores"][0]["removed"]["generation"]) == (0, 1)
    assert (await graph.data(FOUND, k="ann"))["cachedGeneration"] is None
    assert (await graph.data(FOUND, k="bob"))["cachedGeneration"] is not None
