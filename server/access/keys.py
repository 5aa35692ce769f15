"""Look up API keys, in the settings and in the store."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from domain.caller import DEFAULT_WORKSPACE, Caller, Role, is_workspace
from domain.key import ApiKey, CreateApiKeyInput, digest_of
from domain.node import Id
from resolvers.context import Context
from resolvers.keys import create, kept
from server.settings import BadSetting
from stores.bounded import Bounded
from stores.errors import StoreError
from stores.ports import Engine

LOOKED_AT_EVERY_S = 1.0
"""How long a key of the store is taken for good before it is looked at again: how late a revocation is seen here."""

_SEEN_BYTES, _KEY_BYTES = 16 << 20, 1_500
"""What the keys that are remembered may take, and what one takes beside its name."""

_RIGHTS = re.compile(r"(?P<workspace>[^:]+):(?P<role>read|write|admin)", re.IGNORECASE)


MIN_KEY = 12
"""The fewest characters of a key that somebody thought up."""


def given(setting: str) -> dict[str, Caller]:
    """The callers of RECOLLECT_API_KEYS by the digests of their keys. Raises BadSetting, which shows no key."""
    callers: dict[str, Caller] = {}
    for number, one in enumerate(filter(None, map(str.strip, setting.split(","))), 1):
        secret, separator, rest = one, "", ""
        if "=" in one.rstrip("="):  # what a key ends in may be padding
            secret, separator, rest = one.rpartition("=")
        found = _RIGHTS.fullmatch(rest)
        if separator and (not secret or found is None or not is_workspace(found["workspace"])):
            raise BadSetting(f"RECOLLECT_API_KEYS: entry {number} is neither KEY nor KEY=workspace:role.")
        if len(secret) < MIN_KEY:
            raise BadSetting(f"RECOLLECT_API_KEYS: entry {number} has a key of fewer than {MIN_KEY} characters.")
        digest = digest_of(secret)
        if digest in callers:
            raise BadSetting(f"RECOLLECT_API_KEYS: entry {number} repeats the key of another entry.")
        rights = (found["workspace"], Role[found["role"].upper()]) if found else (DEFAULT_WORKSPACE, Role.ADMIN)
        callers[digest] = Caller(*rights, f"setting_{digest[:12]}", f"RECOLLECT_API_KEYS {number}")
    return callers


class BadCredential(Exception):
    """A credential that opens nothing; the text says why, and shows nothing of it."""


class Keys:
    """Finds callers by their secrets. settings: those of RECOLLECT_API_KEYS, by digest."""

    def __init__(
        self,
        engine: Engine,
        settings: Mapping[str, Caller],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._settings, self.clock = kept(engine), settings, clock
        self._seen: Bounded[str, tuple[ApiKey, float]] = Bounded(_SEEN_BYTES)

    def of_settings(self, secret: str) -> Caller | None:
        digest = digest_of(secret)
        # Looking up a digest tells nobody who measures it anything: digests cannot be turned back into secrets.
        for known, caller in self._settings.items():
            if hmac.compare_digest(known, digest):
                return caller
        return None

    async def find(self, secret: str) -> Caller:
        if (caller := self.of_settings(secret)) is not None:
            return caller
        digest = digest_of(secret)
        key, until = self._seen.get(digest) or (None, 0.0)
        if time.monotonic() >= until:
            [key] = await self._store.find(ApiKey, [(digest,)])
            if key is not None:
                until = time.monotonic() + LOOKED_AT_EVERY_S
                self._seen.put(digest, (key, until), _KEY_BYTES + 4 * len(key.name))
        if key is None or not key.good(self.clock()):
            raise BadCredential("The key is unknown, expired or revoked.")
        return key.caller

    async def some(self) -> bool:
        """Whether the store has a key, be it good or not."""
        return bool(await self._store.scan(ApiKey, None, 1))

    async def revoked(self, id: Id) -> None:
        """Returns once a key of the store is revoked."""
        while True:
            await asyncio.sleep(LOOKED_AT_EVERY_S)
            with contextlib.suppress(StoreError):  # it will be asked again
                [key] = await self._store.get(ApiKey, [id])
                if key is None or key.revoked_at is not None:
                    return


async def first_key(context: Context, file: Path) -> None:
    """Makes an admin key and writes it to a new file, which only its owner can read. Raises BadSetting."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadSetting(
            f"RECOLLECT_FIRST_KEY_FILE: {file} already exists, but the store has no keys; delete the file."
        ) from None
    except OSError as error:
        raise BadSetting(f"RECOLLECT_FIRST_KEY_FILE: {file} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as target:
        made = await create(context, CreateApiKeyInput(name="first key", role=Role.ADMIN))
        target.write(f"{made.secret}\n")
