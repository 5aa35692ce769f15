"""An opened store with all that stands on it: what the server, the importers and the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from resolvers.context import DEFAULT_WORKSPACE, Context
from schema.build import build
from schema.loading import Loading
from server.executor import Executor
from server.settings import BadSetting, Settings
from stores.embedder import Batching, open_embedder
from stores.errors import CannotOpen
from stores.open import open_engine
from stores.ports import Engine


class Service:
    """The engine, the embedder and the executor; close it when done."""

    def __init__(self, engine: Engine, embedder: Batching, settings: Settings) -> None:
        self.engine, self.embedder, self.settings = engine, embedder, settings
        self.executor = Executor(build(), audience=lambda operation: cast(Loading, operation).context.workspace)

    def context(self, workspace: str = DEFAULT_WORKSPACE) -> Context:
        """One caller's view of a workspace."""
        return Context(self.engine, self.embedder, workspace, self.settings.memory_capacity)

    def operation(self) -> Loading:
        """What the fields of one operation share."""
        return Loading(self.context())

    async def close(self) -> None:
        """Finishes what was begun."""
        await self.embedder.close()
        await self.engine.close()


def open_service(data: Path, settings: Settings, *, must_exist: bool = False) -> Service:
    """Opens a data folder, which is made where it is missing unless it must exist.

    Raises stores.errors.CannotOpen or BadSetting, each with one sentence.
    """
    if must_exist and not data.exists():
        raise CannotOpen(f"There is no folder {data}; name one with --data.")
    try:
        embedder = open_embedder(settings.embedder)
    except ValueError as error:
        raise BadSetting(f"RECOLLECT_EMBEDDER: {error}") from None
    engine = open_engine(str(data), embedder.name, embedder.dimension)
    return Service(engine, Batching(embedder), settings)
