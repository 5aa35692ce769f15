"""Sessions, in their four kinds."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar, Self

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from domain.declaration import EXPIRES, NATURAL, SORTED, made_of, refers
from domain.experiment import PlaygroundInput
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.panel import PanelFormat, PanelInput
from domain.participant import ParticipantInput
from domain.span import TokenUsage
from domain.tally import ZERO, Sums, summed, told, usage_of
from domain.target import TargetFilter
from domain.values import Command, FloatRange, GivenObject, Json, Key, Name, Ref, Seconds, TimeRange, Whose
from domain.workflow import Workflow, WorkflowInput, WorkflowState


class SessionKind(enum.Enum):
    """The purpose of a session."""

    CHAT = "CHAT"
    PANEL = "PANEL"
    WORKFLOW = "WORKFLOW"
    PLAYGROUND = "PLAYGROUND"


class SessionStatus(enum.Enum):
    """The state of a session."""

    ACTIVE = "ACTIVE"
    ENDED = "ENDED"
    ARCHIVED = "ARCHIVED"


class Session(Node, frozen=True, kw_only=True, gc=False):
    """One conversation or run. message_count is also the place of its last message: places count from 1, and are given
    once, so that it counts the deleted_count that were deleted too. current_id: the message at which the current branch
    ends; the latest where there is none. forked_from_id: the message up to which it is a copy of another session.
    panel_format, workflow: of a session of that kind, where it was set up with one. context_since: when its context was
    changed last. used: what its traces come to, which a store keeps whatever is put; total_tokens, cost_usd: of that,
    what sessions are found and sorted by."""

    prefix: ClassVar[str] = "ses"
    noun: ClassVar[str] = "session"

    external_id: Annotated[str | None, NATURAL]
    kind: SessionKind
    title: Annotated[str, SORTED]
    status: SessionStatus
    context: Json
    capabilities: list[str]
    metadata: Json
    created_at: Annotated[datetime, SORTED]
    updated_at: datetime
    last_active_at: Annotated[datetime, SORTED]
    message_count: int
    version: int
    current_id: Annotated[Id | None, refers("Message", gone="keep")] = None
    deleted_count: int = 0
    forked_from_id: Annotated[Id | None, refers("Message", gone="keep")] = None
    panel_format: PanelFormat | None = None
    workflow: Workflow | None = None
    expires_at: Annotated[datetime | None, EXPIRES] = None
    context_since: datetime | None = None
    used: Sums = ZERO
    total_tokens: int | None = None
    cost_usd: float | None = None

    @property
    @made_of("used")
    def usage(self) -> TokenUsage:
        return usage_of(told(self.used))

    def charged(self, less: TokenUsage, more: TokenUsage) -> Self:
        """The same after a trace of it used something else than before."""
        return self.with_used(summed(self.used, less, more))

    def with_used(self, used: Sums) -> Self:
        counts = told(used)
        tokens, cost = counts[2], counts[3]
        return replace(self, used=used, total_tokens=None if tokens is None else int(tokens), cost_usd=cost)

    @property
    @made_of("message_count", "deleted_count")
    def messages_there(self) -> int:
        return self.message_count - self.deleted_count


class ChatSession(Session, frozen=True, kw_only=True, gc=False):
    """A conversation."""


class PanelSession(Session, frozen=True, kw_only=True, gc=False):
    """A discussion among several agents that leads to decisions."""

    @property
    @made_of("panel_format")
    def format(self) -> PanelFormat:
        return self.panel_format or PanelFormat.DISCUSSION


class WorkflowSession(Session, frozen=True, kw_only=True, gc=False):
    """A run of a workflow."""

    @property
    @made_of("workflow")
    def state(self) -> str | None:
        return None if self.workflow is None else self.workflow.state

    @property
    @made_of("workflow")
    def states(self) -> list[WorkflowState]:
        return [] if self.workflow is None else self.workflow.states


class PlaygroundSession(Session, frozen=True, kw_only=True, gc=False):
    """A session for experiments."""


SESSION_TYPES: dict[SessionKind, type[Session]] = {
    SessionKind.CHAT: ChatSession,
    SessionKind.PANEL: PanelSession,
    SessionKind.WORKFLOW: WorkflowSession,
    SessionKind.PLAYGROUND: PlaygroundSession,
}

register(Session)


class SessionOrderField(enum.Enum):
    """Fields to sort sessions by. Those without the figure come before the others."""

    CREATED_AT = "CREATED_AT"
    LAST_ACTIVE_AT = "LAST_ACTIVE_AT"
    TITLE = "TITLE"
    MESSAGE_COUNT = "MESSAGE_COUNT"
    TOKENS = "TOKENS"
    COST = "COST"


class SessionOrder(Command, frozen=True, kw_only=True):
    """Sort order of sessions; ties are broken by id."""

    field: SessionOrderField = SessionOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class SessionFilter(TargetFilter, frozen=True, kw_only=True):
    """Selects sessions; all given members must match. totalTokens, costUsd: what all its traces used."""

    kinds: list[SessionKind] | None = None
    statuses: list[SessionStatus] | None = None
    participant: Whose = None
    text: str | None = None
    said: str | None = None
    created_at: TimeRange | None = None
    active_since: datetime | None = None
    capability: str | None = None
    metadata: GivenObject = None
    total_tokens: FloatRange | None = None
    cost_usd: FloatRange | None = None
    and_: list[SessionFilter] | None = msgspec.field(name="and", default=None)
    or_: list[SessionFilter] | None = msgspec.field(name="or", default=None)
    not_: SessionFilter | None = msgspec.field(name="not", default=None)


class CreateSessionInput(Command, frozen=True, kw_only=True):
    """A session to create, with its first participants. panel, workflow, playground: what a session of that kind is set
    up with. ttlSeconds: after so long it is gone, with all that deleteSession takes with it."""

    kind: SessionKind = SessionKind.CHAT
    title: Name | None = None
    external_id: Key | None = None
    context: GivenObject = None
    capabilities: list[Key] | None = None
    metadata: GivenObject = None
    participants: list[ParticipantInput] | None = None
    panel: PanelInput | None = None
    workflow: WorkflowInput | None = None
    playground: PlaygroundInput | None = None
    ttl_seconds: Seconds | None = None
    created_at: datetime | None = None
    idempotency_key: Key | None = None


class ContextPatch(Command, frozen=True, kw_only=True):
    """Changes to a session's context: members to set and names of members to remove. comment: why, for the history."""

    set: GivenObject | UnsetType = UNSET
    remove: list[str] | UnsetType = UNSET
    comment: Key | UnsetType = UNSET


class UpdateSessionInput(Command, frozen=True, kw_only=True):
    """Changes to a session. Omitted fields stay unchanged; null clears optional ones. currentBranch: the message at
    which the current branch ends; null for the latest message. panel, workflow: of a session of that kind. ttlSeconds:
    counted from now on; null for a session that stays. With ifVersion the change is refused if someone else has changed
    the session."""

    session: Ref
    title: Name | UnsetType | None = UNSET
    status: SessionStatus | UnsetType = UNSET
    context_patch: ContextPatch | UnsetType = UNSET
    capabilities: list[Key] | UnsetType | None = UNSET
    metadata: GivenObject | UnsetType | None = UNSET
    current_branch: Ref | UnsetType | None = UNSET
    panel: PanelInput | UnsetType = UNSET
    workflow: WorkflowInput | UnsetType = UNSET
    ttl_seconds: Seconds | UnsetType | None = UNSET
    if_version: int | UnsetType = UNSET


class EndSessionInput(Command, frozen=True, kw_only=True):
    """The session to end."""

    session: Ref


class ArchiveSessionInput(Command, frozen=True, kw_only=True):
    """The session to archive."""

    session: Ref
    dry_run: bool = False


class DeleteSessionInput(Command, frozen=True, kw_only=True):
    """The session to delete, with its messages and trace; memories formed from it stay."""

    session: Ref
    dry_run: bool = False
