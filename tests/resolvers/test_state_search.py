"""Entries of state are found by meaning where their namespace, or one above it, says what of their values is searched."""

from __future__ import annotations

from typing import Any

import pytest

from domain.state_index import StateVector
from domain.state_schema import StateSchema
from resolvers import expiry
from stores import renewal
from tests.support.graphql_client import Graph

SEARCH = """query ($n: String!, $t: String!, $f: StateFilter, $first: Int! = 10, $skip: Int! = 0) {
    searchStates(namespace: $n, query: {text: $t}, filter: $f, first: $first, skip: $skip) {
        complete hits { score entry { namespace key value } } } }"""
TEXTS = {
    "tea": {"title": "Green tea", "note": "wants water of 70 degrees", "price": 7},
    "coffee": {"title": "Espresso", "note": "coffee is ground finely for the machine", "price": 9},
    "sugar": {"title": "Health", "note": "the physician told her to stop eating sugar", "price": 0},
}


async def index(graph: Graph, namespace: str, *members: str, **more: Any) -> Any:
    given = {"namespace": namespace, "index": list(members), **more}
    return (await graph.do("setStateSchema", given, "stateSchema { index version }"))["stateSchema"]


async def keep(graph: Graph, namespace: str, **values: Any) -> None:
    entries = [{"namespace": namespace, "key": key, "value": value} for key, value in values.items()]
    await graph.do("setStates", {"entries": entries})


async def search(graph: Graph, text: str, namespace: str = "shop", **more: Any) -> Any:
    return (await graph.data(SEARCH, n=namespace, t=text, **more))["searchStates"]


async def found(graph: Graph, text: str, namespace: str = "shop", **more: Any) -> list[str]:
    answer = await search(graph, text, namespace, **more)
    assert answer["complete"]
    return [hit["entry"]["key"] for hit in answer["hits"]]


@pytest.mark.both_families
async def test_entries_are_found_by_meaning(graph: Graph) -> None:
    [error] = (await graph.ask(SEARCH, n="shop", t="tea"))["errors"]
    assert error["extensions"]["code"] == "INVALID"
    assert 'setStateSchema(input: {namespace, index: ["/title"]})' in error["message"]
    await keep(graph, "shop", **TEXTS)
    assert await index(graph, "shop", "/title", "/note", "/note") == {"index": ["/title", "/note"], "version": 1}
    assert (await found(graph, "coffee ground finely"))[0] == "coffee", "what was there is indexed"
    await keep(graph, "shop/old", kettle={"title": "A kettle", "note": "boils water for tea"}, blank={"price": 1})
    hits = (await search(graph, "eating sugar"))["hits"]
    assert hits[0]["entry"] == {"namespace": "shop", "key": "sugar", "value": TEXTS["sugar"]}
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert 0 <= hits[-1]["score"] < hits[0]["score"] <= 1
    every = await found(graph, "green tea")
    assert (every[0], sorted(every)) == ("tea", ["coffee", "kettle", "sugar", "tea"]), "a blank one says nothing"
    assert await found(graph, "green tea", first=2, skip=1) == every[1:3]
    assert await found(graph, "green tea", "shop/old") == ["kettle"]
    await index(graph, "shopping", "$")
    assert await found(graph, "green tea", "shopping/old") == []
    cheap = {"members": [{"at": "/price", "range": {"max": 8}}]}
    assert await found(graph, "espresso", f=cheap) in (["tea", "sugar"], ["sugar", "tea"])

    await keep(graph, "shop", coffee={"title": "Sold out", "note": None})
    assert (await found(graph, "espresso"))[0] != "coffee"
    await graph.do("setState", {"namespace": "shop", "key": "tea", "value": TEXTS["tea"], "indexed": False})
    assert "tea" not in await found(graph, "green tea")
    await keep(graph, "shop", tea={**TEXTS["tea"], "price": 8})
    assert "tea" not in await found(graph, "green tea"), "what is left out stays so"
    await graph.do("setState", {"namespace": "shop", "key": "tea", "value": TEXTS["tea"], "indexed": True})
    assert (await found(graph, "green tea"))[0] == "tea"
    await graph.do("deleteState", {"namespace": "shop", "key": "sugar"})
    assert "sugar" not in await found(graph, "eating sugar")

    await index(graph, "shop/old", "/title")
    await index(graph, "shop", "$")
    assert "kettle" in await found(graph, "green tea")
    await graph.do("deleteStateSchema", {"namespace": "shop"})
    assert await found(graph, "green tea") == ["kettle"], "the nearest index holds"
    await graph.do("deleteStateSchema", {"namespace": "shop/old"})
    assert await graph.context.store.scan(StateVector, None, 10) == []


async def test_what_waits_is_made_by_the_sweeper(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is cut off while an index is declared, and for entries that were imported before their vectors are."""
    await keep(graph, "shop", **TEXTS)
    with monkeypatch.context() as cut:
        cut.setattr("resolvers.state_index.cover", broken)
        asked = 'mutation { setStateSchema(input: {namespace: "shop", index: ["$"]}) { errors { code } } }'
        assert (await graph.ask(asked))["errors"]
    assert await search(graph, "green tea") == {"complete": False, "hits": []}
    assert await expiry.sweep(graph.context) == 0
    assert (await found(graph, "green tea"))[0] == "tea"
    [schema] = await graph.context.store.scan(StateSchema, None, 10)
    assert schema.due_at is None

    label = (await graph.context.store.scan(StateVector, None, 1))[0].embedder
    await renewal.outdate(graph.context.store, StateVector, "another 16")
    assert await search(graph, "green tea") == {"complete": False, "hits": []}
    await renewal.renew(graph.context.engine, graph.context.embedder)
    assert {one.embedder for one in await graph.context.store.scan(StateVector, None, 10)} == {label}
    assert (await found(graph, "green tea"))[0] == "tea"


async def broken(*given: Any) -> None:
    raise RuntimeError("cut off")


async def test_values_are_searched_as_the_newest_schema_has_them(graph: Graph) -> None:
    await index(graph, "shop", "/name")
    await keep(graph, "shop", tea={"title": "Green tea"})
    assert await found(graph, "green tea") == []
    await graph.do("setStateSchema", {"namespace": "shop", "steps": [{"rename": {"at": "/title", "to": "name"}}]})
    assert await found(graph, "green tea") == ["tea"]


@pytest.mark.both_families
async def test_in_a_transaction_and_past_its_time(graph: Graph) -> None:
    await index(graph, "shop", "/title")
    entry = {"namespace": "shop", "key": "tea", "value": {"title": "Green tea"}, "ttlSeconds": 60}
    await graph.do("transaction", {"operations": [{"setState": entry}]}, "results { operation }")
    assert await found(graph, "green tea") == ["tea"]
    graph.clock.forward(seconds=61)
    assert await found(graph, "green tea") == []
    await graph.do("setState", {**entry, "value": {"name": "blank"}})
    await expiry.sweep(graph.context)
    assert await graph.context.store.scan(StateVector, None, 10) == [], "of what took its place there is none"
    await graph.do("setState", entry)
    graph.clock.forward(seconds=50)
    await graph.data('{ state(namespace: "shop", key: "tea", refreshTtl: true) { key } }')
    graph.clock.forward(seconds=50)
    await expiry.sweep(graph.context)
    assert await found(graph, "green tea") == ["tea"]
    graph.clock.forward(seconds=50)
    await expiry.sweep(graph.context)
    assert await graph.context.store.scan(StateVector, None, 10) == []
