"""The demo: its story, and the agent that is always at work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domain.caller import LOCAL
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryStatus, MemoryType
from domain.message import Message
from domain.search import MemoryQuery, Recall
from domain.session import CreateSessionInput, DeleteSessionInput, Session, SessionFilter, SessionKind, SessionStatus
from domain.span import Span, SpanFilter, SpanStatusCode, Trace
from domain.state import DeleteStateInput, StateEntry
from domain.trace import RECALL, TraceEvent
from domain.values import Ref, encode_json
from resolvers import lists, memories, messages, search, sessions, states, traces
from resolvers.context import Context
from server.demo import Client, fill, live, live_agent
from server.demo.remembered import KEPT, LINKS
from server.demo.story import RECALLS, SCENES
from server.service import Service, open_service
from server.settings import Settings
from stores.errors import Unavailable

LIVE = SessionFilter(metadata=encode_json({"live": True}))


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service over an empty folder."""
    service = open_service(tmp_path, Settings())
    yield service
    await service.close()


@pytest.fixture
async def context(service: Service) -> Context:
    """The view of an empty workspace."""
    return service.context(LOCAL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was filled once, for tests that only read."""
    folder = tmp_path_factory.mktemp("story")

    async def filled() -> None:
        service = open_service(folder, Settings())
        assert await fill(Client(service))
        await service.close()

    asyncio.run(filled())
    return folder


@pytest.fixture
async def story(folder: Path) -> AsyncIterator[Service]:
    """A service over that folder."""
    service = open_service(folder, Settings())
    yield service
    await service.close()


@pytest.fixture
async def told(story: Service) -> Context:
    """The view of the filled workspace."""
    return story.context(LOCAL)


async def everything(context: Context, kind: type[Any]) -> list[Any]:
    found: list[Any] = await context.store.scan(kind, None, 10_000)
    return found


async def records(service: Service) -> dict[str, int]:
    return (await service.engine.stats()).records


async def newest(context: Context, filter: SessionFilter | None = None) -> list[Session]:
    return (await lists.SESSIONS.pages(context, [lists.ROOT], first=5, filter=filter))[0].nodes


async def test_fill_writes_the_whole_story(story: Service, told: Context) -> None:
    counts = await records(story)
    links = sum(len(group.split(", ")) for row in LINKS.strip().splitlines() for group in row.split("; "))
    assert counts["session"] == len(SCENES) == 16
    assert 150 <= counts["message"] <= 250
    assert counts["memory"] == len(KEPT) >= 80
    assert counts["link"] == links >= 120
    assert counts["span"] > 100
    every = await everything(told, Session)
    assert {session.kind for session in every} == set(SessionKind)
    now = told.clock()
    assert all(session.created_at <= session.last_active_at < now for session in every)
    assert all((now - session.created_at).days < 10 for session in every)


async def test_filling_again_adds_nothing(story: Service, told: Context) -> None:
    before = await records(story)
    assert not await fill(Client(story))
    assert await records(story) == before


async def test_a_workspace_in_use_is_left_alone(service: Service, context: Context) -> None:
    await sessions.create(context, CreateSessionInput(title="Mine"))
    assert not await fill(Client(service))
    assert (await records(service))["session"] == 1


async def test_a_story_cut_short_is_finished_without_doubling(
    service: Service, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Client.write
    for stop in (1, 40, 80, 90, 100):  # in the middle of the story, then of what follows it
        left = stop

        async def write_some(client: Client, mutation: str, input: Any) -> None:
            nonlocal left
            if (left := left - 1) < 0:
                raise Unavailable("the plug was pulled")
            await write(client, mutation, input)

        monkeypatch.setattr(Client, "write", write_some)
        with pytest.raises(Unavailable):
            await fill(Client(service))
        monkeypatch.undo()
    assert await fill(Client(service))
    cut_short = await records(service)
    assert cut_short["session"] == len(SCENES)
    events = await everything(context, TraceEvent)
    assert sum(event.type == RECALL for event in events) == len(RECALLS)


async def test_everything_that_is_named_is_there(told: Context) -> None:
    kept = {memory.id: memory for memory in await everything(told, Memory)}
    said = await everything(told, Message)
    ids = {message.id for message in said}
    assert all(memory.source_message_id or memory.external_source for memory in kept.values())
    assert all(memory.source_message_id in ids for memory in kept.values() if memory.source_message_id)
    refs = [ref for of in await messages.memory_refs(told, said) for ref in of]
    assert len(refs) > 40
    assert all(ref.memory_id in kept and ref.score for ref in refs)
    for link in await everything(told, MemoryLink):
        assert link.source_id in kept
        assert link.target_id in kept
    for event in await everything(told, TraceEvent):
        assert event.message_id is None or event.message_id in ids
        assert set(event.memory_ids) <= kept.keys()


async def test_the_memories_are_of_all_sorts(told: Context) -> None:
    kept: list[Memory] = await everything(told, Memory)
    links: list[MemoryLink] = await everything(told, MemoryLink)
    assert {memory.type for memory in kept} == set(MemoryType)
    assert len({memory.scope for memory in kept}) == 3
    assert len({memory.owner_id for memory in kept}) == 8
    assert {link.kind for link in links} == set(MemoryLinkKind)
    replaced = {link.target_id for link in links if link.kind is MemoryLinkKind.SUPERSEDES}
    assert {memory.id for memory in kept if memory.status is MemoryStatus.SUPERSEDED} == replaced
    assert len({round(memory.decay_factor, 2) for memory in kept}) > 8
    assert len(replaced) == 3
    revised = await memories.memory(told, Ref(external_id="next-step"))
    assert revised is not None
    history = (await lists.MEMORY_HISTORY.pages(told, [revised.id]))[0].nodes
    assert [version.text for version in history] == ["Delay mails: be warm, and say what happens next."]


async def test_every_tool_call_has_its_answer(told: Context) -> None:
    said: list[Message] = await everything(told, Message)
    calls = [call for message in said for call in message.tool_calls]
    answers = await messages.responses(told, calls)
    assert len(calls) > 25
    assert all(answers)
    assert sum(answer.is_error for answer in answers if answer) == 2


async def test_traces_are_trees_with_usage(told: Context) -> None:
    spans: list[Span] = await everything(told, Span)
    parents = await traces.span_parents(told, spans)
    for span, parent in zip(spans, parents, strict=True):
        assert span.ended_at is not None
        assert (parent is None) == (span.kind.value == "AGENT")
        if parent is not None and parent.ended_at is not None:
            assert parent.started_at <= span.started_at <= span.ended_at <= parent.ended_at
    assert sum(span.status_code is SpanStatusCode.ERROR for span in spans) == 2
    every = await everything(told, Trace)
    whole = [await traces.trace(told, trace.trace_id) for trace in every]
    assert all(trace and trace.usage.total_tokens and trace.duration_ms for trace in whole)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("black tea", {"mara-black-tea", "assam-malty", "milk-ceylon"}),
        ("parcel delay", {"jonas-late-second", "delays-six", "delay-cluster"}),
        ("refund policy", {"refund-30", "refund-opened", "refund-sentence"}),
        ("where does Mara live", {"mara-hafenweg"}),
    ],
)
async def test_search_finds_what_one_would_expect(told: Context, text: str, expected: set[str]) -> None:
    found = await search.search(told, MemoryQuery(text=text), first=8)
    assert expected <= {hit.memory.external_id for hit in found.hits}
    assert found.hits[0].memory.external_id in expected


async def work(context: Context, enough: Callable[[], Awaitable[object]]) -> None:
    """Lets the agent work until it is enough."""
    agent = asyncio.create_task(live_agent(context, pause=0.002, random=Random(7)))
    for _ in range(1000):
        if await enough():
            break
        await asyncio.sleep(0.02)
    agent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await agent

    async def nothing(tx: Any) -> None: ...

    await context.store.write(nothing)  # behind what was broken off, and may be written all the same


def at_least(context: Context, messages: int) -> Callable[[], Awaitable[object]]:
    """Whether the newest live session has so many messages."""

    async def enough() -> bool:
        found = await newest(context, LIVE)
        return bool(found) and found[0].message_count >= messages

    return enough


async def test_the_live_session_comes_first_and_grows(service: Service, context: Context) -> None:
    await fill(Client(service))
    await work(context, at_least(context, 16))
    session = (await newest(context))[0]
    assert session.external_id == "demo-live"
    assert session.title.startswith("Live: ")
    events = (await lists.SESSION_TRACE.pages(context, [session.id], first=1000))[0].nodes
    assert {"span_start", "span_end", RECALL, "tool_call", "answered"} <= {event.type for event in events}
    spans = (await lists.SESSION_SPANS.pages(context, [session.id], first=1000))[0].nodes
    assert {span.kind.value for span in spans} == {"AGENT", "RETRIEVER", "TOOL", "LLM"}
    assert all(span.usage.total_tokens for span in spans if span.kind.value == "LLM" and span.ended_at)
    said = (await lists.SESSION_MESSAGES.pages(context, [session.id]))[0].nodes
    assert any(await messages.memory_refs(context, said))
    calls = [call for message in said[:-4] for call in message.tool_calls]
    assert all(await messages.responses(context, calls))


async def test_started_again_it_goes_on_and_closes_what_was_open(context: Context) -> None:
    await work(context, at_least(context, 2))
    [before] = await newest(context, LIVE)
    await work(context, at_least(context, before.message_count + 4))
    [after] = await newest(context, LIVE)
    assert after.id == before.id
    running = await lists.SPANS.pages(context, [lists.ROOT], filter=SpanFilter(running=True))
    assert len({span.trace_id for span in running[0].nodes}) <= 1  # of the turn that was just broken off


async def test_it_bounds_what_it_makes(service: Service, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MESSAGES_A_SESSION", 4)
    monkeypatch.setattr(live, "_FORMED", 1.0)
    await fill(Client(service))

    async def forgotten() -> bool:
        found = await newest(context, LIVE)
        return bool(found) and found[0].external_id == "demo-live-6"

    await work(context, forgotten)
    kept = await newest(context, LIVE)
    assert [session.external_id for session in kept[1:3]] == ["demo-live-5", "demo-live-4"]
    assert len(kept) <= live.SESSIONS_KEPT + 1
    assert all(session.status is SessionStatus.ENDED for session in kept[1:])
    formed = [memory for memory in await everything(context, Memory) if "live" in memory.tags]
    assert formed
    assert {memory.session_id for memory in formed} <= {session.id for session in kept}
    assert any(page.nodes for page in await lists.MEMORY_LINKS.pages(context, [memory.id for memory in formed]))
    assert all(recall.session_id for recall in await everything(context, Recall))


async def test_it_survives_failures(
    context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write, writes = context.store.write, 0

    async def flaky(script: Any) -> Any:
        nonlocal writes
        if (writes := writes + 1) % 30 == 0:
            raise Unavailable("the disk is full")
        return await write(script)

    monkeypatch.setattr(context.store, "write", flaky)
    with caplog.at_level(logging.WARNING, "recollect"):
        await work(context, at_least(context, 16))
    assert "goes on later: the disk is full" in caplog.text


async def test_it_begins_anew_when_its_session_is_deleted(context: Context) -> None:
    await work(context, at_least(context, 1))
    [before] = await newest(context, LIVE)
    deleted = False

    async def another() -> bool:
        nonlocal deleted
        if not deleted:
            await sessions.delete(context, DeleteSessionInput(session=Ref(id=before.id)))
            deleted = True
        return any(session.id != before.id for session in await newest(context, LIVE))

    await work(context, another)
    assert (await newest(context, LIVE))[0].id != before.id


async def test_the_mark_is_a_state_entry(service: Service, context: Context) -> None:
    await fill(Client(service))
    entries: list[StateEntry] = await everything(context, StateEntry)
    assert {entry.namespace for entry in entries} == {"iris", "shop", "workflow:restock", "demo"}
    await states.delete(context, DeleteStateInput(namespace="demo", key="filled"))
    before = await records(service)
    assert await fill(Client(service))  # goes through the end again, and finds all of it done
    assert await records(service) == {**before, "state": before["state"] + 1}
