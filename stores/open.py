"""From settings to an opened engine, which an entry point names by the scheme of its URL."""

from __future__ import annotations

from stores.errors import CannotOpen, StoreError
from stores.plugins import Plugins
from stores.ports import Engine, Opening

_ENGINES = Plugins("recollect.engines", "engine", lambda told: CannotOpen(f"RECOLLECT_GRAPH_URL: {told}."), StoreError)


def open_engine(opening: Opening) -> Engine:
    """Opens the store for vectors of an embedder. Raises stores.errors.CannotOpen, with one sentence."""
    name = _scheme(opening)
    open_it = _ENGINES.load(name)
    engine: Engine = _ENGINES.ask(name, "cannot be opened", lambda: open_it(opening))
    return engine


def _scheme(opening: Opening) -> str:
    """Without what stands behind a +, such as in neo4j+s."""
    if not (opening.graph_url or opening.vectors_url or opening.events_url):
        return "file"
    scheme, found, _ = opening.graph_url.partition("://")
    return scheme.partition("+")[0].lower() if found else "neo4j"
