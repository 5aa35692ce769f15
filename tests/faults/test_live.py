"""Subscriptions while Neo4j is gone: they go on by themselves, or end with an error once it has been too long."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.support.faults import Start, health, seconds_until
from tests.support.load import CHANGES, MEMORY, MESSAGE, MESSAGES, end, named
from tests.support.running import WAYS, Refused, Running
from tests.support.servers import Servers

BEFORE, AFTER = 5, 5
PATIENCE = 90
"""Seconds for what takes a few on a machine that does nothing else; no bound that is tested."""


class Follower:
    """Follows without ever coming back. seen: names in order; ended: what ended it."""

    def __init__(self, way: str, api: Running, query: str, variables: dict[str, Any]) -> None:
        self.seen: list[str] = []
        self.ended: Refused | None = None
        self._events = WAYS[way](api.address, query, variables)

    async def run(self) -> None:
        try:
            async for edge in self._events:
                self.seen.append(named(edge))
        except Refused as refused:
            self.ended = refused


async def followed(
    start: Start, session: str, **settings: str
) -> tuple[Running, list[Follower], list[asyncio.Task[None]]]:
    """A process and who follows it, in each of the ways there are."""
    api = start(**settings)
    made = await api.ask(
        "mutation ($s: String!) { createSession(input: {externalId: $s}) { session { messageCursor } } }",
        {"s": session},
    )
    at = (await api.ask("{ memoryCursor }"))["memoryCursor"]
    messages = {"s": session, "after": made["createSession"]["session"]["messageCursor"]}
    followers = [Follower(way, api, MESSAGES, messages) for way in WAYS]
    followers += [Follower(way, api, CHANGES, {"after": at}) for way in WAYS]
    return api, followers, [asyncio.create_task(one.run()) for one in followers]


async def write(api: Running, session: str, numbers: range) -> None:
    for number in numbers:
        name = f"{session} {number}"
        await api.ask(MESSAGE, {"s": session, "k": f"{name} message", "text": name})
        await api.ask(MEMORY, {"k": f"{name} memory", "text": name})


async def test_subscriptions_go_on_after_neo4j_was_killed(servers: Servers, start: Start) -> None:
    api, followers, following = await followed(start, "through")
    await write(api, "through", range(BEFORE))
    await asyncio.to_thread(seconds_until, lambda: all(len(one.seen) == BEFORE for one in followers), PATIENCE)
    servers.neo4j.kill()
    await asyncio.sleep(7)  # so that those that hear nothing have looked too
    assert not any(one.ended for one in followers)
    await asyncio.to_thread(servers.neo4j.restart)
    back = time.monotonic()
    await asyncio.to_thread(seconds_until, lambda: health(api)["status"] == "healthy", PATIENCE)
    await write(api, "through", range(BEFORE, BEFORE + AFTER))
    await asyncio.to_thread(seconds_until, lambda: all(len(one.seen) == BEFORE + AFTER for one in followers), PATIENCE)
    print(f"\nall subscriptions had all that was written {time.monotonic() - back:.1f} s after Neo4j was back")
    assert not any(one.ended for one in followers)
    assert {tuple(one.seen) for one in followers} == {tuple(f"through {number}" for number in range(BEFORE + AFTER))}
    await end(following)


async def test_they_end_with_a_hint_when_it_takes_too_long(servers: Servers, start: Start) -> None:
    api, followers, following = await followed(start, "too long", RECOLLECT_MAX_OUTAGE_SECONDS="3")
    await write(api, "too long", range(1))
    await asyncio.to_thread(seconds_until, lambda: all(one.seen for one in followers), PATIENCE)
    try:
        servers.neo4j.kill()
        seconds = await asyncio.to_thread(seconds_until, lambda: all(one.ended for one in followers), PATIENCE)
        assert seconds > 3
        for one in followers:
            assert one.ended is not None
            assert one.ended.code == "UNAVAILABLE"
            assert one.ended.retry_after_ms is not None
            assert one.ended.retry_after_ms >= 100
        begun = time.monotonic()
        late = Follower("SSE", api, MESSAGES, {"s": "too long"})
        await late.run()
        assert time.monotonic() - begun < 3, "a new one is refused at once"
        assert late.ended is not None
        assert late.ended.code == "UNAVAILABLE"
    finally:
        await asyncio.to_thread(servers.neo4j.restart)
        await end(following)
