"""Sweeps over all that there is of something, whose every case costs a server seconds: a part of them in its turn.

A plan of Neo4j's takes 0.3 s of processor time, and a sweep asks hundreds of statements that nobody has asked before.
Each day has a turn, and SHARES of them are the whole; CONTRACT_SWEEP names another turn, or `all`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

SHARES = 7
"""A turn for each day of the week."""
SETTING = "CONTRACT_SWEEP"

Case = TypeVar("Case")


def turn() -> str:
    """Whose turn it is: 0 to SHARES - 1, or `all`."""
    return os.environ.get(SETTING) or str(datetime.now(UTC).toordinal() % SHARES)


def in_turn(cases: Iterable[Case], on_servers: bool = True) -> list[Case]:
    """The cases whose turn it is; elsewhere than on servers all of them."""
    every, now = list(cases), turn() if on_servers else "all"
    shares = min(SHARES, len(every))  # of a few cases one is tried each day
    return [case for number, case in enumerate(every) if now == "all" or number % shares == int(now) % shares]
