"""How Neo4j answers every statement there is: from indexes, whatever else the database holds.

The statements are recorded while everything that the store can be asked is asked, from the catalogues, so a new kind,
list, order or filter is among them. Then the database is filled with other workspaces, and each is explained. To plan a
statement takes 0.2 s, so what the contract suite runs in any case is recorded without being run.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from domain.annotation import AnnotationOrderField
from domain.blob import Blob, BlobFilter
from domain.change import ChangeKind
from domain.context_version import ContextVersion, ContextVersionOrder, ContextVersionOrderField
from domain.document import DocumentChunk
from domain.graph import Exploration, GraphInclude
from domain.link import LinkDirection, MemoryLinkKind
from domain.memory import Memory, MemoryFilter
from domain.message import MemoryRef, Message, ToolCall, ToolResponse
from domain.node import Id
from domain.page import OrderDirection, Slice
from domain.search import SearchMode
from domain.session import SessionOrderField
from domain.span import SpanOrderField, TraceOrderField
from domain.state import StateEntry, StateFilter
from domain.tally import Tally
from domain.tool_execution import ToolExecution, ToolExecutionOrderField
from domain.trace import TraceFilter
from domain.values import Ref, TimeRange, encode_json
from stores.catalogue.kinds import KINDS, kind
from stores.contract import making as m
from stores.contract.filling import FILLINGS, fill
from stores.contract.test_documents import blob
from stores.contract.test_grouping import CASES
from stores.contract.test_operators import LISTS, single
from stores.contract.test_operators import Records as Made
from stores.contract.turns import in_turn, turn
from stores.open import open_engine
from stores.orders import OF_A_TRACE, CountKey, default_order
from stores.ports import (
    By,
    ChunkSearch,
    Collection,
    Grouping,
    LinkFilter,
    Log,
    MessageSearch,
    Opening,
    Records,
    Search,
    StateSearch,
    Store,
    Transaction,
    Value,
)
from stores.services import neo4j_client, outbox
from stores.services.engine import ServicesEngine
from stores.services.labels import LABELS
from stores.services.neo4j_client import in_one_map
from tests.stores.services.conftest import drained
from tests.support.services import empty, explained, run, urls

OTHERS, COPIES = 6, 60
"""Workspaces beside the one that is asked, and how often each record is there again."""

SELDOM = {
    AnnotationOrderField.VALUE,
    AnnotationOrderField.LABEL,
    AnnotationOrderField.UPDATED_AT,
    SessionOrderField.MESSAGE_COUNT,
    SessionOrderField.TOKENS,
    SessionOrderField.COST,
    SpanOrderField.TOKENS,
    SpanOrderField.COST,
    TraceOrderField.DURATION,
    TraceOrderField.TOKENS,
    TraceOrderField.COST,
    TraceOrderField.ERRORS,
    ToolExecutionOrderField.DURATION,
}
"""What is sorted where it is asked for: few ask, and each write would pay for the index."""

WALKED: dict[Any, Any] = {
    Records(ContextVersion): ContextVersionOrder(field=ContextVersionOrderField.REPLACED_AT),
}
"""Lists of a whole workspace that retention alone goes through, in one order."""

OWN = [
    Records(of.record, column)
    for of in KINDS
    if of.order is not None
    for column in ("", *(column.name for column in of.references if column.lists))
    if column or (of.filter is not None and any(index.columns[0] == "workspace" for index in of.indexes()))
]
"""The lists that follow from declarations."""


@pytest.fixture
async def engine(real_servers: None, tmp_path: Path) -> AsyncIterator[ServicesEngine]:
    empty()
    opened = open_engine(Opening(data=str(tmp_path), embedder="test", dimension=m.DIMENSION, clock=m.Clock(), **urls()))
    assert isinstance(opened, ServicesEngine)
    yield opened
    await opened.close()


class NotRun(Exception):
    """Raised where a statement would be sent that is only to be recorded."""


class Recording:
    """statements: what was sent, or would have been, each once and in order."""

    def __init__(self) -> None:
        self.statements: dict[str, None] = {}
        self._runs = ContextVar("runs", default=True)  # what goes on beside the test is run in any case

    def note(self, statement: str) -> str:
        text = in_one_map(statement)
        self.statements[text] = None
        if not self._runs.get():
            raise NotRun
        return text

    async def alone(self, asked: Coroutine[Any, Any, Any]) -> None:
        """Records what the call sends first, and does not run it."""
        before = self._runs.set(False)
        with suppress(NotRun):
            await asked
        self._runs.reset(before)


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    recording = Recording()
    monkeypatch.setattr(neo4j_client, "in_one_map", recording.note)
    return recording


async def test_no_statement_reads_what_is_not_asked_for(engine: ServicesEngine, recording: Recording) -> None:
    store = engine.workspace("main")
    things = await m.world(store)
    made = Made(store)
    await made.write()
    for number, of in enumerate(FILLINGS):
        await fill(store, of, things, range(10 * number, 10 * number + 3))
    await ask_lists(store, things, recording)
    await ask_filters(store, made, recording)
    await ask_searches(store, things, made)
    await ask_groups(store)
    await ask_the_rest(engine, store, things)
    await write_everything(store, things)
    assert await drained(engine)
    await engine.close()
    assert len(recording.statements) > (1_000 if turn() == "all" else 400)
    multiply()
    run("CALL db.clearQueryCaches()")
    found = {
        statement: problems
        for statement in recording.statements
        if (problems := list(read_whole(explained(statement))))
    }
    print(f"{len(recording.statements)} statements")
    for statement, problems in found.items():
        print("\n" + statement, *problems, sep="\n    ")
    assert found == {}


READS_ALL = [
    "MATCH (n:Memory) RETURN count(n.text)",
    "MATCH (n) WHERE n.id = 'mem_1' RETURN n",
    "MATCH (n:Memory) WHERE n.session = $p.session RETURN n",
    "MATCH (n:Memory) WHERE n.expires_at IS NOT NULL RETURN n",
    "MATCH ()-[l:LINK]->() RETURN count(l.weight)",
    "MATCH (n:Memory) USING INDEX SEEK n:Memory(workspace, created_at, id) WHERE n.workspace = $p.workspace "
    "AND n.created_at IS NOT NULL AND n.id IS NOT NULL RETURN n ORDER BY n.text LIMIT 10",
]


@pytest.mark.parametrize("statement", READS_ALL)
def test_what_reads_all_is_told(engine: ServicesEngine, statement: str) -> None:
    assert len(list(read_whole(explained(statement)))) == 1


@pytest.mark.parametrize("statement", ["MATCH (n:Memory) RETURN count(n)", "MATCH (n:Memory) WITH n LIMIT 9 RETURN n"])
def test_what_stops_is_not(engine: ServicesEngine, statement: str) -> None:
    assert list(read_whole(explained(statement))) == []


async def ask_lists(store: Store, things: m.World, recording: Recording) -> None:
    """Every list in every order: from its beginning, behind a row and before it, and how long it is."""
    parents: dict[Any, Any] = {of: filling.parent(things) for of, filling in FILLINGS.items()}
    parents[Collection.MESSAGE_BRANCH] = things.message.id
    del parents[Collection.MESSAGES]  # nobody pages through it: what was said is searched, and counted in figures
    parents |= {of: {"": "", "target": things.memory.id}.get(of.column, things.user.id) for of in OWN}
    for of, parent in in_turn(parents.items()):
        finds_more_first = of is Collection.MESSAGE_BRANCH or of in OF_A_TRACE
        further = asyncio.ensure_future if finds_more_first else recording.alone
        order = type(default_order(of))
        fields = {WALKED[of].field} if of in WALKED else set(type(default_order(of).field)) - SELDOM
        for field in fields:
            for direction in OrderDirection:
                asked = order(field=field, direction=direction)
                [page] = await store.pages(of, [parent], Slice(limit=1), None, asked)
                cursor = page.page_info.end_cursor
                await further(store.pages(of, [parent], Slice(limit=1, after=cursor), None, asked))
            await further(store.pages(of, [parent], Slice(limit=1, before=cursor, backward=True), None, asked))
        await store.counts([page.count_key])
    for way in LinkDirection:
        await m.page(store, Collection.MEMORY_LINKS, things.memory, LinkFilter(direction=way))
        await m.page(store, Collection.SESSION_LINKS, things.session, LinkFilter(direction=way))


async def ask_filters(store: Store, made: Made, recording: Recording) -> None:
    """Every member of every filter, by every way to call a record, and its negation."""
    for of, listed in in_turn(LISTS.items()):
        parent = made._parent(of)
        for filter in single(of, made, 2):
            for asked in (filter, listed.filter(not_=filter)):
                await recording.alone(m.page(store, listed.of, parent, asked, WALKED.get(listed.of)))
                await recording.alone(store.counts([CountKey(listed.of, parent, asked)]))


async def ask_searches(store: Store, things: m.World, made: Made) -> None:
    vector = m.axis(0)
    await m.remember(store, m.memory(things.user), m.memory(), vectors=[vector, vector])
    named = [Ref(id=things.user.id), Ref(external_id="ada")]
    plain = (one for one in single(Memory, made, 1) if one.owner is None is one.session)
    filters = [None, *plain, *(MemoryFilter(owner=who, session=who) for who in named)]
    for mode in SearchMode:
        for filter in filters:
            for owners in (None, [things.user.id]):
                await store.search([Search(mode, 0.3, 3, "sky", vector, filter, things.memory.id, owners)])
                if filter is not None:
                    break
        await store.search([Search(mode, 0.3, 3, None, vector, None)])
    for said in (None, *single(Message, made, 1)):
        await store.search_messages(MessageSearch("sky", 3, said, [things.message.id]))
    await store.search_messages(MessageSearch("?", 3, None, [things.message.id]))
    [file] = await m.keep(store, blob("sky", "the sky"))
    await m.replace(store, file, text="blue")
    for of in (None, BlobFilter(text="sky", session=named[0], sender=named[0]), BlobFilter(sender=named[1])):
        await store.search_chunks(ChunkSearch("sky", 3, of, vector, "test 16"))
        await m.page(store, Records(Blob), "", of)
    await m.page(store, Records(DocumentChunk, "blob"), file.id)
    for which in (None, StateFilter(prefix="a")):
        await store.search_states(StateSearch("a", vector, "test 16", 3, which))


async def ask_groups(store: Store) -> None:
    for of, grouping, filter in CASES.values():
        await store.grouped(of, [Id("")], grouping, filter)
    twice = Grouping((By("model"),), (Value("input_tokens"),), values_of=(Tally, "span"))
    await store.grouped(Collection.SPANS, [Id("")], twice)
    await store.grouped(Collection.SPANS, [Id("")], Grouping((By("tool", joined=(ToolExecution, "span")),)))


async def ask_the_rest(engine: ServicesEngine, store: Store, things: m.World) -> None:
    """What is asked of records by their ids, of the graph of memories, of logs, and of the database."""
    one, other = things.memory.id, things.other_memory.id
    for record in things.records:
        await store.get(type(record), [record.id])
        if (key := kind(type(record)).natural_key(record)) is not None:
            await store.find(type(record), [key])
        await store.scan(type(record), None, 10)
    await store.memory_refs([things.message.id])
    await store.formed_from([things.message.id])
    await store.responses([ToolCall("c", "clock", encode_json({}))])
    await store.usage([things.user.id])
    await store.ending(m.after(hours=1))
    await store.vectors([one])
    for depth in (1, 2, 3):
        await store.explore([one], Exploration(depth=depth, limit=10, include=frozenset(GraphInclude)))
    for kinds in (None, [MemoryLinkKind.RELATED]):
        await store.paths(one, other, kinds, 4, 5)
        await store.paths(one, other, kinds, 4, 5, entities=True)
        await store.links_between([(one, other)], kinds)
    await store.shared([one], 10)
    await store.ends([Log("changes"), Log("trace", things.session.id), Log("messages", things.session.id)])
    for log, filter in (
        (Log("changes"), None),
        (Log("changes"), MemoryFilter(text="sky", owner=Ref(external_id="ada"))),
        (Log("trace", things.session.id), TraceFilter(types=["thought"])),
        (Log("messages", things.session.id), None),
    ):
        following = store.follow(log, 0, filter)
        with suppress(TimeoutError):
            await m.Follower(following).take(1)
        await following.aclose()
    await engine.health()
    await engine.workspaces()
    await engine.due()
    await engine.stats()
    await relayed(engine)


async def relayed(engine: ServicesEngine) -> None:
    """What the relay asks when Weaviate was started again, has lost something, or everything."""
    relay = engine.relay
    await relay._round()
    await relay._compare("main")
    await relay._lost("main")
    await relay._rebuild("main", 1, 0)
    for statement in (outbox._ALL_WAITING, outbox._UNTOLD):
        neo4j_client.in_one_map(statement)


async def write_everything(store: Store, things: m.World) -> None:
    """Each method of a transaction, and a delete of each kind."""

    async def script(tx: Transaction) -> None:
        await tx.put([things.memory])
        await tx.put([things.message])
        await tx.participants(things.session.id)
        await tx.active(things.user.id)
        await tx.active(None)
        await tx.reference(things.message.id, [MemoryRef(things.other_memory.id, 0.5, None)])
        await tx.embed({things.other_memory.id: m.axis(1)})
        await tx.recalled("key")
        await tx.note("key", "digest", {})

    await store.write(script)

    async def alone(tx: Transaction) -> None:
        await tx.lightest(things.user.id, 2, [things.memory.id])
        await tx.matching(MemoryFilter(text="sky"), 10)
        await tx.matching(MemoryFilter(created_at=TimeRange(from_=m.after(hours=1))), 10)
        for expiring in (Memory, StateEntry):
            await tx.expired(expiring, 10)

    await store.write(alone)
    await m.logged(store, ChangeKind.UPDATED, things.memory)
    await m.say(
        store, things.session, m.message(things.participant, content=[ToolResponse("c", encode_json(1), False)])
    )
    await m.keep(store, m.annotation(things.memory))
    for record in (*reversed(things.records[:9]), *things.records[9:]):
        with suppress(Exception):
            await m.delete(store, record)
    [empty_session] = await m.keep(store, m.session())
    await m.delete(store, empty_session)


def multiply() -> None:
    """Fills other workspaces with the records of this one."""
    for of in dict.fromkeys(LABELS.values()):
        names = {"id", *(column.name for column in of.kind.references)}
        names |= {name for index in of.kind.indexes() if index.unique for name in index.columns} - {"workspace"}
        copy(of.name, [name for name in names if of.kind.columns[name].type is not int])
        for edge, labels in of.edges.values():
            for target in labels:
                tie(of.name, edge, target)
    tie("Memory", "LINK", "Memory", "id: r.id + '~' + i")
    tie("Message", "DRAWS_ON", "Memory")
    copy("ToolResponse", ["session", "message", "call_id"])
    copy("Idempotency", ["key"])
    copy("Change", ["memory_id"], "place: n.place + 100000 * i")
    run("UNWIND range(1, 3000) AS i CREATE (:Outbox {workspace: 'w' + i % 6, place: i, memory: 'x' + i})")
    run("UNWIND range(1, 3000) AS i CREATE (:Told {workspace: 'w' + i % 6, place: i, memory: 'x' + i})")
    run("UNWIND range(1, 200) AS i MERGE (:Workspace {name: 'w' + i}) MERGE (:Relay {workspace: 'w' + i})")


def copy(name: str, suffixed: list[str], more: str = "") -> None:
    values = [f"{column}: n.{column} + '~' + i" for column in suffixed]
    told = ", ".join([".*", *values, *([more] if more else []), f"workspace: 'w' + i % {OTHERS}"])
    run(f"MATCH (n:{name} {{workspace: 'main'}}) UNWIND range(1, {COPIES}) AS i CREATE (o:{name}) SET o = n {{{told}}}")


def tie(source: str, edge: str, target: str, more: str = "") -> None:
    run(
        f"MATCH (a:{source} {{workspace: 'main'}})-[r:{edge}]->(b:{target}) UNWIND range(1, {COPIES}) AS i "
        f"MATCH (c:{source} {{id: a.id + '~' + i}}) MATCH (d:{target} {{id: b.id + '~' + i}}) "
        f"CREATE (c)-[s:{edge}]->(d) SET s = r {{{', '.join(['.*', *([more] if more else [])])}}}"
    )


SCANS = re.compile(r"^(?!NodeCount|RelationshipCount)\w*Scan$")
GATHERED = re.compile(r"Aggregation|Limit|Top|CountFromCountStore")
OF_A_WORKSPACE = re.compile(r"WHERE workspace = [^ ]+(?: AND \w+ (?:IS NOT NULL|[<>]=? [^ ,]+))*(?:, cache.*)?$")
ASKED_FOR = ("w:Workspace",)
"""What is asked for whole: the names of all workspaces."""


def read_whole(plan: Any, under: str = "") -> Iterator[str]:
    """What a plan reads all of: labels, types, indexes; and where it sorts all that a workspace has of a kind.

    What the operator above stops after so many rows is not read whole.
    """
    name, details = plan["operatorType"].removesuffix("@neo4j"), plan["args"].get("Details", "")
    if SCANS.match(name) and under != "Limit" and not any(one in details for one in ASKED_FOR):
        yield f"{name} {details}"
    if name in ("Sort", "Top"):
        for leaf in leaves(plan):
            if OF_A_WORKSPACE.search(leaf["args"].get("Details", "")):
                yield f"{name} {details} of {leaf['args']['Details']}"
    for child in plan.get("children", ()):
        yield from read_whole(child, name)


def leaves(plan: Any) -> Iterator[Any]:
    """What the rows of an operator come from, one by one: nothing below another that makes few of many."""
    for child in plan.get("children", ()):
        if not child.get("children"):
            yield child
        elif not GATHERED.search(child["operatorType"]):
            yield from leaves(child)
