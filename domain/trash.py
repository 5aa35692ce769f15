"""The trash: sessions that were deleted and can be brought back for a while."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from domain.declaration import EXPIRES, NATURAL, SORTED, refers
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.session import SessionKind
from domain.values import MAX_BATCH, AnyNamed, Command, Json, Ref, TimeRange


class TrashedSession(Node, frozen=True, kw_only=True, gc=False):
    """A session that was deleted and can be brought back. expires_at: when it goes for good. parts: how many
    TrashedPart it lies in; size_bytes: of all of them. actor_ids: the users and agents that anything in it names."""

    prefix: ClassVar[str] = "trs"
    noun: ClassVar[str] = "session in the trash"

    session_id: Annotated[Id, refers("Session", gone="keep"), NATURAL]
    external_id: str | None
    title: str
    kind: SessionKind
    message_count: int
    created_at: datetime
    deleted_at: Annotated[datetime, SORTED]
    expires_at: Annotated[datetime, EXPIRES]
    parts: int
    size_bytes: int
    actor_ids: Annotated[list[Id], refers("User", "Agent", gone="keep")]


class TrashedPart(Node, frozen=True, kw_only=True, gc=False):
    """Some of what a session in the trash was made of. holds: the name of a kind of records, or what else it is of.
    records: a JSON list of them."""

    prefix: ClassVar[str] = "trp"
    noun: ClassVar[str] = "part of a session in the trash"
    hidden: ClassVar[bool] = True

    trash_id: Annotated[Id, refers("TrashedSession", gone="cascade", lives=True), NATURAL]
    place: int
    holds: str
    records: Json


class TrashedBlob(Node, frozen=True, kw_only=True, gc=False):
    """The bytes of a blob that is in the trash with its session: they stay as long. stored_as: their key
    (stores.ports.Blobs)."""

    prefix: ClassVar[str] = "trb"
    noun: ClassVar[str] = "blob in the trash"
    hidden: ClassVar[bool] = True

    trash_id: Annotated[Id, refers("TrashedSession", gone="cascade", lives=True)]
    stored_as: Annotated[str, NATURAL]


register(TrashedSession, TrashedPart, TrashedBlob)


class TrashedSessionOrderField(enum.Enum):
    """What sessions in the trash are sorted by."""

    DELETED_AT = "DELETED_AT"


class TrashedSessionOrder(Command, frozen=True, kw_only=True):
    """An order of sessions in the trash; ties are broken by id."""

    field: TrashedSessionOrderField = TrashedSessionOrderField.DELETED_AT
    direction: OrderDirection = OrderDirection.DESC


class TrashedSessionFilter(Command, frozen=True, kw_only=True):
    """Selects sessions in the trash; all given members must match. text: a part of the title."""

    external_ids: AnyNamed = None
    kinds: list[SessionKind] | None = None
    text: str | None = None
    deleted_at: TimeRange | None = None
    expires_at: TimeRange | None = None
    and_: list[TrashedSessionFilter] | None = msgspec.field(name="and", default=None)
    or_: list[TrashedSessionFilter] | None = msgspec.field(name="or", default=None)
    not_: TrashedSessionFilter | None = msgspec.field(name="not", default=None)


class RestoreSessionInput(Command, frozen=True, kw_only=True):
    """The session to bring back, by the id or externalId it had; of several with that externalId the one that was
    deleted last."""

    session: Ref


class EmptyTrashInput(Command, frozen=True, kw_only=True):
    """Which sessions to take out of the trash for good, by the ids or externalIds they had; all where none are given.
    With dryRun none is."""

    sessions: Annotated[list[Ref], Meta(max_length=MAX_BATCH)] | None = None
    dry_run: bool = False


class EmptiedTrash(msgspec.Struct, frozen=True):
    """What was taken out of the trash."""

    count: int
    size_bytes: int
