"""How SQLite answers lists: from indexes, and without reading what is not asked for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from domain.message import MessageFilter
from domain.node import Id
from domain.page import OrderDirection
from domain.session import SessionFilter
from domain.span import SpanOrderField
from domain.trace import TraceEventOrderField
from domain.values import Ref
from stores.catalogue.kinds import KINDS, Kind
from stores.contract import making as m
from stores.embedded.engine import EmbeddedEngine
from stores.embedded.rows import table
from stores.open import open_engine
from stores.orders import ORDERS
from stores.ports import Collection, Opening


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    """An empty engine."""
    opened = open_engine(Opening(data=str(tmp_path / "data"), embedder="test", dimension=m.DIMENSION, clock=m.Clock()))
    assert isinstance(opened, EmbeddedEngine)
    yield opened
    await opened.close()


async def plan(engine: EmbeddedEngine, of: Collection, parent: str = "", **asked: Any) -> list[str]:
    """The steps of all statements that a page and the count of a list run."""
    ran: list[tuple[str, Any]] = []

    def trace(cursor: Any, sql: str, values: Any) -> bool:
        ran.append((sql, values))
        return True

    store = engine.workspace("main")
    engine.reader.exec_trace = trace
    try:
        page = await m.page(store, of, parent, **asked)
        await store.counts([page.count_key])
    finally:
        engine.reader.exec_trace = None
    listed = [(sql, values) for sql, values in ran if " t WHERE " in sql]
    assert len(listed) >= 2
    return [str(row[3]) for sql, values in listed for row in engine.reader.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


def scanned(steps: list[str]) -> list[str]:
    """What is read whole, but for the values in a list."""
    return [step for step in steps if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]


@pytest.mark.parametrize("of", KINDS, ids=lambda of: str(of.name))
def test_a_scan_goes_along_the_ids(engine: EmbeddedEngine, of: Kind[Any]) -> None:
    """It sorts nothing: else each of its pages would take the longer, the more there is."""
    sql = table(of.record).scan
    [first, *others] = [str(row[3]) for row in engine.reader.execute(f"EXPLAIN QUERY PLAN {sql}", (1, "", 500))]
    assert re.search(r"\bid>\?\)$", first)
    assert not [step for step in others if "ORDER BY" in step]


@pytest.mark.parametrize("who", [Ref(id=Id("usr_1")), Ref(external_id="ada")], ids=["id", "externalId"])
async def test_whom_a_filter_names_is_found_by_an_index(engine: EmbeddedEngine, who: Ref) -> None:
    await m.world(engine.workspace("main"))
    steps = await plan(engine, Collection.SESSIONS, filter=SessionFilter(participant=who))
    assert scanned(steps) == []
    assert any(step.startswith("SEARCH x USING INDEX") and step.endswith("(actor=?)") for step in steps)
    if who.external_id is not None:
        assert any(step.startswith("SEARCH x ") and step.endswith("(workspace=? AND external_id=?)") for step in steps)


@pytest.mark.parametrize(
    "filter",
    [
        MessageFilter(sender=Ref(external_id="ada")),
        MessageFilter(sender=Ref(id=Id("usr_1"))),
        MessageFilter(thread="a"),
    ],
    ids=["externalId", "id", "thread"],
)
async def test_who_said_it_is_looked_up_for_each_message(engine: EmbeddedEngine, filter: MessageFilter) -> None:
    things = await m.world(engine.workspace("main"))
    steps = await plan(engine, Collection.SESSION_MESSAGES, things.session.id, filter=filter)
    assert scanned(steps) == []
    assert any(step.startswith("SEARCH x ") and step.endswith("INTEGER PRIMARY KEY (rowid=?)") for step in steps)


LONG = [
    Collection.SESSIONS,
    Collection.USERS,
    Collection.AGENTS,
    Collection.MEMORIES,
    Collection.SPANS,
    Collection.STATES,
    Collection.AUDIT,
    Collection.SESSION_MESSAGES,
    Collection.SESSION_TRACE,
]
"""Lists that grow with all that is ever done, in a workspace or in a session."""

SORTED = {
    TraceEventOrderField.TIME,
    TraceEventOrderField.DURATION,
    SpanOrderField.TOKENS,
    SpanOrderField.COST,
}
"""What is sorted where it is asked for: few ask, and each write would pay for the index."""


@pytest.mark.parametrize("of", LONG, ids=lambda of: of.value)
async def test_an_order_of_a_long_list_is_read_from_an_index(engine: EmbeddedEngine, of: Collection) -> None:
    store = engine.workspace("main")
    things = await m.world(store)
    parent = {Collection.STATES: "app"}.get(of, things.session.id if of.value.startswith("session.") else "")
    for field in set(type(ORDERS[of].field)) - SORTED:
        for direction in OrderDirection:
            order = type(ORDERS[of])(field=field, direction=direction)
            cursor = (await m.page(store, of, parent, order=order)).page_info.end_cursor
            for slice in ({"after": None}, {"after": cursor}, {"before": cursor, "backward": True}):
                steps = await plan(engine, of, parent, order=order, **slice)
                assert [step for step in steps if "TEMP B-TREE" in step] == [], order
                assert scanned(steps) == [], order


async def test_no_statement_is_prepared_anew_for_other_values(engine: EmbeddedEngine) -> None:
    things = await m.world(engine.workspace("main"))
    store, prepared = engine.workspace("main"), []

    async def read(limit: int) -> None:
        of, session = Collection.SESSION_MESSAGES, things.session.id
        page = await m.page(store, of, session, limit=limit)
        await m.page(store, of, session, limit=limit, after=page.page_info.end_cursor)

    def authorize(*action: Any) -> int:  # SQLite asks it whenever it prepares a statement
        prepared.append(action)
        return apsw.SQLITE_OK

    engine.reader.authorizer = authorize
    try:
        await read(1)
        assert prepared
        prepared.clear()
        await read(2)
    finally:
        engine.reader.authorizer = None
    assert prepared == []
