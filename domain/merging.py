"""Memories that say the same, and what one has that takes the place of others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from domain.memory import Memory, Refs
from domain.values import Command, GivenObject, Key, Ref, Text, UnitFloat

ALIKE = 0.95
"""The similarity, from 0 to 1, from which on two memories may say the same."""

_NUMBERS = re.compile(r"\d+")


class DuplicateGroup(msgspec.Struct, frozen=True):
    """Memories that say nearly the same, the weightiest first. similarity: the least of any to that."""

    memories: list[Memory]
    similarity: float


class MergeMemoriesInput(Command, frozen=True, kw_only=True):
    """Memories of one owner that become one: `into`, with their tags, the greatest importance, their accesses and what
    they were formed from. The others are superseded by it. text: in place of its own."""

    into: Ref
    memories: Refs
    text: Text | None = None
    dry_run: bool = False
    idempotency_key: Key | None = None


class SupersedeMemoryInput(Command, frozen=True, kw_only=True):
    """What holds now in place of a memory: its text, and what else is not as it was. validFrom: since when, or now."""

    memory: Ref
    text: Annotated[str, Meta(min_length=1, max_length=100_000)]
    importance: UnitFloat | UnsetType = UNSET
    tags: list[Key] | UnsetType = UNSET
    metadata: GivenObject | UnsetType = UNSET
    valid_from: datetime | None = None
    external_id: Key | None = None
    idempotency_key: Key | None = None


def differs(one: str, other: str) -> bool:
    """Whether texts tell of different numbers, versions or dates, however alike they are."""
    return _NUMBERS.findall(one) != _NUMBERS.findall(other)


def merged(into: Memory, others: Sequence[Memory], text: str | None = None) -> Memory:
    """The memory with what the others had."""
    every = [into, *others]
    return replace(
        into,
        text=into.text if text is None else text,
        tags=list(dict.fromkeys(tag for one in every for tag in one.tags)),
        importance=max(one.importance for one in every),
        decay_factor=max(one.decay_factor for one in every),
        access_count=sum(one.access_count for one in every),
        last_accessed_at=max((one.last_accessed_at for one in every if one.last_accessed_at), default=None),
        stale=any(one.stale for one in every),
    )
