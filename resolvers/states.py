"""State entries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from domain.errors import ErrorCode, not_found, reject
from domain.memory import expiry
from domain.state import DeleteStateInput, SetStateInput, SetStatesInput, StateEntry, StateInput
from domain.values import NULL, changed, given
from resolvers.context import Context, Unchanged
from resolvers.idempotency import write
from stores.ports import Transaction


async def state(context: Context, namespace: str, key: str) -> StateEntry | None:
    return (await context.store.find(StateEntry, [(namespace, key)]))[0]


async def set_one(context: Context, input: SetStateInput) -> StateEntry:
    """Sets one entry. Raises Rejected: CONFLICT where ifVersion is not its version."""

    async def script(tx: Transaction) -> StateEntry:
        entry = await _set(tx, input, [])
        if entry.updated_at != tx.now:
            raise Unchanged(entry)
        return entry

    return await write(context, input, script)


async def set_many(context: Context, input: SetStatesInput) -> list[StateEntry]:
    """Sets entries, all or none."""

    async def script(tx: Transaction) -> list[StateEntry]:
        after = [await _set(tx, entry, ["entries", index]) for index, entry in enumerate(input.entries)]
        if all(entry.updated_at != tx.now for entry in after):
            raise Unchanged(after)
        return after

    return await write(context, input, script)


async def _set(tx: Transaction, input: StateInput, path: Sequence[str | int]) -> StateEntry:
    """The entry after the write. One that changes nothing is none, but where it names the version that it is for: of
    two that do so only one may go through."""
    key = (input.namespace, input.key)
    before = (await tx.find(StateEntry, [key]))[0]
    _guard(before, input.if_version, path)
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
    changes = given(input, value=NULL, tags=[])
    after = changed(before or new, **changes, expires_at=expiry(input.ttl_seconds, tx.now))
    if after is before and input.if_version is UNSET:
        return before
    after = msgspec.structs.replace(after, version=after.version + 1, updated_at=tx.now)
    await tx.put([after])
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
