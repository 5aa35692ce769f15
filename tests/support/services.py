"""The servers of the services engine, emptied for each test. Which they are, the environment says."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import redis
from neo4j import Driver, GraphDatabase

from stores.open import open_engine
from stores.ports import Engine, Opening
from stores.services.neo4j_client import Address
from tests.support.servers import SETTINGS

PATIENCE = 30.0
"""How many seconds a statement may take: most are planned first, while other tests use all processors."""

_held: list[Path] = []
"""The folder whose graph the servers hold: they have room for one at a time."""


def urls() -> dict[str, str]:
    """Where the servers are, as the arguments of `open_engine`."""
    graph, vectors, events = (os.environ[name] for name in SETTINGS)
    return {"graph_url": graph, "vectors_url": vectors, "events_url": events}


def held(folder: Path) -> bool:
    """Whether the servers hold the graph of that folder."""
    return _held == [folder]


def open_services(folder: Path, embedder: str, dimension: int, clock: Callable[[], datetime]) -> Engine:
    """Opens the engine over the servers, which are emptied where they held the graph of another folder."""
    if not held(folder):
        hold(folder)
    patient = {"read_seconds": PATIENCE, **urls()}
    return open_engine(Opening(data=str(folder), embedder=embedder, dimension=dimension, clock=clock, **patient))


def hold(folder: Path) -> None:
    """Empties the servers for the graph of a folder."""
    empty()
    _held[:] = [folder]


def take_over(folder: Path) -> None:
    """Goes on with what another process has left in the servers for a folder, as patiently as on a busy machine."""
    global PATIENCE
    PATIENCE = 300.0
    _held[:] = [folder]


def settle() -> None:
    """Waits until nobody's transaction is open any more: one of a process that was killed may still be committed."""
    ours = "SHOW TRANSACTIONS YIELD currentQuery WHERE NOT coalesce(currentQuery, '') STARTS WITH 'SHOW TRANSACTIONS' "
    while run(f"{ours} RETURN count(*) AS open")[0]["open"]:
        time.sleep(0.05)


def empty(vectors_url: str = "") -> None:
    """Takes everything out of the servers but the indexes. vectors_url: of another Weaviate than the usual one."""
    run("MATCH (n) WHERE NOT n:Recollect DETACH DELETE n")
    sets = "n.embedder, n.property, n.coming, n.coming_property, n.retired"
    run(f"MATCH (n:Recollect) REMOVE {sets} SET n.epoch = left(randomUUID(), 8)")
    with redis.Redis.from_url(os.environ[SETTINGS[2]]) as client:
        client.flushdb()
    http = _weaviate(vectors_url or os.environ[SETTINGS[1]])
    for one in http.get("/schema").json()["classes"]:
        if one["class"].count("_") > 2:  # of a later embedder; such a name is never used again
            http.delete(f"/schema/{one['class']}").raise_for_status()
            continue
        # Not the tenants: one that is deleted while it is made, by a write nobody waits for, can never be made again.
        all_of_it = {"class": one["class"], "where": {"path": ["id"], "operator": "Like", "valueText": "*"}}
        for tenant in http.get(f"/schema/{one['class']}/tenants").raise_for_status().json():
            where = {"tenant": tenant["name"]}
            http.request("DELETE", "/batch/objects", params=where, json={"match": all_of_it}).raise_for_status()


def run(statement: str, **parameters: Any) -> list[Any]:
    """Runs a statement in Neo4j; its records."""
    return _driver().execute_query(statement, parameters).records


def explained(statement: str) -> Any:
    """The plan of a statement, which is not run: an operator with its children."""
    return _driver().execute_query(f"EXPLAIN {statement}").summary.plan


def everything() -> dict[str, list[Any]]:
    """All records in the servers, by their label, and all relationships."""
    nodes = _driver().execute_query(
        "MATCH (n) WHERE NOT n:Workspace AND NOT n:Recollect AND NOT n:Outbox AND NOT n:Told AND NOT n:Relay "
        "RETURN labels(n)[0], properties(n) ORDER BY elementId(n)"
    )
    links = _driver().execute_query("MATCH ()-[r]->() RETURN type(r), properties(r) ORDER BY elementId(r)")
    found: dict[str, list[Any]] = {}
    for name, properties in [*nodes.records, *links.records]:
        found.setdefault(name, []).append(properties)
    return found


@cache
def _weaviate(url: str) -> httpx.Client:
    parts = urlsplit(url)
    headers = {"Authorization": f"Bearer {parts.password}"}
    client = httpx.Client(base_url=f"http://{parts.hostname}:{parts.port}/v1", headers=headers, trust_env=False)
    atexit.register(client.close)
    return client


@cache
def _driver() -> Driver:
    """One for all tests: to connect takes longer than to empty the servers."""
    address = Address(os.environ[SETTINGS[0]])
    driver = GraphDatabase.driver(address.uri, auth=address.auth)
    atexit.register(driver.close)
    return driver
