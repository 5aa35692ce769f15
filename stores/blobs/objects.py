"""The bytes of blobs in a store of objects that speaks S3, which processes share."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import obstore
from obstore import exceptions
from obstore.store import ObjectStore, S3Store

from stores.errors import CannotOpen, Unavailable

_SECRET = "secret"
_MANY = 500
_PIECE = 256 * 1024
_PART = 8 * 1024 * 1024
_AT_ONCE = 2
"""Parts of a long file that are sent at a time; each is in memory."""

_PATIENCE = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}


class ObjectBlobs:
    """See stores.ports.Blobs. Objects are called as the files of stores.blobs.folder are. Bytes on their way in are in
    the system's folder for temporary files."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.staging = Path(tempfile.gettempdir()) / "recollect-incoming"
        self.staging.mkdir(mode=0o700, exist_ok=True)
        self._secret: bytes | None = None

    async def keep(self, workspace: str, key: str, file: Path) -> None:
        with _told():
            await obstore.put_async(
                self._store, _path(workspace, key), file, chunk_size=_PART, max_concurrency=_AT_ONCE
            )
        await asyncio.to_thread(file.unlink, missing_ok=True)

    async def read(self, workspace: str, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        if not length:
            return
        with _told():
            try:
                found = await obstore.get_async(
                    self._store, _path(workspace, key), options={"range": (start, start + length)}
                )
            except FileNotFoundError:
                raise KeyError(key) from None
            async for piece in found.stream(min_chunk_size=_PIECE):
                yield bytes(piece)

    async def delete(self, workspace: str, keys: Sequence[str]) -> None:
        if keys:
            with _told(), contextlib.suppress(FileNotFoundError):
                await obstore.delete_async(self._store, [_path(workspace, key) for key in keys])

    async def keys(self, workspace: str, before: datetime) -> AsyncIterator[list[str]]:
        with _told():
            async for some in obstore.list(self._store, _of(workspace), chunk_size=_MANY):
                yield [one["path"].rpartition("/")[2] for one in some if one["last_modified"] < before]

    async def secret(self) -> bytes:
        if self._secret is None:
            with _told():
                with contextlib.suppress(exceptions.AlreadyExistsError):
                    await obstore.put_async(self._store, _SECRET, secrets.token_bytes(32), mode="create")
                self._secret = bytes(await (await obstore.get_async(self._store, _SECRET)).bytes_async())
        return self._secret


def _of(workspace: str) -> str:
    return hashlib.sha256(workspace.encode()).hexdigest()[:32]


def _path(workspace: str, key: str) -> str:
    return f"{_of(workspace)}/{key}"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Whatever goes wrong with the store is an outage to the caller; the log has more of it."""
    try:
        yield
    except exceptions.AlreadyExistsError:
        raise
    except exceptions.BaseError as error:
        raise Unavailable(f"the store of blobs: {str(error).splitlines()[0][:200]}") from None


def open_objects(url: str, endpoint: str | None, region: str | None) -> ObjectBlobs:
    """Opens s3://bucket/prefix. Credentials, and what else is not said, come from the AWS_ variables of the
    environment. Raises CannotOpen."""
    given = {name: value for name, value in (("endpoint", endpoint), ("region", region)) if value}
    http = endpoint is not None and endpoint.startswith("http://")
    try:
        store = S3Store.from_url(
            url,
            client_options={
                "allow_http": http,
                "timeout": timedelta(seconds=60),
                "connect_timeout": timedelta(seconds=5),
            },
            retry_config=_PATIENCE,  # type: ignore[arg-type]
            **given,  # type: ignore[arg-type]
        )
    except (exceptions.BaseError, ValueError) as error:
        raise CannotOpen(f"RECOLLECT_BLOBS_URL cannot be used: {str(error).splitlines()[0]}.") from None
    return ObjectBlobs(store)
