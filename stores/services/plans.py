"""Which statements a process runs most: Neo4j forgets plans when it is restarted, and takes 0.1 to 1 s for each."""

from __future__ import annotations

from collections import Counter

_KNOWN, _HOT = 1_000, 60


class Plans:
    """cold: Neo4j may have forgotten them."""

    def __init__(self) -> None:
        self.cold = False
        self._runs: Counter[str] = Counter()

    def note(self, statement: str) -> None:
        """One more run."""
        self._runs[statement] += 1
        if len(self._runs) > _KNOWN:
            self._runs = Counter(dict(self._runs.most_common(_KNOWN // 2)))

    def hot(self) -> list[str]:
        """What was run most, that first."""
        return [statement for statement, _ in self._runs.most_common(_HOT)]
