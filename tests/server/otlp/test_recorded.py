"""What agent libraries sent is read as what their programs did, on each engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import Running
from tests.support.servers import running as own_servers

HERE = Path(__file__).parent / "recorded"
LIBRARIES = sorted(json.loads((HERE / "truth.json").read_text("utf-8"))["libraries"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("recorded") / "data")
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """On servers of their own: those of other tests hold vectors of another embedder."""
    with own_servers() as servers:
        running = Running(tmp_path_factory.mktemp("recorded") / "unused", **servers.environment)
        running.start()
        yield running
        running.end()


def replay(server: Running, *arguments: str) -> str:
    """What does not come out as it was; empty where nothing."""
    done = subprocess.run(
        [sys.executable, HERE / "replay.py", f"http://{server.address}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = "\n".join(line for line in done.stdout.splitlines() if "WRONG" in line or "MISSING" in line)
    assert done.returncode == (1 if told else 0), done.stderr  # it did not end in the middle
    return told


def test_every_recording_has_its_truth() -> None:
    assert sorted(path.stem for path in HERE.glob("*.json") if path.stem != "truth") == LIBRARIES


def test_on_a_folder(folder: Running) -> None:
    assert replay(folder) == ""


@pytest.mark.services
def test_on_servers(servers: Running) -> None:
    assert replay(servers) == ""
