"""A server in a process of its own: started on a free port, measured from outside, stopped by its id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO

from bench.http import Connection, get

HOME = Path(__file__).resolve().parent.parent
RECOLLECT = ("-c", "from cli.main import main; main()")

_UP_WITHIN_S = 60.0
_DOWN_WITHIN_S = 15.0
_URL = re.compile(rb"http://127\.0\.0\.1:(\d+)")


class BenchError(Exception):
    """Why the bench cannot go on, as one sentence."""


class Process:
    """A running server."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, ready_s: float) -> None:
        self.port, self.ready_s = port, ready_s
        self._process = process

    @property
    def cpu(self) -> float:
        """The seconds of processor time it has used, in user and system mode, threads that are gone included."""
        return time.clock_gettime(~self._process.pid << 3 | 2)  # Linux's clock of another process's CPU time

    @property
    def resident(self) -> float:
        """The megabytes of it that are in memory."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    async def connect(self) -> Connection:
        """A new connection to it."""
        return await Connection.open(self.port)

    async def stop(self) -> None:
        """Ends it, and waits until it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), _DOWN_WITHIN_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


async def run(arguments: Sequence[str], log: Path) -> bytes:
    """Runs Python with these arguments to its end; what it printed. Raises BenchError where it failed."""
    with log.open("ab") as errors:
        process = await _spawned(arguments, errors)
    try:
        printed, _ = await process.communicate()
    finally:
        await Process(process, 0, 0).stop()
    if process.returncode != 0:
        raise BenchError(f"{' '.join(arguments)} failed: {_last_line(log)}")
    return printed


async def _spawned(
    arguments: Sequence[str],
    errors: IO[bytes],
    settings: Mapping[str, str] = MappingProxyType({}),
    program: Path | None = None,
) -> asyncio.subprocess.Process:
    """Python with these arguments and settings, our packages in reach, and none of the caller's settings. program: what
    is run in its place, without our packages."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RECOLLECT_")}
    paths = [str(HOME), *filter(None, [environ.pop("PYTHONPATH", "")])]
    if program is None:
        environ["PYTHONPATH"] = os.pathsep.join(paths)
    environ |= {"RECOLLECT_MEMORY_CAPACITY": "100000000", **settings}
    return await asyncio.create_subprocess_exec(
        program or sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=errors, env=environ
    )


def _last_line(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]


class Others:
    """Measures how much of the machine was taken by what is not ours, which makes a run mean less."""

    def __init__(self) -> None:
        self._begun, self._busy, self._ours = time.perf_counter(), _busy(), _ours()

    def share(self) -> float:
        """Their part of all cores since this was made; call it when all that was started has ended."""
        cores = (os.cpu_count() or 1) * (time.perf_counter() - self._begun)
        return max(0.0, (_busy() - self._busy) - (_ours() - self._ours)) / cores


def _busy() -> float:
    """The seconds all cores have worked, for guests' neighbours too."""
    user, nice, system, _idle, _wait, interrupts, soft, stolen, *_ = map(
        int, Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:]
    )
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _ours() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


async def start(
    arguments: Sequence[str],
    log: Path,
    settings: Mapping[str, str] = MappingProxyType({}),
    ready: str = "/readyz",
    program: Path | None = None,
) -> Process:
    """Runs Python, or a program, with these arguments until it prints its URL and `ready` answers 200.

    Raises BenchError.
    """
    begun = time.perf_counter()
    with log.open("ab") as errors:
        process = await _spawned(arguments, errors, settings, program)
    try:
        async with asyncio.timeout(_UP_WITHIN_S):
            port = await _port(process)
            while not await _is_ready(port, ready):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.002)
        return Process(process, port, time.perf_counter() - begun)
    except BaseException as error:
        await Process(process, 0, 0).stop()
        if isinstance(error, BenchError | TimeoutError):
            raise BenchError(f"A server did not start: {_last_line(log) or error}") from None
        raise


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if found := _URL.search(line):
            return int(found[1])
    raise BenchError("it ended without a word")


async def _is_ready(port: int, path: str) -> bool:
    connection = await Connection.open(port)
    try:
        return (await connection.ask(get(path))).startswith(b"HTTP/1.1 200")
    finally:
        connection.close()
