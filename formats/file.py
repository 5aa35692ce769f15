"""A file to be imported, read as far as its format asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from domain.unicode import mended, replaced
from formats.conversation import FormatError, parse

_HEAD = 4096


class File:
    """A file by its path. Raises FormatError, here and later, where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        try:
            with path.open("rb") as file:
                self.head = file.read(_HEAD)
        except OSError as error:
            raise _unreadable(error) from None

    @cached_property
    def data(self) -> bytes:
        try:
            return mended(self.path.read_bytes())
        except OSError as error:
            raise _unreadable(error) from None

    @cached_property
    def replaced(self) -> int:
        """How many places hold no Unicode."""
        return sum(map(replaced, lines(self.path)))

    @cached_property
    def value(self) -> Any:
        return parse(self.data)


def _unreadable(error: OSError) -> FormatError:
    return FormatError(f"cannot be read: {error.strerror}")


def lines(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        yield from file
