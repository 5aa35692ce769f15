"""Access configuration, from the settings and the stored keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resolvers.context import Context
from resolvers.keys import stored
from server.access.admission import Access
from server.access.keys import Keys, first_key, given
from server.access.rate_limit import Rate
from server.settings import BadSetting, Settings

if TYPE_CHECKING:
    from server.access.tokens import Tokens


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@,]+")


async def open_access(context: Context, settings: Settings, is_loopback: bool) -> Access:
    """What the settings and the keys of the store say. Raises BadSetting where an address that others reach would be
    open, and where a setting cannot be.

    A key that was ever made keeps the server closed: revoking the last one must not open it.
    """
    mine, kept = given(settings.api_keys), await stored(context.engine, datetime.now(UTC))
    tokens = _tokens(settings)
    if settings.first_key_file and not (mine or kept.some or tokens):
        await first_key(context, Path(settings.first_key_file))
        kept = await stored(context.engine, datetime.now(UTC))
    if not (is_loopback or mine or tokens or kept.good):
        raise BadSetting(
            "Others can reach this address, but there are no credentials: create a key with `recollect keys create "
            "--role admin`, or set RECOLLECT_API_KEYS."
        )
    origins = origins_of(settings)
    unlocked = not (mine or kept.some or tokens)
    rate = None if settings.rate_limit == "off" else Rate(context.engine, settings.rate_limit)
    return Access(Keys(context.engine, mine), tokens, unlocked=unlocked, guarded=unlocked, origins=origins, rate=rate)


def origins_of(settings: Settings) -> list[str]:
    """Raises BadSetting for what is no origin; "null" and "*" stand for themselves."""
    origins = [origin for one in settings.cors_origins.split(",") if (origin := one.strip().rstrip("/").lower())]
    for origin in origins:
        if origin not in ("null", "*") and not _ORIGIN.fullmatch(origin):
            raise BadSetting(
                f"RECOLLECT_CORS_ORIGINS must have origins such as https://app.example.com, with commas between, "
                f"not {origin!r}: a scheme, a host, a port where it is another than usual, and no path."
            )
    return origins


def _tokens(settings: Settings) -> Tokens | None:
    if not (settings.jwt_jwks_url or settings.jwt_public_key):
        return None
    from server.access.tokens import Tokens  # what checks signatures takes a tenth of a second to import

    return Tokens(settings)
