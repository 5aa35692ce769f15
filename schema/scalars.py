"""The scalars of the contract. Their values go out as they are: the response encoder writes times and JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Any, NewType

import msgspec
import strawberry
from graphql import Undefined, ValueNode, value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition

from domain.blob import Upload

JSON = NewType("JSON", object)

_encode = msgspec.json.Encoder().encode


def read_time(value: object) -> datetime:
    """The UTC time in a client's text. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("Expected a time as a string, such as 2026-01-31T12:00:00Z.")
    try:
        parsed = msgspec.convert(value, datetime)
        if parsed.tzinfo is None:
            raise ValueError
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Expected an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z.") from None


def read_json(value: object) -> msgspec.Raw:
    """A client's JSON value as its text. Raises ValueError."""
    try:
        return msgspec.Raw(_encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise ValueError("Expected a JSON value.") from None


def _json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> msgspec.Raw:
    return read_json(_known(value_from_ast_untyped(node, variables)))


def _known(value: Any) -> Any:
    """A literal's value without the variables in it that are not given, as while a document is validated."""
    if isinstance(value, dict):
        return {name: _known(member) for name, member in value.items() if member is not Undefined}
    if isinstance(value, list):
        return [None if item is Undefined else _known(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("Expected JSON numbers below 1.8e308.")
    return value


def _as_is(value: Any) -> Any:
    return value


def read_upload(value: object) -> Upload:
    """A file that came with a request. Raises ValueError."""
    if not isinstance(value, Upload):
        raise ValueError("Expected a file, sent as the GraphQL multipart request specification says.")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An RFC 3339 time, returned in UTC with up to microsecond precision.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_as_is,
        parse_value=read_time,
    ),
    Upload: strawberry.scalar(
        name="Upload",
        description="A file, sent beside the operation in a multipart request.",
        specified_by_url="https://github.com/jaydenseric/graphql-multipart-request-spec",
        serialize=_as_is,
        parse_value=read_upload,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value of at most 256 KB, of a state entry 8 MB.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=_as_is,
        parse_value=read_json,
        parse_literal=_json_literal,
    ),
}
