"""Blobs: what comes in, what messages show, and what is swept because nothing shows it."""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from msgspec import Meta
from msgspec.structs import replace

from domain.blob import (
    Attachment,
    AttachmentFilter,
    AttachmentOrder,
    Blob,
    BlobFilter,
    MediaKind,
    Upload,
    UploadBlobInput,
    plain_name,
)
from domain.errors import Rejected, invalid, not_found
from domain.formation import Origin
from domain.message import Media, MediaInput, Saying
from domain.node import Id, Node
from domain.page import Page, Slice
from domain.session import Session
from domain.telemetry import MediaFile
from domain.trash import TrashedBlob
from domain.values import EMPTY_OBJECT, Ref, changed
from resolvers import documents as said
from resolvers.context import Context, every, lookup, lookup_all, named_by, present, records_of
from resolvers.idempotency import write
from resolvers.lists import Listed
from stores.blobs.staging import Staged, staged
from stores.errors import Taken
from stores.ports import Records, Transaction

BLOBS = Listed(Records(Blob), BlobFilter)

Path = Sequence[str | int]
Place = tuple[int, int]
"""Of a part: the index of the message, and that of the part."""


class Arrived:
    """Bytes that are kept, and wait for their record. key: under which. is_used: whether a record has that key now."""

    is_used = False

    def __init__(self, file: Staged) -> None:
        self.file, self.key = file, f"{file.digest}-{secrets.token_hex(8)}"
        self.told: dict[str, Any] = {"filename": file.name or None}


async def blob(context: Context, by: Ref) -> Blob | None:
    """The blob with this id; by externalId, the one whose bytes have this SHA-256."""
    return await lookup(context.store, Blob, by)


async def blobs_of(context: Context, parts: Sequence[Media]) -> list[Blob | None]:
    return await named_by(context, Blob, [part.blob_id for part in parts])


async def media(
    context: Context,
    sessions: Sequence[Session],
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    order_by: AttachmentOrder | None = None,
) -> list[Page[Blob]]:
    """Images, sounds and films, each as often as there is a message that shows it."""
    kinds = [MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.VIDEO]
    return await _in_sessions(context, sessions, kinds, (first, after, last, before), order_by)


async def documents(
    context: Context,
    sessions: Sequence[Session],
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    order_by: AttachmentOrder | None = None,
) -> list[Page[Blob]]:
    """Documents, each as often as there is a message that shows it."""
    return await _in_sessions(context, sessions, [MediaKind.DOCUMENT], (first, after, last, before), order_by)


_Slice = tuple[int | None, str | None, int | None, str | None]


async def _in_sessions(
    context: Context, sessions: Sequence[Session], kinds: list[MediaKind], slice: _Slice, order: AttachmentOrder | None
) -> list[Page[Blob]]:
    ids = [session.id for session in sessions]
    pages = await _IN_SESSION.pages(context, ids, *slice, AttachmentFilter(kinds=kinds), order)
    shown = list({one.blob_id for page in pages for one in page.nodes})
    found = dict(zip(shown, await context.store.get(Blob, shown), strict=True)) if shown else {}
    return [replace(page, nodes=[found[one.blob_id] for one in page.nodes]) for page in pages]


_IN_SESSION = Listed(Records(Attachment, "session"), AttachmentFilter)


async def targets(context: Context, attachments: Sequence[Attachment]) -> list[Node | None]:
    """What each attachment is of."""
    found = await records_of(context, [one.target_id for one in attachments])
    return [found.get(one.target_id) for one in attachments]


async def upload(context: Context, input: UploadBlobInput) -> Blob:
    """Stores a file, sent as the GraphQL multipart request specification says. The same bytes again are the same blob,
    with what is told of it anew. Raises Rejected: INVALID, LIMIT."""
    async with _kept(context, {(0, 0): (input.file, ["file"])}) as kept:
        arrived, name = kept[0, 0], plain_name(input.filename or "") or kept[0, 0].file.name
        arrived.told = {"filename": name or None, "metadata": input.metadata, "text": input.text}

        async def script(tx: Transaction) -> Blob:
            return await _record(tx, arrived)

        made = await write(context, input, script)
    if made.text:
        await said.embed(context)
    return made


async def _record(tx: Transaction, arrived: Arrived) -> Blob:
    """The record of bytes that came: the one of the same bytes, or a new one."""
    file = arrived.file
    assert file.format is not None
    [before] = await tx.find(Blob, [(file.digest,)])
    told = {name: value for name, value in arrived.told.items() if value is not None}
    if before is not None:
        after = changed(before, **told, used_at=tx.now)
    else:
        after = Blob(
            id=tx.new_id(Blob),
            sha256=file.digest,
            media_type=file.format.media_type,
            size_bytes=file.size,
            width=file.width,
            height=file.height,
            stored_as=arrived.key,
            created_at=tx.now,
            used_at=tx.now,
            **{
                "filename": f"{file.digest[:12]}.{file.format.extensions[0]}",
                "metadata": EMPTY_OBJECT,
                "text": file.text,
                **told,
            },
        )
    await tx.put([after])
    arrived.is_used = after.stored_as == arrived.key
    return after


@asynccontextmanager
async def _kept(context: Context, uploads: Mapping[Place, tuple[Upload, Path]]) -> AsyncIterator[dict[Place, Arrived]]:
    """Keeps bytes for as long as it takes to write their records; those that no record has then are taken away. Where
    it is not known whether they were written, the sweep sees to them.

    Raises Rejected at the path of what cannot be taken, before anything is kept.
    """
    blobs, workspace = context.intake.blobs, context.caller.workspace
    kept: dict[Place, Arrived] = {}
    try:
        for file, path in uploads.values():
            if isinstance(file.problem, Rejected):
                raise file.problem.below(path)
            if file.problem is not None:
                raise file.problem
        for place, (file, _) in uploads.items():
            assert isinstance(file, Staged)
            arrived = Arrived(file)
            await blobs.keep(workspace, arrived.key, file.path)
            kept[place] = arrived
        yield kept
    except Rejected:
        await blobs.delete(workspace, [one.key for one in kept.values()])
        raise
    else:
        await blobs.delete(workspace, [one.key for one in kept.values() if not one.is_used])
    finally:
        for file, _ in uploads.values():
            assert isinstance(file, Staged)
            if file.path not in {one.file.path for one in kept.values()}:
                await asyncio.to_thread(file.discard)


class Shown:
    """The blobs that new messages show. Bytes among them are kept before the messages are written."""

    def __init__(self, messages: Sequence[Saying], path: Path) -> None:
        self._given: dict[Place, tuple[MediaInput, Path]] = {}
        self._arrived: dict[Place, Arrived] = {}
        for number, message in enumerate(messages):
            for index, part in enumerate(message.content or ()):
                if (media := part.media) is not None:
                    kind, given = media
                    above = [*path, number] if path else []
                    self._given[number, index] = given, [*above, "content", index, kind.name.lower()]

    @asynccontextmanager
    async def kept(self, context: Context) -> AsyncIterator[None]:
        read: dict[Place, tuple[bytes, str]] = {}
        for place, (given, path) in self._given.items():
            if (given.data is None) is (given.blob is None):
                raise invalid("Give the blob or its data.", [*path, "blob"])
            if given.data is not None:
                read[place] = _decoded(given.data, given.media_type or "", [*path, "data"])
        if not read:
            yield
            return
        uploads: dict[Place, tuple[Upload, Path]] = {}
        blobs, rules = context.intake
        for place, (data, claimed) in read.items():
            given, path = self._given[place]
            file = await asyncio.to_thread(staged, blobs.staging, rules, data, given.filename or "", claimed)
            uploads[place] = file, [*path, "data"]
        async with _kept(context, uploads) as self._arrived:
            yield
        if any(one.file.text for one in self._arrived.values()):
            await said.embed(context)

    async def of(self, tx: Transaction) -> dict[int, dict[int, Blob]]:
        """By message and part. What is shown is in use from now on. Raises Rejected (NOT_FOUND)."""
        found: dict[int, dict[int, Blob]] = {}
        named = [given.blob for given, _ in self._given.values() if given.blob is not None]
        there = await lookup_all(tx, Blob, named) if named else {}
        used: dict[Id, Blob] = {}
        for place, (given, path) in self._given.items():
            if given.blob is None:
                one = await _record(tx, self._arrived[place])
            elif (known := there.get(given.blob)) is None:
                raise not_found(Blob.noun, [*path, "blob"])
            else:
                one = used[known.id] = replace(known, used_at=tx.now)
            found.setdefault(place[0], {})[place[1]] = one
        await tx.put(list(used.values()))
        return found


def _decoded(data: str, claimed: str, path: Path) -> tuple[bytes, str]:
    """The bytes of base64, or of a data URL, and their media type as it is told. Raises Rejected (INVALID)."""
    if data.startswith("data:"):
        head, _, data = data[5:].partition(",")
        told, _, encoding = head.rpartition(";")
        if encoding.strip().lower() != "base64":
            raise invalid("A data URL must be of base64.", path)
        claimed = claimed or told
    try:
        return binascii.a2b_base64(data, strict_mode=True), claimed
    except ValueError:
        raise invalid("This is not base64.", path) from None


@asynccontextmanager
async def received(context: Context, files: Mapping[str, MediaFile]) -> AsyncIterator[dict[str, Arrived]]:
    """Keeps files that telemetry brings, by their digests, as `_kept` does. Those that may not be stored are left out,
    and those that are there."""
    if not files or not context.takes_blobs:
        yield {}
        return
    blobs, rules = context.intake
    there = await context.store.find(Blob, [(digest,) for digest in files])
    new = [file for file, one in zip(files.values(), there, strict=True) if one is None]
    uploads: dict[Place, tuple[Upload, Path]] = {}
    for number, file in enumerate(new):
        made = await asyncio.to_thread(staged, blobs.staging, rules, file.data, "", file.media_type)
        if not isinstance(made.problem, Rejected):
            uploads[number, 0] = made, ()
    async with _kept(context, uploads) as kept:
        yield {one.file.digest: one for one in kept.values()}


async def recorded(tx: Transaction, arrived: Mapping[str, Arrived], digests: Sequence[str]) -> dict[str, Blob]:
    """The records of what came, and of what was there, by their digests."""
    if not digests:
        return {}
    found = {digest: await _record(tx, arrived[digest]) for digest in digests if digest in arrived}
    others = [digest for digest in digests if digest not in found]
    for one in await tx.find(Blob, [(digest,) for digest in others]):
        if one is not None:
            found[one.sha256] = one
            if tx.now - one.used_at > _AGAIN:
                await tx.put([replace(one, used_at=tx.now)])
    return found


_AGAIN = timedelta(hours=1)
"""How long it is not noted that telemetry tells again of what is there: each call repeats what was said before."""


# -- links -------------------------------------------------------------------------------------------------------

MAX_LINK_SECONDS = 7 * 24 * 3600
LinkSeconds = Annotated[int, Meta(ge=1, le=MAX_LINK_SECONDS)]


async def signed_urls(context: Context, blobs: Sequence[Blob], seconds: LinkSeconds = 3600) -> list[str]:
    """Links that need no credentials, until they expire."""
    secret, workspace = await context.intake.blobs.secret(), context.caller.workspace
    expires = int(context.clock().timestamp()) + seconds
    return [signed_url(secret, workspace, blob, expires) for blob in blobs]


def signed_url(secret: bytes, workspace: str, blob: Blob, expires: int) -> str:
    query = {"workspace": workspace, "expires": expires, "signature": signature(secret, workspace, blob.id, expires)}
    return f"{blob.url}?{urlencode(query)}"


def signature(secret: bytes, workspace: str, id: str, expires: int | str) -> str:
    said = f"{id}\n{expires}\n{workspace}".encode()
    return hmac.new(secret, said, hashlib.sha256).hexdigest()


# -- sweeping ----------------------------------------------------------------------------------------------------


async def sweep(context: Context, unused_days: float) -> int:
    """Deletes the blobs that no message shows, of which no memory was formed, and that nobody has used for some days;
    and bytes that no record has, in the trash neither. How many blobs those were."""
    blobs, workspace = context.intake.blobs, context.caller.workspace
    before, total = context.clock() - timedelta(days=unused_days), 0
    async for keys in blobs.keys(workspace, before):
        records = await context.store.find(Blob, [(key.partition("-")[0],) for key in keys])
        pairs = list(zip(keys, records, strict=True))
        loose = [key for key, one in pairs if one is None or one.stored_as != key]
        trashed = await context.store.find(TrashedBlob, [(key,) for key in loose])
        await blobs.delete(workspace, [key for key, one in zip(loose, trashed, strict=True) if one is None])
        found = [one for key, one in pairs if one is not None and one.stored_as == key]
        total += await _sweep(context, [one.id for one in found if one.used_at < before], before)
    return total


async def free(context: Context, ids: Sequence[Id]) -> None:
    """Deletes those of some blobs that nothing shows any more, and their bytes."""
    shown = {one.blob_id for one in await every(context, Records(Attachment, "blob"), ids)}
    for blob in await present(context.store, Blob, [id for id in ids if id not in shown]):
        with suppress(Taken):  # it is shown again
            await context.store.write(partial(delete_blob, blob.id))
            if context.takes_blobs:
                await context.intake.blobs.delete(context.caller.workspace, [blob.stored_as])


async def delete_blob(id: Id, tx: Transaction) -> None:
    await tx.delete(Blob, [id])


async def _sweep(context: Context, old: list[Id], before: Any) -> int:
    if not old:
        return 0
    shown = await context.store.pages(Records(Attachment, "blob"), old, Slice(limit=1))
    formed = await context.store.pages(Records(Origin, "source"), old, Slice(limit=1))
    loose = [id for id, *pages in zip(old, shown, formed, strict=True) if not any(page.nodes for page in pages)]

    async def script(tx: Transaction) -> list[Blob]:
        """A blob that was added to a message meanwhile was used then."""
        gone = [one for one in await tx.get(Blob, loose) if one is not None and one.used_at < before]
        await tx.delete(Blob, [one.id for one in gone])
        return gone

    gone = await context.store.write(script) if loose else []
    await context.intake.blobs.delete(context.caller.workspace, [one.stored_as for one in gone])
    return len(gone)
