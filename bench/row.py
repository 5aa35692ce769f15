"""A row of the table: what is measured, what it stands beside, and what is wanted of it."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from bench.lab import Lab

SLOWER = 0.10
"""What share of its speed a row must have lost to be marked when it is compared with an earlier run."""

Measure = Callable[["Lab"], Awaitable[float]]


class Wanted(msgspec.Struct, frozen=True):
    """A bound of the value, or of its ratio to the baseline."""

    of: Literal["value", "ratio"]
    least: float | None = None
    most: float | None = None

    def bar(self) -> tuple[float, bool]:
        """The bound, and whether more is better."""
        return (self.least, True) if self.least is not None else (self.most or 0.0, False)

    def reached(self, outcome: Outcome) -> float | None:
        """How far the bound was reached: 1 is just met, 2 is twice as good."""
        figure = outcome.value if self.of == "value" else outcome.ratio
        limit, more = self.bar()
        return None if not figure else figure / limit if more else limit / figure

    def shown(self) -> str:
        """As the table shows it."""
        limit, more = self.bar()
        return f"{'≥' if more else '≤'} {round(limit, 3):,.10g}{'x' if self.of == 'ratio' else ''}"


def at_least(value: float) -> Wanted:
    """The value is so high."""
    return Wanted("value", least=value)


def at_most(value: float) -> Wanted:
    """The value is so low."""
    return Wanted("value", most=value)


def times(ratio: float) -> Wanted:
    """The value is at least so many times the baseline."""
    return Wanted("ratio", least=ratio)


def within_times(ratio: float) -> Wanted:
    """The value is at most so many times the baseline."""
    return Wanted("ratio", most=ratio)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to measure. With a baseline both are measured in turns, `rounds` times; their medians count.

    against: what the baseline is. lower: whether less is better. older: whether an older build can be asked too.
    """

    name: str
    title: str
    unit: str
    measure: Measure
    baseline: Measure | None = None
    against: str = ""
    wanted: Wanted | None = None
    lower: bool = False
    rounds: int = 3
    opt_in: bool = False
    older: bool = False

    async def run(self, lab: Lab, embedded: Lab | None = None, older: Lab | None = None) -> Outcome:
        """Measures it. embedded, older: where the same is measured for comparison, on the embedded engine and on an
        older build."""
        values: list[float] = []
        baselines: list[float] = []
        beside: list[float] = []
        before: list[float] = []
        for turn in range(self.rounds):
            if older is not None and turn % 2:  # now one of them is first, now the other
                before.append(await self.measure(older))
            values.append(await self.measure(lab))
            if older is not None and not turn % 2:
                before.append(await self.measure(older))
            if self.baseline is not None:
                baselines.append(await self.baseline(lab))
            if embedded is not None:
                beside.append(await self.measure(embedded))
        return Outcome(
            name=self.name,
            title=self.title,
            unit=self.unit,
            value=statistics.median(values),
            lower=self.lower,
            against=self.against,
            baseline=statistics.median(baselines) if baselines else None,
            wanted=self.wanted,
            embedded=statistics.median(beside) if beside else None,
            older=statistics.median(before) if before else None,
            gains=sorted(self._gain(old, new) for old, new in zip(before, values, strict=False)),
        )

    def _gain(self, old: float, new: float) -> float:
        """How many times as good the new one is."""
        return old / new if self.lower else new / old


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a row has come to. embedded: the value on the embedded engine, of a row of the services engine. older: that
    of an older build; gains: how many times as good as that it was in each round, the least first."""

    name: str
    title: str
    unit: str
    value: float
    lower: bool
    against: str = ""
    baseline: float | None = None
    wanted: Wanted | None = None
    embedded: float | None = None
    older: float | None = None
    gains: list[float] = []

    @property
    def ratio(self) -> float | None:
        """The value as a multiple of the baseline."""
        return self.value / self.baseline if self.baseline else None

    @property
    def reached(self) -> float | None:
        """How far what is wanted was reached, None where nothing is wanted."""
        return self.wanted.reached(self) if self.wanted else None

    def change(self, before: Outcome) -> float | None:
        """What share of its speed it has gained (above 0) or lost since an earlier run; -0.5 takes twice as long."""
        if not before.value or not self.value or before.unit != self.unit:
            return None
        return (before.value / self.value if self.lower else self.value / before.value) - 1


class Machine(msgspec.Struct, frozen=True):
    """Where it ran."""

    cpu: str
    cores: int
    memory_gb: float
    system: str
    python: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run. others: what part of the machine was taken by what is not ours, the servers of the services engine
    among it. services: the rows of that engine. peers: those beside what people would pick instead.
    against: what the older build is called that stands beside some rows."""

    date: str
    machine: Machine
    item_count: int
    seed: int
    seconds: float
    others: float
    rows: list[Outcome]
    services: list[Outcome] = []
    peers: list[Outcome] = []
    against: str = ""

    def row(self, name: str) -> Outcome | None:
        """The outcome of a row, if it was run."""
        return next((row for row in [*self.rows, *self.services, *self.peers] if row.name == name), None)
