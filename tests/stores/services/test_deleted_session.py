"""A session that one process deletes while others follow it."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import WAYS, Refused, Running
from tests.support.servers import SETTINGS
from tests.support.services import hold

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
        fresh = [asyncio.create_task(follow(way, query, None, s, asyncio.Event())) for way, query in of]
        await asyncio.gather(*(one.wait() for one in begun))
        await asyncio.sleep(0.3)
        late.clear()
        deleted = await writing.ask(DELETE, {"s": s})
        told = time.monotonic()
        assert deleted["deleteSession"]["errors"] == []
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks, *fresh)
        assert max(late) - told < 1
    assert outcomes == {"complete": 3 * 4 * len(WAYS)}
