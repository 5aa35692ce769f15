"""The log of what happened to memories."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from domain.link import MemoryLink
from domain.memory import Memory
from domain.node import Id


class ChangeKind(enum.Enum):
    """What happened to a memory."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    LINKED = "LINKED"
    UNLINKED = "UNLINKED"
    ARCHIVED = "ARCHIVED"
    RESTORED = "RESTORED"
    DELETED = "DELETED"


class MemoryChange(msgspec.Struct, frozen=True, gc=False):
    """One line of a workspace's memory log. place is given at commit, in commit order.

    subject: the memory as it is now or, of one that is gone, as it was when it was deleted.
    """

    kind: ChangeKind
    memory_id: Id
    time: datetime
    subject: Memory
    link: MemoryLink | None = None
    gone: bool = False
    place: int = 0

    @property
    def memory(self) -> Memory | None:
        """The memory as it is now; None once it is deleted."""
        return None if self.gone else self.subject
