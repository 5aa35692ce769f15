"""Rate limiting: operations per minute."""

from __future__ import annotations

import time
from collections.abc import Callable

MINUTE_US = 60_000_000

_MANY = 10_000
"""With so many names those are forgotten that have their whole minute again."""


class Rates:
    """Counts by name, up to a minute's worth at once: a token bucket, kept as the one time when it is full again.

    (This is the "generic cell rate algorithm": each spending moves that time on by one interval.)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds."""
        self._clock = clock
        self._full: dict[str, float] = {}

    def spend(self, name: str, per_minute: int) -> float:
        """Spends one; where there is none left it spends nothing, and tells the seconds until there is."""
        now = self._clock()
        full = max(self._full.get(name, 0.0), now) + 60 / per_minute
        if (wait := full - now - 60) > 1e-9:
            return wait
        if len(self._full) >= _MANY:
            self._full = {one: until for one, until in self._full.items() if until > now}
        self._full[name] = full
        return 0.0
