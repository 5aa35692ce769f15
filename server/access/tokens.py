"""Verify JSON Web Tokens with the keys of their issuer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import msgspec
from jwt import PyJWK, PyJWKSet, PyJWTError
from jwt.algorithms import get_default_algorithms

from domain.caller import Caller, Role, is_workspace
from server.access.keys import BadCredential
from server.settings import BadSetting, Settings, web_url

ALGORITHMS = ("RS256", "ES256", "EdDSA")
"""Those with a public key: a token that is signed with a shared secret, or not at all, is never taken."""

MAX_TOKEN = 8 * 1024
"""How long a token may be."""

_MAX_KEYS = 256 * 1024
"""How long the answer with an issuer's keys may be, in bytes."""

_KEEP_S = 600.0
_AGAIN_S = 10.0
"""How long an issuer's keys are taken for the latest, and how soon they are asked for again for an unknown one."""

_TIMEOUT_S = 5.0

_log = logging.getLogger("recollect")


class Tokens:
    """Finds callers by their tokens. Raises BadSetting where the settings do not say all that it takes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        if settings.jwt_jwks_url and settings.jwt_public_key:
            raise BadSetting("Set RECOLLECT_JWT_JWKS_URL or RECOLLECT_JWT_PUBLIC_KEY, not both.")
        for name in ("jwt_issuer", "jwt_audience"):
            if not getattr(settings, name):
                raise BadSetting(f"RECOLLECT_{name.upper()} must be set when tokens are accepted.")
        self._key = _public_key(Path(settings.jwt_public_key)) if settings.jwt_public_key else None
        self._issuer = None if self._key else Issuer(web_url("RECOLLECT_JWT_JWKS_URL", settings.jwt_jwks_url))

    async def find(self, token: str) -> Caller:
        """Whose token it is. Raises BadCredential."""
        if len(token) > MAX_TOKEN:
            raise BadCredential("The token is too long.")
        try:
            algorithm, id = _header(token)
            key = self._key if self._issuer is None else await self._issuer.key(id)
            claims = jwt.decode(
                token,
                key,  # type: ignore[arg-type]
                algorithms=[algorithm],
                issuer=self._settings.jwt_issuer,
                audience=self._settings.jwt_audience,
                leeway=self._settings.jwt_leeway,
                options={"require": ["exp", "sub"]},
            )
            return self._caller(claims)
        except (PyJWTError, TypeError, ValueError, OverflowError) as error:  # keys of another kind, times beyond all
            raise BadCredential(f"The token is not valid: {type(error).__name__}.") from None

    def _caller(self, claims: dict[str, Any]) -> Caller:
        settings = self._settings
        workspace, role = claims.get(settings.jwt_workspace_claim), claims.get(settings.jwt_role_claim)
        if not isinstance(workspace, str) or not is_workspace(workspace):
            raise BadCredential(f"The token's claim {settings.jwt_workspace_claim} is not a valid workspace.")
        if not isinstance(role, str) or role.upper() not in Role.__members__:
            raise BadCredential(f"The token's claim {settings.jwt_role_claim} must be read, write or admin.")
        subject = str(claims["sub"])[:200]
        ends = datetime.fromtimestamp(int(claims["exp"]) + settings.jwt_leeway, UTC)
        return Caller(workspace, Role[role.upper()], f"token {workspace} {subject}", subject, ends)


class Issuer:
    """The keys that an issuer publishes (RFC 7517), asked for now and then."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str | None, PyJWK] = {}
        self._asked = float("-inf")
        self._asking = asyncio.Lock()

    async def key(self, id: str | None) -> PyJWK:
        """The key of an id; the only one there is, where a token names none. Raises BadCredential."""
        await self._refresh(_KEEP_S if self._find(id) else _AGAIN_S)
        if (found := self._find(id)) is None:
            raise BadCredential("The token is signed with a key the issuer does not publish.")
        return found

    def _find(self, id: str | None) -> PyJWK | None:
        if id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(id)

    async def _refresh(self, after: float) -> None:
        """Asks for the keys where they are older than that; those there are stay where there is no answer."""
        async with self._asking:
            if time.monotonic() - self._asked < after:
                return
            self._asked = time.monotonic()
            try:
                keys = PyJWKSet.from_dict(await _fetched(self._url)).keys
            except (
                httpx.HTTPError,
                httpx.InvalidURL,
                TimeoutError,
                PyJWTError,
                ValueError,
                TypeError,
                AttributeError,
            ) as error:
                # Not what the error says: the address can have a secret in it.
                status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
                _log.warning("cannot fetch the keys at RECOLLECT_JWT_JWKS_URL: %s%s", type(error).__name__, status)
                return
            self._keys = {key.key_id: key for key in keys if key.algorithm_name in ALGORITHMS}


async def _fetched(url: str) -> Any:
    async with (
        asyncio.timeout(_TIMEOUT_S),
        httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client,
        client.stream("GET", url) as answer,
    ):
        answer.raise_for_status()
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > _MAX_KEYS:
                raise ValueError("the answer is too long")
    return msgspec.json.decode(bytes(body))


def _header(token: str) -> tuple[str, str | None]:
    """The algorithm that a token names, which is one of ours, and the id of its key."""
    header = jwt.get_unverified_header(token)
    algorithm, id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise BadCredential(f"Tokens must be signed with {', '.join(ALGORITHMS)}.")
    return algorithm, id


def _public_key(file: Path) -> Any:
    """The key in a PEM file. Raises BadSetting."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise BadSetting(f"RECOLLECT_JWT_PUBLIC_KEY: {file} cannot be read: {error.strerror}.") from None
    for algorithm in ALGORITHMS:
        with contextlib.suppress(PyJWTError, ValueError, TypeError):
            key = get_default_algorithms()[algorithm].prepare_key(text)
            if not hasattr(key, "sign") and not hasattr(key, "private_bytes"):
                return key
    raise BadSetting(f"RECOLLECT_JWT_PUBLIC_KEY: {file} holds no public key in PEM for {', '.join(ALGORITHMS)}.")
