"""`recollect stats`: how much is in a folder."""

from __future__ import annotations

from pathlib import Path

from cli import show
from server.service import open_service
from server.settings import Settings
from stores.ports import Stats


async def count(data: Path, settings: Settings) -> Stats:
    """Counts and bytes of a folder."""
    service = open_service(data, settings, must_exist=True)
    try:
        return await service.engine.stats()
    finally:
        await service.close()


def show_stats(stats: Stats, as_json: bool) -> None:
    """Prints the counts as a table, or as JSON."""
    if as_json:
        show.as_json(stats)
        return
    rows = [(name, f"{count:,}") for name, count in stats.records.items()]
    if stats.bytes is not None:
        rows.append(("on disk", f"{stats.bytes / 1e6:,.1f} MB"))
    show.table((), rows)
