"""Environments of agent libraries, one each, made once into a folder outside the checkout."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

_PYTHON = ("opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2")

PYTHON: dict[str, tuple[str, ...]] = {
    "pydantic_ai": ("pydantic-ai-slim[openai]==2.68.0",),
    "openai_agents": ("openai-agents==0.24.0", "openinference-instrumentation-openai-agents==2.6.0"),
    "langgraph": (
        "langgraph==1.2.24",
        "langchain==1.5.2",
        "langchain-openai==1.7.4",
        "openinference-instrumentation-langchain==0.1.80",
    ),
}
"""What is installed for each."""

NODE: dict[str, tuple[str, ...]] = {
    "vercel_ai": (
        "ai@6.0.326",
        "@ai-sdk/openai@3.0.141",
        "zod@4.6.7",
        "@opentelemetry/sdk-trace-node@2.12.1",
        "@opentelemetry/exporter-trace-otlp-http@0.223.1",
    )
}


class Missing(Exception):
    """It cannot be made here; the text says why."""


def python(name: str) -> Path:
    """The Python of an environment. Raises Missing."""

    def make(folder: Path) -> None:
        _run(sys.executable, "-m", "venv", str(folder))
        pip = (
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",
            "--disable-pip-version-check",
        )
        _run(*pip, *PYTHON[name], *_PYTHON)

    return _made(name, (*PYTHON[name], *_PYTHON, sys.version), make) / "bin" / "python"


def node(name: str) -> Path:
    """A folder with `node_modules`. Raises Missing."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("node and npm are not on the path")

    def make(folder: Path) -> None:
        folder.mkdir()
        _run("npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", *NODE[name])

    return _made(name, NODE[name], make)


def _made(name: str, packages: tuple[str, ...], make: Callable[[Path], None]) -> Path:
    """The folder of these packages. It is made where it stays: an environment of Python knows its own path."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recollect" / "libraries"
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"{name}-{sha256(repr(packages).encode()).hexdigest()[:16]}"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = target / "done"
        if not done.exists():
            shutil.rmtree(target, ignore_errors=True)
            make(target)
            done.touch()
    return target


def _run(*command: str) -> None:
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, timeout=300, check=False)
        if done.returncode:
            said.seek(0)
            raise Missing(f"{' '.join(command[:4])} ... failed: {said.read()[-500:]}")
