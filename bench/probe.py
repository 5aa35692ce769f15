"""Recollect's own command line, and in its event loop a task that notes how late it is woken.

python -m bench.probe FILE serve ...

What it noted goes to FILE when the server stops, as a JSON list of [monotonic seconds, milliseconds late, milliseconds
meanwhile in which the loop's thread could have run but no processor was free].
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from starlette.applications import Starlette

from cli.main import main as recollect
from server import serving
from server.access.admission import Access
from server.app import create_app
from server.service import Service

EVERY_S = 0.005

_SCHEDULED = Path("/proc/thread-self/schedstat")


async def _watch(samples: list[tuple[float, float, float]]) -> None:
    queued = _queued()
    while True:
        due = time.monotonic() + EVERY_S
        await asyncio.sleep(EVERY_S)
        now, before = time.monotonic(), queued
        queued = _queued()
        samples.append((now, (now - due) * 1000, queued - before))


def _queued() -> float:
    """The milliseconds this thread has waited for a processor so far."""
    return int(_SCHEDULED.read_text(encoding="ascii").split()[1]) / 1e6


def _probed(file: Path, service: Service, access: Access) -> Starlette:
    made = create_app(service, access)
    inner = made.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(starlette: Starlette) -> AsyncIterator[None]:
        samples: list[tuple[float, float, float]] = []
        async with inner(starlette):
            watching = asyncio.create_task(_watch(samples))
            yield
            watching.cancel()
            file.write_bytes(msgspec.json.encode(samples))  # noqa: ASYNC240 - the server has ended

    made.router.lifespan_context = lifespan
    return made


def main(file: str, *arguments: str) -> None:
    """Runs the command line with these arguments."""
    vars(serving)["create_app"] = lambda service, access: _probed(Path(file), service, access)
    recollect(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
