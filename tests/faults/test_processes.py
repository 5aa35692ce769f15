"""Two processes in front of the same servers are one."""

from __future__ import annotations

import asyncio
import time

import pytest
from neo4j import Driver

from tests.faults.test_killed import beside
from tests.support.faults import Start, column
from tests.support.load import CHANGES, MESSAGE, MESSAGES, TRACE, Load, Subscriber, doubled, end
from tests.support.running import Running
from tests.support.scraping import scrape

WRITES = 300


async def test_all_readers_of_all_processes_see_one_order(
    start: Start, graph: Driver, request: pytest.FixtureRequest
) -> None:
    """And while all servers are well no write is refused, no search does without Weaviate, and no server fails."""
    first, second = start(), start()
    await first.ask('mutation { createSession(input: {externalId: "both"}) { session { id } } }')
    at = await second.ask('{ memoryCursor session(by: {externalId: "both"}) { traceCursor messageCursor } }')
    cursors = {
        TRACE: at["session"]["traceCursor"],
        MESSAGES: at["session"]["messageCursor"],
        CHANGES: at["memoryCursor"],
    }
    subscribers = [
        Subscriber(process, query, cursor, "both") for query, cursor in cursors.items() for process in (first, second)
    ]
    following = [asyncio.create_task(one.run()) for one in subscribers]
    load = Load("both", [first, second])
    writing = asyncio.create_task(load.run(8, pause=0))
    searching = asyncio.create_task(load.search())
    began = time.monotonic()
    await asyncio.sleep(request.config.getoption("--beside"))
    await beside(load, max(1, WRITES - load.count))
    load.stop()
    await asyncio.gather(writing, searching)
    kinds = {text.split("{")[1].split("(")[0].strip(): len(names) for text, names in load.acknowledged.items()}
    print(f"\nin {time.monotonic() - began:.0f} s {load.count} writes of two processes acknowledged, {kinds}, ", end="")
    print(f"{len(load.refused)} refused; {load.searches} searches, {load.degraded} degraded")
    assert (load.searches > 0, load.degraded, load.refused, load.broken) == (True, 0, [], 0)
    for process in (first, second):
        assert failures(process) == {"neo4j": 0, "weaviate": 0, "redis": 0}
    stored = column(
        graph,
        "MATCH (s:Session {external_id: 'both'}) MATCH (n:Message {session: s.id}) RETURN n.texts[0] ORDER BY n.place",
    )
    assert sorted(stored) == sorted(load.acknowledged[MESSAGE])
    async with asyncio.timeout(30):
        for query in cursors:
            here, there = (one for one in subscribers if one.query == query)
            while len(here.seen) != len(there.seen) or not complete(here, load):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            assert here.seen == there.seen
            assert not doubled(here.seen)
    assert subscribers[2].seen == stored
    pages = [await read(process) for process in (first, second)]
    assert pages[0] == pages[1] == stored
    await end(following)
    assert not any(one.breaks for one in subscribers)


def failures(process: Running) -> dict[str, float]:
    """How many calls of each server have failed."""
    told = scrape(process)
    return {name: told.sum("recollect_store_errors_total", part=name) for name in ("neo4j", "weaviate", "redis")}


def complete(one: Subscriber, load: Load) -> bool:
    """Whether it has seen all there is."""
    return len(one.seen) == load.lines[one.query]


async def read(process: Running) -> list[str]:
    """The messages as pages."""
    found: list[str] = []
    after = None
    while True:
        query = "query ($after: String) { session(by: {externalId: \"both\"}) { messages(first: 100, after: $after) { nodes { text } pageInfo { hasNextPage endCursor } } } }"  # fmt: skip
        page = (await process.ask(query, {"after": after}))["session"]["messages"]
        found += [node["text"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
