"""Compression of sessions: their messages as chunks, and a memory of each."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.chunk import ChunkStrategy, Cutting
from domain.formation import Sentences
from domain.memory import Memory, MemoryScope, MemoryType
from domain.message import Message
from domain.values import Key, Ref, UnitFloat, Whose


class SummaryStrategy(enum.Enum):
    """How the text of a chunk's memory is made: of the sentences that carry it."""

    EXTRACTIVE = "EXTRACTIVE"


class CompressSessionInput(Cutting, frozen=True, kw_only=True):
    """How the current branch of a session is compressed. keepRecent: how many of its last messages stay out of it. The
    memories are the one user's who takes part, unless an owner is given."""

    session: Ref
    strategy: ChunkStrategy = ChunkStrategy.SIZE
    summary: SummaryStrategy = SummaryStrategy.EXTRACTIVE
    max_sentences: Sentences = 5
    keep_recent: Annotated[int, Meta(ge=0)] = 0
    owner: Whose = None
    scope: MemoryScope = MemoryScope.USER
    type: MemoryType = MemoryType.EPISODIC
    importance: UnitFloat = 0.5
    tags: list[Key] | None = None
    dry_run: bool = False
    idempotency_key: Key | None = None

    @property
    def bounds(self) -> dict[str, int | float]:
        """What the session is cut by."""
        names = ["max_messages", "max_characters", "gap_seconds"]
        if self.strategy is ChunkStrategy.TOPIC:
            names += ["min_messages", "similarity"]
        encoded = {field.name: field.encode_name for field in msgspec.structs.fields(self)}
        return {encoded[name]: getattr(self, name) for name in names}


class CompressionChange(enum.Enum):
    """What a compression does: it adds a chunk, leaves it as it is, or takes it away."""

    ADDED = "ADDED"
    KEPT = "KEPT"
    REMOVED = "REMOVED"


class CompressedChunk(msgspec.Struct, frozen=True):
    """One chunk, as it is or would be. memory: None of one that is only shown, or whose messages have no text."""

    change: CompressionChange
    reason: str
    text: str
    messages: list[Message]
    memory: Memory | None
