"""How commands show what they have found: tables, JSON, and bars that fill."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

WIDE = 160
"""Characters in a line of a table that is too wide for 80, where it does not go to a terminal."""

Show = Callable[[str, int, int | None], None]
"""Shows what is done, how far it is, and how much there is, where that is known."""


def as_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = (), width: int | None = None
) -> None:
    """Prints a table; without names of columns, without a head. numbers: the columns that are set to the right.

    width: of what does not go to a terminal.
    """
    shown = Table(box=None, header_style="bold", show_header=bool(columns))
    for name in columns:
        shown.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    Console(width=None if Console().is_terminal else width).print(shown)


@contextlib.contextmanager
def bar() -> Iterator[Show]:
    """A bar on the terminal, if there is one."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda doing, done, total: progress.update(task, description=doing, completed=done, total=total)
