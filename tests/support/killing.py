"""Programs that write as much as they can and say what was acknowledged, killed at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def told_until_killed(program: str, *words: object, lines: int = 0, seconds: float = 0.0) -> list[list[str]]:
    """Runs a module until it has said that it is ready and so many lines more, waits, kills it: the words of each line.

    A line is one system call to a pipe, so none is half there.
    """
    with subprocess.Popen(
        [sys.executable, "-m", program, *map(str, words)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", process.wait()
        told = [process.stdout.readline() for _ in range(lines)]
        assert all(told), f"the program ended by itself: {process.wait()}"
        time.sleep(seconds)
        process.kill()
        told += process.stdout.readlines()
    return [line.decode().split() for line in told]


def rounds(family: str) -> int:
    """How often a program is killed: fewer times on servers, where each start takes seconds, but for KILL_ROUNDS."""
    return int(os.environ.get("KILL_ROUNDS", 3 if family == "services" else 20))


def contents(folder: Path) -> bytes:
    """All that is in the files of a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
