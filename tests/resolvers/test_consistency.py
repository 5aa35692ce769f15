"""How new what is read is at the least: @consistency, and the tokens that mutations give."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.consistency import writes_of
from stores.ports import Log
from tests.support.graphql_client import Clock, Graph, new_epoch

pytestmark = pytest.mark.both_families

AFTER = 'query($after: String) @consistency(after: $after) { state(namespace: "n", key: "k") { value } }'


async def written(graph: Graph) -> str:
    """The token of a write."""
    payload = await graph.do("setState", {"namespace": "n", "key": "k", "value": 1}, "consistencyToken")
    return str(payload["consistencyToken"])


async def test_what_was_written_is_read_by_its_token_and_by_each_level(graph: Graph) -> None:
    token = await written(graph)
    read = '{ state(namespace: "n", key: "k") { value } }'
    asked = ["level: EVENTUAL", "level: STRONG", "bounded: 0", "bounded: 60000", f'after: "{token}"']
    asked += [f'level: STRONG, after: "{token}"', f'bounded: 500, after: "{token}"', "after: null"]
    for one in asked:
        answer = await graph.data(f"query @consistency({one}) {read}")
        assert answer == {"state": {"value": 1}}, one
    found = 'mutation @consistency(level: STRONG) { recall(input: {query: {text: "tea"}}) { search { degraded } } }'
    assert (await graph.data(found))["recall"] == {"search": {"degraded": False}}


async def test_what_was_refused_has_no_token(graph: Graph) -> None:
    payload = await graph.answered("setState", {"namespace": "", "key": "k", "value": 1}, "consistencyToken")
    assert payload["errors"]
    assert payload["consistencyToken"] is None


async def test_a_token_that_is_none_or_of_elsewhere_is_refused(folder: Path, clock: Clock, family: str) -> None:
    first = Graph(folder, clock, family=family)
    await first.begin()
    token = await written(first)
    epoch = first.context.store.listing(Log("changes")).epoch
    others = ["", "x", token[:-1], token[:12], "é" * 20, writes_of("another", epoch).cursor((1,))]
    others.append(first.context.store.listing(Log("changes")).cursor((1,)))
    if family == "services":  # the folder sees all writes at once, whatever a token says
        others.append(writes_of("main", epoch).cursor((10**6,)))
    for other in others:
        assert await first.refusal(AFTER, after=other) == ("INVALID", ["consistency", "after"]), other
    await first.close()
    new_epoch(folder, family)
    second = Graph(folder, clock, family=family)
    assert await second.refusal(AFTER, after=token) == ("INVALID", ["consistency", "after"])
    assert await second.data(AFTER, after=await written(second)) == {"state": {"value": 1}}
    await second.close()


async def test_what_contradicts_itself_is_refused(graph: Graph) -> None:
    for asked in ("level: STRONG, bounded: 5", "bounded: -1"):
        code, path = await graph.refusal(f"query @consistency({asked}) {{ health {{ status }} }}")
        assert (code, path) == ("INVALID", ["consistency", "bounded"])
    wrong = await graph.ask("query($l: ConsistencyLevel) @consistency(level: $l) { health { status } }", l="FAIR")
    assert wrong["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
