"""Keep what memories and links were as versions, with the time and what changed them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from domain.change import ChangeKind, MemoryChange
from domain.history import LinkVersion, MemoryVersion, VersionCause, version_of, version_of_link
from domain.link import MemoryLink
from domain.memory import Memory
from stores.ports import Transaction

_TOLD = {
    VersionCause.ARCHIVED: ChangeKind.ARCHIVED,
    VersionCause.EVICTED: ChangeKind.ARCHIVED,
    VersionCause.RESTORED: ChangeKind.RESTORED,
}
"""What the memory log calls a change; others are updates."""


async def put_next(
    tx: Transaction, before: Sequence[Memory], after: Sequence[Memory], cause: VersionCause
) -> list[Memory]:
    """Stores what memories are now as their next versions, keeps what they were, and tells the memory log."""
    after = [replace(new, version=old.version + 1, updated_at=tx.now) for old, new in zip(before, after, strict=True)]
    await tx.put([version_of(old, tx.new_id(MemoryVersion), cause, tx.now) for old in before])
    await tx.put(after)
    kind = _TOLD.get(cause, ChangeKind.UPDATED)
    await tx.log([MemoryChange(kind, new.id, tx.now, new, before=old) for old, new in zip(before, after, strict=True)])
    return after


async def keep_links(tx: Transaction, links: Sequence[MemoryLink], removed: bool) -> None:
    """Keeps what links are that are about to be changed or removed."""
    await tx.put([version_of_link(link, tx.new_id(LinkVersion), removed, tx.now) for link in links])
