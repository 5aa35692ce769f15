"""Generator of increasing UUIDv7 ids."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from datetime import datetime

from domain.node import next_uuid7

_RANDOM = 512


class Ids:
    """Makes UUIDv7s, each greater than the one before; for one thread. last: the greatest one there is."""

    def __init__(self, clock: Callable[[], datetime], last: int = 0) -> None:
        self._clock, self.last = clock, last
        self._random: Iterator[tuple[int]] = iter(())

    def next(self, milliseconds: int | None = None) -> int:
        """The next one, of a time since 1970 or of now."""
        if milliseconds is None:
            milliseconds = int(self._clock().timestamp() * 1000)
        if (random := next(self._random, None)) is None:  # asking for each alone costs ten times as much
            self._random = struct.iter_unpack("Q", os.urandom(8 * _RANDOM))
            random = next(self._random)
        self.last = next_uuid7(self.last, milliseconds, random[0])
        return self.last

    def follow(self, last: int) -> None:
        """Goes on from another's last one, where that is greater."""
        self.last = max(self.last, last)
