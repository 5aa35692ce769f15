"""Bytes on their way in: written to a file as they come, and looked at meanwhile."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from domain.blob import Format, MediaKind, MediaRules, Upload, plain_name
from domain.errors import Rejected, invalid
from stores.blobs.folder import unavailable
from stores.blobs.reading import text_of
from stores.blobs.recognition import HEAD, check_json, image_size, recognized

_AT_ONCE = 64
"""How many pieces a call of the system is given; it may bear 1,024."""


class Staged(Upload):
    """A file that is being received. Its methods block: they write to a disk.

    size: how many bytes came; format, width, height and the text of a document: known once it is
    finished. After a problem bytes are counted and
    dropped.
    """

    def __init__(self, folder: Path, rules: MediaRules, name: str = "", claimed: str = "") -> None:
        self.name, self.claimed, self._rules = plain_name(name), claimed, rules
        self.path = folder / secrets.token_hex(16)
        self.size, self.digest = 0, ""
        self.format: Format | None = None
        self.text = ""
        self.width: int | None = None
        self.height: int | None = None
        self._hash, self._head, self._looked = hashlib.sha256(), b"", False
        self._text: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        try:
            self._file = self.path.open("xb", buffering=0)
        except OSError as error:
            raise unavailable(error) from None

    def write(self, pieces: Sequence[memoryview]) -> None:
        """Takes what comes next, in some pieces of bytes."""
        before = self.size
        self.size += sum(map(len, pieces))
        if self.problem is not None:
            return
        try:
            for piece in pieces:
                if len(self._head) < HEAD:
                    self._head += piece[: HEAD - len(self._head)]
                self._read_text(piece)
                self._hash.update(piece)
            if len(self._head) == HEAD:
                self._look()
            _write_all(self._file.fileno(), pieces)
            _send_on(self._file.fileno(), before, self.size - before)
        except Rejected as refused:
            self._give_up(refused)
        except OSError as error:
            self._give_up(unavailable(error))

    def finish(self) -> None:
        """Looks at all of it. Whether it can be taken is told by `problem`."""
        self._file.close()
        if self.problem is not None:
            return
        try:
            if not self.size:
                raise invalid("The file is empty.")
            self._read_text(b"", final=True)
            self._look(again=True)
            assert self.format is not None
            if self.format.kind is MediaKind.IMAGE:
                self.width, self.height = image_size(self.path, self.format)
            elif self.format.name == "json":
                check_json(self.path)
            if self.format.kind is MediaKind.DOCUMENT:
                self.text = text_of(self.path, self.format)
            self.digest = self._hash.hexdigest()
        except Rejected as refused:
            self._give_up(refused)

    def discard(self) -> None:
        """Takes the file away, if it was not kept."""
        self._file.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _give_up(self, problem: Exception) -> None:
        self.problem = problem
        self.discard()

    def _look(self, again: bool = False) -> None:
        """Finds the format, as soon as it can be known, and refuses what is longer than it may be."""
        if self.format is None or again:
            self.format = recognized(self._head, self._text is not None, self.name, self.claimed)
            self._rules.check(self.format)
        self._rules.check_size(self.format, self.size)

    def _read_text(self, data: bytes | memoryview, final: bool = False) -> None:
        if self._text is None:
            return
        try:
            is_text = "\0" not in self._text.decode(data, final)
        except UnicodeDecodeError:
            is_text = False
        if not is_text:
            self._text = None


def staged(folder: Path, rules: MediaRules, data: bytes, name: str, claimed: str) -> Staged:
    """A file of bytes that are there already."""
    made = Staged(folder, rules, name, claimed)
    made.write([memoryview(data)])
    made.finish()
    return made


def _write_all(file: int, pieces: Sequence[memoryview]) -> None:
    """Writes pieces to their end: a disk that fills may take the first of them alone, and says so the next time."""
    left = list(pieces)
    while left:
        taken = os.writev(file, left[:_AT_ONCE])
        while left and taken >= len(left[0]):
            taken -= len(left.pop(0))
        if taken:
            left[0] = left[0][taken:]


def _send_on(file: int, start: int, length: int) -> None:
    """Has the system begin to bring what was written to the disk, while more of it comes: in the end there is less to
    wait for."""
    if sys.platform == "linux":
        os.posix_fadvise(file, start, length, os.POSIX_FADV_DONTNEED)
