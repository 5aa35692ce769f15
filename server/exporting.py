"""Export of a workspace to a file."""

from __future__ import annotations

import os
from pathlib import Path

from resolvers.context import Context
from server.formats import recollect_jsonl


async def export_file(path: Path, context: Context) -> int:
    """Writes everything in the workspace to a file of our own format; how many records it has.

    The file is there once it is whole: until then its name ends in ".part". Raises OSError.
    """
    part = path.with_name(f"{path.name}.part")
    lines = 0
    file = part.open("wb")
    try:
        with file:
            async for line in recollect_jsonl.export(context):
                file.write(line)
                lines += 1
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return lines - 2
