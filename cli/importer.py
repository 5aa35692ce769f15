"""`recollect import`: reads files of any format and writes what they hold into a folder, or through a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path

import click
import httpx
import msgspec

from cli.client import caller_in, check_workspace, credentials, open_or_point
from cli.server_sink import ServerError, UrlSink
from cli.show import bar
from cli.sink import Progress, Sink
from cli.store_sink import StoreSink
from domain.message import Answering
from formats.conversation import Conversation, FormatError
from formats.otlp.json import Exports
from formats.recollect.restore import Loaded
from formats.registry import Opened, open_file
from server.settings import BadSetting, Settings

_AT_ONCE = 16
"""How many conversations are on their way together: those that meet share one fsync."""

_NOTES = 5
"""How many notes of requests are shown."""

_COUNTED = {
    "memory": "memories",
    "memory_refs": "memory references",
    "state": "state entries",
}
"""What records of our own format are counted as, where that is not their type and an s."""


class Summary(msgspec.Struct, frozen=True):
    """What an import did: the format of the file, and counts by what was counted ("sessions", "messages", ...).

    replaced: how many places of the file held no Unicode; they have U+FFFD now.
    unasked, twice: how many tool responses answer no call before them, and how many one that was answered before.
    notes: what was not taken as it came.
    """

    format: str
    counts: dict[str, Loaded]
    replaced: int = 0
    unasked: int = 0
    twice: int = 0
    notes: list[str] = []


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
                if isinstance(one.content, Sequence):
                    await sink.check(one.content)
        for file, one in opened:
            with _named(file), bar() as show:
                summary = await write(one, sink, owner if memories else None, partial(show, "import"))
            click.echo(f"{file} ({summary.format}): {_counted(summary)}")


async def write(opened: Opened, sink: Sink, owner: str | None, progress: Progress | None = None) -> Summary:
    """Writes what a file holds, after the sink has checked it. owner: of memories, None for no memories."""
    if isinstance(opened.content, Exports):
        spans = await sink.receive(opened.content, progress)
        return Summary(opened.format, {"spans": spans.loaded}, opened.replaced, notes=spans.notes)
    if not isinstance(opened.content, Sequence):
        loaded = await sink.load(opened.content, progress)
        return Summary(
            opened.format, {_COUNTED.get(name, f"{name}s"): count for name, count in loaded.items()}, opened.replaced
        )
    conversations = opened.content
    counts = {"sessions": Loaded(), "messages": Loaded(), **({} if owner is None else {"memories": Loaded()})}
    orphans = twice = done = 0
    for batch in _together(conversations):
        for one in batch:
            odd = _odd(one)
            orphans, twice = orphans + odd.count(False), twice + odd.count(True)
        for added in await asyncio.gather(*(sink.add(one, owner) for one in batch)):
            for name, count in added.items():
                counts[name] = counts.get(name, Loaded()) + count
        done += len(batch)
        if progress is not None:
            progress(done, len(conversations))
    return Summary(opened.format, counts, opened.replaced, orphans, twice)


def _together(conversations: Sequence[Conversation]) -> Iterator[list[Conversation]]:
    """Up to 16 at a time. One that comes again, as in exports that were joined, comes after what it was before."""
    batch: dict[str, Conversation] = {}
    for one in conversations:
        if len(batch) == _AT_ONCE or one.key in batch:
            yield [*batch.values()]
            batch = {}
        batch[one.key] = one
    if batch:
        yield [*batch.values()]


def _odd(conversation: Conversation) -> list[bool]:
    """Of each odd tool response, whether its call was answered before on its branch; else nobody has made it."""
    answering, found = Answering(), list[bool]()
    tree = any(message.parent is not None for message in conversation.messages)
    for message in conversation.messages:
        for odd in answering.take(message.external_id, message.thread, message.content or ()):
            if not odd.calls or not tree or odd.is_second(conversation.branch(message.external_id)):
                found.append(bool(odd.calls))
    return found


@contextlib.asynccontextmanager
async def _sink(data: Path, url: str | None, settings: Settings, workspace: str | None) -> AsyncIterator[Sink]:
    if url is not None:
        base = url.rstrip("/").removesuffix("/graphql")
        try:
            client = httpx.AsyncClient(base_url=base, timeout=60, headers=credentials(settings))
        except httpx.InvalidURL as error:
            raise BadSetting(f"{url} is not a URL: {error}.") from None
        async with client:
            yield UrlSink(client)
        return
    service = open_or_point(data, settings)
    try:
        yield StoreSink(service.context(caller_in(workspace)), settings.max_attributes_bytes)
    finally:
        await service.close()


@contextlib.contextmanager
def _named(file: Path) -> Iterator[None]:
    """What is wrong with a file, as a sentence that names it."""
    try:
        yield
    except (FormatError, ServerError) as error:
        raise BadSetting(f"{file}: {error}") from None


def _counted(summary: Summary) -> str:
    counts = [f"{name} {count.new:,} new, {count.there:,} already there" for name, count in summary.counts.items()]
    if summary.replaced:
        counts.append(f"{summary.replaced:,} invalid Unicode sequences replaced by U+FFFD")
    if summary.unasked:
        counts.append(f"{summary.unasked:,} tool responses that answer no earlier call")
    if summary.twice:
        counts.append(f"{summary.twice:,} tool responses to calls that were answered before")
    counts += [*summary.notes[:_NOTES], *(["..."] if len(summary.notes) > _NOTES else [])]
    return "; ".join(counts) or "nothing in it"
