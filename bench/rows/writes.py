"""Writes: durable when they are acknowledged, so they stand beside what the disk does."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from bench import queries
from bench.data import events, small_talk
from bench.http import post
from bench.lab import Lab
from bench.load import Load, Next, load
from bench.process import RECOLLECT, BenchError, Process, run
from bench.row import Measure, Row, at_least, times
from bench.slow_disk import PAUSE_S

_PAGE = 4096
_BATCH = 100
_SLOW_DISK = ("-m", "bench.slow_disk")


def adding(lab: Lab) -> Next:
    """Requests that add a message to one session after the other."""
    texts = [message["text"] for message in small_talk(200, lab.seed)]
    requests = [_message(lab.data.others[number % len(lab.data.others)], text) for number, text in enumerate(texts)]
    return _round(requests)


def _message(session: str, text: str) -> bytes:
    given = {"session": {"externalId": session}, "role": "user", "text": text}
    return post(queries.ADD_MESSAGE, {"input": given})


def _round(requests: list[bytes]) -> Next:
    place = -1

    def next_() -> bytes:
        nonlocal place
        place = (place + 1) % len(requests)
        return requests[place]

    return next_


def _add(callers: int) -> Measure:
    async def measure(lab: Lab) -> float:
        return (await load(await lab.server(), adding(lab), lab.seconds, callers, queries.WRITTEN)).rate

    return measure


def fdatasyncs(folder: Path, seconds: float, pause: float = 0.0) -> float:
    """How often a second the disk under a folder takes a page durably, where each is followed by a pause."""
    file = os.open(folder / "fdatasync", os.O_CREAT | os.O_RDWR)
    try:
        for page in range(256):
            os.pwrite(file, os.urandom(_PAGE), page * _PAGE)
        os.fsync(file)
        begun, count, bytes_ = time.perf_counter(), 0, os.urandom(_PAGE)
        while (now := time.perf_counter()) < begun + seconds:
            os.pwrite(file, bytes_, count % 256 * _PAGE)
            os.fdatasync(file)
            if pause:
                time.sleep(pause)
            count += 1
        return count / (now - begun)
    finally:
        os.close(file)


async def _raw(lab: Lab) -> float:
    return await asyncio.to_thread(fdatasyncs, lab.folder, lab.seconds / 2)


async def _add_on_slow_disk(lab: Lab) -> float:
    async def measure() -> Load:
        async with lab.fresh(_SLOW_DISK) as server:
            await _sessions(server, lab)
            return await load(server, adding(lab), 2 * lab.seconds, 128, queries.WRITTEN)

    return (await lab.once("slow disk", measure)).rate


async def _raw_on_slow_disk(lab: Lab) -> float:
    return await asyncio.to_thread(fdatasyncs, lab.folder, lab.seconds / 2, PAUSE_S)


async def _sessions(server: Process, lab: Lab) -> None:
    connection = await server.connect()
    for key in lab.data.others:
        await connection.data(queries.CREATE_SESSION, {"input": {"externalId": key}})
    connection.close()


def batches(query: str, name: str, items: list[dict[str, Any]], callers: int = 8) -> Measure:
    """Rows a second, where a mutation brings some of them to a session."""

    async def measure(lab: Lab) -> float:
        keys = lab.data.others
        requests = [post(query, {"input": {"session": {"externalId": key}, name: items}}) for key in keys]
        done = await load(await lab.server(), _round(requests), lab.seconds, callers, queries.WRITTEN)
        return done.rate * len(items)

    return measure


async def _import(lab: Lab) -> float:
    """Messages a second of `recollect import` into an empty folder, from its start to its end."""
    runs, each = max(1, lab.size // 100), 100
    source, folder = lab.folder / "runs.json", lab.folder / "imported"
    said = [{"role": one["role"], "content": one["text"]} for one in small_talk(each * runs, lab.seed)]
    source.write_bytes(
        msgspec.json.encode([{"id": f"run-{n}", "messages": said[n * each : (n + 1) * each]} for n in range(runs)])
    )
    begun = time.perf_counter()
    printed = await run([*RECOLLECT, "import", str(source), "--data", str(folder)], lab.folder / "import.log")
    if f"{len(said):,} new".encode() not in printed:
        raise BenchError(f"The import said {printed.decode(errors='replace')!r}.")
    return len(said) / (time.perf_counter() - begun)


ROWS = [
    Row(
        name="add-1",
        title="addMessage over HTTP, 1 caller",
        unit="durable rows/s",
        measure=_add(1),
        baseline=_raw,
        against="raw fdatasync/s of this disk",
    ),
    Row(
        name="add-128",
        title="addMessage over HTTP, 128 callers",
        unit="durable rows/s",
        measure=_add(128),
        baseline=_raw,
        against="raw fdatasync/s of this disk",
        wanted=at_least(5_000),
    ),
    Row(
        name="add-128-slow-disk",
        title="addMessage over HTTP, 128 callers, 1 ms added to each fsync",
        unit="durable rows/s",
        measure=_add_on_slow_disk,
        baseline=_raw_on_slow_disk,
        against="raw fdatasync/s with 1 ms added",
        wanted=times(3),
        rounds=1,
    ),
    Row(
        name="add-batches",
        title="addMessages, 100 at a time, 8 callers",
        unit="durable rows/s",
        measure=batches(queries.ADD_MESSAGES, "messages", small_talk(_BATCH, 1)),
        wanted=at_least(30_000),
    ),
    Row(
        name="trace-1",
        title="appendTraceEvents, 1 at a time, 128 callers",
        unit="durable rows/s",
        measure=batches(queries.APPEND, "events", events(1), 128),
    ),
    Row(
        name="trace-batches",
        title="appendTraceEvents, 100 at a time, 8 callers",
        unit="durable rows/s",
        measure=batches(queries.APPEND, "events", events(_BATCH)),
        wanted=at_least(30_000),
    ),
    Row(
        name="import",
        title="recollect import of runs of 100 messages, the program's start included",
        unit="messages/s",
        measure=_import,
        rounds=1,
    ),
]
