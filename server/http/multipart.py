"""GraphQL requests with files: https://github.com/jaydenseric/graphql-multipart-request-spec.

The parts come in order: `operations`, a request in JSON; `map`, which says where each file belongs in it; the files. A
file is written to the disk as it comes, and its place in the request gets a stores.blobs.staging.Staged.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from domain.unicode import decoded, read_json
from stores.blobs.staging import Staged
from stores.ports import Intake

MULTIPART = "multipart/form-data"

MAX_FILES = 20
_WRITTEN = 512 * 1024
"""How many bytes of a file are written at a time: a thread is asked for each."""

_REST = 64 * 1024
"""What a body may have beside its operations and files."""

_read_map = msgspec.json.Decoder(dict[str, list[str]]).decode


class Malformed(Exception):
    """The body is no multipart request; the text is a sentence."""


class TooLong(Exception):
    """The body, or its text, is longer than it may be."""


class Form:
    """Reads the body of one request, whose operations may have so many bytes. Discard the files once it is answered."""

    def __init__(self, content_type: str, intake: Intake, max_text: int) -> None:
        self._intake, self._max_text = intake, max_text
        self._texts: dict[str, bytearray] = {}
        self._files: dict[str, Staged] = {}
        self._map: dict[str, list[str]] = {}
        self._header, self._value, self._headers = bytearray(), bytearray(), dict[str, bytes]()
        self._text: bytearray | None = None
        self._file: Staged | None = None
        self._pieces, self._work = list[memoryview](), list[Callable[[], None]]()
        self._gathered = 0
        self._writing: asyncio.Future[None] | None = None
        self._whole = False
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise Malformed(f"{MULTIPART} needs a boundary.")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_part,
                    "on_part_data": self._take,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise Malformed("The boundary is too long.") from None

    async def read(self, body: AsyncIterator[bytes]) -> tuple[bytes, dict[str, Staged]]:
        """The request in JSON, and its files by their places in it. Raises Malformed or TooLong."""
        longest = self._max_text + self._intake.rules.longest + _REST
        try:
            return await self._read(body, longest)
        finally:
            await self._written()

    async def _read(self, body: AsyncIterator[bytes], longest: int) -> tuple[bytes, dict[str, Staged]]:
        size = 0
        async for chunk in body:
            size += len(chunk)
            if size > longest:
                raise TooLong
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise Malformed("The body is not multipart/form-data.") from None
            if self._gathered >= _WRITTEN:
                self._write()
            if self._work:
                await self._written()
                work, self._work = self._work, []
                self._writing = asyncio.ensure_future(asyncio.to_thread(_run, work))
        await self._written()
        if not self._whole:
            raise Malformed("The body ends before its last boundary.")
        if missing := [name for name in self._map if name not in self._files]:
            raise Malformed(f"The file {missing[0][:80]} is missing.")
        return bytes(self._texts.get("operations", b"")), {
            place: self._files[name] for name, places in self._map.items() for place in places
        }

    async def discard(self) -> None:
        """Takes away the files that nobody has kept."""
        for file in self._files.values():
            await asyncio.to_thread(file.discard)

    async def _written(self) -> None:
        """Waits for what is being written: what comes meanwhile is read at the same time."""
        if self._writing is not None:
            await self._writing
            self._writing = None

    def _write(self) -> None:
        if self._file is not None and self._pieces:
            self._work.append(partial(self._file.write, self._pieces))
            self._pieces, self._gathered = [], 0

    def _end_header(self) -> None:
        self._headers[self._header.decode("latin-1").lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _begin_part(self) -> None:
        options = parse_options_header(self._headers.get("content-disposition"))[1]
        name = decoded(options.get(b"name", b""))
        if name in ("operations", "map"):
            self._text = self._texts[name] = bytearray()
            return
        if "map" not in self._texts:
            raise Malformed("operations and map must come before the files.")
        if name not in self._map or name in self._files:
            raise Malformed(f"The part {name[:80]!r} is not in the map, or comes twice.")
        filename = decoded(options.get(b"filename", b"")).replace("%22", '"')
        claimed = self._headers.get("content-type", b"").decode("latin-1")
        blobs, rules = self._intake
        self._file = self._files[name] = Staged(blobs.staging, rules, filename, claimed)

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._text is not None:
            self._text.extend(data[start:end])
            if len(self._text) > self._max_text:
                raise TooLong
        else:
            self._pieces.append(memoryview(data)[start:end])
            self._gathered += end - start

    def _end_part(self) -> None:
        if self._file is not None:
            self._write()
            self._work.append(self._file.finish)
        elif self._text is self._texts.get("map"):
            self._map = _mapped(bytes(self._text or b""))
        self._text = self._file = None

    def _end(self) -> None:
        self._whole = True


def _run(work: Sequence[Callable[[], None]]) -> None:
    for done in work:
        done()


def _mapped(text: bytes) -> dict[str, list[str]]:
    try:
        found = read_json(_read_map, text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("map must be an object of lists of places, such as variables.input.file.") from None
    if len(found) > MAX_FILES:
        raise Malformed(f"A request may have {MAX_FILES} files.")
    times = Counter(place for places in found.values() for place in places)
    if several := [place for place, count in times.items() if count > 1]:
        raise Malformed(f"map names {several[0][:80]!r} twice; a place has one file.")
    return found


def put(variables: Any, place: str, file: Staged) -> None:
    """Puts a file in its place among the variables. Raises Malformed where there is none."""
    first, *steps = place.split(".")
    at: Any = {"variables": variables}
    key: str | int = first
    try:
        for step in steps:
            at = at[key]
            key = int(step) if isinstance(at, list) else step
        if at[key] is not None or not steps:
            raise KeyError(key)
        at[key] = file
    except (KeyError, IndexError, TypeError, ValueError):
        raise Malformed(f"There is no null at {place[:80]!r} in operations.") from None
