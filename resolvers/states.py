"""State entries."""

from __future__ import annotations

from collections.abc import Sequence

from domain.errors import ErrorCode, not_found, reject
from domain.memory import expiry
from domain.state import DeleteStateInput, SetStateInput, SetStatesInput, StateEntry, StateInput
from resolvers.context import Context
from resolvers.writes import write
from stores.ports import Transaction


async def state(context: Context, namespace: str, key: str) -> StateEntry | None:
    """One entry."""
    return (await context.store.find(StateEntry, [(namespace, key)]))[0]


async def set_one(context: Context, input: SetStateInput) -> StateEntry:
    """Sets one entry. Raises Rejected: CONFLICT where ifVersion is not its version."""
    return await write(context, input, lambda tx: _set(tx, input, []))


async def set_many(context: Context, input: SetStatesInput) -> list[StateEntry]:
    """Sets entries, all or none."""

    async def script(tx: Transaction) -> list[StateEntry]:
        return [await _set(tx, entry, ["entries", index]) for index, entry in enumerate(input.entries)]

    return await write(context, input, script)


async def _set(tx: Transaction, input: StateInput, path: Sequence[str | int]) -> StateEntry:
    before = (await tx.find(StateEntry, [(input.namespace, input.key)]))[0]
    _guard(before, input.if_version, path)
    after = StateEntry(
        before.id if before else tx.new_id(StateEntry),
        input.namespace,
        input.key,
        input.value,
        input.tags or [],
        before.version + 1 if before else 1,
        tx.now,
        expiry(input.ttl_seconds, tx.now),
    )
    await tx.put([after])
    return after


def _guard(entry: StateEntry | None, version: int | None, path: Sequence[str | int]) -> None:
    current = entry.version if entry else 0
    if version is not None and version != current:
        what = f"The entry is at version {current}." if entry else "There is no such entry."
        raise reject(ErrorCode.CONFLICT, what, [*path, "ifVersion"])


async def delete(context: Context, input: DeleteStateInput) -> StateEntry:
    """Deletes an entry and returns it as it was. Raises Rejected: NOT_FOUND, CONFLICT."""

    async def script(tx: Transaction) -> StateEntry:
        before = (await tx.find(StateEntry, [(input.namespace, input.key)]))[0]
        if before is None:
            raise not_found("state entry", ["key"])
        _guard(before, input.if_version, [])
        await tx.delete(StateEntry, [before.id])
        return before

    return await context.write(script)
