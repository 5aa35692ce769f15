"""What a server says at /metrics, read as Prometheus reads it."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families as read

from tests.support.running import Running


def scraped(server: Running, key: str | None = None) -> httpx.Response:
    """The answer of /metrics."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.get(f"http://{server.address}/metrics", headers=headers, trust_env=False)


class Scrape:
    """One answer. names: of everything that can be asked for, also where there is no sample of it yet."""

    def __init__(self, text: str) -> None:
        self.samples: list[tuple[str, dict[str, str], float]] = []
        self.names: set[str] = set()
        for family in read(text):
            endings = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}.get(family.type, ("",))
            self.names |= {family.name + ending for ending in endings}
            self.samples += [(one.name, one.labels, one.value) for one in family.samples]

    def sum(self, name: str, /, **labels: str) -> float:
        """Of all samples of a metric that have these labels."""
        assert name in self.names, name
        return sum(value for found, has, value in self.samples if found == name and labels.items() <= has.items())


def scrape(server: Running, key: str | None = None) -> Scrape:
    """What the server says now."""
    answer = scraped(server, key)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)
