"""Turn exceptions into GraphQL errors; nothing internal is shown."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graphql import GraphQLError
from strawberry.exceptions import StrawberryInputCoercionError

from domain.errors import CursorExpired, Rejected
from server.instrumentation import current
from stores.errors import NoEmbedder, TooLong, Unavailable

log = logging.getLogger("recollect")

BAD_REQUEST = "BAD_REQUEST"
PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
BAD_USER_INPUT = "BAD_USER_INPUT"
CURSOR_EXPIRED = "CURSOR_EXPIRED"
LIMIT = "LIMIT"
TOO_COSTLY = "QUERY_TOO_COSTLY"
TIMEOUT = "TIMEOUT"
NOT_PERSISTED = "PERSISTED_QUERY_NOT_FOUND"
NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED"
UNAUTHENTICATED = "UNAUTHENTICATED"
RATE_LIMITED = "RATE_LIMITED"
UNAVAILABLE = "UNAVAILABLE"
INTERNAL = "INTERNAL"

# One answer can hold a thousand failed items; the log needs the first few of them.
MAX_LOGGED = 10

FormattedError = dict[str, Any]
"""One entry of `errors`: message, extensions with a code, and locations and response path where there are any."""


_NO_HEADERS: Mapping[str, str] = {}


class OperationRefused(Exception):
    """An operation that gives no result: refused before it ran, or its event stream ended with a failure.

    errors: what the caller is told, at least one. status: of HTTP, where it is not that of any refused operation;
    headers: of HTTP, beside the usual ones.
    """

    def __init__(
        self, errors: list[FormattedError], status: int | None = None, headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        self.errors, self.status, self.headers = errors, status, headers
        super().__init__("; ".join(error["message"] for error in errors))


def plain(message: str, code: str, **extensions: Any) -> FormattedError:
    """An error that belongs to no place in a document."""
    return {"message": message, "extensions": {"code": code, **extensions}}


def refusal(errors: Iterable[GraphQLError], code: str) -> OperationRefused:
    """A document or its variables are wrong; graphql-core's messages are kept, they speak of the caller's own text."""
    return OperationRefused([{"message": e.message, **_place(e), "extensions": {"code": code}} for e in errors])


def formatted(errors: Sequence[Exception]) -> list[FormattedError]:
    """What the caller is told of failures of an operation that ran.

    Rejections, expired cursors and wrong arguments are told as they are, a store's absence in neutral words. Of
    anything else only a request id is told, the same for the whole answer; the log has the traceback under that id.
    """
    request_id = current.get().id or secrets.token_hex(4)
    told: list[FormattedError] = []
    unexpected: list[Exception] = []
    for error in errors:
        cause = _cause(error)
        place = _place(error)
        entries = _explained(cause)
        if not entries:
            unexpected.append(cause)
            entries = [("Internal error", {"code": INTERNAL, "requestId": request_id})]
        told += [{"message": message, **place, "extensions": extensions} for message, extensions in entries]
    for cause in unexpected[:MAX_LOGGED]:
        log.error("Internal error %s, %d in this answer", request_id, len(unexpected), exc_info=cause)
    return told


def _explained(cause: Exception) -> list[tuple[str, dict[str, Any]]]:
    """Message and extensions of failures made to be told; empty for any other."""
    if isinstance(cause, Rejected):
        return [(e.message, {"code": e.code.name, "path": list(e.path)}) for e in cause.errors]
    if isinstance(cause, CursorExpired):
        message = "This cursor has expired: read the list again from the start."
        return [(message, {"code": CURSOR_EXPIRED})]
    if isinstance(cause, Unavailable):
        if not cause.known:
            log.warning("A store or embedder is unavailable: %s", cause, extra={"fields": {"outcome": UNAVAILABLE}})
        extensions = {"code": UNAVAILABLE, "retryAfterMs": cause.retry_after_ms}
        what = "embedder" if isinstance(cause, NoEmbedder) else "store"
        return [(f"The {what} is unavailable; try again later.", extensions)]
    if isinstance(cause, TooLong):
        message = "The operation reads too much data and was stopped: use a narrower filter or leave out totalCount."
        return [(message, {"code": TIMEOUT})]
    if isinstance(cause, GraphQLError):
        return _explained_by_graphql(cause)
    return []


def _explained_by_graphql(cause: GraphQLError) -> list[tuple[str, dict[str, Any]]]:
    extensions = cause.extensions or {}
    if "code" in extensions:
        return [(cause.message, dict(extensions))]
    # An error about an argument knows its place in the document. One without is about a value of ours that does not
    # fit the schema, and its message may show that value.
    if cause.nodes or isinstance(cause, StrawberryInputCoercionError):
        return [(cause.message, {"code": BAD_USER_INPUT})]
    return []


def _cause(error: Exception) -> Exception:
    while isinstance(error, GraphQLError) and error.original_error is not None:
        error = error.original_error
    return error


def _place(error: Exception) -> dict[str, Any]:
    if not isinstance(error, GraphQLError):
        return {}
    place: dict[str, Any] = {}
    if error.locations:
        place["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path:
        place["path"] = error.path
    return place
