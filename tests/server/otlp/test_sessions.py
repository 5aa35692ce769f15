"""Which session a span belongs to does not depend on the order in which spans come."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from domain.page import Slice
from domain.session import Session
from domain.span import Span
from formats.otlp import spans as otlp
from formats.otlp.json import spans_in
from formats.recollect.jsonl import export, load
from resolvers.telemetry import receive
from stores.ports import Collection, Transaction
from tests.formats.test_recollect_jsonl import opened, source
from tests.server.otlp.test_telling import ASKED, SAID, TRACE, Door, chat, door, span

__all__ = ["door"]

SEEN = """query ($t: String!) { trace(traceId: $t) { session { externalId } usage { inputTokens } spanCount: spans {
  totalCount } spans(first: 100) { nodes { spanId session { externalId } agent { name } user { externalId } events(first: 50) { nodes { type data } } } } } }"""
FOUND = """query ($f: SpanFilter!) { spans(first: 100, filter: $f) { nodes { spanId } }
  traceStats(filter: $f) { total { count } } traces(first: 5, filter: {span: $f}) { totalCount } }"""
OF_SESSION = """query ($s: String!) { session(by: {externalId: $s}) { title lastActiveAt
  trace(first: 500) { nodes { type time span { spanId } } } spans(first: 100) { totalCount }
  traces(first: 10) { totalCount }
  toolExecutions(first: 50) { nodes { callId status startedAt span { spanId } } }
  messages(first: 500) { nodes { text senderType createdAt span { spanId } } } } }"""
SESSIONS = ("a", "b", "c")
TRACES = {"in parts": "0a" * 16, "at once": "0b" * 16}


async def seen(door: Door, name: str) -> Any:
    """What is to be the same in any order: all but the order of lines and messages that have come."""
    found = (await door.graph.data(SEEN, t=TRACES[name]))["trace"]
    told: dict[str, Any] = {"trace": found, "spans": {one["spanId"]: one for one in found.pop("spans")["nodes"]}}
    for session in SESSIONS:
        of = (await door.graph.data(OF_SESSION, s=f"{session} {name}"))["session"]
        if of is not None:
            of["toolExecutions"] = sorted(map(repr, of["toolExecutions"]["nodes"]))
            of["trace"] = sorted(map(repr, of["trace"]["nodes"]))
            of["messages"] = sorted(map(repr, of["messages"]["nodes"]))
            if not of["messages"]:
                del of["lastActiveAt"]  # when it was made
            told[session] = of
    return json.loads(json.dumps(told).replace(f" {name}", ""))


def as_called(spans: list[Any], name: str) -> list[Any]:
    """The same spans in a trace and sessions of their own."""
    told = json.dumps(spans).replace(TRACE, TRACES[name])
    for session in SESSIONS:
        told = told.replace(f'{{"stringValue": "{session}"}}', f'{{"stringValue": "{session} {name}"}}')
    return list(json.loads(told))


def tree(random: Random) -> list[Any]:
    """Spans of a tree, some of which name a session; each model call says something else."""
    found = []
    for number in range(1, random.randint(4, 12)):
        parent = None if number == 1 else random.randint(max(1, number - 3), number - 1)
        told: dict[str, Any] = {"session__id": random.choice(SESSIONS)} if random.random() < 0.4 else {}
        told |= {"user__id": f"user {number % 2}"} if random.random() < 0.3 else {}
        match random.choice(["call", "call", "call", "agent", "tool", "other"]):
            case "call":
                told |= {"gen_ai__operation__name": "chat", "gen_ai__usage__input_tokens": 10 + number}
                told |= {ASKED: chat(f"user ask {number}"), SAID: chat(f"assistant say {number}")}
            case "agent":
                told |= {"gen_ai__operation__name": "invoke_agent", "gen_ai__agent__name": f"agent {number % 2}"}
            case "tool":
                told |= {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": "ask"}
                told |= {"gen_ai__tool__call__id": f"call {number}"} if random.random() < 0.7 else {}
        events = [{"timeUnixNano": "1767225600500000000", "name": "note"}] if random.random() < 0.3 else []
        found.append(span(number, parent, at=number, lasts=30 - 2 * number, body={"events": events}, **told))
    return found


@pytest.mark.both_families
@pytest.mark.parametrize("seed", range(9))
async def test_any_order_gives_what_one_request_does(door: Door, seed: int) -> None:
    random = Random(seed)
    spans = tree(random)
    await door.spans(*as_called(spans, "at once"))
    sent = random.sample(as_called(spans, "in parts"), len(spans))
    requests = []
    while sent:
        size = random.randint(1, 3)
        requests.append(sent[:size])
        sent = sent[size:]
    if seed % 3 == 0:
        await asyncio.gather(*(door.spans(*request) for request in requests))
    for request in requests:  # what is sent again changes nothing
        await door.spans(*request)
        if random.random() < 0.3:
            await door.spans(*request)
    parts, whole = await seen(door, "in parts"), await seen(door, "at once")
    for name in whole:
        for what in whole[name]:
            assert (name, what, parts[name][what]) == (name, what, whole[name][what])
    assert parts == whole
    for field, name in (("agent", "name"), ("user", "externalId")):  # what is shown is what a filter finds
        for ref in {one[field][name] for one in whole["spans"].values() if one[field]}:
            found = await door.graph.data(FOUND, f={"traceId": TRACES["in parts"], field: {"externalId": ref}})
            ids = {id for id, one in whole["spans"].items() if one[field] and one[field][name] == ref}
            assert {one["spanId"] for one in found["spans"]["nodes"]} == ids
            assert (found["traceStats"]["total"]["count"], found["traces"]["totalCount"]) == (len(ids), 1)


CALL: dict[str, Any] = {"gen_ai__operation__name": "chat", ASKED: chat("user Tea?"), SAID: chat("assistant Yes.")}
FOLLOW = """subscription ($s: String!, $after: String) { sessionTrace(session: {externalId: $s}, after: $after) {
  node { id type span { spanId } } } }"""
LINES = "query ($s: String!) { session(by: {externalId: $s}) { traceCursor trace(first: 50) { nodes { id } } } }"


async def lines(door: Door, session: str) -> list[str]:
    found = (await door.graph.data(LINES, s=session))["session"]
    return [line["id"] for line in found["trace"]["nodes"]]


@pytest.mark.both_families
async def test_a_span_moves_with_all_that_it_told(door: Door) -> None:
    """A nearer ancestor comes last: followers of its session get the lines, and those of the other one what follows."""
    await door.spans(span(1, lasts=9, session__id="a"), span(4, 3, **CALL, gen_ai__usage__input_tokens=5))
    assert await door.talk("a") == [("USER", "Tea?"), ("AGENT", "Yes.")]
    before = await lines(door, "a")
    await door.graph.do("createSession", {"externalId": "b"})
    starts = {name: (await door.graph.data(LINES, s=name))["session"]["traceCursor"] for name in "ab"}
    async with (
        door.graph.follow(FOLLOW, s="a", after=starts["a"]) as of_a,
        door.graph.follow(FOLLOW, s="b", after=starts["b"]) as of_b,
    ):
        await door.spans(span(3, 2))
        await door.spans(span(2, 1, session__id="b"))
        told = [line["sessionTrace"]["node"] for line in await of_b.next(6)]
        await door.spans(span(5, 1))
        while (await of_a.next())[0]["sessionTrace"]["node"]["span"]["spanId"][-1] != "5":
            pass
    assert [line["span"]["spanId"][-1] for line in told][:2] == ["2", "2"]
    moved = {line["id"] for line in told if line["span"]["spanId"][-1] == "4"}
    assert moved < set(before), "lines keep their ids"
    assert (set(await lines(door, "a")) & moved, set(await lines(door, "b")) & moved) == (set(), moved)
    assert (await door.talk("a"), await door.talk("b")) == ([], [("USER", "Tea?"), ("AGENT", "Yes.")])
    titles = '{ a: session(by: {externalId: "a"}) { title } b: session(by: {externalId: "b"}) { title } }'
    assert await door.graph.data(titles) == {"a": {"title": ""}, "b": {"title": "Tea?"}}
    found = await door.read()
    assert [found[n]["session"]["externalId"] for n in (1, 2, 3, 4, 5)] == ["a", "b", "b", "b", "a"]
    usage = "query ($t: String!) { trace(traceId: $t) { session { externalId } usage { inputTokens } } }"
    assert (await door.graph.data(usage, t=TRACE))["trace"] == {
        "session": {"externalId": "a"},
        "usage": {"inputTokens": 5},
    }


@pytest.mark.both_families
async def test_what_others_say_in_the_session_stays_in_it(door: Door) -> None:
    """A call that repeats what another one said first says it alone when that has gone."""
    more: dict[str, Any] = {"gen_ai__operation__name": "chat", ASKED: chat("user Tea?", "assistant Yes.", "user Now?")}
    await door.spans(span(1, lasts=9, session__id="a"), span(3, 2, at=1, **CALL))
    await door.spans(span(4, 1, at=3, **more | {SAID: chat("assistant Soon.")}))
    await door.spans(span(2, 1, session__id="b"))
    assert await door.talk("b") == [("USER", "Tea?"), ("AGENT", "Yes.")]
    assert await door.talk("a") == [("USER", "Tea?"), ("AGENT", "Yes."), ("USER", "Now?"), ("AGENT", "Soon.")]


async def test_what_somebody_wrote_about_a_span_stays_where_they_wrote_it(door: Door) -> None:
    await door.spans(span(1, session__id="a"), span(3, 2, **CALL))
    event = {"type": "note", "traceId": TRACE, "spanId": f"{3:016x}"}
    await door.graph.do("createSession", {"externalId": "c"})
    await door.graph.do("appendTraceEvents", {"session": {"externalId": "c"}, "events": [event]})
    await door.graph.do("addMessage", {"session": {"externalId": "a"}, "role": "user", "text": "Mine"})
    await door.spans(span(2, 1, session__id="b"))
    assert len(await lines(door, "c")) == 1
    assert await door.talk("a") == [("USER", "Mine")]
    assert (await door.read())[3]["session"]["externalId"] == "b"


async def test_a_move_that_was_broken_off_is_made_good(door: Door) -> None:
    """As after a crash between two writes: the exporter sends again what was not acknowledged."""
    sent = [span(1, lasts=9, session__id="a"), span(4, 3), span(3, 2, **CALL), span(2, 1, session__id="b")]
    await door.spans(*sent)
    store = door.graph.context.store
    [a] = await store.find(Session, [("a",)])
    assert a is not None

    async def undo(tx: Transaction) -> None:
        found = await tx.find(Span, [(TRACE, f"{3:016x}"), (TRACE, f"{4:016x}")])
        await tx.put([replace(one, session_id=a.id) for one in found if one is not None])

    await store.write(undo)
    await door.spans(sent[3])
    assert [one["session"]["externalId"] for _, one in sorted((await door.read()).items())] == ["a", "b", "b", "b"]


async def test_a_copy_of_a_session_goes_on_with_its_conversation(door: Door, tmp_path: Path) -> None:
    """Each turn is there once, though the next call repeats those that came with the copy."""
    await door.spans(span(1, session__id="s", **CALL))
    await door.graph.do("createSession", {"externalId": "mine"})
    await door.graph.do("addMessage", {"session": {"externalId": "mine"}, "role": "user", "text": "Tea?"})
    said = chat("assistant Soon.")
    more: dict[str, Any] = CALL | {ASKED: chat("user Tea?", "assistant Yes.", "user Now?"), SAID: said}
    calls = [span(n, at=n, session__id=name, **more) for n, name in ((2, "s"), (3, "mine"))]
    lines = [line async for line in export(door.graph.context)]
    async with opened(tmp_path / "copy") as copy:
        await load(source(lines), copy)
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": calls}]}]}).encode()
        await receive(copy, otlp.read(spans_in(body)).reports)
        found = {name: await copy.store.find(Session, [(name,)]) for name in ("s", "mine")}
        texts = {}
        for name, [session] in found.items():
            assert session is not None
            [page] = await copy.store.pages(Collection.SESSION_MESSAGES, [session.id], Slice(10))
            texts[name] = [message.text for message in page.nodes]
    assert texts == {"s": ["Tea?", "Yes.", "Now?", "Soon."], "mine": ["Tea?"]}
