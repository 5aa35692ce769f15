"""The formats that there are: entry points of the group `recollect.formats`, ours among them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import msgspec

from formats.conversation import Conversation, FormatError
from formats.file import File
from formats.otlp.json import Exports
from formats.recollect.restore import Source

T = TypeVar("T")

GROUP = "recollect.formats"
_OURS = "recollect"

Content = list[Conversation] | Exports | Source
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
    `recognizes(value) -> bool`. A module has one of the two, or neither, and then --format must name it.
    """

    SUMMARY: str
    """What such files are, for --help."""

    def read(self, file: File) -> Content:
        """What the file holds, checked. Raises FormatError."""


@cache
def _found() -> dict[str, EntryPoint]:
    """By name, in the order of names; ours come before others' of the same name."""
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, not _is_ours(point)))
    return {point.name: point for point in reversed(points)}


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == _OURS


def names() -> tuple[str, ...]:
    """The names of the formats; nothing of them is imported for it."""
    return tuple(sorted(_found()))


def load(name: str) -> Format:
    """A format. Raises FormatError for one that is not there, or that cannot be imported."""
    if (point := _found().get(name)) is None:
        raise FormatError(f"there is no format {name!r}; expected one of {', '.join(names())}")
    return cast(Format, _asked(name, "cannot be loaded", point.load))


def _asked(name: str, failing: str, ask: Callable[[], T]) -> T:
    """What a format answers. Raises FormatError, also for whatever goes wrong in somebody else's package."""
    try:
        return ask()
    except FormatError:
        raise
    except RecursionError:
        raise FormatError("the JSON is nested too deeply") from None
    except Exception as error:
        dist = _found()[name].dist
        whose = f" of the package {dist.name}" if dist is not None else ""
        raise FormatError(f"the format {name!r}{whose} {failing}: {type(error).__name__}: {error}") from None


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
            if claims is not None and _asked(name, "fails", partial(claims, given)):
                return name
        except FormatError as error:
            _log.warning("%s", error)
    return None


def detect(value: Any) -> str:
    """The format of a JSON file by its value. Raises FormatError."""
    if (name := _claimed("recognizes", value)) is None:
        raise FormatError(f"this is no format that is known ({', '.join(names())}); name it with --format if it is one")
    return name


def open_file(path: Path, format: str | None = None) -> Opened:
    """Reads a file in a format, or in the one its content tells. Raises FormatError, also where it cannot be read."""
    if format is not None:
        load(format)
    file = File(path)
    name = format or _claimed("begins", file.head) or detect(file.value)
    return Opened(name, _asked(name, "fails", lambda: load(name).read(file)), file.replaced)
