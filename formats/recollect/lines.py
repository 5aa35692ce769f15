"""The lines of our own format, written and read.

A file is a header, `{"recollect": 1, ...}`, then one record a line, `{"type": "message", "record": {...}}`, and last
`{"end": {"lines": n, "sha256": "..."}}` over all lines before it, so that a file that was cut off is noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from domain.blob import Blob
from domain.conventions.columns import is_told, told_again
from domain.memory import Memory
from domain.message import MemoryRef, renewed
from domain.node import Id, Node, kind_of
from domain.session import Session
from domain.span import Span
from domain.unicode import read_json
from formats.conversation import FormatError
from stores.catalogue.references import export_order
from stores.ports import Vector

VERSION = 1


class MemoryRefs(msgspec.Struct, frozen=True):
    """The memories one message drew on, in order."""

    message_id: Id
    refs: list[MemoryRef]


class BlobBytes(msgspec.Struct, frozen=True):
    """Some bytes of a blob as base64. All of a blob's follow each other; its record comes later."""

    stored_as: str
    data: str


Record = Node | MemoryRefs | BlobBytes


def _kinds() -> Iterator[tuple[str, type[Node] | type[MemoryRefs] | type[BlobBytes]]]:
    for kind in export_order():
        if kind.record is Blob:
            yield "blob_bytes", BlobBytes
        yield kind.line, kind.record
        if kind.record is Memory:
            yield "memory_refs", MemoryRefs


KINDS = dict(_kinds())
"""The types of lines, in the order they come in; what belongs to a session's talk stands right below it."""

_NAMES = {kind: name for name, kind in KINDS.items()}


class Header(msgspec.Struct, frozen=True):
    recollect: int
    embedder: str
    dimension: int


class Entry(msgspec.Struct, frozen=True):
    """One record of a file, and the number of its line. vector: of a memory, where it has one."""

    type: str
    record: Record
    vector: Vector | None
    line: int

    @property
    def where(self) -> str:
        return f"line {self.line}"


class _End(msgspec.Struct, frozen=True):
    lines: int
    sha256: str


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str | None = None
    record: msgspec.Raw = msgspec.Raw()
    vector: str | None = None
    end: _End | None = None


class Writer:
    def __init__(self) -> None:
        self._digest, self._lines = hashlib.sha256(), 0

    def header(self, embedder: str, dimension: int) -> bytes:
        return self._line(Header(VERSION, embedder, dimension))

    def record(self, record: Record, vector: Vector | None = None) -> bytes:
        """The line of a record. Vectors are written as the float16 they are stored as."""
        kind = Session if isinstance(record, Session) else type(record)
        halves = None if vector is None else base64.b64encode(vector.astype("<f2").tobytes()).decode()
        return self._line(_Line(_NAMES[kind], msgspec.Raw(msgspec.json.encode(record)), halves))

    def end(self) -> bytes:
        return msgspec.json.encode({"end": _End(self._lines, self._digest.hexdigest())}) + b"\n"

    def _line(self, value: Any) -> bytes:
        line = msgspec.json.encode(value) + b"\n"
        self._digest.update(line)
        self._lines += 1
        return line


def read(lines: Iterable[bytes]) -> Iterator[Header | Entry]:
    """The header of a file, then its records. Raises FormatError, at the latest behind the last record."""
    digest = hashlib.sha256()
    header: Header | None = None
    ended, number = False, 0
    for number, line in enumerate(lines, 1):
        text = line.rstrip(b"\r\n")
        if ended:
            if text.strip():
                raise FormatError("there is extra data after the last line", f"line {number}")
            continue
        if header is None:
            yield (header := _header(text))
        else:
            found = _decode(text, _Line, number)
            if found.end is not None:
                _check_end(found.end, number - 1, digest.hexdigest())
                ended = True
            else:
                yield _entry(found, header, number)
        digest.update(text + b"\n")
    if not ended:
        raise FormatError("the file is cut off: its last line is missing", f"line {number + 1}")


def _header(text: bytes) -> Header:
    header: Header = _decode(text.removeprefix(b"\xef\xbb\xbf"), Header, 1)
    if header.recollect != VERSION:
        raise FormatError(
            f"this file has format version {header.recollect}; only version {VERSION} is supported", "line 1"
        )
    return header


class _Told(msgspec.Struct, frozen=True):
    """What a span has since conventions are read when it comes; one of a file of before has no such member."""

    warnings: list[str] | UnsetType = UNSET


def _decode(text: bytes | msgspec.Raw, kind: type[Any], line: int) -> Any:
    try:
        return read_json(lambda data: msgspec.json.decode(data, type=kind), text)
    except msgspec.ValidationError as error:
        raise FormatError(f"not a record of this format: {error}", f"line {line}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"not JSON: {error}", f"line {line}") from None


def _check_end(end: _End, lines: int, digest: str) -> None:
    if (end.lines, end.sha256) != (lines, digest):
        raise FormatError("the file was changed or damaged: its checksum does not match", f"line {lines + 1}")


def _entry(line: _Line, header: Header, number: int) -> Entry:
    kind = KINDS.get(line.type or "")
    if kind is None or line.type is None:
        raise FormatError(f"type is {line.type!r}; expected one of {', '.join(KINDS)}", f"line {number}")
    told: bytes | msgspec.Raw = line.record
    if b'"kind":"media"' in memoryview(told).tobytes():  # of a file of before
        told = renewed(str(told, "utf-8")).encode()
    record: Record = _decode(told, kind, number)
    if isinstance(record, Node) and kind_of(record.id) is not kind:
        raise FormatError(f"{record.id!r} is not the id of a {kind.__name__}", f"line {number}")
    if isinstance(record, Span) and not is_told(record) and _decode(told, _Told, number).warnings is UNSET:
        record = told_again(record)
    return Entry(line.type, record, _vector(line.vector, header.dimension, number), number)


def _vector(halves: str | None, dimension: int, line: int) -> Vector | None:
    if halves is None:
        return None
    try:
        data = base64.b64decode(halves, validate=True)
    except binascii.Error:
        raise FormatError("the vector is not base64", f"line {line}") from None
    if len(data) != 2 * dimension:
        raise FormatError(f"the vector has {len(data)} bytes instead of {2 * dimension}", f"line {line}")
    vector = np.frombuffer(data, "<f2").astype(np.float32)
    if not np.isfinite(vector).all():
        raise FormatError("the vector holds a number that is not finite", f"line {line}")
    return vector
