"""Puts a run into a document, between two markers, and its chart beside it."""

from __future__ import annotations

from pathlib import Path

from bench.chart import chart
from bench.process import BenchError
from bench.row import Report
from bench.show import markdown, number, verdict

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def write(report: Report, document: Path) -> None:
    """Replaces what stands between the markers. Raises BenchError where they are not there."""
    text = document.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"{document} has no lines {BEGIN} and {END}.")
    picture = document.with_suffix(".svg")
    picture.write_text(chart(report), encoding="utf-8")
    shown = f"![How far what is wanted was reached]({picture.name})"
    block = "\n\n".join([BEGIN, markdown(report), shown, _missed(report), END])
    document.write_text(head + block + tail, encoding="utf-8")


def _missed(report: Report) -> str:
    """What was wanted and not reached."""
    missed = [row for row in report.rows if row.reached is not None and row.reached < 1]
    if not missed:
        return "Everything that is wanted was reached."
    lines = []
    for row in missed:
        assert row.wanted is not None
        figure = f"{number(row.ratio)}x" if row.wanted.of == "ratio" else f"{number(row.value)} {row.unit}"
        lines.append(f"- {row.title}: {figure}, wanted {row.wanted.shown()}, {verdict(row)}.")
    return "\n".join(["Missed:", "", *lines])
