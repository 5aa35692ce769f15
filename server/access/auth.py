"""Who may come in, and who it is: the one place for HTTP, WebSockets, event streams and OTLP."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import Scope

from domain.caller import LOCAL, Caller
from domain.key import ApiKey
from domain.node import Id, kind_of
from resolvers.context import Context
from resolvers.keys import every_key
from server.access.keys import BadCredential, Keys, first_key, given
from server.access.origins import check
from server.errors import RATE_LIMITED, UNAUTHENTICATED, OperationRefused, formatted, plain
from server.limits import TOO_MANY_REQUESTS
from server.settings import BadSetting, Settings
from stores.errors import Unavailable
from stores.ports import Engine

if TYPE_CHECKING:
    from server.access.tokens import Tokens

_UNAUTHORIZED = 401
_UNAVAILABLE = 503


class Rate:
    """How many operations each credential may begin in a minute; all of them at once, if it likes."""

    def __init__(self, engine: Engine, per_minute: int) -> None:
        self._engine, self._per_minute = engine, per_minute

    async def spend(self, caller: Caller) -> None:
        """Counts one. Raises OperationRefused where there is none left."""
        if (wait := await self._engine.spend(caller.id, self._per_minute)) > 0:
            message = f"Too many operations; RECOLLECT_RATE_LIMIT is {self._per_minute:,} a minute."
            told = plain(message, RATE_LIMITED, retryAfterMs=math.ceil(wait * 1000))
            raise OperationRefused([told], TOO_MANY_REQUESTS, {"Retry-After": str(math.ceil(wait))})


class Access:
    """Admits callers by their credentials.

    keys, tokens: the credentials that there are. Without any, every caller is the one local user; `guarded` then keeps
    out what pages of other sites send, but for those of `origins`. rate: of each credential.
    """

    def __init__(
        self,
        keys: Keys | None,
        tokens: Tokens | None,
        *,
        guarded: bool = False,
        origins: Collection[str] = (),
        rate: Rate | None = None,
    ) -> None:
        self._keys, self._tokens = keys, tokens
        self._guarded, self._origins, self._rate = guarded, origins, rate
        self._watches: dict[Caller, _Watch] = {}

    @property
    def is_open(self) -> bool:
        """Whether it takes no credential."""
        return self._keys is None and self._tokens is None

    def check(self, scope: Scope) -> None:
        """Raises OperationRefused for a request from where none may come."""
        if self._guarded:
            check(scope, self._origins)

    async def admit(self, scope: Scope) -> Caller:
        """Who makes an HTTP request, which spends one of what they may have. Raises OperationRefused."""
        self.check(scope)
        caller = await self.identify(Headers(scope=scope).get("authorization"))
        await self.spend(caller)
        return caller

    async def identify(self, authorization: str | None) -> Caller:
        """Who comes with a credential, `Bearer ...`. Raises OperationRefused."""
        if self.is_open:
            return LOCAL
        scheme, _, credential = (authorization or "").strip().partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise _unauthenticated("A credential is missing: send Authorization: Bearer and a key or token.")
        is_token = self._tokens is not None and credential.count(".") == 2  # header, claims, signature
        finds = self._tokens if is_token else self._keys
        try:
            if finds is None:
                raise BadCredential("It is no token.")
            return await finds.find(credential)
        except BadCredential as error:
            raise _unauthenticated(str(error), "invalid_token") from None
        except Unavailable as error:
            seconds = str(math.ceil(error.retry_after_ms / 1000))
            raise OperationRefused(formatted([error]), _UNAVAILABLE, {"Retry-After": seconds}) from None

    async def spend(self, caller: Caller) -> None:
        """Counts an operation. Raises OperationRefused where the caller has had as many as there may be."""
        if self._rate is not None:
            await self._rate.spend(caller)

    async def ended(self, caller: Caller) -> None:
        """Returns once a caller's credential is no longer good; those who wait for one credential share a watch."""
        with self._watched(caller) as end:
            await end

    @contextlib.contextmanager
    def _watched(self, caller: Caller) -> Iterator[asyncio.Future[None]]:
        if (watch := self._watches.get(caller)) is None:
            watch = self._watches[caller] = _Watch(asyncio.ensure_future(self._watch(caller)))
        watch.followers += 1
        try:
            yield asyncio.shield(watch.task)
        finally:
            watch.followers -= 1
            if not watch.followers:
                watch.task.cancel()
                del self._watches[caller]

    async def _watch(self, caller: Caller) -> None:
        left = None if caller.expires_at is None else (caller.expires_at - datetime.now(UTC)).total_seconds()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                if self._keys is not None and kind_of(caller.id) is ApiKey:
                    await self._keys.revoked(Id(caller.id))
                else:
                    await asyncio.Future()


class _Watch:
    """Waits for the end of one credential, for as many as want to know."""

    def __init__(self, task: asyncio.Future[None]) -> None:
        self.task, self.followers = task, 0


def expired() -> OperationRefused:
    """What a stream ends with when its credential does."""
    return _unauthenticated("The credential has expired or was revoked.", "invalid_token")


def _unauthenticated(message: str, error: str = "") -> OperationRefused:
    """RFC 6750, section 3."""
    challenge = 'Bearer realm="recollect"' + (f', error="{error}"' if error else "")
    return OperationRefused([plain(message, UNAUTHENTICATED)], _UNAUTHORIZED, {"WWW-Authenticate": challenge})


async def open_access(context: Context, settings: Settings, is_loopback: bool) -> Access:
    """What the settings and the keys of the store say. Raises BadSetting where an address that others reach would be
    open, and where a setting cannot be.

    A key that was ever made keeps the server closed: revoking the last one must not open it.
    """
    mine, stored = given(settings.api_keys), await every_key(context.engine)
    tokens = _tokens(settings)
    if settings.first_key_file and not (mine or stored or tokens):
        await first_key(context, Path(settings.first_key_file))
        stored = await every_key(context.engine)
    now = datetime.now(UTC)
    if not (is_loopback or mine or tokens or any(key.good(now) for key in stored)):
        raise BadSetting(
            "Others can reach this address, and there are no credentials: make a key with `recollect keys create "
            "--role admin`, or set RECOLLECT_API_KEYS."
        )
    origins = origins_of(settings)
    if not (mine or stored or tokens):
        return Access(None, None, guarded=True, origins=origins)
    rate = settings.rate_limit
    return Access(
        Keys(context.engine, mine), tokens, origins=origins, rate=None if rate == "off" else Rate(context.engine, rate)
    )


def origins_of(settings: Settings) -> list[str]:
    """The origins of RECOLLECT_CORS_ORIGINS."""
    return [origin for one in settings.cors_origins.split(",") if (origin := one.strip().rstrip("/").lower())]


def _tokens(settings: Settings) -> Tokens | None:
    if not (settings.jwt_jwks_url or settings.jwt_public_key):
        return None
    from server.access.tokens import Tokens  # what checks signatures takes a tenth of a second to import

    return Tokens(settings)
