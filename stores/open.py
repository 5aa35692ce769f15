"""From settings to an opened engine: the only place that names one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from stores.embedded.engine import open_embedded
from stores.errors import CannotOpen
from stores.ports import Engine

CLIENTS = ("grpc", "neo4j", "redis", "weaviate")
"""What the extra `services` brings; nothing else imports it."""


def open_engine(
    data: str,
    embedder: str,
    dimension: int,
    clock: Callable[[], datetime] | None = None,
    *,
    graph_url: str = "",
    vectors_url: str = "",
    events_url: str = "",
) -> Engine:
    """Opens the store for vectors of an embedder, by its name and dimension.

    data: a folder, which is made where it is missing. graph_url, vectors_url, events_url: of Neo4j, Weaviate and
    Redis, in place of the folder. clock: the time, for tests. Raises stores.errors.CannotOpen.
    """
    urls = {
        "RECOLLECT_GRAPH_URL": graph_url,
        "RECOLLECT_VECTORS_URL": vectors_url,
        "RECOLLECT_EVENTS_URL": events_url,
    }
    if not any(urls.values()):
        return open_embedded(Path(data), embedder, dimension, clock)
    if missing := [name for name, url in urls.items() if not url]:
        raise CannotOpen(f"Neo4j, Weaviate and Redis work together: {' and '.join(missing)} must be set too, or none.")
    try:
        from stores.services.engine import Urls, open_services  # the clients take half a second to import
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in CLIENTS:
            raise
        raise CannotOpen("Neo4j, Weaviate and Redis need their clients: pip install 'recollect[services]'.") from None
    return open_services(Urls(graph_url, vectors_url, events_url), embedder, dimension, clock)
