"""Copies everything from one store to another, and then compares the two.

What is copied is what `recollect export` writes of each workspace, by way of a temporary file, and beside it the trash
with its files, the audit log and the API keys, so that everybody gets in as before. What is there already stays, so a
copy that was killed is completed by another one. Not copied: idempotency keys, which are forgotten after 7 days, the
logs of changes, and the places of trace events; every log gets places of its own, in the same order.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from secrets import token_hex

import click
import msgspec

from cli.comparison import BESIDE, Compared, compare, pages
from cli.show import WIDE, Show, bar, table
from domain.caller import operator
from domain.node import Node
from domain.trash import TrashedBlob
from formats.conversation import FormatError
from formats.file import lines
from formats.recollect import jsonl as recollect_jsonl
from resolvers import erasure
from resolvers.context import Context
from server.service import Service, open_service
from server.settings import BadSetting, Settings
from stores.blobs.opening import FOLDER
from stores.errors import Unavailable
from stores.ports import Transaction

SERVICES = "services"
"""What the servers of the settings are called, in place of a folder."""

_EVERY = 500
_ALL = 1 << 40
"""More bytes than a file has."""

_SETTLED_SECONDS = 60.0
_URLS = ("graph_url", "vectors_url", "events_url")


async def copy(source: str, target: str, settings: Settings) -> None:
    """Copies a folder or "services" to the other, prints the comparison, and ends with BadSetting if they differ.

    Raises BadSetting or CannotOpen with one sentence, or Unavailable.
    """
    if source == target:
        raise BadSetting("FROM and TO are the same store.")
    async with _opened(source, settings, must_exist=True) as old, _opened(target, settings) as new:
        with bar() as show:
            for workspace in sorted(await old.engine.workspaces()):
                await _copy(await old.reading(operator(workspace)), new.context(operator(workspace)), show)
            await _settled(new)
            found = [
                line
                for workspace in sorted({*await old.engine.workspaces(), *await new.engine.workspaces()})
                for line in await compare(old.context(operator(workspace)), new.context(operator(workspace)))
            ]
    _print(found)
    if differing := [line for line in found if not line.same]:
        listed = ", ".join(f"{line.kind} of {line.workspace}" for line in differing)
        raise BadSetting(f"{target} differs from {source}: {listed}.")


@contextlib.asynccontextmanager
async def _opened(name: str, settings: Settings, *, must_exist: bool = False) -> AsyncIterator[Service]:
    if name == SERVICES:
        if missing := [f"RECOLLECT_{url.upper()}" for url in _URLS if not getattr(settings, url)]:
            raise BadSetting(f"{SERVICES} needs these settings, which are not set: {', '.join(missing)}.")
        service = open_service(Path(), settings)
    else:
        alone = msgspec.structs.replace(settings, **dict.fromkeys(_URLS, ""))
        if not must_exist or any((Path(name) / FOLDER).glob("*/*")):  # else its files are where the setting says
            alone = msgspec.structs.replace(alone, blobs_url="")
        service = open_service(Path(name), alone, must_exist=must_exist)
    try:
        yield service
    finally:
        await service.close()


async def _copy(old: Context, new: Context, show: Show) -> None:
    workspace = old.caller.workspace
    with tempfile.NamedTemporaryFile(prefix="recollect-copy-") as file:
        count = 0
        async for line in recollect_jsonl.export(old):
            file.write(line)
            count += 1
            if count % _EVERY == 0:
                show(f"reading {workspace}", count, None)
        file.flush()
        try:
            await recollect_jsonl.load(
                lambda: lines(Path(file.name)), new, lambda done, total: show(f"writing {workspace}", done, total)
            )
        except FormatError as error:
            raise BadSetting(f"{workspace} cannot be copied: {error}") from None
    for kind in BESIDE:
        await _put_missing(old, new, kind)
    await erasure.again(new)


async def _put_missing(old: Context, new: Context, kind: type[Node]) -> None:
    async for page in pages(old, kind):
        await _bring_bytes(old, new, [one for one in page if isinstance(one, TrashedBlob)])

        async def script(tx: Transaction, page: list[Node] = page) -> None:
            there = await tx.get(kind, [record.id for record in page])
            await tx.put([record for record, before in zip(page, there, strict=True) if before is None])

        await new.store.write(script)


async def _bring_bytes(old: Context, new: Context, blobs: Sequence[TrashedBlob]) -> None:
    """Brings the bytes of files in the trash that are not there yet. Raises Unavailable where some are missing."""
    there = await new.store.get(TrashedBlob, [one.id for one in blobs])
    for blob in [one for one, before in zip(blobs, there, strict=True) if before is None]:
        workspace, path = old.caller.workspace, new.intake.blobs.staging / token_hex(16)
        try:
            with path.open("xb") as file:
                async for piece in old.intake.blobs.read(workspace, blob.stored_as, 0, _ALL):
                    file.write(piece)
        except KeyError:
            path.unlink()
            raise Unavailable(f"the bytes of {blob.stored_as} are missing") from None
        await new.intake.blobs.keep(workspace, blob.stored_as, path)


async def _settled(service: Service) -> None:
    """Waits until what was written can be found."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLED_SECONDS):
            while sum([part.backlog for part in await service.engine.health()]):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.2)


def _print(found: list[Compared]) -> None:
    rows = [
        (
            line.workspace,
            line.kind,
            f"{line.source.count:,}",
            f"{line.target.count:,}",
            line.source.checksum,
            line.target.checksum,
            "same" if line.same else "DIFFERS",
        )
        for line in found
    ]
    names = ("workspace", "kind", "from", "to", "checksum", "checksum of the copy", "")
    table(names, rows, numbers=("from", "to"), width=WIDE)
    if not found:
        click.echo("Nothing to copy.")
