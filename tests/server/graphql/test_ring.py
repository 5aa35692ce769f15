"""All rings together keep no more than they may; whoever needs what was given up reads it from the store."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import tracemalloc
from typing import Any

import pytest

from schema.build import build
from schema.loading import Loading
from server.graphql.documents import Request
from server.graphql.events import Event
from server.graphql.executor import Executor
from server.graphql.ring import EVENT_BYTES, Ring, Rings
from server.limits import Limits
from tests.support.graphql_client import Graph, anybody

TEXT = "x" * 200
FOLLOW = {
    "trace": 'sessionTrace(session: {externalId: "OF"}, after: $after) { cursor node { data } }',
    "messages": 'sessionMessages(session: {externalId: "OF"}, after: $after) { cursor node { text } }',
    "changes": "memoryChanges(after: $after) { cursor memory { text } }",
}
APPEND = {
    "trace": ("appendTraceEvents", "events", lambda n: {"type": "n", "data": f"{n} {TEXT}"}),
    "messages": ("addMessages", "messages", lambda n: {"role": "user", "text": f"{n} {TEXT}"}),
    "changes": ("createMemories", "memories", lambda n: {"text": f"{n} {TEXT}", "scope": "GLOBAL"}),
}


class World:
    """Many groups in one process that may keep so many bytes. Each has a name, as a variable that nobody reads."""

    def __init__(self, graph: Graph, kind: str, max_bytes: int) -> None:
        self.graph, self.kind = graph, kind
        limits = Limits(max_live_bytes=max_bytes)
        self.executor = Executor(build(), role=anybody, limits=limits, audience=lambda _: "all")

    @property
    def bytes(self) -> int:
        return self.executor.following[2]

    def follow(self, name: int, session: str = "s", push: Any = None) -> Any:
        text = f"subscription ($after: String) {{ {FOLLOW[self.kind].replace('OF', session)} }}"
        operation = self.executor.prepare(Request(text, {"name": name}))
        return self.executor.stream(operation, Loading(self.graph.context), push)

    async def write(self, numbers: range, session: str = "s") -> None:
        mutation, field, make = APPEND[self.kind]
        of = {} if self.kind == "changes" else {"session": {"externalId": session}}
        await self.graph.do(mutation, {**of, field: [make(number) for number in numbers]})


def number(event: Event) -> int:
    [edge] = json.loads(event.body)["data"].values()
    said = edge["memory"] if "memory" in edge else edge["node"]
    return int((said.get("data") or said.get("text")).split()[0])


async def taken(stream: Any, count: int) -> list[int]:
    async with asyncio.timeout(60):
        return [number(await anext(stream)) for _ in range(count)]


async def begun(graph: Graph, *streams: Any) -> list[asyncio.Task[Event]]:
    """Each waiting for its first event, its place in the log taken."""
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(5.0 if graph.family == "services" else 1.0)  # a first statement is planned for seconds
    return waiting


@pytest.fixture(autouse=True)
async def sessions(graph: Graph) -> None:
    for name in "st":
        await graph.do("createSession", {"externalId": name})


@pytest.mark.both_families
@pytest.mark.parametrize("kind", FOLLOW)
@pytest.mark.parametrize("max_bytes", [1, 20_000])
async def test_who_follows_a_ring_that_was_given_up_loses_nothing(graph: Graph, kind: str, max_bytes: int) -> None:
    world = World(graph, kind, max_bytes)
    streams = [world.follow(name % 8) for name in range(16)]
    firsts = await begun(graph, *streams)
    for start in range(0, 60, 20):
        await world.write(range(start, start + 20))
        await asyncio.sleep(0.3)
        assert world.bytes <= max_bytes
    async with asyncio.timeout(60):
        assert [number(event) for event in await asyncio.gather(*firsts)] == [0] * 16
    for stream in streams:
        assert await taken(stream, 59) == list(range(1, 60))
    await world.write(range(60, 62))
    for stream in streams:
        assert await taken(stream, 2) == [60, 61]
        await stream.aclose()
    assert world.executor.following == (0, 0, 0)


async def test_who_had_no_event_yet_loses_nothing(graph: Graph) -> None:
    """It has no cursor to go on after: it took nothing before all it waits for was given up."""
    world = World(graph, "trace", 1)
    stopped = asyncio.Event()

    async def slow() -> list[int]:
        stream = world.follow(0, push=lambda _: False)
        first = number(await anext(stream))
        await stopped.wait()
        rest = await taken(stream, 9)
        await stream.aclose()
        return [first, *rest]

    reading = [asyncio.ensure_future(slow()) for _ in range(3)]
    await asyncio.sleep(0.1)
    await world.write(range(10))
    await asyncio.sleep(0.1)
    stopped.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*reading) == [list(range(10))] * 3


async def test_what_has_not_grown_for_longest_is_given_up_first(graph: Graph) -> None:
    world = World(graph, "trace", 40_000)
    old, new = world.follow(0, "t"), world.follow(1)
    firsts = await begun(graph, old, new)
    await world.write(range(20), "t")
    await asyncio.gather(firsts[0])
    kept = world.bytes
    assert kept > 20 * len(TEXT)
    await world.write(range(20))
    await asyncio.gather(firsts[1])
    assert world.bytes > kept, "both fit"
    for start in range(20, 50, 10):
        await world.write(range(start, start + 10))
        assert await taken(new, 10) == list(range(start - 19, start - 9))
    assert world.bytes <= 40_000
    rings = world.executor._groups.rings._rings
    assert [ring.end - ring.first > 20 for ring in rings] == [True], "the other one's is whole"
    assert await taken(old, 19) == list(range(1, 20))
    await old.aclose()
    await new.aclose()


@pytest.mark.parametrize("size", [10, 500, 50_000])
def test_the_bytes_are_those_of_the_memory(size: int) -> None:
    rings, count = Rings(10**9), 1_000
    gc.collect()
    tracemalloc.start()
    many = [Ring(rings) for _ in range(20)]
    for ring, place in itertools.product(many, range(count // 20)):
        ring.add(Event(b"%d" % place + bytes(size), f"abcdefghijkl91ce{place:08x}"))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held <= rings.bytes <= 3 * held
    assert rings.bytes >= count * (size + EVENT_BYTES)


@pytest.mark.parametrize("limit", [1, 10_000, 100_000])
def test_ten_thousand_rings_keep_no_more_than_one(limit: int) -> None:
    rings = Rings(limit)
    many = [Ring(rings) for _ in range(10_000)]
    for place in range(3):
        for ring in many:
            ring.add(Event(bytes(100), f"abcdefghijkl91{place:02x}"))
            assert rings.bytes <= limit
    assert [ring.end for ring in many] == [3] * 10_000
    assert sum(ring.end - ring.first for ring in many) == limit // (100 + EVENT_BYTES)
    for ring in many:
        ring.give_up()
    assert rings.bytes == 0
