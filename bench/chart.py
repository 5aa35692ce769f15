"""Charts as SVG: how far each row with something wanted of it has come, and how many times a peer each row is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10
from typing import NamedTuple

from bench.row import Outcome, Report
from bench.show import number

_WIDTH, _LINE, _TOP = 980, 26, 58
_LEFT, _RIGHT = 480, 860
_LEAST, _MOST = 0.1, 100.0

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px } .small { font-size: 11px; fill: #59636e }
  .grid { stroke: #d1d9e0 } .goal { stroke: #1f2328; stroke-width: 1.5 }
  .met { fill: #1a7f37 } .missed { fill: #cf222e } .back { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small { fill: #9198a1 } .grid { stroke: #3d444d } .goal { stroke: #f0f6fc }
    .met { fill: #3fb950 } .missed { fill: #f85149 } .back { fill: #0d1117 }
  }"""


def chart(report: Report) -> str:
    """How far what is wanted was reached."""
    bars = [
        Bar(row.title, _wanted(row), row.reached, _figure(row), row.reached >= 1) for row in report.rows if row.reached
    ]
    return _drawn("How far what is wanted was reached", f"1 is just met; to the right is better; {report.date}", bars)


def peers_chart(report: Report) -> str:
    """How many times as much as what people would pick instead, the best first."""
    rows = sorted((row for row in report.peers if (row.ratio or 0) > 1), key=lambda row: row.ratio or 0, reverse=True)
    bars = [
        Bar(row.title, row.against.partition(":")[0], row.ratio or 1, f"{number(row.ratio)}x", True) for row in rows
    ]
    told = f"operations a second of the processor, as multiples of the other's; {report.date}"
    return _drawn("Beside what people would pick instead", told, bars)


class Bar(NamedTuple):
    """value: 1 is where bars begin."""

    title: str
    small: str
    value: float
    figure: str
    good: bool


def _drawn(title: str, told: str, bars: Sequence[Bar]) -> str:
    height = _TOP + _LINE * len(bars) + 24
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
            f'aria-label="{escape(title)}">',
            f"<style>{_STYLE}\n</style>",
            f'<rect class="back" width="{_WIDTH}" height="{height}"/>',
            f'<text class="title" x="16" y="24">{escape(title)}</text>',
            f'<text class="small" x="16" y="42">{escape(told)}</text>',
            *(_scale(value, height) for value in (0.1, 0.3, 1, 3, 10, 30, 100)),
            *(_bar(bar, _TOP + _LINE * place) for place, bar in enumerate(bars)),
            "</svg>\n",
        ]
    )


def _x(reached: float) -> float:
    share = log10(min(_MOST, max(_LEAST, reached)) / _LEAST) / log10(_MOST / _LEAST)
    return round(_LEFT + share * (_RIGHT - _LEFT), 1)


def _scale(value: float, height: int) -> str:
    x = _x(value)
    kind = "goal" if value == 1 else "grid"
    line = f'<line class="{kind}" x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{height - 22}"/>'
    return f'{line}<text class="small" x="{x}" y="{height - 8}" text-anchor="middle">{value:g}</text>'


def _bar(bar: Bar, y: int) -> str:
    one, end = _x(1), _x(bar.value)
    name = f'{escape(bar.title)} <tspan class="small">{escape(bar.small)}</tspan>'
    return (
        f'<text x="{_LEFT - 12}" y="{y + 15}" text-anchor="end">{name}</text>'
        f'<rect class="{"met" if bar.good else "missed"}" x="{min(one, end)}" y="{y + 4}" '
        f'width="{max(2.0, round(abs(end - one), 1))}" height="{_LINE - 10}" rx="2"/>'
        f'<text x="{max(one, end) + 8}" y="{y + 16}">{bar.figure}</text>'
    )


def _wanted(row: Outcome) -> str:
    return row.wanted.shown() if row.wanted else ""


def _figure(row: Outcome) -> str:
    if row.wanted is not None and row.wanted.of == "ratio":
        return f"{number(row.ratio)}x"
    return escape(f"{number(row.value)} {row.unit.removeprefix('durable ')}")
