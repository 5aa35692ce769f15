"""Reads a file of our own format into a workspace: first all of it is checked, then it is written, session by session.

What is there already, by its id, stays as it is. So the same file twice adds nothing, and a load that was killed is
completed by another one.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from domain.blob import Blob
from domain.change import ChangeKind, MemoryChange
from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import Content, Media, Message
from domain.node import Id, Node
from domain.page import Slice
from domain.session import SESSION_TYPES, Session
from domain.state import StateEntry
from domain.state_schema import StateSchema
from domain.trace import TraceEvent
from formats.conversation import FormatError
from formats.recollect.lines import BlobBytes, Entry, Header, MemoryRefs, read
from formats.recollect.validation import Check
from resolvers import erasure
from resolvers.context import Context
from stores import state_index
from stores.catalogue import kinds
from stores.catalogue.kinds import natural_key
from stores.errors import Taken
from stores.ports import Collection, Transaction, Vector, label_of

N = TypeVar("N", bound=Node)

Source = Callable[[], Iterable[bytes]]
"""Gives the lines of a file, from the start each time it is called."""

_BATCH = 1_000
_TALK = ("participant", "thread", "message")
"""What is written together with its session."""


class Loaded(msgspec.Struct, frozen=True):
    """How many records of a type were written, and how many were there already."""

    new: int = 0
    there: int = 0

    def __add__(self, other: Loaded) -> Loaded:
        return Loaded(self.new + other.new, self.there + other.there)


async def check(source: Source, context: Context) -> int:
    """Reads all of a file and writes nothing; how many records it has. Raises FormatError for the first thing wrong."""
    checked = Check(context.store)
    for found in read(source()):
        if isinstance(found, Entry):
            await checked.add(found)
    return await checked.finish()


async def load(
    source: Source, context: Context, progress: Callable[[int, int], None] | None = None
) -> dict[str, Loaded]:
    """Writes a file's records, after a check of all of it; how many there were of each type. What was erased since the
    file was written is erased again.

    progress: called now and then with how many records are done, and how many there are. Raises FormatError, and then
    nothing was written.
    """
    total = await check(source, context)
    entries = read(source())
    header = next(entries)
    assert isinstance(header, Header)
    foreign = (header.embedder, header.dimension) != (context.embedder.name, context.embedder.dimension)
    loading = _Loading(context.copying(), foreign)
    counts: dict[str, Loaded] = {}
    done = 0
    for batch in _batches(found for found in entries if isinstance(found, Entry)):
        try:
            written = await loading.write(batch)
        except Taken:  # not in this workspace, where the check has looked
            raise FormatError("an id already belongs to another workspace of this store", batch[0].where) from None
        for name, loaded in written.items():
            counts[name] = counts.get(name, Loaded()) + loaded
        done += len(batch)
        if progress is not None:
            progress(done, total)
    await loading.finish()
    await erasure.again(context)
    return counts


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries that are written together, up to 1,000: a session with its talk, or of one type."""
    batch: list[Entry] = []
    for entry in entries:
        if batch and (
            len(batch) == _BATCH
            or entry.type == "blob_bytes"
            or entry.type == "session"
            or (entry.type not in _TALK and entry.type != batch[0].type)
        ):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


class _Loading:
    def __init__(self, context: Context, foreign: bool) -> None:
        """foreign: the vectors are of another embedder, so new ones are made of the texts."""
        self._context, self._store, self._foreign = context, context.store, foreign
        self._late: list[TraceEvent] = []
        self._long: Session | None = None
        self._bytes: tuple[str, Path] | None = None
        self._same: dict[str, Id] = {}

    async def write(self, batch: list[Entry]) -> dict[str, Loaded]:
        name = batch[0].type
        if self._same:
            batch = [self._showing(entry) for entry in batch]
        if name in _TALK:
            return await self._write_talk(batch)
        await self._end_long()
        if name == "blob_bytes":
            await self._receive(batch)
            return {}
        await self._keep()
        if name == "blob":
            return {name: await self._write_blobs([entry.record for entry in batch if isinstance(entry.record, Blob)])}
        if name == "session":
            return await self._write_session(batch)
        if name == "memory":
            return {name: await self._write_memories(batch)}
        if name == "memory_refs":
            return {name: await self._write_refs([entry.record for entry in batch])}
        records = [entry.record for entry in batch if isinstance(entry.record, Node)]
        if name == "version":
            records = await self._unknown_versions(records)
        elif name == "event":
            self._late += await self._orphans(records)
        put = _append if name == "event" else _put

        async def script(tx: Transaction) -> int:
            fresh = await _missing(tx, records)
            await put(tx, fresh)
            return len(fresh)

        new = await self._store.write(script)
        return {name: Loaded(new, len(batch) - new)}

    async def _receive(self, batch: Sequence[Entry]) -> None:
        """Bytes of a blob, which are kept once those of another one come, or something else does."""
        [record] = (entry.record for entry in batch)
        assert isinstance(record, BlobBytes)
        if self._bytes is not None and self._bytes[0] != record.stored_as:
            await self._keep()
        if self._bytes is None:
            path = self._context.intake.blobs.staging / token_hex(16)
            self._bytes = record.stored_as, path
        with self._bytes[1].open("ab") as file:
            file.write(b64decode(record.data))

    async def _keep(self) -> None:
        if self._bytes is not None:
            key, path = self._bytes
            await self._context.intake.blobs.keep(self._context.caller.workspace, key, path)
            self._bytes = None

    async def _write_blobs(self, blobs: Sequence[Blob]) -> Loaded:
        """Those whose bytes the workspace has under another id are that one."""

        async def script(tx: Transaction) -> int:
            fresh = await _missing(tx, blobs)
            await tx.put(fresh)
            there = await tx.find(Blob, [(blob.sha256,) for blob in blobs])
            pairs = zip(blobs, there, strict=True)
            self._same |= {blob.id: one.id for blob, one in pairs if one is not None and one.id != blob.id}
            return len(fresh)

        new = await self._store.write(script)
        return Loaded(new, len(blobs) - new)

    def _showing(self, entry: Entry) -> Entry:
        """A message that shows the blobs that are here."""
        message = entry.record
        if not isinstance(message, Message) or self._same.keys().isdisjoint(message.blobs):
            return entry
        content: list[Content] = [
            replace(part, blob_id=self._same.get(part.blob_id or "", part.blob_id)) if isinstance(part, Media) else part
            for part in message.content
        ]
        return replace(entry, record=replace(message, content=content))

    async def finish(self) -> None:
        """Ties events to parents that came behind them."""
        await self._end_long()
        for start in range(0, len(self._late), _BATCH):
            late = self._late[start : start + _BATCH]

            async def script(tx: Transaction, late: Sequence[TraceEvent] = late) -> None:
                stored = await tx.get(TraceEvent, [event.id for event in late])
                await tx.put(
                    [
                        msgspec.structs.replace(before, parent_id=event.parent_id)
                        for event, before in zip(late, stored, strict=True)
                        if before is not None
                    ]
                )

            await self._store.write(script)

    async def _write_session(self, batch: list[Entry]) -> dict[str, Loaded]:
        """A session and its talk, or the first part of it. Its count goes with the messages that are there, so that a
        load which was killed can be completed."""
        session = batch[0].record
        assert isinstance(session, Session)
        typed = SESSION_TYPES[session.kind](**msgspec.structs.asdict(session))
        if len(batch) == _BATCH:
            self._long = typed
            places = [entry.record.place for entry in batch if isinstance(entry.record, Message)]
            typed = msgspec.structs.replace(typed, message_count=max(places, default=0))

        async def script(tx: Transaction) -> dict[str, Loaded]:
            before = (await tx.get(Session, [session.id]))[0]
            if before is None:
                await tx.put([typed])
            counts = {"session": Loaded(before is None, before is not None)}
            return {**counts, **await _put_talk(tx, before, session, batch)}

        return await self._store.write(script)

    async def _write_talk(self, batch: list[Entry]) -> dict[str, Loaded]:
        """More of a long session."""
        long = self._long
        assert long is not None

        async def script(tx: Transaction) -> dict[str, Loaded]:
            return await _put_talk(tx, (await tx.get(Session, [long.id]))[0], long, batch)

        return await self._store.write(script)

    async def _end_long(self) -> None:
        """Gives a long session the count it had, which also counts messages that were deleted."""
        if (long := self._long) is None:
            return
        self._long = None

        async def script(tx: Transaction) -> None:
            before = (await tx.get(Session, [long.id]))[0]
            if before is not None and before.message_count < long.message_count:
                await tx.put([msgspec.structs.replace(before, message_count=long.message_count)])

        await self._store.write(script)

    async def _write_memories(self, batch: list[Entry]) -> Loaded:
        memories = [entry.record for entry in batch if isinstance(entry.record, Memory)]
        vectors: dict[Id, Vector] = {
            memory.id: entry.vector for memory, entry in zip(memories, batch, strict=True) if entry.vector is not None
        }
        embedder = label_of(self._context.embedder)
        if self._foreign:
            made = await self._context.embedder.embed([memory.text for memory in memories])
            vectors = {memory.id: vector for memory, vector in zip(memories, made, strict=True)}

        async def script(tx: Transaction) -> int:
            fresh = await _missing(tx, memories)
            await tx.put(fresh)
            await tx.embed({memory.id: vectors[memory.id] for memory in fresh if memory.id in vectors}, embedder)
            await tx.log([MemoryChange(ChangeKind.CREATED, memory.id, tx.now, memory) for memory in fresh])
            return len(fresh)

        new = await self._store.write(script)
        return Loaded(new, len(batch) - new)

    async def _write_refs(self, records: Sequence[Any]) -> Loaded:
        known = (await self._store.memory_refs([record.message_id for record in records])).refs
        fresh: list[MemoryRefs] = [record for record, refs in zip(records, known, strict=True) if not refs]

        async def script(tx: Transaction) -> None:
            for record in fresh:
                await tx.reference(record.message_id, record.refs)

        await self._store.write(script)
        return Loaded(len(fresh), len(records) - len(fresh))

    async def _unknown_versions(self, records: Sequence[Any]) -> list[Node]:
        """Those that a memory has none of under their number."""
        ids = list({record.memory_id for record in records})
        pages = await self._store.pages(Collection.MEMORY_HISTORY, ids, Slice(_BATCH))
        known = {(version.memory_id, version.version) for page in pages for version in page.nodes}
        return [record for record in records if (record.memory_id, record.version) not in known]

    async def _orphans(self, records: Sequence[Any]) -> list[TraceEvent]:
        """The events whose parent is neither stored nor before them in the batch, so that it comes later; and those
        that a load which was killed has left without theirs."""
        children = [record for record in records if record.parent_id is not None]
        wanted = list({record.parent_id for record in children})
        known = {event.id for event in await self._store.get(TraceEvent, wanted) if event is not None}
        stored = await self._store.get(TraceEvent, [record.id for record in children])
        left = {event.id for event in stored if event is not None and event.parent_id is None}
        late = []
        for record in records:
            if record.parent_id is not None and (record.parent_id not in known or record.id in left):
                late.append(record)
            known.add(record.id)
        return late


async def _put_talk(
    tx: Transaction, session: Session | None, told: Session, batch: Sequence[Entry]
) -> dict[str, Loaded]:
    """Adds what is not there yet of a session's talk. session: as it is stored, None where the batch brings it; told:
    as the file has it."""
    counts: dict[str, Loaded] = {}
    for name in _TALK:
        records = [entry.record for entry in batch if entry.type == name]
        fresh = await _missing(tx, records)
        await tx.put(fresh)
        if records:
            counts[name] = Loaded(len(fresh), len(records) - len(fresh))
        if session is not None and name == "message" and fresh:
            await tx.put([_continued(session, told, fresh)])
    return counts


def _continued(before: Session, told: Session, messages: Sequence[Message]) -> Session:
    """A session that is there, after the messages that were added to it; told: as the file has it."""
    return msgspec.structs.replace(
        before,
        message_count=max(before.message_count, *(message.place for message in messages)),
        last_active_at=max([before.last_active_at, *(message.created_at for message in messages)]),
        current_id=told.current_id,
    )


async def _missing(tx: Transaction, records: Sequence[Any]) -> list[Any]:
    """The records that are not there under their id; of what merges, neither under their natural key."""
    if not records:
        return []
    kind = type(records[0])
    found = await tx.get(kind, [record.id for record in records])
    fresh = [record for record, before in zip(records, found, strict=True) if before is None]
    if kinds.kind(kind).merges:
        same = await tx.find(kind, [natural_key(record) or () for record in fresh])
        fresh = [record for record, before in zip(fresh, same, strict=True) if before is None]
    return fresh


async def _put(tx: Transaction, records: Sequence[Any]) -> None:
    if records and isinstance(records[0], StateSchema):  # entries that are there are indexed by what comes
        records = [msgspec.structs.replace(one, due_at=tx.now if one.index else None) for one in records]
    await tx.put(records)
    if records and isinstance(records[0], StateEntry):
        await state_index.sync(tx, records)
    if records and isinstance(records[0], MemoryLink):
        sources = await tx.get(Memory, [link.source_id for link in records])
        await tx.log(
            [
                MemoryChange(ChangeKind.LINKED, source.id, tx.now, source, link)
                for link, source in zip(records, sources, strict=True)
                if source is not None
            ]
        )


async def _append(tx: Transaction, records: Sequence[TraceEvent]) -> None:
    await tx.append(records)
