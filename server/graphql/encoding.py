"""Results of operations as JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from server.errors import FormattedError
from server.instrumentation import current


def encode_result(data: Any, errors: list[FormattedError] | None, cost: int | None = None) -> bytes:
    """JSON of an execution result, errors first where there are any, and the cost last.

    Values that scalars handed through (datetimes, msgspec.Raw) are encoded as they are. Raises if one has no JSON.
    """
    if errors:
        current.get().fails(errors)
    result = {"errors": errors, "data": data} if errors else {"data": data}
    if cost is not None:
        result["extensions"] = {"cost": cost}
    try:
        return msgspec.json.encode(result)
    except (OverflowError, UnicodeEncodeError):  # an integer or a lone surrogate that only the slower encoder takes
        return json.dumps(result, default=_plain, allow_nan=False, separators=(",", ":")).encode()


def encode_errors(errors: list[FormattedError]) -> bytes:
    current.get().fails(errors)
    return msgspec.json.encode({"errors": errors})


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value))
    if isinstance(value, msgspec.Struct):  # an object of a compiled selection
        return {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
    return msgspec.to_builtins(value)
