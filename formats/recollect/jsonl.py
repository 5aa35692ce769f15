"""Our own format: everything in a workspace, a record a line, each under the id it has."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec

from domain.blob import Blob
from domain.memory import Memory
from domain.message import Message, Thread
from domain.node import Id, Node, kind_of
from domain.page import Slice
from domain.participant import Participant
from domain.session import Session
from domain.trace import TraceEvent
from formats.file import File, lines
from formats.recollect.lines import BlobBytes, MemoryRefs, Writer
from formats.recollect.restore import Source, check, load
from resolvers.context import Context
from stores.catalogue.kind import Kind
from stores.catalogue.references import checked, export_order
from stores.errors import Unavailable
from stores.ports import Collection, Store

__all__ = ["SUMMARY", "Source", "begins", "check", "export", "load", "read"]

SUMMARY = "files written by `recollect export`"

_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"recollect"\s*:')

N = TypeVar("N", bound=Node)

_PAGE = 500
_PIECE = 768 * 1024
TALK = (Participant, Thread, Message)
"""What stands below its session."""


def begins(head: bytes) -> bool:
    """Whether a file that begins so is one of ours."""
    return _HEAD.match(head) is not None


def read(file: File) -> Source:
    """The lines of a file, which are checked when they are loaded."""
    return lambda: lines(file.path)


async def export(context: Context) -> AsyncIterator[bytes]:
    """The lines of everything in the workspace, each with its line break.

    Reads page by page, so nothing else should write to the store meanwhile. Memories that have expired are left out,
    and what hangs on them.
    """
    store, writer = context.store, Writer()
    yield writer.header(context.embedder.name, context.embedder.dimension)
    memories: set[Id] = set()
    for kind in export_order():
        if kind.record is Blob:
            async for line in _bytes(context, writer):
                yield line
        if kind.record is Session:
            part = _sessions(store, writer)
        elif kind.record is Memory:
            part = _memories(store, writer, memories)
        elif kind.record is TraceEvent:
            part = _events(store, writer)
        else:
            part = _scans(store, writer, kind, memories)
        if kind.record not in TALK:
            async for line in part:
                yield line
    yield writer.end()


async def _pages(store: Store, kind: type[N]) -> AsyncIterator[list[N]]:
    after: Id | None = None
    while page := await store.scan(kind, after, _PAGE):
        yield page
        after = page[-1].id


async def _scan(store: Store, kind: type[N]) -> AsyncIterator[N]:
    async for page in _pages(store, kind):
        for record in page:
            yield record


async def _list(store: Store, of: Collection, parent: Id) -> AsyncIterator[Any]:
    """A list in its default order."""
    after: str | None = None
    more = True
    while more:
        page = (await store.pages(of, [parent], Slice(_PAGE, after=after)))[0]
        for record in page.nodes:
            yield record
        after, more = page.page_info.end_cursor, page.has_next_page


async def _scans(store: Store, writer: Writer, kind: Kind[Any], memories: set[Id]) -> AsyncIterator[bytes]:
    """All of a kind but what hangs on a memory that is left out."""
    fields = [name for name, targets in checked(kind).items() if any(target.record is Memory for target in targets)]
    async for record in _scan(store, kind.record):
        named = [getattr(record, name) for name in fields]
        if all(id is None or kind_of(id) is not Memory or id in memories for id in named):
            yield writer.record(record)


async def _bytes(context: Context, writer: Writer) -> AsyncIterator[bytes]:
    """The bytes of all blobs. Raises Unavailable where some are missing: a file without them could not be read."""
    async for blob in _scan(context.store, Blob):
        blobs, workspace = context.intake.blobs, context.caller.workspace
        rest = b""
        try:
            async for piece in blobs.read(workspace, blob.stored_as, 0, blob.size_bytes):
                rest += piece
                if len(rest) >= _PIECE:
                    yield writer.record(BlobBytes(blob.stored_as, b64encode(rest).decode()))
                    rest = b""
        except KeyError:
            raise Unavailable(f"the bytes of {blob.id} are missing") from None
        if rest:
            yield writer.record(BlobBytes(blob.stored_as, b64encode(rest).decode()))


async def _sessions(store: Store, writer: Writer) -> AsyncIterator[bytes]:
    """Each session, and below it who takes part, its threads, and its messages by place."""
    async for session in _scan(store, Session):
        yield writer.record(session)
        for of in (Collection.SESSION_PARTICIPANTS, Collection.SESSION_THREADS, Collection.SESSION_MESSAGES):
            async for record in _list(store, of, session.id):
                yield writer.record(record)


async def _memories(store: Store, writer: Writer, written: set[Id]) -> AsyncIterator[bytes]:
    """All memories, and which of them the messages drew on."""
    async for page in _pages(store, Memory):
        vectors = await store.vectors([memory.id for memory in page])
        for memory, vector in zip(page, vectors, strict=True):
            written.add(memory.id)
            yield writer.record(memory, vector)
    async for messages in _pages(store, Message):
        found = (await store.memory_refs([message.id for message in messages])).refs
        for message, refs in zip(messages, found, strict=True):
            if kept := [ref for ref in refs if ref.memory_id in written]:
                yield writer.record(MemoryRefs(message.id, kept))


async def _events(store: Store, writer: Writer) -> AsyncIterator[bytes]:
    """The lines of every session's log in order, then those of no session; each store gives places of its own."""
    async for session in _scan(store, Session):
        async for event in _list(store, Collection.SESSION_TRACE, session.id):
            yield writer.record(msgspec.structs.replace(event, place=0))
    async for event in _scan(store, TraceEvent):
        if event.session_id is None:
            yield writer.record(msgspec.structs.replace(event, place=0))
