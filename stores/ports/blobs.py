"""Where the bytes of blobs are kept: a folder, or a store of objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from domain.blob import MediaRules


class Blobs(Protocol):
    """The bytes of all workspaces. A key begins with the SHA-256 of its bytes and is given once, so that bytes that
    are taken away are never those of a record that has come meanwhile. All may raise stores.errors.Unavailable."""

    @property
    def staging(self) -> Path:
        """The folder for what is on its way in. Raises OSError where it cannot be made."""

    async def keep(self, workspace: str, key: str, file: Path) -> None:
        """Moves a file to its place, durably: it is there after a power failure once this returns."""

    def read(self, workspace: str, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Some of the bytes under a key, in pieces. Raises KeyError, before the first one, where there is none."""

    async def delete(self, workspace: str, keys: Sequence[str]) -> None:
        """Takes away what is under keys, as far as it is there."""

    def keys(self, workspace: str, before: datetime) -> AsyncIterator[list[str]]:
        """The keys whose bytes came before a time, some at once."""

    async def secret(self) -> bytes:
        """What links are signed with: 32 bytes, the same in all processes and after a restart."""


class Intake(NamedTuple):
    """Where bytes go, and which are taken."""

    blobs: Blobs
    rules: MediaRules
