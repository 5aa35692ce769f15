"""Regular expressions that callers give: those of RE2, which takes time in proportion to the text, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import re2

from domain.errors import invalid
from domain.routing import AgentRouteInput

_MOST_BYTES = 256 * 1024
"""What a pattern may take once it is compiled. RE2 refuses what takes more."""


@lru_cache(128)
def compiled(pattern: str) -> Any:
    """Raises re2.error for what is none."""
    options = re2.Options()
    options.max_mem, options.log_errors = _MOST_BYTES, False
    return re2.compile(pattern, options)


def is_found(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text. One that an import brought and that is none is found nowhere."""
    try:
        return compiled(pattern).search(text) is not None
    except re2.error:
        return False


def check_routes(routes: Sequence[AgentRouteInput]) -> None:
    """Raises Rejected (INVALID)."""
    for index, one in enumerate(routes):
        if not one.route.leads:
            message = "A route has capabilities, keywords, a pattern or examples, or is a fallback."
            raise invalid(message, ["routes", index])
        if one.pattern is not None:
            try:
                compiled(one.pattern)
            except re2.error as error:
                told = error.args[0]
                reason = told.decode(errors="replace") if isinstance(told, bytes) else told
                raise invalid(f"This is no pattern of RE2: {reason}.", ["routes", index, "pattern"]) from None
