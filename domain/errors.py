"""Errors that a caller can fix, as data."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec


class ErrorCode(enum.Enum):
    """Reason a request was refused."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    DUPLICATE = "DUPLICATE"
    CONFLICT = "CONFLICT"
    FORBIDDEN = "FORBIDDEN"
    CAPACITY = "CAPACITY"
    LIMIT = "LIMIT"
    TIMEOUT = "TIMEOUT"
    AMBIGUOUS = "AMBIGUOUS"


class UserError(msgspec.Struct, frozen=True):
    """One refusal: its code, a sentence for people, and the input field it is about, outermost name first."""

    code: ErrorCode
    message: str
    path: list[str]


class Rejected(Exception):
    """A request that breaks a rule; nothing of it was or will be written."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(error.message for error in self.errors))

    def below(self, path: Sequence[str | int]) -> Rejected:
        """The same refusal, of a part that stands at `path` in what was asked."""
        steps = [str(step) for step in path]
        return Rejected([UserError(error.code, error.message, [*steps, *error.path]) for error in self.errors])


class CursorExpired(Exception):
    """A cursor of an earlier epoch of the store, or one whose place is no longer kept."""


def reject(code: ErrorCode, message: str, path: Sequence[str | int] = ()) -> Rejected:
    """The exception for a single refusal."""
    return Rejected([UserError(code, message, [str(step) for step in path])])


def invalid(message: str, path: Sequence[str | int] = ()) -> Rejected:
    return reject(ErrorCode.INVALID, message, path)


def not_found(noun: str, path: Sequence[str | int] = ()) -> Rejected:
    return reject(ErrorCode.NOT_FOUND, f"No such {noun}.", path)
