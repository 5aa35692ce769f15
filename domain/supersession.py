"""What it does to a memory that another takes its place, and what when that is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from domain.link import MemoryLink
from domain.memory import Memory, MemoryStatus
from domain.node import Id


class Ending(NamedTuple):
    """A link of kind SUPERSEDES, and when it ends what held before."""

    link: MemoryLink
    at: datetime


def ending(link: MemoryLink, source: Memory | None) -> Ending:
    """The old fact holds until the new one does: from its validFrom on, or from when the link was made."""
    return Ending(link, link.created_at if source is None or source.valid_from is None else source.valid_from)


def superseded(memory: Memory, at: datetime, now: datetime) -> Memory:
    """The memory as another takes its place at that time; one that is to do so later leaves it active until then."""
    until = _earliest([memory.valid_until, at])
    ends = memory.status is MemoryStatus.ACTIVE and at <= now
    return replace(memory, valid_until=until, status=MemoryStatus.SUPERSEDED if ends else memory.status)


def released(
    memory: Memory, gone: Sequence[Ending], left: Sequence[Ending], now: datetime
) -> tuple[Memory, list[MemoryLink]]:
    """The memory without some of the links that superseded it, as the others leave it, and those of the others that now
    have to know how it was. A validity that somebody has changed since stays."""
    every = sorted([*gone, *left], key=lambda one: (one.link.created_at, one.link.id))
    if not gone or not every:
        return memory, []
    was = every[0].link.ended
    until = memory.valid_until
    if until == _earliest([was, *(one.at for one in every)]):
        until = _earliest([was, *(one.at for one in left)])
    freed = memory.status is MemoryStatus.SUPERSEDED and not any(one.at <= now for one in left)
    after = replace(memory, valid_until=until, status=MemoryStatus.ACTIVE if freed else memory.status)
    first = next((one.link for one in every if one in left), None)
    return after, [replace(first, ended=was)] if first is not None and first.ended != was else []


def inherited(links: Sequence[MemoryLink], gone: Set[Id], id: Callable[[], Id], now: datetime) -> list[MemoryLink]:
    """The links that memories need which supersede some that go: what these have superseded is theirs to supersede.

    links: those of kind SUPERSEDES that leave or reach the memories that go, and reach what these have superseded.
    """
    there = {(link.source_id, link.target_id) for link in links}
    above: dict[Id, list[MemoryLink]] = {}
    for link in links:
        above.setdefault(link.target_id, []).append(link)
    made = []
    for link in links:
        if link.source_id not in gone or link.target_id in gone:
            continue
        waiting, seen = [link.source_id], {link.source_id}
        while waiting:
            for heir in above.get(waiting.pop(), ()):
                if heir.source_id in seen:
                    continue
                seen.add(heir.source_id)
                if heir.source_id in gone:
                    waiting.append(heir.source_id)
                elif (heir.source_id, link.target_id) not in there:
                    there.add((heir.source_id, link.target_id))
                    since = max(link.created_at, heir.created_at)
                    made.append(
                        replace(
                            heir, id=id(), target_id=link.target_id, created_at=since, updated_at=now, ended=link.ended
                        )
                    )
    return made


def moved(memory: Memory, before: Sequence[Ending], after: Sequence[Ending], now: datetime) -> Memory:
    """The memory as one that supersedes it begins at another time; before, after: what ends it. A validity that
    somebody has changed since stays."""
    was = min(before, key=lambda one: (one.link.created_at, one.link.id)).link.ended
    if memory.valid_until != _earliest([was, *(one.at for one in before)]):
        return memory
    status = memory.status
    if status is not MemoryStatus.ARCHIVED:
        ended = any(one.at <= now for one in after)
        status = MemoryStatus.SUPERSEDED if ended else MemoryStatus.ACTIVE
    return replace(memory, valid_until=_earliest([was, *(one.at for one in after)]), status=status)


def circle(links: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> int | None:
    """The place of the first of some new links, as source and target, that with those before it and others which are
    there leads back to where it begins."""
    ahead: dict[str, set[str]] = {}
    for source, target in links:
        ahead.setdefault(source, set()).add(target)
    for place, (source, target) in enumerate(new):
        waiting, seen = [target], {target}
        while waiting:
            for further in ahead.get(waiting.pop(), ()):
                if further not in seen:
                    seen.add(further)
                    waiting.append(further)
        if source in seen:
            return place
        ahead.setdefault(source, set()).add(target)
    return None


def _earliest(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time is not None), default=None)
