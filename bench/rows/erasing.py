"""Erasing a user among a hundred times as much of others, in process: how long it takes, and how late others are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from bench import queries
from bench.in_process import answer
from bench.lab import Lab, parts
from bench.probe import EVERY_S
from bench.row import Measure, Row, at_most
from bench.vectors import sentences
from server.service import Service, open_service
from server.settings import Settings

_OTHERS = 100
"""Others have so many times the memories, and so many they are."""

_SESSIONS, _MESSAGES = 50, 20
_GONE = {"externalId": "gone"}

_ERASE = """mutation { eraseUser(input: {user: {externalId: "gone"}}) {
    report { searchedFor found finishedAt stores { removed } } errors { message } } }"""
_PAGE = '{ memories(first: 20, filter: {owner: {externalId: "other 0"}}) { nodes { id text } } }'


def _memories(owner: str, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Each with a text that no other has."""
    for number, text in enumerate(sentences(count, seed)):
        yield {"text": f"{owner} {number}: {text} ({owner} {number})", "owner": {"externalId": owner}}


async def _fill(service: Service, lab: Lab) -> None:
    for seed, owner in enumerate(("gone", *(f"other {number}" for number in range(_OTHERS)))):
        await answer(service, queries.UPSERT_USER, input={"externalId": owner})
        for part in parts(_memories(owner, lab.size, lab.seed + seed)):
            await answer(service, queries.CREATE_MEMORIES, input={"memories": part})
    for number in range(_SESSIONS):
        session, bot = {"externalId": f"talk {number}"}, {"type": "AGENT", "role": "assistant"}
        people = [{"actor": _GONE, "type": "USER"}, bot]
        await answer(service, queries.CREATE_SESSION, input={**session, "participants": people})
        said = [
            {"text": f"gone says {number} {text}", **({"sender": _GONE} if place % 2 else {"role": "assistant"})}
            for place, text in enumerate(sentences(_MESSAGES, number))
        ]
        await answer(service, queries.ADD_MESSAGES, input={"session": session, "messages": said})


async def _erased(lab: Lab) -> tuple[float, float]:
    """The seconds that the erasure took, and by how many milliseconds the loop was late meanwhile, p99."""
    service = open_service(lab.folder / "erasing", Settings(memory_capacity=100_000_000, max_seconds=3600.0))
    late: list[float] = []

    async def others() -> None:
        while True:
            due = time.monotonic() + EVERY_S
            await asyncio.sleep(EVERY_S)
            late.append((time.monotonic() - due) * 1000)
            if len(late) % 20 == 0:
                await answer(service, _PAGE)

    try:
        await _fill(service, lab)
        watching = asyncio.create_task(others())
        begun = time.perf_counter()
        report = (await answer(service, _ERASE))["eraseUser"]["report"]
        seconds = time.perf_counter() - begun
        watching.cancel()
        assert report["found"] == 0, report
        assert report["stores"][0]["removed"]["memory"] == lab.size, report
    finally:
        await service.close()
    return seconds, sorted(late)[int(0.99 * (len(late) - 1))]


def _side(index: int) -> Measure:
    async def measure(lab: Lab) -> float:
        return (await lab.once("erasing", lambda: _erased(lab)))[index]

    return measure


_SHARED: dict[str, Any] = {"lower": True, "rounds": 1, "opt_in": True}

ROWS = [
    Row(
        name="erase-user",
        title="eraseUser of all memories and 50 sessions among 100 times the memories",
        unit="s",
        measure=_side(0),
        wanted=at_most(10),
        **_SHARED,
    ),
    Row(
        name="erase-late-p99",
        title="Event loop late meanwhile, p99",
        unit="ms",
        measure=_side(1),
        wanted=at_most(20),
        **_SHARED,
    ),
]
