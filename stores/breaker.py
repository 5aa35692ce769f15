"""A circuit breaker: after three failures in a row, fail fast for about a second."""

from __future__ import annotations

import logging
import random
import time

from stores.errors import Unavailable

_log = logging.getLogger("recollect")

_FAILURES = 3
_REST_SECONDS = 1.0

_HINT, _MOST_HINT_SECONDS = 0.5, 30.0
"""What callers are told to wait: half as long as the outage has lasted, and no longer than that."""


class Breaker:
    """Closed while calls succeed; open for about a second after 3 failures in a row; then half-open, for one call.

    (M. Nygard, Release It!, 2007, "Circuit Breaker".)

    calls, errors: how many it has let through, and how many of them were not answered.
    """

    def __init__(self, name: str, failure: type[Unavailable] = Unavailable) -> None:
        self.name, self._raised = name, failure
        self.reason: str | None = None
        self.calls = self.errors = 0
        self._failures = 0
        self._until = self._since = 0.0
        self._trying = False

    @property
    def state(self) -> str:
        if self._failures < _FAILURES:
            return "closed"
        return "open" if time.monotonic() < self._until else "half-open"

    @property
    def retry_after_ms(self) -> int:
        """When it makes sense to try again, in milliseconds: later the longer the outage lasts, and not all at once."""
        now = time.monotonic()
        away = 0.0 if self._failures < _FAILURES else min((now - self._since) * _HINT, _MOST_HINT_SECONDS)
        return max(100, int(max(self._until - now, away * random.uniform(0.8, 1.2)) * 1000))

    def enter(self) -> None:
        """Before a call. Raises Unavailable, or its kind of that, while the circuit is open."""
        state = self.state
        if state == "open" or (state == "half-open" and self._trying):
            raise self._raised(f"{self.name}: {self.reason}", self.retry_after_ms, known=True)
        self.calls += 1
        self._trying = state == "half-open"

    def succeeded(self) -> None:
        """After a call that was answered, be it with a refusal."""
        if self._failures >= _FAILURES:
            _log.warning("%s answers again", self.name)
        self._failures, self._trying, self.reason = 0, False, None

    def failed(self, reason: str) -> None:
        """After a call that was not."""
        self._failures += 1
        self.errors += 1
        self._trying, self.reason = False, reason
        if self._failures >= _FAILURES:
            if self._failures == _FAILURES:
                self._since = time.monotonic()
                _log.warning("%s does not answer: %s", self.name, reason)
            self._until = time.monotonic() + _REST_SECONDS * random.uniform(0.8, 1.2)

    def trip(self, reason: str) -> None:
        """The server is known to be gone: opens at once."""
        self._failures = max(self._failures, _FAILURES - 1)
        self.failed(reason)

    def left(self) -> None:
        """After a call that was given up by its caller."""
        self._trying = False
