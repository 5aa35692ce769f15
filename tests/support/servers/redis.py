"""Redis, the system's, which keeps what it was told in an append-only file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from redis import Redis as Client
from redis.exceptions import RedisError

from tests.support.servers.installing import command
from tests.support.servers.process import HOST, Server


class Redis(Server):
    """A Redis with an append-only file; with a password unless it is None."""

    name = "Redis"
    package = "Redis (apt-get)"
    seconds_to_start = 30.0

    def __init__(self, password: str | None = None, ports: int = 1) -> None:
        super().__init__(ports=ports)
        self.password = password

    @classmethod
    def missing(cls) -> str | None:
        if not cls.fetched() and not (shutil.which("apt-get") and os.geteuid() == 0):
            return "Redis is not installed (redis-server), and only root can install it."
        return None

    @classmethod
    def fetched(cls) -> Path | None:
        found = shutil.which("redis-server")
        return Path(found) if found else None

    @classmethod
    def _fetch(cls) -> None:
        command(["apt-get", "update"], Path("/"))
        command(["apt-get", "install", "-y", "--no-install-recommends", "redis-server"], Path("/"))

    @property
    def url(self) -> str:
        return f"redis://{self.who}{HOST}:{self.ports[0]}/0"

    @property
    def who(self) -> str:
        """What stands before the host in a URL."""
        return f":{quote(self.password, safe='')}@" if self.password else ""

    def _settings(self) -> dict[str, str]:
        return {
            "bind": HOST,
            "port": str(self.ports[0]),
            "dir": str(self.folder),
            "appendonly": "yes",
            "save": "",
            "requirepass": self.password or "",
            "masterauth": self.password or "",
        }

    def _command(self, fetched: Path) -> Sequence[str | Path]:
        return fetched, *(word for name, value in self._settings().items() for word in (f"--{name}", value))

    def _answers(self) -> bool:
        client = Client.from_url(self.url, socket_timeout=5, retry=None)
        try:
            return bool(client.ping())
        except RedisError as error:  # it is loading, or not there yet
            raise ConnectionError(str(error)) from error
        finally:
            client.close()
