"""Files beside an operation, by the GraphQL multipart request spec: `operations`, `map`, then the files."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from resolvers.uploads import Upload
from server.graphql.documents import Request
from server.limits import Limits, exceeded

IN_MEMORY = 1024 * 1024
"""How much of a file is held in memory; a longer one is a temporary file on the disk."""

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # nonsense is told to whoever sent it, not to the log

_TEXTS = ("operations", "map")


class Malformed(Exception):
    """The body is not what the spec says."""


class Form:
    """One body, as it comes in: `write` what has come, `request` at its end, `close` when its operation has ended."""

    def __init__(self, content_type: str, limits: Limits) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise Malformed("The content type has no boundary")
        self._limits = limits
        self._texts: dict[str, bytearray] = {}
        self._uploads: dict[str, Upload] = {}
        self._headers: dict[str, str] = {}
        self._field, self._value = bytearray(), bytearray()
        self._take: Callable[[bytes], object] = self._ignore
        self._places: dict[str, list[str]] | None = None
        self._received, self._ended = 0, False
        with _told():
            self._parser = MultipartParser(
                boundary,
                cast(
                    Any,
                    {
                        "on_part_begin": self._headers.clear,
                        "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                        "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                        "on_header_end": self._header,
                        "on_headers_finished": self._part,
                        "on_part_data": lambda data, start, end: self._take(data[start:end]),
                        "on_end": self._end,
                    },
                ),
            )

    def write(self, chunk: bytes) -> None:
        """Takes a piece of the body. Raises Malformed or OperationRefused."""
        self._received += len(chunk)
        if self._received > self._limits.max_upload_bytes:
            raise exceeded(self._limits, "max_upload_bytes", "The uploads are too long", status=413)
        with _told():
            self._parser.write(chunk)

    def request(self) -> Request:
        """The request, with an Upload at each place the map names. Raises Malformed, or what msgspec raises."""
        if not self._ended:
            raise Malformed("The body is not complete")
        operations = msgspec.json.decode(self._texts.get("operations", b""))
        for name, paths in self._mapped().items():
            if name not in self._uploads:
                raise Malformed(f"The file {name!r:.80} is in the map, but not in the body")
            for path in paths:
                _put(operations, path.split("."), self._uploads[name])
        return msgspec.convert(operations, Request)

    def close(self) -> None:
        """Lets go of the files."""
        for upload in self._uploads.values():
            upload.file.close()

    def _mapped(self) -> dict[str, list[str]]:
        """The places of the files by their names, read as soon as it is whole."""
        if self._places is None:
            self._places = msgspec.json.decode(self._texts.get("map", b"{}"), type=dict[str, list[str]])
            if len(self._places) > self._limits.max_uploads:
                raise exceeded(self._limits, "max_uploads", f"{len(self._places):,} files are announced", status=413)
        return self._places

    def _header(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._field.clear()
        self._value.clear()

    def _part(self) -> None:
        """What the part that begins is, and where its bytes go."""
        _, options = parse_options_header(self._headers.get("content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name in _TEXTS:
            if name in self._texts:
                raise Malformed(f"There are two parts {name!r}")
            self._texts[name] = bytearray()
            self._take = lambda data: self._text(name, data)
            return
        if name not in self._mapped() or name in self._uploads:
            raise Malformed(f"The part {name!r:.80} is not one of the files in the map before it")
        file = cast(BinaryIO, SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - closed with the form
        filename = options.get(b"filename", b"").decode("utf-8", "replace")
        upload = Upload(filename, self._headers.get("content-type", "application/octet-stream"), file)
        self._uploads[name] = upload
        self._take = lambda data: _append(upload, data)

    def _text(self, name: str, data: bytes) -> None:
        self._texts[name] += data
        if sum(map(len, self._texts.values())) > self._limits.max_body_bytes:
            raise exceeded(self._limits, "max_body_bytes", "The body is too long, its files apart", status=413)

    def _ignore(self, data: bytes) -> None:
        """Before the first part there is nothing."""

    def _end(self) -> None:
        self._ended = True
        for upload in self._uploads.values():
            upload.file.seek(0)


def _append(upload: Upload, data: bytes) -> None:
    upload.file.write(data)
    upload.size += len(data)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the parser and the map find wrong, as Malformed."""
    try:
        yield
    except (FormParserError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None


def _put(operations: Any, path: list[str], upload: Upload) -> None:
    """Puts a file where a null stands for it, below `variables`."""
    at = operations
    try:
        if path[0] != "variables":
            raise KeyError
        for step in path[:-1]:
            at = at[int(step)] if isinstance(at, list) else at[step]
        last: Any = int(path[-1]) if isinstance(at, list) else path[-1]
        if at[last] is not None:
            raise KeyError
        at[last] = upload
    except (LookupError, TypeError, ValueError):
        raise Malformed(f"There is no null for a file at {'.'.join(path)!r:.80}") from None
