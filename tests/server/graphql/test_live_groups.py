"""Subscribers of one operation share its execution; each still sees every event once and in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import server.graphql.live
import server.graphql.ring
import server.graphql.timeslice
from domain.caller import LOCAL
from server.errors import OperationRefused
from server.graphql.documents import Request
from server.graphql.events import Batch, Event
from server.service import Service, open_service
from server.settings import Settings

TRACE = """subscription ($after: String) {
  sessionTrace(session: {externalId: "s"}, after: $after) { cursor node { data } }
}"""
APPEND = """mutation ($events: [TraceEventInput!]!) {
  appendTraceEvents(input: {session: {externalId: "s"}, events: $events}) { endCursor errors { message } }
}"""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    opened = open_service(tmp_path, Settings())
    await ask(opened, 'mutation { createSession(input: {externalId: "s"}) { session { id } } }')
    yield opened
    await opened.close()


async def ask(service: Service, query: str, variables: dict[str, Any] | None = None) -> Any:
    answer = json.loads(await service.executor.execute(Request(query, variables), service.operation(LOCAL)))
    assert "errors" not in answer, answer
    return answer["data"]


async def append(service: Service, numbers: range) -> str:
    done = await ask(service, APPEND, {"events": [{"type": "n", "data": n} for n in numbers]})
    return str(done["appendTraceEvents"]["endCursor"])


def number(event: Event) -> int:
    return int(json.loads(event.body)["data"]["sessionTrace"]["node"]["data"])


def subscribed(service: Service, after: str | None = None, push: Any = None) -> Any:
    operation = service.executor.prepare(Request(TRACE, {"after": after}))
    return service.executor.stream(operation, service.operation(LOCAL), push)


async def taken(events: Any, count: int) -> list[int]:
    async with asyncio.timeout(10):
        return [number(await anext(events)) for _ in range(count)]


async def started(*streams: Any) -> list[asyncio.Task[Event]]:
    """Each stream waiting for its first event."""
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    for _ in range(20):
        await asyncio.sleep(0)
    return waiting


async def ended(waiting: asyncio.Task[Event], stream: Any) -> None:
    """Leaves a stream that waits for its next event."""
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await stream.aclose()


async def test_an_event_is_executed_once_for_all(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = 0
    answer = service.executor._answer

    async def counted(*given: Any) -> bytes:
        nonlocal executed
        executed += 1
        return await answer(*given)

    streams = [subscribed(service) for _ in range(20)]
    firsts = await started(*streams)
    monkeypatch.setattr(service.executor, "_answer", counted)
    await append(service, range(5))
    async with asyncio.timeout(10):
        assert [number(event) for event in await asyncio.gather(*firsts)] == [0] * 20
    for stream in streams:
        assert await taken(stream, 4) == [1, 2, 3, 4]
        await stream.aclose()
    assert executed == 5 + 1  # the mutation too
    assert service.executor.following[1] == 0


async def test_one_that_replays_joins_the_others_without_gap_or_double(service: Service) -> None:
    start = await append(service, range(1))
    await append(service, range(1, 300))
    live = subscribed(service)
    [first] = await started(live)
    late = subscribed(service, start)
    assert await taken(late, 100) == list(range(1, 101))
    await append(service, range(300, 310))
    assert await taken(late, 209) == list(range(101, 310))
    await append(service, range(310, 320))
    assert await taken(late, 10) == list(range(310, 320))
    async with asyncio.timeout(10):
        assert number(await first) == 300
    assert await taken(live, 19) == list(range(301, 320))
    await late.aclose()
    await live.aclose()


async def test_one_that_falls_behind_the_ring_replays_what_it_missed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.graphql.ring, "RING_EVENTS", 10)
    slow, quick = subscribed(service), subscribed(service)
    firsts = await started(slow, quick)
    await append(service, range(1))
    async with asyncio.timeout(10):
        await asyncio.gather(*firsts)
    for begin in range(1, 100, 9):
        await append(service, range(begin, begin + 9))
        assert await taken(quick, 9) == list(range(begin, begin + 9))
    assert await taken(slow, 99) == list(range(1, 100))
    await append(service, range(100, 105))
    assert await taken(slow, 5) == await taken(quick, 5) == list(range(100, 105))
    await slow.aclose()
    await quick.aclose()


async def test_what_a_push_refuses_is_pulled_in_its_place(service: Service) -> None:
    pushed: list[int] = []
    pulled: list[int] = []

    def push(batch: Batch) -> bool:
        numbers = list(map(number, batch.events))
        if any(one % 7 == 3 for one in numbers):
            return False
        pushed.extend(numbers)
        return True

    async def pull(stream: Any) -> None:
        async for event in stream:
            assert sorted([*pushed, *pulled]) == list(range(number(event)))
            pulled.append(number(event))

    stream = subscribed(service, push=push)
    pulling = asyncio.ensure_future(pull(stream))
    for _ in range(20):
        await asyncio.sleep(0)
    for begin in range(0, 60, 3):
        await append(service, range(begin, begin + 3))
    async with asyncio.timeout(10):
        while len(pushed) + len(pulled) < 60:  # noqa: ASYNC110 - both lists grow
            await asyncio.sleep(0.001)
    pulling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await pulling
    assert sorted([*pushed, *pulled]) == list(range(60))
    assert 3 in pulled


async def test_what_comes_together_is_pushed_together(service: Service) -> None:
    pushed: list[list[int]] = []

    def push(batch: Batch) -> bool:
        pushed.append(list(map(number, batch.events)))
        return True

    stream = subscribed(service, push=push)
    [waiting] = await started(stream)
    await append(service, range(5))
    async with asyncio.timeout(10):
        while sum(map(len, pushed)) < 5:  # noqa: ASYNC110 - the list grows
            await asyncio.sleep(0.001)
    assert [one for part in pushed for one in part] == [0, 1, 2, 3, 4]
    assert len(pushed) < 5
    await ended(waiting, stream)


async def test_what_is_sent_alike_is_made_once(service: Service) -> None:
    sent: dict[str, list[bytes]] = {"a": [], "b": [], "c": []}
    made: list[bytes] = []

    def make(way: bytes, events: Sequence[Event]) -> bytes:
        made.append(way)
        return way + b"".join(event.body for event in events)

    def pushing(name: str, way: bytes) -> Any:
        def push(batch: Batch) -> bool:
            sent[name].append(batch.sent(way, make))
            return True

        return push

    streams = [subscribed(service, push=pushing(name, way)) for name, way in (("a", b"1"), ("b", b"1"), ("c", b"2"))]
    waiting = await started(*streams)
    for one in range(2):
        await append(service, range(one, one + 1))
        async with asyncio.timeout(10):
            while not all(len(of) > one for of in sent.values()):  # noqa: ASYNC110 - the lists grow
                await asyncio.sleep(0.001)
    assert all(one is other and one[:1] == b"1" for one, other in zip(sent["a"], sent["b"], strict=True))
    assert [one[1:] for one in sent["c"]] == [one[1:] for one in sent["a"]] and sent["c"][0][:1] == b"2"
    assert len(made) == 4
    for task, stream in zip(waiting, streams, strict=True):
        await ended(task, stream)


async def test_much_is_pushed_in_parts(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.graphql.live, "PUSH_BYTES", 1)
    pushed: list[list[int]] = []

    def push(batch: Batch) -> bool:
        pushed.append(list(map(number, batch.events)))
        return len(pushed) < 3

    stream = subscribed(service, push=push)
    [waiting] = await started(stream)
    await append(service, range(5))
    async with asyncio.timeout(10):
        assert number(await waiting) == 2
    assert pushed == [[0], [1], [2]]
    assert await taken(stream, 2) == [3, 4]
    await stream.aclose()


async def test_many_subscribers_do_not_hold_up_the_loop(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.graphql.timeslice, "TURN_S", 0)
    at: list[int] = []
    ticks = 0

    def push(batch: Batch) -> bool:
        at.extend([ticks] * len(batch.events))
        return True

    streams = [subscribed(service, push=push) for _ in range(30)]
    waiting = await started(*streams)
    await append(service, range(1))
    async with asyncio.timeout(10):
        while len(at) < 30:
            ticks += 1
            await asyncio.sleep(0)
    assert len(set(at)) > 10
    for task, stream in zip(waiting, streams, strict=True):
        await ended(task, stream)


async def test_a_push_that_fails_ends_the_group_with_its_error(service: Service) -> None:
    def push(_: Sequence[Event]) -> bool:
        raise OSError("gone")

    streams = [subscribed(service, push=push), subscribed(service)]
    waiting = await started(*streams)
    await append(service, range(1))
    async with asyncio.timeout(10):
        assert [number(event) for event in await asyncio.gather(*waiting)] == [0, 0]
        for stream in streams:
            with pytest.raises(OSError, match="gone"):
                await anext(stream)
    assert service.executor.following[1] == 0


async def test_a_group_that_cannot_start_tells_each_subscriber_and_leaves_nothing(service: Service) -> None:
    text = TRACE.replace('"s"', '"nobody"')
    for _ in range(2):
        operation = service.executor.prepare(Request(text, {}))
        stream = service.executor.stream(operation, service.operation(LOCAL))
        with pytest.raises(OperationRefused):
            await anext(stream)
    assert service.executor.following[1] == 0


@pytest.mark.parametrize("value", [10**30, -(2**70), "\ud800", [{"deep": [None, 1.5]}]])
async def test_variables_of_any_kind_name_a_group(service: Service, value: Any) -> None:
    """Also those that nothing declares: they come as they are."""
    operation = service.executor.prepare(Request("subscription { memoryChanges { cursor } }", {"odd": value}))
    first, second = (service.executor.stream(operation, service.operation(LOCAL)) for _ in range(2))
    waiting = await started(first, second)
    assert service.executor.following[1] == 1
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
