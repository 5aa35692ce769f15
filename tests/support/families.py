"""The engines that tests run on. A new one is a line in FAMILIES."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path

import apsw

from docs.dictionary_engine import open_dictionaries
from stores import ports
from stores.embedded.engine import FILE
from stores.embedded.migrations import migrate
from stores.open import open_engine
from stores.ports import Engine
from tests.support.services import open_services

Opening = Callable[[Path, str, int, Callable[[], datetime]], Engine]
"""Opens an engine of a family, empty the first time: folder, name and dimension of the embedder, clock."""


@cache
def empty_file() -> bytes:
    """The file of a new folder. To create its 280 tables and indexes takes 30 ms, which a test need not wait for."""
    db = apsw.Connection(":memory:")
    migrate(db, FILE)
    return db.serialize("main")


def open_embedded(folder: Path, embedder: str, dimension: int, clock: Callable[[], datetime]) -> Engine:
    if not (folder / FILE).exists():
        folder.mkdir(exist_ok=True)
        (folder / FILE).write_bytes(empty_file())
    return open_engine(ports.Opening(data=str(folder), embedder=embedder, dimension=dimension, clock=clock))


def open_dictionary(folder: Path, embedder: str, dimension: int, clock: Callable[[], datetime]) -> Engine:
    url = f"dictionary://{folder}"
    return open_dictionaries(ports.Opening(graph_url=url, embedder=embedder, dimension=dimension, clock=clock))


FAMILIES: dict[str, Opening] = {
    "embedded": open_embedded,
    "dictionary": open_dictionary,
    "services": open_services,
}
