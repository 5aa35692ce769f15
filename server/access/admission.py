"""Authentication and admission, for HTTP, WebSockets, event streams and OTLP."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.types import Scope

from domain.caller import LOCAL, Caller
from domain.key import ApiKey
from domain.node import Id, kind_of
from server.access.keys import LOOKED_AT_EVERY_S, BadCredential, Keys
from server.access.origins import check
from server.access.rate_limit import Rate
from server.errors import UNAUTHENTICATED, OperationRefused, formatted, plain
from server.headers import headers_of
from stores.errors import StoreError, Unavailable

if TYPE_CHECKING:
    from server.access.tokens import Tokens

_UNAUTHORIZED = 401
_UNAVAILABLE = 503


class Access:
    """Admits callers by their credentials.

    keys, tokens: the credentials that there are. Without any, every caller is the one local user, and where there are
    none yet (`unlocked`) until the store has a first key; `guarded` keeps out meanwhile what pages of other sites send,
    but for those of `origins`. rate: of each credential.
    """

    def __init__(
        self,
        keys: Keys | None,
        tokens: Tokens | None,
        *,
        unlocked: bool = False,
        guarded: bool = False,
        origins: Collection[str] = (),
        rate: Rate | None = None,
    ) -> None:
        self._keys, self._tokens = keys, tokens
        self._guarded, self._origins, self._rate = guarded, origins, rate
        self._watches: dict[Caller, _Watch] = {}
        self._unlocked, self._looks_again = unlocked, 0.0

    @property
    def is_open(self) -> bool:
        return self._unlocked or (self._keys is None and self._tokens is None)

    def check(self, scope: Scope) -> None:
        """Raises OperationRefused for a request from where none may come."""
        if self._guarded and self.is_open:
            check(scope, self._origins)

    async def admit(self, scope: Scope) -> Caller:
        """Who makes an HTTP request, which spends one of what they may have. Raises OperationRefused."""
        self.check(scope)
        caller = await self.identify(headers_of(scope).get("authorization"))
        await self.spend(caller)
        return caller

    async def identify(self, authorization: str | None) -> Caller:
        """Who comes with a credential, `Bearer ...`. Raises OperationRefused."""
        if await self._lets_anyone_in():
            return LOCAL
        scheme, _, credential = (authorization or "").strip().partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise _unauthenticated("Credentials are missing: send an Authorization header, Bearer and a key or token.")
        if self._keys is not None and (caller := self._keys.of_settings(credential)) is not None:
            return caller
        is_token = self._tokens is not None and credential.count(".") == 2  # header, claims, signature
        finds = self._tokens if is_token else self._keys
        try:
            if finds is None:
                raise BadCredential("The credential is not a valid token.")
            return await finds.find(credential)
        except BadCredential as error:
            raise _unauthenticated(str(error), "invalid_token") from None
        except Unavailable as error:
            seconds = str(math.ceil(error.retry_after_ms / 1000))
            raise OperationRefused(formatted([error]), _UNAVAILABLE, {"Retry-After": seconds}) from None

    async def spend(self, caller: Caller) -> None:
        """Counts an operation. Raises OperationRefused where the caller has had as many as there may be."""
        if self._rate is not None and not self.is_open:
            await self._rate.spend(caller)

    async def _lets_anyone_in(self) -> bool:
        """Whether the server is open; an unlocked one asks the store for a first key, which any process may make."""
        if self._unlocked and self._keys is not None and time.monotonic() >= self._looks_again:
            self._looks_again = time.monotonic() + LOOKED_AT_EVERY_S
            with contextlib.suppress(StoreError):  # it will be asked again
                self._unlocked = not await self._keys.some()
        return self.is_open

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
                elif caller == LOCAL and self._keys is not None:
                    while True:
                        await asyncio.sleep(LOOKED_AT_EVERY_S)
                        if not await self._lets_anyone_in():
                            return
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
