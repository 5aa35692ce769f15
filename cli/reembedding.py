"""`recollect reembed`: makes the vectors of all memories anew, by another embedder."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec

from cli import show
from cli.client import credentials
from server.embedding import GRACE_SECONDS, Progress, open_by
from server.settings import BadSetting, Settings, web_url
from stores import renewal
from stores.embedder import Batching
from stores.errors import CannotOpen, InUse
from stores.open import open_engine
from stores.ports import Opening, label_of
from stores.reembedding import reembed

_LOOK_SECONDS = 0.5
_DOING = "embedding"


def in_store(data: Path, settings: Settings) -> Coroutine[Any, Any, str]:
    """Embeds all memories of the servers, or else of a folder, by the embedder of the settings; what was done.

    Servers may be in use meanwhile.
    """
    if not (settings.on_servers or data.exists()):
        raise CannotOpen(f"The folder {data} does not exist; choose one with --data.")
    return _in_store(data, settings)


async def _in_store(data: Path, settings: Settings) -> str:
    embedder = Batching(open_by(settings))
    try:
        opening = Opening(
            embedder="", dimension=0, data=str(data), graph_url=settings.graph_url, vectors_url=settings.vectors_url,
            events_url=settings.events_url, read_seconds=settings.max_read_seconds,
        )  # fmt: skip
        try:
            engine = open_engine(opening)
        except InUse as error:
            raise CannotOpen(f"{str(error).rstrip('.')}, or have the server that uses it do it, by --url.") from None
        try:
            if await engine.latest() == label_of(embedder):
                await renewal.renew(engine, embedder)
                await engine.retire()
                return f"The vectors are those of {embedder.name} already."
            with show.bar() as told:
                await reembed(engine, embedder, lambda done, total: told(_DOING, done, total))
            if settings.on_servers:  # other processes may not have heard of it yet
                await asyncio.sleep(GRACE_SECONDS)
            await engine.retire()
        finally:
            await engine.close()
    finally:
        await embedder.close()
    return _done(settings)


async def by_server(url: str, settings: Settings) -> str:
    """Has a running server do it. Raises BadSetting."""
    web_url("--url", url)
    place = f"{url.rstrip('/').removesuffix('/graphql')}/reembed"
    async with httpx.AsyncClient(timeout=30, headers=credentials(settings)) as client:
        with show.bar() as told:
            progress = await _asked(client.post(place, json={"embedder": settings.embedder}), place)
            while progress.state == "running":
                told(_DOING, progress.done, progress.total)
                await asyncio.sleep(_LOOK_SECONDS)
                progress = await _asked(client.get(place), place)
    if progress.state != "done":
        raise click.ClickException(f"the server could not do it: {progress.reason}")
    return _done(settings)


def _done(settings: Settings) -> str:
    return f"All memories have new vectors. Start servers with RECOLLECT_EMBEDDER={settings.embedder} from now on."


async def _asked(request: Any, place: str) -> Progress:
    try:
        answer = await request
        found = msgspec.json.decode(answer.content)
        if answer.status_code == 200:
            return msgspec.convert(found, Progress)
        told = found["errors"][0]["message"]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BadSetting(f"{place} does not answer: {str(error).rstrip('.') or type(error).__name__}.") from None
    except (msgspec.MsgspecError, KeyError, TypeError, IndexError):
        raise BadSetting(f"{place} is no Recollect server that can do it.") from None
    hint = " Commands send the key in RECOLLECT_KEY." if answer.status_code in (401, 403) else ""
    raise BadSetting(f"{told}{hint}")
