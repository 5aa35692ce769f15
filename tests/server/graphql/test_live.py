"""Following a real server: nothing is lost and nothing comes twice, whatever happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.support.running import BROKEN, WAYS, Refused, Running
from tests.support.scraping import scrape

TRACE = (
    'subscription ($after: String, $of: String! = "s") { sessionTrace(session: {externalId: $of}, after: '
    "$after) { cursor node { data } } }"
)
MESSAGES = (
    'subscription ($after: String, $of: String! = "s") { sessionMessages(session: {externalId: $of}, '
    "after: $after) { cursor node { text } } }"
)
CHANGES = "subscription ($after: String) { memoryChanges(after: $after) { cursor kind memory { text } } }"
STARTS = (
    '{ memoryCursor session(by: {externalId: "s"}) { traceCursor messageCursor trace { totalCount edges '
    "{ cursor node { data } } pageInfo { endCursor } } } }"
)

EVENTS, FEWER = 1000, 240


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "data")
    running.start()
    yield running
    running.end()


async def keep_asking(server: Running, query: str, variables: Any) -> Any:
    """A write that is tried until it is acknowledged, under the idempotency key it has."""
    while True:
        try:
            return await server.ask(query, variables)
        except BROKEN:
            await asyncio.sleep(0.05)


async def append(server: Running, first: int, count: int, size: int = 50) -> None:
    query = """mutation ($events: [TraceEventInput!]!, $k: String) { appendTraceEvents(
        input: {session: {externalId: "s"}, events: $events, idempotencyKey: $k}) { accepted errors { message } } }"""
    for start in range(first, first + count, size):
        events = [{"type": "n", "data": n} for n in range(start, min(start + size, first + count))]
        done = await keep_asking(server, query, {"events": events, "k": f"trace {start}"})
        assert done["appendTraceEvents"] == {"accepted": len(events), "errors": []}


async def say(server: Running, first: int, count: int, size: int = 20) -> None:
    query = """mutation ($messages: [MessageInput!]!, $k: String) { addMessages(
        input: {session: {externalId: "s"}, messages: $messages, idempotencyKey: $k}) { errors { message } } }"""
    for start in range(first, first + count, size):
        messages = [{"role": "user", "text": str(n)} for n in range(start, start + size)]
        done = await keep_asking(server, query, {"messages": messages, "k": f"messages {start}"})
        assert done["addMessages"] == {"errors": []}


async def remember(server: Running, first: int, count: int, size: int = 20) -> None:
    query = """mutation ($memories: [MemoryInput!]!, $k: String) { createMemories(
        input: {memories: $memories, idempotencyKey: $k}) { errors { message } } }"""
    for start in range(first, first + count, size):
        memories = [{"text": str(n), "scope": "GLOBAL"} for n in range(start, start + size)]
        done = await keep_asking(server, query, {"memories": memories, "k": f"memories {start}"})
        assert done["createMemories"] == {"errors": []}


NUMBER = {
    TRACE: lambda edge: edge["node"]["data"],
    MESSAGES: lambda edge: int(edge["node"]["text"]),
    CHANGES: lambda edge: int(edge["memory"]["text"]),
}


async def follow(server: Running, way: str, query: str, start: str, last: int, seen: list[int]) -> int:
    """Follows until the last number has come, and goes on after the last cursor when the server breaks off.

    How often it did is returned.
    """
    cursor, breaks = None, 0
    while True:
        with contextlib.suppress(*BROKEN):
            async with contextlib.aclosing(WAYS[way](server.address, query, {"after": start}, cursor)) as events:  # type: ignore[type-var]
                async for edge in events:
                    seen.append(NUMBER[query](edge))
                    cursor = edge["cursor"]
                    if seen[-1] == last:
                        return breaks
        breaks += 1
        await asyncio.sleep(0.05)


async def test_each_event_once_and_in_order_through_a_kill(server: Running) -> None:
    await server.ask('mutation { createSession(input: {externalId: "s"}) { session { id } } }')
    await append(server, 0, 100)
    page = await server.ask(STARTS)
    assert [edge["node"]["data"] for edge in page["session"]["trace"]["edges"]] == list(range(50))
    starts = {
        TRACE: page["session"]["trace"]["pageInfo"]["endCursor"],
        MESSAGES: page["session"]["messageCursor"],
        CHANGES: page["memoryCursor"],
    }
    expected = {TRACE: list(range(50, 100 + EVENTS)), MESSAGES: list(range(FEWER)), CHANGES: list(range(FEWER))}
    seen: dict[tuple[str, str], list[int]] = {(way, query): [] for way in WAYS for query in starts}
    followers = [
        asyncio.create_task(follow(server, way, query, starts[query], expected[query][-1], seen[way, query]))
        for way, query in seen
    ]
    while not all(seen[way, TRACE] for way in WAYS):  # noqa: ASYNC110 - the server is another process
        await asyncio.sleep(0.01)
    writers = [
        asyncio.create_task(work)
        for work in (append(server, 100, EVENTS), say(server, 0, FEWER), remember(server, 0, FEWER))
    ]
    while not all(len(numbers) > len(expected[query]) // 4 for (_, query), numbers in seen.items()):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    server.kill()
    assert not all(writer.done() for writer in writers), "it was killed in the middle"
    await asyncio.sleep(0.1)
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(30):
        await asyncio.gather(*writers)
        breaks = await asyncio.gather(*followers)
    for (way, query), numbers in seen.items():
        assert numbers == expected[query], f"{way}: {query}"
    assert all(breaks), "each follower lost its connection"
    again = await server.ask(
        '{ session(by: {externalId: "s"}) { messageCount trace { totalCount } } memories { totalCount } }'
    )
    assert again["session"] == {"messageCount": FEWER, "trace": {"totalCount": 100 + EVENTS}}
    assert again["memories"]["totalCount"] == FEWER


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server for the tests that leave it running."""
    running = Running(tmp_path_factory.mktemp("shared") / "data")
    running.start()
    yield running
    running.end()


async def refusal(server: Running, way: str, query: str, variables: Any) -> tuple[str, list[str] | None]:
    async with asyncio.timeout(10), contextlib.aclosing(WAYS[way](server.address, query, variables)) as events:  # type: ignore[type-var]
        with pytest.raises(Refused) as caught:
            await anext(events)
    return caught.value.code, caught.value.path


@pytest.mark.parametrize("way", WAYS)
class TestOverEachWay:
    @pytest.mark.parametrize("query", [TRACE, MESSAGES])
    async def test_an_unknown_session(self, shared: Running, way: str, query: str) -> None:
        assert await refusal(shared, way, query, {"of": "nowhere"}) == ("NOT_FOUND", ["session"])

    @pytest.mark.parametrize("query", [TRACE, MESSAGES, CHANGES])
    async def test_a_cursor_from_elsewhere(self, shared: Running, way: str, query: str) -> None:
        of = f"{way} {query[:60]}"
        await shared.ask(
            "mutation ($of: String!) { createSession(input: {externalId: $of}) { session { id } } }", {"of": of}
        )
        row = (await shared.ask("{ sessions { edges { cursor } } }"))["sessions"]["edges"][0]["cursor"]
        variables = {"after": row, **({} if query is CHANGES else {"of": of})}
        assert await refusal(shared, way, query, variables) == ("INVALID", ["after"])

    async def test_without_a_cursor_it_starts_now(self, shared: Running, way: str) -> None:
        of = f"now {way}"
        write = """mutation ($of: String!, $n: JSON) { appendTraceEvents(input: {session: {externalId: $of}, events: [{type: "n", data: $n}]}) { accepted } }"""
        await shared.ask(
            "mutation ($of: String!) { createSession(input: {externalId: $of}) { session { id } } }", {"of": of}
        )
        await shared.ask(write, {"of": of, "n": "before"})
        events: AsyncIterator[Any] = WAYS[way](shared.address, TRACE, {"of": of})
        first = asyncio.ensure_future(anext(events))  # type: ignore[arg-type]
        number = 0
        while not first.done():
            await shared.ask(write, {"of": of, "n": number})
            number += 1
            await asyncio.sleep(0.02)
        assert (await first)["node"]["data"] in range(number)
        await events.aclose()  # type: ignore[attr-defined]


async def test_a_cursor_of_another_epoch(server: Running) -> None:
    """After the file was restored from a copy, say."""
    await server.ask('mutation { createSession(input: {externalId: "s"}) { session { id } } }')
    await append(server, 0, 10)
    page = await server.ask(STARTS)
    server.stop(signal.SIGINT)
    file = apsw.Connection(str(server.data / "recollect.db"))
    file.execute("UPDATE meta SET value = 'another' WHERE name = 'epoch'")
    file.close()
    await asyncio.to_thread(server.start)
    for way in WAYS:
        for query, cursor in (
            (TRACE, page["session"]["traceCursor"]),
            (MESSAGES, page["session"]["messageCursor"]),
            (CHANGES, page["memoryCursor"]),
        ):
            assert (await refusal(server, way, query, {"after": cursor}))[0] == "CURSOR_EXPIRED", (way, query)
    fresh = (await server.ask(STARTS))["session"]["trace"]["edges"][8]["cursor"]
    async with (
        asyncio.timeout(10),
        contextlib.aclosing(
            WAYS["SSE"](server.address, TRACE, {"after": page["session"]["traceCursor"]}, fresh)
        ) as events,
    ):  # type: ignore[type-var]
        assert (await anext(events))["node"]["data"] == 9, "the header is of now, whatever the variable says"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("query", [TRACE, MESSAGES])
async def test_a_stream_ends_with_its_session(server: Running, way: str, query: str) -> None:
    create = 'mutation { createSession(input: {externalId: "s"}) { session { id } } }'
    await server.ask(create)
    start = await server.ask(STARTS)
    first = start["session"]["traceCursor" if query == TRACE else "messageCursor"]
    before = scrape(server).sum("recollect_subscribers")
    followers = [WAYS[way](server.address, query, {"after": after}) for after in (None, first)]
    ending = [asyncio.ensure_future(collected(events)) for events in followers]
    async with asyncio.timeout(30):
        while scrape(server).sum("recollect_subscribers") < before + 2:  # noqa: ASYNC110 - the server is another process
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    await (append(server, 0, 1) if query == TRACE else say(server, 0, 1, 1))
    await asyncio.sleep(0.2)
    await server.ask('mutation { deleteSession(input: {session: {externalId: "s"}}) { errors { message } } }')
    await server.ask(create)
    await (append(server, 7, 1) if query == TRACE else say(server, 7, 1, 1))
    async with asyncio.timeout(30):
        for seen in ending:
            assert [NUMBER[query](edge) for edge in await seen] == [0]
    with pytest.raises(Refused) as refused:
        await collected(WAYS[way](server.address, query, {"after": first}))
    assert (refused.value.code, refused.value.path) == ("INVALID", ["after"]), (
        "the cursor is of the session that is gone"
    )


async def collected(events: AsyncIterator[Any]) -> list[Any]:
    """All events of a stream that ends."""
    return [edge async for edge in events]
