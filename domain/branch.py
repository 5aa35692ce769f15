"""Branches of a session: which message goes on from which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Entry(NamedTuple):
    """A message as far as it matters here. key, parent: what an engine tells messages apart by. replied: whether one
    names it as its parent."""

    key: object
    place: int
    thread: object
    parent: object
    replied: bool


def before(parent: T | None, replied: bool, latest: T | None) -> T | None:
    """Where a message goes on: at its parent, or at the latest message before it in its thread. One that names no
    parent and is one itself stands at the top of a tree."""
    if parent is not None:
        return parent
    return None if replied else latest


_LATEST = object()


def branch(end: object, messages: Iterable[Entry]) -> list[int]:
    """The places of the messages from the first of a branch to its end, of a session's messages, the latest first."""
    found: list[int] = []
    wanted, thread = end, None
    for one in messages:
        if one.key == wanted or (wanted is _LATEST and one.thread == thread):
            found.append(one.place)
            wanted, thread = before(one.parent, one.replied, _LATEST), one.thread
            if wanted is None:
                break
    found.reverse()
    return found


def tips(messages: Iterable[Entry]) -> list[object]:
    """The messages at which branches end, of a session's messages in the order of their places."""
    latest: dict[object, object] = {}
    ends: dict[object, None] = {}
    for one in messages:
        ends.pop(before(one.parent, one.replied, latest.get(one.thread)), None)
        ends[one.key] = None
        latest[one.thread] = one.key
    return list(ends)


def runs(places: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of places, in order, that follow each other without a gap."""
    first = last = None
    for place in places:
        if first is None or last is None:
            first = place
        elif place != last + 1:
            yield first, last
            first = place
        last = place
    if first is not None and last is not None:
        yield first, last
