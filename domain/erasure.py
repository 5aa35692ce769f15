"""Erasure: a person, an agent or a session is taken out of everything, and what is kept is searched for what they
said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

import msgspec
from msgspec.structs import replace

from domain.correction import REDACTED, leaves
from domain.declaration import DUE, NATURAL, refers
from domain.memory import Memory
from domain.node import Id, Node, register
from domain.panel import Decision
from domain.participant import Participant
from domain.span import Span
from domain.tool_execution import ToolExecution
from domain.trace import TraceEvent
from domain.values import EMPTY_OBJECT, NULL, Command, Json, Ref

GOES_ON = timedelta(minutes=2)
"""After how long an erasure that was broken off is gone on with."""

LEAST = 16
"""Bytes of the shortest texts that are searched for: shorter ones stand everywhere by chance."""


class Erasure(Node, frozen=True, kw_only=True, gc=False):
    """Somebody or something is to be nowhere any more: what a restore of older data must erase again. due_at: when it
    is gone on with, where it was broken off; None once it is finished."""

    prefix: ClassVar[str] = "era"
    noun: ClassVar[str] = "erasure"
    hidden: ClassVar[bool] = True

    subject_id: Annotated[Id, refers(Node, gone="keep"), NATURAL]
    begun_at: datetime
    due_at: Annotated[datetime | None, DUE]
    finished_at: datetime | None = None


register(Erasure)


class EraseUserInput(Command, frozen=True, kw_only=True):
    """The user to erase. With dryRun nothing is, and the report counts what would be."""

    user: Ref
    dry_run: bool = False


class EraseAgentInput(Command, frozen=True, kw_only=True):
    """The agent to erase. With dryRun nothing is, and the report counts what would be."""

    agent: Ref
    dry_run: bool = False


class EraseSessionInput(Command, frozen=True, kw_only=True):
    """The session to erase. With dryRun nothing is, and the report counts what would be."""

    session: Ref
    dry_run: bool = False


class StoreErasure(msgspec.Struct, frozen=True):
    """What was taken out of one store. removed, blanked: counts by kind. found: how many texts are still in it that
    nobody else's records have."""

    store: str
    removed: Json
    blanked: Json
    found: int


class ErasureReport(msgspec.Struct, frozen=True):
    """What an erasure did. searched_for: how many texts of 16 bytes and more; elsewhere: how many of them others'
    records have too, where they stay; found: how many are left of the others."""

    dry_run: bool
    stores: list[StoreErasure]
    searched_for: int
    elsewhere: int
    found: int
    finished_at: datetime | None


_OURS = re.compile(r"[a-z]{3}_[0-9a-f]{32}|\d{4}-\d\d-\d\dT[\d:.]+Z")


def told_by(record: msgspec.Struct) -> Iterator[str]:
    """The texts of a record that are long enough to be searched for; no ids and times of ours."""
    for text in leaves(msgspec.json.decode(msgspec.json.encode(record))):
        if len(text) * 4 >= LEAST and len(text.encode("utf-8", "replace")) >= LEAST and not _OURS.fullmatch(text):
            yield text


def bare(memory: Memory) -> Memory:
    """What logs keep of a memory that was erased: whose it was, its kinds, times and numbers."""
    return replace(memory, text="", tags=[], metadata=EMPTY_OBJECT, external_id=None, external_source=None)


def nameless(one: Participant) -> Participant:
    """A participant of whom only the part in the conversation is left."""
    return replace(one, name=REDACTED, external_id=None)


def without_votes(decision: Decision, ids: Sequence[Id]) -> Decision:
    """A decision in which it is not told any more what some participants chose, and why."""
    votes = [
        replace(vote, choice=REDACTED, comment=None) if vote.participant_id in ids else vote for vote in decision.votes
    ]
    return replace(decision, votes=votes)


def emptied(record: TraceEvent | Span | ToolExecution) -> TraceEvent | Span | ToolExecution:
    """What a trace tells that somebody did, without what, and without who."""
    if isinstance(record, TraceEvent):
        return replace(record, data=NULL, user_id=None, agent_id=None)
    if isinstance(record, ToolExecution):
        error = None if record.error is None else REDACTED
        return replace(record, arguments=NULL, result=NULL, error=error, agent_id=None)
    return replace(record, attributes=EMPTY_OBJECT, call=None, status_message=None, user_id=None, agent_id=None)
