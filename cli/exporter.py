"""`recollect export`: everything in a workspace as a file of our own format."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from cli.client import caller_in, check_workspace
from domain.audit import DONE
from formats.recollect import jsonl as recollect_jsonl
from resolvers.audit import note
from resolvers.context import Context
from server.service import open_service
from server.settings import BadSetting, Settings


async def export_file(file: Path, data: Path, settings: Settings, workspace: str | None = None) -> None:
    """Writes everything in a workspace to a file of our own format, - being standard output, and says how much it was.

    Raises BadSetting, CannotOpen, or Unavailable.
    """
    check_workspace(workspace, None)
    service = open_service(data, settings, must_exist=True)
    try:
        context = await service.reading(caller_in(workspace))
        await note(context.store, context.caller, "export", DONE)
        records = await (_print if str(file) == "-" else write_export)(file, context)
    except OSError as error:
        raise BadSetting(f"{file} cannot be written: {error.strerror}.") from None
    finally:
        await service.close()
    click.echo(f"{file}: {records:,} records", err=True)


async def write_export(file: Path, context: Context) -> int:
    """Writes everything in a workspace to a file; how many records it has.

    The file is there once it is whole: until then its name ends in ".part". Raises OSError.
    """
    part = file.with_name(f"{file.name}.part")
    lines = 0
    target = part.open("wb")
    try:
        with target:
            async for line in recollect_jsonl.export(context):
                target.write(line)
                lines += 1
            target.flush()
            os.fsync(target.fileno())
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return lines - 2


async def _print(_: Path, context: Context) -> int:
    lines = 0
    async for line in recollect_jsonl.export(context):
        sys.stdout.buffer.write(line)
        lines += 1
    sys.stdout.buffer.flush()
    return lines - 2
