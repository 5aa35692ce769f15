"""The bytes of blobs as files of a folder, which processes may share."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from stores.errors import Unavailable

T = TypeVar("T")

_INCOMING, _SECRET = "incoming", "secret"
_STALE_SECONDS = 24 * 3600.0
_PIECE = 256 * 1024
_MANY = 500


class FolderBlobs:
    """See stores.ports.Blobs. A workspace's files are in a folder called by the SHA-256 of its name, which may have
    characters that no file name has."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._incoming = folder, folder / _INCOMING
        self._secret: bytes | None = None
        for left in self._incoming.glob("*"):
            with contextlib.suppress(OSError):  # another process is quicker
                if left.stat().st_mtime < time.time() - _STALE_SECONDS:
                    left.unlink()

    @property
    def staging(self) -> Path:
        """Made where it is asked for: a folder without files has none."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        return self._incoming

    def _path(self, workspace: str, key: str) -> Path:
        return self._of(workspace) / key

    def _of(self, workspace: str) -> Path:
        return self._folder / hashlib.sha256(workspace.encode()).hexdigest()[:32]

    async def keep(self, workspace: str, key: str, file: Path) -> None:
        await _in_thread(lambda: _move(file, self._path(workspace, key)))

    async def read(self, workspace: str, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        try:
            file = await _in_thread(lambda: os.open(self._path(workspace, key), os.O_RDONLY))
        except FileNotFoundError:
            raise KeyError(key) from None
        try:
            while length > 0 and (piece := await _piece(file, min(_PIECE, length), start)):
                yield piece
                start, length = start + len(piece), length - len(piece)
        finally:
            os.close(file)

    async def delete(self, workspace: str, keys: Sequence[str]) -> None:
        paths = [self._path(workspace, key) for key in keys]
        if not paths:
            return
        await _in_thread(partial(_unlink, paths))

    async def keys(self, workspace: str, before: datetime) -> AsyncIterator[list[str]]:
        found = _older(self._of(workspace), before.timestamp())
        while some := await _in_thread(lambda: list(islice(found, _MANY))):
            yield some

    async def secret(self) -> bytes:
        if self._secret is None:
            self._secret = await _in_thread(lambda: _shared_secret(self._folder / _SECRET))
        return self._secret


async def _piece(file: int, length: int, start: int) -> bytes:
    return await _in_thread(lambda: os.pread(file, length, start))


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unavailable(error) from None


def unavailable(error: OSError) -> Unavailable:
    return Unavailable(f"the folder of blobs: {os.strerror(error.errno or errno.EIO)}")


def _move(file: Path, to: Path) -> None:
    """Nothing has the name before this is done, so it does no harm where the bytes come to the disk after it; a file
    system with a journal has bytes and name in one entry then, and not in two, each of which is waited for."""
    is_new = not to.parent.exists()
    to.parent.mkdir(exist_ok=True)
    file.replace(to)
    _sync(to)
    _sync(to.parent)
    if is_new:
        _sync(to.parent.parent)


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _older(folder: Path, before: float) -> Iterator[str]:
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                yield path.name


def _shared_secret(path: Path) -> bytes:
    """The secret that is there, or a new one: the first process to make one makes it for all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        made = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
        if not path.exists():
            made.touch(0o600)
            made.write_bytes(secrets.token_bytes(32))
            try:
                os.link(made, path)
                _sync(path)
            finally:
                made.unlink()
    return path.read_bytes()
