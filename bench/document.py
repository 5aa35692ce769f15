"""Puts a run into a document, between markers, and its chart beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.chart import chart, peers_chart
from bench.process import BenchError
from bench.row import Outcome, Report
from bench.show import markdown, number, peers_markdown, services_markdown, verdict

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
AGAINST_BEGIN, AGAINST_END = "<!-- bench against: begin -->", "<!-- bench against: end -->"
PEERS_BEGIN, PEERS_END = "<!-- bench peers: begin -->", "<!-- bench peers: end -->"
APART = "console", "past"
"""Rows whose names begin so have a place of their own where nothing else was measured."""

SERVICES_BEGIN, SERVICES_END = "<!-- bench services: begin -->", "<!-- bench services: end -->"


def write(report: Report, document: Path) -> None:
    """Replaces what stands between the markers, of the engines that were measured. Raises BenchError without them."""
    text = document.read_text(encoding="utf-8")
    if report.against:
        text = _put(document, text, (AGAINST_BEGIN, AGAINST_END), [markdown(report), _missed(report.rows)])
    elif apart := [of for of in APART if report.rows and all(row.name.startswith(f"{of}-") for row in report.rows)]:
        ends = f"<!-- bench {apart[0]}: begin -->", f"<!-- bench {apart[0]}: end -->"
        text = _put(document, text, ends, [markdown(report), _missed(report.rows)])
    elif report.rows:
        picture = document.with_suffix(".svg")
        shown = f"![How far what is wanted was reached]({picture.name})"
        text = _put(document, text, (BEGIN, END), [markdown(report), shown, _missed(report.rows)])
        picture.write_text(chart(report), encoding="utf-8")
    if report.services:
        parts = [services_markdown(report), _missed(report.services)]
        text = _put(document, text, (SERVICES_BEGIN, SERVICES_END), parts)
    if report.peers:
        picture = document.with_name("peers.svg")
        shown = f"![How many times as much as what people would pick instead]({picture.name})"
        parts = [peers_markdown(report), shown, _missed(report.peers)]
        text = _put(document, text, (PEERS_BEGIN, PEERS_END), parts)
        picture.write_text(peers_chart(report), encoding="utf-8")
    document.write_text(text, encoding="utf-8")


def _put(document: Path, text: str, marks: tuple[str, str], parts: Sequence[str]) -> str:
    head, begin, rest = text.partition(marks[0])
    _, end, tail = rest.partition(marks[1])
    if not begin or not end:
        raise BenchError(f"{document} has no lines {marks[0]} and {marks[1]}.")
    return head + "\n\n".join([begin, *parts, end]) + tail


def _missed(rows: Sequence[Outcome]) -> str:
    """What was wanted and not reached."""
    missed = [row for row in rows if row.reached is not None and row.reached < 1]
    if not missed:
        return "Everything that is wanted was reached."
    lines = []
    for row in missed:
        assert row.wanted is not None
        figure = f"{number(row.ratio)}x" if row.wanted.of == "ratio" else f"{number(row.value)} {row.unit}"
        lines.append(f"- {row.title}: {figure}, wanted {row.wanted.shown()}, {verdict(row)}.")
    return "\n".join(["Missed:", "", *lines])
