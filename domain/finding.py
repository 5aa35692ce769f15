"""What was found where in a text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

AROUND = 60
"""How many characters of a text are shown before and behind what was found."""

MARK = "**"

Spot = tuple[int, int]
"""Where something begins in a text, and where it ends."""


def snippet(text: str, spots: Sequence[Spot]) -> str:
    """A piece of a text in one line around those of the spots, which are in order, that stand closest together, each of
    them between marks; its beginning where there are none."""
    starts = [start for start, _ in spots]

    def beside(spot: Spot) -> int:
        return bisect_right(starts, spot[1] + AROUND) - bisect_right(starts, spot[0])

    start, end = max(spots, key=beside, default=(0, 0))
    low, high = max(0, start - AROUND), min(len(text), end + AROUND)
    shown, at = ["…" if low else ""], low
    for begin, stop in spots:
        if low <= begin and stop <= high:
            shown += [text[at:begin], MARK, text[begin:stop], MARK]
            at = stop
    return " ".join("".join([*shown, text[at:high], "…" if high < len(text) else ""]).split())
