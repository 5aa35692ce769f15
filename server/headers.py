"""The headers of a request, read once."""

from __future__ import annotations

from starlette.types import Scope

_KEPT = "recollect.headers"


def headers_of(scope: Scope) -> dict[str, str]:
    """By name in lower case, the first of each name. (Starlette's own look through all of them at each question.)"""
    found: dict[str, str] | None = scope.get(_KEPT)
    if found is None:
        found = scope[_KEPT] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])
        }
    return found
