"""Registry of formats: entry points of the group `recollect.formats`, including ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import msgspec

from formats.conversation import Conversation, FormatError
from formats.file import File
from formats.otlp.json import Exports
from formats.recollect.restore import Source
from stores.plugins import Plugins

T = TypeVar("T")

Content = Sequence[Conversation] | Exports | Source
"""What a file holds: conversations, spans, or, of our own format, a way to its lines."""

_log = logging.getLogger("recollect.formats")


class Opened(msgspec.Struct, frozen=True):
    """A file that was read. Conversations and spans are checked to the last; lines are when they are loaded.

    replaced: how many places held no Unicode; they have U+FFFD now.
    """

    format: str
    content: Content
    replaced: int = 0


class Format(Protocol):
    """The module that an entry point names; the entry point's own name is that of the format.

    A file whose first bytes tell its format is known by `begins(head: bytes) -> bool`, a JSON file by
    `recognizes(value) -> bool`; where it is a list, or JSON Lines, the value is a list of the first item only. A module
    has one of the two, or neither, and then --format must name it.
    """

    SUMMARY: str
    """What such files are, for --help."""

    def read(self, file: File) -> Content:
        """What the file holds, checked. Raises FormatError."""


_FORMATS = Plugins("recollect.formats", "format", FormatError, FormatError)

names = _FORMATS.names


def load(name: str) -> Format:
    """A format. Raises FormatError for one that is not there, or that cannot be imported."""
    return cast(Format, _FORMATS.load(name))


def _asked(name: str, ask: Callable[[], T]) -> T:
    """What a format answers. Raises FormatError, also for whatever goes wrong in somebody else's package."""

    def asked() -> T:
        try:
            return ask()
        except RecursionError:
            raise FormatError("the JSON is nested too deeply") from None

    return _FORMATS.ask(name, "fails", asked)


def summaries() -> dict[str, str]:
    """What each format is, or why it cannot be loaded."""
    found: dict[str, str] = {}
    for name in names():
        try:
            found[name] = str(getattr(load(name), "SUMMARY", ""))
        except FormatError as error:
            found[name] = str(error)
    return found


def _claimed(hook: str, given: Any) -> str | None:
    """The first format whose hook says yes. One that fails is told in the log, and passed over."""
    for name in names():
        try:
            claims = getattr(load(name), hook, None)
            if claims is not None and _asked(name, partial(claims, given)):
                return name
        except FormatError as error:
            _log.warning("%s", error)
    return None


def detect(value: Any) -> str:
    """The format of a JSON file by its value. Raises FormatError."""
    if (name := _claimed("recognizes", value)) is None:
        raise FormatError(f"unknown format (supported: {', '.join(names())}); use --format if you know it")
    return name


def open_file(path: Path, format: str | None = None) -> Opened:
    """Reads a file in a format, or in the one its content tells. Raises FormatError, also where it cannot be read."""
    if format is not None:
        load(format)
    file = File(path)
    name = format or _claimed("begins", file.head) or detect(file.sample)
    return Opened(name, _asked(name, lambda: load(name).read(file)), file.replaced)
