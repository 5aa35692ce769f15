"""Several Redis as one: a cluster of three, and a master with a replica that three Sentinels watch."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from redis import Redis as Client

from tests.support.servers.installing import ServerFailed
from tests.support.servers.process import HOST
from tests.support.servers.redis import Redis

SERVICE = "watched"


class Member(Redis):
    """One of a cluster."""

    def __init__(self, password: str) -> None:
        super().__init__(password, ports=2)

    def _settings(self) -> dict[str, str]:
        bus = {"cluster-enabled": "yes", "cluster-port": str(self.ports[1]), "cluster-node-timeout": "1000"}
        return {**super()._settings(), **bus}


class Replica(Redis):
    def __init__(self, password: str, master: Redis) -> None:
        super().__init__(password)
        self._master = master

    def _settings(self) -> dict[str, str]:
        return {**super()._settings(), "replicaof": f"{HOST} {self._master.ports[0]}"}

    def _command(self, fetched: Path) -> Sequence[str | Path]:
        words = super()._command(fetched)
        at = list(words).index("--replicaof") + 1
        return *words[:at], *str(words[at]).split(), *words[at + 1 :]


class Sentinel(Redis):
    """Watches a master, and has a password of its own."""

    def __init__(self, password: str, master: Redis) -> None:
        super().__init__(password)
        self._master = master

    def _command(self, fetched: Path) -> Sequence[str | Path]:
        lines = (
            f"port {self.ports[0]}",
            f"bind {HOST}",
            f"dir {self.folder}",
            f'requirepass "{self.password}"',
            f"sentinel monitor {SERVICE} {HOST} {self._master.ports[0]} 2",
            f'sentinel auth-pass {SERVICE} "{self._master.password}"',
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 3000",
        )
        (self.folder / "sentinel.conf").write_text("".join(f"{line}\n" for line in lines))
        return fetched, self.folder / "sentinel.conf", "--sentinel"


@contextmanager
def cluster(password: str) -> Iterator[str]:
    """A cluster of three; the URL that names two of them."""
    with ExitStack() as stack:
        members = [stack.enter_context(Member(password)) for _ in range(3)]
        places = [f"{HOST}:{one.ports[0]}" for one in members]
        # With an empty setting Redis 7.0 takes the bus of a member for that port and 10,000 more.
        with Client.from_url(members[0].url) as first:
            for one in members[1:]:
                first.execute_command("CLUSTER", "MEET", HOST, one.ports[0], one.ports[1])
            share = 16384 // 3 + 1
            for number, one in enumerate(members):
                with Client.from_url(one.url) as client:
                    last = min(16384, (number + 1) * share) - 1
                    client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            _until(lambda: all("cluster_state:ok" in _info(one) for one in members))
        yield f"redis+cluster://{members[0].who}{places[0]},{places[1]}"


def _info(member: Member) -> str:
    done = subprocess.run(
        ["redis-cli", "-h", HOST, "-p", str(member.ports[0]), "--no-auth-warning", "-a", member.password or "", "cluster", "info"],
        capture_output=True, text=True, check=False, timeout=10,
    )  # fmt: skip
    return done.stdout


class Watched(NamedTuple):
    url: str
    master: Redis


@contextmanager
def sentinels(password: str, their_password: str) -> Iterator[Watched]:
    """A master and a replica that three Sentinels watch, which know of each other."""
    with ExitStack() as stack:
        master = stack.enter_context(Redis(password))
        stack.enter_context(Replica(password, master))
        three = [stack.enter_context(Sentinel(their_password, master)) for _ in range(3)]
        for one in three:
            with Client.from_url(one.url, decode_responses=True) as client:
                _until(lambda: _ready(client.sentinel_masters().get(SERVICE, {})))
        places = ",".join(f"{HOST}:{one.ports[0]}" for one in three)
        options = f"sentinel_password={quote(their_password, safe='')}"
        yield Watched(f"redis+sentinel://{master.who}{places}/{SERVICE}/0?{options}", master)


def _ready(told: dict[str, int]) -> bool:
    return told.get("num-other-sentinels") == 2 and told.get("num-slaves") == 1


def _until(holds: object, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        if time.monotonic() > until:
            raise ServerFailed(f"Redis was not ready within {seconds:g} s.")
        time.sleep(0.1)
