"""Weaviate, one node of it, without a vectorizer, built from its makers' source."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.servers.installing import cache, command, whole
from tests.support.servers.process import HOST, Server

VERSION = "1.35.2"
SOURCE = f"github.com/weaviate/weaviate/cmd/weaviate-server@v{VERSION}"


class Weaviate(Server):
    """A Weaviate that takes vectors as they are; with an API key unless it is None."""

    name = "Weaviate"
    package = f"Weaviate {VERSION} (built with Go, some minutes)"
    seconds_to_start = 120.0

    def __init__(self, key: str | None = None) -> None:
        super().__init__(ports=6)
        self.key = key

    @classmethod
    def missing(cls) -> str | None:
        if not cls.fetched() and not shutil.which("go"):
            return "Weaviate is built with Go (go), which is not installed."
        return None

    @classmethod
    def fetched(cls) -> Path | None:
        executable = cache() / f"weaviate-{VERSION}" / "weaviate-server"
        return executable if executable.exists() else None

    @classmethod
    def _fetch(cls) -> None:
        with whole(f"weaviate-{VERSION}") as folder:
            command(["go", "install", "-ldflags=-s -w", SOURCE], folder, GOBIN=str(folder), CGO_ENABLED="0")

    @property
    def url(self) -> str:
        who = f":{self.key}@" if self.key else ""
        http, grpc, *_ = self.ports
        return f"weaviate://{who}{HOST}:{http}?grpc={grpc}"

    def _command(self, fetched: Path) -> Sequence[str | Path]:
        return fetched, "--host", HOST, "--port", str(self.ports[0]), "--scheme", "http"

    def _environment(self) -> Mapping[str, str]:
        _, grpc, gossip, data, raft, raft_rpc = self.ports
        return {
            "PERSISTENCE_DATA_PATH": str(self.folder / "data"),
            "DEFAULT_VECTORIZER_MODULE": "none",
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": str(self.key is None).lower(),
            "AUTHENTICATION_APIKEY_ENABLED": str(self.key is not None).lower(),
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": self.key or "",
            "AUTHENTICATION_APIKEY_USERS": "recollect" if self.key else "",
            "GRPC_PORT": str(grpc),
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_ADVERTISE_ADDR": HOST,
            "CLUSTER_BIND_ADDR": HOST,
            "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
            "CLUSTER_DATA_BIND_PORT": str(data),
            "RAFT_PORT": str(raft),
            "RAFT_INTERNAL_RPC_PORT": str(raft_rpc),
            "RAFT_JOIN": f"node1:{raft}",
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "RAFT_TIMEOUTS_MULTIPLIER": "1",  # a single node elects itself after one second and not after five
            "GO_PROFILING_DISABLE": "true",  # it would take a fixed port
            "DISABLE_TELEMETRY": "true",
            "LOG_LEVEL": "warning",
        }

    def _answers(self) -> bool:
        ready = f"http://{HOST}:{self.ports[0]}/v1/.well-known/ready"
        with urllib.request.urlopen(ready, timeout=5) as answer:
            return bool(answer.status == 200)
