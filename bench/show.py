"""The table: on the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.row import SLOWER, Outcome, Report


def number(value: float | None) -> str:
    """Three figures that count, and no more."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def verdict(outcome: Outcome) -> str:
    """Whether what is wanted was reached, and if not, by how much it was missed."""
    reached = outcome.reached
    if reached is None:
        return ""
    if reached >= 1:
        return "yes"
    return f"{1 / reached:.2f}x short" if reached < 0.99 else "just short"


def cells(outcome: Outcome) -> tuple[str, ...]:
    """A row as the table shows it."""
    return (
        outcome.title,
        number(outcome.value),
        outcome.unit,
        number(outcome.baseline),
        outcome.against,
        "" if outcome.ratio is None else f"{number(outcome.ratio)}x",
        outcome.wanted.shown() if outcome.wanted else "",
        verdict(outcome),
    )


_HEAD = ("", "measured", "", "beside", "of", "ratio", "wanted", "met")
_RIGHT = {"measured", "beside", "ratio", "wanted"}


def changes(report: Report, before: Report) -> Iterator[tuple[Outcome, Outcome, float]]:
    """The rows of both runs, with what share of their speed they have gained or lost."""
    for outcome in report.rows:
        earlier = before.row(outcome.name)
        change = outcome.change(earlier) if earlier else None
        if earlier is not None and change is not None:
            yield outcome, earlier, change


def print_table(report: Report, before: Report | None, console: Console) -> None:
    """Prints the table, and what has changed since an earlier run."""
    told = {} if before is None else {row.name: (old, change) for row, old, change in changes(report, before)}
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in _HEAD:
        table.add_column(name, justify="right" if name in _RIGHT else "left")
    if before is not None:
        table.add_column("before", justify="right")
        table.add_column("change")
    for outcome in report.rows:
        missed = outcome.reached is not None and outcome.reached < 1
        texts: list[str | Text] = list(cells(outcome))
        texts[-1] = Text(str(texts[-1]), style="bold red" if missed else "green")
        if before is not None:
            texts += _since(told.get(outcome.name))
        table.add_row(*texts)
    console.print(table)


def _since(found: tuple[Outcome, float] | None) -> list[str | Text]:
    if found is None:
        return ["", ""]
    earlier, change = found
    slower = change < -SLOWER
    return [number(earlier.value), Text(f"{change:+.0%}{' slower' if slower else ''}", "bold red" if slower else "")]


def markdown(report: Report) -> str:
    """The table in Markdown, with where and when it was made."""
    machine = report.machine
    lines = [
        f"{report.date}, {machine.cores} cores of {machine.cpu}, {machine.memory_gb:.0f} GB, {machine.system}, Python "
        f"{machine.python}. {report.item_count:,} memories; {report.seconds:.0f} s for all rows, while "
        f"other programs took {report.others:.0%} of the processors.",
        "",
        "| | measured | | beside | of | ratio | wanted | met |",
        "|---|--:|---|--:|---|--:|--:|---|",
    ]
    return "\n".join(lines + [f"| {' | '.join(cells(outcome))} |" for outcome in report.rows])
