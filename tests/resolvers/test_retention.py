"""Retention: what is older or more than is to be kept is deleted, the oldest first."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from domain.retention import RetainedKind, RetentionPolicy, policies
from resolvers import retention, sessions
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families


async def apply(graph: Graph, *given: dict[str, Any], dry: bool = False) -> list[Any]:
    input = {"policies": list(given), "dryRun": dry}
    found = await graph.do("applyRetention", input, "removed { kind count oldest latest }")
    return [(one["kind"], one["count"], one["oldest"], one["latest"]) for one in found["removed"]]


async def there(graph: Graph) -> Any:
    asked = "{ sessions { nodes { externalId } } traceStats(groupBy: [NAME]) { groups { keys { value } } } }"
    found = await graph.data(asked)
    names = [one["keys"][0]["value"] for one in found["traceStats"]["groups"]]
    return [one["externalId"] for one in found["sessions"]["nodes"]], sorted(names)


async def fill(graph: Graph) -> list[str]:
    """A session a day, s0 being the oldest, each with a message, a memory and a trace of two spans."""
    times = []
    for day in range(4):
        session, trace = {"session": {"externalId": f"s{day}"}}, f"0{day}"
        await graph.do("createSession", {"externalId": f"s{day}"})
        said = {**session, "role": "user", "text": "quince", "externalId": f"m{day}"}
        times.append((await graph.do("addMessage", said, "message { createdAt }"))["message"]["createdAt"])
        memory = {"text": f"memory {day}", "scope": "GLOBAL", "sourceMessage": {"externalId": f"m{day}"}}
        await graph.do("createMemory", memory)
        for span in range(2):
            await graph.do("startSpan", {"traceId": trace, "spanId": f"{day}{span}", "name": f"n{day}"})
        graph.clock.forward(days=1)
    return times


async def test_by_days_and_by_count(graph: Graph) -> None:
    times = await fill(graph)
    every = (["s3", "s2", "s1", "s0"], ["n0", "n1", "n2", "n3"])
    assert await there(graph) == every
    wanted = [{"kind": "SESSIONS", "days": 2.5}, {"kind": "TRACES", "count": 1}, {"kind": "AUDIT", "days": 30}]
    before = graph.rows() if graph.family == "embedded" else None
    told = await apply(graph, *wanted, dry=True)
    assert [one[:2] for one in told] == [("SESSIONS", 2), ("TRACES", 3), ("AUDIT", 0)]
    assert [times[0][:13], times[1][:13]] == [told[0][2][:13], told[0][3][:13]]
    assert await there(graph) == every
    assert before is None or graph.rows() == before
    assert await apply(graph, *wanted) == told
    assert await there(graph) == (["s3", "s2"], ["n3"])
    found = await graph.data(
        "{ messageStats { total { count } } memoryStats { total { count } } traceStats { total { count } } }"
    )
    assert [one["total"]["count"] for one in found.values()] == [2, 4, 2], "memories stay"
    assert [one[1] for one in await apply(graph, *wanted)] == [0, 0, 0]


async def test_of_days_and_count_either_is_enough(graph: Graph) -> None:
    await fill(graph)
    assert [one[1] for one in await apply(graph, {"kind": "SESSIONS", "days": 3.5, "count": 3})] == [1]
    assert [one[1] for one in await apply(graph, {"kind": "SESSIONS", "days": 1.5, "count": 3})] == [2]
    assert [one[1] for one in await apply(graph, {"kind": "SESSIONS", "days": 30, "count": 0})] == [1]
    assert (await there(graph))[0] == []


async def test_a_session_that_goes_on_while_others_are_deleted_stays(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(graph)

    async def formed_in(*given: Any) -> Any:
        monkeypatch.undo()  # somebody speaks while the first is looked at
        await graph.do("addMessage", {"session": {"externalId": "s1"}, "role": "user", "text": "still here"})
        return await sessions.formed_in(*given)

    monkeypatch.setattr(retention, "formed_in", formed_in)
    await apply(graph, {"kind": "SESSIONS", "days": 1.5})
    assert (await there(graph))[0] == ["s3", "s1"]


async def test_the_audit_log(graph: Graph) -> None:
    await fill(graph)
    assert (await apply(graph, {"kind": "AUDIT", "days": 3.5}))[0][1] > 0
    left = await graph.data("{ auditLog(first: 200) { nodes { time } } }")
    oldest = min(one["time"] for one in left["auditLog"]["nodes"])
    assert (await apply(graph, {"kind": "AUDIT", "days": 3.5}, dry=True))[0][1] == 0
    assert oldest > "2"


async def told(graph: Graph, *given: dict[str, Any], dry: bool = True) -> list[Any]:
    """Of each policy: how many, how many bytes, why, and how many are held."""
    shown = "removed { count bytes held reasons { rule count } }"
    found = await graph.do("applyRetention", {"policies": list(given), "dryRun": dry}, shown)
    return [
        (one["count"], one["bytes"], {why["rule"]: why["count"] for why in one["reasons"]}, one["held"])
        for one in found["removed"]
    ]


async def test_each_kind_by_days_count_and_bytes_with_the_reasons(graph: Graph) -> None:
    await fill(graph)
    document = {"document": {"data": b64encode(b"x" * 1000).decode(), "filename": "a.txt"}}
    s = {"session": {"externalId": "s0"}}
    await graph.do("addMessage", {**s, "role": "user", "externalId": "file", "content": [document]})
    for step in range(3):
        await graph.do("updateSession", {**s, "contextPatch": {"set": {"step": step}}})
        graph.clock.forward(hours=1)
    said = len('[{"type":"text","text":"quince"}]{}')
    [(every, size, _, _)] = await told(graph, {"kind": "MESSAGES", "count": 0})
    assert (every, size > 5 * 20, size < 5 * 10 * said) == (5, True, True)
    wanted = [
        {"kind": "MESSAGES", "days": 2.5, "count": 4},
        {"kind": "MEMORIES", "bytes": 2 * len("memory 0{}")},
        {"kind": "CONTEXTS", "count": 1, "bytes": 0},
        {"kind": "SESSIONS", "bytes": size},
        {"kind": "TRACES", "bytes": 0},
        {"kind": "BLOBS", "bytes": 999},
        {"kind": "AUDIT", "bytes": 1e18},
    ]
    before = graph.rows() if graph.family == "embedded" else None
    found = await told(graph, *wanted)
    assert [(one[0], one[2], one[3]) for one in found] == [
        (2, {"DAYS": 2, "COUNT": 1}, 0),
        (2, {"BYTES": 2}, 0),
        (3, {"COUNT": 2, "BYTES": 3}, 0),
        (0, {"BYTES": 0}, 0),
        (4, {"BYTES": 4}, 0),
        (0, {"BYTES": 0}, 1),
        (0, {"BYTES": 0}, 0),
    ]
    assert [found[1][1], found[2][1]] == [2 * len("memory 0{}"), len("{}") + 2 * len('{"step":0}')]
    assert before is None or graph.rows() == before
    assert [one[0] for one in await told(graph, *wanted, dry=False)] == [2, 2, 3, 0, 4, 0, 0]
    assert [one[0] for one in await told(graph, *wanted)] == [0] * 7
    left = await graph.data(
        "{ sessions { nodes { messages { nodes { externalId } } } } memories { nodes { text } } blobs { totalCount } "
        'session(by: {externalId: "s0"}) { contextHistory { totalCount } } }'
    )
    kept = [one["externalId"] for of in left["sessions"]["nodes"] for one in of["messages"]["nodes"]]
    assert sorted(kept) == ["file", "m2", "m3"]
    assert sorted(one["text"] for one in left["memories"]["nodes"]) == ["memory 2", "memory 3"]
    assert (left["session"]["contextHistory"]["totalCount"], left["blobs"]["totalCount"]) == (0, 1)

    nothing = [{"kind": "MESSAGES", "count": 0}, {"kind": "BLOBS", "count": 0}]
    assert [one[0] for one in await told(graph, *nothing, dry=False)] == [3, 1], "no message shows the file any more"
    assert (await graph.data("{ blobs { totalCount } }"))["blobs"]["totalCount"] == 0


async def test_bytes_are_counted_a_page_at_a_time_and_no_further_than_they_go(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more records than a page of what is measured are held, and of these what is measured alone."""
    await graph.do("createSession", {"externalId": "s"})
    for _ in range(6):
        said = [{"role": "user", "text": "quince"}] * 5
        await graph.do("addMessages", {"session": {"externalId": "s"}, "messages": said})
        graph.clock.forward(hours=1)
    store, asked = type(graph.context.store), list[tuple[int, Any]]()
    pages = store.pages

    async def counted(self: Any, *given: Any, **more: Any) -> Any:
        found = await pages(self, *given, **more)
        asked.append((sum(len(page.nodes) for page in found), more.get("fields", [*given, None, None, None][5])))
        return found

    monkeypatch.setattr(retention, "_MEASURED", 4)
    monkeypatch.setattr(store, "pages", counted)
    one = len('[{"type":"text","text":"quince"}]{}')
    [(count, size, _, _)] = await told(graph, {"kind": "MESSAGES", "bytes": 25 * one})
    assert (count, size) == (5, 5 * one)
    assert sum(read for read, _ in asked) == 30 + 8, "all to count them, then two pages of the oldest"
    assert max(read for read, _ in asked) == 4
    assert {fields - {"created_at"} for _, fields in asked} == {frozenset({"content", "metadata"})}
    asked.clear()
    [(count, size, _, _)] = await told(graph, {"kind": "SESSIONS", "bytes": 30 * one - 1}, dry=False)
    assert (count, size) == (1, 30 * one)
    assert max(read for read, fields in asked if fields == frozenset({"content", "metadata"})) == 4


@pytest.mark.one_family
@pytest.mark.parametrize("given", [{"kind": "SESSIONS"}, {"kind": "SESSIONS", "days": 0}, {"kind": "TRACES", "days": -1}, {"kind": "TRACES", "count": -1}, {"kind": "BLOBS", "bytes": -1}])  # fmt: skip
async def test_a_policy_that_says_nothing_or_too_much_is_refused(graph: Graph, given: dict[str, Any]) -> None:
    assert (await graph.fails("applyRetention", {"policies": [given]}))[0] == "INVALID"


def test_the_setting() -> None:
    assert policies("sessions=90d  traces=0.5d,100 audit=7 blobs=1.5GB messages=2kB,9,1d") == [
        RetentionPolicy(kind=RetainedKind.SESSIONS, days=90),
        RetentionPolicy(kind=RetainedKind.TRACES, days=0.5, count=100),
        RetentionPolicy(kind=RetainedKind.AUDIT, count=7),
        RetentionPolicy(kind=RetainedKind.BLOBS, bytes=1.5e9),
        RetentionPolicy(kind=RetainedKind.MESSAGES, days=1, count=9, bytes=2e3),
    ]
    assert policies("") == []
    for wrong in (
        "sessions",
        "sessions=",
        "sessions=d",
        "sessions=,5",
        "blob=1d",
        "sessions=0d",
        "sessions=1d,",
        "sessions=99999d",
        "1d",
        "blobs=1XB",
        "blobs=1GB,2GB",
    ):
        with pytest.raises(ValueError, match=wrong):
            policies(wrong)
