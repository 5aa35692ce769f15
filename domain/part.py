"""What the parts of sessions of a kind have in common: decisions, insights, executions, experiments and results."""

from __future__ import annotations

import enum
from typing import NamedTuple

from domain.page import OrderDirection
from domain.values import Command


class PartLimits(NamedTuple):
    """How many decisions, insights, executions, experiments and results a session may have, of each."""

    in_session: int = 1_000


class PartOrderField(enum.Enum):
    """What the parts of a session are sorted by."""

    CREATED_AT = "CREATED_AT"


class PartOrder(Command, frozen=True, kw_only=True):
    """The order of the parts of a session; ties are broken by id."""

    field: PartOrderField = PartOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.ASC
