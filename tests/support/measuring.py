"""What a server process uses, and how soon it answers, seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Usage:
    """What a process has used since this was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        with contextlib.suppress(OSError):
            (Path("/proc") / str(pid) / "clear_refs").write_text("5")  # the peak begins anew
        self._cpu, self._resident = self._cpu_now(), self._kilobytes("VmRSS")
        self.late = 0.0

    def _cpu_now(self) -> float:
        fields = (Path("/proc") / str(self._pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _kilobytes(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", (Path("/proc") / str(self._pid) / "status").read_text())
        assert found is not None
        return int(found[1])

    @property
    def cpu(self) -> float:
        """Seconds of a processor."""
        return self._cpu_now() - self._cpu

    @property
    def peak(self) -> float:
        """How much more memory it held at the most than at the beginning, in MB."""
        return max(0, self._kilobytes("VmHWM") - self._resident) / 1024

    @property
    def grown(self) -> float:
        """How much more memory it holds than at the beginning, in MB."""
        return (self._kilobytes("VmRSS") - self._resident) / 1024


class Witness:
    """Another caller, in a process of its own, who asks for little all the time."""

    def __init__(self, address: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *address.split(":")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def waited(self) -> float:
        """The longest time an answer took since this was asked last, the one it waits for now included."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"?\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Lets it go."""
        self._process.communicate()


@contextlib.asynccontextmanager
async def measured(pid: int, witness: Witness) -> AsyncIterator[Usage]:
    """What the server uses meanwhile, and how long the witness waited."""
    witness.waited()
    usage = Usage(pid)
    yield usage
    usage.late = await asyncio.to_thread(witness.waited)


def _witness(host: str, port: str) -> None:
    longest = 0.0
    with socket.create_connection((host, int(port)), timeout=60) as server:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            began = time.monotonic()
            server.sendall(b"GET /graphql?query={__typename} HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += server.recv(65536)
            longest = max(longest, time.monotonic() - began)
            if select.select([sys.stdin], [], [], 0.01)[0]:
                if not sys.stdin.readline():
                    return
                print(longest, flush=True)
                longest = 0.0


if __name__ == "__main__":
    _witness(*sys.argv[1:])
