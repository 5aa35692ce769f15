"""The Node packages of the clients: installed once, into a folder outside the checkout, by what package-lock.json says."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parents[1] / "clients"
FILES = ("package.json", "package-lock.json", ".npmrc")


class Missing(Exception):
    """There are no clients here; the text says why."""


def installed() -> Path:
    """A folder with `node_modules`. Raises Missing."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("node and npm are not on the path")
    key = sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recollect" / "clients"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / key).exists():
            _install(cache, cache / key)
    return cache / key


def _install(cache: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        made = Path(folder) / "made"
        made.mkdir()
        for name in FILES:
            shutil.copy(HERE / name, made)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise Missing(f"npm ci failed: {done.stderr[-500:]}")
        made.rename(target)
