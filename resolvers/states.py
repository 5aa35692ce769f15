"""State entries."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.errors import ErrorCode, invalid, not_found, reject
from domain.memory import expiry
from domain.node import Id
from domain.state import (
    SEPARATOR,
    DeleteStateInput,
    DeleteStatesInput,
    SetStateInput,
    SetStatesInput,
    StateEntry,
    StateFilter,
    StateInput,
    StateNamespace,
    gathered,
)
from domain.values import MAX_BATCH, NULL, Key, changed, given
from resolvers import state_index
from resolvers.context import Context, Unchanged, each, present
from resolvers.idempotency import write
from resolvers.state_index import Prepared
from resolvers.state_schemas import Checking
from stores.ports import Collection, Transaction
from stores.state_index import indexing_of, sync
from stores.treated import settled


async def state(context: Context, namespace: str, key: str, refresh_ttl: bool | None = None) -> StateEntry | None:
    """refresh_ttl: its time to live begins anew."""
    [found] = await context.store.find(StateEntry, [(namespace, key)])
    if found is None or not refresh_ttl or found.ttl_seconds is None:
        return found

    async def script(tx: Transaction) -> StateEntry | None:
        [before] = await tx.find(StateEntry, [(namespace, key)])
        if before is None or before.ttl_seconds is None:
            return before
        after = msgspec.structs.replace(before, expires_at=expiry(before.ttl_seconds, tx.now))
        await tx.put([after])
        return after

    return await context.store.write(script)


async def of_keys(
    context: Context, namespace: str, keys: Annotated[list[Key], Meta(max_length=MAX_BATCH)]
) -> list[StateEntry | None]:
    """The entries of keys, in their order; null for one that is not there."""
    return await context.store.find(StateEntry, [(namespace, key) for key in keys]) if keys else []


async def namespaces(
    context: Context, prefix: str = "", depth: Annotated[int, Meta(ge=1)] | None = None
) -> list[StateNamespace]:
    """The namespaces whose names begin with a prefix. depth: how many steps a name has at the most; those below are
    counted with it."""
    return gathered(await context.store.namespaces(prefix), depth)


async def set_one(context: Context, input: SetStateInput) -> StateEntry:
    """Sets one entry. Raises Rejected: CONFLICT where ifVersion is not its version."""

    checking, prepared = Checking(), await state_index.prepared(context, [input])

    async def script(tx: Transaction) -> StateEntry:
        entry = await _set(tx, input, [], checking, prepared)
        if entry.updated_at != tx.now:
            raise Unchanged(entry)
        return entry

    return await write(context, input, script)


async def set_many(context: Context, input: SetStatesInput) -> list[StateEntry]:
    """Sets entries, all or none."""

    checking, prepared = Checking(), await state_index.prepared(context, input.entries)

    async def script(tx: Transaction) -> list[StateEntry]:
        after = [
            await _set(tx, entry, ["entries", index], checking, prepared) for index, entry in enumerate(input.entries)
        ]
        if all(entry.updated_at != tx.now for entry in after):
            raise Unchanged(after)
        return after

    return await write(context, input, script)


async def _set(
    tx: Transaction, input: StateInput, path: Sequence[str | int], checking: Checking, prepared: Prepared
) -> StateEntry:
    """The entry after the write. One that changes nothing is none, but where it names the version that it is for: of
    two that do so only one may go through."""
    key = (input.namespace, input.key)
    of = await indexing_of(tx, input.namespace)
    schema = of.schema
    [before] = await tx.find(StateEntry, [key])
    _guard(before, input.if_version, path)
    if schema is not None:
        checking.check(schema, input.value, [*path, "value"])
    if input.if_absent and before is not None:
        raise reject(ErrorCode.CONFLICT, f"The entry is at version {before.version}.", [*path, "ifAbsent"])
    new = StateEntry(
        id=tx.new_id(StateEntry),
        namespace=input.namespace,
        key=input.key,
        value=input.value,
        tags=[],
        version=0,
        updated_at=tx.now,
        expires_at=None,
    )
    changes = given(input, value=NULL, tags=[], indexed=True)
    after = changed(before or new, **changes, expires_at=expiry(input.ttl_seconds, tx.now))
    by = (None, None) if schema is None else (schema.id, schema.version)
    after = changed(after, ttl_seconds=input.ttl_seconds, schema_id=by[0], schema_version=by[1])
    after = settled(tx, before or new, after)
    if after is before and input.if_version is UNSET:
        return before
    after = msgspec.structs.replace(after, version=after.version + 1, updated_at=tx.now)
    await tx.put([after])
    if of.members:
        await sync(tx, [after], of, prepared.made, prepared.label)
    return after


def _guard(entry: StateEntry | None, version: int | UnsetType, path: Sequence[str | int]) -> None:
    current = entry.version if entry else 0
    if version is not UNSET and version != current:
        what = f"The entry is at version {current}." if entry else "No such entry."
        raise reject(ErrorCode.CONFLICT, what, [*path, "ifVersion"])


async def delete(context: Context, input: DeleteStateInput) -> StateEntry:
    """Deletes an entry and returns it. Raises Rejected: NOT_FOUND, CONFLICT."""

    async def script(tx: Transaction) -> StateEntry:
        before = (await tx.find(StateEntry, [(input.namespace, input.key)]))[0]
        if before is None:
            raise not_found("state entry", ["key"])
        _guard(before, input.if_version, [])
        await tx.delete(StateEntry, [before.id])
        return before

    return await context.write(script)


async def delete_many(context: Context, input: DeleteStatesInput) -> int:
    """Deletes the entries of a namespace, some hundred at a time, and counts them; with dryRun it only counts them.
    Raises Rejected: INVALID for keys and a prefix at once."""
    if input.keys is not None and (input.prefix is not None or input.below):
        raise invalid("Give keys, or a prefix and below.", ["keys"])
    names = [input.namespace]
    if input.below:
        names += [name for name, _ in await context.store.namespaces(input.namespace + SEPARATOR)]
    total = 0
    for name in names:
        found = await _among(context, name, input)
        total += len(found)
        for start in range(0, 0 if input.dry_run else len(found), _TOGETHER):
            await context.write(partial(_delete, found[start : start + _TOGETHER]))
    return total


async def _among(context: Context, namespace: str, input: DeleteStatesInput) -> list[Id]:
    if input.keys is not None:
        found = await context.store.find(StateEntry, [(namespace, key) for key in dict.fromkeys(input.keys)])
        return [one.id for one in found if one is not None]
    of = None if not input.prefix else StateFilter(prefix=input.prefix)
    return [one.id async for one in each(context, Collection.STATES, Id(namespace), of)]


async def _delete(ids: Sequence[Id], tx: Transaction) -> list[StateEntry]:
    gone = await present(tx, StateEntry, ids)
    await tx.delete(StateEntry, [one.id for one in gone])
    return gone


_TOGETHER = 500
