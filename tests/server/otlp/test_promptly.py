"""Who follows a workspace sees what telemetry tells within a second, by every transport."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.running import WAYS, Running

S = "session: {externalId: $of}"
STREAMS = {
    "subscription { traceChanges { cursor kind trace { runningSpans session { externalId } } } }": "trace",
    "subscription { sessionChanges { cursor kind session { externalId title } } }": "session",
    f"subscription ($of: String!) {{ sessionTrace({S}) {{ cursor node {{ type }} }} }}": "line",
    f"subscription ($of: String!) {{ sessionMessages({S}) {{ cursor node {{ text }} }} }}": "message",
}
STARTED = 1_767_225_600_000_000_000
SAID = [{"role": "user", "parts": [{"type": "text", "content": "Is it sunny?"}]}]
ANSWERED = [{"role": "assistant", "parts": [{"type": "text", "content": "It rains."}]}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("promptly") / "data")
    running.start()
    yield running
    running.end()


def span(session: str, ended: bool) -> Any:
    told = {"session.id": session, "gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(SAID)}
    if ended:
        told["gen_ai.output.messages"] = json.dumps(ANSWERED)
    one = {"traceId": session.ljust(32, "0"), "spanId": "ab" * 8, "name": "chat", "startTimeUnixNano": str(STARTED)}
    if ended:
        one["endTimeUnixNano"] = str(STARTED + 1_000_000_000)
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in told.items()]
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{**one, "attributes": attributes}]}]}]}


def seen_in(name: str, event: Any) -> str:
    match name:
        case "trace":
            return f"{event['kind']} {event['trace']['runningSpans']}"
        case "session":
            return f"{event['kind']} {event['session']['externalId']}"
        case "line":
            return str(event["node"]["type"])
    return str(event["node"]["text"])


@pytest.mark.timed
@pytest.mark.parametrize("way", WAYS)
async def test_start_messages_and_end_are_seen_within_a_second(server: Running, way: str) -> None:
    session = f"{list(WAYS).index(way) + 1:04}"
    await server.ask(f'mutation {{ createSession(input: {{externalId: "{session}"}}) {{ session {{ id }} }} }}')
    seen: dict[tuple[str, str], float] = {}
    grown = asyncio.Event()

    async def follow(query: str, name: str) -> None:
        async with contextlib.aclosing(
            WAYS[way](server.address, query, {"of": session} if "$of" in query else {})
        ) as events:  # type: ignore[type-var]
            async for event in events:
                seen[name, seen_in(name, event)] = time.monotonic()
                grown.set()

    async def within_a_second(*wanted: tuple[str, str]) -> None:
        async with asyncio.timeout(1):
            while not seen.keys() >= set(wanted):
                grown.clear()
                await grown.wait()

    followers = [asyncio.create_task(follow(query, name)) for query, name in STREAMS.items()]
    await asyncio.sleep(0.3)  # they have no cursor, and begin when the server has read them
    async with httpx.AsyncClient(base_url=f"http://{server.address}") as http:
        assert (await http.post("/v1/traces", json=span(session, False))).status_code == 200
        await within_a_second(("trace", "CREATED 1"), ("line", "span_start"), ("session", f"UPDATED {session}"))
        assert (await http.post("/v1/traces", json=span(session, True))).status_code == 200
        said = (("message", "Is it sunny?"), ("message", "It rains."))
        await within_a_second(("trace", "UPDATED 0"), ("line", "span_end"), *said)
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
