"""Sessions with a time to live are gone when it is over, and what hangs on them goes with the sweep."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from domain.caller import LOCAL
from resolvers.expiry import sweep
from stores.errors import Unavailable
from tests.support.graphql_client import Graph
from tests.support.tenants import OURS, Tenant

pytestmark = pytest.mark.both_families

S = {"session": {"externalId": "s"}}


async def there(graph: Graph) -> list[Any]:
    found = await graph.data("{ sessions { totalCount nodes { externalId } } }")
    one = await graph.data('{ session(by: {externalId: "s"}) { externalId } }')
    assert (one["session"] is not None) == ({"externalId": "s"} in found["sessions"]["nodes"])
    assert found["sessions"]["totalCount"] == len(found["sessions"]["nodes"])
    return [one["externalId"] for one in found["sessions"]["nodes"]]


async def test_it_is_gone_before_the_sweep_with_what_hangs_on_it(graph: Graph) -> None:
    made = await graph.do("createSession", {"externalId": "s", "ttlSeconds": 60}, "session { id expiresAt createdAt }")
    await graph.do("createSession", {"externalId": "t"})
    await graph.do("addMessage", {**S, "role": "user", "text": "quince", "externalId": "m"})
    await graph.do("appendTraceEvents", {**S, "events": [{"type": "note"}]})
    await graph.do(
        "createMemory", {"text": "quinces", "scope": "GLOBAL", "sourceMessage": {"externalId": "m"}, "externalId": "f"}
    )
    assert made["session"]["expiresAt"] > made["session"]["createdAt"]
    graph.clock.forward(seconds=59)
    assert await there(graph) == ["t", "s"]
    graph.clock.forward(seconds=1)
    assert await there(graph) == ["t"]
    assert (await graph.fails("addMessage", {**S, "role": "user", "text": "x"}))[0] == "NOT_FOUND"
    assert await sweep(graph.context) == 0
    assert (await graph.data("{ messageStats { total { count } } }"))["messageStats"]["total"]["count"] == 0
    found = await graph.data('{ memory(by: {externalId: "f"}) { text source { __typename } } }')
    assert found["memory"] == {"text": "quinces", "source": None}


KINDS = ("s", "panel", "flow", "play")


async def test_no_read_finds_anything_of_it_before_the_sweep(graph: Graph) -> None:
    """The first look after its time is over, by ids: all that an export has then, and nothing else, is there."""
    world = Tenant(graph, LOCAL, OURS)
    await world.fill()
    paper = {"document": {"data": b64encode(b"A pamphlet of quinces.").decode(), "filename": "a.txt"}}
    await graph.do("addMessage", {**S, "role": "user", "content": [paper], "externalId": "paper"})
    await world.look()
    before = [id for some in world.ids.values() for id in some]
    asked = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } searchDocuments(text: "quinces", mode: TEXT) { hits { score } } }'
    seen = await graph.data(asked, ids=before)
    assert len(seen["searchDocuments"]["hits"]) == 1
    shown = {one["id"] for one in seen["nodes"] if one}
    for name in KINDS:
        await graph.do("updateSession", {"session": {"externalId": name}, "ttlSeconds": 60})
    graph.clock.forward(seconds=60)
    seen = await graph.data(asked, ids=before)
    assert seen["searchDocuments"]["hits"] == []
    left = await world.look()
    there = {id for some in world.ids.values() for id in some}
    assert {one["id"] for one in seen["nodes"] if one} == shown & there
    assert len(shown - there) > 30
    kinds = {one["type"] for one in left}
    assert not kinds & {"session", "message", "event", "span", "trace", "participant", "toolExecution", "decision"}
    assert await sweep(graph.context) == 0


async def test_its_name_is_free_at_once(graph: Graph) -> None:
    old = (await graph.do("createSession", {"externalId": "s", "ttlSeconds": 60}, "session { id }"))["session"]
    assert await graph.fails("createSession", {"externalId": "s"}) == ("DUPLICATE", ["externalId"])
    graph.clock.forward(seconds=60)
    new = (await graph.do("createSession", {"externalId": "s"}, "session { id }"))["session"]
    assert new != old
    await graph.do("addMessage", {**S, "role": "user", "text": "kept"})
    assert await sweep(graph.context) == 0
    found = await graph.data('{ session(by: {externalId: "s"}) { id messageCount expiresAt } }')
    assert found["session"] == {**new, "messageCount": 1, "expiresAt": None}


@pytest.mark.parametrize(("ttl", "seconds"), [(600, 600), (None, None)])
async def test_it_can_be_given_more_time(graph: Graph, ttl: int | None, seconds: int | None) -> None:
    await graph.do("createSession", {"externalId": "s", "ttlSeconds": 60})
    graph.clock.forward(seconds=30)
    changed = await graph.do("updateSession", {**S, "ttlSeconds": ttl}, "session { expiresAt version }")
    assert (changed["session"]["expiresAt"] is None) == (seconds is None)
    graph.clock.forward(seconds=60)
    assert await there(graph) == ["s"]
    assert await sweep(graph.context) == 0
    graph.clock.forward(days=1)
    assert await there(graph) == ([] if seconds else ["s"])


@pytest.mark.one_family
@pytest.mark.parametrize("ttl", [0, -1, 10**12])
async def test_a_time_to_live_that_cannot_be_is_refused(graph: Graph, ttl: int) -> None:
    asked = {"externalId": "s", "ttlSeconds": ttl}
    answer = await graph.ask(
        "mutation ($i: CreateSessionInput!) { createSession(input: $i) { errors { code path } } }", i=asked
    )
    told = str(answer)
    assert "ttlSeconds" in told
    assert await there(graph) == []


@pytest.mark.one_family
async def test_a_store_that_does_not_answer_keeps_nothing_else_from_being_asked(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_store: object, _until: object) -> None:
        raise Unavailable("gone", 100)

    monkeypatch.setattr(type(graph.context.store), "ending", away)
    assert (await graph.data("{ viewer { name } health { status } }"))["health"]["status"] == "healthy"
