"""Followers of logs in this process, and how far each log is known to reach.

A log reaches as far as a commit that is over wrote it. What else can be read of it is not to be trusted: while Neo4j
applies a commit, readers see some of its nodes and not yet others, in no order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping

GONE = 2**62
"""Where a log is said to reach whose session is deleted: its followers end."""


class Follower:
    """What a follower hears of its log. end: the place it reaches at least; unsure: it may reach further."""

    def __init__(self) -> None:
        self.end, self.unsure = 0, True
        self._followers = asyncio.Event()

    def tell(self, end: int | None) -> None:
        """The log reaches so far; None: perhaps further than is known."""
        if end is None:
            self.unsure = True
        else:
            self.end = max(self.end, end)
        self._followers.set()

    async def wait(self) -> None:
        """Until something is told."""
        await self._followers.wait()
        self._followers.clear()


class Followers:
    """The followers of this process; logs are named workspace/log."""

    def __init__(self) -> None:
        self._following: dict[str, set[Follower]] = {}

    @contextlib.contextmanager
    def following(self, name: str) -> Iterator[Follower]:
        heard = Follower()
        self._following.setdefault(name, set()).add(heard)
        try:
            yield heard
        finally:
            following = self._following[name]
            following.discard(heard)
            if not following:
                del self._following[name]

    def tell(self, ends: Mapping[str, int]) -> None:
        """These logs reach so far now."""
        for name, end in ends.items():
            for heard in self._following.get(name, ()):
                heard.tell(end)

    def doubt(self, workspace: str | None = None) -> None:
        """The logs of a workspace, or all, may reach further than is known."""
        for name, following in self._following.items():
            if workspace in (None, name.partition("/")[0]):
                for heard in following:
                    heard.tell(None)

    @property
    def workspaces(self) -> list[str]:
        """Whose logs are followed."""
        return sorted({name.partition("/")[0] for name in self._following})
