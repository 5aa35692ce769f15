"""Errors of storage."""

from __future__ import annotations


class StoreError(Exception):
    """Any failure of storage. Its text is for the operator's log, never for a caller."""


class Unavailable(StoreError):
    """The store cannot do this now: a full disk, a server that is down, a queue that is full.

    retry_after_ms: when it makes sense to try again, in milliseconds. known: the log tells of it already.
    """

    def __init__(self, reason: str, retry_after_ms: int = 1000, *, known: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_ms, self.known = retry_after_ms, known


class TooLong(StoreError):
    """A read has taken longer than it may: it would scan too much."""


class Taken(StoreError):
    """A record would have a natural key that another one has."""


class Outdated(StoreError):
    """Vectors were told or searched for that are of an embedder whose vectors the store does not hold any more."""


class CannotOpen(StoreError):
    """The store cannot be opened; the text is one sentence for the person who started the program."""


class InUse(CannotOpen):
    """Another process has the folder open."""


class NoEmbedder(Unavailable):
    """What turns texts into vectors cannot do it now: its server is down, or refuses."""


def other_embedder(place: str, held: str, given: str) -> CannotOpen:
    """A store holds vectors of another embedder than it is opened with; both as name and dimension."""
    return CannotOpen(
        f"The vectors in {place} were made with the embedder {held}, not with {given}: set RECOLLECT_EMBEDDER to "
        f"{held.rpartition(' ')[0]}, or make new ones with `recollect reembed`."
    )
