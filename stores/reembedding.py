"""Embed all memories and documents of a store anew, by another embedder, while it is in use."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from stores import renewal
from stores.embedder import Batching
from stores.errors import NoEmbedder
from stores.ports import AT_THE_END, Engine, Unembedded, Vector, label_of

BATCH = 500
"""Memories between two commits."""

_TRIES = 20
"""How often in a row an embedder may fail before that is the end; it waits in between."""

_WAIT_SECONDS = 0.5
"""Between two looks at whether what was made can be searched."""


async def reembed(
    engine: Engine, embedder: Batching, told: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Makes vectors of all texts and takes them into use, then those of documents and of state; ended in between it
    goes on when it is called again.

    told: how many memories have a new vector, and how many there are. What is no longer in use is left to `retire`.
    Raises NoEmbedder where the embedder fails again and again.
    """
    under_way = await engine.reembedding(label_of(embedder))
    told(*await under_way.progress())
    at_the_end = False
    while True:
        left = await under_way.missing(BATCH)
        # In the end what is written meanwhile is left to `finish`: else there would be some as long as anybody writes.
        if len(left) > (AT_THE_END if at_the_end else 0):
            await under_way.put(list(zip(left, await _embedded(embedder, left), strict=True)))
            told(*await under_way.progress())
        if len(left) == BATCH:
            continue
        if await under_way.finish(embedder.at_once):
            break
        at_the_end = True
        await asyncio.sleep(_WAIT_SECONDS)
    with contextlib.suppress(NoEmbedder):  # the sweeper goes on
        await renewal.renew(engine, embedder)


async def _embedded(embedder: Batching, texts: list[Unembedded]) -> Vector:
    failed = 0
    while True:
        try:
            return await embedder.embed([one.text for one in texts])
        except NoEmbedder as error:
            failed += 1
            if failed == _TRIES:
                raise
            await asyncio.sleep(error.retry_after_ms / 1000)
