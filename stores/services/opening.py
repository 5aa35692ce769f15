"""From URLs to the opened servers, without whose clients there is one sentence."""

from __future__ import annotations

from stores.errors import CannotOpen
from stores.ports import Engine, Opening

CLIENTS = ("grpc", "neo4j", "redis", "weaviate")
"""What the extra `services` brings; nothing else imports it."""

_URLS = ("graph_url", "vectors_url", "events_url")


def open_servers(opening: Opening) -> Engine:
    """Raises CannotOpen, with one sentence."""
    if missing := [f"RECOLLECT_{name.upper()}" for name in _URLS if not getattr(opening, name)]:
        raise CannotOpen(
            f"Neo4j, Weaviate and Redis are used together: set {' and '.join(missing)} too, or none of them."
        )
    try:
        from stores.services.engine import open_services  # the clients take half a second to import
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in CLIENTS:
            raise
        raise CannotOpen("Neo4j, Weaviate and Redis need their clients: pip install 'recollect[services]'.") from None
    return open_services(opening)
