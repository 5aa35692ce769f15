"""From a URL or a folder to an opened engine: the only place that names one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from stores.embedded.engine import open_embedded
from stores.ports import Engine


def open_engine(data: str, embedder: str, dimension: int, clock: Callable[[], datetime] | None = None) -> Engine:
    """Opens the store for vectors of an embedder, by its name and dimension.

    data: a folder, which is made where it is missing. clock: the time, for tests. Raises stores.errors.CannotOpen.
    """
    return open_embedded(Path(data), embedder, dimension, clock)
