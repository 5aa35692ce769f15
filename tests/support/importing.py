"""Import of one file, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cli.importer import Summary, write
from cli.sink import Progress, Sink
from formats.registry import open_file

DEFAULT_OWNER = "me"


async def import_file(
    path: Path,
    sink: Sink,
    format: str | None = None,
    memories: bool = False,
    owner: str = DEFAULT_OWNER,
    progress: Progress | None = None,
) -> Summary:
    """Imports a file; a second time adds nothing.

    memories: makes one episodic memory, of the user with the externalId `owner`, of each message that has words.
    Raises FormatError for a file that cannot be read from the first byte to the last; nothing of it was written then.
    """
    opened = open_file(path, format)
    if isinstance(opened.content, Sequence):
        await sink.check(opened.content)
    return await write(opened, sink, owner if memories else None, progress)
