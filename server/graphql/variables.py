"""Commands as the variables of an operation."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from msgspec import UNSET

from domain.values import Command


def plain(value: Any) -> Any:
    """A command as the JSON of a GraphQL variable: what is not given is left out."""
    if isinstance(value, Command):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        given = {name: getattr(value, field) for field, name in names}
        return {name: plain(one) for name, one in given.items() if one is not None and one is not UNSET}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, enum.Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else value
