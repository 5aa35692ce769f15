"""The record of a running request, from which its log line, metrics and span are made."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Protocol

OK = "OK"
"""The outcome of what went well; of anything else it is the code of the first error."""


class Tracer(Protocol):
    """Makes spans of the parts of a request."""

    def part(self, name: str) -> contextlib.AbstractContextManager[None]:
        """A part of the request that is being served."""


class RequestRecord:
    """One request, or one operation on a socket.

    kind: query, mutation or subscription, "spans" for an export of them, "" where it was refused before that was known.
    hash: the start of the SHA-256 of the document's text. outcome: "OK", or the code of the first error.
    store_calls: how often a method of stores.ports.Store was called for it. seconds: how long it took.
    """

    kind = name = hash = ""
    cost: int | None = None
    outcome = OK
    status = store_calls = 0
    seconds = 0.0
    tracer: Tracer | None = None

    def __init__(self, id: str, route: str = "") -> None:
        self.id, self.route = id, route

    def asks(self, kind: str, name: str, hash: str, cost: int | None) -> None:
        """Notes which operation it is."""
        self.kind, self.name, self.hash, self.cost = kind, name, hash, cost

    def fails(self, errors: Sequence[dict[str, Any]]) -> None:
        """Notes what its caller is told, as server.errors makes it."""
        if errors and self.outcome is OK:
            self.outcome = errors[0]["extensions"]["code"]


current: ContextVar[RequestRecord] = ContextVar("request", default=RequestRecord(""))  # noqa: B039 - what nobody asked for
"""The request that is being served; one that nobody looks at outside of requests."""


def span(name: str) -> contextlib.AbstractContextManager[None]:
    """A part of the current request, as a span of its trace; nothing where there is no tracing, for 0.2 us."""
    tracer = current.get().tracer
    return UNTRACED if tracer is None else tracer.part(name)


UNTRACED = contextlib.nullcontext()
