"""The logs of what happened to memories, and to records of other kinds."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from domain.link import MemoryLink
from domain.memory import Memory
from domain.node import Id, Node
from domain.values import Ref

T = TypeVar("T")


class ChangeKind(enum.Enum):
    """A change to a record."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    LINKED = "LINKED"
    UNLINKED = "UNLINKED"
    ARCHIVED = "ARCHIVED"
    RESTORED = "RESTORED"
    DELETED = "DELETED"


class MemoryChange(msgspec.Struct, frozen=True, gc=False):
    """One line of a workspace's memory log. place is given at commit, in commit order.

    subject: the memory as it is now or, of one that is gone, as it was when it was deleted, without its text.
    before: as it was before, of the kinds that change the memory itself: UPDATED, ARCHIVED, RESTORED and DELETED.
    left: it matched the follower's filter before the change and does not any more.
    lost: the session that it was of and that was deleted, by its id and what it was called.
    """

    about: ClassVar[str] = "memory"

    kind: ChangeKind
    memory_id: Id
    time: datetime
    subject: Memory
    link: MemoryLink | None = None
    gone: bool = False
    place: int = 0
    before: Memory | None = None
    left: bool = False
    lost: Ref | None = None

    @property
    def record_id(self) -> Id:
        return self.memory_id

    @property
    def memory(self) -> Memory | None:
        return None if self.gone else self.subject


class RecordChange(msgspec.Struct, frozen=True, gc=False):
    """One line of the log of a kind of records. about: the kind's name. place is given at commit, in commit order.

    before, after: the record as the log keeps it, None where it was not there. after is what the next line of the
    record found, or the record as it is now: a line keeps what was before alone.
    """

    about: str
    kind: ChangeKind
    record_id: Id
    time: datetime
    before: Node | None
    after: Node | None = None
    place: int = 0


Change = MemoryChange | RecordChange


def deletion(memory: Memory, time: datetime) -> MemoryChange:
    """The line that tells that a memory is deleted: the log keeps what filters look at, never the text."""
    last = msgspec.structs.replace(memory, text="")
    return MemoryChange(ChangeKind.DELETED, memory.id, time, last, gone=True, before=last)


class Line(NamedTuple, Generic[T]):
    """One line of a log of changes as a store reads it: what happened, to something that was `before` and is `after`.

    None: it was not there before, or is not any more.
    """

    change: T
    before: Any
    after: Any


def matched(lines: Sequence[Line[T]], holds: Sequence[bool]) -> Iterator[tuple[T, bool]]:
    """The changes of what matched a follower's filter before or does after, and whether it has left the filter.

    holds: whether the filter holds for each state of `states`, in that order.
    """
    answers = iter(holds)
    for line in lines:
        before, after = (state is not None and next(answers) for state in (line.before, line.after))
        if before or after:
            yield line.change, not after


def states(lines: Sequence[Line[T]]) -> list[Any]:
    """What the filter of a follower has to be asked about: each state of each line."""
    return [state for line in lines for state in (line.before, line.after) if state is not None]
