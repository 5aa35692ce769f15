"""The table: on the terminal, and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

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


def services_cells(outcome: Outcome) -> tuple[str, ...]:
    """A row of the services engine as its table shows it: beside the embedded one."""
    title, value, *rest = cells(outcome)
    return (title, value, number(outcome.embedded), *rest)


def older_cells(outcome: Outcome) -> tuple[str, ...]:
    """A row as its table shows it beside an older build: both medians, and that of the gains in each round."""
    gains, fifth = outcome.gains, len(outcome.gains) // 5
    middle = f"{number(statistics.median(gains))}x"
    between = f"{number(gains[fifth])}x to {number(gains[-1 - fifth])}x"
    return outcome.title, number(outcome.value), number(outcome.older), outcome.unit, middle, between


_OLDER_HEAD = ("", "now", "older", "", "gain", "in most rounds")
_HEAD = ("", "measured", "", "beside", "of", "ratio", "wanted", "met")
_SERVICES_HEAD = ("", "services", "embedded", "", "beside", "of", "ratio", "wanted", "met")
_RIGHT = {"now", "older", "gain", "measured", "services", "embedded", "beside", "ratio", "wanted"}


def changes(report: Report, before: Report) -> Iterator[tuple[Outcome, Outcome, float]]:
    """The rows of both runs, with what share of their speed they have gained or lost."""
    for outcome in [*report.rows, *report.services, *report.peers]:
        earlier = before.row(outcome.name)
        change = outcome.change(earlier) if earlier else None
        if earlier is not None and change is not None:
            yield outcome, earlier, change


def print_tables(report: Report, before: Report | None, console: Console) -> None:
    """Prints the tables, and what has changed since an earlier run."""
    told = {} if before is None else {row.name: (old, change) for row, old, change in changes(report, before)}
    for rows, head, show in (
        (report.rows, _HEAD, cells),
        (report.services, _SERVICES_HEAD, services_cells),
        (report.peers, _HEAD, cells),
        ([row for row in report.rows if row.gains], _OLDER_HEAD, older_cells),
    ):
        if not rows:
            continue
        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for name in head:
            table.add_column(name, justify="right" if name in _RIGHT else "left")
        if before is not None:
            table.add_column("before", justify="right")
            table.add_column("change")
        for outcome in rows:
            missed = outcome.reached is not None and outcome.reached < 1
            texts: list[str | Text] = list(show(outcome))
            if head is not _OLDER_HEAD:
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


def circumstances(report: Report) -> str:
    """Where and when a run was made."""
    machine = report.machine
    return (
        f"{report.date}, {machine.cores} cores of {machine.cpu}, {machine.memory_gb:.0f} GB, {machine.system}, Python "
        f"{machine.python}. {report.item_count:,} memories; {report.seconds:.0f} s for all rows"
    )


def markdown(report: Report) -> str:
    """The table in Markdown, with where and when it was made."""
    said = f"{circumstances(report)}, while other programs took {report.others:.0%} of the processors."
    table = [said, "", *_rows(_HEAD, map(cells, report.rows))]
    if older := [row for row in report.rows if row.gains]:
        table += ["", f"Beside {report.against}, in turns:", "", *_rows(_OLDER_HEAD, map(older_cells, older))]
    return "\n".join(table)


def services_markdown(report: Report) -> str:
    """The table of the services engine beside the embedded one, with where and when it was made."""
    said = f"{circumstances(report)}; Neo4j, Weaviate and Redis on the same machine."
    return "\n".join([said, "", *_rows(_SERVICES_HEAD, map(services_cells, report.services))])


def peers_markdown(report: Report) -> str:
    """The table of what people would pick instead, with where and when it was made."""
    return "\n".join([f"{circumstances(report)}.", "", *_rows(_HEAD, map(cells, report.peers))])


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    sides = ["--:" if name in _RIGHT else "---" for name in head]
    return [f"| {' | '.join(head)} |", f"|{'|'.join(sides)}|", *(f"| {' | '.join(row)} |" for row in rows)]
