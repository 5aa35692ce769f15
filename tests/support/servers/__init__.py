"""Real servers for tests, benchmarks and checks: Neo4j, Weaviate and Redis as processes of this machine.

    with running() as servers:
        servers.environment  # the settings that lead to them
        servers.redis.kill()
        servers.redis.restart()

From a shell, `python -m tests.support.servers -- COMMAND` runs a command with them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.servers.installing import ServerFailed
from tests.support.servers.neo4j import Neo4j
from tests.support.servers.process import Server
from tests.support.servers.redis import Redis
from tests.support.servers.weaviate import Weaviate

__all__ = [
    "SETTINGS",
    "Neo4j",
    "Redis",
    "Server",
    "ServerFailed",
    "Servers",
    "Weaviate",
    "install",
    "missing",
    "running",
    "unfetched",
]

SETTINGS = ("RECOLLECT_GRAPH_URL", "RECOLLECT_VECTORS_URL", "RECOLLECT_EVENTS_URL")
KINDS: tuple[type[Server], ...] = (Redis, Neo4j, Weaviate)


class Servers:
    """The three, each with a password of its own."""

    def __init__(self) -> None:
        self.neo4j = Neo4j(secrets.token_hex(8))
        self.weaviate = Weaviate(secrets.token_hex(8))
        self.redis = Redis(secrets.token_hex(8))

    @property
    def all(self) -> tuple[Neo4j, Weaviate, Redis]:
        """Each of them."""
        return self.neo4j, self.weaviate, self.redis

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings that lead to them."""
        return dict(zip(SETTINGS, (server.url for server in self.all), strict=True))


@contextmanager
def running() -> Iterator[Servers]:
    """The three, fetched where they are missing, started at once and ready; stopped after, with all their data.

    Raises ServerFailed where one cannot be fetched or does not start; `missing` and `unfetched` tell beforehand.
    """
    install()
    servers = Servers()
    try:
        for server in servers.all:
            server.start()
        for server in servers.all:
            server.wait_until_first_ready()
        yield servers
    finally:
        for server in servers.all:
            server.stop()


def missing() -> list[str]:
    """What this machine lacks to run all three, a sentence for each server that lacks something."""
    return [sentence for kind in KINDS if (sentence := kind.missing())]


def unfetched() -> list[str]:
    """What `install` would fetch now, which takes minutes; nothing is left of it after the first time."""
    return [kind.package for kind in KINDS if not kind.fetched()]


def install() -> None:
    """Fetches what is not there yet, and says so on stderr. Raises ServerFailed, before it begins if tools are missing."""
    if lacking := missing():
        raise ServerFailed("\n".join(lacking))
    for kind in KINDS:
        kind.install()
