"""Files: which format they have, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from formats import chatgpt, openai_messages
from formats.conversation import Conversation, FormatError, parse
from formats.otlp import json as otlp_json
from formats.otlp.json import Exports
from formats.recollect import jsonl as recollect_jsonl
from formats.recollect.restore import Source

READERS: dict[str, ModuleType] = {module.NAME: module for module in (chatgpt, openai_messages)}
"""The formats that conversations are read from, each a module with `recognizes` and `read`."""

FORMATS = (*READERS, otlp_json.NAME, recollect_jsonl.NAME)

_OURS = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"recollect"\s*:')
_HEAD = 4096


class Opened(msgspec.Struct, frozen=True):
    """A file that was read: the conversations of it, the spans or, of our own format, a way to its lines."""

    format: str
    content: list[Conversation] | Exports | Source


def detect(value: Any) -> str:
    """The format of a JSON file by its content, decoded. Raises FormatError."""
    for name, reader in READERS.items():
        if reader.recognizes(value):
            return name
    raise FormatError(f"this is no format that is known ({', '.join(FORMATS)}); name it with --format if it is one")


def open_file(path: Path, format: str | None = None) -> Opened:
    """Reads a file in a format, or in the one its content tells. Raises FormatError, also for one that cannot be read.

    Conversations and spans are checked to the last; lines of our own format are when they are loaded.
    """
    if format is not None and format not in FORMATS:
        raise FormatError(f"there is no format {format!r}; expected one of {', '.join(FORMATS)}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        ours, spans = _OURS.match(head) is not None, otlp_json.recognizes(head)
        if format == recollect_jsonl.NAME or (format is None and ours):
            return Opened(recollect_jsonl.NAME, lambda: lines(path))
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}") from None
    if format == otlp_json.NAME or (format is None and spans):
        return Opened(otlp_json.NAME, otlp_json.read_file(data))
    try:
        value = parse(data)
        name = format or detect(value)
        return Opened(name, READERS[name].read(value, path.name))
    except RecursionError:
        raise FormatError("the JSON is nested too deeply") from None


def lines(path: Path) -> Iterable[bytes]:
    """The lines of a file, as a source of `recollect_jsonl.load`."""
    with path.open("rb") as file:
        yield from file
