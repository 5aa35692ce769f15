"""What tests that kill servers look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
from neo4j import Driver

from tests.support.running import Running

Start = Callable[..., Running]


def column(graph: Driver, statement: str, **parameters: Any) -> list[Any]:
    """The first value of each record."""
    return [record[0] for record in graph.execute_query(statement, parameters).records]  # type: ignore[arg-type]


def health(api: Running) -> dict[str, Any]:
    """What the query `health` says of each store, by its name, and the status code of /readyz, which follows soon."""
    base = f"http://{api.address}"
    asked = "{ health { status stores { name status latencyMs reason circuit backlog } } }"
    body = httpx.post(f"{base}/graphql", json={"query": asked}, trust_env=False, timeout=10).json()["data"]["health"]
    code = httpx.get(f"{base}/readyz", trust_env=False, timeout=10).status_code
    return {"code": code, "status": body["status"], **{one["name"]: one for one in body["stores"]}}


def seconds_until(holds: Callable[[], bool], most: float) -> float:
    """How long it takes until something holds."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < most, f"not within {most:g} s"
        time.sleep(0.05)
    return time.monotonic() - begun
