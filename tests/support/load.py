"""A mixed load: writers that try each write until it is acknowledged, and subscribers that go on after each break."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from tests.support.running import BROKEN, Refused, Running, transport

EVENTS = """mutation ($s: String!, $k: String!, $events: [TraceEventInput!]!) { appendTraceEvents(
    input: {session: {externalId: $s}, events: $events, idempotencyKey: $k}) { errors { message } } }"""
MESSAGE = """mutation ($s: String!, $k: String!, $text: String!) { addMessage(
    input: {session: {externalId: $s}, role: "user", text: $text, idempotencyKey: $k}) { errors { message } } }"""
MEMORY = """mutation ($k: String!, $text: String!) { createMemory(
    input: {text: $text, scope: GLOBAL, idempotencyKey: $k}) { errors { message } } }"""
STATE = """mutation ($s: String!, $k: String!, $text: String!) { setState(
    input: {namespace: $s, key: $text, value: 1, idempotencyKey: $k}) { errors { message } } }"""

SEARCH = """query ($text: String!) { searchMemories(query: {text: $text}) { degraded } }"""

TRACE = "subscription ($after: String, $s: String!) { sessionTrace(session: {externalId: $s}, after: $after) { cursor node { data } } }"
MESSAGES = "subscription ($after: String, $s: String!) { sessionMessages(session: {externalId: $s}, after: $after) { cursor node { text } } }"
CHANGES = "subscription ($after: String) { memoryChanges(after: $after) { cursor memory { text } } }"

TOGETHER = 3
"""Events of one write: all of them are there, or none."""


class Answer(msgspec.Struct, frozen=True):
    """How a write was answered that was not acknowledged: the code, and after how long, in seconds."""

    code: str
    retry_after_ms: int | None
    took: float


class Load:
    """Writes to one session, and to the memories and states of the workspace; names count up from 0.

    acknowledged: the names of what was written, by the mutation. refused: the other answers. searches, degraded: how
    many there were beside the writes, and how many of them did without Weaviate.
    """

    def __init__(self, session: str, targets: Sequence[Running]) -> None:
        self._session, self._targets = session, targets
        self.acknowledged: dict[str, list[str]] = {EVENTS: [], MESSAGE: [], MEMORY: [], STATE: []}
        self.refused: list[Answer] = []
        self.broken = 0
        self.searches = self.degraded = 0
        self._enough = asyncio.Event()
        self._numbers = itertools.count()

    @property
    def count(self) -> int:
        """How many writes were acknowledged."""
        return sum(map(len, self.acknowledged.values()))

    @property
    def lines(self) -> dict[str, int]:
        """How many lines the logs have of it, by the subscription that follows them."""
        counts = {query: len(names) for query, names in self.acknowledged.items()}
        return {TRACE: TOGETHER * counts[EVENTS], MESSAGES: counts[MESSAGE], CHANGES: counts[MEMORY]}

    async def run(self, writers: int, pause: float) -> None:
        """Writes until it is stopped; what was begun is acknowledged then."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            await asyncio.gather(*(self._write(client, lane, pause) for lane in range(writers)))

    async def search(self) -> None:
        """Searches each target in turn while all is well, until it is stopped."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            for target in itertools.cycle(self._targets):
                if self._enough.is_set():
                    return
                sent = {"query": SEARCH, "variables": {"text": str(self.searches)}}
                body = (await client.post(f"http://{target.address}/graphql", json=sent)).json()
                self.searches += 1
                self.degraded += body["data"]["searchMemories"]["degraded"]
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        """Begins nothing more."""
        self._enough.set()

    async def _write(self, client: httpx.AsyncClient, lane: int, pause: float) -> None:
        target = self._targets[lane % len(self._targets)]
        kinds = itertools.cycle([EVENTS, MESSAGE, MEMORY, EVENTS, STATE] if lane % 2 else [MESSAGE, EVENTS, MEMORY])
        for kind in kinds:
            if self._enough.is_set():
                return
            number = next(self._numbers)
            name = f"{lane} {number}"
            variables: dict[str, Any] = {"s": self._session, "k": f"{self._session} {name}"}
            if kind == EVENTS:
                variables["events"] = [{"type": "n", "data": f"{name} {part}"} for part in range(TOGETHER)]
            else:
                variables["text"] = name
            await self._insist(client, target, kind, variables)
            self.acknowledged[kind].append(name)
            await asyncio.sleep(pause)

    async def _insist(self, client: httpx.AsyncClient, target: Running, query: str, variables: Any) -> None:
        """Tries a write until it is acknowledged, under the idempotency key it has."""
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                sent = {"query": query, "variables": variables}
                body = (await client.post(f"http://{target.address}/graphql", json=sent)).json()
            except BROKEN:
                self.broken += 1
                await asyncio.sleep(0.1)
                continue
            if not body.get("errors"):
                [payload] = body["data"].values()
                assert payload == {"errors": []}
                return
            told = body["errors"][0]["extensions"]
            self.refused.append(Answer(told["code"], told.get("retryAfterMs"), loop.time() - begun))
            assert told["code"] == "UNAVAILABLE", body
            await asyncio.sleep(min(told["retryAfterMs"], 1000) / 1000)


class Subscriber:
    """Follows a log from a cursor on. seen: what came, in order; breaks: how often it had to go on."""

    def __init__(self, target: Running, query: str, start: str, session: str) -> None:
        self.target, self._query, self._start = target, query, start
        self._variables = {"after": start} if query == CHANGES else {"after": start, "s": session}
        self.query = query
        self.seen: list[str] = []
        self.breaks = 0

    async def run(self) -> None:
        """Goes on after the last cursor when the server breaks off; never ends by itself."""
        cursor = self._start
        while True:
            with contextlib.suppress(*BROKEN):
                try:
                    events = transport(self.target.address, self._query, self._variables, cursor)
                    async with contextlib.aclosing(events) as edges:  # type: ignore[type-var]
                        async for edge in edges:
                            self.seen.append(named(edge))
                            cursor = edge["cursor"]
                except Refused as refused:
                    assert refused.code == "UNAVAILABLE", refused.code
            self.breaks += 1
            await asyncio.sleep(0.5)


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Ends tasks, and returns when their connections are closed."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def named(edge: Any) -> str:
    """The name of what an event tells of."""
    node = edge.get("node") or edge["memory"]
    return str(node["data"] if "data" in node else node["text"])


def doubled(names: Sequence[str]) -> list[str]:
    """Those that are there more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def in_lanes(names: Sequence[str]) -> dict[str, list[tuple[int, ...]]]:
    """The numbers each writer gave, in the order they are in."""
    lanes: dict[str, list[tuple[int, ...]]] = {}
    for name in names:
        lane, *numbers = name.split()
        lanes.setdefault(lane, []).append(tuple(map(int, numbers)))
    return lanes
