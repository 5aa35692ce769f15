"""Statistics: figures of groups, through GraphQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.calendar import TimeBucket
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

USAGE = "usage { inputTokens outputTokens totalTokens costUsd costSource }"
NONE: dict[str, Any] = dict.fromkeys(("inputTokens", "outputTokens", "totalTokens", "costUsd", "costSource"))


async def stats(graph: Graph, of: str, figures: str, by: str = "", **more: Any) -> Any:
    """The figures of all, and those of each group by the values of its keys."""
    filter = {"sessionStats": "SessionFilter", "messageStats": "MessageFilter", "memoryStats": "MemoryFilter"}
    given = [f"groupBy: [{by}]"] if by else []
    given += [f"{name}: {value}" for name, value in more.items() if name != "filter"]
    asked = f"query ($f: {filter.get(of, 'SpanFilter')}) {{ {of}({', '.join(['filter: $f', *given])}) {{ total {{ {figures} }}"
    asked += f" groups {{ keys {{ by value }} {figures} }} }} }}"
    found = (await graph.data(asked, f=more.get("filter")))[of]
    groups = {tuple(key["value"] for key in one.pop("keys")): one for one in found["groups"]}
    return found["total"], groups


async def span(graph: Graph, id: str, model: str | None, start: str, ms: float | None, **more: Any) -> None:
    used = {f"gen_ai.usage.{name}": more.pop(name) for name in ("input_tokens", "output_tokens") if name in more}
    told = {**used, **({"gen_ai.request.model": model} if model else {}), **more.pop("attributes", {})}
    given = {"traceId": "0a", "spanId": id, "name": f"call {id}", "attributes": told, "startedAt": start, **more}
    await graph.do("startSpan", given)
    if ms is not None:
        end = datetime.fromisoformat(start) + timedelta(milliseconds=ms)
        await graph.do("endSpan", {"traceId": "0a", "spanId": id, "endedAt": end.isoformat()})


async def test_spans_by_model(graph: Graph) -> None:
    for index, ms in enumerate([10, 20, 30, 40, None]):
        await span(graph, f"0{index}", "mini", "2026-03-28T12:00:00+00:00", ms, input_tokens=index, output_tokens=1)
    await span(graph, "09", None, "2026-03-29T12:00:00+00:00", 5)
    figures = (
        f"count running ok errors durations {{ count sumMs averageMs minMs maxMs p50Ms p90Ms p95Ms p99Ms }} {USAGE}"
    )
    total, groups = await stats(graph, "traceStats", figures, "MODEL")
    assert (total["count"], total["running"], total["ok"]) == (6, 1, 5)
    assert list(groups) == [("mini",), (None,)], "the largest group first"
    assert groups["mini",]["durations"] == {
        "count": 4, "sumMs": 100, "averageMs": 25, "minMs": 10, "maxMs": 40, "p50Ms": 20, "p90Ms": 40, "p95Ms": 40, "p99Ms": 40
    }  # fmt: skip
    assert groups["mini",]["usage"] == {**NONE, "inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    assert groups[None,]["usage"] == NONE
    _, groups = await stats(graph, "traceStats", "count", "MODEL", bucket="DAY", filter={"minDurationMs": 25})
    assert groups == {("mini", "2026-03-28"): {"count": 2}}


async def test_tokens_that_a_parent_tells_too_are_counted_once(graph: Graph) -> None:
    session = {"session": {"externalId": "s"}}
    await graph.do("createSession", {"externalId": "s"})
    day = "2026-03-28T12:00:00+00:00"
    await span(graph, "01", None, day, 9, input_tokens=30, output_tokens=3, kind="AGENT", **session)
    for id, model, tokens in (("02", "a", 10), ("03", "b", 15)):
        await span(graph, id, model, day, 9, input_tokens=tokens, output_tokens=1, parentSpanId="01", **session)
    total, groups = await stats(graph, "traceStats", USAGE, "MODEL")
    assert total["usage"] == {**NONE, "inputTokens": 30, "outputTokens": 3, "totalTokens": 33}
    assert {key: one["usage"]["inputTokens"] for key, one in groups.items()} == {("a",): 10, ("b",): 15, (None,): 5}
    asked = f'{{ session(by: {{externalId: "s"}}) {{ {USAGE} }} trace(traceId: "0a") {{ {USAGE} }} }}'
    assert await graph.data(asked) == {"session": total, "trace": total}
    sums, kinds = await stats(graph, "sessionStats", f"count {USAGE}", "KIND, STATUS")
    assert sums == {"count": 1, **total}
    assert kinds == {("CHAT", "ACTIVE"): sums}


@pytest.mark.parametrize(
    ("bucket", "zone", "labels"),
    [
        ("HOUR", "Europe/Berlin", ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-26T00:00+01:00"]),
        ("HOUR", "UTC", ["2026-10-25T00:00+00:00", "2026-10-25T01:00+00:00", "2026-10-25T23:00+00:00"]),
        ("DAY", "Europe/Berlin", ["2026-10-25", "2026-10-25", "2026-10-26"]),
        ("DAY", "Asia/Kolkata", ["2026-10-25", "2026-10-25", "2026-10-26"]),
        ("WEEK", "UTC", ["2026-10-19", "2026-10-19", "2026-10-19"]),
        ("WEEK", "Europe/Berlin", ["2026-10-19", "2026-10-19", "2026-10-26"]),
        ("MONTH", "America/Los_Angeles", ["2026-10", "2026-10", "2026-10"]),
    ],
)
async def test_buckets_are_of_the_calendar_of_a_zone(
    graph: Graph, bucket: TimeBucket, zone: str, labels: list[str]
) -> None:
    """Also on the night when clocks go back."""
    for index, start in enumerate(["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T23:30:00Z"]):
        await span(graph, f"0{index}", None, start, None)
    _, groups = await stats(graph, "traceStats", "count", bucket=bucket, zone=f'"{zone}"')
    assert list(groups) == [(label,) for label in dict.fromkeys(labels)]
    assert [one["count"] for one in groups.values()] == [labels.count(label) for label in dict.fromkeys(labels)]


@pytest.mark.parametrize(
    ("bucket", "labels"),
    [
        ("HOUR", ["0001-01-01", "9999-12-31"]),
        ("DAY", ["0001-01-01", "9999-12-31"]),
        ("WEEK", ["0001-01-01", "9999-12-27"]),
        ("MONTH", ["0001-01", "9999-12"]),
    ],
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles", "UTC"])
async def test_the_ends_of_time_are_in_buckets_too(
    graph: Graph, bucket: TimeBucket, zone: str, labels: list[str]
) -> None:
    """Each also where it is the only time there is."""
    times = ["0001-01-01T00:30:00Z", "9999-12-31T23:30:00Z"]
    for index, (start, label) in enumerate(zip(times, labels, strict=True)):
        await span(graph, f"0{index}", None, start, None, kind=["LLM", "TOOL"][index])
        only = {"kinds": [["LLM", "TOOL"][index]]}
        _, groups = await stats(graph, "traceStats", "count", bucket=bucket, zone=f'"{zone}"', filter=only)
        [((found,), figures)] = groups.items()
        assert (found[: len(label)], figures["count"]) == (label, 1)
    await span(graph, "02", None, "1969-12-31T23:30:00Z", None)
    _, groups = await stats(graph, "traceStats", "count", bucket=bucket, zone=f'"{zone}"')
    assert [one["count"] for one in groups.values()] == [1, 1, 1]


async def test_sessions_and_messages_by_who_takes_part(graph: Graph) -> None:
    for name, people in (("a", ["ada", "bob"]), ("b", ["ada"]), ("c", [])):
        taking = [{"actor": {"externalId": one}, "type": "USER"} for one in people]
        await graph.do("createSession", {"externalId": name, "kind": "PANEL", "participants": taking})
    for where, who in (("a", "ada"), ("a", "bob"), ("b", "ada")):
        sender = {"externalId": who}
        await graph.do(
            "addMessage",
            {"session": {"externalId": where}, "sender": sender, "text": "x", "externalId": f"{where}{who}"},
        )
    await graph.do("addMessage", {"session": {"externalId": "c"}, "role": "assistant", "text": "x"})
    await graph.do("redactMessage", {"message": {"externalId": "bada"}})
    await graph.do("endSession", {"session": {"externalId": "c"}})
    asked = """{ sessionStats(groupBy: [USER]) { total { count active ended archived messages } groups {
        keys { by node { ... on User { externalId } } } count messages } } }"""
    found = (await graph.data(asked))["sessionStats"]
    assert found["total"] == {"count": 3, "active": 2, "ended": 1, "archived": 0, "messages": 4}
    named = {
        (one["keys"][0]["node"] or {}).get("externalId"): (one["count"], one["messages"]) for one in found["groups"]
    }
    assert named == {"ada": (2, 3), "bob": (1, 2), None: (1, 1)}
    total, groups = await stats(graph, "messageStats", "count edited redacted", "SENDER_TYPE")
    assert total == {"count": 4, "edited": 0, "redacted": 1}
    assert {key: one["count"] for key, one in groups.items()} == {("USER",): 3, ("AGENT",): 1}
    _, groups = await stats(graph, "messageStats", "count", "USER")
    assert sorted(one["count"] for one in groups.values()) == [1, 1, 2]


async def test_memories_by_owner_and_tag(graph: Graph) -> None:
    for owner, text, tags, importance in (
        ("ada", "grün", ["x", "y"], 0.2),
        ("ada", "rot", ["x"], 0.6),
        ("bob", "b", [], 1),
    ):
        given = {"owner": {"externalId": owner}, "text": text, "tags": tags, "importance": importance}
        await graph.do("createMemory", {**given, "externalId": text})
    await graph.do("archiveMemories", {"memories": [{"externalId": "rot"}]})
    await graph.do("touchMemories", {"memories": [{"externalId": "grün"}]})
    figures = "count active archived superseded owners fullness sizeBytes averageImportance averageDecay accesses"
    total, groups = await stats(graph, "memoryStats", figures, "TAG")
    assert (total["count"], total["active"], total["archived"], total["owners"]) == (3, 2, 1, 2)
    assert (total["sizeBytes"], total["averageImportance"], total["accesses"]) == (9, pytest.approx(0.6), 1)
    assert total["fullness"] == pytest.approx(2 / (2 * graph.context.capacity))
    assert {key: one["count"] for key, one in groups.items()} == {("x",): 2, ("y",): 1, (None,): 1}
    _, groups = await stats(graph, "memoryStats", "count", "OWNER, MONTH", filter={"statuses": ["ARCHIVED"]})
    assert [one["count"] for one in groups.values()] == [1]


async def test_how_many_there_are(graph: Graph) -> None:
    fields = "sessions messages users agents memories traces spans toolExecutions annotations blobs"
    assert set((await graph.data(f"{{ stats {{ {fields} }} }}"))["stats"].values()) == {0}
    await graph.do("createSession", {"externalId": "s"})
    for text in ("a", "b"):
        await graph.do("addMessage", {"session": {"externalId": "s"}, "role": "user", "text": text})
    await graph.do("createMemory", {"owner": {"externalId": "ada"}, "text": "x"})
    await span(graph, "01", None, "2026-03-28T12:00:00Z", 5, kind="TOOL")
    found = (await graph.data(f"{{ stats {{ {fields} }} }}"))["stats"]
    assert [found[name] for name in fields.split()] == [1, 2, 1, 0, 1, 1, 1, 1, 0, 0]


async def test_nothing_is_nothing(graph: Graph) -> None:
    for of in ("sessionStats", "messageStats", "memoryStats", "traceStats"):
        assert await stats(graph, of, "count firstAt lastAt", "DAY") == (
            {"count": 0, "firstAt": None, "lastAt": None},
            {},
        )


@pytest.mark.one_family
@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "/etc/passwd", "a" * 300, "Europe"])
async def test_a_zone_that_there_is_not_is_refused(graph: Graph, zone: str) -> None:
    asked = "query ($z: String!) { traceStats(bucket: DAY, zone: $z) { total { count } } }"
    assert await graph.refusal(asked, z=zone) == ("INVALID", ["zone"])


async def test_too_many_groups_are_refused(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in ("embedded", "services"):
        monkeypatch.setattr(f"stores.{engine}.grouping.MAX_GROUPS", 2)
    for index in range(3):
        await span(graph, f"0{index}", f"m{index}", "2026-03-28T12:00:00Z", None)
    assert (await graph.refusal("{ traceStats(groupBy: [MODEL]) { groups { count } } }"))[0] == "LIMIT"
    assert (await graph.data("{ traceStats(groupBy: [KIND]) { groups { count } } }"))["traceStats"]["groups"]
