"""Panels: their format, what they decide, and what they come to understand."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from domain.declaration import NATURAL, Stored, listed, refers
from domain.node import Id, Node, register
from domain.values import MAX_BATCH, Command, GivenObject, Json, Key, Ref, Said, Text, UnitFloat, Whose

DECISION = "decision"
INSIGHT = "insight"


class PanelFormat(enum.Enum):
    """How a panel proceeds."""

    DISCUSSION = "DISCUSSION"
    DEBATE = "DEBATE"
    PROBLEM_SOLVING = "PROBLEM_SOLVING"
    REVIEW = "REVIEW"


class InsightCategory(enum.Enum):
    """What an insight is to those who gained it."""

    CONCLUSION = "CONCLUSION"
    ANALYSIS = "ANALYSIS"
    SUMMARY = "SUMMARY"
    RECOMMENDATION = "RECOMMENDATION"


class Vote(msgspec.Struct, frozen=True):
    """What one participant was for."""

    participant_id: Id
    choice: str
    comment: str | None = None


class Decision(Node, frozen=True, kw_only=True, gc=False):
    """What a panel has decided. consensus: from 0 to 1, as it was told, or else as the votes have it."""

    prefix: ClassVar[str] = "dec"
    noun: ClassVar[str] = "decision"

    external_id: Annotated[str | None, NATURAL]
    session_id: Annotated[Id, refers("Session", gone="cascade", edge="OF"), listed("created_at")]
    topic: str | None
    text: str
    votes: list[Vote]
    consensus: float | None
    metadata: Json
    created_at: datetime


class Insight(Node, frozen=True, kw_only=True, gc=False):
    """What a panel has come to understand. message_ids: what supports it, also what was deleted since."""

    prefix: ClassVar[str] = "ins"
    noun: ClassVar[str] = "insight"

    external_id: Annotated[str | None, NATURAL]
    session_id: Annotated[Id, refers("Session", gone="cascade", edge="OF"), listed("created_at")]
    category: InsightCategory
    text: str
    message_ids: Annotated[list[Id], refers("Message", gone="keep"), Stored("messages", empty_is_null=True)]
    participant_id: Annotated[Id | None, refers("Participant", gone="null", edge="BY")]
    consensus: float | None
    metadata: Json
    created_at: datetime


register(Decision, Insight)


def consensus(choices: Sequence[str]) -> float | None:
    """The share of the votes that are for what most are for; None where nobody has voted."""
    return max(Counter(choices).values()) / len(choices) if choices else None


class PanelInput(Command, frozen=True, kw_only=True):
    """What a panel is set up with. One that is created with it names its participants."""

    format: PanelFormat = PanelFormat.DISCUSSION


class VoteInput(Command, frozen=True, kw_only=True):
    """What a participant of the panel is for: yes, no, the name of a proposal."""

    participant: Ref
    choice: Key
    comment: Text | None = None


class AddDecisionInput(Command, frozen=True, kw_only=True):
    """A decision of a panel. topic: what was to be decided; text: how. consensus: 0 to 1; where it is left out, the
    share of the votes that are for what most are for."""

    session: Ref
    text: Said
    topic: Said | None = None
    votes: Annotated[list[VoteInput], Meta(max_length=MAX_BATCH)] | None = None
    consensus: UnitFloat | None = None
    metadata: GivenObject = None
    created_at: datetime | None = None
    external_id: Key | None = None
    idempotency_key: Key | None = None


class AddInsightInput(Command, frozen=True, kw_only=True):
    """An insight of a panel. supportingMessages: messages of the panel. by: the participant who has it."""

    session: Ref
    text: Said
    category: InsightCategory = InsightCategory.CONCLUSION
    supporting_messages: Annotated[list[Ref], Meta(max_length=MAX_BATCH)] | None = None
    by: Whose = None
    consensus: UnitFloat | None = None
    metadata: GivenObject = None
    created_at: datetime | None = None
    external_id: Key | None = None
    idempotency_key: Key | None = None
