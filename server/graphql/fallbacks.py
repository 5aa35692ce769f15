"""What compiled execution left to graphql-core, which is ten times slower at it: counted, or nobody would see it."""

from __future__ import annotations

import logging
from collections import Counter

_log = logging.getLogger("recollect")

REASONS = {
    "variables": "variables that do not fit; graphql-core reports the error",
    "selection": "a selection that is not compiled",
    "value": "a value that does not match its type",
    "resolver": "a relation whose resolver failed",
    "unexpected": "a bug of ours",
}

_LOGGED = 10
"""So many bugs have their traceback in the log; all are counted."""


class Fallbacks:
    """counts: by reason, since the process started."""

    def __init__(self) -> None:
        self.counts = Counter(dict.fromkeys(REASONS, 0))

    def note(self, reason: str) -> None:
        """Counts one that is to be expected."""
        self.counts[reason] += 1

    def unexpected(self, error: Exception) -> None:
        """Counts a bug; the answer is right all the same."""
        self.counts["unexpected"] += 1
        if self.counts["unexpected"] <= _LOGGED:
            _log.error("compiled execution failed; graphql-core took over", exc_info=error)


FALLBACKS = Fallbacks()
"""Those of this process."""
