"""Embedders: turn texts into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from stores.ports.values import Vector

OPENAI = "https://api.openai.com/v1"


class Remote(msgspec.Struct, frozen=True):
    """Where an embedder's server is, its key, "" for none, and how many dimensions are asked of it; None: its own."""

    url: str = OPENAI
    key: str = ""
    dimension: int | None = None

    def __repr__(self) -> str:
        """Shows no key."""
        return f"Remote({self.url!r})"


class Embedder(Protocol):
    """Gives texts vectors whose cosine says how alike they mean; may be called in any thread.

    An entry point of the group `recollect.embedders` names a function that makes one. It is called with what stands
    behind the colon of the setting ("" for nothing), and with a Remote, too, where it has a parameter `remote`. It
    raises stores.errors.CannotOpen, with one sentence.

    It may have a method `close`; a method `knows`, which tells whether it knows a word of a text that was embedded, so
    that nonsense is near to nothing; and two attributes. `kindred`: the cosine from which on two texts are about the
    same, None where it is not known yet. `quick`: of how many characters the vectors may be asked for in the event
    loop, which waits meanwhile. Without one, or while it is 0, a thread is used.
    """

    @property
    def name(self) -> str:
        """Family and model, such as "wordllama:l2_supercat_256"; vectors of different names must not be mixed."""

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Vector:
        """Vectors (n, dimension), float32, of length 1; zeros for a text without any known token, such as ""."""


class Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...


def label_of(embedder: Named) -> str:
    """What a store notes of an embedder: name and dimension."""
    return f"{embedder.name} {embedder.dimension}"
