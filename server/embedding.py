"""The embedder of an opened store: which one is in use, and how it is changed while the store is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from domain.masking import Masks
from server.settings import Settings
from stores.embedder import Batching, open_embedder
from stores.errors import CannotOpen, NoEmbedder, StoreError
from stores.ports import Embedder, Engine, Remote, Vector, label_of
from stores.reembedding import reembed

_log = logging.getLogger("recollect")

LOOK_SECONDS = 5.0
"""How often a process looks whether another one has changed the embedder."""

GRACE_SECONDS = 3 * LOOK_SECONDS
"""How long the vectors of before are kept for those who still search for them."""


class Progress(msgspec.Struct):
    """How far a change of the embedder is. state: "running", "done" or "failed", with the reason."""

    embedder: str
    done: int = 0
    total: int = 0
    state: str = "running"
    reason: str | None = None


def open_by(settings: Settings) -> Embedder:
    """The embedder of the settings. Raises CannotOpen."""
    dimension = settings.embedder_dimension
    remote = Remote(settings.embedder_url, settings.embedder_key, None if dimension == "own" else dimension)
    embedder = open_embedder(settings.embedder, remote)
    return embedder if settings.masks is None else cast(Embedder, _Masked(embedder, settings.masks))


class _Masked:
    """An embedder that is told no secret: what it is asked is masked as what is stored is."""

    def __init__(self, embedder: Embedder, masks: Masks) -> None:
        self._embedder, self._masks = embedder, masks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def embed(self, texts: Sequence[str]) -> Vector:
        return self._embedder.embed([self._masks.text(text, Counter()) for text in texts])


class Embedders:
    """now: the embedder whose vectors are written and searched for. progress: of the last change."""

    def __init__(self, engine: Engine, now: Batching, settings: Settings) -> None:
        self._engine, self.now, self._settings = engine, now, settings
        self._all = [now]
        self._renewing = asyncio.Lock()
        self._changing: asyncio.Task[None] | None = None
        self.progress: Progress | None = None

    async def renewed(self) -> Batching:
        """The embedder whose vectors the store holds by now, in use from now on. Raises NoEmbedder where this process
        cannot open it."""
        async with self._renewing:
            latest = await self._engine.latest()
            if latest != label_of(self.now):
                self.now = await self._open(latest)
                _log.warning("the store's embedder is %s now", latest)
            self._engine.use(latest)
            return self.now

    async def watch(self) -> None:
        """Looks for ever whether another process has changed the embedder."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(StoreError):
                await self.renewed()

    async def begin(self, setting: str) -> Progress:
        """Begins to change the embedder to that of a setting, or tells how far that is. Raises CannotOpen where there
        is no such embedder, or another change is under way."""
        name = self.progress.embedder if self._changing is not None and self.progress is not None else None
        if name is None:
            made = Batching(await asyncio.to_thread(open_by, msgspec.structs.replace(self._settings, embedder=setting)))
            self._all.append(made)
            self.progress = Progress(setting)
            self._changing = asyncio.create_task(self._change(made, self.progress))
        elif name != setting:
            raise CannotOpen(f"The embedder is being changed to {name} already.")
        assert self.progress is not None
        return self.progress

    async def close(self) -> None:
        if self._changing is not None:
            self._changing.cancel()
            await asyncio.gather(self._changing, return_exceptions=True)
        for one in self._all:
            await one.close()

    async def _change(self, made: Batching, progress: Progress) -> None:
        def told(done: int, total: int) -> None:
            progress.done, progress.total = done, total

        try:
            if await self._engine.latest() != label_of(made):
                await reembed(self._engine, made, told)
            await self.renewed()
            progress.state = "done"
            await asyncio.sleep(GRACE_SECONDS)
            await self._engine.retire()
        except Exception as error:
            _log.exception("could not change the embedder")
            if progress.state == "running":
                progress.state, progress.reason = "failed", str(error) or type(error).__name__
        finally:
            self._changing = None

    async def _open(self, label: str) -> Batching:
        for one in self._all:
            if label_of(one) == label:
                return one
        name, _, dimension = label.rpartition(" ")
        settings = msgspec.structs.replace(self._settings, embedder=name)
        try:
            made = await asyncio.to_thread(open_by, settings)
            if label_of(made) != label:
                settings = msgspec.structs.replace(settings, embedder_dimension=int(dimension))
                made = await asyncio.to_thread(open_by, settings)
        except CannotOpen as error:
            raise NoEmbedder(f"the store's embedder is {label} now, which cannot be opened here: {error}") from None
        if label_of(made) != label:
            raise NoEmbedder(f"the store's embedder is {label} now, and not {label_of(made)}")
        self._all.append(Batching(made))
        return self._all[-1]
