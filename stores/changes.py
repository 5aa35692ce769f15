"""Lines of the memory log, as every engine keeps them: what a memory was before a change, as JSON."""

from __future__ import annotations

from datetime import datetime

import msgspec

from domain.change import ChangeKind, Line, MemoryChange
from domain.link import MemoryLink
from domain.memory import Memory
from domain.node import Id

_link = msgspec.json.Decoder(MemoryLink).decode


def line_of(
    place: int,
    kind: str,
    memory_id: Id,
    time: datetime,
    link: str | None,
    before: Memory | None,
    then: Memory | None,
    now: Memory | None,
) -> Line[MemoryChange] | None:
    """One line; None where nothing is known of its memory, which is gone.

    before: the memory before this change; then: before the next one that changed it, and so after this one.
    """
    after = then or now
    subject = now or after or before
    if subject is None:
        return None
    what = ChangeKind[kind]
    if what is ChangeKind.DELETED:
        after = None
    elif what in (ChangeKind.LINKED, ChangeKind.UNLINKED):
        before = after
    linked = None if link is None else _link(link)
    return Line(MemoryChange(what, memory_id, time, subject, linked, now is None, place, before), before, after)
