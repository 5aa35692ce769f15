"""The trash: a deleted session is nowhere, and comes back whole, for a while."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from domain.blob import Blob
from domain.caller import LOCAL
from domain.trash import TrashedBlob, TrashedPart, TrashedSession
from formats.recollect import jsonl
from resolvers import blobs
from resolvers.expiry import sweep
from tests.support.graphql_client import Graph
from tests.support.tenants import OURS, Tenant

pytestmark = pytest.mark.both_families

KINDS = ("s", "panel", "flow", "play")
TRASHED = "{ trashedSessions { totalCount nodes { sessionId externalId title messageCount deletedAt expiresAt } } }"


SHOWN = """{
  session(by: {externalId: "s"}) {
    usage { totalTokens } memories { nodes { id source { __typename } } }
    messages { nodes { id parent { id } memoryRefs { memory { id } note } trace { nodes { type } } } }
    trace { nodes { id type parent { id } } } traces { nodes { id traceId root { id } spans { nodes { id } } } }
    ... on ChatSession { documents { nodes { id } } }
  }
  sessions { totalCount nodes { id } }
  memories { nodes { id formation { chunk { id } } } }
  searchMessages(text: "tea") { edges { node { id } } }
  blobs { nodes { id attachments { totalCount } } }
}"""


def ref(name: str) -> dict[str, Any]:
    return {"session": {"externalId": name}}


async def trashed(graph: Graph) -> list[Any]:
    return [one["externalId"] for one in (await graph.data(TRASHED))["trashedSessions"]["nodes"]]


async def test_everything_of_a_session_goes_and_comes_back(graph: Graph) -> None:
    """What an export has is the same again, to the letter: ids, places, references, and what others had of it."""
    world = Tenant(graph, LOCAL, OURS)
    await world.fill()
    whole = await world.look()
    world.context.trash_days = graph.context.trash_days = 2.0
    before = {one["record"]["id"] for one in whole if "id" in one["record"]}
    looked = await graph.data(SHOWN)
    for name in KINDS:
        await world.do("deleteSession", ref(name))
    assert await trashed(graph) == ["play", "flow", "panel", "s", "trashed"]
    left = await world.look()
    kinds = {one["type"] for one in left}
    assert not kinds & {"session", "message", "event", "span", "trace", "participant", "toolExecution", "decision"}
    gone = before - {one["record"]["id"] for one in left if "id" in one["record"]}
    nodes = await graph.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=sorted(gone))
    assert len(gone) > 30
    assert {*map(str, nodes["nodes"])} == {"None"}
    for name in ("flow", "s", "play", "panel"):
        await world.do("restoreSession", ref(name))
    assert await trashed(graph) == ["trashed"]
    assert await world.look() == whole
    assert await graph.data(SHOWN) == looked
    assert len(await graph.context.store.scan(TrashedPart, None, 9)) == 1


async def told(graph: Graph, *names: str) -> None:
    """A session of each name, with a message of ann and a memory formed from it."""
    graph.context.trash_days = 2.0
    for name in names:
        people = [{"actor": {"externalId": "ann"}}]
        await graph.do("createSession", {"externalId": name, "title": f"about {name}", "participants": people})
        said = {
            "externalId": f"m {name}",
            "sender": {"externalId": "ann"},
            "text": f"the gate of {name} opens at seven",
        }
        await graph.do("addMessage", {**ref(name), **said})
        made = {"externalId": f"of {name}", "text": f"{name}: seven o'clock, the gate", "scope": "GLOBAL"}
        await graph.do("createMemory", {**made, "sourceMessage": {"externalId": f"m {name}"}})


async def test_it_is_told_when_it_goes_and_goes_then(graph: Graph) -> None:
    await told(graph, "a", "b")
    await graph.do("updateSession", {**ref("b"), "ttlSeconds": 3600})
    for name in "ab":
        await graph.do("deleteSession", {**ref(name), "dryRun": True})
        assert await trashed(graph) == []
    for name in "ab":
        await graph.do("deleteSession", ref(name))
    b, a = (await graph.data(TRASHED))["trashedSessions"]["nodes"]
    assert (a["title"], a["messageCount"], a["deletedAt"][:10], a["expiresAt"][:10]) == (
        "about a",
        1,
        "2026-03-01",
        "2026-03-03",
    )
    assert b["expiresAt"][:13] == "2026-03-01T13", "its own time is over before"
    graph.clock.forward(hours=2)
    assert await trashed(graph) == ["a"]
    assert await graph.fails("restoreSession", ref("b")) == ("NOT_FOUND", ["session"])
    graph.clock.forward(days=2)
    assert await trashed(graph) == []
    assert await sweep(graph.context) == 2
    for kind in (TrashedSession, TrashedPart, TrashedBlob):
        assert await graph.context.store.scan(kind, None, 9) == []


async def test_a_name_that_is_taken_meanwhile_refuses_all_of_it(graph: Graph) -> None:
    await told(graph, "a")
    await graph.do("deleteSession", ref("a"))
    assert await graph.fails("deleteSession", ref("a")) == ("NOT_FOUND", ["session"])
    await graph.do("createSession", {"externalId": "a"})
    assert await graph.fails("restoreSession", ref("a")) == ("DUPLICATE", ["session"])
    await graph.do("deleteSession", ref("a"))
    assert await trashed(graph) == ["a", "a"]
    assert (await graph.do("restoreSession", ref("a"), "session { messageCount }"))["session"]["messageCount"] == 0
    [first] = (await graph.data(TRASHED))["trashedSessions"]["nodes"]
    await graph.do("createSession", {"externalId": "other"})
    await graph.do("addMessage", {**ref("other"), "externalId": "m a", "role": "user", "text": "taken"})
    await graph.do("deleteSession", ref("a"))
    by_id = {"session": {"id": first["sessionId"]}}
    assert await graph.fails("restoreSession", by_id) == ("DUPLICATE", ["session"])
    await graph.do("deleteSession", ref("other"))
    await graph.do("restoreSession", by_id)
    assert await trashed(graph) == ["other", "a"]
    assert await graph.fails("emptyTrash", {"sessions": [{"externalId": "other"}, {"id": "ses_0"}]}) == (
        "NOT_FOUND",
        ["sessions", "1"],
    )
    assert (await graph.do("emptyTrash", {"dryRun": True}, "count"))["count"] == 2
    assert (await graph.do("emptyTrash", {"sessions": [{"externalId": "other"}]}, "count"))["count"] == 1
    assert await trashed(graph) == ["a"]
    assert (await graph.do("emptyTrash", {}, "count sizeBytes"))["sizeBytes"] > 100
    assert await trashed(graph) == []
    assert await graph.context.store.scan(TrashedPart, None, 9) == []


async def test_its_files_go_with_it_and_come_back(graph: Graph) -> None:
    """What another one shows stays, and what a memory was formed of; of the others no search has a word, and their bytes
    outlast the sweep."""
    await told(graph, "a", "b")
    graph.context.trash_days = 10_000
    alone, shared, formed, again = (
        f"{word} of the harbour".encode() for word in ("alone", "shared", "formed", "again")
    )
    parts = [
        {"document": {"data": b64encode(data).decode(), "text": data.decode()}}
        for data in (alone, shared, formed, again)
    ]
    for name, some in (("a", parts), ("b", parts[1:2])):
        await graph.do("addMessage", {**ref(name), "role": "user", "content": some})
    await graph.do(
        "formMemory", {"blobs": [{"externalId": sha256(formed).hexdigest()}], "text": "x", "scope": "GLOBAL"}
    )
    whole = await texts(graph)
    assert whole == ["again of the harbour", "alone of the harbour", "formed of the harbour", "shared of the harbour"]
    shown = '{ session(by: {externalId: "a"}) { ... on ChatSession { documents { nodes { text url } } } } }'
    before = (await graph.data(shown))["session"]["documents"]["nodes"]
    await graph.do("deleteSession", ref("a"))
    assert await texts(graph) == whole[2:]
    graph.clock.forward(days=4_000)
    await blobs.sweep(graph.context, 1.0)
    assert await texts(graph) == whole[2:]
    await graph.do("addMessage", {**ref("b"), "role": "user", "content": parts[3:]})
    await graph.do("restoreSession", ref("a"))
    assert await texts(graph) == whole
    after = (await graph.data(shown))["session"]["documents"]["nodes"]
    assert [one["text"] for one in after] == [one["text"] for one in before]
    assert [one["url"] for one in after][:3] == [one["url"] for one in before][:3]
    assert after[3]["url"] != before[3]["url"], "the same bytes came again meanwhile"
    [stored] = await graph.context.store.find(Blob, [(sha256(alone).hexdigest(),)])
    assert stored is not None
    pieces = graph.context.intake.blobs.read(LOCAL.workspace, stored.stored_as, 0, stored.size_bytes)
    assert b"".join([one async for one in pieces]) == alone
    await graph.do("deleteSession", ref("a"))
    await graph.do("emptyTrash", {})
    graph.clock.forward(days=4_000)
    await blobs.sweep(graph.context, 1.0)
    with pytest.raises(KeyError):
        [one async for one in graph.context.intake.blobs.read(LOCAL.workspace, stored.stored_as, 0, 1)]


async def test_files_of_a_session_that_is_erased_go_with_it(graph: Graph) -> None:
    await told(graph, "live", "trashed")
    for name in ("live", "trashed"):
        data = f"{name} of the harbour".encode()
        part = {"document": {"data": b64encode(data).decode()}}
        await graph.do("addMessage", {**ref(name), "role": "user", "content": [part]})
        if name == "trashed":
            await graph.do("deleteSession", ref(name))
        report = (await graph.do("eraseSession", ref(name), "report { found stores { store removed } }"))["report"]
        assert [one["removed"] for one in report["stores"] if one["store"] == "blobs"] == [{"blob": 1}]
        assert report["found"] == 0
        assert await texts(graph) == []
        folder = graph.context.intake.blobs.staging.parent
        assert data not in [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def texts(graph: Graph) -> list[str]:
    found = await graph.data('{ searchDocuments(text: "harbour", mode: TEXT) { hits { chunk { text } } } }')
    return sorted(one["chunk"]["text"] for one in found["searchDocuments"]["hits"])


@pytest.mark.parametrize("erased", ["session", "user"])
async def test_an_erasure_takes_it_out_of_the_trash(graph: Graph, erased: str) -> None:
    await told(graph, "a", "b")
    await graph.do("createSession", {"externalId": "c"})
    for name in "abc":
        await graph.do("deleteSession", ref(name))
    what = ("eraseSession", ref("a")) if erased == "session" else ("eraseUser", {"user": {"externalId": "ann"}})
    report = "report { searchedFor elsewhere found stores { removed } }"
    dry = (await graph.do(what[0], {**what[1], "dryRun": True}, report))["report"]
    assert await trashed(graph) == ["c", "b", "a"]
    done = (await graph.do(*what, report))["report"]
    assert await trashed(graph) == (["c", "b"] if erased == "session" else ["c"])
    assert done["found"] == done["elsewhere"] == 0
    assert done["searchedFor"] >= 2
    assert done["stores"][0]["removed"] == dry["stores"][0]["removed"]
    assert done["stores"][0]["removed"]["trashed_session"] == (1 if erased == "session" else 2)
    left = await graph.data("{ memories { nodes { externalId } } }")
    assert [one["externalId"] for one in left["memories"]["nodes"]] == (["of b"] if erased == "session" else [])
    assert await graph.fails("restoreSession", ref("a")) == ("NOT_FOUND", ["session"])


async def test_what_was_deleted_meanwhile_stays_away(graph: Graph) -> None:
    await told(graph, "a", "b")
    drew = [{"memory": {"externalId": name}} for name in ("of a", "of b")]
    await graph.do("addMessage", {**ref("a"), "role": "user", "text": "so", "externalId": "drew", "memoryRefs": drew})
    events = [{"type": "elsewhere", "message": {"externalId": "m a"}}]
    await graph.do("appendTraceEvents", {**ref("b"), "events": events})
    await graph.do("appendTraceEvents", {**ref("a"), "events": [{"type": "here"}]})
    await graph.do("deleteSession", ref("a"))
    trace = '{ session(by: {externalId: "b"}) { trace { nodes { type } } } }'
    assert (await graph.data(trace))["session"]["trace"]["nodes"] == []
    graph.context.trash_days = 0.0
    await graph.do("deleteSession", ref("b"))
    await graph.do("deleteMemories", {"memories": [{"externalId": "of b"}]})
    await graph.do("restoreSession", ref("a"))
    asked = '{ session(by: {externalId: "a"}) { trace { nodes { type } } messages { nodes { memoryRefs { memory { externalId } } } } } }'
    found = (await graph.data(asked))["session"]
    assert found["trace"]["nodes"] == [{"type": "here"}]
    assert [one["memoryRefs"] for one in found["messages"]["nodes"]] == [[], [{"memory": {"externalId": "of a"}}]]


async def test_followers_see_it_go_and_come_back(graph: Graph) -> None:
    await told(graph, "a")
    asked = "subscription ($after: String) { sessionChanges(after: $after) { kind session { externalId } } }"
    start = (await graph.data("{ sessionCursor }"))["sessionCursor"]
    async with graph.follow(asked, after=start) as changes:
        await graph.do("deleteSession", ref("a"))
        await graph.do("restoreSession", ref("a"))
        told_of = await changes.next(2)
    assert [one["sessionChanges"]["kind"] for one in told_of] == ["DELETED", "CREATED"]


async def test_a_session_that_an_import_has_brought_back_can_be_deleted_again(graph: Graph) -> None:
    graph.context.trash_days = 2.0
    s = ref("s")
    await graph.do("createSession", {"externalId": "s"})
    part = {"document": {"data": b64encode(b"the letter").decode()}}
    await graph.do("addMessage", {**s, "role": "user", "content": [part]})
    lines = [line async for line in jsonl.export(graph.context)]
    await graph.do("deleteSession", s)
    await jsonl.load(lambda: lines, graph.context)
    assert await graph.fails("restoreSession", s) == ("DUPLICATE", ["session"])
    await graph.do("addMessage", {**s, "role": "user", "text": "later"})
    await graph.do("deleteSession", s)
    found = await graph.data("{ trashedSessions { nodes { messageCount } } }")
    assert found["trashedSessions"]["nodes"] == [{"messageCount": 2}]
    await graph.do("restoreSession", s)
    shown = (
        '{ session(by: {externalId: "s"}) { messages { totalCount } ... on ChatSession { documents { totalCount } } } }'
    )
    assert (await graph.data(shown))["session"] == {"messages": {"totalCount": 2}, "documents": {"totalCount": 1}}
