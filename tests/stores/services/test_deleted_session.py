"""A session that one process deletes while others follow it."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from domain.caller import LOCAL
from domain.errors import CursorExpired, ErrorCode, Rejected
from domain.session import CreateSessionInput, DeleteSessionInput
from domain.trace import AppendTraceEventsInput, TraceEventInput
from domain.values import Ref
from resolvers import live, sessions, traces
from resolvers.context import Context
from stores.contract.making import DIMENSION
from stores.open import open_engine
from stores.ports import Engine, Opening
from tests.support.graphql_client import Words
from tests.support.running import WAYS, Refused, Running
from tests.support.servers import SETTINGS
from tests.support.services import hold, urls

pytestmark = pytest.mark.services

TRACE = "subscription ($after: String, $s: Ref!) { sessionTrace(session: $s, after: $after) { cursor node { type } } }"
MESSAGES = (
    "subscription ($after: String, $s: Ref!) { sessionMessages(session: $s, after: $after) { cursor node { text } } }"
)
BEGIN = """mutation ($n: String!, $s: Ref!) {
  createSession(input: {externalId: $n}) { errors { message } }
  addMessages(input: {session: $s, messages: [{role: "user", text: "a"}, {role: "user", text: "b"}]}) { errors { message } }
  appendTraceEvents(input: {session: $s, events: [{type: "a"}, {type: "b"}]}) { errors { message } } }"""
CURSORS = """query ($s: Ref!) { session(by: $s) {
  trace(first: 1) { pageInfo { endCursor } } messages(first: 1) { pageInfo { endCursor } } } }"""
DELETE = "mutation ($s: Ref!) { deleteSession(input: {session: $s}) { errors { message } } }"


@pytest.fixture
def processes(real_servers: None, tmp_path: Path) -> Iterator[list[Running]]:
    """Two server processes on the same empty servers."""
    hold(tmp_path)
    settings = {name: os.environ[name] for name in SETTINGS}
    both = [Running(tmp_path / f"process-{number}", **settings) for number in range(2)]
    try:
        for one in both:
            one.start()
        yield both
    finally:
        for one in both:
            one.end()


async def test_a_follower_in_another_process_ends_within_a_second(processes: list[Running]) -> None:
    writing, following = processes
    outcomes: Counter[str] = Counter()
    late: list[float] = []

    async def follow(way: str, query: str, after: str | None, s: Any, begun: asyncio.Event) -> None:
        try:
            async with aclosing(WAYS[way](following.address, query, {"s": s, "after": after})) as events:  # type: ignore[type-var]
                async for _ in events:
                    begun.set()
            outcomes["complete"] += 1
        except Refused as refused:
            outcomes[refused.code] += 1
        late.append(time.monotonic())

    for number in range(3):
        s = {"externalId": f"s{number}"}
        await writing.ask(BEGIN, {"n": s["externalId"], "s": s})
        at = (await following.ask(CURSORS, {"s": s}))["session"]
        starts = {TRACE: at["trace"]["pageInfo"]["endCursor"], MESSAGES: at["messages"]["pageInfo"]["endCursor"]}
        begun = [asyncio.Event() for _ in range(2 * len(WAYS))]
        of = [(way, query) for way in WAYS for query in starts]
        tasks = [
            asyncio.create_task(follow(way, query, starts[query], s, one))
            for (way, query), one in zip(of, begun, strict=True)
        ]
        live = [asyncio.create_task(follow(way, query, None, s, asyncio.Event())) for way, query in of]
        await asyncio.gather(*(one.wait() for one in begun))
        await asyncio.sleep(0.3)
        late.clear()
        deleted = await writing.ask(DELETE, {"s": s})
        told = time.monotonic()
        assert deleted["deleteSession"]["errors"] == []
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks, *live)
        assert max(late) - told < 1
    assert outcomes == {"complete": 3 * 4 * len(WAYS)}


@pytest.fixture
async def contexts(real_servers: None, tmp_path: Path) -> AsyncIterator[list[Context]]:
    """Two engines over the same empty servers, as two processes have them."""
    hold(tmp_path)
    engines: list[Engine] = [
        open_engine(Opening(data=str(tmp_path), embedder="test", dimension=DIMENSION, **urls())) for _ in range(2)
    ]
    yield [Context(engine, Words(), LOCAL) for engine in engines]  # type: ignore[arg-type]
    for engine in engines:
        await engine.close()


async def test_who_comes_back_while_the_session_is_deleted_hears_that_it_is_gone(contexts: list[Context]) -> None:
    writing, following = contexts
    outcomes: Counter[object] = Counter()

    async def come_back(by: Ref, after: str) -> None:
        stream = live.session_trace(following, by, after)
        try:
            async with asyncio.timeout(10), aclosing(stream) as events:  # type: ignore[type-var]
                async for _ in events:
                    pass
            outcomes["complete"] += 1
        except Rejected as rejected:
            outcomes[rejected.errors[0].code] += 1
        except CursorExpired:
            outcomes[CursorExpired] += 1

    for number in range(20):
        by = Ref(external_id=f"s{number}")
        made = await sessions.create(writing, CreateSessionInput(external_id=by.external_id))
        events = [TraceEventInput(type="a"), TraceEventInput(type="b")]
        await traces.append(writing, AppendTraceEventsInput(session=by, events=events))
        [cursor] = await sessions.trace_cursors(following, [made])
        deleting = asyncio.create_task(sessions.delete(writing, DeleteSessionInput(session=by)))
        coming = []
        for _ in range(20 if number else 0):  # the first delete is planned, which takes long
            coming.append(asyncio.create_task(come_back(by, cursor)))
            await asyncio.sleep(0.005)
        await asyncio.gather(deleting, *coming)
    assert set(outcomes) <= {"complete", ErrorCode.NOT_FOUND}, outcomes
