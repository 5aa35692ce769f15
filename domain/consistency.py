"""How new what a read sees must be."""

from __future__ import annotations

import enum

import msgspec

from domain.errors import CursorExpired, Rejected, invalid
from domain.page import Listing


class ConsistencyLevel(enum.Enum):
    """How new what a read sees is at the least."""

    EVENTUAL = "EVENTUAL"
    STRONG = "STRONG"


class Consistency(msgspec.Struct, frozen=True):
    """What a read asks for. bounded: how old, in milliseconds, what it does not see may be at the most. after: a token
    of a write that it must see."""

    level: ConsistencyLevel | None = None
    bounded: int | None = None
    after: str | None = None

    @property
    def within(self) -> float | None:
        """What was committed so many seconds ago is seen; None where that is not asked.

        Raises Rejected (INVALID) where what is asked contradicts itself.
        """
        if self.bounded is None:
            return 0.0 if self.level is ConsistencyLevel.STRONG else None
        if self.level is not None:
            raise invalid("Give either a level or bounded, not both.", [DIRECTIVE, "bounded"])
        if self.bounded < 0:
            raise invalid("bounded is a number of milliseconds, 0 or more.", [DIRECTIVE, "bounded"])
        return self.bounded / 1000


DIRECTIVE = "consistency"
_AFTER = [DIRECTIVE, "after"]
AGAIN = "leave it out, or take the consistencyToken of a newer mutation."


def writes_of(workspace: str, epoch: str | None) -> Listing:
    """What tokens of a workspace belong to: the log of all its writes, of which they tell the place of one."""
    return Listing(f"writes of {workspace}", epoch)


def place_of(token: str, writes: Listing) -> int:
    """The place that a token tells. Raises Rejected (INVALID) for what is no token of these writes."""
    try:
        [place] = writes.mark(token)
    except CursorExpired:
        raise unknown() from None
    except Rejected:
        raise invalid(f"This is not a consistencyToken of this workspace: {AGAIN}", _AFTER) from None
    return int(place)


def unknown() -> Rejected:
    """The refusal of a token that tells of a write which the store does not have."""
    return invalid(
        "This token tells of a write that is not here, for it is of another store or of before a backup was restored: "
        f"{AGAIN}",
        _AFTER,
    )
