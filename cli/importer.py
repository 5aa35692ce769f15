"""Import and export, as the command line has them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import click
import httpx
import msgspec
from rich.console import Console
from rich.progress import Progress as Bar

from cli.client import caller_in, check_workspace, credentials
from cli.server_sink import ServerError, UrlSink
from cli.store_sink import Progress, Sink, StoreSink
from domain.audit import DONE
from formats.conversation import FormatError
from formats.otlp.json import Exports
from formats.recollect import jsonl as recollect_jsonl
from formats.recollect.restore import Loaded
from formats.registry import Opened, open_file
from resolvers.audit import note
from resolvers.context import Context
from server.service import open_service
from server.settings import BadSetting, Settings

DEFAULT_OWNER = "me"

_AT_ONCE = 16
"""How many conversations are on their way together: those that meet share one fsync."""

_COUNTED = {
    "memory": "memories",
    "memory_refs": "memory references",
    "state": "state entries",
}
"""What records of our own format are counted as, where that is not their type and an s."""


class Summary(msgspec.Struct, frozen=True):
    """What an import did: the format of the file, and counts by what was counted ("sessions", "messages", ...)."""

    format: str
    counts: dict[str, Loaded]


async def import_files(
    files: Sequence[Path],
    data: Path,
    url: str | None,
    format: str | None,
    memories: bool,
    owner: str,
    settings: Settings,
    workspace: str | None = None,
) -> None:
    """Imports files into a folder, or through the server at a URL, and prints a line for each.

    Conversations are only written once all files are read and checked. Raises BadSetting with a sentence that names
    the file, CannotOpen, or Unavailable.
    """
    opened: list[tuple[Path, Opened]] = []
    for file in files:
        with _named(file):
            opened.append((file, open_file(file, format)))
    check_workspace(workspace, url)
    async with _sink(data, url, settings, workspace) as sink:
        for file, one in opened:
            with _named(file):
                if isinstance(one.content, list):
                    await sink.check(one.content)
        for file, one in opened:
            with _named(file), _shown() as progress:
                summary = await write(one, sink, owner if memories else None, progress)
            click.echo(f"{file} ({summary.format}): {_counted(summary)}")


async def import_file(
    path: Path,
    sink: Sink,
    format: str | None = None,
    memories: bool = False,
    owner: str = DEFAULT_OWNER,
    progress: Progress | None = None,
) -> Summary:
    """Imports a file; a second time adds nothing.

    memories: makes one episodic memory, of the user with the externalId `owner`, of each message that has words.
    Raises FormatError for a file that cannot be read from the first byte to the last; nothing of it was written then.
    """
    opened = open_file(path, format)
    if isinstance(opened.content, list):
        await sink.check(opened.content)
    return await write(opened, sink, owner if memories else None, progress)


async def write(opened: Opened, sink: Sink, owner: str | None, progress: Progress | None = None) -> Summary:
    """Writes what a file holds, after the sink has checked it. owner: of memories, None for no memories."""
    if isinstance(opened.content, Exports):
        return Summary(opened.format, {"spans": await sink.receive(opened.content, progress)})
    if not isinstance(opened.content, list):
        loaded = await sink.load(opened.content, progress)
        return Summary(opened.format, {_COUNTED.get(name, f"{name}s"): count for name, count in loaded.items()})
    conversations = opened.content
    counts = {"sessions": Loaded(), "messages": Loaded(), **({} if owner is None else {"memories": Loaded()})}
    for start in range(0, len(conversations), _AT_ONCE):
        batch = conversations[start : start + _AT_ONCE]
        for added in await asyncio.gather(*(sink.add(one, owner) for one in batch)):
            for name, count in added.items():
                counts[name] = counts.get(name, Loaded()) + count
        if progress is not None:
            progress(start + len(batch), len(conversations))
    return Summary(opened.format, counts)


async def export_file(file: Path, data: Path, settings: Settings, workspace: str | None = None) -> None:
    """Writes everything in a workspace to a file of our own format, - being standard output, and says how much it was.

    Raises BadSetting, CannotOpen, or Unavailable.
    """
    if not data.is_dir():  # noqa: ASYNC240 - a command line has nothing else to do meanwhile
        raise BadSetting(f"There is no data folder {data}.")
    check_workspace(workspace, None)
    service = open_service(data, settings)
    try:
        context = service.context(caller_in(workspace))
        await note(context.store, context.caller, "export", DONE)
        records = await (_print if str(file) == "-" else write_export)(file, context)
    except OSError as error:
        raise BadSetting(f"{file} cannot be written: {error.strerror}.") from None
    finally:
        await service.close()
    click.echo(f"{file}: {records:,} records", err=True)


async def write_export(file: Path, context: Context) -> int:
    """Writes everything in a workspace to a file; how many records it has.

    The file is there once it is whole: until then its name ends in ".part". Raises OSError.
    """
    part = file.with_name(f"{file.name}.part")
    lines = 0
    target = part.open("wb")
    try:
        with target:
            async for line in recollect_jsonl.export(context):
                target.write(line)
                lines += 1
            target.flush()
            os.fsync(target.fileno())
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return lines - 2


async def _print(_: Path, context: Context) -> int:
    lines = 0
    async for line in recollect_jsonl.export(context):
        sys.stdout.buffer.write(line)
        lines += 1
    sys.stdout.buffer.flush()
    return lines - 2


@contextlib.asynccontextmanager
async def _sink(data: Path, url: str | None, settings: Settings, workspace: str | None) -> AsyncIterator[Sink]:
    if url is not None:
        base = url.rstrip("/").removesuffix("/graphql")
        try:
            client = httpx.AsyncClient(base_url=base, timeout=60, headers=credentials(settings))
        except httpx.InvalidURL as error:
            raise BadSetting(f"{url} is no URL: {error}.") from None
        async with client:
            yield UrlSink(client)
        return
    service = open_service(data, settings)
    try:
        yield StoreSink(service.context(caller_in(workspace)))
    finally:
        await service.close()


@contextlib.contextmanager
def _named(file: Path) -> Iterator[None]:
    """What is wrong with a file, as a sentence that names it."""
    try:
        yield
    except (FormatError, ServerError) as error:
        raise BadSetting(f"{file}: {error}") from None


@contextlib.contextmanager
def _shown() -> Iterator[Progress]:
    """A bar on the terminal, if there is one."""
    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("import", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _counted(summary: Summary) -> str:
    counts = [f"{name} {count.new:,} new, {count.there:,} already there" for name, count in summary.counts.items()]
    return "; ".join(counts) or "nothing in it"
