"""A server process: started, killed, started again on the same data, and always ended."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.support.servers.installing import ServerFailed, fetching, last_lines

HOST = "127.0.0.1"

# Below the range that systems give to outgoing connections: none can take a server's port while it is down.
PORTS = range(15_000, 32_000)
OTHER_PORTS = 3  # how often a server that finds its ports taken tries others

# A server goes when the one who started it does, however that ended. Linux sends its signal when the thread that
# started the process ends; hence one thread that starts them all and lives as long as this process.
STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="servers")
DIES_WITH_PARENT = """
import ctypes, os, sys
parent, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() == int(parent):
    os.execvp(command[0], command)
"""


ROOM = 4 * 2**30


def in_memory() -> Path | None:
    """A file system without a disk, where there is one with room and TMPDIR names no other: a test does not wait for it.
    It outlives a SIGKILL."""
    if os.environ.get("TMPDIR"):
        return None
    shared = Path("/dev/shm")
    return shared if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM else None


class Server(ABC):
    """One server on ports and in a folder of its own, which it keeps until it is stopped.

    Used as a context, it is started and ready inside and stopped after.
    """

    name: ClassVar[str]
    package: ClassVar[str]  # what is fetched, for the one who waits
    seconds_to_start: ClassVar[float]

    def __init__(self, ports: int) -> None:
        """Chooses free ports and makes a temporary folder."""
        self.ports = free_ports(ports)
        self.folder = Path(tempfile.mkdtemp(prefix=f"recollect-{self.name.lower()}-", dir=in_memory()))
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """What this machine lacks to fetch and run it, as a sentence."""

    @classmethod
    @abstractmethod
    def fetched(cls) -> Path | None:
        """What was fetched, if it was."""

    @classmethod
    @abstractmethod
    def _fetch(cls) -> None:
        """Fetches it; called by one process at a time."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, as the setting says it; the same after a restart."""

    @abstractmethod
    def _command(self, fetched: Path) -> Sequence[str | Path]:
        """What runs it."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it does what it is there for. Returns or raises OSError, within some seconds."""

    def _environment(self) -> Mapping[str, str]:
        """What its environment has besides this one's."""
        return {}

    @classmethod
    def install(cls) -> Path:
        """Fetches it where it was not yet, which may take minutes. Raises ServerFailed."""
        if sentence := cls.missing():
            raise ServerFailed(sentence)
        if not cls.fetched():
            with fetching(cls.package):
                if not cls.fetched():  # by another process, while this one waited
                    cls._fetch()
        if found := cls.fetched():
            return found
        raise ServerFailed(f"{cls.name} was fetched, and is not where it should be.")

    @property
    def pid(self) -> int | None:
        """The process while there is one."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Starts it, and does not wait until it is ready. Raises ServerFailed where it cannot be fetched."""
        if self.pid:
            raise RuntimeError(f"{self.name} runs already.")
        command = [sys.executable, "-ISc", DIES_WITH_PARENT, str(os.getpid()), *map(str, self._command(self.install()))]
        with self.log.open("ab") as log:
            self._process = STARTER.submit(
                subprocess.Popen[bytes],
                command,
                cwd=self.folder,
                env={**os.environ, **self._environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for this process, which then ends the server
            ).result()

    def wait_until_ready(self, seconds: float | None = None) -> None:
        """Returns when it answers. Raises ServerFailed when it died, or does not answer within the time."""
        bound = self.seconds_to_start if seconds is None else seconds
        deadline = time.monotonic() + bound
        while time.monotonic() < deadline:
            self.check()
            try:
                if self._answers():
                    self.check()  # else it was another's answer, on a port that it could not have
                    return
            except OSError:
                pass  # not yet
            time.sleep(0.05)
        raise ServerFailed(f"{self.name} was not ready within {bound:g} s.\n{self._said()}")

    def wait_until_first_ready(self) -> None:
        """As `wait_until_ready`, for a server that nobody knows the URL of yet: a port can be taken by another between
        its choice and its use, which for Neo4j is seconds; then it starts anew on other ports."""
        for left in reversed(range(OTHER_PORTS + 1)):
            try:
                self.wait_until_ready()
                break
            except ServerFailed as failure:
                if self.pid or not left or "address already in use" not in str(failure).lower():
                    raise
            shutil.rmtree(self.folder)
            self.folder.mkdir()
            self.ports = free_ports(len(self.ports))
            self.start()

    def check(self) -> None:
        """Raises ServerFailed when the process is not there any more."""
        if self.pid is None:
            raise ServerFailed(f"{self.name} ended by itself.\n{self._said()}")

    def kill(self) -> None:
        """Ends it with SIGKILL, as a crash would, and returns when the process is gone. Its data stays."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Kills it if it runs, starts it on the same ports and data, and returns when it is ready."""
        self.kill()
        self.start()
        self.wait_until_ready()

    def stop(self) -> None:
        """Ends it and deletes its data. May be called twice, and whatever state it is in."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _said(self) -> str:
        return last_lines("".join(log.read_text(errors="replace") for log in self._logs() if log.exists()))

    def _logs(self) -> Sequence[Path]:
        """Where it says why it does not run."""
        return (self.log,)

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_until_first_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def free_ports(count: int) -> list[int]:
    """Ports that nothing holds now, neither TCP nor UDP. Raises ServerFailed where there are too few."""
    found: list[int] = []
    # Not by the seed of the run, which is the same in all of its processes.
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if len(found) == count:
            return found
        if all(_is_free(port, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            found.append(port)
    raise ServerFailed(f"No {count} ports are free between {PORTS.start} and {PORTS.stop}.")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: what was closed is free
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
