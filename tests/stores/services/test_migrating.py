"""A graph that an older program wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.actor import ActorOrder, ActorOrderField
from domain.message import ThreadOrder, ThreadOrderField
from domain.page import OrderDirection
from domain.span import Trace
from stores.ports import Collection
from stores.services.labels import TRACE
from tests.contract.making import Clock, keep, page, session, span, thread, trace, user
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
    run("MATCH (n:Recollect) SET n.version = 6")
    engine = open_services(tmp_path, "test", 16, Clock())
    store = engine.workspace("main")
    by_name = ActorOrder(field=ActorOrderField.NAME, direction=OrderDirection.ASC)
    assert [one.name for one in (await page(store, Collection.USERS, order=by_name)).nodes] == names
    threads = ThreadOrder(field=ThreadOrderField.NAME)
    assert [one.name for one in (await page(store, Collection.SESSION_THREADS, where, order=threads)).nodes] == names
    await engine.close()


@pytest.mark.usefixtures("real_servers")
async def test_traces_get_their_sums(tmp_path: Path) -> None:
    engine = open_services(tmp_path, "test", 16, Clock())
    store = engine.workspace("main")
    used = {"inputTokens": 10}
    await keep(store, *(span(trace_id="t", span_id=id, attributes=used) for id in "abc"), trace(trace_id="empty"))
    await keep(store, span(trace_id="t", span_id="d", parent_span_id="a", attributes=used))
    before = await store.find(Trace, [("t",), ("empty",)])
    await engine.close()
    run("MATCH (n:Tally) DETACH DELETE n")
    late = TRACE.columns[TRACE.columns.index("started_at") + 1 :]
    run(f"MATCH (n:Trace) REMOVE {', '.join(f'n.{column}' for column in late)}")
    run("MATCH (n:Recollect) SET n.version = 4")
    engine = open_services(tmp_path, "test", 16, Clock())
    store = engine.workspace("main")
    assert await store.find(Trace, [("t",), ("empty",)]) == before
    await keep(store, span(trace_id="t", span_id="e", parent_span_id="b", attributes={"inputTokens": 11}))
    [after] = await store.find(Trace, [("t",)])
    assert after is not None
    assert (after.usage.input_tokens, after.span_count) == (31, 5)
    await engine.close()
