"""An older build of ours: its code in a worktree of git, its packages in an environment of its own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from bench.process import HOME, BenchError


@contextlib.asynccontextmanager
async def built(revision: str, folder: Path) -> AsyncIterator[Path]:
    """Builds a revision in a folder, for a minute or so; its program. Raises BenchError."""
    source, environment = folder / "source", folder / "environment"
    commit = await _run("git", "-C", str(HOME), "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    await _run("git", "-C", str(HOME), "worktree", "add", "--detach", str(source), commit)
    try:
        await _run(sys.executable, "-m", "venv", str(environment))
        await _run(str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", str(source))
        yield environment / "bin" / "recollect"
    finally:
        await _run("git", "-C", str(HOME), "worktree", "remove", "--force", str(source))


async def _run(*command: str) -> str:
    """Runs a command; the last line that it printed. Raises BenchError."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except FileNotFoundError:
        raise BenchError(f"An older build needs {command[0]}, which is not installed.") from None
    try:
        printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    last = printed.decode(errors="replace").strip().rpartition("\n")[2]
    if process.returncode != 0:
        raise BenchError(f"The older build cannot be made: {last}")
    return last
