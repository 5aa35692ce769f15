"""Certificates of authorities are read once in a run: each client for HTTP would read them anew, 25 ms."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

_create = ssl.create_default_context


def load_once() -> None:
    """Gives the contexts of HTTP clients, which name a file of authorities, to all who name the same.

    Who names none gets a context of its own, and may change it.
    """
    shared = cache(_create)

    def create(*purpose: Any, **sources: Any) -> ssl.SSLContext:
        return shared(*purpose, **sources) if sources.get("cafile") else _create(*purpose, **sources)

    ssl.create_default_context = create
