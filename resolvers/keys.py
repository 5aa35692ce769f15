"""Create, list and revoke API keys. The keys of all workspaces are stored in one reserved workspace."""

from __future__ import annotations

import secrets
from datetime import datetime

import msgspec

from domain.audit import DONE
from domain.caller import KEYS_WORKSPACE
from domain.errors import ErrorCode, invalid, not_found, reject
from domain.key import PREFIX, ApiKey, CreateApiKeyInput, RevokeApiKeyInput, digest_of
from domain.node import Id
from domain.page import Slice
from resolvers.audit import note
from resolvers.context import Context
from stores.ports import Collection, Engine, Store, Transaction

_PAGE = 1_000


class Created(msgspec.Struct, frozen=True):
    """A new key, and its secret; where the same idempotency key comes again, the key alone."""

    api_key: ApiKey
    secret: str | None


def kept(engine: Engine) -> Store:
    return engine.workspace(KEYS_WORKSPACE)


class Stored(msgspec.Struct, frozen=True):
    """What there is of keys, in all workspaces. some: any at all; good: one that opens something."""

    some: bool
    good: bool


async def stored(engine: Engine, now: datetime) -> Stored:
    """Whether there are keys; reads them up to the first good one."""
    last: Id | None = None
    while page := await kept(engine).scan(ApiKey, last, _PAGE):
        if any(key.good(now) for key in page):
            return Stored(True, True)
        last = page[-1].id
    return Stored(last is not None, False)


async def api_keys(context: Context) -> list[ApiKey]:
    """The keys of the caller's workspace, revoked ones too, the newest first."""
    keys: list[ApiKey] = []
    slice = Slice(_PAGE)
    while True:
        [page] = await kept(context.engine).pages(Collection.TENANT_KEYS, [Id(context.caller.workspace)], slice)
        keys += page.nodes
        if not page.has_next_page:
            return keys
        slice = Slice(_PAGE, after=page.listing.cursor(page.marks[-1]))


async def keys_of(context: Context, ids: list[Id]) -> list[ApiKey | None]:
    """Keys of the caller's workspace by their ids."""
    found = await kept(context.engine).get(ApiKey, ids)
    return [key if key is not None and key.workspace == context.caller.workspace else None for key in found]


async def create(context: Context, input: CreateApiKeyInput) -> Created:
    """Creates an API key for this workspace. The secret is returned only now; the server stores only its hash."""
    if input.expires_at is not None and input.expires_at <= context.clock():
        raise invalid("expiresAt must be in the future.", ["expiresAt"])
    secret = PREFIX + secrets.token_urlsafe(32)

    async def script(tx: Transaction) -> ApiKey:
        caller, key = context.caller, input.idempotency_key
        # Keys share one place, so what they are asked by must say whose it is.
        named = None if key is None else f"{caller.workspace} {key}"
        asked = digest_of(f"{input.name} {input.role} {input.expires_at}")
        if named is not None and (noted := await tx.recalled(named)) is not None:
            if noted[0] != asked:
                raise reject(
                    ErrorCode.CONFLICT,
                    "This idempotency key was already used with a different input.",
                    ["idempotencyKey"],
                )
            [before] = await tx.get(ApiKey, [noted[1]])
            assert before is not None, "keys are not deleted"
            return before
        made = ApiKey(
            id=tx.new_id(ApiKey),
            digest=digest_of(secret),
            workspace=caller.workspace,
            role=input.role,
            name=input.name,
            created_at=tx.now,
            expires_at=input.expires_at,
            revoked_at=None,
        )
        await tx.put([made])
        if named is not None:
            await tx.note(named, asked, made.id)
        return made

    made = await kept(context.engine).write(script)
    await _note(context, made)
    return Created(made, secret if made.digest == digest_of(secret) else None)


async def revoke(context: Context, input: RevokeApiKeyInput) -> ApiKey:
    """Revokes an API key of this workspace. Within seconds it is refused everywhere and its open connections end."""

    async def script(tx: Transaction) -> ApiKey:
        [before] = await tx.get(ApiKey, [input.id]) if input.id.startswith(f"{ApiKey.prefix}_") else [None]
        if before is None or before.workspace != context.caller.workspace:
            raise not_found(ApiKey.noun, ["id"])
        if before.revoked_at is not None:
            return before
        after = msgspec.structs.replace(before, revoked_at=tx.now)
        await tx.put([after])
        return after

    revoked = await kept(context.engine).write(script)
    await _note(context, revoked)
    return revoked


async def _note(context: Context, key: ApiKey) -> None:
    if context.action is not None:
        await note(context.store, context.caller, context.action, DONE, [key.id])
