"""The audit log: who did what, with which outcome."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

from domain.declaration import refers
from domain.node import Id, Node, OfWhich, register
from domain.page import OrderDirection
from domain.values import AnyNamed, Command, TimeRange

MAX_TARGETS = 20
"""How many targets an entry names at the most."""

DONE = "OK"
"""The outcome of what was done; another one is the code of the refusal."""


class AuditEntry(Node, frozen=True, kw_only=True, gc=False):
    """One thing that was done, or tried. caller: the id of the credential; action: the mutation's name, or "export"."""

    prefix: ClassVar[str] = "aud"
    noun: ClassVar[str] = "audit entry"

    time: datetime
    caller: str
    caller_name: str
    action: str
    outcome: str
    targets: Annotated[list[Id], refers(Node, gone="keep")]


register(AuditEntry)


class AuditOrderField(enum.Enum):
    """Fields to sort the audit log by."""

    TIME = "TIME"


class AuditOrder(Command, frozen=True, kw_only=True):
    """Sort order of the audit log; ties are broken by id."""

    field: AuditOrderField = AuditOrderField.TIME
    direction: OrderDirection = OrderDirection.DESC


class AuditFilter(Command, frozen=True, kw_only=True):
    """Selects entries; all given members must match."""

    actions: list[str] | None = None
    callers: AnyNamed = None
    outcomes: list[str] | None = None
    target: OfWhich = None
    time: TimeRange | None = None
    and_: list[AuditFilter] | None = msgspec.field(name="and", default=None)
    or_: list[AuditFilter] | None = msgspec.field(name="or", default=None)
    not_: AuditFilter | None = msgspec.field(name="not", default=None)
