"""The servers that other tests rely on: they start, survive kill -9 with their data, and leave nothing. That Neo4j and
Weaviate keep theirs is seen where they are killed under load."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis as RedisClient
from redis.exceptions import AuthenticationError

from tests.support.servers import Neo4j, Redis, Server, ServerFailed, missing, unfetched

ROOT = Path(__file__).parents[2]
PASSWORD = "correct-horse"


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def leaves_nothing(server: Server, pid: int | None) -> bool:
    return server.pid is None and pid is not None and not is_running(pid) and not server.folder.exists()


@contextmanager
def on_another_port(server: Server) -> Iterator[str]:
    """A server that runs, whose port was taken before it started; its URL."""
    before, port = server.url, server.ports[-1]
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        with server:
            assert server.url != before
            assert port not in server.ports
            yield server.url


@pytest.mark.services
def test_redis_keeps_its_data_and_leaves_nothing() -> None:
    server = Redis(PASSWORD)
    with on_another_port(server) as url:
        with RedisClient.from_url(url) as client:
            client.xadd("stream", {"a": "1"})
        with RedisClient.from_url(url.replace(PASSWORD, "another")) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
        server.kill()
        assert server.pid is None
        server.restart()
        assert server.url == url
        with RedisClient.from_url(url) as client:
            assert client.xlen("stream") == 1
        pid = server.pid
    assert leaves_nothing(server, pid)


@pytest.mark.services
def test_a_server_that_does_not_start_says_why() -> None:
    server = Redis()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", server.ports[0]))
        server.start()
        with pytest.raises(ServerFailed, match=r"(?s)Redis ended by itself.*Address already in use"):
            server.wait_until_ready()
    server.stop()
    assert not server.folder.exists()


@pytest.mark.services
def test_a_server_that_is_late_says_so() -> None:
    with Redis() as server, pytest.raises(ServerFailed, match="Redis was not ready within 0 s"):
        server.wait_until_ready(seconds=0)


@pytest.mark.services
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_servers_go_with_the_process_that_started_them() -> None:
    program = """
from tests.support.servers import Redis
server = Redis()
server.start()
server.wait_until_ready()
print(server.pid, server.folder, flush=True)
input()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout
        pid, folder = parent.stdout.readline().split()
        assert is_running(int(pid))
        parent.kill()
        parent.wait()
        assert within(10, lambda: not is_running(int(pid)))
    subprocess.run(["rm", "-r", folder], check=True)


@pytest.mark.services
def test_a_command_runs_with_all_three() -> None:
    program = """
import os, socket
from urllib.parse import urlsplit
for name in ("GRAPH", "VECTORS", "EVENTS"):
    url = urlsplit(os.environ[f"RECOLLECT_{name}_URL"])
    socket.create_connection((url.hostname, url.port)).close()
raise SystemExit(7)
"""
    command = [sys.executable, "-m", "tests.support.servers", "--", sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


@pytest.mark.services
def test_what_is_fetched_is_whole_and_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an mvn that fails, and then one that does not."""
    maven, path = tmp_path / "mvn", os.environ["PATH"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{path}")

    maven.write_text("#!/bin/sh\nmkdir jars\necho the network is down\nexit 1\n")
    maven.chmod(0o755)
    with pytest.raises(ServerFailed, match="the network is down"):
        Neo4j.install()
    assert Neo4j.fetched() is None
    assert Neo4j.package in unfetched()

    maven.write_text("#!/bin/sh\nmkdir jars\ntouch jars/neo4j.jar\n")
    jars = Neo4j.install()
    assert [jar.name for jar in jars.iterdir()] == ["neo4j.jar"]
    assert [path.name for path in sorted(jars.parents[1].iterdir())] == ["lock", jars.parent.name]

    maven.write_text("#!/bin/sh\nexit 1\n")
    assert Neo4j.install() == jars


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert missing() == [
        "Redis is not installed (redis-server), and only root can install it.",
        "Neo4j needs Java 17 or newer; there is none.",
        "Weaviate is built with Go (go), which is not installed.",
    ]


@pytest.mark.services
def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """While it waits for its servers, too."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.servers"], cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    try:
        assert within(20, lambda: len(list(tmp_path.glob("*/log"))) == 3)
        process.terminate()
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    assert not list(tmp_path.iterdir())
