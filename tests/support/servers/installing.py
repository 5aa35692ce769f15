"""Fetches what a server needs, once, into a folder outside the checkout where it is kept by version."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LOG_LINES = 30


class ServerFailed(Exception):
    """A server that could not be fetched, did not start, or died; the text ends with the last lines of its log."""


def cache() -> Path:
    """The folder that everything fetched is kept in."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recollect" / "servers"


@contextmanager
def fetching(what: str) -> Iterator[None]:
    """Holds the cache while something is fetched, and says on stderr what it is and how long it took."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        print(f"Fetching {what} ...", end=" ", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            print("failed", file=sys.stderr, flush=True)
            raise
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


@contextmanager
def whole(name: str) -> Iterator[Path]:
    """A temporary folder that becomes the folder `name` of the cache if nothing goes wrong inside."""
    for left in cache().glob("part-*"):  # by one that was killed: who fetches holds the cache
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix="part-", dir=cache()) as temporary:
        part = Path(temporary) / name
        part.mkdir()
        yield part
        part.rename(cache() / name)


def command(words: Sequence[str], folder: Path, **environment: str) -> None:
    """Runs a command quietly. Raises ServerFailed with the end of what it said where it fails."""
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise ServerFailed(f"`{' '.join(words)}` failed:\n{last_lines(done.stdout)}")


def last_lines(text: str) -> str:
    """The end of a log, indented."""
    return "\n".join(f"  {line}" for line in text.splitlines()[-LOG_LINES:]) or "  (nothing was logged)"
