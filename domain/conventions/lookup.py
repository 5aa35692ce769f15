"""All conventions as one table, so that a span's attributes are gone through once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from domain.conventions import CONVENTIONS
from domain.conventions.convention import SLOTS, Convention
from domain.conventions.gen_ai import GEN_AI
from domain.span import SpanKind

Told = tuple[int, str, Any]
"""Something that a span tells: its rank, the name of the attribute, and the value."""

Given = Mapping[str, Sequence[Told]]
"""By slot what is told for it, the most trusted first."""


class Place(NamedTuple):
    """Where a value belongs. rank: the least is trusted most. member: that of an object; empty for the whole."""

    slot: str
    rank: int
    member: str
    name: str


def _ranked() -> list[Convention]:
    """The standard first."""
    return sorted(CONVENTIONS, key=lambda one: one is not GEN_AI)


def _places() -> tuple[dict[str, list[Place]], dict[str, Place]]:
    whole: dict[str, list[Place]] = {}
    below: dict[str, Place] = {}
    for rank, convention in enumerate(_ranked()):
        for slot in SLOTS:
            for place, name in enumerate(getattr(convention, slot)):
                if name.endswith(".*"):
                    below[name[:-1]] = Place(slot, rank * 100 + place, "", name)
                else:
                    key, _, member = name.partition("#")
                    whole.setdefault(key, []).append(Place(slot, rank * 100 + place, member, name))
    for name in KINDS:
        key, _, member = name.partition("#")
        whole.setdefault(key, []).append(Place("kind", list(KINDS).index(name), member, name))
    return whole, below


def _kinds() -> dict[str, dict[str, SpanKind]]:
    """By attribute what its values mean, in lower case."""
    found: dict[str, dict[str, SpanKind]] = {}
    for convention in CONVENTIONS:
        for name, meaning in convention.kinds.items():
            found.setdefault(name, {}).update((value.lower(), kind) for value, kind in meaning.items())
    return found


KINDS = _kinds()
PLACES, BELOW = _places()
PREFIXES = tuple(BELOW)

NAMED: Mapping[str, tuple[SpanKind, ...]] = {name: one.named for one in CONVENTIONS for name in one.kinds if one.named}
"""By the attribute that told a span's kind, the kinds of which a span's own name is that of its agent or tool."""

NO_PROVIDERS = {name for one in CONVENTIONS for name in one.no_providers}
RUNNING = {name for one in CONVENTIONS if one.running for name in one.no_providers}
"""Whose agents' spans tell sums of all turns so far."""

STANDARD = {name for slot in SLOTS for name in getattr(GEN_AI, slot)}

PENDING = next((one.pending for one in CONVENTIONS if one.pending is not None), None)

FIRST_TOKENS = {name for one in CONVENTIONS for name in one.first_token_events}
CHUNKS = tuple(name for one in CONVENTIONS for name in one.chunk_events)
"""What names of events begin with of which there is one for each part of a streamed answer."""


def place_below(key: str) -> tuple[Place, str]:
    """The place of a name that begins with one of PREFIXES, and what follows."""
    prefix = next(prefix for prefix in PREFIXES if key.startswith(prefix))
    return BELOW[prefix], key[len(prefix) :]
