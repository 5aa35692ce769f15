"""Reads the prices of models: those of the file beside this one, and before them those of a file of one's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from domain.price import Price, Prices
from server.settings import BadSetting, Settings

OURS = Path(__file__).with_name("prices.json")
"""List prices of providers, each with where it was found and when. They may be out of date."""


def prices_of(settings: Settings) -> Prices:
    """Raises BadSetting for a file that cannot be read."""
    if not settings.prices:
        return Prices(ours())
    try:
        own = msgspec.json.decode(Path(settings.prices).read_bytes(), type=list[Price])
    except (OSError, msgspec.DecodeError) as error:
        raise BadSetting(f"RECOLLECT_PRICES: {settings.prices} cannot be read: {error}") from None
    return Prices(own, ours())


@cache
def ours() -> list[Price]:
    return msgspec.json.decode(OURS.read_bytes(), type=list[Price])
