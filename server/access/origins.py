"""Checks of Host and Origin: keep pages of other sites from using an open server on loopback."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

from domain.errors import ErrorCode
from server.access.rights import FORBIDDEN_STATUS
from server.errors import OperationRefused, plain
from server.headers import headers_of

_FOREIGN = ("cross-site", "same-site")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address, or a name stands for such a one."""
    name = host.strip("[]").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def check(scope: Scope, allowed: Collection[str]) -> None:
    """Raises OperationRefused for a request to an open server that a foreign page may have made.

    Its Host must be a name of this machine, for a foreign name may point here (DNS rebinding). Its Origin must be that
    same host, or one of those that are allowed; browsers send it along but where a page only embeds what it asks for
    (an image, say), which Fetch Metadata tells: https://www.w3.org/TR/fetch-metadata/.
    """
    headers = headers_of(scope)
    host = headers.get("host", "")
    if not _is_ours(host):
        raise _refused("This server accepts requests from this machine only, but the Host header names another.")
    origin = headers.get("origin")
    if origin is None:
        if headers.get("sec-fetch-site") in _FOREIGN and headers.get("sec-fetch-dest") != "document":
            raise _refused("This request comes from a page of another site.")
    elif origin not in allowed and origin.lower() not in _same(host.lower()):
        raise _refused("This Origin is not allowed; add it to RECOLLECT_CORS_ORIGINS to allow it.")


@lru_cache(maxsize=128)
def _is_ours(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _same(host: str) -> tuple[str, str]:
    return f"http://{host}", f"https://{host}"


def _refused(message: str) -> OperationRefused:
    return OperationRefused([plain(message, ErrorCode.FORBIDDEN.name)], FORBIDDEN_STATUS)
