"""The rows of the table, a file for each group."""

from __future__ import annotations

from bench.rows import finding, live, reads, standing, writes

ROWS = [*standing.ROWS[:2], *reads.ROWS, *finding.ROWS, *live.ROWS, *writes.ROWS, *standing.ROWS[2:]]
