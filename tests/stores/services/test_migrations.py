"""A graph that an older program wrote becomes a current one and loses nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from domain.actor import ActorOrder, ActorOrderField, Agent
from domain.change import ChangeKind
from domain.document import DocumentChunk
from domain.link import MemoryLink
from domain.members import MemberTest
from domain.memory import Memory, MemoryFilter
from domain.message import Message, ThreadOrder, ThreadOrderField
from domain.page import OrderDirection
from domain.search import Recall, SearchMode
from domain.session import Session
from domain.span import SpanStatusCode, Trace
from domain.state import StateFilter
from domain.trace import TraceEvent
from domain.values import FloatRange, encode_json
from stores.contract.making import (
    DIMENSION,
    Clock,
    after,
    axis,
    delete,
    follow,
    keep,
    memory,
    message,
    page,
    remember,
    replace,
    say,
    session,
    span,
    state,
    talk,
    thread,
    trace,
    user,
)
from stores.contract.test_documents import blob
from stores.errors import CannotOpen
from stores.ports import ChunkSearch, Collection, Log, MessageSearch, Search
from stores.services import migrations
from stores.services.engine import ServicesEngine
from stores.services.labels import TRACE
from stores.services.migrations import VERSION
from tests.stores.services.conftest import drained
from tests.support.before import assert_holds_what_was_told, old_graph, superseded_before
from tests.support.services import open_services, run


@pytest.mark.usefixtures("real_servers")
async def test_names_get_the_form_they_are_sorted_by(tmp_path: Path) -> None:
    names = ["", "Z", "a", "\ud7ff", "\ue000", "\U0001f600"]
    engine = open_services(tmp_path, "test", 16, Clock())
    [where] = await keep(engine.workspace("main"), session())
    await keep(engine.workspace("main"), *(user(name=name) for name in reversed(names)))
    await keep(engine.workspace("main"), *(thread(where, name=name) for name in reversed(names)))
    await engine.close()
    run("MATCH (n:User|Thread) REMOVE n.name_key")
    run("MATCH (n:Recollect) SET n.version = 6, n.filled = null")
    engine = open_services(tmp_path, "test", 16, Clock())
    store = engine.workspace("main")
    by_name = ActorOrder(field=ActorOrderField.NAME, direction=OrderDirection.ASC)
    assert [one.name for one in (await page(store, Collection.USERS, order=by_name)).nodes] == names
    threads = ThreadOrder(field=ThreadOrderField.NAME)
    assert [one.name for one in (await page(store, Collection.SESSION_THREADS, where, order=threads)).nodes] == names
    await engine.close()


@pytest.mark.usefixtures("real_servers")
async def test_states_get_the_marks_by_which_members_of_their_values_are_found(tmp_path: Path) -> None:
    engine = open_services(tmp_path, "test", 16, Clock())
    values = {"low": {"n": 1, "city": {"name": "Rome"}}, "high": {"n": 9}, "text": "Rome"}
    await keep(engine.workspace("main"), *(state(key, value=encode_json(value)) for key, value in values.items()))
    await engine.close()
    run("MATCH (n:State) REMOVE n.marks")
    run("MATCH (n:Recollect) SET n.filled = [one IN n.filled WHERE one <> 'State.marks'], n.declared = 'before'")
    engine = open_services(tmp_path, "test", 16, Clock())

    async def passing(**test: Any) -> list[str]:
        asked = StateFilter(members=[MemberTest(**test)])
        return [one.key for one in (await page(engine.workspace("main"), Collection.STATES, "app", filter=asked)).nodes]

    assert await passing(at="/n", range=FloatRange(min=2)) == ["high"]
    assert await passing(at="/city/name", prefix="Ro") == ["low"]
    assert await passing(at="/city", exists=False) == ["high", "text"]
    await engine.close()


@pytest.mark.usefixtures("real_servers")
async def test_traces_get_their_sums(tmp_path: Path) -> None:
    engine = open_services(tmp_path, "test", 16, Clock())
    store = engine.workspace("main")
    used = {"inputTokens": 10}
    [talk] = await keep(store, session())
    await keep(store, *(span(trace_id="t", span_id=id, attributes=used) for id in "abc"), trace(trace_id="empty"))
    failed = {"session_id": talk.id, "status_code": SpanStatusCode.ERROR, "attributes": used}
    await keep(store, *(span(trace_id=id, span_id="a", **failed) for id in "uv"))
    await keep(store, span(trace_id="t", span_id="d", parent_span_id="a", attributes=used))
    before = await store.find(Trace, [("t",), ("empty",), ("u",)])
    [charged] = await store.get(Session, [talk.id])
    await engine.close()
    run("MATCH (n:Tally) DETACH DELETE n")
    late = [one for one in TRACE.columns[TRACE.columns.index("started_at") + 1 :] if not one.startswith("named_")]
    run(f"MATCH (n:Trace) REMOVE {', '.join(f'n.{column}' for column in late)}")
    run("MATCH (n:Session) REMOVE n.used, n.total_tokens, n.cost_usd")
    run("MATCH (n:Recollect) SET n.version = 4, n.filled = null")
    engine = open_services(tmp_path, "test", 16, Clock())
    store = engine.workspace("main")
    assert await store.find(Trace, [("t",), ("empty",), ("u",)]) == before
    assert await store.get(Session, [talk.id]) == [charged]
    assert charged is not None
    assert charged.total_tokens == 20
    await keep(store, span(trace_id="t", span_id="e", parent_span_id="b", attributes={"inputTokens": 11}))
    [after] = await store.find(Trace, [("t",)])
    assert after is not None
    assert (after.usage.input_tokens, after.span_count) == (31, 5)
    await engine.close()


@pytest.mark.usefixtures("real_servers")
async def test_lines_of_the_logs_of_changes_get_one_form_and_keep_their_places(tmp_path: Path) -> None:
    engine = open_services(tmp_path, "test", 16, Clock())
    store = engine.workspace("main")
    [fact] = await remember(store, memory(), log=ChangeKind.CREATED)
    [one] = await keep(store, session())
    await replace(store, one, message_count=1)
    logs = [Log("changes"), Log("records", "session")]
    [_, end] = await store.ends(logs)
    await engine.close()
    run("MATCH (n:Change {about: 'memory'}) SET n.memory_id = n.record REMOVE n.record, n.about")
    run(
        "MATCH (n:Change {about: 'session'}) SET n:RecordChange, n.before = coalesce(n.before, 'null'), n.after = '{}', "
        "n.place = n.place + 10, n.id = 'chg' + n.place REMOVE n:Change"
    )
    run("MATCH (w:Workspace) SET w.events = 20 REMOVE w.changes_session")
    run("CREATE CONSTRAINT change_key FOR (n:Change) REQUIRE (n.workspace, n.place) IS UNIQUE")
    run("MATCH (n:Recollect) SET n.version = 18")
    engine = open_services(tmp_path, "test", 16, Clock())
    store = engine.workspace("main")
    assert await store.ends(logs) == [1, end + 10]
    await replace(store, one, message_count=2)
    [line] = await follow(store, logs[0]).take(1)
    assert line.memory_id == fact.id
    lines = await follow(store, logs[1]).take(3)
    assert [(line.before and line.before.message_count, line.after.message_count) for line in lines] == [
        (None, 0),
        (0, 1),
        (1, 2),
    ]
    assert run("MATCH (n:RecordChange) RETURN n") == []
    await engine.close()


@pytest.fixture
def graph(real_servers: None, tmp_path: Path) -> Path:
    """The folder that stands for the graph of before."""
    old_graph(tmp_path)
    return tmp_path


def open_graph(folder: Path) -> Any:
    return open_services(folder, "test", DIMENSION, Clock())


def noted() -> tuple[int, list[str]]:
    """The version of the graph, and the properties that were given their defaults."""
    [[version, filled]] = run("MATCH (m:Recollect) RETURN m.version, m.filled")
    return version, filled


async def test_an_old_graph_reads_back_equal(graph: Path) -> None:
    for _ in range(2):
        engine = open_graph(graph)
        await assert_holds_what_was_told(engine, "graph")
        assert noted()[0] == VERSION
        await engine.close()


async def test_an_old_graph_goes_on(graph: Path) -> None:
    engine = open_graph(graph)
    store = engine.workspace("main")
    [talk] = await store.find(Session, [("talk",)])
    voice = (await page(store, Collection.SESSION_PARTICIPANTS, talk)).nodes[0]
    [said] = await say(store, talk, message(voice))
    assert said.place == talk.message_count + 1
    [fact] = await store.find(Memory, [("fact",)])
    [old] = await store.find(Message, [("said",)])
    assert old is not None
    assert old in (await store.search_messages(MessageSearch(old.text, 500))).messages
    await replace(store, fact, importance=0.9)
    assert await drained(engine)
    [found] = await store.search([Search(SearchMode.SEMANTIC, 0.5, 10, vector=axis(0))])
    assert fact.id in {one.id for one in found.candidates}
    await engine.close()


async def test_documents_of_before_there_were_chunks(graph: Path) -> None:
    engine = open_graph(graph)
    [file] = await keep(engine.workspace("main"), blob("a", "the harrow"))
    await engine.close()
    run("MATCH (n:DocumentChunk) DETACH DELETE n")
    run("MATCH (m:Recollect) SET m.version = 19")
    engine = open_graph(graph)
    [chunk] = (await engine.workspace("main").search_chunks(ChunkSearch("harrow", 10))).chunks
    assert (chunk.blob_id, chunk.text, chunk.place) == (file.id, "the harrow", 0)
    await delete(engine.workspace("main"), file)
    assert await engine.workspace("main").get(DocumentChunk, [chunk.id]) == [None]
    await engine.close()


async def test_words_of_before_they_were_made_otherwise(graph: Path) -> None:
    engine = open_graph(graph)
    store = engine.workspace("main")
    [fact] = await remember(store, memory(text="the harrow"))
    [said] = (await talk(store, "the plough"))[2]
    [file] = await keep(store, blob("a", "the scythe"))
    await engine.close()
    run("MATCH (n:Memory|Message|DocumentChunk) SET n.words = 'other', n.loose = ''")
    run("MATCH (m:Recollect) SET m.version = 20")
    engine = open_graph(graph)
    store = engine.workspace("main")
    [found] = await store.search([Search(SearchMode.TEXT, 0.0, 10, text="harrow")])
    assert [one.id for one in found.candidates] == [fact.id]
    assert (await store.search_messages(MessageSearch("plough", 10))).messages == [said]
    assert [one.blob_id for one in (await store.search_chunks(ChunkSearch("scythe", 10))).chunks] == [file.id]
    await engine.close()


async def test_a_property_that_is_declared_later_gets_its_default(graph: Path) -> None:
    run("MATCH ()-[l:LINK]->() REMOVE l.metadata")
    run("MATCH (n:Agent) REMOVE n.description")
    engine = open_graph(graph)
    store = engine.workspace("main")
    assert {bytes(link.metadata) for link in await store.scan(MemoryLink, None, 10)} == {b"{}"}
    assert [one.values() for one in run("MATCH ()-[l:LINK]->() RETURN DISTINCT l.metadata")] == [["{}"]]
    assert {agent.description for agent in await store.scan(Agent, None, 10)} == {None}
    await engine.close()


async def test_what_names_what_is_gone_names_nothing(graph: Path) -> None:
    run("MATCH (n:TraceEvent) WHERE n.parent IS NOT NULL SET n.parent = 'evt_00000000000000000000000000000000'")
    run("MATCH (n:Recall) SET n.event = 'evt_00000000000000000000000000000000'")
    engine = open_graph(graph)
    store = engine.workspace("main")
    assert {event.parent_id for event in await store.scan(TraceEvent, None, 100)} == {None}
    assert {recall.event_id for recall in await store.scan(Recall, None, 100)} == {None}
    await engine.close()


async def test_of_programs_that_start_at_once_one_migrates(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def slow(run: Any) -> None:
        ran.append(1)
        time.sleep(1)

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS[:-1], slow))
    engines = await asyncio.gather(*(asyncio.to_thread(open_graph, graph) for _ in range(3)))
    assert ran == [1]
    await assert_holds_what_was_told(engines[0], "graph")
    for engine in engines:
        await engine.close()


async def test_a_migration_that_was_broken_off_goes_on(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(run: Any) -> None:
        run("MATCH (n:Message) CREATE (:Nonsense)")
        raise CannotOpen("It was broken off.")

    run("MATCH ()-[l:LINK]->() REMOVE l.metadata")
    with monkeypatch.context() as broken, pytest.raises(CannotOpen):
        broken.setattr(migrations, "STEPS", (*migrations.STEPS[:-1], fails))
        open_graph(graph)
    assert noted() == (4, None)
    run("MATCH (n:Nonsense) DELETE n")
    engine = open_graph(graph)
    await assert_holds_what_was_told(engine, "graph")
    assert noted()[0] == VERSION
    await engine.close()


@pytest.mark.usefixtures("real_servers")
async def test_what_was_superseded_gets_the_end_of_its_validity(tmp_path: Path) -> None:
    engine = open_services(tmp_path, "test", DIMENSION, Clock())
    before, told = await superseded_before(engine.workspace("main"))
    await engine.close()
    run("MATCH (n:Recollect) SET n.version = $version", version=10)
    engine = open_services(tmp_path, "test", DIMENSION, Clock())
    store = engine.workspace("main")
    assert await store.get(Memory, before) == told
    assert isinstance(engine, ServicesEngine)
    await engine.health()  # as a server asks at its start: the relay goes on then
    assert await drained(engine)
    searched = Search(
        mode=SearchMode.SEMANTIC, threshold=0, limit=9, vector=axis(0), filter=MemoryFilter(valid_at=after(days=400))
    )
    [found] = await store.search([searched])
    assert before[0] not in [one.id for one in found.candidates]
    await engine.close()
