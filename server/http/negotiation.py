"""What a client accepts: content negotiation (RFC 9110, section 12.5)."""

from __future__ import annotations

import contextlib
from functools import lru_cache

from server.http.requests import JSON

RESPONSE_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"


def weighed(part: str) -> tuple[str, float]:
    """A name of a list such as Accept, and its weight."""
    name, *parameters = part.split(";")
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            with contextlib.suppress(ValueError):
                quality = float(value)
    return name.strip().lower(), quality


class Accepted:
    """What an Accept header allows.

    json: the media type of a JSON answer, None if it allows none. stream, page: whether it names event streams, HTML.
    """

    def __init__(self, header: str) -> None:
        self._ranges = dict(weighed(part) for part in header.split(","))
        lax, strict = self._quality(JSON), self._quality(RESPONSE_JSON)
        named = RESPONSE_JSON in self._ranges
        self.json = (RESPONSE_JSON if strict > lax or (strict == lax and named) else JSON) if lax or strict else None
        # `*/*` is what clients send that say nothing: they expect an answer that ends.
        self.stream = any(self._ranges.get(name, 0) > 0 for name in (EVENT_STREAM, "text/*"))
        self.page = self._ranges.get("text/html", 0) > 0

    def _quality(self, media_type: str) -> float:
        for name in (media_type, "application/*", "*/*"):
            if name in self._ranges:
                return self._ranges[name]
        return 0.0


accepted_of = lru_cache(maxsize=128)(Accepted)


@lru_cache(maxsize=128)
def takes_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows it."""
    return dict(weighed(part) for part in header.split(",")).get("gzip", 0) > 0
