"""A file to be imported, read as far as its format asks for it."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import msgspec

from domain.unicode import mended, replaced
from formats.conversation import FormatError, fault, parse

_HEAD = 4096
_PIECE = 1 << 20
_BOM = b"\xef\xbb\xbf"
_OTHERS = {
    b"PK\x03\x04": "a ZIP archive: unpack it, and import the files in it",
    b"\x1f\x8b": "compressed by gzip: unpack it, and import what is in it",
    b"SQLite format 3\x00": "an SQLite database, which no format reads: export from the program that it belongs to",
    b"\xff\xfe": "text in UTF-16: save it in UTF-8",
    b"\xfe\xff": "text in UTF-16: save it in UTF-8",
}
"""What a file is that begins so, and is no JSON."""
_ENDS = (b'"', b",", b" ", b"\n")
"""Bytes behind which a file can be cut: none stands within a letter or an escape of JSON."""


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
        """All of it, in memory."""
        return bytes(self._view)

    @cached_property
    def value(self) -> Any:
        """What it says as JSON, all of it in memory."""
        self._expect_text()
        return parse(self.data)

    @cached_property
    def items(self) -> Sequence[Any]:
        """The values of the list that it is, or of its lines (JSON Lines), or the one value that it is; each is read
        anew whenever it is asked for, so that one is in memory and not all."""
        self._expect_text()
        return _Items(*_parts(self._view))

    @property
    def sample(self) -> Any:
        """The value of the file as far as it tells the format: of a list, and of lines, the first item only."""
        one = isinstance(self.items, _Items) and self.items.is_one
        return self.items[0] if one else list(self.items[:1])

    def _expect_text(self) -> None:
        for begin, what in _OTHERS.items():
            if self.head.startswith(begin):
                raise FormatError(f"not JSON: this is {what}")

    @property
    def replaced(self) -> int:
        """How many places held no Unicode; they have U+FFFD now."""
        return self._mended[1]

    @property
    def _view(self) -> memoryview:
        return self._mended[0]

    @cached_property
    def _mended(self) -> tuple[memoryview, int]:
        """What the file holds, with U+FFFD where that is no Unicode, and in how many places; on disk, not in memory."""
        try:
            if count := sum(map(replaced, _pieces(self.path))):
                with tempfile.TemporaryFile() as copy:
                    copy.writelines(map(mended, _pieces(self.path)))
                    copy.flush()
                    return _mapped(copy), count
            with self.path.open("rb") as file:
                return _mapped(file), 0
        except OSError as error:
            raise _unreadable(error) from None


class _Items(Sequence[Any]):
    def __init__(self, view: memoryview, parts: Sequence[msgspec.Raw | memoryview], is_one: bool) -> None:
        self._view, self._parts, self.is_one = view, parts, is_one

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[index] for index in range(len(self))[place]]
        try:
            return msgspec.json.decode(self._parts[place])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise fault(bytes(self._view), str(error)) from None


def _mapped(file: IO[bytes]) -> memoryview:
    if not file.seek(0, 2):
        return memoryview(b"")
    view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return view[len(_BOM) :] if view[: len(_BOM)] == _BOM else view


def _parts(view: memoryview) -> tuple[memoryview, Sequence[msgspec.Raw | memoryview], bool]:
    """The values of a file as they lie there, and whether it is one that is no list. Raises FormatError."""
    try:
        if bytes(view[:_HEAD]).lstrip()[:1] == b"[":
            return view, msgspec.json.decode(view, type=list[msgspec.Raw]), False
        return view, [msgspec.json.decode(view, type=msgspec.Raw)], True
    except (msgspec.DecodeError, RecursionError) as error:
        rows = list(_rows(view))
        if len(rows) < 2 or not _is_json(rows[0][1]):
            raise fault(bytes(view), str(error)) from None
    for place, row in rows:
        if not _is_json(row):
            raise fault(bytes(row), "a line that is no value", place)
    return view, [row for _, row in rows], False


def _is_json(row: memoryview) -> bool:
    try:
        msgspec.json.decode(row, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _rows(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The lines that are not blank, with their numbers, from 1."""
    source = view.obj
    assert isinstance(source, mmap.mmap | bytes)
    end, start, place = len(source), len(source) - len(view), 0
    while start < end:
        stop = source.find(b"\n", start)
        stop = end if stop < 0 else stop
        place += 1
        if source[start : min(stop, start + _HEAD)].strip() or source[start:stop].strip():
            yield place, memoryview(source)[start:stop]
        start = stop + 1


def _pieces(path: Path) -> Iterator[bytes]:
    """A file in pieces of about a megabyte, none cut within a letter or an escape."""
    rest = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            rest += piece
            if (cut := max(map(rest.rfind, _ENDS)) + 1) > 0:
                yield rest[:cut]
                rest = rest[cut:]
    yield rest


def _unreadable(error: OSError) -> FormatError:
    return FormatError(f"cannot be read: {error.strerror}")


def lines(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        yield from file
