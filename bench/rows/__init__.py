"""The rows of the table, a file for each group."""

from __future__ import annotations

from bench.rows import (
    console,
    erasing,
    figures,
    files,
    finding,
    live,
    past,
    processor,
    reads,
    said,
    standing,
    windows,
    writes,
)

ROWS = [
    *standing.ROWS[:2],
    *reads.ROWS,
    *finding.ROWS,
    *figures.ROWS,
    *windows.ROWS,
    *said.ROWS,
    *past.ROWS,
    *erasing.ROWS,
    *live.ROWS,
    *writes.ROWS,
    *files.ROWS,
    *processor.ROWS,
    *standing.ROWS[2:],
    *console.ROWS,
]
